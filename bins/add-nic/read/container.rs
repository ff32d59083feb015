//! The container's network: found, pinned, and found again later.

use common::engine::{Container, ContainerState};
use common::failure::Failure;
use common::find::{FoundTarget, host_network};
use common::map;
use common::namespace::{Namespace, NamespaceKind};
use common::netns::{self, RecordedContainer, RecordedProcess};
use common::process::Process;
use common::target::Target;
use nix::unistd::Pid;

use crate::model::record::{ContainerNetns, NicRecord};
use crate::model::request::SearchOptions;
use crate::tool::TOOL;

/// A network namespace held open, and what is remembered of it.
#[derive(Debug)]
pub struct PinnedNetns {
    pub netns: Namespace,
    pub inside: ContainerNetns,
}

/// The network namespace of what `target` means.
pub fn pin(target: &Target, search: &SearchOptions) -> Result<PinnedNetns, Failure> {
    hold(target, search.find.session().find_to_act(TOOL, target)?, search)
}

/// The network namespace of what was `found`.
pub fn hold(target: &Target, found: FoundTarget, search: &SearchOptions) -> Result<PinnedNetns, Failure> {
    if let Some(container) =
        found.container.as_ref().filter(|container| container.state == ContainerState::Paused)
    {
        return Err(Failure::no(container, "is paused").hint(container.unpause_hint()));
    }
    let (container, process) = (found.container.clone(), found.process().and_then(through));
    let file = file_of(target, process);
    let netns = found.into_netns()?;
    if !search.host && netns.identity() == host_network()? {
        return Err(Failure::failed(
            target,
            "uses the host's own network: only with --host is a NIC added there",
        )
        .hint(common::same_with!("--host")));
    }
    let inside = ContainerNetns {
        name: container.as_ref().map_or_else(|| target.to_string(), name_of),
        file,
        netns_inode: netns.identity().inode,
        netns_handle: netns.handle().map(|handle| handle.to_string()),
        container: container.as_ref().map(RecordedContainer::of),
        process,
    };
    Ok(PinnedNetns { netns, inside })
}

/// A name that is a TARGET too.
fn name_of(container: &Container) -> String {
    if container.pod.is_some() { container.target() } else { container.name.clone() }
}

fn through(process: &Process) -> Option<RecordedProcess> {
    let start_time_ticks = process.start_time_ticks().ok()?;
    Some(RecordedProcess { pid: process.pid().as_raw(), start_time_ticks })
}

/// A file through which commands can reach the namespace.
fn file_of(target: &Target, process: Option<RecordedProcess>) -> String {
    match (target, process) {
        (Target::NamedNetns(name), _) => netns::path(name).display().to_string(),
        (Target::NetnsFile(path), _) => path.display().to_string(),
        (_, Some(process)) => format!("/proc/{}/ns/net", process.pid),
        // A bare word that is a name under /run/netns.
        (target, None) => format!("{}/{}", netns::DIRECTORY, target),
    }
}

/// The same namespace again, if it still exists.
pub fn reopen(inside: &ContainerNetns) -> Option<Namespace> {
    let file = || {
        Namespace::open(inside.file.as_ref(), NamespaceKind::Net).ok().filter(|netns| is_it(netns, inside))
    };
    through_process(inside).or_else(file).or_else(|| {
        let all = map::walk(|visit| Ok(is_it(&visit.namespace, inside).then_some(visit.namespace))).ok()?;
        all.seen.into_iter().next()
    })
}

/// Whether one of a NIC's networks cannot be entered any more: the NIC is deleted with it, soon.
pub fn has_lost_its_network(record: &NicRecord) -> bool {
    let mut containers = std::iter::once(&record.inside).chain(&record.peer);
    containers.any(|container| reopen(container).is_none())
}

/// Whether the container has exited since it was found. Its network exists as long as we hold it, and would be deleted then.
pub fn has_ended(inside: &ContainerNetns) -> bool {
    let is_container = inside.container.is_some();
    through_process(inside).is_none() && (is_container || reopen(inside).is_none())
}

fn through_process(inside: &ContainerNetns) -> Option<Namespace> {
    let process = Process::open(Pid::from_raw(inside.process?.pid)).ok()?;
    process.namespace(NamespaceKind::Net).ok().filter(|netns| is_it(netns, inside))
}

fn is_it(netns: &Namespace, inside: &ContainerNetns) -> bool {
    let same_handle = match (&inside.netns_handle, netns.handle()) {
        (Some(before), Some(now)) => *before == now.to_string(),
        _ => true,
    };
    netns.identity().inode == inside.netns_inode && same_handle
}
