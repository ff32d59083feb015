//! What is asked of packet filters, as the command line says it.

use common::failure::Failure;
use common::output::quotable;

use crate::cli::Cli;
use crate::model::filter::{Published, WantedRules};

impl WantedRules {
    /// What was asked for.
    pub fn of(cli: &Cli) -> Result<Self, Failure> {
        let mut publish: Vec<Published> = Vec::new();
        for word in &cli.publish {
            let about = || format!("--publish {}", quotable(word));
            let published: Published = word.parse().map_err(|error| Failure::trouble(about(), error))?;
            if publish.iter().any(|other| other.clashes(&published)) {
                return Err(Failure::trouble(about(), "the same host port is published twice"));
            }
            publish.push(published);
        }
        Ok(WantedRules { nat: cli.nat, forward: cli.forward, publish })
    }
}
