//! What the words of the command line mean together, every contradiction refused.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use common::failure::Failure;
use common::namespace::Kind;

use crate::cli::{Cli, Id};

/// Where something is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// The target's process.
    Target,
    /// A path the user gave.
    Path(PathBuf),
}

/// What was asked for, every contradiction refused.
#[derive(Debug)]
pub struct Wanted {
    /// All that the kernel has; a kind that was named and is unknown to it is an error.
    pub all: bool,
    pub namespaces: BTreeMap<Kind, From>,
    pub root: Option<From>,
    pub wd: Option<From>,
    pub wdns: Option<PathBuf>,
    pub environment: bool,
    /// Run the host's program in the target's root.
    pub host_tools: bool,
    /// Even where the target could reach the host through it.
    pub trust_target: bool,
    pub uid: Option<Id>,
    pub gid: Option<Id>,
    pub preserve_credentials: bool,
    pub may_fork: bool,
    /// Take the target's root when it is not its mount namespace's.
    pub own_root: bool,
    /// Kill the program when we die.
    pub kill_child: bool,
    pub program: Vec<OsString>,
}

impl Wanted {
    /// What the command line means.
    ///
    /// # Errors
    /// When something is to come from a target, and there is none.
    pub fn new(cli: &Cli) -> Result<Self, Failure> {
        let files = [
            (Kind::Mnt, &cli.namespaces.mount),
            (Kind::Uts, &cli.namespaces.uts),
            (Kind::Ipc, &cli.namespaces.ipc),
            (Kind::Net, &cli.namespaces.net),
            (Kind::Pid, &cli.namespaces.pid),
            (Kind::Cgroup, &cli.namespaces.cgroup),
            (Kind::User, &cli.namespaces.user),
            (Kind::Time, &cli.namespaces.time),
        ];
        let all = Kind::ALL.into_iter().filter(|_| cli.namespaces.all).map(|kind| (kind, From::Target));
        let named = files.into_iter().filter_map(|(kind, file)| Some((kind, from(file.as_ref()?))));
        let wanted = Wanted {
            all: cli.namespaces.all,
            namespaces: all.chain(named).collect(),
            root: cli.place.root.as_ref().map(from),
            wd: cli.place.wd.as_ref().map(from),
            wdns: cli.place.wdns.clone(),
            environment: cli.place.env,
            host_tools: cli.place.host_tools,
            trust_target: cli.place.trust_target,
            uid: cli.identity.setuid,
            gid: cli.identity.setgid,
            preserve_credentials: cli.identity.preserve_credentials,
            may_fork: !cli.running.no_fork,
            own_root: !cli.place.no_root,
            kill_child: !cli.running.no_kill_child,
            program: cli.program.clone(),
        };
        match (cli.target.is_some(), wanted.needs_target()) {
            (false, Some(what)) => {
                Err(Failure::trouble(what, "whose? No TARGET was given").hint("-t NAME, or -t PID"))
            }
            _ => Ok(wanted),
        }
    }

    /// Whether a network namespace without a process can serve as the target.
    pub fn needs_only_net(&self) -> bool {
        let others = self.namespaces.iter().filter(|(kind, _)| **kind != Kind::Net);
        let needs_process =
            others.map(|(_, from)| from).chain(&self.root).chain(&self.wd).any(|from| *from == From::Target);
        !needs_process && !self.follows() && !self.environment
    }

    fn follows(&self) -> bool {
        self.uid == Some(Id::Follow) || self.gid == Some(Id::Follow)
    }

    /// The first thing that only a target can give.
    fn needs_target(&self) -> Option<&'static str> {
        let of_target = |from: &Option<From>| *from == Some(From::Target);
        let namespace = self.namespaces.values().any(|from| *from == From::Target);
        [
            (namespace, "namespaces"),
            (of_target(&self.root), "--root"),
            (of_target(&self.wd), "--wd"),
            (self.environment, "--env"),
            (self.follows(), "follow"),
        ]
        .into_iter()
        .find_map(|(needed, what)| needed.then_some(what))
    }
}

fn from(path: &Option<PathBuf>) -> From {
    path.clone().map_or(From::Target, From::Path)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn wanted(line: &str) -> Result<Wanted, Failure> {
        Wanted::new(&Cli::try_parse_from(format!("nsenter-rs {line}").split(' ')).unwrap())
    }

    #[test]
    fn a_file_wins_over_all() {
        assert_eq!(wanted("-t 1 -a --net=/x").unwrap().namespaces[&Kind::Net], From::Path("/x".into()));
    }

    #[test]
    fn what_only_a_target_can_give_needs_one() {
        for line in ["-n", "-a", "-r", "-w", "-e", "-S follow", "-n=/x -m"] {
            assert!(wanted(line).is_err(), "{line}");
        }
        for line in ["-n=/x", "-r=/", "-w=/", "-S 1", "-G 1"] {
            assert!(wanted(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn everything_behind_the_program_is_the_programs() {
        let wanted = wanted("-t 1 -n ip -4 --help -n -- x").unwrap();
        assert_eq!(wanted.program, ["ip", "-4", "--help", "-n", "--", "x"]);
        for line in ["-t 1 --bogus ip", "-t 1 -n=/x --bogus", "-t -n ip", "-t"] {
            assert!(Cli::try_parse_from(format!("nsenter-rs {line}").split(' ')).is_err(), "{line}");
        }
    }
}
