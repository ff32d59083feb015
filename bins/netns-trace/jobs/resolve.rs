//! From TARGET and DEST to a namespace and a packet.

use std::net::{IpAddr, Ipv4Addr};

use common::cli::FindSession;
use common::failure::Failure;
use common::target::{Dest, DestHost, Transport};

use crate::model::{ProbeProtocol, TraceProbe};
use crate::request::TraceRequest;
use crate::state::HostState;
use crate::tool::TOOL;

/// What TARGET and DEST mean.
#[derive(Debug)]
pub struct ResolvedTrace {
    /// The inode of the namespace that the packet comes from.
    pub from: u64,
    /// The packet.
    pub probe: TraceProbe,
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
    let netns = found.into_netns()?;
    let from = netns.identity().inode;
    let destination = match request.dest.host() {
        Some(DestHost::Address(address, _)) => *address,
        _ => return Err(Failure::failed(&request.dest, "is no address")),
    };
    let route = state.netns(from)?.route_out(destination, request.from, None, None);
    let unspecified = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let source = request.from.or_else(|| route.ok().and_then(|route| route.source)).unwrap_or(unspecified);
    let protocol = match &request.dest {
        Dest::Port(_, port) if port.transport == Transport::Tcp => ProbeProtocol::Tcp(port.number),
        Dest::Port(_, port) => ProbeProtocol::Udp(port.number),
        _ => ProbeProtocol::Echo,
    };
    let probe = TraceProbe {
        source,
        is_bound: request.from.is_some(),
        destination,
        scope: None,
        protocol,
        packet_bytes: request.size.unwrap_or(84),
        dont_fragment: request.size.is_some(),
    };
    Ok(ResolvedTrace { from, probe })
}
