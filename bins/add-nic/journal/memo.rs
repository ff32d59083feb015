//! What this process has read of the journal: a watch reads all of it before each NIC, and nearly all is as it was.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, fstatat};

use crate::model::record::NicRecord;

static READ: Mutex<BTreeMap<String, (FileStamp, NicRecord)>> = Mutex::new(BTreeMap::new());

/// Tells a file from every other that had its name: a record is replaced as a whole, by another inode, and tmpfs gives no
/// inode's number twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    inode: u64,
    changed: (i64, i64),
    bytes: i64,
}

impl FileStamp {
    pub fn from_stat(stat: FileStat) -> Self {
        FileStamp { inode: stat.st_ino, changed: (stat.st_ctime, stat.st_ctime_nsec), bytes: stat.st_size }
    }
}

/// The record of that name, if it was read before and its file is the same.
pub fn recall(directory: &OwnedFd, name: &str) -> Option<NicRecord> {
    let read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let (stamp, record) = read.get(name)?;
    let now = fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
    (FileStamp::from_stat(now) == *stamp).then(|| record.clone())
}

/// Remembers it.
pub fn keep(name: &str, stamp: Option<FileStamp>, record: &NicRecord) {
    if let Some(stamp) = stamp {
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        read.insert(name.to_owned(), (stamp, record.clone()));
    }
}

/// What is no longer there is not worth its memory.
pub fn forget_all_but(names: &[String]) {
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if read.len() > names.len() {
        read.retain(|name, _| names.contains(name));
    }
}
