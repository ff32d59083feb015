//! Decides how to get in: from what was asked and which namespaces differ, without touching anything.

pub mod exposure;
pub mod host_tools_mode;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use common::namespace::{NamespaceId, NamespaceKind};
use common::view::TargetView;
use nix::unistd::Pid;

use crate::identity::cgroup::Group;
use crate::identity::confine::Confinement;
use crate::identity::fence::Fence;
use crate::identity::label::Label;
use crate::wanted::{RequestedId, TakenFrom, Wanted};
use exposure::Exposure;
use host_tools_mode::{HostToolsMode, MountPowers};

/// The world as it matters here: which namespaces we are in, and which ones were asked for. A kind that the
/// kernel does not have is in neither.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Whether there is a process whose pidfd stands for all of its namespaces.
    pub has_process: bool,
    pub ours: BTreeMap<NamespaceKind, NamespaceId>,
    pub theirs: BTreeMap<NamespaceKind, NamespaceId>,
    /// Whether the target has another root than we have in the mount namespace that both are in: one of us is in a
    /// chroot(2).
    pub other_root: bool,
    /// The target's control groups that are not ours, where the program is to go there.
    pub cgroups: Vec<Group>,
    /// The target's labels, where the program is to have them.
    pub labels: Vec<Label>,
    /// What confines the target, where it is to confine the program.
    pub confinement: Option<Confinement>,
    /// What limits a program of the host in the target's root, if it is to be limited.
    pub fence: Option<Fence>,
    /// Whether mounts can be copied.
    pub mount_powers: MountPowers,
    /// Whether the target's processes could trace the program; `None` where that cannot be known.
    pub exposure: Option<Exposure>,
    /// Processes that could read and trace the program although it is not dumpable.
    pub tracers: Vec<Tracer>,
    /// Why the host's program could not be made undumpable, where it should have been.
    pub dumpable: Option<String>,
    /// Whether the target's processes could look into us, or that cannot be known.
    pub reaches_us: bool,
    /// Whether the program will be able to do all that there is to do on this machine.
    pub is_all_powerful: bool,
}

impl Snapshot {
    /// Whether programs would be looked up in another root than ours.
    pub fn changes_root(&self, wanted: &Wanted) -> bool {
        let mounts = [&self.ours, &self.theirs].map(|of| of.get(&NamespaceKind::Mnt));
        wanted.root.is_some() || mounts[0] != mounts[1]
    }
}

/// A process beside the program that has CAP_SYS_PTRACE over the user namespace that the machine began with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracer {
    pub pid: Pid,
    pub name: String,
}

/// How the namespaces are joined.
#[derive(Debug, PartialEq, Eq)]
pub enum Join {
    /// There is nothing to join.
    Nothing,
    /// One setns(2) with the target's pidfd: all of them or none, in the order the kernel needs.
    AtOnce(Vec<NamespaceKind>),
    /// One setns(2) each, because they come from different places.
    OneByOne(Vec<NamespaceKind>),
}

