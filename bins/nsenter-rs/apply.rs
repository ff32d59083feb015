//! Does what the plan says, up to the point where the program could start.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use common::failure::Failure;
use common::namespace::{Kind, Namespace};
use common::process::Process;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{Gid, Uid, chdir, chroot, fchdir, getgroups, setgid, setgroups, setuid};

use crate::cli::Id;
use crate::plan::{Join, Plan};
use crate::refused;
use crate::rules::Capability;
use crate::source::Source;
use crate::wanted::From;

/// What the program will be started with, once we are where the plan wants us.
#[derive(Debug)]
pub struct Inside {
    /// The target's environment, where that was asked for.
    pub environment: Option<Vec<(OsString, OsString)>>,
    uid: Option<Uid>,
    gid: Option<Gid>,
}

/// Joins the namespaces and changes root and working directory. What comes from the host or from the
/// target's `/proc` is opened before, for inside both may be out of reach.
pub fn enter(plan: &Plan, mut source: Source) -> Result<Inside, Failure> {
    let root = plan.root.as_ref().map(|from| directory(from, "root", &source)).transpose()?;
    let own_root = if plan.own_root { Some(directory(&From::Target, "root", &source)?) } else { None };
    let wd = plan.wd.as_ref().map(|from| directory(from, "cwd", &source)).transpose()?;
    let environment = if plan.environment { Some(environment(&source)?) } else { None };
    if plan.gid.is_some() {
        // Inside a user namespace that denies setgroups(2) it would be too late.
        let _ = setgroups(&[]);
    }
    match &plan.join {
        Join::Nothing => {}
        Join::AtOnce(kinds) => at_once(kinds, &mut source)?,
        Join::OneByOne(kinds) => one_by_one(kinds, &mut source)?,
    }
    if let Some(root) = root.or_else(|| own_root.filter(is_not_ours)) {
        // The working directory must not stay outside of the new root: from there, `..` leads to the host's.
        let changed = fchdir(&root).and_then(|()| chroot(".")).and_then(|()| chdir("/"));
        changed.map_err(|errno| refused::inside("--root", Capability::SysChroot, errno))?;
    }
    if let Some(path) = &plan.wdns {
        chdir(path).map_err(|errno| Failure::trouble(path.display(), errno.desc()))?;
    }
    if let Some(wd) = &wd {
        fchdir(wd).map_err(|errno| Failure::trouble("--wd", errno.desc()))?;
    }
    let ids = |id| match id {
        Some(Id::Number(number)) => Ok(Some((number, number))),
        Some(Id::Follow) => owner(source.process()?).map(Some),
        None => Ok(None),
    };
    Ok(Inside {
        environment,
        uid: ids(plan.uid)?.map(|(uid, _)| Uid::from_raw(uid)),
        gid: ids(plan.gid)?.map(|(_, gid)| Gid::from_raw(gid)),
    })
}

/// Whether the directory is another place than our root. The same directory may be mounted twice, with other
/// mounts below it, so its inode alone does not tell.
fn is_not_ours(root: &OwnedFd) -> bool {
    let Ok(ours) = open(Path::new("/"), OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC) else {
        return true;
    };
    let place = |fd: &OwnedFd| {
        let inode = fstat(fd).map(|stat| (stat.st_dev, stat.st_ino)).ok();
        (inode, common::sys::mount_id(fd.as_fd()).ok())
    };
    place(root) != place(&ours)
}

/// User and group of the process, as the user namespace that we are in by now counts: so `/proc/PID` shows
/// its owner.
fn owner(process: &Process) -> Result<(u32, u32), Failure> {
    let stat = fstat(process.directory()).map_err(|errno| Failure::trouble(process, errno.desc()))?;
    Ok((stat.st_uid, stat.st_gid))
}

