//! Looks at all links: what stands there, whose it is, and what has become of it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use common::failure::Failure;
use common::find::{FindError, Known, list};
use common::namespace::{Identity, Kind};
use common::netns::{self, Beneath, Entry, FoundThrough, Record};
use common::process::Process;
use common::target::LinkName;
use nix::unistd::Pid;

use crate::state::{Owner, State, judge};

/// One link.
#[derive(Debug)]
pub struct Link {
    pub name: LinkName,
    pub entry: Entry,
    /// Where a symbolic link leads.
    pub leads_to: Option<PathBuf>,
    /// `None` for a link that is not ours.
    pub record: Option<Record>,
    pub state: State,
    /// The container it is for, as it is now.
    pub container: Option<Known>,
}

impl Link {
    pub fn is_ours(&self) -> bool {
        self.record.is_some()
    }
}

/// All links, and why some may be judged wrongly.
#[derive(Debug)]
pub struct Links {
    pub links: Vec<Link>,
    /// Engines that could not be asked.
    pub troubles: Vec<FindError>,
}

/// Looks at all links. Engines are asked only when a link's own process cannot vouch for it.
pub fn look(timeout: Duration) -> Result<Links, Failure> {
    let beneath = beneath()?;
    let mut seen = Vec::new();
    for name in netns::names()? {
        let entry = netns::entry(&name)?;
        // Removed since the directory was read.
        if entry != Entry::Free {
            seen.push((beneath.record(&name), name, entry));
        }
    }
    let needs_engines = |record: &Record| record.container.is_some();
    let (containers, troubles) = match seen.iter().flat_map(|(record, ..)| record).any(needs_engines) {
        true => everybody(timeout),
        false => (Vec::new(), Vec::new()),
    };
    let links =
        seen.into_iter().map(|(record, name, entry)| link(record, name, entry, &containers)).collect();
    Ok(Links { links, troubles })
}

fn link(record: Option<Record>, name: LinkName, entry: Entry, containers: &[Known]) -> Link {
    let file = netns::path(&name);
    let leads_to = fs::read_link(&file).ok();
    let leads_nowhere = leads_to.is_some() && !file.exists();
    let container = record.as_ref().and_then(|record| owner(record, containers));
    let process = record.as_ref().and_then(|record| record.process).and_then(netns_of);
    let state = judge(entry, leads_nowhere, record.as_ref(), Owner { container, process });
    Link { name, entry, leads_to, state, container: container.cloned(), record }
}

fn everybody(timeout: Duration) -> (Vec<Known>, Vec<FindError>) {
    match list(None, timeout) {
        Ok(listing) => (listing.containers, listing.troubles),
        Err(error) => (Vec::new(), vec![error]),
    }
}

/// The container of the record's ID or, when that is gone, the one that has its name now.
fn owner<'a>(record: &Record, containers: &'a [Known]) -> Option<&'a Known> {
    let owner = record.container.as_ref()?;
    let of_engine = || containers.iter().filter(|known| known.container.engine == owner.engine);
    let by_id = of_engine().find(|known| known.container.id == owner.id);
    by_id.or_else(|| of_engine().find(|known| known.container.name == owner.name))
}

/// The network namespace of the process, if it is still the one that was recorded.
fn netns_of(process: FoundThrough) -> Option<Identity> {
    let held = Process::open(Pid::from_raw(process.pid)).ok()?;
    let same = held.start_time_ticks().is_ok_and(|ticks| ticks == process.start_time_ticks);
    same.then(|| held.namespace_identity(Kind::Net).ok()).flatten()
}

/// Where the records can be read.
pub fn beneath() -> Result<Beneath, Failure> {
    Beneath::open().map_err(|errno| Failure::trouble(netns::DIRECTORY, errno.desc()))
}
