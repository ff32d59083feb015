//! The program's user, groups, capabilities and limits: the last steps before it starts, in the process that becomes it.
//!
//! Their order is the kernel's:
//!
//! 1. The control groups: before Linux 5.16 the kernel checks the process that writes, not the one that opened.
//! 2. The label for the next exec(2), and the OOM score, through the /proc that we had outside: a container's own
//!    may be forged (CVE-2019-16884, CVE-2025-52881).
//! 3. The bounding set: dropping from it takes CAP_SETPCAP, which another user ID loses.
//! 4. Groups before the user, which may have no right to set them.
//! 5. The other capability sets: setuid(2) changes them once more.
//! 6. A session keyring, which belongs to the user that we are by now.
//! 7. The limits: with few descriptors or little memory the steps above could fail.
//! 8. no_new_privs: it is about the exec only, and nothing may come between.
//! 9. The seccomp filter, which forbids most of the above.
//!
//! Whichever fails, the program is not run. Of a program that is fenced all but the first is done before there is a process in
//! the container's PID namespace ([`crate::plan::Plan::is_lowered_before`]).

use std::os::fd::{AsFd, OwnedFd};

use common::failure::Failure;
use common::namespace::NamespaceKind;
use common::process::Process;
use common::sys;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::prctl;
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::unistd::{Gid, Uid, getgroups, setgroups, setresgid, setresuid};

use crate::enter::capabilities;
use crate::enter::seccomp::Filter;
use crate::enter::source::EntrySource;
use crate::identity::cgroup::{self, OpenedGroup};
use crate::identity::confine::{Confinement, UserIds};
use crate::identity::fence::Fence;
use crate::identity::label::Label;
use crate::judge::refused;
use crate::judge::rules::Capability;
use crate::plan::Plan;
use crate::wanted::RequestedId;

/// What has to be opened or done before anything is entered.
#[derive(Debug)]
pub struct Outside {
    cgroups: Vec<OpenedGroup>,
    proc: Option<OwnedFd>,
}

/// All that the program is to become.
#[derive(Debug)]
pub struct Credentials {
    outside: Outside,
    labels: Vec<Label>,
    uid: Option<Uid>,
    gid: Option<Gid>,
    groups: Groups,
    keep_caps: bool,
    confinement: Option<Confinement>,
    fence: Option<(Fence, Filter)>,
}

/// What becomes of our supplementary groups.
#[derive(Debug)]
enum Groups {
    Stay,
    Drop,
    Become(Vec<Gid>),
}

impl Outside {
    pub fn prepare(plan: &Plan, source: &EntrySource) -> Result<Self, Failure> {
        let cgroups = if plan.cgroups.is_empty() {
            Vec::new()
        } else {
            cgroup::open_all(&plan.cgroups, source.process()?)?
        };
        if let Some(confinement) = &plan.confinement {
            confinement.limits.make_room();
        }
        // Inside a user namespace that denies setgroups(2), or does not map them all, it would be too late.
        if plan.gid.is_some() {
            let _ = setgroups(&[]);
        } else if let Some(confinement) = &plan.confinement {
            let _ = setgroups(&gids(&confinement.ids.groups));
        }
        let must_have_proc = !plan.labels.is_empty() || plan.confinement.is_some() || plan.fence.is_some();
        let proc = match own_proc() {
            Err(failure) if must_have_proc => return Err(failure),
            proc => proc.ok(),
        };
        Ok(Outside { cgroups, proc })
    }

    /// The user namespace that we are in by now.
    fn user_namespace(&self) -> String {
        let link = self.proc.as_ref().and_then(|proc| readlinkat(proc, "thread-self/ns/user").ok());
        link.map_or("this user namespace".to_owned(), |link| link.to_string_lossy().into_owned())
    }

    /// Whether our user namespace denies setgroups(2).
    fn groups_are_denied(&self) -> bool {
        let file = |proc: &OwnedFd| {
            openat(proc, "thread-self/setgroups", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).ok()
        };
        let mut word = [0; 4];
        self.proc
            .as_ref()
            .and_then(file)
            .is_some_and(|file| nix::unistd::read(&file, &mut word).is_ok() && word == *b"deny")
    }

