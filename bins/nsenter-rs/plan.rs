//! Decides how to get in: from what was asked and which namespaces differ, without touching anything.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use common::failure::Failure;
use common::namespace::{Identity, Kind};

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
            (Kind::Mnt, &cli.mount),
            (Kind::Uts, &cli.uts),
            (Kind::Ipc, &cli.ipc),
            (Kind::Net, &cli.net),
            (Kind::Pid, &cli.pid),
            (Kind::Cgroup, &cli.cgroup),
            (Kind::User, &cli.user),
            (Kind::Time, &cli.time),
        ];
        let all = Kind::ALL.into_iter().filter(|_| cli.all).map(|kind| (kind, From::Target));
        let named = files.into_iter().filter_map(|(kind, file)| Some((kind, from(file.as_ref()?))));
        let wanted = Wanted {
            all: cli.all,
            namespaces: all.chain(named).collect(),
            root: cli.root.as_ref().map(from),
            wd: cli.wd.as_ref().map(from),
            wdns: cli.wdns.clone(),
            environment: cli.env,
            uid: cli.setuid,
            gid: cli.setgid,
            preserve_credentials: cli.preserve_credentials,
            may_fork: !cli.no_fork,
            own_root: !cli.no_root,
            kill_child: !cli.no_kill_child,
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

/// The world as it matters here: which namespaces we are in, and which ones were asked for. A kind that the
/// kernel does not have is in neither.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Whether there is a process whose pidfd stands for all of its namespaces.
    pub has_process: bool,
    pub ours: BTreeMap<Kind, Identity>,
    pub theirs: BTreeMap<Kind, Identity>,
}

/// How the namespaces are joined.
#[derive(Debug, PartialEq, Eq)]
pub enum Join {
    /// There is nothing to join.
    Nothing,
    /// One setns(2) with the target's pidfd: all of them or none, in the order the kernel needs.
    AtOnce(Vec<Kind>),
    /// One setns(2) each, because they come from different places.
    OneByOne(Vec<Kind>),
}

/// What will be done, in this order.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    pub join: Join,
    /// chroot(2) to this.
    pub root: Option<From>,
    /// chroot(2) to the target's root, if it turns out to be another one than that of the mount namespace.
    pub own_root: bool,
    /// Working directory, opened before the namespaces are joined.
    pub wd: Option<From>,
    /// Working directory, looked up inside.
    pub wdns: Option<PathBuf>,
    /// Replace the environment by the target's.
    pub environment: bool,
    /// Drop supplementary groups, and set these.
    pub gid: Option<Id>,
    pub uid: Option<Id>,
    /// Whether the program must be a child: only children are in a PID namespace that was joined.
    pub fork: bool,
    /// Whether the child dies with us.
    pub kill_child: bool,
    /// What to tell the user before the program runs.
    pub note: Option<&'static str>,
}

impl Plan {
    /// The plan for `wanted` in the world of `snapshot`.
    pub fn make(wanted: &Wanted, snapshot: &Snapshot) -> Self {
        let differs = |kind: &Kind| match (snapshot.ours.get(kind), snapshot.theirs.get(kind)) {
            (Some(ours), Some(theirs)) => ours != theirs,
            _ => false,
        };
        // A namespace that we are in already is left out: joining it again changes nothing but, for the
        // user namespace, fails with EINVAL.
        let kinds: Vec<Kind> = wanted.namespaces.keys().copied().filter(differs).collect();
        let from_target =
            snapshot.has_process && kinds.iter().all(|kind| wanted.namespaces[kind] == From::Target);
        // Whoever enters a user namespace is nobody there until it becomes somebody: root by default.
        let becomes_root = kinds.contains(&Kind::User) && !wanted.preserve_credentials;
        let default = becomes_root.then_some(Id::Number(0));
        let mounts_of_target = kinds.contains(&Kind::Mnt) && wanted.namespaces[&Kind::Mnt] == From::Target;
        Plan {
            own_root: mounts_of_target && wanted.own_root && wanted.root.is_none(),
            kill_child: wanted.kill_child,
            fork: kinds.contains(&Kind::Pid) && wanted.may_fork,
            join: match (kinds.is_empty(), from_target) {
                (true, _) => Join::Nothing,
                (false, true) => Join::AtOnce(kinds),
                (false, false) => Join::OneByOne(kinds),
            },
            root: wanted.root.clone(),
            wd: wanted.wd.clone(),
            wdns: wanted.wdns.clone(),
            environment: wanted.environment,
            gid: wanted.gid.or(default),
            uid: wanted.uid.or(default),
            note: wanted
                .namespaces
                .is_empty()
                .then_some("no namespace was asked for (-n, -a, …): this runs on the host"),
        }
    }
}

