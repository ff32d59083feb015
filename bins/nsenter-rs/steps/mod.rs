//! The plan in words: every step that changes something or holds something open, in the order of doing.

mod said;

use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use common::namespace::NamespaceKind;
use common::view;
use nix::unistd::Pid;

use crate::identity::cgroup::Group;
use crate::identity::label::Label;
use crate::plan::host_tools_mode::HostToolsMode;
use crate::plan::{Join, Plan};
use crate::wanted::capability::names;
use crate::wanted::{OtherNamespace, RequestedId, TakenFrom, Wanted};

/// One line of the plan. A new one is an entry here, a line of its [`Display`](std::fmt::Display), and its place in
/// [`Plan::steps`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryStep {
    /// Start again from a copy of ourselves that no process can write to; what follows is done there.
    Seal,
    /// The target's process, by pidfd.
    Hold(Pid),
    /// Something that is opened while the host's files can be seen.
    Open(PathBuf),
    /// A pseudo-terminal for the program.
    OpenTerminal,
    /// Hard resource limits that are lower than the target's, while we may.
    RaiseLimits,
    /// The supplementary groups, while we may.
    DropGroups,
    /// The target's instead of ours, while we may.
    TakeGroups,
    /// Become undumpable, and close all descriptors that the caller left open but these.
    Guard(Vec<RawFd>),
    /// All at once, through the pidfd.
    JoinAll(Vec<NamespaceKind>),
    /// One; if it is refused and a user namespace comes next, again after that.
    Join {
        kind: NamespaceKind,
        file: String,
        again: bool,
    },
    /// chroot(2) to what was opened.
    ChangeRoot(PathBuf),
    /// The same, if that is another place than the root of the mount namespace.
    ChangeRootIfOther(PathBuf),
    /// To a path that is looked up inside.
    ChangeDirectoryInside(PathBuf),
    /// To a directory that was opened before.
    ChangeDirectory(PathBuf),
    /// The host's tree is mounted where the program finds it.
    HostTools(HostToolsMode),
    /// Something of the inside view.
    View(view::ViewStep),
    /// Copies of the host's loaders, and of programs without one.
    MakeUnreadable,
    /// They are mounted over what they are copies of.
    LayUnreadable,
    /// Only children are in a PID namespace that was joined.
    Fork {
        kill_child: bool,
    },
    /// Into the target's control group.
    JoinGroup(Group),
    /// Files among standard input, output and error become pipes that we copy.
    Carry,
    /// A process of ours waits inside for all children that outlive the program.
    Reap,
    /// What limits a program of the host among the target's files.
    Fence {
        capabilities: String,
        filtered: bool,
    },
    /// The label takes effect with exec.
    Label(Label),
    /// That of the target, in its oom_score_adj.
    OomScore,
    /// The bounding set becomes the target's.
    Bound,
    /// The IDs are the target's, of which --setuid and --setgid may be others.
    Confine {
        uid: Option<RequestedId>,
        gid: Option<RequestedId>,
    },
    /// setgroups(2) to none, and setgid(2).
    SetGid(RequestedId),
    SetUid(RequestedId),
    /// Permitted capabilities are kept across exec.
    KeepCapabilities,
    /// The other capability sets, a session keyring, limits, and no_new_privs.
    Limit {
        no_new_privs: bool,
    },
    /// A program, and its file where that is known.
    Exec {
        words: Vec<String>,
        file: Option<PathBuf>,
    },
    /// The user's shell, as a login shell.
    ExecShell(PathBuf),
}

/// What was typed as the target, and its process.
#[derive(Debug, Clone, Copy)]
struct TargetFiles<'a> {
    word: &'a str,
    pid: Option<Pid>,
}

impl TargetFiles<'_> {
    /// The path that was named, or the target's own.
    fn of(self, from: &TakenFrom, link: &str) -> PathBuf {
        match from {
            TakenFrom::Named(path) => path.clone(),
            TakenFrom::Target => self.own(link),
        }
    }

    /// The path below its directory in `/proc`.
    fn own(self, link: &str) -> PathBuf {
        match self.pid {
            Some(pid) => PathBuf::from(format!("/proc/{pid}/{link}")),
            None => PathBuf::from(self.word),
        }
    }
}

fn program(wanted: &Wanted, file: Option<&Path>) -> EntryStep {
    let words = wanted.program.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    match (wanted.program.is_empty(), file) {
        (true, Some(shell)) => EntryStep::ExecShell(shell.to_owned()),
        (true, None) => EntryStep::ExecShell(PathBuf::from("/bin/sh")),
        (false, file) => EntryStep::Exec { words, file: file.map(Path::to_owned) },
    }
}

