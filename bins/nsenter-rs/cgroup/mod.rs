//! The control groups of the target: which they are, and how to get in.
//!
//! A path of `/proc/PID/cgroup` and the root of a mount in mountinfo are written alike, from the root of the
//! reader's cgroup namespace on, `/../x` for what is above or beside it (cgroup_namespaces(7)). So the one leads to
//! the other wherever, and of however small a part, a hierarchy is mounted.

mod mounts;

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use common::failure::Failure;
use common::hint;
use common::hint::Hint;
use common::namespace::{Kind, Namespace};
use common::process::Process;
use nix::errno::Errno;
use nix::unistd::Pid;

use mounts::Mount;

/// A control group, as `/proc/PID/cgroup` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What tells its hierarchy from others: `cpu,cpuacct`, `name=systemd`; empty for cgroup v2.
    pub controllers: String,
    /// As our cgroup namespace sees it.
    pub path: PathBuf,
}

/// A control group that a process can go to.
#[derive(Debug)]
pub struct Door {
    group: Group,
    /// Its `cgroup.procs`. The kernel judges whoever opened it, and not who writes (Linux 5.16).
    procs: File,
}

impl Group {
    /// Those of the target's control groups that are not ours too.
    pub fn foreign(process: &Process) -> Result<Vec<Group>, Failure> {
        let theirs = process.read("cgroup")?;
        let ours = own_groups()?;
        // Of a process that ends, v1 says that it is in the root of each hierarchy, where no limits are.
        if process.is_ending()? {
            return Err(Failure::no(process, "has ended, and is in no control group any more"));
        }
        Ok(groups(&theirs).filter(|group| !ours.contains(group)).collect())
    }

    /// Opens it, in whichever of the mounts shows it.
    fn open(self, mounts: &[Mount]) -> Result<Door, Failure> {
        let its = || mounts.iter().filter(|mount| mount.is_of(&self));
        // Of several mounts on one directory the last covers the others.
        let places = its().rev().filter_map(|mount| Some((mount, mount.place_of(&self)?)));
        let mut why = None;
        for (mount, place) in places {
            match mount.open(&place) {
                Ok((directory, _)) if mounts::is_frozen(&directory) => {
                    let failure = Failure::trouble(
                        self,
                        "is frozen, as in a paused container: the program would not run",
                    );
                    return Err(failure
                        .hint("unpause the container first: docker unpause NAME, or podman unpause NAME"));
                }
                Ok((_, procs)) => return Ok(Door { group: self, procs: procs.into() }),
                Err(Errno::ESTALE) => {}
                Err(errno) => why = why.or(Some(errno)),
            }
        }
        Err(match why {
            Some(Errno::ENOENT) => Failure::trouble(self, "it has been removed"),
            Some(errno) => Failure::trouble(self, errno.desc()),
            None if its().next().is_some() => {
                Failure::trouble(self, "no mount of its hierarchy here contains it")
            }
            None => {
                let command = self.mount_command();
                Failure::trouble(self, "its hierarchy is not mounted here").hint(command)
            }
        })
    }

    fn mount_command(&self) -> Option<Hint> {
        match self.controllers.as_str() {
            "" => hint!("mount -t cgroup2 none DIRECTORY"),
            controllers => hint!("mount -t cgroup -o {} none DIRECTORY", controllers),
        }
    }

    /// Whether it lies above or beside the root of our cgroup namespace.
    fn is_outside(&self) -> bool {
        self.path.starts_with("/..")
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hierarchy = if self.controllers.is_empty() { "v2" } else { &self.controllers };
        write!(f, "control group {} ({hierarchy})", self.path.display())
    }
}

/// Opens the target's control groups, of which `groups` is what was seen of them.
pub fn open_all(groups: &[Group], process: &Process) -> Result<Vec<Door>, Failure> {
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

fn open_from_here(process: &Process) -> Result<Vec<Door>, Failure> {
    let groups = Group::foreign(process)?;
    let mounts = mounts::all()?;
    let doors = groups.iter().map(|group| group.clone().open(&mounts)).collect::<Result<_, _>>()?;
    // A group cannot be removed, and its name not be used again, while the target is in it.
    if Group::foreign(process)? == groups {
        Ok(doors)
    } else {
        Err(Failure::trouble(process, "moved to another control group meanwhile"))
    }
}

/// Enters the cgroup namespace of PID 1 if that is around our own, and gives ours back to return to. From our own,
/// nothing tells how we come to a group that shares only some of the way with us; and where processes may
/// not leave their cgroup namespace (nsdelegate) the kernel asks where the group was opened.
fn look_from_outside() -> Result<Option<Namespace>, Failure> {
    let home = Namespace::current(Kind::Cgroup)?;
    let outside = Process::open(Pid::from_raw(1)).ok().and_then(|first| first.namespace(Kind::Cgroup).ok());
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
    home.enter().map_err(|errno| Failure::trouble("the caller's cgroup namespace", errno.desc()))
}

impl Door {
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
        // 0 stands for whoever writes, in whichever PID namespace that is.
        (&self.procs).write_all(b"0").map_err(|error| Failure::trouble(&self.group, refused(error)))
    }
}

fn own_groups() -> Result<Vec<Group>, Failure> {
    Ok(groups(&read("/proc/self/cgroup")?).collect())
}

/// `4:memory:/docker/3f2a`, and `0::/docker/3f2a` for cgroup v2.
fn groups(file: &[u8]) -> impl Iterator<Item = Group> {
    file.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.splitn(3, |byte| *byte == b':').skip(1);
        let controllers = String::from_utf8_lossy(fields.next()?).into_owned();
        Some(Group { controllers, path: OsString::from_vec(fields.next()?.to_vec()).into() })
    })
}

fn read(file: &str) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::trouble(file, error))
}