/// What will be done, in this order.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// Run from a copy of ourselves that no process can write to, because the target could trace us.
    pub sealed: bool,
    /// Make the host's program and its children undumpable: it gets the host's files, and the container's processes to
    /// look at it, for which its `/proc/PID/root` would lead to the host.
    pub shielded: bool,
    /// Whether the target's processes could trace the program; `None` where that cannot be known.
    pub exposure: Option<Exposure>,
    /// Why it could not be made undumpable, where it should be.
    pub dumpable: Option<String>,
    pub join: Join,
    /// chroot(2) to this.
    pub root: Option<TakenFrom>,
    /// chroot(2) to the target's root, if it turns out to be another one than that of the mount namespace.
    pub own_root: bool,
    /// The working directory becomes the root, where joining does not see to that.
    pub to_root: bool,
    /// Working directory, opened before the namespaces are joined.
    pub wd: Option<TakenFrom>,
    /// Working directory, looked up inside.
    pub wdns: Option<PathBuf>,
    /// What the program sees as the target does, in a mount namespace of its own.
    pub view: TargetView,
    /// Replace the environment by the target's.
    pub environment: bool,
    /// Variables of it that a program of the host gets in addition (`--env-var`).
    pub variables: Vec<OsString>,
    /// How the host's tools are taken along, where the root changes.
    pub host_tools: Option<HostToolsMode>,
    /// Drop supplementary groups, and set these.
    pub gid: Option<RequestedId>,
    pub uid: Option<RequestedId>,
    /// Let a program that is not root's have the capabilities of the user namespace.
    pub keep_caps: bool,
    /// Go to these control groups; the program alone, and not its parent.
    pub cgroups: Vec<Group>,
    /// Have these labels.
    pub labels: Vec<Label>,
    /// Be confined like this, but for IDs that are set above.
    pub confinement: Option<Confinement>,
    /// What a program of the host among the target's files may do at most.
    pub fence: Option<Fence>,
    /// Processes that could read and trace it all the same.
    pub tracers: Vec<Tracer>,
    /// Let it execute files on the target's mounts.
    pub exec_target: bool,
    /// Whether children that outlive the program in the target's PID namespace are reaped, for the target may not do it.
    pub reaps: bool,
    /// Whether the program must be a child: only children are in a PID namespace that was joined, and the process
    /// that relays to a terminal must stay.
    pub fork: bool,
    /// Whether the child dies with us.
    pub kill_child: bool,
    /// A terminal of its own for the program.
    pub pty: bool,
    /// Descriptors of our caller that are meant for the program, however near it comes to the target.
    pub kept_descriptors: Vec<RawFd>,
    /// Whether nothing was requested that changes what the program sees.
    pub is_nothing: bool,
}

impl Plan {
    /// The plan for `wanted` in the world of `snapshot`.
    pub fn make(wanted: &Wanted, snapshot: &Snapshot) -> Self {
        let differs = |kind: &NamespaceKind| match (snapshot.ours.get(kind), snapshot.theirs.get(kind)) {
            (Some(ours), Some(theirs)) => ours != theirs,
            _ => false,
        };
        // Joining the mount namespace leaves a chroot, too.
        let differs =
            |kind: &NamespaceKind| differs(kind) || *kind == NamespaceKind::Mnt && snapshot.other_root;
        // A namespace that we are in already is left out: joining it again changes nothing but, for the
        // user namespace, fails with EINVAL.
        let mut kinds: Vec<NamespaceKind> = wanted.namespaces.keys().copied().filter(differs).collect();
        if wanted.user_for_bounds && !kinds.contains(&NamespaceKind::Mnt) && wanted.root.is_none() {
            kinds.retain(|kind| *kind != NamespaceKind::User);
        }
        let from_target =
            snapshot.has_process && kinds.iter().all(|kind| wanted.namespaces[kind] == TakenFrom::Target);
        // A process that enters a user namespace has no mapped user there until it sets one: root by default.
        let becomes_root =
            kinds.contains(&NamespaceKind::User) && !wanted.preserve_credentials && !wanted.confine;
        let keep_caps = wanted.keep_caps && kinds.contains(&NamespaceKind::User);
        let default = becomes_root.then_some(RequestedId::Number(0));
        let joins_mounts = kinds.contains(&NamespaceKind::Mnt);
        let changes_root = joins_mounts || wanted.root.is_some();
        // A root of the target is one of its mount namespace; a directory of the host is not.
        let root_is_foreign = !joins_mounts || matches!(wanted.root, Some(TakenFrom::Named(_)));
        let comes_near = changes_root || kinds.contains(&NamespaceKind::Pid);
        let mounts_of_target = kinds.contains(&NamespaceKind::Mnt)
            && wanted.namespaces[&NamespaceKind::Mnt] == TakenFrom::Target;
        let takes_tools = wanted.host_tools && changes_root;
        let host_tools = takes_tools.then(|| HostToolsMode::choose(snapshot.mount_powers, root_is_foreign));
        Plan {
            // A host's program in another root starts nothing that the container has, and so not us.
            sealed: comes_near
                && (snapshot.reaches_us || (changes_root && !takes_tools && !snapshot.is_all_powerful)),
            shielded: !changes_root && kinds.contains(&NamespaceKind::Pid) && snapshot.dumpable.is_none(),
            exposure: snapshot.exposure.clone(),
            dumpable: snapshot.dumpable.clone(),
            own_root: mounts_of_target && wanted.own_root && wanted.root.is_none(),
            to_root: wanted.namespaces.contains_key(&NamespaceKind::Mnt) && !changes_root,
            kill_child: wanted.kill_child,
            fence: snapshot.fence.clone().filter(|_| takes_tools),
            tracers: snapshot.tracers.clone(),
            exec_target: wanted.exec_target,
            reaps: takes_tools && kinds.contains(&NamespaceKind::Pid) && wanted.may_fork,
            fork: (kinds.contains(&NamespaceKind::Pid) && wanted.may_fork) || wanted.pty,
            pty: wanted.pty,
            kept_descriptors: wanted.kept_descriptors.clone(),
            join: match (kinds.is_empty(), from_target) {
                (true, _) => Join::Nothing,
                (false, true) => Join::AtOnce(kinds),
                (false, false) => Join::OneByOne(kinds),
            },
            root: wanted.root.clone(),
            wd: wanted.wd.clone(),
            wdns: wanted.wdns.clone(),
            // A host's program must not obey what the container has written: LD_PRELOAD runs anything.
            environment: wanted.environment || wanted.confine && wanted.files_of_target(),
            variables: wanted.variables.clone(),
            view: wanted.view,
            keep_caps,
            cgroups: snapshot.cgroups.clone(),
            labels: snapshot.labels.clone(),
            confinement: snapshot.confinement.clone(),
            host_tools,
            gid: wanted.gid.or(default),
            uid: wanted.uid.or(default),
            is_nothing: wanted.namespaces.is_empty() && wanted.root.is_none() && !wanted.join_cgroup,
        }
    }
}

