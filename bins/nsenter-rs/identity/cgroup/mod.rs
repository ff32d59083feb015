//! The control groups of the target: which they are, and how to get in.
//!
//! A path of `/proc/PID/cgroup` and the root of a mount in mountinfo are written alike, from the root of the
//! reader's cgroup namespace on, `/../x` for what is above or beside it (cgroup_namespaces(7)). So the one leads to
//! the other wherever, and of however small a part, a hierarchy is mounted.

mod group;
mod mounts;

use std::fs::File;
use std::io::Write;

use common::failure::Failure;
use common::hint::Hint;
use common::namespace::{Namespace, NamespaceKind};
use common::process::Process;
use common::sentence;
use nix::errno::Errno;
use nix::unistd::Pid;

use group::own_groups;
use mounts::HierarchyMount;

pub use group::Group;

/// A control group that a process can go to.
#[derive(Debug)]
pub struct OpenedGroup {
    group: Group,
    /// Its `cgroup.procs`. Since Linux 5.16 the kernel checks the process that opened it, not the one that writes.
    procs: File,
}

/// Opens the target's control groups, of which `groups` is what was seen of them.
pub fn open_all(groups: &[Group], process: &Process) -> Result<Vec<OpenedGroup>, Failure> {
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let home = if groups.iter().any(Group::is_outside) { look_from_outside()? } else { None };
    let doors = open_from_here(process);
    if let Some(home) = home {
        go_home(&home)?;
    }
    doors
}

fn open_from_here(process: &Process) -> Result<Vec<OpenedGroup>, Failure> {
    let groups = Group::foreign(process)?;
    let mounts = mounts::all()?;
    let doors = groups.iter().map(|group| open(group.clone(), &mounts)).collect::<Result<_, _>>()?;
    // A group cannot be removed, and its name not be used again, while the target is in it.
    if Group::foreign(process)? == groups {
        Ok(doors)
    } else {
        Err(Failure::failed(process, "moved to another control group meanwhile"))
    }
}

/// Opens a group, in whichever of the mounts shows it.
fn open(group: Group, mounts: &[HierarchyMount]) -> Result<OpenedGroup, Failure> {
    let its = || mounts.iter().filter(|mount| mount.is_of(&group));
    // Of several mounts on one directory the last covers the others.
    let places = its().rev().filter_map(|mount| Some((mount, mount.place_of(&group)?)));
    let mut why = None;
    for (mount, place) in places {
        match mount.open(&place) {
            Ok((directory, _)) if mounts::is_frozen(&directory) => {
                let failure =
                    Failure::failed(group, "is frozen, as in a paused container: the program would not run");
                return Err(failure.hint(common::sentence!(
                    "unpause the container first: docker unpause NAME, or podman unpause NAME"
                )));
            }
            Ok((_, procs)) => return Ok(OpenedGroup { group, procs: procs.into() }),
            Err(Errno::ESTALE) => {}
            Err(errno) => why = why.or(Some(errno)),
        }
    }
    Err(match why {
        Some(Errno::ENOENT) => Failure::failed(group, "it has been removed"),
        Some(errno) => Failure::failed(group, errno.desc()),
        None if its().next().is_some() => {
            Failure::failed(group, "no mount of its hierarchy here contains it")
        }
        None => {
            let command = mount_command(&group);
            Failure::failed(group, "its hierarchy is not mounted here").hint(command)
        }
    })
}

fn mount_command(group: &Group) -> Option<Hint> {
    match group.controllers.as_str() {
        "" => sentence!("make it visible: mount -t cgroup2 none DIRECTORY"),
        controllers => sentence!("make it visible: mount -t cgroup -o {} none DIRECTORY", controllers),
    }
}

/// Enters the cgroup namespace of PID 1 if that is around our own, and gives ours back to return to. From our own,
/// nothing tells how we come to a group that shares only some of the way with us; and where processes may
/// not leave their cgroup namespace (nsdelegate) the kernel asks where the group was opened.
fn look_from_outside() -> Result<Option<Namespace>, Failure> {
    let home = Namespace::current(NamespaceKind::Cgroup)?;
    let outside =
        Process::open(Pid::from_raw(1)).ok().and_then(|first| first.namespace(NamespaceKind::Cgroup).ok());
    if outside.is_none_or(|outside| outside.enter().is_err()) {
        return Ok(None);
    }
    if own_groups()?.iter().any(Group::is_outside) {
        // PID 1 lives beside us or below.
        go_home(&home)?;
        return Ok(None);
    }
    Ok(Some(home))
}

fn go_home(home: &Namespace) -> Result<(), Failure> {
    home.enter().map_err(|errno| Failure::failed("the caller's cgroup namespace", errno.desc()))
}

impl OpenedGroup {
    /// Moves the calling process.
    pub fn go_in(&self) -> Result<(), Failure> {
        let refused = |error: std::io::Error| match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EBUSY) => {
                "it enables controllers for the groups below it, so it cannot contain processes".to_owned()
            }
            Some(Errno::ENOSPC) => "it has no CPU or no memory node that a process could use".to_owned(),
            Some(Errno::ENOENT) => {
                "its hierarchy does not let processes leave their cgroup namespace (nsdelegate)".to_owned()
            }
            Some(Errno::ENODEV) => "it has been removed".to_owned(),
            Some(Errno::EPERM | Errno::EACCES) => {
                "permission denied: requires write permission for the groups above both".to_owned()
            }
            Some(errno) => errno.desc().to_owned(),
            None => error.to_string(),
        };
        // 0 is the process that writes, in whichever PID namespace that is.
        (&self.procs).write_all(b"0").map_err(|error| Failure::failed(&self.group, refused(error)))
    }
}