    /// What is left to find out inside.
    pub fn inside(self, plan: &Plan, source: &EntrySource) -> Result<Credentials, Failure> {
        let theirs = match &plan.confinement {
            Some(_) if plan.joins(NamespaceKind::User) => Some(UserIds::of(source.process()?)?),
            Some(confinement) => Some(confinement.ids.clone()),
            None => None,
        };
        let id = |id, own: Option<u32>, followed: fn((u32, u32)) -> u32| match id {
            Some(RequestedId::Number(number)) => Ok(Some(number)),
            Some(RequestedId::Follow) => owner(source.process()?).map(|owner| Some(followed(owner))),
            None => Ok::<_, Failure>(own),
        };
        let own = theirs.as_ref();
        let filter = |fence: &Fence| Filter::around(fence.filtered.then_some(fence.capabilities));
        let fence = plan.fence.as_ref().map(|fence| Ok::<_, Failure>((fence.clone(), filter(fence)?)));
        Ok(Credentials {
            outside: self,
            labels: plan.labels.clone(),
            uid: id(plan.uid, own.map(|ids| ids.uid), |(uid, _)| uid)?.map(Uid::from_raw),
            gid: id(plan.gid, own.map(|ids| ids.gid), |(_, gid)| gid)?.map(Gid::from_raw),
            groups: match (plan.gid, own) {
                (Some(_), _) => Groups::Drop,
                (None, Some(ids)) => Groups::Become(gids(&ids.groups)),
                (None, None) => Groups::Stay,
            },
            keep_caps: plan.keep_caps,
            confinement: plan.confinement.clone(),
            fence: fence.transpose()?,
        })
    }
}

impl Credentials {
    /// Goes to the control groups, which are for the program alone.
    pub fn go_in(&mut self) -> Result<(), Failure> {
        self.outside.cgroups.drain(..).try_for_each(|cgroup| cgroup.go_in())
    }

    /// Becomes all the rest, which children inherit.
    pub fn lower(&mut self) -> Result<(), Failure> {
        if let Some(proc) = &self.outside.proc {
            self.tell_kernel(proc)?;
        }
        if let Some(confinement) = &self.confinement {
            capabilities::bound_to(confinement.bounding)?;
        }
        if let Some((fence, _)) = &self.fence {
            capabilities::bound_to(fence.capabilities)?;
        }
        if self.keep_caps || self.confinement.is_some() {
            capabilities::outlive_setuid()?;
        }
        self.set_ids()?;
        if self.keep_caps && self.fence.is_none() {
            capabilities::keep()?;
        }
        // A process that reads our /proc from now on finds no way to the host's processes.
        self.outside.proc = None;
        if let Some(confinement) = &self.confinement {
            confine(confinement)?;
        }
        match &self.fence {
            Some((fence, filter)) => apply_fence(fence, filter),
            None => Ok(()),
        }
    }

    /// What is written to files of our own in /proc.
    fn tell_kernel(&self, proc: &OwnedFd) -> Result<(), Failure> {
        let confinements = self.confinement.as_ref().map(|confinement| &confinement.oom_score_adj);
        let score = self.fence.as_ref().map(|(fence, _)| &fence.oom_score_adj).or(confinements);
        if self.labels.is_empty() && score.is_none() {
            return Ok(());
        }
        let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let own = openat(proc, "thread-self", directory, Mode::empty());
        let own = own.map_err(|errno| Failure::failed("/proc/thread-self", errno.desc()))?;
        self.labels.iter().try_for_each(|label| label.take_on_exec(own.as_fd()))?;
        match score {
            Some(score) => take_oom_score(own, score),
            None => Ok(()),
        }
    }

    /// Takes on the user and groups.
    fn set_ids(&self) -> Result<(), Failure> {
        let refused = |what: String, capability| {
            move |errno| match errno {
                Errno::EINVAL => {
                    Failure::failed(what, format_args!("is not mapped in {}", self.outside.user_namespace()))
                }
                errno => refused::inside(&what, capability, errno),
            }
        };
        let groups = match &self.groups {
            Groups::Stay => Ok(()),
            Groups::Drop => self.drop_groups(),
            Groups::Become(groups) => become_member(groups),
        };
        groups.map_err(refused("supplementary groups".to_owned(), Capability::SetGid))?;
        if let Some(gid) = self.gid {
            setresgid(gid, gid, gid).map_err(refused(format!("group ID {gid}"), Capability::SetGid))?;
        }
        match self.uid {
            Some(uid) => {
                setresuid(uid, uid, uid).map_err(refused(format!("user ID {uid}"), Capability::SetUid))
            }
            None => Ok(()),
        }
    }
}

