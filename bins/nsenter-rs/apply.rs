//! Does what the plan says, up to the point where the program could start.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use common::failure::Failure;
use common::namespace::{self, Kind, Namespace};
use common::process::Process;
use common::view::{PrivateMounts, View};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, chroot, fchdir};

use crate::credentials::{Credentials, Outside};
use crate::environment::{for_program_of_host, of_caller};
use crate::exposure::Exposure;
use crate::hardening;
use crate::host_tools::{HostTools, Ready, Settled};
use crate::notes;
use crate::place::is_not_our_root;
use crate::plan::{Join, Plan};
use crate::refused;
use crate::rules::Capability;
use crate::source::Source;
use crate::view;
use crate::wanted::From;

/// What the program will be started with, once we are where the plan wants us.
#[derive(Debug)]
pub struct Inside {
    /// The target's environment, where that was asked for.
    pub environment: Option<Vec<(OsString, OsString)>>,
    pub credentials: Credentials,
    /// Where a procfs of the PID namespace is still to be shown, which takes somebody who is in it.
    needs_procfs: Option<PrivateMounts>,
    /// The host's program, where it is not looked up inside.
    host_tools: Option<Settled>,
    /// The same when its power is what the program will have.
    pub ready: Option<Ready>,
}

/// What comes from the host or from the target's `/proc` beside namespaces: it is opened before those are joined, for
/// inside both may be out of reach.
#[derive(Debug)]
pub struct Opened {
    pub root: Option<OwnedFd>,
    pub own_root: Option<OwnedFd>,
    pub wd: Option<OwnedFd>,
    pub environment: Option<Vec<(OsString, OsString)>>,
}

impl Opened {
    pub fn open(plan: &Plan, source: &Source) -> Result<Self, Failure> {
        Ok(Opened {
            root: plan.root.as_ref().map(|from| directory(from, "root", source)).transpose()?,
            own_root: if plan.own_root { Some(directory(&From::Target, "root", source)?) } else { None },
            wd: plan.wd.as_ref().map(|from| directory(from, "cwd", source)).transpose()?,
            environment: environment(plan, source)?,
        })
    }
}

/// Joins the namespaces and changes root and working directory.
pub fn enter(plan: &Plan, mut source: Source, host_tools: Option<HostTools>) -> Result<Inside, Failure> {
    let Opened { root, own_root, wd, environment } = Opened::open(plan, &source)?;
    let outside = Outside::prepare(plan, &source)?;
    hardening::before_joining(plan)?;
    match &plan.join {
        Join::Nothing => {}
        Join::AtOnce(kinds) => at_once(kinds, &mut source)?,
        Join::OneByOne(kinds) => one_by_one(kinds, &mut source)?,
    }
    let mut top = None;
    if let Some(root) = root.or_else(|| own_root.filter(is_not_our_root)) {
        top = host_tools
            .is_some()
            .then(|| open(Path::new("/"), OFlag::O_PATH | OFlag::O_CLOEXEC))
            .transpose()?;
        // The working directory must not stay outside of the new root: from there, `..` leads to the host's.
        let changed = fchdir(&root).and_then(|()| chroot(".")).and_then(|()| chdir("/"));
        changed.map_err(|errno| refused::inside("--root", Capability::SysChroot, errno))?;
    }
    if plan.to_root {
        chdir("/").map_err(|errno| Failure::trouble("/", errno.desc()))?;
    }
    if let Some(path) = &plan.wdns {
        chdir(path).map_err(|errno| Failure::trouble(path.display(), errno.desc()))?;
    }
    if let Some(wd) = &wd {
        fchdir(wd).map_err(|errno| Failure::trouble("--wd", errno.desc()))?;
    }
    hardening::after_joining(plan)?;
    let host_tools = host_tools.map(|host_tools| host_tools.settle(top.as_ref())).transpose()?;
    let mounts = mounts(plan, &source)?;
    Ok(Inside {
        environment,
        credentials: outside.inside(plan, &source)?,
        host_tools,
        ready: None,
        needs_procfs: mounts.filter(|_| plan.view.procfs),
    })
}

