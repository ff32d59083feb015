//! Reads a small file below the target's root directory. The target may have put anything there:
//! a FIFO, a device, a link to the host's files, a file without end.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::sys::statfs::{self, FsType, fstatfs};

use super::ViewError;
use super::in_child::{in_child, io_error};

/// Lists of hosts that block advertisements have some megabytes.
const LIMIT: u64 = 8 << 20;

/// How often a path is looked up again when renames meanwhile keep the kernel from being certain that it does not
/// lead out of the root: openat2(2), EAGAIN.
const TRIES: usize = 64;

/// File systems whose regular files are none: to read `/proc/kmsg` takes away the kernel's messages from whoever
/// they are for, and waits for the next one.
const OF_THE_KERNEL: [FsType; 6] = [
    statfs::PROC_SUPER_MAGIC,
    statfs::SYSFS_MAGIC,
    statfs::DEBUGFS_MAGIC,
    statfs::TRACEFS_MAGIC,
    statfs::CGROUP_SUPER_MAGIC,
    statfs::CGROUP2_SUPER_MAGIC,
];

const NOT_REGULAR: &str = "is not a regular file";
const CIRCLE: &str = "is a link in a circle, or one through a link of procfs";
const NO_OPENAT2: &str = "this kernel has no openat2 (needs Linux 5.6)";
const MOVED: &str = "is being moved about all the time";
const KERNELS: &str = "is a file of the kernel's";
const TOO_LARGE: &str = "is larger than 8 MiB";
const LEASED: &str =
    "is leased: a process has it to itself, and would have to let go of it first (F_SETLEASE)";
/// All of these.
const REFUSALS: [&str; 7] = [NOT_REGULAR, CIRCLE, NO_OPENAT2, MOVED, KERNELS, TOO_LARGE, LEASED];

/// Where a path may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkPolicy {
    /// Nowhere out of the directory, which absolute links take for their root; never through a link of procfs.
    StayInside,
    /// Wherever they lead: what is trusted to be named so by the host's root.
    Followed,
}

/// A directory that files are read from.
#[derive(Debug)]
pub(super) struct ConfinedDir {
    fd: OwnedFd,
    /// What to call it in messages.
    name: PathBuf,
    links: LinkPolicy,
}

impl ConfinedDir {
    pub(super) fn new(fd: OwnedFd, name: PathBuf, links: LinkPolicy) -> Self {
        ConfinedDir { fd, name, links }
    }

    /// The whole file, or `None` when there is none. Nothing but a regular file is ever opened, for opening a
    /// FIFO waits, and opening a device does what the device does then. What is not trusted is not waited for either.
    pub(super) fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ViewError> {
        let read = match self.links {
            LinkPolicy::Followed => self.read_here(path),
            LinkPolicy::StayInside => match in_child(self.fd.as_fd(), || said(self.read_here(path))) {
                Ok(said) => heard(said),
                Err(errno) => Err(ReadRefusal::Io(io_error(errno))),
            },
        };
        read.map_err(|error| match error {
            ReadRefusal::NoFile(what) => ViewError::NoFile { file: self.name.join(path), what },
            ReadRefusal::Io(source) => {
                ViewError::Io { what: self.name.join(path).display().to_string(), source }
            }
        })
    }

    /// Whether one of these is there, whatever it is.
    pub(super) fn has_any(&self, paths: &[&str]) -> Result<bool, ViewError> {
        let look = || vec![u8::from(paths.iter().any(|path| self.look_up(path).is_ok()))];
        match in_child(self.fd.as_fd(), look) {
            Ok(said) => Ok(said == [1]),
            Err(errno) => {
                Err(ViewError::Io { what: self.name.display().to_string(), source: io_error(errno) })
            }
        }
    }

    fn read_here(&self, path: &str) -> Result<Option<Vec<u8>>, ReadRefusal> {
        let no_file = ReadRefusal::NoFile;
        let io = |errno: Errno| ReadRefusal::Io(errno.into());
        let found = match self.look_up(path) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
            Err(Errno::ELOOP) => {
                return Err(no_file(CIRCLE));
            }
            Err(Errno::ENOSYS) => return Err(no_file(NO_OPENAT2)),
            Err(Errno::EAGAIN) => return Err(no_file(MOVED)),
            found => found.map_err(io)?,
        };
        let stat = fstat(&found).map_err(io)?;
        if SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) != SFlag::S_IFREG {
            return Err(no_file(NOT_REGULAR));
        }
        if OF_THE_KERNEL.contains(&fstatfs(&found).map_err(io)?.filesystem_type()) {
            return Err(no_file(KERNELS));
        }
        // Through the descriptor, and not by the name: that may be something else's by now.
        // Without O_NONBLOCK a process with a lease on it delays us for fs.lease-break-time, 45 seconds: fcntl(2).
        let path = format!("/proc/self/fd/{}", found.as_raw_fd());
        let opened = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
        let file = opened.map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => no_file(LEASED),
            _ => ReadRefusal::Io(error),
        })?;
        let mut bytes = Vec::with_capacity(4096);
        file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(ReadRefusal::Io)?;
        if bytes.len() as u64 > LIMIT { Err(no_file(TOO_LARGE)) } else { Ok(Some(bytes)) }
    }

    fn look_up(&self, path: &str) -> nix::Result<OwnedFd> {
        let resolve = match self.links {
            LinkPolicy::StayInside => ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS,
            LinkPolicy::Followed => ResolveFlag::empty(),
        };
        let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).mode(Mode::empty()).resolve(resolve);
        let mut tries = (0..TRIES).map(|_| openat2(self.fd.as_fd(), path, how));
        let certain = tries.find(|found| !matches!(found, Err(Errno::EAGAIN)));
        certain.unwrap_or(Err(Errno::EAGAIN))
    }
}