impl Plan {
    /// Whether programs are looked up in another root than the host's.
    pub fn changes_root(&self) -> bool {
        let joins_mounts = match &self.join {
            Join::Nothing => false,
            Join::AtOnce(kinds) | Join::OneByOne(kinds) => kinds.contains(&Kind::Mnt),
        };
        joins_mounts || self.root.is_some()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use common::namespace::Namespace;

    use super::*;

    /// A world in which the `other` kinds differ from ours. Identities are only compared, so any two
    /// different ones will do.
    fn world(other: &[Kind]) -> Snapshot {
        let [one, two] = [Kind::Net, Kind::Uts].map(|kind| Namespace::current(kind).unwrap().identity());
        let ours = Kind::ALL.map(|kind| (kind, one)).into();
        let theirs = Kind::ALL.map(|kind| (kind, if other.contains(&kind) { two } else { one })).into();
        Snapshot { has_process: true, ours, theirs }
    }

    fn wanted(line: &str) -> Result<Wanted, Failure> {
        Wanted::new(&Cli::try_parse_from(format!("nsenter-rs {line}").split(' ')).unwrap())
    }

    fn plan(line: &str, other: &[Kind]) -> Plan {
        Plan::make(&wanted(line).unwrap(), &world(other))
    }

    #[test]
    fn all_means_those_that_differ() {
        let plan = plan("-t 1 -a", &[Kind::Net, Kind::Mnt]);
        assert_eq!(plan.join, Join::AtOnce(vec![Kind::Net, Kind::Mnt]));
        assert!(!plan.fork);
        assert_eq!((plan.uid, plan.gid), (None, None));
    }

    #[test]
    fn short_options_without_a_file_can_be_bundled() {
        let plan = plan("-t 1 -muinp", &Kind::ALL);
        assert_eq!(plan.join, Join::AtOnce(vec![Kind::Ipc, Kind::Uts, Kind::Net, Kind::Pid, Kind::Mnt]));
    }

    #[test]
    fn a_namespace_that_is_ours_already_is_left_out() {
        assert_eq!(plan("-t 1 -U -n", &[Kind::Net]).join, Join::AtOnce(vec![Kind::Net]));
        assert_eq!(plan("-t 1 -n", &[]).join, Join::Nothing);
        assert_eq!(plan("-t 1 -n", &[]).note, None);
    }

    #[test]
    fn a_file_among_them_means_one_by_one() {
        let plan = plan("-t 1 -n=/run/netns/blue -m", &[Kind::Net, Kind::Mnt]);
        assert_eq!(plan.join, Join::OneByOne(vec![Kind::Net, Kind::Mnt]));
    }

    #[test]
    fn a_file_wins_over_all() {
        assert_eq!(wanted("-t 1 -a --net=/x").unwrap().namespaces[&Kind::Net], From::Path("/x".into()));
    }

    #[test]
    fn the_targets_own_root_is_looked_at_only_where_its_mounts_are_joined() {
        assert!(plan("-t 1 -m", &[Kind::Mnt]).own_root);
        assert!(!plan("-t 1 -m", &[]).own_root);
        assert!(!plan("-t 1 -m --no-root", &[Kind::Mnt]).own_root);
        assert!(!plan("-t 1 -m -r=/x", &[Kind::Mnt]).own_root);
        assert!(!plan("-t 1 -m=/x", &[Kind::Mnt]).own_root);
    }

    #[test]
    fn a_pid_namespace_needs_a_child() {
        assert!(plan("-t 1 -p", &[Kind::Pid]).fork);
        assert!(!plan("-t 1 -p -F", &[Kind::Pid]).fork);
        assert!(!plan("-t 1 -p", &[]).fork);
    }

    #[test]
    fn who_enters_a_user_namespace_becomes_root_there_unless_told_otherwise() {
        let ids = |line| {
            let plan = plan(line, &[Kind::User]);
            (plan.uid, plan.gid)
        };
        let root = Some(Id::Number(0));
        assert_eq!(ids("-t 1 -U"), (root, root));
        assert_eq!(ids("-t 1 -U -S 7"), (Some(Id::Number(7)), root));
        assert_eq!(ids("-t 1 -U --preserve-credentials"), (None, None));
        assert_eq!(ids("-t 1 -U -S follow -G follow"), (Some(Id::Follow), Some(Id::Follow)));
    }

    #[test]
    fn without_namespaces_the_user_is_told_where_it_runs() {
        assert!(plan("-t 1 true", &[]).note.is_some_and(|note| note.contains("on the host")));
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