impl Plan {
    /// Whether programs are looked up in another root than the host's.
    pub fn changes_root(&self) -> bool {
        self.joins(NamespaceKind::Mnt) || self.root.is_some()
    }

    /// Whether the program is looked up there, and not on the host.
    pub fn looks_up_elsewhere(&self) -> bool {
        self.changes_root() && self.host_tools.is_none()
    }

    /// Whether processes of the target might see the program, or it reads what they have written.
    pub fn comes_near_target(&self) -> bool {
        self.joins(NamespaceKind::Pid) || self.changes_root()
    }

    /// Whether we take on the program's power before there is a child of ours in the target's PID namespace: a container
    /// with CAP_SYS_PTRACE can trace it as soon as it exists, whatever it is. In a user namespace of its
    /// own the container has none over us, and we none over what is outside.
    pub fn is_lowered_before(&self) -> bool {
        self.fence.is_some()
            && self.fork
            && self.joins(NamespaceKind::Pid)
            && !self.joins(NamespaceKind::User)
            && !self.view.procfs
    }

    /// Whether the working directory must be below the root: it need not where the user named a directory
    /// of the host that is to be taken along.
    pub fn keeps_to_root(&self) -> bool {
        self.changes_root() && !matches!(self.wd, Some(TakenFrom::Named(_)))
    }

    /// Whether a namespace of that kind is joined.
    pub fn joins(&self, kind: NamespaceKind) -> bool {
        self.join.kinds().contains(&kind)
    }
}

