//! A network namespace on the map: how it is opened, and which process stands for it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

use crate::namespace::{Namespace, NamespaceError, NamespaceId, NamespaceKind};
use crate::process::Process;

/// A network namespace, and the ways to it.
#[derive(Debug, Clone)]
pub struct MapEntry {
    /// Which one it is.
    pub identity: NamespaceId,
    /// Processes that were in it, by ascending PID.
    pub pids: Vec<Pid>,
    /// Where its file is mounted: `/run/netns/blue`.
    pub names: Vec<PathBuf>,
}

impl MapEntry {
    /// Opens it; `None` if it has vanished, or every way to it leads elsewhere by now.
    ///
    /// # Errors
    /// What the last way said that did not just lead nowhere.
    pub fn open(&self) -> Result<Option<Namespace>, NamespaceError> {
        let files = self.pids.iter().map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")));
        let mut refused = None;
        for file in files.chain(self.names.iter().cloned()) {
            match Namespace::open(&file, NamespaceKind::Net) {
                Ok(namespace) if namespace.identity() == self.identity => return Ok(Some(namespace)),
                Err(error) if !leads_nowhere(&error) => refused = Some(error),
                _ => {}
            }
        }
        refused.map_or(Ok(None), Err)
    }

    /// The process that stands for it: the oldest of those that are PID 1 of a PID namespace, as a container's
    /// first one is, or a pod's sandbox; without any, the oldest of all. Among those of the same hundredth of a
    /// second it is the one with the lowest PID; PIDs alone say little, for they start again from the bottom.
    pub fn tenant(&self) -> Option<Process> {
        let mut first: Option<(TenantRank, Process)> = None;
        for pid in &self.pids {
            let Some((rank, process)) = Process::open(*pid).ok().and_then(|process| self.rank(process))
            else {
                continue;
            };
            if first.as_ref().is_none_or(|(best, _)| rank < *best) {
                first = Some((rank, process));
            }
            // Everybody that we can see descends from it.
            if pid.as_raw() == 1 && first.is_some() {
                break;
            }
        }
        first.map(|(_, process)| process)
    }

    /// Nothing for a process that has ended, or has left the namespace.
    fn rank(&self, process: Process) -> Option<(TenantRank, Process)> {
        let is_in_it = process.namespace_identity(NamespaceKind::Net).ok()? == self.identity;
        let rank =
            TenantRank { is_no_init: !process.is_init().ok()?, started: process.start_time_ticks().ok()? };
        is_in_it.then_some((rank, process))
    }

    /// Where its file is mounted, first choice first: what people made before what engines made.
    pub fn name(&self) -> Option<&Path> {
        let by_hand = self.names.iter().find(|name| name.starts_with(crate::netns::DIRECTORY));
        by_hand.or(self.names.first()).map(PathBuf::as_path)
    }
}

impl fmt::Display for MapEntry {
    /// As the kernel writes it: `net:[4026531840]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "net:[{}]", self.identity.inode)
    }
}

/// The process has ended, or the name is no namespace's any more.
fn leads_nowhere(error: &NamespaceError) -> bool {
    match error {
        NamespaceError::Io { source, .. } => {
            source.kind() == io::ErrorKind::NotFound || source.raw_os_error() == Some(libc::ESRCH)
        }
        NamespaceError::Gone { .. }
        | NamespaceError::NotANamespace { .. }
        | NamespaceError::OtherKind { .. } => true,
        _ => false,
    }
}

/// The least stands for the namespace.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TenantRank {
    is_no_init: bool,
    started: u64,
}
