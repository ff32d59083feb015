//! Where network namespaces are to be found: processes that are in them, and mounts of their files.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::stat;
use nix::unistd::Pid;

use super::{MapError, Unseen, mounts};
use crate::namespace::{Identity, Kind, Namespace, NamespaceError};
use crate::process::Process;

/// A network namespace, and the ways to it.
#[derive(Debug, Clone)]
pub struct Spot {
    /// Which one it is.
    pub identity: Identity,
    /// Processes that were in it, by ascending PID.
    pub pids: Vec<Pid>,
    /// Where its file is mounted: `/run/netns/blue`.
    pub names: Vec<PathBuf>,
}

/// All of them, each once, however many processes are in it.
pub(super) fn all() -> Result<(Vec<Spot>, Unseen), MapError> {
    let mut spots = BTreeMap::new();
    let mut unseen = Unseen::default();
    for pid in pids()? {
        match stat(format!("/proc/{pid}/ns/net").as_str()) {
            Ok(stat) => at(&mut spots, Identity::from(&stat)).pids.push(pid),
            Err(Errno::EACCES | Errno::EPERM) => unseen.processes += 1,
            // It has ended.
            Err(_) => {}
        }
    }
    let file = "/proc/self/mountinfo";
    let mountinfo = fs::read(file).map_err(|source| MapError::Proc { file, source })?;
    for name in mounts::of_network_namespaces(&mountinfo) {
        // Unmounted meanwhile, or under another mount.
        let Ok(stat) = stat(&name) else { continue };
        at(&mut spots, Identity::from(&stat)).names.push(name);
    }
    Ok((spots.into_values().collect(), unseen))
}

fn at(spots: &mut BTreeMap<Identity, Spot>, identity: Identity) -> &mut Spot {
    spots.entry(identity).or_insert_with(|| Spot { identity, pids: vec![], names: vec![] })
}

fn pids() -> Result<Vec<Pid>, MapError> {
    let file = "/proc";
    let entries = fs::read_dir(file).map_err(|source| MapError::Proc { file, source })?;
    let mut pids: Vec<i32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    Ok(pids.into_iter().map(Pid::from_raw).collect())
}

impl Spot {
    /// Opens it; `None` if it has vanished, or every way to it leads elsewhere by now.
    ///
    /// # Errors
    /// `NotPermitted`, if that is why no way leads there.
    pub fn open(&self) -> Result<Option<Namespace>, NamespaceError> {
        let files = self.pids.iter().map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")));
        let mut refused = None;
        for file in files.chain(self.names.iter().cloned()) {
            match Namespace::open(&file, Kind::Net) {
                Ok(namespace) if namespace.identity() == self.identity => return Ok(Some(namespace)),
                Err(error @ NamespaceError::NotPermitted { .. }) => refused = Some(error),
                _ => {}
            }
        }
        refused.map_or(Ok(None), Err)
    }

    /// The oldest process in it, as a container's first one is, or a pod's sandbox; among those of the same
    /// hundredth of a second the one with the lowest PID. PIDs alone say little, for they start again from
    /// the bottom.
    pub fn oldest_process(&self) -> Option<Process> {
        let mut oldest: Option<(u64, Process)> = None;
        for pid in &self.pids {
            let Ok(process) = Process::open(*pid) else { continue };
            let is_in_it = process.namespace_identity(Kind::Net).is_ok_and(|netns| netns == self.identity);
            let Ok(started) = process.start_time_ticks() else { continue };
            if is_in_it && oldest.as_ref().is_none_or(|(earliest, _)| started < *earliest) {
                oldest = Some((started, process));
            }
            // Everybody descends from it.
            if oldest.is_some() && pid.as_raw() == 1 {
                break;
            }
        }
        oldest.map(|(_, process)| process)
    }

    /// Where its file is mounted, first choice first: what people made before what engines made.
    pub fn name(&self) -> Option<&Path> {
        let by_hand = self.names.iter().find(|name| name.starts_with(crate::netns::DIRECTORY));
        by_hand.or(self.names.first()).map(PathBuf::as_path)
    }
}

impl fmt::Display for Spot {
    /// As the kernel writes it: `net:[4026531840]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "net:[{}]", self.identity.inode)
    }
}
