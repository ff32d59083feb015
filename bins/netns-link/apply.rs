//! Does what the plan says: makes links, and removes them.

use common::engine::Container;
use common::failure::{Failure, say};
use common::find::FoundTarget;
use common::namespace::Namespace;
use common::netlink::{Link, Socket};
use common::netns::{self, Home, LinkEntry, LinkRecord, RecordedContainer, RecordedProcess, Registry};
use common::process::Process;
use common::target::LinkName;
use jiff::Timestamp;

use crate::links::{NetnsLink, beneath};
use crate::plan::Plan;
use crate::tool::TOOL;

/// A namespace to link, held open.
#[derive(Debug)]
pub struct Wanted {
    pub netns: Namespace,
    pub container: Option<Container>,
    pub process: Option<RecordedProcess>,
}

impl Wanted {
    /// The network namespace of what was found.
    pub fn of(found: FoundTarget) -> Result<Self, Failure> {
        let (container, process) = (found.container.clone(), found.process().and_then(Self::through));
        Ok(Wanted { netns: found.into_netns()?, container, process })
    }

    /// What a record says of the process that the namespace was found through.
    fn through(process: &Process) -> Option<RecordedProcess> {
        let start_time_ticks = process.start_time_ticks().ok()?;
        Some(RecordedProcess { pid: process.pid().as_raw(), start_time_ticks })
    }

    fn record(&self) -> LinkRecord {
        LinkRecord {
            made_by: concat!("netns-link ", env!("CARGO_PKG_VERSION")).to_owned(),
            since: Timestamp::now(),
            netns_inode: self.netns.identity().inode,
            netns_handle: self.netns.handle().map(|handle| handle.to_string()),
            container: self.container.as_ref().map(RecordedContainer::of),
            process: self.process,
        }
    }
}

/// The registry, locked. A process that holds its lock for long is named.
fn open() -> Result<Registry, Failure> {
    let registry = Registry::open()?;
    if let Some(holder) = &registry.held_by {
        let what = "holds the lock of ip-netns(8): not released within 1s, continuing without it";
        say(TOOL, format_args!("{}: {holder} {what}", netns::DIRECTORY));
    }
    Ok(registry)
}

/// Links `wanted` at `name`; with `force` in the place of a link that netns-link made. Returns what was done.
pub fn link(name: &LinkName, wanted: &Wanted, force: bool) -> Result<Plan, Failure> {
    let registry = open()?;
    let (entry, record) = entry_at(&registry, name)?;
    let plan = Plan::make(name, wanted.netns.identity(), (entry, record.as_ref()), force)?;
    carry_out(&registry, name, plan, wanted)
}

/// Links `wanted` in the place of `link`, if that is as it was when it was read; whether it was.
pub fn relink(link: &NetnsLink, wanted: &Wanted) -> Result<bool, Failure> {
    let registry = open()?;
    if !is_as_before(&registry, link)? {
        return Ok(false);
    }
    carry_out(&registry, &link.name, Plan::Relink, wanted).map(|_| true)
}

fn carry_out(registry: &Registry, name: &LinkName, plan: Plan, wanted: &Wanted) -> Result<Plan, Failure> {
    if plan == Plan::Relink {
        registry.unbind(name)?;
    }
    if matches!(plan, Plan::Link | Plan::Relink) {
        registry.bind(name, &wanted.netns, &wanted.record())?;
    }
    Ok(plan)
}

/// Removes the link at `name`; with `force` also one that netns-link did not make. Returns whether there was one.
pub fn unlink(name: &LinkName, force: bool) -> Result<bool, Failure> {
    // Nothing is made, not even the directory, in order to find nothing in it.
    if netns::entry(name)? == LinkEntry::Free {
        return Ok(false);
    }
    let registry = open()?;
    let (entry, record) = entry_at(&registry, name)?;
    // What cannot be removed by force either is refused by unbind, without the advice to use force.
    let removable = !matches!(entry, LinkEntry::Free | LinkEntry::Foreign);
    if !force && removable && record.is_none() {
        return Err(Failure::failed(netns::path(name).display(), "was not made by netns-link")
            .hint(common::hint!("netns-link --rm --force {}", name)));
    }
    Ok(registry.unbind(name)?)
}

/// Removes `link`, which netns-link made, if it is as it was when it was read; whether it was.
pub fn unlink_exactly(link: &NetnsLink) -> Result<bool, Failure> {
    let registry = open()?;
    Ok(is_as_before(&registry, link)? && registry.unbind(&link.name)?)
}

/// What is at `name` while no other program can change it, and its record if netns-link made it.
fn entry_at(registry: &Registry, name: &LinkName) -> Result<(LinkEntry, Option<LinkRecord>), Failure> {
    let entry = registry.entry(name)?;
    let record = match entry {
        LinkEntry::Bound(_) | LinkEntry::Empty => beneath()?.record(name, entry),
        _ => None,
    };
    Ok((entry, record))
}

fn is_as_before(registry: &Registry, link: &NetnsLink) -> Result<bool, Failure> {
    let (entry, record) = entry_at(registry, &link.name)?;
    Ok(entry == link.entry && record.is_some() && record == link.record)
}

/// Makes an empty network namespace, bound at `name`; with `lo` set up, its own addresses answer in it.
pub fn make(name: &LinkName, lo: bool) -> Result<(), Failure> {
    let netns = netns::create()?;
    if lo {
        set_lo_up(&netns)?;
    }
    let registry = open()?;
    let plan = match entry_at(&registry, name)? {
        (LinkEntry::Free, _) => Plan::Link,
        // The same call was killed half-way. What was made for a container is not taken for it.
        (LinkEntry::Empty, Some(LinkRecord { container: None, process: None, .. })) => Plan::Relink,
        _ => {
            let taken = Failure::failed(netns::path(name).display(), "exists already");
            return Err(taken.hint(common::hint!("netns-link --new OTHERNAME")));
        }
    };
    carry_out(&registry, name, plan, &Wanted { netns, container: None, process: None }).map(drop)
}

/// The lo of a new network namespace is down: not even its own addresses are reached from within.
fn set_lo_up(netns: &Namespace) -> Result<(), Failure> {
    let entered = Home::current()?.inside(netns, Socket::open);
    let mut socket = entered.map_err(|errno| Failure::failed("enter the new namespace", errno.desc()))??;
    let lo = socket.links()?.into_iter().find(Link::is_loopback);
    lo.map_or(Ok(()), |lo| Ok(socket.set_link_up(lo.index, true)?))
}
