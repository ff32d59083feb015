//! What the words of the command line mean together, every contradiction refused.

pub mod capability;
mod command_line;
mod origin;
mod view;
pub mod words;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use common::cli::FindConfig;
use common::each::Pattern;
use common::failure::Failure;
use common::namespace::NamespaceKind;
use common::output::quotable;
use common::target::Target;
use common::view::TargetView;
use rustix::thread::CapabilitySet;

use crate::cli::{Cli, Id};
use origin::{above, of_directory, of_namespace};

pub use command_line::CommandLine;
pub use origin::{NamespaceRef, OtherNamespace, TakenFrom};

/// What was asked for, every contradiction refused.
#[derive(Debug)]
pub struct Wanted {
    pub target: Option<Target>,
    /// How TARGET, or the containers of a pattern, are found.
    pub find: FindConfig,
    /// As it was typed, for hints.
    pub command_line: CommandLine,
    /// All that the kernel has; a kind that was named and is unknown to it is an error.
    pub all: bool,
    pub namespaces: BTreeMap<NamespaceKind, TakenFrom<OtherNamespace>>,
    pub root: Option<TakenFrom>,
    pub wd: Option<TakenFrom>,
    pub wdns: Option<PathBuf>,
    pub view: TargetView,
    pub environment: bool,
    /// Variables of the target that a program of the host gets in addition to those that are always passed.
    pub variables: Vec<OsString>,
    /// Run the host's program in the target's root.
    pub host_tools: bool,
    /// With all our capabilities, although the target's files decide what it loads.
    pub trust_target: bool,
    /// Let it execute files on the target's mounts.
    pub exec_target: bool,
    /// Its capabilities in addition to the container's.
    pub added_capabilities: CapabilitySet,
    /// Whether the user namespace is entered because the container's capabilities are to count in there only.
    pub user_for_bounds: bool,
    /// Judge every process in the target's PID namespace, and not only the target.
    pub judges_all: bool,
    /// Only say what would be done.
    pub explains: bool,
    /// Print that, or what came of each run, as JSON.
    pub json: bool,
    pub uid: Option<RequestedId>,
    pub gid: Option<RequestedId>,
    pub preserve_credentials: bool,
    pub keep_caps: bool,
    /// Run in the target's control groups.
    pub join_cgroup: bool,
    /// Have the target's SELinux context.
    pub follow_context: bool,
    /// Be limited by all that limits the target.
    pub confine: bool,
    pub may_fork: bool,
    /// Take the target's root when it is not its mount namespace's.
    pub own_root: bool,
    /// Kill the program when nsenter-rs ends.
    pub kill_child: bool,
    /// A terminal of its own for the program.
    pub pty: bool,
    /// Descriptors of our caller that are meant for the program.
    pub kept_descriptors: Vec<RawFd>,
    pub program: Vec<OsString>,
    /// Not in one TARGET, but in each of the containers that this fits.
    pub each: Option<EachWanted>,
}

/// Which containers are meant by `--each`, and how many of them are entered at a time.
#[derive(Debug)]
pub struct EachWanted {
    pub pattern: Pattern,
    /// As it was typed.
    pub word: String,
    /// `None`: all at once.
    pub jobs: Option<usize>,
}

/// A user or group ID, or the target's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestedId {
    /// This number, in the user namespace that is entered.
    Number(u32),
    /// Whatever owns the target's process.
    Follow,
}

impl From<Id> for RequestedId {
    fn from(id: Id) -> Self {
        match id {
            Id::Number(number) => RequestedId::Number(number),
            Id::Follow => RequestedId::Follow,
        }
    }
}

/// The namespaces that the options name, and those that the inside view needs.
fn requested_namespaces(cli: &Cli, view: TargetView) -> BTreeMap<NamespaceKind, TakenFrom<OtherNamespace>> {
    let options = [
        (NamespaceKind::Mnt, &cli.namespaces.mount),
        (NamespaceKind::Uts, &cli.namespaces.uts),
        (NamespaceKind::Ipc, &cli.namespaces.ipc),
        (NamespaceKind::Net, &cli.namespaces.net),
        (NamespaceKind::Pid, &cli.namespaces.pid),
        (NamespaceKind::Cgroup, &cli.namespaces.cgroup),
        (NamespaceKind::User, &cli.namespaces.user),
        (NamespaceKind::Time, &cli.namespaces.time),
    ];
    let all =
        NamespaceKind::ALL.into_iter().filter(|_| cli.namespaces.all).map(|kind| (kind, TakenFrom::Target));
    let named = options.into_iter().filter_map(|(kind, given)| Some((kind, of_namespace(given.as_deref()?))));
    let mut namespaces: BTreeMap<_, _> = all.chain(view::implied(view)).chain(named).collect();
    if let Some(socket) = cli.namespaces.net_socket {
        namespaces.insert(NamespaceKind::Net, TakenFrom::Named(OtherNamespace::Socket(socket)));
    }
    if cli.namespaces.user_parent {
        let user = above(namespaces.get(&NamespaceKind::User), namespaces.is_empty());
        namespaces.insert(NamespaceKind::User, TakenFrom::Named(user));
    }
    namespaces
}

