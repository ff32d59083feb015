//! Reads all links: what is at each name, what it was made for, and its state.

use std::fs;
use std::path::PathBuf;

use common::engine::EngineSession;
use common::failure::Failure;
use common::find::{FindError, VerifiedContainer, list};
use common::namespace::{NamespaceError, NamespaceId, NamespaceKind};
use common::netns::{self, LinkEntry, LinkRecord, RecordDir, RecordedProcess, SymlinkEnd};
use common::process::{Process, ProcessError};
use common::target::LinkName;
use nix::unistd::Pid;

use crate::state::{LinkState, OwnerStatus, judge};

/// One link.
#[derive(Debug)]
pub struct NetnsLink {
    pub name: LinkName,
    pub entry: LinkEntry,
    /// Where a symbolic link leads.
    pub leads_to: Option<PathBuf>,
    /// `None` for a link that netns-link did not make.
    pub record: Option<LinkRecord>,
    pub state: LinkState,
    /// Whether the process that the record names has ended for sure.
    pub process_is_gone: bool,
    /// The container that it was made for, as it is now.
    pub container: Option<VerifiedContainer>,
}

impl NetnsLink {
    /// The network namespace that the name leads to.
    pub fn netns(&self) -> Option<NamespaceId> {
        match self.entry {
            LinkEntry::Bound(netns) | LinkEntry::Symlink(SymlinkEnd::Netns(netns)) => Some(netns),
            _ => None,
        }
    }

    pub fn is_ours(&self) -> bool {
        self.record.is_some()
    }

    /// Whether it was made for a container, and not for a process or as an empty namespace.
    pub fn is_for_a_container(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.container.is_some())
    }
}

/// All links, and why the state of some may be wrong.
#[derive(Debug)]
pub struct NetnsLinks {
    pub links: Vec<NetnsLink>,
    /// Engines that could not be asked.
    pub errors: Vec<FindError>,
}

/// What is at a name, and its record.
struct NamedEntry {
    name: LinkName,
    entry: LinkEntry,
    record: Option<LinkRecord>,
}

/// Reads all links. Engines are asked only when a link is a container's.
pub fn read_all(engines: &EngineSession) -> Result<NetnsLinks, Failure> {
    let entries = entries()?;
    let mut records = entries.iter().flat_map(|entry| &entry.record);
    let (containers, errors) = match records.any(|record| record.container.is_some()) {
        true => all_containers(engines),
        false => (Vec::new(), Vec::new()),
    };
    Ok(NetnsLinks { links: entries.into_iter().map(|entry| link(entry, &containers)).collect(), errors })
}

/// Reads all links on a host where these are all containers.
pub fn read_among(containers: &[VerifiedContainer]) -> Result<Vec<NetnsLink>, Failure> {
    Ok(entries()?.into_iter().map(|entry| link(entry, containers)).collect())
}

fn entries() -> Result<Vec<NamedEntry>, Failure> {
    let beneath = beneath()?;
    let mut all = Vec::new();
    for name in netns::names()? {
        let entry = netns::entry(&name)?;
        // Removed since the directory was read.
        if entry != LinkEntry::Free {
            all.push(NamedEntry { record: beneath.record(&name, entry), name, entry });
        }
    }
    Ok(all)
}

fn link(NamedEntry { name, entry, record }: NamedEntry, containers: &[VerifiedContainer]) -> NetnsLink {
    let file = netns::path(&name);
    let leads_to = fs::read_link(&file).ok();
    let container = record.as_ref().and_then(|record| owner(record, containers));
    let recorded = record.as_ref().and_then(|record| record.process);
    let (process, process_is_gone) = recorded.map_or((None, false), netns_of);
    let state = judge(entry, record.as_ref(), OwnerStatus { container, process });
    NetnsLink { name, entry, leads_to, state, process_is_gone, container: container.cloned(), record }
}

/// All containers, and why some may be missing.
pub fn all_containers(engines: &EngineSession) -> (Vec<VerifiedContainer>, Vec<FindError>) {
    match list(None, engines) {
        Ok(listing) => (listing.containers, listing.errors),
        Err(error) => (Vec::new(), vec![error]),
    }
}

/// The container of the record's ID or, when that does not run, one that runs under its name now.
fn owner<'a>(record: &LinkRecord, containers: &'a [VerifiedContainer]) -> Option<&'a VerifiedContainer> {
    let owner = record.container.as_ref()?;
    let of_engine = || containers.iter().filter(|known| owner.is_beside(&known.container));
    let by_id = of_engine().find(|known| known.container.id == owner.id);
    let runs = |known: &&VerifiedContainer| known.container.pid.is_some();
    let named = |known: &&VerifiedContainer| runs(known) && known.container.full_name() == owner.name;
    by_id.filter(runs).or_else(|| of_engine().find(named)).or(by_id)
}

/// The network namespace of the process that was recorded, and of no later one with its PID; and whether it
/// has ended for sure.
fn netns_of(recorded: RecordedProcess) -> (Option<NamespaceId>, bool) {
    let process = match Process::open(Pid::from_raw(recorded.pid)) {
        Ok(process) => process,
        Err(error) => return (None, matches!(error, ProcessError::Gone(_))),
    };
    match process.start_time_ticks() {
        Ok(ticks) if ticks == recorded.start_time_ticks => {
            match process.namespace_identity(NamespaceKind::Net) {
                Ok(netns) => (Some(netns), false),
                // A zombie.
                Err(error) => (None, matches!(error, NamespaceError::Gone { .. })),
            }
        }
        Ok(_) => (None, true),
        Err(error) => (None, matches!(error, ProcessError::Gone(_))),
    }
}

/// Where the records can be read.
pub fn beneath() -> Result<RecordDir, Failure> {
    RecordDir::open().map_err(|errno| Failure::failed(netns::DIRECTORY, errno.desc()))
}
