//! The control groups of the target: which they are, where they are mounted, and how to get in.
//!
//! Both hierarchies' formats: cgroups(7). A path of `/proc/PID/cgroup` and the root of a mount in mountinfo are
//! written alike, from the root of the reader's cgroup namespace on, `/../x` for what is above or beside it. So
//! the one leads to the other wherever, and of however small a part, a hierarchy is mounted; only what lies between
//! the namespace's root and a mount that begins further up is told nowhere, and not guessed.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use common::failure::Failure;
use common::mountinfo::unescaped;
use common::process::Process;
use common::sys::mount_id;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

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

/// A mount of a hierarchy.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    id: u64,
    root: PathBuf,
    point: PathBuf,
    /// What the file system was mounted with: on v1 its controllers are among that. `None` for cgroup v2.
    options: Option<String>,
}

impl Group {
    /// Those of the target's control groups that are not ours too.
    pub fn foreign(process: &Process) -> Result<Vec<Group>, Failure> {
        let theirs = process.read("cgroup")?;
        let ours = read("/proc/self/cgroup")?;
        let ours: Vec<Group> = groups(&ours).collect();
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
                Ok((directory, _)) if is_frozen(&directory) => {
                    let failure = Failure::trouble(self, "it is frozen, and the program would be too");
                    return Err(failure.hint("thaw it first, as docker unpause does"));
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
                Failure::trouble(self, "no mount of its hierarchy shows it here")
            }
            None => {
                let command = self.mount_command();
                Failure::trouble(self, "its hierarchy is not mounted here").hint(command)
            }
        })
    }

    fn mount_command(&self) -> String {
        match self.controllers.as_str() {
            "" => "mount -t cgroup2 none DIRECTORY".to_owned(),
            controllers => format!("mount -t cgroup -o {controllers} none DIRECTORY"),
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hierarchy = if self.controllers.is_empty() { "v2" } else { &self.controllers };
        write!(f, "control group {} ({hierarchy})", self.path.display())
    }
}

/// Opens all of `groups`, which were the target's, and are still.
pub fn open_all(groups: &[Group], process: &Process) -> Result<Vec<Door>, Failure> {
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let mounts = mounts(&read("/proc/thread-self/mountinfo")?);
    let doors = groups.iter().map(|group| group.clone().open(&mounts)).collect::<Result<_, _>>()?;
    // A group cannot be removed, and its name not be used again, while the target is in it.
    if Group::foreign(process)? == groups {
        Ok(doors)
    } else {
        Err(Failure::trouble(process, "went to another control group, or ended"))
    }
}

impl Door {
    /// Moves the calling process.
    pub fn go_in(&self) -> Result<(), Failure> {
        let refused = |error: std::io::Error| match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EBUSY) => {
                "it hands controllers to the groups below it, and so holds no processes".to_owned()
            }
            Some(Errno::ENOSPC) => "it has no CPU or memory node that a process could use".to_owned(),
            Some(Errno::ENOENT) => {
                "its hierarchy keeps processes in their cgroup namespace (nsdelegate)".to_owned()
            }
            Some(Errno::ENODEV) => "it has been removed".to_owned(),
            Some(Errno::EPERM | Errno::EACCES) => {
                "permission denied: it takes the right to write to the groups above both".to_owned()
            }
            Some(errno) => errno.desc().to_owned(),
            None => error.to_string(),
        };
        // 0 stands for whoever writes, in whichever PID namespace that is.
        (&self.procs).write_all(b"0").map_err(|error| Failure::trouble(&self.group, refused(error)))
    }
}

impl Mount {
    fn is_of(&self, group: &Group) -> bool {
        match &self.options {
            None => group.controllers.is_empty(),
            Some(options) => {
                let has = |controller: &str| options.split(',').any(|option| option == controller);
                !group.controllers.is_empty() && group.controllers.split(',').all(has)
            }
        }
    }

    /// Where the group is found below this mount.
    fn place_of(&self, group: &Group) -> Option<PathBuf> {
        let below = group.path.strip_prefix(&self.root).ok()?;
        // From /.. down to /../x is a way, and from / up to /.. is none.
        (!below.starts_with("..")).then(|| self.point.join(below))
    }