impl Plan {
    /// What will be done for `wanted`, when `target` is what was typed, `pid` its process, and `file` where the
    /// program was found.
    ///
    /// The order is that of `apply::enter` and `run::program`: what they learn to do is one more step here, at
    /// the same place.
    pub fn steps(
        &self,
        wanted: &Wanted,
        target: &str,
        pid: Option<Pid>,
        file: Option<&Path>,
    ) -> Vec<EntryStep> {
        let files = TargetFiles { word: target, pid };
        let mut steps: Vec<EntryStep> = self.sealed.then_some(EntryStep::Seal).into_iter().collect();
        steps.extend(self.opening(wanted, files));
        steps.extend(self.preparing());
        steps.extend(self.joining(|kind| match &wanted.namespaces[&kind] {
            TakenFrom::Target => files.own(&format!("ns/{kind}")).display().to_string(),
            TakenFrom::Named(other) => other.to_string(),
        }));
        steps.extend(self.moving(files));
        let (in_child, before) =
            self.view.steps().partition::<Vec<_>, _>(|step| *step == view::ViewStep::Procfs);
        steps.extend(self.mounting(before));
        steps.extend(self.starting(in_child));
        steps.push(program(wanted, file));
        steps
    }

    /// What is opened while the host's files can be seen.
    fn opening(&self, wanted: &Wanted, files: TargetFiles<'_>) -> Vec<EntryStep> {
        let joined = wanted.namespaces.iter().filter(|(kind, _)| self.join.kinds().contains(kind));
        let named = joined.filter_map(|(_, from)| match from {
            TakenFrom::Named(OtherNamespace::Named(given)) => Some(given.to_string().into()),
            _ => None,
        });
        let mut steps: Vec<EntryStep> = named.map(EntryStep::Open).collect();
        steps.extend(files.pid.map(EntryStep::Hold));
        let paths = [
            self.root.as_ref().map(|from| files.of(from, "root")),
            self.own_root.then(|| files.own("root")),
            self.wd.as_ref().map(|from| files.of(from, "cwd")),
            self.environment.then(|| files.own("environ")),
            self.view.resolver.then(|| files.own("root/etc/resolv.conf, and hosts")),
        ];
        let groups = self.cgroups.iter().map(|group| group.to_string().into());
        steps.extend(paths.into_iter().flatten().chain(groups).map(EntryStep::Open));
        steps
    }

    /// What is done before anything is joined.
    fn preparing(&self) -> Vec<EntryStep> {
        let confined = self.confinement.is_some();
        let groups = match self.gid {
            Some(_) => Some(EntryStep::DropGroups),
            None => confined.then_some(EntryStep::TakeGroups),
        };
        let steps = [
            self.shielded.then_some(EntryStep::MakeUnreadable),
            self.pty.then_some(EntryStep::OpenTerminal),
            confined.then_some(EntryStep::RaiseLimits),
            groups,
            self.comes_near_target().then(|| EntryStep::Guard(self.kept_descriptors.clone())),
        ];
        steps.into_iter().flatten().collect()
    }

    /// To the root and the working directory.
    fn moving(&self, files: TargetFiles<'_>) -> Vec<EntryStep> {
        let steps = [
            self.root.as_ref().map(|from| EntryStep::ChangeRoot(files.of(from, "root"))),
            self.own_root.then(|| EntryStep::ChangeRootIfOther(files.own("root"))),
            self.to_root.then(|| EntryStep::ChangeDirectoryInside("/".into())),
            self.wdns.clone().map(EntryStep::ChangeDirectoryInside),
            self.wd.as_ref().map(|from| EntryStep::ChangeDirectory(files.of(from, "cwd"))),
        ];
        steps.into_iter().flatten().collect()
    }

    /// What is mounted for the program, and its standard streams.
    fn mounting(&self, views: Vec<view::ViewStep>) -> Vec<EntryStep> {
        let mut steps: Vec<EntryStep> = self.host_tools.map(EntryStep::HostTools).into_iter().collect();
        steps.extend(views.into_iter().map(EntryStep::View));
        steps.extend((self.fence.is_some() && !self.pty).then_some(EntryStep::Carry));
        if self.shielded {
            let private = (self.view == view::TargetView::default())
                .then_some(EntryStep::View(view::ViewStep::PrivateMounts));
            steps.extend(private.into_iter().chain([EntryStep::LayUnreadable]));
        }
        steps
    }

    /// The fork, and what makes the child the program's process.
    fn starting(&self, views: Vec<view::ViewStep>) -> Vec<EntryStep> {
        let mut steps = Vec::new();
        let fork = self.fork.then_some(EntryStep::Fork { kill_child: self.kill_child });
        if self.is_lowered_before() {
            // All but the control groups, which are for the child alone.
            steps.extend(self.becoming());
            steps.extend(fork);
            steps.extend(self.groups());
        } else {
            steps.extend(fork);
            steps.extend(views.into_iter().map(EntryStep::View));
            steps.extend(self.groups().chain(self.becoming()));
        }
        steps.extend(self.reaps.then_some(EntryStep::Reap));
        steps
    }

    /// As `Credentials::go_in`.
    fn groups(&self) -> impl Iterator<Item = EntryStep> {
        self.cgroups.iter().cloned().map(EntryStep::JoinGroup)
    }

