//! The mount points of namespaces, out of mountinfo: pure.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::mountinfo::{Mount, mounts};

/// Where network namespaces are mounted, in the order of the file.
pub(super) fn of_network_namespaces(mountinfo: &[u8]) -> impl Iterator<Item = PathBuf> {
    mounts(mountinfo).filter(is_network_namespace).map(|mount| mount.path())
}

fn is_network_namespace(mount: &Mount<'_>) -> bool {
    mount.file_system == b"nsfs" && mount.root().as_os_str().as_bytes().starts_with(b"net:[")
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
        let found: Vec<_> = of_network_namespaces(mountinfo).collect();
        assert_eq!(found, ["/run/netns/blue", "/run/docker/netns/3f2a9c"].map(PathBuf::from));
    }
}