    /// Opens a group and its `cgroup.procs`; ESTALE when it is another mount's that covers this one.
    fn open(&self, place: &Path) -> Result<(OwnedFd, OwnedFd), Errno> {
        let directory = open(place, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        match mount_id(directory.as_fd()) {
            Ok(id) if id != self.id => return Err(Errno::ESTALE),
            // Below Linux 5.8 nobody tells.
            Ok(_) | Err(Errno::ENOSYS) => {}
            Err(errno) => return Err(errno),
        }
        let procs = openat(&directory, "cgroup.procs", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok((directory, procs))
    }
}

/// Whether processes in it do not run: of v1 only the freezer knows, and neither of the others has such files.
fn is_frozen(directory: &OwnedFd) -> bool {
    let says = |file: &str, what: &[&str]| {
        let opened = openat(directory, file, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
        let mut text = String::new();
        let read = opened.is_ok_and(|fd| File::from(fd).read_to_string(&mut text).is_ok());
        read && text.lines().any(|line| what.contains(&line))
    };
    says("freezer.state", &["FROZEN", "FREEZING"])
        || says("cgroup.events", &["frozen 1"])
        || says("cgroup.freeze", &["1"])
}

/// `4:memory:/docker/3f2a`, and `0::/docker/3f2a` for cgroup v2.
fn groups(file: &[u8]) -> impl Iterator<Item = Group> {
    file.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.splitn(3, |byte| *byte == b':').skip(1);
        let controllers = String::from_utf8_lossy(fields.next()?).into_owned();
        Some(Group { controllers, path: OsString::from_vec(fields.next()?.to_vec()).into() })
    })
}

/// `33 31 0:30 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory`
fn mounts(mountinfo: &[u8]) -> Vec<Mount> {
    let path = |field: &[u8]| PathBuf::from(OsString::from_vec(unescaped(field)));
    let mount = |line: &[u8]| {
        let mut fields = line.split(|byte| *byte == b' ');
        let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        let (root, point) = (path(fields.nth(2)?), path(fields.next()?));
        let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
        let (file_system, options) = (fields.next()?, fields.nth(1)?);
        let options = match file_system {
            b"cgroup" => Some(String::from_utf8_lossy(options).into_owned()),
            b"cgroup2" => None,
            _ => return None,
        };
        Some(Mount { id, root, point, options })
    };
    mountinfo.split(|byte| *byte == b'\n').filter_map(mount).collect()
}

fn read(file: &str) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::trouble(file, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 master:2 - cgroup cgroup rw,cpu,cpuacct
37 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 /a\\040b /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
42 31 0:38 /../.. /mnt/whole rw,relatime - cgroup2 none rw,nsdelegate
";

    fn places(line: &str) -> Vec<String> {
        let group = groups(line.as_bytes()).next().unwrap();
        let mounts = mounts(MOUNTINFO.as_bytes());
        let its = mounts.iter().filter(|mount| mount.is_of(&group));
        its.filter_map(|mount| mount.place_of(&group)).map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn a_group_is_found_in_the_mount_of_its_hierarchy() {
        assert_eq!(places("3:cpu,cpuacct:/x/y"), ["/sys/fs/cgroup/cpu,cpuacct/x/y"]);
        assert_eq!(places("3:cpuacct:/x"), ["/sys/fs/cgroup/cpu,cpuacct/x"]);
        assert_eq!(places("1:name=systemd:/x"), ["/sys/fs/cgroup/systemd/x"]);
        assert_eq!(places("1:memory:/x"), [""; 0]);
    }

    #[test]
    fn a_mount_of_a_part_shows_that_part_only() {
        assert_eq!(places("0::/a b/c:d"), ["/sys/fs/cgroup/unified/c:d"]);
        assert_eq!(places("0::/a b"), ["/sys/fs/cgroup/unified/"]);
        assert_eq!(places("0::/a bc"), [""; 0]);
    }

    #[test]
    fn what_lies_beside_our_cgroup_namespace_is_found_where_a_mount_reaches_so_far() {
        assert_eq!(places("0::/../../x"), ["/mnt/whole/x"]);
        assert_eq!(places("0::/../../../x"), [""; 0]);
        assert_eq!(places("0::/../x"), [""; 0]);
    }
}
