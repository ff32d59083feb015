//! Control groups that are named after a container. The name proves something if only root can have given it: each user is
//! given a part of the tree (`user@UID.service`), and makes groups of any name in there, for processes that may get a PID
//! which a container of root had.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::cgroups::{foreign_ids_of, up_to};
use crate::engine::Container;
use crate::mountinfo;
use crate::process::CgroupPath;

/// A mount of a hierarchy of control groups.
struct CgroupMount {
    /// What of the hierarchy is mounted.
    root: PathBuf,
    point: PathBuf,
    /// Its controllers are among these. `None` for cgroup v2.
    options: Option<Vec<String>>,
}

/// Whether one of the groups that a process is in is named after `container`, by somebody that may tell of it.
pub(super) fn proves(groups: &[CgroupPath], container: &Container) -> bool {
    let id = &container.id;
    let mut named =
        groups.iter().filter(|group| foreign_ids_of(std::slice::from_ref(&group.path)).contains(id));
    match container.proof.claimed_by.is_root() {
        true => named.any(|group| is_named_by_root(group, id)),
        // That the process is the user's is compared too.
        false => named.next().is_some(),
    }
}

/// Whether nobody but root can make a directory where the one is that is named so.
fn is_named_by_root(group: &CgroupPath, id: &str) -> bool {
    let Some(named) = up_to(&group.path, id) else { return false };
    let Some(above) = Path::new(&named).parent() else { return false };
    let mut places =
        mounts().iter().filter(|mount| mount.is_of(group)).filter_map(|mount| mount.place_of(above));
    // Of a mount that another one covers, nothing is there.
    let meta = places.find_map(|place| fs::metadata(place).ok());
    meta.is_some_and(|meta| meta.uid() == 0 && meta.mode() & 0o002 == 0)
}

fn mounts() -> &'static [CgroupMount] {
    static MOUNTS: OnceLock<Vec<CgroupMount>> = OnceLock::new();
    MOUNTS.get_or_init(|| {
        let mountinfo = mountinfo::own().unwrap_or_default();
        mountinfo::mounts(&mountinfo).filter_map(|mount| CgroupMount::of(&mount)).collect()
    })
}

impl CgroupMount {
    fn of(mount: &mountinfo::Mount<'_>) -> Option<Self> {
        let options = match mount.file_system {
            b"cgroup" => {
                Some(String::from_utf8_lossy(mount.super_options).split(',').map(str::to_owned).collect())
            }
            b"cgroup2" => None,
            _ => return None,
        };
        Some(CgroupMount { root: mount.root(), point: mount.path(), options })
    }

    fn is_of(&self, group: &CgroupPath) -> bool {
        match &self.options {
            None => group.controllers.is_empty(),
            Some(options) => {
                !group.controllers.is_empty() && group.controllers.iter().all(|word| options.contains(word))
            }
        }
    }

    fn place_of(&self, path: &Path) -> Option<PathBuf> {
        let below = path.strip_prefix(&self.root).ok()?;
        // From /.. down to /../x is a way, and from / up to /.. is none.
        (!below.starts_with("..")).then(|| self.point.join(below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_looked_for_in_the_mounts_of_its_hierarchy() {
        let lines = b"30 24 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
            31 24 0:27 /part /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            32 24 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
            33 24 0:29 / /tmp rw - tmpfs tmpfs rw\n";
        let mounts: Vec<CgroupMount> =
            mountinfo::mounts(lines).filter_map(|mount| CgroupMount::of(&mount)).collect();
        let places = |controllers: &[&str], path: &str| -> Vec<PathBuf> {
            let controllers = controllers.iter().map(|&word| word.to_owned()).collect();
            let group = CgroupPath { controllers, path: path.to_owned() };
            let of_it = mounts.iter().filter(|mount| mount.is_of(&group));
            of_it.filter_map(|mount| mount.place_of(Path::new(path))).collect()
        };
        assert_eq!(places(&[], "/docker"), [Path::new("/sys/fs/cgroup/unified/docker")]);
        assert_eq!(places(&["cpu", "cpuacct"], "/part/x"), [Path::new("/sys/fs/cgroup/cpu,cpuacct/x")]);
        assert_eq!(places(&["name=systemd"], "/"), [Path::new("/sys/fs/cgroup/systemd/")]);
        let none: [PathBuf; 0] = [];
        assert_eq!(places(&["cpu", "cpuacct"], "/docker"), none);
        assert_eq!(places(&["pids"], "/docker"), none);
        assert_eq!(places(&[], "/../docker"), none);
    }
}
