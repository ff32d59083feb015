//! `--reverse`: from outside in, to a port that is published. Nothing is sent.

use std::net::IpAddr;

use common::failure::{Failure, Status, say};
use common::map::LinkPlace;
use common::target::Transport;

use crate::model::{ProbeProtocol, ReverseReport, TraceProbe};
use crate::report::print_reverse;
use crate::request::ReverseRequest;
use crate::state::HostState;
use crate::tool::TOOL;
use crate::verdict::expected;
use crate::walk::walk_in;

/// The bytes of the first packet of a connection.
const PORT_BYTES: u16 = 60;

/// Finds TARGET and the way in, walks, and prints what is to be expected.
///
/// # Errors
/// When TARGET does not run, or there is no outside.
pub fn reverse(request: &ReverseRequest) -> Result<Status, Failure> {
    let find = request.find.session();
    let dest = find.find(TOOL, &request.target)?.into_netns()?.identity().inode;
    let state = HostState::read(&find)?;
    state.not_asked.iter().for_each(|why| say(TOOL, why));
    let own = state.map.own().map(|own| own.inode);
    let own = own.ok_or_else(|| Failure::failed("host", "its own network could not be read"))?;
    let source = match request.from {
        Some(from) => from,
        None => gateway(&state, own, request)?,
    };
    let visited = state.netns(own)?;
    let route = visited.route_out(source, None, None, None).ok().filter(|route| !route.is_local);
    let place = route.as_ref().and_then(|route| Some(LinkPlace { netns: own, index: route.index? }));
    let Some(place) = place else {
        let text = "no route leads there, or it is an address of this host: no packet comes in from there";
        return Err(Failure::failed(source, text));
    };
    let destination = request.address.or_else(|| route.and_then(|route| route.source));
    let destination =
        destination.ok_or_else(|| Failure::failed(source, "the interface there has no address"))?;
    if destination.is_ipv4() != source.is_ipv4() {
        return Err(Failure::failed(
            destination,
            format_args!("is an address of the other family than {source}"),
        ));
    }
    let links = state.map.netns(own).map(|own| own.links.as_slice()).unwrap_or_default();
    if !links.iter().flat_map(|link| &link.addresses).any(|address| address.address == destination) {
        return Err(Failure::failed(destination, "is no address of this host"));
    }
    let protocol = match request.transport {
        Transport::Tcp => ProbeProtocol::Tcp(request.port),
        Transport::Udp => ProbeProtocol::Udp(request.port),
    };
    let probe = TraceProbe {
        source,
        is_bound: false,
        destination,
        scope: None,
        protocol,
        packet_bytes: PORT_BYTES,
        dont_fragment: false,
        ignores_known_mtu: false,
    };
    let (walk, published_by) = walk_in(&state, place, dest, &probe)?;
    let report = ReverseReport { report: expected(walk), published_by };
    print_reverse(&report, request.json)?;
    Ok(report.report.verdict.status())
}

/// The router of the host's default route: what comes from far away comes by its interface.
fn gateway(state: &HostState, own: u64, request: &ReverseRequest) -> Result<IpAddr, Failure> {
    let is_six = request.address.map_or(request.is_six, |address| address.is_ipv6());
    let visited = state.netns(own)?;
    let routes = visited.routes().iter().filter(|route| {
        route.is_default() && route.is_ordinary() && route.destination.address().is_ipv6() == is_six
    });
    let first = routes.filter(|route| route.gateway.is_some()).min_by_key(|route| route.metric);
    first.and_then(|route| route.gateway).ok_or_else(|| {
        Failure::failed(
            "--from",
            "this host has no default route by a router: say which address a client has",
        )
    })
}