impl Wanted {
    /// What the command line means.
    ///
    /// # Errors
    /// When something is to come from a target, and there is none.
    pub fn new(cli: &Cli, command_line: &CommandLine) -> Result<Self, Failure> {
        let view = view::wanted(cli)?;
        let mut namespaces = requested_namespaces(cli, view);
        // Elsewhere the container's capabilities would count for more than they do in the container.
        let has_target = cli.target.is_some() || cli.each.each.is_some();
        let takes_tools = cli.place.host_tools && !cli.place.trust_target && has_target;
        let user_for_bounds = takes_tools
            && (namespaces.contains_key(&NamespaceKind::Mnt) || cli.place.root.is_some())
            && !namespaces.contains_key(&NamespaceKind::User);
        if user_for_bounds {
            namespaces.insert(NamespaceKind::User, TakenFrom::Target);
        }
        let wanted = Wanted {
            target: cli.target.clone(),
            find: cli.find.config(),
            command_line: command_line.clone(),
            all: cli.namespaces.all,
            namespaces,
            root: cli.place.root.as_ref().map(of_directory),
            wd: cli.place.wd.as_ref().map(of_directory),
            wdns: cli.place.wdns.clone(),
            view,
            environment: cli.place.env,
            variables: cli.place.env_var.clone(),
            host_tools: cli.place.host_tools,
            trust_target: cli.place.trust_target,
            exec_target: cli.place.exec_target,
            added_capabilities: capability::parse(&cli.identity.cap_add)?,
            user_for_bounds,
            judges_all: cli.find.verbose || cli.running.explain,
            explains: cli.running.explain,
            json: cli.running.json,
            uid: cli.identity.setuid.map(RequestedId::from),
            gid: cli.identity.setgid.map(RequestedId::from),
            preserve_credentials: cli.identity.preserve_credentials,
            keep_caps: cli.identity.keep_caps,
            join_cgroup: cli.identity.join_cgroup || cli.identity.confine,
            follow_context: cli.identity.follow_context,
            confine: cli.identity.confine,
            may_fork: !cli.running.no_fork,
            own_root: !cli.place.no_root,
            kill_child: !cli.running.no_kill_child,
            pty: cli.running.pty,
            kept_descriptors: cli.running.keep_fd.clone(),
            program: cli.program.clone(),
            each: cli.each.each.as_deref().map(|word| EachWanted::new(word, cli.each.jobs)).transpose()?,
        };
        wanted.refuse_contradictions()?;
        wanted.refuse_without_target()?;
        Ok(wanted)
    }

    fn refuse_contradictions(&self) -> Result<(), Failure> {
        if self.host_tools && self.confine {
            let what = "cannot be used with --confine: the program is confined already, except for its user";
            return Err(Failure::failed("--host-tools", what)
                .hint(common::sentence!("use -S follow -G follow for the user of TARGET")));
        }
        if let (true, Some(TakenFrom::Named(directory))) = (self.is_fenced(), &self.wd) {
            let what = "cannot be used with --wd=DIR: code of the container could use that open directory of the host";
            let hint = common::sentence!(
                "use -W DIR for a directory of the container, or --trust-target if the container may use {}",
                directory.display()
            );
            return Err(Failure::failed("--host-tools", what).hint(hint));
        }
        if !self.variables.is_empty() && !self.environment && !self.host_tools {
            let what = "has no effect without --env or --host-tools: the program gets the caller's whole environment";
            return Err(Failure::failed("--env-var", what));
        }
        Ok(())
    }

