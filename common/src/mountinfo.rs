//! The lines of `/proc/PID/mountinfo`, and the number by which a file's mount is found among them. Format:
//! [proc_pid_mountinfo(5)](https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html).

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use nix::errno::Errno;
use rustix::fs::{AtFlags, StatxFlags, statx};

/// One line, `36 25 0:4 net:[4026532254] /run/netns/blue rw shared:12 - nsfs nsfs rw`.
#[derive(Debug, Clone, Copy)]
pub struct Mount<'a> {
    /// What statx(2) calls it too.
    pub id: u64,
    /// The mount that it is mounted on.
    pub parent: u64,
    root: &'a [u8],
    mount_point: &'a [u8],
    /// From the mount's own options up to the type of its file system.
    options: &'a [u8],
    /// Which file system: `nsfs`, `cgroup2`.
    pub file_system: &'a [u8],
    /// Of the file system, and in cgroup v1 its controllers.
    pub super_options: &'a [u8],
}

/// The [`Mount::id`] of the mount that a file was opened through: the same directory may be mounted twice.
///
/// # Errors
/// What statx(2) says; ENOSYS before Linux 5.8.
pub fn mount_id(file: BorrowedFd<'_>) -> nix::Result<u64> {
    let stat = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
    let stat = stat.map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
    let is_known = stat.stx_mask & StatxFlags::MNT_ID.bits() != 0;
    is_known.then_some(stat.stx_mnt_id).ok_or(Errno::ENOSYS)
}

/// The file of the mount namespace that we are in. Each container has lines in it.
///
/// # Errors
/// What open(2) and read(2) say.
pub fn own() -> io::Result<Vec<u8>> {
    // It has no length that would tell, so that read_to_end alone would begin with 32 bytes at a time.
    let mut bytes = Vec::with_capacity(1 << 16);
    File::open("/proc/thread-self/mountinfo")?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All mounts, in the order of the file. Lines that make no sense are left out.
///
/// ```
/// let line = b"36 25 0:4 net:[4026532254] /run/netns/my\\040blue rw shared:12 - nsfs nsfs rw\n";
/// let mount = common::mountinfo::mounts(line).next().ok_or("no mount")?;
/// assert_eq!(mount.path().to_str(), Some("/run/netns/my blue"));
/// assert_eq!(mount.file_system, b"nsfs");
/// # Ok::<(), &str>(())
/// ```
pub fn mounts(mountinfo: &[u8]) -> impl Iterator<Item = Mount<'_>> {
    mountinfo.split(|byte| *byte == b'\n').filter_map(Mount::parse)
}

impl<'a> Mount<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let number = |field: &[u8]| std::str::from_utf8(field).ok()?.parse::<u64>().ok();
        let mut fields = line.splitn(6, |byte| *byte == b' ');
        let (id, parent) = (number(fields.next()?)?, number(fields.next()?)?);
        let (root, mount_point, options) = (fields.nth(1)?, fields.next()?, fields.next()?);
        let mut fields = options.split(|byte| *byte == b' ').skip_while(|field| *field != b"-").skip(1);
        let (file_system, super_options) = (fields.next()?, fields.nth(1).unwrap_or_default());
        Some(Mount { id, parent, root, mount_point, options, file_system, super_options })
    }

    /// What of the file system is mounted.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(OsString::from_vec(unescaped(self.root)))
    }

    /// Whether what is mounted in it shows in other mounts too, and the other way round: it is in a peer group.
    pub fn is_shared(&self) -> bool {
        let fields = self.options.split(|byte| *byte == b' ').skip(1);
        fields.take_while(|field| *field != b"-").any(|tag| tag.starts_with(b"shared:"))
    }

    /// Where it is, seen from the root of the process whose mountinfo this is.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(OsString::from_vec(unescaped(self.mount_point)))
    }
}

/// The kernel writes space, tab, line feed and backslash as three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| byte == b'\\').and_then(octal);
        bytes.push(octal.unwrap_or(byte));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    bytes
}

fn octal(digits: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| (b'0'..=b'7').contains(byte).then(|| u32::from(byte - b'0'));
    let value = digits.iter().try_fold(0, |value, byte| Some(value * 8 + digit(byte)?))?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_says_what_is_mounted_where() {
        let line = br"36 25 0:4 / /sys/a\040b\134c\9 ro,nosuid shared:12 master:3 - sysfs my\040sys rw,x";
        let mount = mounts(line).next().unwrap();
        assert_eq!((mount.id, mount.parent, mount.root().to_str().unwrap()), (36, 25, "/"));
        assert_eq!(mount.path().to_str().unwrap(), r"/sys/a b\c\9");
        assert_eq!(mount.file_system, b"sysfs");
        assert!(mount.is_shared());
        let slave = br"36 25 0:4 / /x shared:3 master:3 - sysfs shared:4 rw";
        assert!(!mounts(slave).next().unwrap().is_shared());
    }

    #[test]
    fn the_mount_of_a_file_is_among_those_of_this_process() {
        let root = std::fs::File::open("/proc/self").unwrap();
        let id = mount_id(root.as_fd()).unwrap();
        let mountinfo = std::fs::read("/proc/self/mountinfo").unwrap();
        let mount = mounts(&mountinfo).find(|mount| mount.id == id).unwrap();
        assert_eq!((mount.file_system, mount.path()), (&b"proc"[..], PathBuf::from("/proc")));
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes: Vec<u8>, tail in r"[ \\0-7:a-z\[\]/-]{0,60}") {
            mounts(&bytes).for_each(|mount| drop(mount.path()));
            mounts(format!("1 2 0:4 net:[1] {tail} - nsfs ").as_bytes()).for_each(|mount| drop(mount.path()));
        }
    }
}
