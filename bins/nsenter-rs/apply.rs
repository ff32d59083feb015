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
use crate::host_tools::{HostTools, Settled};
use crate::plan::{Join, Plan};
use crate::source::Source;
use crate::wanted::From;

/// What the program will be started with, once we are where the plan wants us.
#[derive(Debug)]
pub struct Inside {
    /// The target's environment, where that was asked for.
    pub environment: Option<Vec<(OsString, OsString)>>,
    /// The host's program, where it is not looked up inside.
    pub host_tools: Option<Settled>,
    uid: Option<Uid>,
    gid: Option<Gid>,
}

/// Joins the namespaces and changes root and working directory. What comes from the host or from the
/// target's `/proc` is opened before, for inside both may be out of reach.
pub fn enter(plan: &Plan, mut source: Source, host_tools: Option<HostTools>) -> Result<Inside, Failure> {
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
    let mut top = None;
    if let Some(root) = root.or_else(|| own_root.filter(is_not_ours)) {
        top = host_tools
            .is_some()
            .then(|| open(Path::new("/"), OFlag::O_PATH | OFlag::O_CLOEXEC))
            .transpose()?;
        // The working directory must not stay outside of the new root: from there, `..` leads to the host's.
        let changed = fchdir(&root).and_then(|()| chroot(".")).and_then(|()| chdir("/"));
        changed.map_err(|errno| Failure::trouble("--root", without("CAP_SYS_CHROOT", errno)))?;
    }
    if let Some(path) = &plan.wdns {
        chdir(path).map_err(|errno| Failure::trouble(path.display(), errno.desc()))?;
    }
    if let Some(wd) = &wd {
        fchdir(wd).map_err(|errno| Failure::trouble("--wd", errno.desc()))?;
    }
    let host_tools = host_tools.map(|host_tools| host_tools.settle(top.as_ref())).transpose()?;
    let ids = |id| match id {
        Some(Id::Number(number)) => Ok(Some((number, number))),
        Some(Id::Follow) => owner(source.process()?).map(Some),
        None => Ok(None),
    };
    Ok(Inside {
        environment,
        host_tools,
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
    /// The environment that the program is to have.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        self.environment.clone().unwrap_or_else(|| std::env::vars_os().collect())
    }

    /// Takes on the user and groups of the plan; the last thing before the program.
    pub fn become_somebody(&self) -> Result<(), Failure> {
        let refused = |what: String, capability| {
            move |errno| match errno {
                Errno::EINVAL => Failure::trouble(what, format_args!("is not mapped in {}", here())),
                errno => Failure::trouble(what, without(capability, errno)),
            }
        };
        if let Some(gid) = self.gid {
            drop_groups().map_err(refused("supplementary groups".to_owned(), "CAP_SETGID"))?;
            setgid(gid).map_err(refused(format!("group ID {gid}"), "CAP_SETGID"))?;
        }
        if let Some(uid) = self.uid {
            setuid(uid).map_err(refused(format!("user ID {uid}"), "CAP_SETUID"))?;
        }
        if let Some(host_tools) = &self.host_tools {
            host_tools.become_somebody();
        }
        Ok(())
    }
}

/// Why the kernel said no, with the capability whose want EPERM stands for.
fn without(capability: &str, errno: Errno) -> String {
    match errno {
        Errno::EPERM => format!("permission denied: it takes {capability} over {}", here()),
        errno => errno.desc().to_owned(),
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
            Err(refused(&namespaces, errno))
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
        namespace.enter().map_err(|errno| refused(std::slice::from_ref(namespace), errno))?;
    }
    Ok(())
}

/// Why setns(2) said no. EPERM is about one capability over one user namespace: the one that owns the
/// namespace we wanted.
fn refused(namespaces: &[Namespace], errno: Errno) -> Failure {
    let names = namespaces.iter().map(Namespace::to_string).collect::<Vec<_>>().join(", ");
    if errno != Errno::EPERM {
        return Failure::trouble(names, errno.desc());
    }
    let mut owners: Vec<String> = namespaces.iter().map(owner_of).collect();
    owners.dedup();
    let what = format!("permission denied: it takes CAP_SYS_ADMIN over {}", owners.join(" and "));
    Failure::trouble(names, what).hint("run it as root, or enter its user namespace too: -U")
}

fn owner_of(namespace: &Namespace) -> String {
    match namespace.owner() {
        Ok(owner) => format!("{owner}, which owns {namespace}"),
        Err(_) => format!("the user namespace that owns {namespace}, which is not below ours"),
    }
}

fn directory(from: &From, link: &'static str, source: &Source) -> Result<OwnedFd, Failure> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    match from {
        From::Target => Ok(source.process()?.open_file(link, flags)?),
        From::Path(path) => open(path, flags),
    }
}

fn open(path: &Path, flags: OFlag) -> Result<OwnedFd, Failure> {
    nix::fcntl::open(path, flags, Mode::empty())
        .map_err(|errno| Failure::trouble(path.display(), errno.desc()))
}

fn environment(source: &Source) -> Result<Vec<(OsString, OsString)>, Failure> {
    let bytes = source.process()?.read("environ")?;
    // An entry without '=' is none that a program could ask for.
    let entries = bytes.split(|&byte| byte == 0).filter_map(|entry| {
        let at = entry.iter().skip(1).position(|&byte| byte == b'=')? + 1;
        Some((OsStr::from_bytes(&entry[..at]).to_owned(), OsStr::from_bytes(&entry[at + 1..]).to_owned()))
    });
    Ok(entries.collect())
}
