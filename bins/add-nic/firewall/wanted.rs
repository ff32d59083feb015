//! What is asked of packet filters for one NIC.

use common::failure::Failure;
use common::output::quotable;
use serde::{Deserialize, Serialize};

use super::publish::Published;
use crate::cli::Cli;

/// What packet filters are to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedRules {
    /// Let it out to the world.
    pub nat: bool,
    /// Let those on its bridge talk to each other.
    pub forward: bool,
    /// Ports of the host that lead to it.
    pub publish: Vec<Published>,
}

impl WantedRules {
    /// What was asked for.
    pub fn of(cli: &Cli) -> Result<Self, Failure> {
        let mut publish: Vec<Published> = Vec::new();
        for word in &cli.publish {
            let about = || format!("--publish {}", quotable(word));
            let published: Published = word.parse().map_err(|error| Failure::trouble(about(), error))?;
            if publish.iter().any(|other| other.clashes(&published)) {
                return Err(Failure::trouble(about(), "is that port of the host a second time"));
            }
            publish.push(published);
        }
        Ok(WantedRules { nat: cli.nat, forward: cli.forward, publish })
    }

    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        *self == WantedRules::default()
    }

    /// The option that asks for it, for messages.
    pub fn option(&self) -> &'static str {
        match self {
            WantedRules { nat: true, .. } => "--nat",
            WantedRules { publish, .. } if !publish.is_empty() => "--publish",
            _ => "--forward",
        }
    }
}