    fn refuse_without_target(&self) -> Result<(), Failure> {
        match (self.target.is_some(), self.each.is_some(), self.needs_target()) {
            (false, false, Some(what)) => Err(Failure::failed(what, "no TARGET was given")
                .hint(common::sentence!("name a container or a process before PROGRAM: -t NAME, or -t PID"))),
            (_, true, None) => {
                let program = self.program.first().map_or("".into(), |word| word.to_string_lossy());
                Err(Failure::failed("--each", "no namespace was requested")
                    .hint(common::sentence!("use -n or -a, before {}", program)))
            }
            _ => Ok(()),
        }
    }

    /// Whether the program is the host's in the root of a container that is not trusted.
    pub fn is_fenced(&self) -> bool {
        let other_root = self.root.is_some() || self.namespaces.contains_key(&NamespaceKind::Mnt);
        self.host_tools && !self.trust_target && other_root
    }

    /// Whether a network namespace without a process can serve as the target.
    pub fn needs_only_net(&self) -> bool {
        let simply_net =
            |kind, from: &TakenFrom<OtherNamespace>| kind == NamespaceKind::Net && *from == TakenFrom::Target;
        let mut namespaces = self.namespaces.iter();
        let needs_process =
            namespaces.any(|(&kind, from)| from.of_target().is_some() && !simply_net(kind, from));
        !needs_process && !self.taken_from_process().any(|(taken, _)| taken)
    }

    /// Whether the program finds the target's files, and is one of them. A root directory is what counts then.
    pub fn files_of_target(&self) -> bool {
        match (&self.root, self.namespaces.get(&NamespaceKind::Mnt)) {
            (Some(root), _) => *root == TakenFrom::Target,
            (None, mounts) => mounts == Some(&TakenFrom::Target),
        }
    }

    /// Whether the program may come to be where processes of the target can see it, or be one of the target's.
    pub fn comes_near_target(&self) -> bool {
        let [mounts, pids] =
            [NamespaceKind::Mnt, NamespaceKind::Pid].map(|kind| self.namespaces.contains_key(&kind));
        mounts || pids || self.root.is_some()
    }

    fn follows(&self) -> bool {
        self.uid == Some(RequestedId::Follow) || self.gid == Some(RequestedId::Follow)
    }

    /// The first thing that only a target can give.
    fn needs_target(&self) -> Option<&'static str> {
        let other = || self.taken_from_process().find_map(|(taken, what)| taken.then_some(what));
        self.namespaces.values().find_map(TakenFrom::of_target).or_else(other)
    }

    /// Whether something is taken from the target's process through its `/proc/PID`.
    pub fn looks_at_target(&self) -> bool {
        self.namespaces.values().any(|from| from.of_target().is_some())
            || self.read_from_process().iter().any(|(taken, _)| *taken)
    }

    /// What is taken from the target's process beside its namespaces, and whether it is.
    fn taken_from_process(&self) -> impl Iterator<Item = (bool, &'static str)> {
        // Whose a process is, and in which control groups, can be seen by everybody; of its context the module decides.
        let public = [
            (self.follows(), "follow"),
            (self.join_cgroup, "--join-cgroup"),
            (self.follow_context, "--follow-context"),
        ];
        self.read_from_process().into_iter().chain(public)
    }

    /// The part of that which only a caller that may trace the process can read.
    fn read_from_process(&self) -> [(bool, &'static str); 4] {
        let of_target = |from: &Option<TakenFrom>| *from == Some(TakenFrom::Target);
        [
            (of_target(&self.root), "--root"),
            (of_target(&self.wd), "--wd"),
            (self.environment, "--env"),
            (self.confine, "--confine"),
        ]
    }

    /// Whether the program would find the same with two targets that share all the namespaces that were asked for.
    pub fn differs_by_namespaces_alone(&self) -> bool {
        let plain = |from: &TakenFrom<OtherNamespace>| {
            matches!(from, TakenFrom::Target | TakenFrom::Named(OtherNamespace::Named(_)))
        };
        let others = self.view.resolver || self.taken_from_process().any(|(taken, _)| taken);
        !others && self.namespaces.values().all(plain)
    }

    /// The namespaces that come from the target.
    pub fn kinds_of_target(&self) -> impl Iterator<Item = NamespaceKind> {
        self.namespaces.iter().filter(|(_, from)| **from == TakenFrom::Target).map(|(kind, _)| *kind)
    }
}

impl EachWanted {
    fn new(word: &str, jobs: Option<u16>) -> Result<Self, Failure> {
        let pattern = word.parse();
        let pattern =
            pattern.map_err(|error| Failure::failed(format_args!("--each {}", quotable(word)), error))?;
        Ok(EachWanted { pattern, word: word.to_owned(), jobs: jobs.map(usize::from) })
    }
}