/// Why a file cannot be read.
#[derive(Debug)]
enum ReadRefusal {
    NoFile(&'static str),
    Io(io::Error),
}

/// In the words of a child: what it is, and then the bytes, the number of the error, or the place of the words.
fn said(read: Result<Option<Vec<u8>>, ReadRefusal>) -> Vec<u8> {
    let number = |number: usize| (number as u64).to_ne_bytes();
    let (tag, rest) = match &read {
        Ok(Some(bytes)) => (0, &bytes[..]),
        Ok(None) => (1, &[][..]),
        Err(ReadRefusal::Io(error)) => {
            (2, &number(usize::try_from(error.raw_os_error().unwrap_or(0)).unwrap_or(0))[..])
        }
        Err(ReadRefusal::NoFile(what)) => {
            (3, &number(REFUSALS.iter().position(|refusal| refusal == what).unwrap_or(0))[..])
        }
    };
    [&[tag], rest].concat()
}

/// What a child has said.
fn heard(mut said: Vec<u8>) -> Result<Option<Vec<u8>>, ReadRefusal> {
    let number = |rest: &[u8]| rest.try_into().map(u64::from_ne_bytes).unwrap_or_default();
    match said.split_first() {
        Some((0, _)) => {
            said.remove(0);
            Ok(Some(said))
        }
        Some((1, _)) => Ok(None),
        Some((3, rest)) => {
            let at = usize::try_from(number(rest)).unwrap_or_default();
            Err(ReadRefusal::NoFile(REFUSALS.get(at).copied().unwrap_or(NOT_REGULAR)))
        }
        Some((_, rest)) => {
            let errno = i32::try_from(number(rest)).unwrap_or_default();
            Err(ReadRefusal::Io(io::Error::from_raw_os_error(errno)))
        }
        None => Err(ReadRefusal::Io(Errno::EPIPE.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use nix::fcntl::open;

    use super::*;

    /// What is read as `file` from a root in which `prepare` made it.
    fn read(name: &str, links: LinkPolicy, prepare: impl FnOnce(&Path)) -> Result<Option<Vec<u8>>, String> {
        let root = std::env::temp_dir().join(format!("netns-toolbox-view-{}-{name}", std::process::id()));
        fs::create_dir_all(root.join("inner")).unwrap();
        prepare(&root);
        let fd = open(&root, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).unwrap();
        let read = ConfinedDir::new(fd, "ROOT".into(), links).read("file").map_err(|error| error.to_string());
        fs::remove_dir_all(&root).unwrap();
        read
    }

    fn inside(name: &str, prepare: impl FnOnce(&Path)) -> Result<Option<Vec<u8>>, String> {
        read(name, LinkPolicy::StayInside, prepare)
    }

    #[test]
    fn a_file_is_read_up_to_the_limit_and_a_missing_one_is_none() {
        let long = LIMIT as usize;
        let written = inside("limit", |root| fs::write(root.join("file"), vec![b'x'; long]).unwrap());
        assert_eq!(written.map(|bytes| bytes.unwrap().len()), Ok(long));
        let longer = inside("longer", |root| fs::write(root.join("file"), vec![b'x'; long + 1]).unwrap());
        assert_eq!(longer.unwrap_err(), "ROOT/file: is larger than 8 MiB");
        assert_eq!(inside("missing", |_| {}), Ok(None));
        assert_eq!(inside("dangling", |root| symlink("nowhere", root.join("file")).unwrap()), Ok(None));
    }

    #[test]
    fn an_absolute_link_begins_at_the_root_that_is_read_or_where_it_is_trusted_at_ours() {
        let link = |root: &Path| {
            fs::write(root.join("inner/file"), "inner").unwrap();
            symlink("/../inner/file", root.join("file")).unwrap();
        };
        assert_eq!(inside("absolute", link), Ok(Some(b"inner".to_vec())));
        assert_eq!(read("trusted", LinkPolicy::Followed, link), Ok(None));
        let ours = |root: &Path| symlink("/etc/passwd", root.join("file")).unwrap();
        assert_eq!(inside("ours", ours), Ok(None));
        assert_eq!(
            read("ours-trusted", LinkPolicy::Followed, ours),
            Ok(Some(fs::read("/etc/passwd").unwrap()))
        );
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        let socket = |root: &Path| drop(std::os::unix::net::UnixListener::bind(root.join("file")).unwrap());
        assert_eq!(inside("socket", socket).unwrap_err(), "ROOT/file: is not a regular file");
        let fifo = |root: &Path| nix::unistd::mkfifo(&root.join("file"), Mode::S_IRWXU).unwrap();
        assert_eq!(inside("fifo", fifo).unwrap_err(), "ROOT/file: is not a regular file");
        let circle = |root: &Path| symlink("file", root.join("file")).unwrap();
        assert!(inside("circle", circle).unwrap_err().contains("in a circle"));
        let kernels = |root: &Path| symlink("/proc/version", root.join("file")).unwrap();
        let of_the_kernel = read("kernel", LinkPolicy::Followed, kernels).unwrap_err();
        assert_eq!(of_the_kernel, "ROOT/file: is a file of the kernel's");
    }
}
