//! The mount points of namespaces, out of mountinfo: pure. Format:
//! [proc_pid_mountinfo(5)](https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::mountinfo::unescaped;

/// Where network namespaces are mounted, in the order of the file. Lines that make no sense are passed over.
pub(super) fn of_network_namespaces(mountinfo: &[u8]) -> impl Iterator<Item = PathBuf> {
    mountinfo.split(|byte| *byte == b'\n').filter_map(mount_point)
}

/// `36 25 0:4 net:[4026532254] /run/netns/blue rw shared:12 - nsfs nsfs rw`
fn mount_point(line: &[u8]) -> Option<PathBuf> {
    let mut fields = line.split(|byte| *byte == b' ');
    let (root, mount_point) = (fields.nth(3)?, fields.next()?);
    let file_system = fields.skip_while(|field| *field != b"-").nth(1)?;
    let is_one = file_system == b"nsfs" && root.starts_with(b"net:[");
    is_one.then(|| PathBuf::from(OsString::from_vec(unescaped(mount_point))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(mountinfo: &str) -> Vec<String> {
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        of_network_namespaces(mountinfo.as_bytes()).map(path).collect()
    }

    #[test]
    fn mounts_of_network_namespaces_are_told_from_all_others() {
        let mountinfo = "\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
36 25 0:4 net:[4026532254] /run/netns/blue rw shared:12 - nsfs nsfs rw
37 25 0:4 mnt:[4026532255] /run/snapd/ns/x.mnt rw - nsfs nsfs rw
38 25 0:4 net:[4026532256] /run/docker/netns/3f2a9c rw master:1 shared:3 - nsfs nsfs rw
39 25 0:30 net:[7] /tmp/imposter rw - tmpfs tmpfs rw
";
        assert_eq!(found(mountinfo), ["/run/netns/blue", "/run/docker/netns/3f2a9c"]);
    }

    #[test]
    fn a_name_with_a_space_or_a_backslash_is_read_as_it_is() {
        let line = r"36 25 0:4 net:[1] /run/netns/a\040b\134c\9 rw - nsfs nsfs rw";
        assert_eq!(found(line), [r"/run/netns/a b\c\9"]);
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes: Vec<u8>, tail in r"[ \\0-7:a-z\[\]/-]{0,60}") {
            of_network_namespaces(&bytes).for_each(drop);
            of_network_namespaces(format!("1 2 0:4 net:[1] {tail} - nsfs ").as_bytes()).for_each(drop);
        }
    }
}