impl Inside {
    /// Takes on the user and groups of the plan; the last thing before the program.
    pub fn become_somebody(&self) -> Result<(), Failure> {
        let refused = |what: String, capability| {
            move |errno| match errno {
                Errno::EINVAL => Failure::trouble(what, format_args!("is not mapped in {}", here())),
                errno => refused::inside(&what, capability, errno),
            }
        };
        if let Some(gid) = self.gid {
            drop_groups().map_err(refused("supplementary groups".to_owned(), Capability::SetGid))?;
            setgid(gid).map_err(refused(format!("group ID {gid}"), Capability::SetGid))?;
        }
        match self.uid {
            Some(uid) => setuid(uid).map_err(refused(format!("user ID {uid}"), Capability::SetUid)),
            None => Ok(()),
        }
    }
}

/// The user namespace that we are in by now. A container's `/proc` may not show us.
fn here() -> String {
    Namespace::current(Kind::User).map_or("this user namespace".to_owned(), |user| user.to_string())
}

/// Where a user namespace denies setgroups(2) for good (user_namespaces(7)), its own root has the groups of
/// its maker, and so may we.
fn drop_groups() -> Result<(), Errno> {
    match setgroups(&[]) {
        Err(Errno::EPERM) if getgroups().is_ok_and(|groups| groups.is_empty()) => Ok(()),
        Err(Errno::EPERM)
            if std::fs::read("/proc/self/setgroups").is_ok_and(|word| word.starts_with(b"deny")) =>
        {
            Ok(())
        }
        result => result,
    }
}

fn at_once(kinds: &[Kind], source: &mut Source) -> Result<(), Failure> {
    let flags = kinds.iter().fold(CloneFlags::empty(), |flags, kind| flags | kind.flag());
    match setns(source.process()?.as_fd(), flags) {
        Ok(()) => Ok(()),
        // Linux before 5.8 takes no pidfd here. A pidfd of a process that ended meanwhile is ESRCH.
        Err(Errno::EINVAL) => one_by_one(kinds, source),
        Err(Errno::ESRCH) => {
            Err(Failure::no(source.process()?, "ended before its namespaces could be joined"))
        }
        Err(errno) => {
            let namespaces = kinds.iter().map(|&kind| source.take(kind)).collect::<Result<Vec<_>, _>>()?;
            Err(refused::joining(&namespaces, source.process().ok(), errno))
        }
    }
}

/// Two passes, as in util-linux: who is privileged outside must enter the user namespace last, or it loses
/// its power over the others; who is not must enter it first, to gain any.
fn one_by_one(kinds: &[Kind], source: &mut Source) -> Result<(), Failure> {
    let namespaces = kinds.iter().map(|&kind| source.take(kind)).collect::<Result<Vec<_>, _>>()?;
    let (user, others): (Vec<_>, Vec<_>) =
        namespaces.iter().partition(|namespace| namespace.kind() == Kind::User);
    let left: Vec<&Namespace> = others.into_iter().filter(|namespace| namespace.enter().is_err()).collect();
    for namespace in user.into_iter().chain(left) {
        let refused = |errno| refused::joining(std::slice::from_ref(namespace), source.process().ok(), errno);
        namespace.enter().map_err(refused)?;
    }
    Ok(())
}

fn directory(from: &From, link: &'static str, source: &Source) -> Result<OwnedFd, Failure> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    match from {
        From::Target => {
            let process = source.process()?;
            process.open_file(link, flags).map_err(|error| refused::reading(process, error))
        }
        From::Path(path) => open(path, flags),
    }
}

fn open(path: &Path, flags: OFlag) -> Result<OwnedFd, Failure> {
    nix::fcntl::open(path, flags, Mode::empty())
        .map_err(|errno| Failure::trouble(path.display(), errno.desc()))
}

/// The target's environment.
pub fn environment(source: &Source) -> Result<Vec<(OsString, OsString)>, Failure> {
    let process = source.process()?;
    let bytes = process.read("environ").map_err(|error| refused::reading(process, error))?;
    // An entry without '=' is none that a program could ask for.
    let entries = bytes.split(|&byte| byte == 0).filter_map(|entry| {
        let at = entry.iter().skip(1).position(|&byte| byte == b'=')? + 1;
        Some((OsStr::from_bytes(&entry[..at]).to_owned(), OsStr::from_bytes(&entry[at + 1..]).to_owned()))
    });
    Ok(entries.collect())
}
