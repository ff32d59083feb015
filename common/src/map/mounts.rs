//! The mount points of network namespaces, out of mountinfo: pure.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::mountinfo::{Mount, mounts};

/// Which network namespaces are mounted, by their inodes, and where, in the order of the file.
pub(super) fn network_namespaces(mountinfo: &[u8]) -> impl Iterator<Item = (u64, PathBuf)> {
    mounts(mountinfo).filter_map(|mount| Some((inode(&mount)?, mount.path())))
}

fn inode(mount: &Mount<'_>) -> Option<u64> {
    let root = (mount.file_system == b"nsfs").then(|| mount.root())?;
    let number = root.as_os_str().as_bytes().strip_prefix(b"net:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_network_namespaces_are_told_from_all_others() {
        let mountinfo = b"\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
36 25 0:4 net:[4026532254] /run/netns/blue rw shared:12 - nsfs nsfs rw
37 25 0:4 mnt:[4026532255] /run/snapd/ns/x.mnt rw - nsfs nsfs rw
38 25 0:4 net:[4026532256] /run/docker/netns/3f2a9c rw master:1 shared:3 - nsfs nsfs rw
39 25 0:30 net:[7] /tmp/imposter rw - tmpfs tmpfs rw
";
        let found: Vec<_> = network_namespaces(mountinfo).collect();
        let expected = [(4_026_532_254, "/run/netns/blue"), (4_026_532_256, "/run/docker/netns/3f2a9c")];
        assert_eq!(found, expected.map(|(inode, path)| (inode, PathBuf::from(path))));
    }
}
