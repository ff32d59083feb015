//! Whether only root or the caller can decide what is found at a path, as "StrictModes" in sshd_config(5) checks.
//!
//! A user that can write to a directory can replace the files in it. So each directory of the path is checked, from `/` on,
//! also those behind symbolic links. In a directory with the sticky bit, as `/tmp`, only the owner of an entry can replace
//! it (inode(7)): there the entry's owner counts.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use common::failure::Failure;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstat};
use nix::unistd::geteuid;

/// As many links as the kernel follows: path_resolution(7).
const MOST_LINKS: usize = 40;
const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o022;
const TYPE: u32 = 0o170_000;
const LINK: u32 = 0o120_000;

/// Refuses an absolute path of which another user can replace a part.
pub fn refuse_others(path: &Path) -> Result<(), Failure> {
    let as_failure = |at: &Path, errno: Errno| Failure::failed(at.display(), io::Error::from(errno));
    let mut ahead: VecDeque<OsString> = names(path).collect();
    let mut here = vec![open(AT_FDCWD, OsStr::new("/")).map_err(|errno| as_failure(Path::new("/"), errno))?];
    let mut parent = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        let (directory, stat) = &here[here.len() - 1];
        if name == ".." {
            if here.len() > 1 {
                here.pop();
                parent.pop();
            }
            continue;
        }
        let next = open(directory, &name).map_err(|errno| as_failure(&parent.join(&name), errno))?;
        judge(&parent, stat, &parent.join(&name), &next.1)?;
        if next.1.st_mode & TYPE == LINK {
            links += 1;
            let to = readlinkat(directory, name.as_os_str())
                .map_err(|errno| as_failure(&parent.join(&name), errno))?;
            if links > MOST_LINKS {
                return Err(as_failure(path, Errno::ELOOP));
            }
            if Path::new(&to).is_absolute() {
                here.truncate(1);
                parent = PathBuf::from("/");
            }
            names(Path::new(&to)).rev().for_each(|name| ahead.push_front(name));
            continue;
        }
        parent.push(&name);
        here.push(next);
    }
    Ok(())
}

fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
}

fn open(at: impl std::os::fd::AsFd, name: &OsStr) -> nix::Result<(OwnedFd, FileStat)> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let fd = openat(at, name, flags, Mode::empty())?;
    let stat = fstat(&fd)?;
    Ok((fd, stat))
}

/// Refuses if other users can replace `inside`, whose status is `entry`, in the directory `place`.
fn judge(parent: &Path, directory: &FileStat, inside: &Path, entry: &FileStat) -> Result<(), Failure> {
    let is_closed = directory.st_mode & OTHERS_WRITE == 0;
    let is_ours = directory.st_mode & STICKY != 0 && is_trusted(entry.st_uid);
    if is_trusted(directory.st_uid) && (is_closed || is_ours) {
        return Ok(());
    }
    // The directory is as it should be: no hint to change the mode of /tmp.
    if is_trusted(directory.st_uid) && directory.st_mode & STICKY != 0 {
        let what = format!("belongs to user {}, so its contents are not trusted", entry.st_uid);
        return Err(Failure::failed(inside.display(), what)
            .hint(common::sentence!("use a file in /etc that belongs to root")));
    }
    let what = "can be written by another user, so its contents are not trusted";
    Err(Failure::failed(parent.display(), what)
        .hint(common::hint!("chown root {}; chmod go-w {}", parent.display(), parent.display()))
        .or_hint(common::sentence!("use a file in /etc")))
}

/// Root, or the caller. In a user namespace, the host's root may be unmapped, and all unmapped users look the same.
pub fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw() || (is_overflow(uid) && !has_all_users())
}

fn is_overflow(uid: u32) -> bool {
    let overflow = fs::read_to_string("/proc/sys/kernel/overflowuid");
    overflow.is_ok_and(|text| text.trim().parse() == Ok(uid))
}

/// Whether our user namespace maps every user, as that of the machine does.
fn has_all_users() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}