    /// As `Credentials::lower`.
    fn becoming(&self) -> Vec<EntryStep> {
        let confine = self.confinement.as_ref();
        let mut steps: Vec<EntryStep> = self.labels.iter().cloned().map(EntryStep::Label).collect();
        if confine.is_some() {
            steps.extend([
                EntryStep::OomScore,
                EntryStep::Bound,
                EntryStep::Confine { uid: self.uid, gid: self.gid },
            ]);
        } else {
            steps.extend(self.gid.map(EntryStep::SetGid));
            steps.extend(self.uid.map(EntryStep::SetUid));
        }
        steps.extend(self.keep_caps.then_some(EntryStep::KeepCapabilities));
        steps.extend(confine.map(|confine| EntryStep::Limit { no_new_privs: confine.no_new_privs }));
        steps.extend(self.fence.as_ref().map(|fence| EntryStep::Fence {
            capabilities: names(fence.capabilities),
            filtered: fence.filtered,
        }));
        steps
    }

    fn joining(&self, file: impl Fn(NamespaceKind) -> String) -> Vec<EntryStep> {
        match &self.join {
            Join::Nothing => Vec::new(),
            Join::AtOnce(kinds) => vec![EntryStep::JoinAll(kinds.clone())],
            Join::OneByOne(kinds) => {
                let with_user = kinds.contains(&NamespaceKind::User);
                // Kind::User is the last of all, here and in apply.
                let again = |kind| with_user && kind != NamespaceKind::User;
                let join =
                    |&kind: &NamespaceKind| EntryStep::Join { kind, file: file(kind), again: again(kind) };
                kinds.iter().map(join).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::world;

    fn steps(line: &str, other: &[NamespaceKind]) -> Vec<String> {
        let wanted = Wanted::by(line).unwrap();
        let plan = Plan::make(&wanted, &world(other));
        let pid = wanted.target.as_ref().map(|_| Pid::from_raw(7));
        plan.steps(&wanted, "7", pid, None).iter().map(EntryStep::to_string).collect()
    }

    #[test]
    fn one_call_joins_all_of_a_target() {
        assert_eq!(
            steps("-t 7 -a ip addr", &[NamespaceKind::Net, NamespaceKind::Mnt, NamespaceKind::Pid]),
            [
                "pidfd_open(7)",
                "open /proc/7/root",
                "become undumpable, and close all inherited descriptors from 3 on",
                "setns(pidfd, CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS): all or none",
                "chroot to /proc/7/root, if that is not the mount namespace's root",
                "fork: signals are passed on to the child, and it is killed with nsenter-rs",
                "exec ip addr",
            ]
        );
    }

    #[test]
    fn files_are_opened_first_and_joined_one_by_one() {
        assert_eq!(
            steps("-t 7 -U -n=/run/netns/blue -r=/x -w true", &[NamespaceKind::Net, NamespaceKind::User])
                .into_iter()
                .filter(|step| !step.starts_with("chdir"))
                .collect::<Vec<_>>(),
            [
                "open /run/netns/blue",
                "pidfd_open(7)",
                "open /x",
                "open /proc/7/cwd",
                "drop the supplementary groups, if allowed",
                "become undumpable, and close all inherited descriptors from 3 on",
                "setns(/run/netns/blue, CLONE_NEWNET); if that is refused, again after the last one",
                "setns(/proc/7/ns/user, CLONE_NEWUSER)",
                "chroot to /x (opened before)",
                "setgroups(none), setresgid(0)",
                "setresuid(0)",
                "exec true",
            ]
        );
    }

    #[test]
    fn the_inside_view_is_laid_around_the_fork() {
        let steps = steps("-t 7 --inside true", &[NamespaceKind::Net, NamespaceKind::Pid]);
        let fork = steps.iter().position(|step| step.starts_with("fork")).unwrap();
        assert!(steps[fork - 4].starts_with("unshare the mount namespace"), "{steps:#?}");
        assert!(steps[fork - 1].starts_with("mount the copies over"), "{steps:#?}");
        assert_eq!(steps[fork + 1], "mount the PID namespace's procfs on /proc");
        assert!(steps.contains(&"open /proc/7/root/etc/resolv.conf, and hosts".to_owned()), "{steps:#?}");
    }

    #[test]
    fn the_loaders_are_copied_before_anything_is_joined_and_laid_where_nobody_else_sees_it() {
        let steps = steps("-t 7 -n -p true", &[NamespaceKind::Net, NamespaceKind::Pid]);
        let at = |start: &str| steps.iter().position(|step| step.starts_with(start)).unwrap();
        assert!(at("copy the host's dynamic loaders") < at("setns("), "{steps:#?}");
        assert!(at("setns(") < at("unshare the mount namespace"), "{steps:#?}");
        assert_eq!(at("unshare the mount namespace") + 1, at("mount the copies over"), "{steps:#?}");
        assert_eq!(at("mount the copies over") + 1, at("fork"), "{steps:#?}");
    }

    #[test]
    fn what_is_ours_already_is_no_step() {
        assert_eq!(steps("-t 7 -n true", &[]), ["pidfd_open(7)", "exec true"]);
        assert_eq!(steps("-t 7 -S follow true -t 7", &[]).last().unwrap(), "exec true -t 7");
    }
}