/// The mounts that only the program sees, with all in them that does not take a child.
fn mounts(plan: &Plan, source: &Source) -> Result<Option<PrivateMounts>, Failure> {
    let mounts = view::enter(plan.view, source.resolver())?;
    let Some(shield) = source.take_shield().filter(|_| plan.shielded) else { return Ok(mounts) };
    let private = mounts.map_or_else(|| PrivateMounts::unshare().map_err(|error| error.to_string()), Ok);
    let laid = private.and_then(|mounts| match shield.lay(&mounts) {
        Ok(()) => Ok(mounts),
        Err(error) => Err(error.to_string()),
    });
    match laid {
        Ok(mounts) => Ok(Some(mounts)),
        // As with the other nsenter then, and it is said.
        Err(why) if plan.view == View::default() => {
            notes::opens_host(&Exposure::Dumpable(why));
            Ok(None)
        }
        Err(why) => Err(Failure::trouble("the host's loaders", why)),
    }
}

impl Inside {
    /// The environment that the program is to have.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        self.environment.clone().unwrap_or_else(|| std::env::vars_os().collect())
    }

    /// Takes on what the program is to have.
    pub fn take_on(&mut self) -> Result<(), Failure> {
        self.credentials.go_in()?;
        self.lower()
    }

    /// The same but for control groups. Nothing of the host is open afterwards but what the program is given.
    pub fn lower(&mut self) -> Result<(), Failure> {
        self.credentials.lower()?;
        let environment = self.environment();
        self.ready = self.host_tools.take().map(|settled| settled.ready(environment));
        Ok(())
    }

    /// What only a process of the PID namespace can do: the first thing in the child.
    pub fn look_around(&self) -> Result<(), Failure> {
        Ok(self.needs_procfs.as_ref().map_or(Ok(()), PrivateMounts::show_procfs)?)
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
    // O_PATH asks nobody: a file system in user space (FUSE) would have to answer for the directory to be read.
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    match from {
        From::Target => {
            let process = source.process()?;
            process.open_file(link, flags).map_err(|error| refused::reading(process, error))
        }
        From::Named(path) => open(path, flags),
    }
}

fn open(path: &Path, flags: OFlag) -> Result<OwnedFd, Failure> {
    nix::fcntl::open(path, flags, Mode::empty())
        .map_err(|errno| Failure::trouble(path.display(), errno.desc()))
}

/// What the program gets of the target's environment, where that was asked for.
pub fn environment(plan: &Plan, source: &Source) -> Result<Option<Vec<(OsString, OsString)>>, Failure> {
    if !plan.environment {
        let ours = || of_caller(std::env::vars_os(), &plan.variables);
        return Ok(plan.fence.as_ref().map(|_| ours()));
    }
    let theirs = theirs(source.process()?)?;
    let ours = |name: &str| std::env::var_os(name);
    Ok(Some(match program_is_targets(plan, source)? {
        true => theirs,
        false => for_program_of_host(theirs, ours, &plan.variables),
    }))
}

/// Whether the program comes from the target's own files. Where its mounts are ours, so are the files that it has,
/// and whoever owns the process decides nothing about them; nor does it about a root that somebody has named.
fn program_is_targets(plan: &Plan, source: &Source) -> Result<bool, Failure> {
    let mounts = source.process()?.namespace_identity(Kind::Mnt)?;
    let is_other = mounts != namespace::own_identity(Kind::Mnt)?;
    let takes_them = match &plan.root {
        Some(from) => *from == From::Target,
        None => plan.joins(Kind::Mnt) && source.identity(Kind::Mnt)? == mounts,
    };
    Ok(is_other && takes_them && plan.host_tools.is_none())
}

fn theirs(process: &Process) -> Result<Vec<(OsString, OsString)>, Failure> {
    let bytes = process.read("environ").map_err(|error| refused::reading(process, error))?;
    // An entry without '=' is none that a program could ask for.
    let entries = bytes.split(|&byte| byte == 0).filter_map(|entry| {
        let at = entry.iter().skip(1).position(|&byte| byte == b'=')? + 1;
        Some((OsStr::from_bytes(&entry[..at]).to_owned(), OsStr::from_bytes(&entry[at + 1..]).to_owned()))
    });
    Ok(entries.collect())
}
