//! What a command line asks for, checked before anything is looked at.

use std::fmt::Display;
use std::str::FromStr;

use common::cli::FindConfig;
use common::failure::{Failure, Status};
use common::find::hint_for_refused;
use common::output::quotable;
use common::target::{LinkName, Target};

use crate::cli::Cli;

/// What to do.
#[derive(Debug)]
pub enum Job {
    /// Link each of these, the only one under `name` if there is one.
    Link { targets: Vec<Target>, name: Option<LinkName> },
    /// Link every running container.
    LinkAll,
    /// Make an empty namespace, its `lo` set up or not.
    New { name: LinkName, lo: bool },
    /// Remove the links of these names.
    Remove(Vec<LinkName>),
    /// Remove all links that netns-link made.
    RemoveAll,
    /// Show all links.
    List,
    /// Show stale links.
    Check,
    /// Remove stale links.
    Prune,
    /// Update stale links.
    Refresh,
    /// Make and remove links as containers start and stop.
    Watch,
}

/// The command line, checked.
#[derive(Debug)]
pub struct Request {
    pub job: Job,
    /// Whether the host's own network may be linked.
    pub host: bool,
    /// Whether a link made by netns-link is replaced, and one that it did not make removed.
    pub force: bool,
    pub json: bool,
    pub find: FindConfig,
}

impl Request {
    /// # Errors
    /// A word that is no TARGET, or with --rm no name; nothing to do; one name for several TARGETs.
    pub fn of(cli: Cli) -> Result<Self, Failure> {
        let job = match (cli.new, cli.link_name) {
            _ if cli.list => Job::List,
            _ if cli.check => Job::Check,
            _ if cli.prune => Job::Prune,
            _ if cli.refresh => Job::Refresh,
            _ if cli.watch => Job::Watch,
            _ if cli.rm && cli.all => Job::RemoveAll,
            _ if cli.rm && cli.words.is_empty() => return usage("--rm: which? NAME..., or --all"),
            _ if cli.rm => Job::Remove(parsed(&cli.words)?),
            _ if cli.all => Job::LinkAll,
            (Some(name), _) => Job::New { name, lo: !cli.no_lo },
            _ if cli.words.is_empty() => {
                return usage("TARGET: none was given (--all means every container)");
            }
            (None, Some(_)) if cli.words.len() > 1 => return usage("--as: one name serves one TARGET"),
            (None, name) => Job::Link { targets: parsed(&cli.words)?, name },
        };
        Ok(Request { job, host: cli.host, force: cli.force, json: cli.json, find: cli.find.config() })
    }
}

fn parsed<T: FromStr<Err: Display>>(words: &[String]) -> Result<Vec<T>, Failure> {
    let parse = |word: &String| {
        let refused = |error| Failure::failed(quotable(word), error).hint(hint_for_refused(word));
        word.parse().map_err(refused)
    };
    words.iter().map(parse).collect()
}

fn usage<T>(message: &str) -> Result<T, Failure> {
    Err(wrong(message))
}

fn wrong(message: &str) -> Failure {
    Failure::in_lines(Status::Failed, message)
}