impl Credentials {
    /// Where a user namespace denies setgroups(2) for good (user_namespaces(7)), its own root has the groups of
    /// its maker, and so may we.
    fn drop_groups(&self) -> Result<(), Errno> {
        match become_member(&[]) {
            Err(Errno::EPERM) if self.outside.groups_are_denied() => Ok(()),
            result => result,
        }
    }
}

/// The limits that are set after the user ID.
fn confine(confinement: &Confinement) -> Result<(), Failure> {
    capabilities::confine_to(confinement)?;
    leave_keyring()?;
    confinement.limits.take()?;
    if confinement.no_new_privs { no_new_privs() } else { Ok(()) }
}

/// What holds a program of the host among a container's files.
fn apply_fence(fence: &Fence, filter: &Filter) -> Result<(), Failure> {
    capabilities::hold_to(fence.capabilities)?;
    leave_keyring()?;
    fence.limits.lower()?;
    no_new_privs()?;
    filter.install()
}

/// Keys of our session are no business of the container's.
fn leave_keyring() -> Result<(), Failure> {
    match sys::new_session_keyring() {
        Ok(()) | Err(Errno::ENOSYS) => Ok(()),
        Err(errno) => Err(Failure::failed("session keyring", errno.desc())),
    }
}

fn no_new_privs() -> Result<(), Failure> {
    prctl::set_no_new_privs().map_err(|errno| Failure::failed("no_new_privs", errno.desc()))
}

/// A lower score than ours takes CAP_SYS_RESOURCE outside of all user namespaces. A process without it keeps the higher
/// one, and is killed before the container is.
fn take_oom_score(own: impl AsFd, score: &str) -> Result<(), Failure> {
    let file = openat(own, "oom_score_adj", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty());
    match file.and_then(|file| nix::unistd::write(file, score.as_bytes())) {
        Ok(_) | Err(Errno::EACCES | Errno::EPERM) => Ok(()),
        Err(errno) => Err(Failure::failed("oom_score_adj", errno.desc())),
    }
}

/// The /proc of the host: nothing that was mounted over it in a container is in it.
fn own_proc() -> Result<OwnedFd, Failure> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let proc = nix::fcntl::open("/proc", flags, Mode::empty());
    let is_proc = |fd: &OwnedFd| fstatfs(fd).is_ok_and(|fs| fs.filesystem_type() == PROC_SUPER_MAGIC);
    match proc {
        Ok(proc) if is_proc(&proc) => Ok(proc),
        Ok(_) => Err(Failure::failed("/proc", "is not a proc file system")),
        Err(errno) => Err(Failure::failed("/proc", errno.desc())),
    }
}

/// User and group of the process, as the user namespace that we are in by now counts: so `/proc/PID` shows
/// its owner.
fn owner(process: &Process) -> Result<(u32, u32), Failure> {
    let stat = fstat(process.directory()).map_err(|errno| Failure::failed(process, errno.desc()))?;
    Ok((stat.st_uid, stat.st_gid))
}

fn gids(groups: &[u32]) -> Vec<Gid> {
    groups.iter().copied().map(Gid::from_raw).collect()
}

/// Groups that are not mapped, or must not be set here, can be had from outside only: from where we brought them.
fn become_member(groups: &[Gid]) -> Result<(), Errno> {
    let sorted = |groups: &[Gid]| {
        let mut groups: Vec<u32> = groups.iter().map(|gid| gid.as_raw()).collect();
        groups.sort_unstable();
        groups
    };
    match setgroups(groups) {
        Err(Errno::EPERM | Errno::EINVAL)
            if getgroups().is_ok_and(|ours| sorted(&ours) == sorted(groups)) =>
        {
            Ok(())
        }
        result => result,
    }
}
