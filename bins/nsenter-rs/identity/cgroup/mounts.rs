//! Where the hierarchies of control groups are mounted.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use common::failure::Failure;
use common::mountinfo::{self, mount_id};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

use super::group::{Group, read};

/// A mount of a hierarchy.
#[derive(Debug, PartialEq, Eq)]
pub struct HierarchyMount {
    id: u64,
    root: PathBuf,
    point: PathBuf,
    /// What the file system was mounted with: on v1 its controllers are among that. `None` for cgroup v2.
    options: Option<String>,
}

/// All mounts of hierarchies here.
pub fn all() -> Result<Vec<HierarchyMount>, Failure> {
    Ok(mounts(&read("/proc/thread-self/mountinfo")?))
}

impl HierarchyMount {
    /// Whether it is a mount of the group's hierarchy.
    pub fn is_of(&self, group: &Group) -> bool {
        match &self.options {
            None => group.controllers.is_empty(),
            Some(options) => {
                let has = |controller: &str| options.split(',').any(|option| option == controller);
                !group.controllers.is_empty() && group.controllers.split(',').all(has)
            }
        }
    }

    /// Where the group is found below this mount.
    pub fn place_of(&self, group: &Group) -> Option<PathBuf> {
        let below = group.path.strip_prefix(&self.root).ok()?;
        // From /.. down to /../x is a way, and from / up to /.. is none.
        (!below.starts_with("..")).then(|| self.point.join(below))
    }

    /// Opens a group and its `cgroup.procs`; ESTALE when it is another mount's that covers this one.
    pub fn open(&self, place: &Path) -> Result<(OwnedFd, OwnedFd), Errno> {
        let directory = open(place, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        match mount_id(directory.as_fd()) {
            Ok(id) if id != self.id => return Err(Errno::ESTALE),
            // Before Linux 5.8 the kernel does not show it.
            Ok(_) | Err(Errno::ENOSYS) => {}
            Err(errno) => return Err(errno),
        }
        let procs = openat(&directory, "cgroup.procs", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok((directory, procs))
    }
}

/// Whether processes in it do not run. The first file is of v1's freezer; on v2 the second tells of the groups above
/// too, but only once all processes have stopped. No other hierarchy has such files.
pub fn is_frozen(directory: &OwnedFd) -> bool {
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

/// The hierarchies that are mounted.
fn mounts(mountinfo: &[u8]) -> Vec<HierarchyMount> {
    let hierarchy = |mount: mountinfo::Mount<'_>| {
        let options = match mount.file_system {
            b"cgroup" => Some(String::from_utf8_lossy(mount.super_options).into_owned()),
            b"cgroup2" => None,
            _ => return None,
        };
        Some(HierarchyMount { id: mount.id, root: mount.root(), point: mount.path(), options })
    };
    mountinfo::mounts(mountinfo).filter_map(hierarchy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::cgroup::group::groups;

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
