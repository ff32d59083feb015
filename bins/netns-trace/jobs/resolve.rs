//! From TARGET and DEST to a namespace and a packet.

use std::net::IpAddr;

use common::cli::FindSession;
use common::dns::{Families, NameLookup, NameNetwork, NameOrigin};
use common::failure::{Failure, Status};
use common::netlink::RouteLookup;
use common::process::Process;
use common::target::{Dest, DestHost, HostName, IfName, Target, Transport};

use crate::model::{ProbeProtocol, TraceProbe};
use crate::request::TraceRequest;
use crate::state::HostState;
use crate::tool::TOOL;

/// The bytes of a ping with the usual 56 bytes of data, and of the first packet of a connection.
const PING_BYTES: [u16; 2] = [84, 104];
const PORT_BYTES: u16 = 60;

/// What TARGET and DEST mean.
#[derive(Debug)]
pub struct ResolvedTrace {
    /// The inode of the namespace that the packet comes from.
    pub from: u64,
    /// The namespace of the container that DEST means.
    pub dest: Option<u64>,
    /// The packet.
    pub probe: TraceProbe,
}

/// An address, and the namespace that it is known to be of.
struct FoundDest {
    address: IpAddr,
    scope: Option<u32>,
    netns: Option<u64>,
}

/// Finds TARGET, and what DEST means there.
///
/// # Errors
/// When there is none such.
pub fn resolve(
    request: &TraceRequest,
    find: &FindSession,
    state: &HostState,
) -> Result<ResolvedTrace, Failure> {
    let found = find.find(TOOL, &request.target)?;
    let name = found.container.as_ref().map_or_else(|| request.target.to_string(), |it| it.name.clone());
    let (process, netns) = found.into_both()?;
    let from = netns.identity().inode;
    let to = match request.dest.host() {
        Some(DestHost::Name(host)) => named(request, host, process.as_ref(), state, from)?,
        _ => destination(request, find, state, from)?,
    };
    let route = state.netns(from)?.route_out(to.address, request.from, None, to.scope);
    is_single(&name, to.address, route.as_ref().ok())?;
    has_source(request.from, &name, state, from)?;
    let source = request.from.or_else(|| route.ok().and_then(|route| route.source));
    let source = source.unwrap_or_else(|| any_address(state, from, to.address));
    let protocol = match &request.dest {
        Dest::Port(_, port) if port.transport == Transport::Tcp => ProbeProtocol::Tcp(port.number),
        Dest::Port(_, port) => ProbeProtocol::Udp(port.number),
        _ => ProbeProtocol::Echo,
    };
    let usual = match protocol {
        ProbeProtocol::Echo => PING_BYTES[usize::from(to.address.is_ipv6())],
        _ => PORT_BYTES,
    };
    let probe = TraceProbe {
        source,
        is_bound: request.from.is_some(),
        destination: to.address,
        scope: to.scope,
        protocol,
        packet_bytes: request.size.unwrap_or(usual),
        dont_fragment: request.size.is_some(),
        ignores_known_mtu: false,
    };
    Ok(ResolvedTrace { from, dest: to.netns, probe })
}

fn destination(
    request: &TraceRequest,
    find: &FindSession,
    state: &HostState,
    from: u64,
) -> Result<FoundDest, Failure> {
    let word = &request.dest;
    let found = match word.host() {
        Some(DestHost::Address(address, link)) => {
            let scope = link.as_ref().map(|link| index_of(state, from, link)).transpose()?;
            FoundDest { address: *address, scope, netns: None }
        }
        Some(DestHost::Gateway) => gateway(request, state, from)?,
        Some(DestHost::Container(target)) => of_container(request, target, find, state, from)?,
        Some(DestHost::Name(_)) | None => return Err(Failure::failed(word, "means no single host")),
    };
    let is_wanted = request.families[usize::from(found.address.is_ipv6())];
    let family = if found.address.is_ipv6() { "an IPv6" } else { "an IPv4" };
    if !is_wanted {
        let what = format_args!("is {family} address, and the other family was asked for");
        return Err(Failure::failed(found.address, what));
    }
    Ok(found)
}

/// The address of a name, as the container resolves it: the first one that has a route.
fn named(
    request: &TraceRequest,
    host: &HostName,
    process: Option<&Process>,
    state: &HostState,
    from: u64,
) -> Result<FoundDest, Failure> {
    let link = match &request.target {
        Target::NamedNetns(link) => Some(link.clone()),
        Target::Container { engine: None, name, .. } => name.as_str().parse().ok(),
        _ => None,
    };
    let names = NameLookup::read(NameOrigin { process, link: link.as_ref() })?;
    let [v4, v6] = request.families;
    let network = TargetNetwork { state, from };
    let found = names.addresses(host, Families { v4, v6 }, &network, None)?;
    let visited = state.netns(from)?;
    let has_route = |address: &&IpAddr| visited.route_out(**address, request.from, None, None).is_ok();
    let address = found.addresses.iter().find(has_route).or(found.addresses.first());
    let address = *address.ok_or_else(|| Failure::failed(host, "has no address"))?;
    Ok(FoundDest { address, scope: None, netns: None })
}