#[cfg(test)]
impl Wanted {
    /// What is wanted by the words of `line`, which come after the tool's name.
    pub fn by(line: &str) -> Result<Self, Failure> {
        let command_line = CommandLine::from(format!("nsenter-rs {line}").split(' ').map(OsString::from));
        let cli = <Cli as clap::Parser>::try_parse_from(command_line.words()).unwrap();
        Wanted::new(&cli, &command_line)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn wanted(line: &str) -> Result<Wanted, Failure> {
        Wanted::by(line)
    }

    fn file(path: &str) -> TakenFrom<OtherNamespace> {
        TakenFrom::Named(OtherNamespace::Named(NamespaceRef::File(path.into())))
    }

    #[test]
    fn a_file_wins_over_all() {
        for line in ["-t 1 -a --net=/x", "--net --net=/x", "--net=/x --net", "--net=/y --net=/x"] {
            assert_eq!(wanted(line).unwrap().namespaces[&NamespaceKind::Net], file("/x"), "{line}");
        }
    }

    #[test]
    fn a_socket_wins_over_a_file() {
        for line in ["-t 1 -N 3 -n", "-t 1 -n=/x -N 3", "-t 1 -a -N 7 -N 3"] {
            let net = &wanted(line).unwrap().namespaces[&NamespaceKind::Net];
            assert_eq!(*net, TakenFrom::Named(OtherNamespace::Socket(3)), "{line}");
        }
        assert!(wanted("-N 3").is_err());
        assert!(!wanted("-t 1 -N 3").unwrap().needs_only_net());
    }

    #[test]
    fn the_user_namespace_above_is_that_of_user_or_the_owner_of_the_others() {
        let above = |line| match wanted(line).unwrap().namespaces.remove(&NamespaceKind::User) {
            Some(TakenFrom::Named(other)) => other,
            other => panic!("{line}: {other:?}"),
        };
        for line in ["-t 1 --user-parent", "-t 1 -U --user-parent", "-t 1 --user-parent -a -U"] {
            assert_eq!(above(line), OtherNamespace::ParentOf(TakenFrom::Target), "{line}");
        }
        let user = TakenFrom::Named(NamespaceRef::File("/x".into()));
        assert_eq!(above("-t 1 -n --user=/x --user-parent"), OtherNamespace::ParentOf(user));
        for line in ["-t 1 -n --user-parent", "--user-parent -n=/x", "-t 1 -N 3 --user-parent"] {
            assert_eq!(above(line), OtherNamespace::Owner, "{line}");
        }
    }

    #[test]
    fn an_id_or_a_handle_is_no_file() {
        let net = |line| wanted(line).unwrap().namespaces[&NamespaceKind::Net].clone();
        let handle =
            |text: &str| TakenFrom::Named(OtherNamespace::Named(NamespaceRef::Handle(text.parse().unwrap())));
        assert_eq!(net("-n=:42"), handle("42"));
        assert_eq!(
            net("--net=:02000000000000000000004003000000"),
            handle("02000000000000000000004003000000")
        );
        assert_eq!(net("--net=./:42"), file("./:42"));
        for line in ["--net=", "--net=:", "--net=:0", "--net=:-1", "--net=:x", "--net=:18446744073709551616"]
        {
            assert!(Cli::try_parse_from(format!("nsenter-rs {line}").split(' ')).is_err(), "{line}");
        }
    }

    #[test]
    fn the_last_of_an_option_counts_but_there_is_one_target() {
        let wanted = wanted("-t 1 -aa -S 1 -S 2 -G follow -G 3 -r -r=/x -w=/y -w -FF -e -e").unwrap();
        assert_eq!((wanted.uid, wanted.gid), (Some(RequestedId::Number(2)), Some(RequestedId::Number(3))));
        assert_eq!((wanted.root, wanted.wd), (Some(TakenFrom::Named("/x".into())), Some(TakenFrom::Target)));
        for line in ["-t 1 -t 2 -n", "-t 1 --target=1 -n"] {
            assert!(Cli::try_parse_from(format!("nsenter-rs {line}").split(' ')).is_err(), "{line}");
        }
    }

    #[test]
    fn what_only_a_target_can_give_needs_one() {
        for line in ["-n", "-a", "-r", "-w", "-e", "-S follow", "-n=/x -m", "-c", "-Z", "--confine"] {
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
