//! The record of a link: for which container or process it was made. It is in the mount-point file itself, below the
//! namespace that is mounted over it: so it cannot outlive the link or describe another one, and `ip netns del` removes
//! both. If the mount is lost, the record remains.

use std::io::{self, Read};
use std::os::fd::OwnedFd;

use jiff::Timestamp;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::Uid;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use serde::{Deserialize, Serialize};

use super::{DIRECTORY, LinkEntry, is_trusted};
use crate::engine::Container;
use crate::target::{EngineName, LinkName};

/// No record that we wrote is near this long.
const MOST_BYTES: usize = 8 << 10;

/// The record of a link: JSON, one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRecord {
    /// The tool that made the link, and its version.
    pub made_by: String,
    /// When.
    pub since: Timestamp,
    /// The number in `net:[4026532281]`.
    pub netns_inode: u64,
    /// The namespace's own ID in hexadecimal, which no later one has (an nsfs file handle, Linux 6.18).
    pub netns_handle: Option<String>,
    /// The container it was made for; `None` for a link to a new namespace or to a process.
    pub container: Option<RecordedContainer>,
    /// The process through which the namespace was found.
    pub process: Option<RecordedProcess>,
}

/// A container, as a record names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedContainer {
    /// The container's engine.
    pub engine: EngineName,
    /// Its whole ID.
    pub id: String,
    /// Its name, in a pod with the pod's: other pods have containers of the same name.
    pub name: String,
    /// The user that claims it, if not root: another user's container of the same ID is not this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
}

impl RecordedContainer {
    /// The container as a record names it.
    pub fn of(container: &Container) -> Self {
        let user = Some(container.proof.claimed_by).filter(|user| !user.is_root()).map(Uid::as_raw);
        RecordedContainer {
            engine: container.engine,
            id: container.id.clone(),
            name: container.full_name(),
            user,
        }
    }

    /// Whether the container is of the same engine of the same user.
    pub fn is_beside(&self, container: &Container) -> bool {
        let user = self.user.unwrap_or(0);
        self.engine == container.engine && user == container.proof.claimed_by.as_raw()
    }
}

/// A process, as a record names it: no later one with its PID has its start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedProcess {
    /// Its PID.
    pub pid: i32,
    /// Field 22 of `/proc/PID/stat`.
    pub start_time_ticks: u64,
}

/// The directory as it is below everything that is bound in it: where the records can be read.
#[derive(Debug)]
pub struct RecordDir {
    /// `None` when we may not look, or there is no directory.
    directory: Option<OwnedFd>,
}

impl RecordDir {
    /// Opens a private copy of the directory without what is mounted in it. It requires CAP_SYS_ADMIN;
    /// without it no record is seen.
    ///
    /// # Errors
    /// What open_tree(2) says, other than EPERM, and ENOENT for a directory that is not there.
    pub fn open() -> nix::Result<Self> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        match open_tree(CWD, DIRECTORY, flags) {
            Ok(directory) => Ok(RecordDir { directory: Some(directory) }),
            // Linux before 5.2 cannot.
            Err(Errno::PERM | Errno::NOENT | Errno::NOSYS) => Ok(RecordDir { directory: None }),
            Err(errno) => Err(nix::errno::Errno::from_raw(errno.raw_os_error())),
        }
    }

    /// Whether records can be read at all: if not, that there is none means nothing.
    pub fn is_visible(&self) -> bool {
        self.directory.is_some()
    }

    /// The record below `name`, where `entry` stands; `None` for a link that is not ours.
    pub fn record(&self, name: &LinkName, entry: LinkEntry) -> Option<LinkRecord> {
        self.read(name).filter(|record| record.is_of(entry))
    }

    fn read(&self, name: &LinkName) -> Option<LinkRecord> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = openat(self.directory.as_ref()?, name.as_str(), flags, Mode::empty()).ok()?;
        if !is_trusted(&file) {
            return None;
        }
        let mut bytes = Vec::new();
        let read = std::fs::File::from(file).take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).ok()?;
        if read > MOST_BYTES {
            return None;
        }
        serde_json::from_slice(&bytes).ok()
    }
}

impl LinkRecord {
    /// Whether what stands above the record is what it was written for. Somebody may have bound another
    /// namespace over the file, or over the lost mount's: of that it knows nothing.
    pub fn is_of(&self, entry: LinkEntry) -> bool {
        match entry {
            LinkEntry::Bound(namespace) => namespace.inode == self.netns_inode,
            LinkEntry::Empty => true,
            LinkEntry::Free | LinkEntry::Symlink(_) | LinkEntry::Foreign => false,
        }
    }

    /// The bytes that go into the file.
    ///
    /// # Errors
    /// Never in practice: all fields have a form in JSON.
    #[expect(clippy::disallowed_methods, reason = "a file of state")]
    pub(super) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
