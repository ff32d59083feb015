//! The records that this process has read: a watch reads all of them before each NIC, and nearly all are unchanged.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, fstatat};

use crate::model::record::NicRecord;

/// Each record by the name of its file, with what identifies that file.
#[derive(Debug, Default)]
pub struct RecordCache(BTreeMap<String, (FileStamp, NicRecord)>);

/// Identifies a file among all that had its name: a record is replaced as a whole, by another inode, and tmpfs uses no inode
/// number twice.
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

impl RecordCache {
    /// The record in that file, if it was read before and the file is the same.
    pub fn get(&self, directory: &OwnedFd, name: &str) -> Option<NicRecord> {
        let (stamp, record) = self.0.get(name)?;
        let now = fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
        (FileStamp::from_stat(now) == *stamp).then(|| record.clone())
    }

    pub fn insert(&mut self, name: &str, stamp: FileStamp, record: &NicRecord) {
        self.0.insert(name.to_owned(), (stamp, record.clone()));
    }

    /// Drops the records of all other files.
    pub fn retain(&mut self, names: &[String]) {
        if self.0.len() > names.len() {
            self.0.retain(|name, _| names.contains(name));
        }
    }
}
