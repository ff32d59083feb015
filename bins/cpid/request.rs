//! What a command line asks for.

use std::time::Duration;

use common::cli::FindConfig;
use common::target::{EngineName, SocketPlace, Target};

use crate::cli::{Cli, CpidTarget, WordsWanted};
use crate::complete::WordKind;

/// What to print.
#[derive(Debug)]
pub enum Job {
    /// The PID of each target; wait this long until they run.
    Find { wanted: Vec<WantedPid>, wait: Option<Duration> },
    /// A table of containers: those that run, or all.
    List { all: bool },
    /// Words for a shell to offer.
    Complete(WordKind),
    /// The container that a process belongs to.
    OwnerOf(Target),
}

/// Whose PID to print.
#[derive(Debug)]
pub enum WantedPid {
    /// Of the process that a TARGET means.
    Of(Target),
    /// Of the process that listens there.
    Listening(SocketPlace),
}

/// The command line, checked.
#[derive(Debug)]
pub struct Request {
    pub job: Job,
    pub format: PidFormat,
    /// The only engine to ask.
    pub engine: Option<EngineName>,
    pub find: FindConfig,
}

/// How PIDs and containers are printed.
#[derive(Debug, Clone, Copy)]
pub struct PidFormat {
    pub json: bool,
    /// Whether a PID is printed with the inode number of its pidfd.
    pub inode: bool,
    /// What ends each word: a line feed, or NUL.
    pub end: char,
}

impl Request {
    pub fn of(cli: Cli) -> Self {
        let job = match cli.of {
            None if cli.complete.is_some() => Job::Complete(words(&cli)),
            Some(process) => Job::OwnerOf(process),
            None if cli.list => Job::List { all: cli.all },
            None => {
                // A bare name means a container of `--engine`, if that was given.
                let of_engine = |target| match target {
                    CpidTarget::Target(Target::Container { engine: None, within, name }) => {
                        WantedPid::Of(Target::Container { engine: cli.engine, within, name })
                    }
                    CpidTarget::Target(target) => WantedPid::Of(target),
                    CpidTarget::Port(place) => WantedPid::Listening(place),
                };
                Job::Find { wanted: cli.targets.into_iter().map(of_engine).collect(), wait: cli.wait }
            }
        };
        let end = if cli.null { '\0' } else { '\n' };
        let format = PidFormat { json: cli.json, inode: cli.inode, end };
        Request { job, format, engine: cli.engine, find: cli.find.config() }
    }
}

/// Words of a TARGET are asked for with it; it may be half of one yet, and then there are none.
fn words(cli: &Cli) -> WordKind {
    let target = cli.targets.iter().find_map(|target| match target {
        CpidTarget::Target(target) => Some(target.clone()),
        CpidTarget::Port(_) => None,
    });
    match cli.complete {
        Some(WordsWanted::Targets) | None => WordKind::Targets,
        Some(WordsWanted::Links) => WordKind::Links,
        Some(WordsWanted::Engines) => WordKind::Engines,
        Some(WordsWanted::Bridges) => WordKind::Bridges,
        Some(WordsWanted::Interfaces) => target.map_or(WordKind::HostInterfaces, WordKind::Interfaces),
    }
}
