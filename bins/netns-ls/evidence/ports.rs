//! What listens and what is published, for the judge; and Docker's name server where containers ask it.

use std::net::{IpAddr, Ipv4Addr};

use common::diagnose::host::{FullQueue, HostFacts, PortPublication, PortWaiting};
use common::engine::{Container, ContainerState};
use common::failure::Failure;
use common::hint::Hint;
use common::map::{LookDepth, MappedNetns, UnseenNamespaces};
use common::namespace::NamespaceKind;
use common::netlink::ListeningSocket;
use common::ports::{self, AddressNeed, EndNetns, EndState, ForwardEnd, NetnsPorts, PortRow, PortsSnapshot};
use common::process::Process;
use common::target::EngineName;
use common::view::Resolver;

/// moby, daemon/libnetwork/resolver.go
const DOCKERS_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));

/// Reads them into `facts`; what could not be looked at, in a line each.
pub fn read(facts: &mut HostFacts) -> Result<Vec<String>, Failure> {
    let snapshot = ports::read(AddressNeed::Forwarded, LookDepth::Whole)?;
    let is_whole = UnseenNamespaces { processes: 0, ..snapshot.unseen.clone() }.is_empty();
    facts.published = ports::rows(&snapshot).iter().filter_map(|row| published(row, is_whole)).collect();

    facts.full_queues =
        full(&snapshot).map(|(netns, socket)| full_queue(facts, &snapshot, netns, socket)).collect();
    for netns in &facts.map.namespaces {
        let lacks = lacks_docker_dns(netns, &snapshot);
        if let Some(known) = facts.netns.get_mut(&netns.inode) {
            known.lacks_docker_dns = lacks;
        }
    }
    // Processes that are hidden were told of with the map.
    let unseen = UnseenNamespaces { processes: 0, ..snapshot.unseen };
    Ok((!unseen.is_empty()).then(|| unseen.to_string()).into_iter().collect())
}

fn published(row: &PortRow<'_>, is_whole: bool) -> Option<PortPublication> {
    let end = row.end.as_ref()?;
    let to_netns = match &end.netns {
        EndNetns::Found(netns) => Some(netns.inode),
        EndNetns::Several(_) | EndNetns::NotHere => None,
    };
    Some(PortPublication {
        netns: row.netns.inode,
        transport: row.place.transport,
        address: row.place.network.address(),
        port: *row.place.ports.start(),
        last_port: *row.place.ports.end(),
        to: end.address,
        to_port: end.port,
        to_netns,
        waiting: waiting(end, is_whole),
        by_rule: row.forward.map(|rule| rule.table.clone()),
        has_proxy: !row.proxies.is_empty(),
    })
}

fn waiting(end: &ForwardEnd<'_>, is_whole: bool) -> PortWaiting {
    match &end.waiting {
        EndState::Listening(_) => PortWaiting::Listening,
        EndState::ElsewhereOnly(sockets) => {
            PortWaiting::Elsewhere(sockets.iter().map(|socket| socket.address.ip()).collect())
        }
        EndState::Nobody => PortWaiting::Nobody,
        EndState::Unknown(_) if is_whole && end.netns == EndNetns::NotHere => PortWaiting::NoSuchAddress,
        EndState::Unknown(_) => PortWaiting::Unknown,
    }
}

fn full(snapshot: &PortsSnapshot) -> impl Iterator<Item = (&NetnsPorts, &ListeningSocket)> {
    let all =
        snapshot.namespaces.iter().flat_map(|netns| netns.sockets.iter().map(move |socket| (netns, socket)));
    all.filter(|(_, socket)| socket.is_queue_full())
}

fn full_queue(
    facts: &HostFacts,
    snapshot: &PortsSnapshot,
    netns: &NetnsPorts,
    socket: &ListeningSocket,
) -> FullQueue {
    let holder = snapshot.holders.of(socket.inode).first();
    let process = holder.and_then(|holder| Process::open(holder.pid).ok());
    let status = process.and_then(|process| process.status().ok());
    FullQueue {
        netns: netns.inode,
        address: socket.address,
        queued: socket.queued,
        most: socket.most_queued,
        process: holder.map(|holder| (holder.pid.as_raw(), holder.name.clone())),
        is_stopped: status.is_some_and(|status| status.state.starts_with('T')),
        resume: facts.map.netns(netns.inode).and_then(resume),
    }
}

/// The command that lets the container of a namespace go on, if it is paused.
fn resume(netns: &MappedNetns) -> Option<Hint> {
    let is_paused = |container: &&Container| container.state == ContainerState::Paused;
    netns.containers.iter().find(is_paused)?.unpause_hint()
}

/// Whether a container of Docker there asks Docker's name server, and no socket waits at that one's address.
fn lacks_docker_dns(netns: &MappedNetns, snapshot: &PortsSnapshot) -> bool {
    let Some(ports) = snapshot.namespaces.iter().find(|ports| ports.inode == netns.inode) else {
        return false;
    };
    if netns.is_own || ports.sockets.iter().any(|socket| socket.address.ip() == DOCKERS_SERVER) {
        return false;
    }
    netns.containers.iter().any(|container| {
        let process = container.pid.filter(|_| container.engine == EngineName::Docker).map(Process::open);
        process.and_then(Result::ok).is_some_and(|process| {
            let identity = process.namespace_identity(NamespaceKind::Net);
            identity.is_ok_and(|identity| identity.inode == netns.inode) && asks_docker(&process)
        })
    })
}

/// Whether the first name server of its resolv.conf(5) is Docker's.
fn asks_docker(process: &Process) -> bool {
    let Ok(resolver) = Resolver::of_process(process) else { return false };
    let text = String::from_utf8_lossy(resolver.resolv_conf());
    let mut servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    servers.next().and_then(|server| server.trim().parse().ok()) == Some(DOCKERS_SERVER)
}