/// The container's network, for the questions to its name servers.
struct TargetNetwork<'a> {
    state: &'a HostState,
    from: u64,
}

impl NameNetwork for TargetNetwork<'_> {
    fn inside<T>(&self, what: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        self.state.enter(self.from, what)?
    }

    fn index_of(&self, name: &str) -> u32 {
        let links = self.state.map.netns(self.from).map(|netns| netns.links.as_slice()).unwrap_or_default();
        links.iter().find(|link| link.link.name == name).map_or(0, |link| link.link.index)
    }
}

fn index_of(state: &HostState, netns: u64, name: &IfName) -> Result<u32, Failure> {
    let links = &state.mapped(netns)?.links;
    let link = links.iter().find(|link| link.link.name == name.as_str());
    link.map(|link| link.link.index).ok_or_else(|| Failure::failed(name, "is no interface there"))
}

/// The router of the default route.
fn gateway(request: &TraceRequest, state: &HostState, from: u64) -> Result<FoundDest, Failure> {
    let visited = state.netns(from)?;
    let mut routes: Vec<_> = visited
        .routes()
        .iter()
        .filter(|route| route.is_default() && route.is_ordinary() && route.gateway.is_some())
        .filter(|route| request.families[usize::from(route.destination.address().is_ipv6())])
        .collect();
    routes.sort_by_key(|route| (route.destination.address().is_ipv6(), route.metric));
    let first = routes.first().and_then(|route| Some((route.gateway?, route.index)));
    let Some((address, index)) = first else {
        return Err(Failure::no(
            "gateway",
            format_args!("{} has no default route by a router", request.target),
        ));
    };
    let is_link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    Ok(FoundDest { address, scope: index.filter(|_| is_link_local), netns: None })
}

/// An address of another container: the one that is reached without a router, if there is one.
fn of_container(
    request: &TraceRequest,
    target: &Target,
    find: &FindSession,
    state: &HostState,
    from: u64,
) -> Result<FoundDest, Failure> {
    let netns = find.find(TOOL, target)?.into_netns()?.identity().inode;
    if netns == from {
        let text = "has the network namespace of the TARGET itself: no packet leaves it";
        return Err(Failure::no(target, text));
    }
    let mapped = state.mapped(netns)?;
    let is_usable = |address: &IpAddr| {
        let is_link_local = match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        !address.is_loopback() && !is_link_local && request.families[usize::from(address.is_ipv6())]
    };
    let links = mapped.links.iter().filter(|link| !link.link.is_loopback());
    let addresses: Vec<IpAddr> =
        links.flat_map(|link| &link.addresses).map(|own| own.address).filter(is_usable).collect();
    let visited = state.netns(from)?;
    let rank = |address: &IpAddr| match visited.route_out(*address, request.from, None, None) {
        Ok(RouteLookup { gateway: None, .. }) => 0,
        Ok(_) => 1,
        Err(_) => 2,
    };
    let address = addresses.into_iter().min_by_key(|address| (rank(address), address.is_ipv6()));
    let Some(address) = address else {
        let family = match request.families {
            [true, false] => "IPv4 ",
            [false, true] => "IPv6 ",
            _ => "",
        };
        return Err(Failure::no(target, format_args!("has no {family}address that others can send to")));
    };
    Ok(FoundDest { address, scope: None, netns: Some(netns) })
}

/// A packet for many, or for the namespace itself, has no way to follow.
fn is_single(name: &str, address: IpAddr, route: Option<&RouteLookup>) -> Result<(), Failure> {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    if address.is_multicast() || is_broadcast || route.is_some_and(|route| route.is_group) {
        let what = "is an address of many: a packet to one host can be followed";
        return Err(Failure::failed(address, what));
    }
    if route.is_some_and(|route| route.is_local) {
        return Err(Failure::failed(
            address,
            format_args!("is an address of {name} itself: no packet leaves it"),
        ));
    }
    Ok(())
}

/// `--from` has to be an address of the container.
fn has_source(from: Option<IpAddr>, name: &str, state: &HostState, netns: u64) -> Result<(), Failure> {
    let Some(from) = from else { return Ok(()) };
    let mut all = state.mapped(netns)?.links.iter().flat_map(|link| &link.addresses);
    if all.any(|own| own.address == from) {
        return Ok(());
    }
    Err(Failure::said(Status::Failed, format_args!("--from: {from} is no address of {name}")))
}

/// Where the kernel has no route, it does not say which source it would choose.
fn any_address(state: &HostState, netns: u64, to: IpAddr) -> IpAddr {
    let links = state.map.netns(netns).map(|netns| netns.links.as_slice()).unwrap_or_default();
    let links = links.iter().filter(|link| !link.link.is_loopback());
    let mut all = links.flat_map(|link| &link.addresses).map(|own| own.address);
    all.find(|own| own.is_ipv6() == to.is_ipv6()).unwrap_or(to)
}
