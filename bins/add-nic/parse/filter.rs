//! What is asked of packet filters, as the command line says it.

use common::failure::Failure;
use common::output::quotable;

use crate::cli::{Cli, NatOption};
use crate::model::filter::{NatScope, PublishedPort, WantedRules};

impl WantedRules {
    /// What was asked for.
    pub fn from_cli(cli: &Cli) -> Result<Self, Failure> {
        let nat = match cli.nat {
            None => NatScope::Off,
            Some(NatOption::DefaultRoute) => NatScope::DefaultRoute,
            Some(NatOption::All) => NatScope::All,
        };
        let mut publish: Vec<PublishedPort> = Vec::new();
        for word in &cli.publish {
            let about = || format!("--publish {}", quotable(word));
            let published: PublishedPort = word.parse().map_err(|error| Failure::failed(about(), error))?;
            if publish.iter().any(|other| other.clashes(&published)) {
                return Err(Failure::failed(about(), "the same host port is published twice"));
            }
            publish.push(published);
        }
        Ok(WantedRules { nat, forward: cli.forward, publish })
    }
}
