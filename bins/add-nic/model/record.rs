//! A NIC as the journal records it, and the networks that it connects.

use std::path::PathBuf;

use common::netns::{RecordedContainer, RecordedProcess};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::plan::Plan;
use crate::model::shell::NetnsFiles;
use crate::model::wanted::Wanted;

/// The format of the records that are written now. It changes when an older add-nic would undo a NIC only in part, or something
/// else with it. Those that have no number are of format 0, and are read.
pub const FORMAT: u32 = 1;

/// A NIC: what was requested, what was planned, and in which networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NicRecord {
    #[serde(default)]
    pub format: u32,
    /// Its name in the journal.
    pub id: String,
    pub made_by: String,
    pub since: Timestamp,
    /// Whether all of the plan was done.
    pub is_whole: bool,
    /// The inode of the namespace that add-nic ran in.
    pub outside_inode: u64,
    pub inside: ContainerNetns,
    /// The other container, where there is one.
    pub peer: Option<ContainerNetns>,
    pub wanted: Wanted,
    pub plan: Plan,
    /// The entry of the watch that added it; `None` if it was added by hand.
    #[serde(default)]
    pub watched: Option<WatchEntryId>,
    /// While it takes the place of another NIC of the same container: that one, which is put back if this fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Box<NicRecord>>,
}

/// An entry of a watch's file: together with what is wanted, this identifies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchEntryId {
    /// The file's absolute path.
    pub file: PathBuf,
    /// The container's name in the file.
    pub target: String,
}

/// The container's network, and ways to find it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerNetns {
    /// Its name for people.
    pub name: String,
    /// A file of it, for commands.
    pub file: String,
    pub netns_inode: u64,
    /// Never reused for another namespace (Linux 6.18).
    pub netns_handle: Option<String>,
    pub container: Option<RecordedContainer>,
    pub process: Option<RecordedProcess>,
}

impl NicRecord {
    /// All that may have been done: its plan, and that of the NIC whose place it takes.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        std::iter::once(&self.plan).chain(self.replaced.as_deref().map(|old| &old.plan))
    }

    /// Files of its namespaces, for commands.
    pub fn files(&self) -> NetnsFiles<'_> {
        self.inside.files(self.peer.as_ref())
    }

    /// Whether these are the networks that it was made in.
    pub fn is_between(&self, inside: &ContainerNetns, peer: Option<&ContainerNetns>) -> bool {
        let same_peer = match (&self.peer, peer) {
            (Some(peer), Some(other)) => peer.is_same_as(other),
            (None, None) => true,
            _ => false,
        };
        self.inside.is_same_as(inside) && same_peer
    }

    /// Whether one of its ends is in that network.
    pub fn is_about(&self, inside: &ContainerNetns) -> bool {
        self.inside.is_same_as(inside) || self.peer.as_ref().is_some_and(|peer| peer.is_same_as(inside))
    }
}

impl ContainerNetns {
    /// Its file and that of the other container, for commands.
    pub fn files<'a>(&'a self, peer: Option<&'a ContainerNetns>) -> NetnsFiles<'a> {
        NetnsFiles { inside: &self.file, peer: peer.map(|peer| peer.file.as_str()) }
    }

    /// Whether both are the same namespace.
    pub fn is_same_as(&self, other: &ContainerNetns) -> bool {
        let handles_differ =
            matches!((&self.netns_handle, &other.netns_handle), (Some(a), Some(b)) if a != b);
        self.netns_inode == other.netns_inode && !handles_differ
    }
}