impl Join {
    /// What is joined.
    pub fn kinds(&self) -> &[NamespaceKind] {
        match self {
            Join::Nothing => &[],
            Join::AtOnce(kinds) | Join::OneByOne(kinds) => kinds,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use common::namespace::Namespace;

    use super::*;

    /// A world in which the `other` kinds differ from ours. Identities are only compared, so any two
    /// different ones will do.
    pub(crate) fn world(other: &[NamespaceKind]) -> Snapshot {
        let [one, two] =
            [NamespaceKind::Net, NamespaceKind::Uts].map(|kind| Namespace::current(kind).unwrap().identity());
        let ours = NamespaceKind::ALL.map(|kind| (kind, one)).into();
        let theirs =
            NamespaceKind::ALL.map(|kind| (kind, if other.contains(&kind) { two } else { one })).into();
        let exposure = Some(Exposure::Undumpable);
        Snapshot { has_process: true, ours, theirs, exposure, is_all_powerful: true, ..Snapshot::default() }
    }

    fn plan(line: &str, other: &[NamespaceKind]) -> Plan {
        Plan::make(&Wanted::by(line).unwrap(), &world(other))
    }

    #[test]
    fn all_means_those_that_differ() {
        let plan = plan("-t 1 -a", &[NamespaceKind::Net, NamespaceKind::Mnt]);
        assert_eq!(plan.join, Join::AtOnce(vec![NamespaceKind::Net, NamespaceKind::Mnt]));
        assert!(!plan.fork);
        assert_eq!((plan.uid, plan.gid), (None, None));
    }

    #[test]
    fn short_options_without_a_file_can_be_bundled() {
        let plan = plan("-t 1 -muinp", &NamespaceKind::ALL);
        assert_eq!(
            plan.join,
            Join::AtOnce(vec![
                NamespaceKind::Ipc,
                NamespaceKind::Uts,
                NamespaceKind::Net,
                NamespaceKind::Pid,
                NamespaceKind::Mnt
            ])
        );
    }

    #[test]
    fn a_namespace_that_is_ours_already_is_left_out() {
        assert_eq!(plan("-t 1 -U -n", &[NamespaceKind::Net]).join, Join::AtOnce(vec![NamespaceKind::Net]));
        assert_eq!(plan("-t 1 -n", &[]).join, Join::Nothing);
        assert!(!plan("-t 1 -n", &[]).is_nothing);
    }

    #[test]
    fn a_file_among_them_means_one_by_one() {
        let plan = plan("-t 1 -n=/run/netns/blue -m", &[NamespaceKind::Net, NamespaceKind::Mnt]);
        assert_eq!(plan.join, Join::OneByOne(vec![NamespaceKind::Net, NamespaceKind::Mnt]));
    }

    #[test]
    fn the_targets_own_root_is_looked_at_only_where_its_mounts_are_joined() {
        assert!(plan("-t 1 -m", &[NamespaceKind::Mnt]).own_root);
        assert!(!plan("-t 1 -m", &[]).own_root);
        assert!(!plan("-t 1 -m --no-root", &[NamespaceKind::Mnt]).own_root);
        assert!(!plan("-t 1 -m -r=/x", &[NamespaceKind::Mnt]).own_root);
        assert!(!plan("-t 1 -m=/x", &[NamespaceKind::Mnt]).own_root);
    }

    #[test]
    fn host_tools_are_taken_along_only_where_the_root_changes() {
        assert_eq!(plan("-t 1 -H -n", &[NamespaceKind::Net]).host_tools, None);
        assert_eq!(plan("-t 1 -H -a", &[NamespaceKind::Net]).host_tools, None);
        assert_eq!(plan("-t 1 -m", &[NamespaceKind::Mnt]).host_tools, None);
        let may = MountPowers { may_mount: true, has_mount_setattr: true };
        let mode = |line: &str| {
            let snapshot = Snapshot { mount_powers: may, ..world(&[NamespaceKind::Mnt]) };
            Plan::make(&Wanted::by(line).unwrap(), &snapshot).host_tools
        };
        for line in ["-t 1 -H -m", "-t 1 -a -H", "-t 1 -m -r -H"] {
            assert_eq!(mode(line), Some(HostToolsMode::Graft), "{line}");
        }
        for line in ["-t 1 -H -r", "-t 1 -m -r=/x -H"] {
            assert!(matches!(mode(line), Some(HostToolsMode::Hold(_))), "{line}");
        }
    }

    #[test]
    fn a_pid_namespace_needs_a_child() {
        assert!(plan("-t 1 -p", &[NamespaceKind::Pid]).fork);
        assert!(!plan("-t 1 -p -F", &[NamespaceKind::Pid]).fork);
        assert!(!plan("-t 1 -p", &[]).fork);
        assert!(plan("-t 1 -n --pty", &[NamespaceKind::Net]).fork);
    }

    #[test]
    fn where_the_target_could_look_into_us_or_nobody_knows_we_run_from_a_copy() {
        let sealed = |line: &str, reaches_us| {
            let snapshot = Snapshot {
                reaches_us,
                ..world(&[NamespaceKind::Mnt, NamespaceKind::Pid, NamespaceKind::Net])
            };
            Plan::make(&Wanted::by(line).unwrap(), &snapshot).sealed
        };
        for line in ["-t 1 -a", "-t 1 -p", "-t 1 -m", "-r=/x", "-t 1 -n -p -H", "-t 1 -a -H"] {
            assert!(sealed(line, true), "{line}");
        }
        assert!(!sealed("-t 1 -n", true));
        assert!(!sealed("-t 1 -a -H", false));
        assert!(!sealed("-t 1 -a", false));
        // A program of the container may look itself, and show it to others.
        let weak = Snapshot { is_all_powerful: false, ..world(&[NamespaceKind::Mnt]) };
        assert!(Plan::make(&Wanted::by("-t 1 -m").unwrap(), &weak).sealed);
    }

    #[test]
    fn a_program_of_the_host_beside_the_containers_is_made_undumpable_and_no_other() {
        let all = &NamespaceKind::ALL;
        for line in ["-t 1 -p", "-t 1 -n -p", "-t 1 --proc", "-t 1 --inside", "-t 1 -p -F", "-t 1 -n -p -H"] {
            assert!(plan(line, all).shielded, "{line}");
        }
        for line in ["-t 1 -n", "-t 1 -a", "-t 1 -a -H", "-t 1 -p -r", "-t 1 --dns --sys"] {
            assert!(!plan(line, all).shielded, "{line}");
        }
        assert!(!plan("-t 1 -p", &[NamespaceKind::Net]).shielded);
        assert!(plan("-t 1 -a", &[NamespaceKind::Pid]).shielded);
    }

    #[test]
    fn a_directory_that_somebody_named_may_lie_outside_of_the_root_and_no_other() {
        assert!(plan("-t 1 -m -w", &[NamespaceKind::Mnt]).keeps_to_root());
        assert!(plan("-t 1 -r -W=/x", &[]).keeps_to_root());
        assert!(plan("-t 1 -m", &[NamespaceKind::Mnt]).keeps_to_root());
        assert!(!plan("-t 1 -m -w=/x", &[NamespaceKind::Mnt]).keeps_to_root());
        assert!(!plan("-t 1 -n -w", &[NamespaceKind::Net]).keeps_to_root());
    }

    #[test]
    fn who_enters_a_user_namespace_becomes_root_there_unless_told_otherwise() {
        let ids = |line| {
            let plan = plan(line, &[NamespaceKind::User]);
            (plan.uid, plan.gid)
        };
        let root = Some(RequestedId::Number(0));
        assert_eq!(ids("-t 1 -U"), (root, root));
        assert_eq!(ids("-t 1 -U -S 7"), (Some(RequestedId::Number(7)), root));
        assert_eq!(ids("-t 1 -U --preserve-credentials"), (None, None));
        assert_eq!(
            ids("-t 1 -U -S follow -G follow"),
            (Some(RequestedId::Follow), Some(RequestedId::Follow))
        );
    }

    #[test]
    fn who_is_confined_becomes_the_target_and_not_root() {
        let confined = plan("-t 1 -a --confine", &[NamespaceKind::User, NamespaceKind::Mnt]);
        assert_eq!((confined.uid, confined.gid), (None, None));
        assert_eq!(plan("-t 1 -a --confine -S 7", &[NamespaceKind::User]).uid, Some(RequestedId::Number(7)));
    }

    #[test]
    fn who_is_confined_has_the_targets_environment_where_its_files_are() {
        for line in ["-a", "-m", "-n -r", "-m=/x -r", "-n -e"] {
            assert!(plan(&format!("-t 1 --confine {line}"), &[]).environment, "{line}");
        }
        for line in ["-n", "-n -r=/x", "-m=/x", "-m -r=/x"] {
            assert!(!plan(&format!("-t 1 --confine {line}"), &[]).environment, "{line}");
        }
    }

    #[test]
    fn capabilities_are_kept_in_a_user_namespace_that_is_entered() {
        assert!(plan("-t 1 -U --keep-caps", &[NamespaceKind::User]).keep_caps);
        assert!(!plan("-t 1 -U --keep-caps", &[]).keep_caps);
        assert!(!plan("-t 1 -n --keep-caps", &[NamespaceKind::User, NamespaceKind::Net]).keep_caps);
    }
}
