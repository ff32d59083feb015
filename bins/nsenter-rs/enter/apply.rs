//! Does what the plan says, up to the point where the program could start.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::Path;

use common::failure::{Failure, say};
use common::namespace::{Namespace, NamespaceKind};
use common::view::{PrivateMounts, TargetView};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::unistd::{chdir, chroot, fchdir};

use crate::enter::credentials::{Credentials, Outside};
use crate::enter::hardening;
use crate::enter::opened::{OpenedFiles, open};
use crate::enter::place::is_not_our_root;
use crate::enter::shield::Shield;
use crate::enter::source::EntrySource;
use crate::enter::view;
use crate::host_tools::{EnteredTool, HostTools, StartableTool};
use crate::judge::refused;
use crate::judge::rules::Capability;
use crate::plan::exposure::Exposure;
use crate::plan::{Join, Plan};
use crate::tool::TOOL;

/// What the program will be started with, once we are where the plan wants us.
#[derive(Debug)]
pub struct EnteredTarget {
    /// The target's environment, where that was asked for.
    pub environment: Option<Vec<(OsString, OsString)>>,
    pub credentials: Credentials,
    /// Where a procfs of the PID namespace is still to be shown, which requires a process that is in it.
    needs_procfs: Option<PrivateMounts>,
    /// The host's program, where it is not looked up inside.
    host_tools: Option<EnteredTool>,
    /// The same when its power is what the program will have.
    pub ready: Option<StartableTool>,
}

/// Joins the namespaces and changes root and working directory.
pub fn enter(
    plan: &Plan,
    mut source: EntrySource,
    host_tools: Option<HostTools>,
    shield: Option<Shield>,
) -> Result<EnteredTarget, Failure> {
    let OpenedFiles { root, own_root, wd, environment } = OpenedFiles::open(plan, &source)?;
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
        chdir("/").map_err(|errno| Failure::failed("/", errno.desc()))?;
    }
    if let Some(path) = &plan.wdns {
        chdir(path).map_err(|errno| Failure::failed(path.display(), errno.desc()))?;
    }
    if let Some(wd) = &wd {
        fchdir(wd).map_err(|errno| Failure::failed("--wd", errno.desc()))?;
    }
    hardening::after_joining(plan)?;
    let host_tools = host_tools.map(|host_tools| host_tools.settle(top.as_ref())).transpose()?;
    let mounts = mounts(plan, &source, shield)?;
    Ok(EnteredTarget {
        environment,
        credentials: outside.inside(plan, &source)?,
        host_tools,
        ready: None,
        needs_procfs: mounts.filter(|_| plan.view.procfs),
    })
}

/// The mounts that only the program sees, with all in them that does not take a child.
fn mounts(
    plan: &Plan,
    source: &EntrySource,
    shield: Option<Shield>,
) -> Result<Option<PrivateMounts>, Failure> {
    let mounts = view::enter(plan.view, source.resolver())?;
    let Some(shield) = shield.filter(|_| plan.shielded) else { return Ok(mounts) };
    let private = mounts.map_or_else(|| PrivateMounts::unshare().map_err(|error| error.to_string()), Ok);
    let laid = private.and_then(|mounts| match shield.lay(&mounts) {
        Ok(()) => Ok(mounts),
        Err(error) => Err(error.to_string()),
    });
    match laid {
        Ok(mounts) => Ok(Some(mounts)),
        // As with the other nsenter then, and it is said.
        Err(why) if plan.view == TargetView::default() => {
            opens_host(&Exposure::Dumpable(why));
            Ok(None)
        }
        Err(why) => Err(Failure::failed("the host's loaders", why)),
    }
}

const OPENS_THE_HOST: &str =
    "through the program, the container can reach the host's files; without -p it does not see the program";

/// Warns of what the container can do with a program that is exposed like this.
pub fn opens_host(exposure: &Exposure) {
    say(TOOL, format_args!("{exposure}; {OPENS_THE_HOST}"));
}

impl EnteredTarget {
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
    pub fn show_procfs(&self) -> Result<(), Failure> {
        Ok(self.needs_procfs.as_ref().map_or(Ok(()), PrivateMounts::show_procfs)?)
    }
}

fn at_once(kinds: &[NamespaceKind], source: &mut EntrySource) -> Result<(), Failure> {
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

/// Two passes, as in util-linux: a caller that is privileged outside must enter the user namespace last, or it loses
/// its power over the others; one that is not must enter it first, to gain any.
fn one_by_one(kinds: &[NamespaceKind], source: &mut EntrySource) -> Result<(), Failure> {
    let namespaces = kinds.iter().map(|&kind| source.take(kind)).collect::<Result<Vec<_>, _>>()?;
    let (user, others): (Vec<_>, Vec<_>) =
        namespaces.iter().partition(|namespace| namespace.kind() == NamespaceKind::User);
    let left: Vec<&Namespace> = others.into_iter().filter(|namespace| namespace.enter().is_err()).collect();
    for namespace in user.into_iter().chain(left) {
        let refused = |errno| refused::joining(std::slice::from_ref(namespace), source.process().ok(), errno);
        namespace.enter().map_err(refused)?;
    }
    Ok(())
}
