//! Whether the NIC is reached: seen, and not concluded from its links. The host, or the peer, has its kernel send something to each
//! address, and the NIC must have answered its ARP or neighbour discovery request, with its own MAC address, on the link that
//! the host's routes select. No firewall in the container answers or drops these.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::failure::{Failure, say};
use common::packet::neighbour::Segment;
use common::target::{IfName, Mac};

use crate::apply::executor::{Executor, StepError};
use crate::model::netns::Netns;
use crate::model::nic::{Nic, OtherEnd};
use crate::tool::TOOL;

/// The kernel asks again after a second.
const TIMEOUT: Duration = Duration::from_millis(2500);
const BETWEEN: Duration = Duration::from_micros(200);
/// Of the discard protocol (RFC 863): nobody answers it.
const DISCARD: u16 = 9;
/// linux/neighbour.h
const NUD_REACHABLE: u16 = 0x02;
const NUD_FAILED: u16 = 0x20;
const NUD_PERMANENT: u16 = 0x80;

/// When the NIC works, as far as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reachability {
    Now,
    /// It answers on its bridge, where the host has no address.
    OnTheBridge,
    /// Once the bridge forwards, the link has a carrier, or the other end has an address; or nobody could see it from here.
    Later,
}

/// What was seen of a NIC whose links work.
pub fn look(nic: &Nic, executor: &mut Executor) -> Result<Reachability, Failure> {
    let (netns, link) = match &nic.other_end {
        OtherEnd::Host(port) if !port.addresses.is_empty() => (Netns::Host, &port.name),
        OtherEnd::Peer(port) if !port.addresses.is_empty() => (Netns::Peer, &port.name),
        // Of a VLAN that it only switches, a bridge hears nothing itself.
        OtherEnd::Bridge { bridge, vlan: None, .. } => (Netns::Host, bridge),
        _ => return Ok(Reachability::Later),
    };
    let as_failure = |error: StepError| Failure::failed(&nic.name, error);
    let index = executor.index(netns, link).map_err(as_failure)?;
    let mut seen = Reachability::Now;
    for address in nic.addresses.iter().map(|cidr| cidr.address()) {
        if executor.route_to(netns, address).map_err(as_failure)? == Some(index) {
            if !answers((netns, index), address, nic.mac, executor)? {
                silent(address, link, nic);
                return Ok(Reachability::Later);
            }
        } else if netns == Netns::Host && nic.other_end.bridge().is_some() {
            if !answers_bridge(index, link, address, nic.mac, executor)? {
                silent(address, link, nic);
                return Ok(Reachability::Later);
            }
            seen = Reachability::OnTheBridge;
        } else {
            say(TOOL, format_args!("warning: {address}: routes do not lead there through {link}"));
            return Ok(Reachability::Later);
        }
    }
    Ok(seen)
}

fn silent(address: IpAddr, link: &IfName, nic: &Nic) {
    let asked = if address.is_ipv4() { "ARP" } else { "neighbour discovery" };
    say(
        TOOL,
        format_args!(
            "warning: {address}: {} does not answer {asked} on {link}: does a filter drop it?",
            nic.name
        ),
    );
}

/// Has the kernel of that netns send something, and waits until its neighbour table says who answered.
fn answers(
    (netns, index): (Netns, u32),
    address: IpAddr,
    mac: Mac,
    executor: &mut Executor,
) -> Result<bool, Failure> {
    let gone = || Failure::failed(address, "the network of the other end disappeared");
    let socket = executor.sockets.socket(netns).ok_or_else(gone)?;
    if let Some(known) = socket.neighbour(index, address)? {
        if known.state & NUD_PERMANENT != 0 {
            return Ok(known.mac == Some(mac));
        }
        // It may be of another one, or just announced: it proves nothing.
        if known.state != NUD_REACHABLE || known.mac != Some(mac) {
            let _ = socket.delete_neighbour(index, address);
        }
    }
    let send = || -> std::io::Result<usize> {
        let any =
            if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        UdpSocket::bind((any, 0))?.send_to(&[], (address, DISCARD))
    };
    let sent = executor.sockets.within(netns, send)?.ok_or_else(gone)?;
    if sent.is_err() {
        return Ok(false);
    }
    let until = Instant::now() + TIMEOUT;
    loop {
        let socket = executor.sockets.socket(netns).ok_or_else(gone)?;
        match socket.neighbour(index, address)? {
            Some(known) if known.state & NUD_REACHABLE != 0 => return Ok(known.mac == Some(mac)),
            Some(known) if known.state & NUD_FAILED != 0 => return Ok(false),
            _ if Instant::now() > until => return Ok(false),
            _ => sleep(BETWEEN),
        }
    }
}

/// The host has no address on the bridge: the bridge itself asks, without one.
fn answers_bridge(
    index: u32,
    bridge: &IfName,
    address: IpAddr,
    mac: Mac,
    executor: &mut Executor,
) -> Result<bool, Failure> {
    let Some(own) = executor.sockets.host.link_named(bridge)?.and_then(|link| link.mac) else {
        return Ok(false);
    };
    let waits = [Duration::from_millis(100), Duration::from_millis(900), Duration::from_millis(1000)];
    let claim = Segment { index, mac: own }.who_has(&[address], &waits, None)?;
    Ok(claim.is_some_and(|claim| claim.mac == mac))
}
