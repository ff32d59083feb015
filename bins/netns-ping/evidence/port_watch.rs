//! Probes a port once more, with packet sockets in the container, on the host, and in each network of this host that has the
//! destination's address: only where the probe arrives do the sockets that wait there tell anything about it.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::diagnose::{DestSight, Evidence, HostSight, Passage, TappedPacket, WatchedProbe};
use common::failure::Failure;
use common::map::walk;
use common::namespace::{self, Namespace, NamespaceKind};
use common::netlink::{IpsecTables, Link, Netfilter, Socket, listening};
use common::netns::Home;
use common::packet::port::{PortAnswer, PortSocket};
use common::packet::{IpFamily, PortTap, SegmentKind, TapLayer, TappedSegment, wait_for_each};
use common::target::{DestPort, Transport};
use nix::libc;

use super::inspection::{Inspection, PortSpec};
use super::own;
use crate::resolve::destination::Destination;

/// An answer is waited for no longer than that: a SYN is sent again after a second.
const LONGEST_WAIT: Duration = Duration::from_millis(800);
/// What is still in a queue when the answer has been read.
const SETTLE: Duration = Duration::from_millis(3);
/// Of so many networks that have the address one is looked for to which packets go.
const MOST_PLACES: usize = 8;

/// Where a tap is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TapPlace {
    /// In the container, as packets come from links and are given to them.
    Here,
    /// In the container, as packets are given to IP.
    HereIp,
    /// On the host.
    Host,
    /// In that one of the networks that have the address.
    There(usize),
}

/// A probe, and what was seen of it.
struct PortProbe {
    /// The address and the port that it comes from.
    from: SocketAddr,
    to: SocketAddr,
    transport: Transport,
    seen: Vec<(TapPlace, TappedSegment)>,
}

/// Adds what it finds to the evidence; without permission for taps that is little.
pub(super) fn watch(inspection: &Inspection<'_>, evidence: &mut Evidence, to: &Destination, spec: &PortSpec) {
    let places = places(inspection, to);
    let mut taps = open_taps(inspection, &places, IpFamily::of(to.address), spec.port);
    let filtered_before = own::rp_filtered(inspection.inside);
    let mut address = to.socket_address();
    address.set_port(spec.port.number);
    let (transport, options) = (spec.port.transport, &spec.options);
    let open = || Ok::<_, Failure>(PortSocket::open(transport, address, options, &spec.payload));
    let Ok(Ok(socket)) = inspection.inside.open(open) else { return };
    let Some(from) = socket.source() else { return };
    let mut probe = PortProbe { from, to: address, transport, seen: Vec::new() };
    let until = Instant::now() + spec.timeout.min(LONGEST_WAIT);
    let answer = listen((inspection, until), &socket, &mut taps, &mut probe);
    let mut watched = WatchedProbe {
        has_taps: taps.iter().any(|(place, _)| *place == TapPlace::Here),
        rp_filtered: filtered_before
            .zip(own::rp_filtered(inspection.inside))
            .map(|(before, after)| after.saturating_sub(before)),
        seen: seen_here(inspection, &probe),
        ..WatchedProbe::default()
    };
    match &answer {
        Some(PortAnswer::Connected { .. } | PortAnswer::Datagram { .. }) => watched.is_answered = true,
        Some(PortAnswer::Reset) => evidence.refused += 1,
        Some(PortAnswer::Error(error)) => watched.error = Some(*error),
        Some(PortAnswer::Failed(_)) | None => {}
    }
    evidence.again = Some(watched);
    if transport == Transport::Tcp && taps.iter().any(|(place, _)| *place == TapPlace::Host) {
        evidence.host = host_sight(to.address, &probe);
    }
    evidence.there = places.and_then(|places| dest_sight(inspection, &places, &taps, &probe, spec.port));
}

/// The networks of this host that have the address; `None` where they cannot be looked for, or there are too many. Of an
/// address of the container itself only its own.
fn places(inspection: &Inspection<'_>, to: &Destination) -> Option<Vec<Namespace>> {
    let inside = inspection.inside;
    // Where we cannot come back from inside, nothing of the host is within reach.
    if !inside.is_open_to_us() {
        return None;
    }
    let seen = walk(|mut visit| {
        let is_it = match to.route.is_local {
            true => visit.entry.identity == inside.netns.identity(),
            false => visit.socket.addresses()?.iter().any(|own| own.address == to.address),
        };
        Ok(is_it.then_some(visit.namespace))
    });
    let seen = seen.ok()?.seen;
    (seen.len() <= MOST_PLACES).then_some(seen)
}

fn open_taps(
    inspection: &Inspection<'_>,
    places: &Option<Vec<Namespace>>,
    family: IpFamily,
    port: DestPort,
) -> Vec<(TapPlace, PortTap)> {
    let inside = inspection.inside;
    let mut taps = Vec::new();
    for (place, layer) in [(TapPlace::Here, TapLayer::Link), (TapPlace::HereIp, TapLayer::Ip)] {
        let opened = inside.open_to_ask(|| PortTap::open(family, port, layer));
        taps.extend(opened.map(|tap| (place, tap)));
    }
    let is_elsewhere =
        namespace::own_identity(NamespaceKind::Net).is_ok_and(|own| own != inside.netns.identity());
    if is_elsewhere {
        taps.extend(PortTap::open(family, port, TapLayer::Link).map(|tap| (TapPlace::Host, tap)));
    }
    let Ok(home) = Home::current() else { return taps };
    for (at, netns) in places.iter().flatten().enumerate() {
        let opened = home.inside(netns, || PortTap::open(family, port, TapLayer::Link));
        taps.extend(opened.ok().and_then(Result::ok).map(|tap| (TapPlace::There(at), tap)));
    }
    taps
}

/// Takes in what comes until it is answered, or that time is over.
fn listen(
    (inspection, mut until): (&Inspection<'_>, Instant),
    socket: &PortSocket,
    taps: &mut [(TapPlace, PortTap)],
    probe: &mut PortProbe,
) -> Option<PortAnswer> {
    let mut answer = None;
    loop {
        for (place, tap) in taps.iter_mut() {
            tap.read(|segment| probe.seen.push((*place, segment)));
        }
        let now = Instant::now();
        if now >= until {
            return answer;
        }
        if answer.is_none() {
            answer = socket.answer();
            if answer.is_some() {
                until = until.min(now + SETTLE);
                continue;
            }
        }
        let is_tcp = probe.transport == Transport::Tcp;
        let own = answer.is_none().then(|| (socket.as_fd(), is_tcp));
        let fds = std::iter::once((inspection.stop, false))
            .chain(taps.iter().map(|(_, tap)| (tap.as_fd(), false)))
            .chain(own);
        match wait_for_each(fds, until) {
            Ok(ready) if ready.first() != Some(&0) => {}
            _ => return answer,
        }
    }
}

impl PortProbe {
    /// The number of its SYN, as it left the container.
    fn number(&self) -> Option<u32> {
        self.seen.iter().find_map(|(place, segment)| match segment.kind {
            SegmentKind::Syn(number)
                if *place == TapPlace::Here && segment.from.port() == self.from.port() =>
            {
                Some(number)
            }
            _ => None,
        })
    }

    /// Whether it is the probe, wherever NAT has sent it.
    fn is_request(&self, segment: &TappedSegment) -> bool {
        match segment.kind {
            SegmentKind::Syn(number) => self.number() == Some(number),
            SegmentKind::Datagram => self.is_from(segment) && is_same(segment.to, self.to),
            SegmentKind::Answer(_) => false,
        }
    }

    /// Whether it answers it, or refuses.
    fn is_answer(&self, segment: &TappedSegment) -> bool {
        match segment.kind {
            SegmentKind::Answer(number) => self.number().is_some_and(|own| number == own.wrapping_add(1)),
            SegmentKind::Datagram => is_same(segment.from, self.to) && is_same(segment.to, self.from),
            SegmentKind::Syn(_) => false,
        }
    }

    fn is_from(&self, segment: &TappedSegment) -> bool {
        is_same(segment.from, self.from)
    }

    fn at(&self, place: TapPlace) -> impl Iterator<Item = &TappedSegment> {
        self.seen.iter().filter(move |(seen, _)| *seen == place).map(|(_, segment)| segment)
    }

    /// What a tap saw of it, in words of the judge.
    fn passages(&self, place: TapPlace, links: &[Link]) -> Vec<TappedPacket> {
        let mut passages: Vec<TappedPacket> = Vec::new();
        for segment in self.at(place) {
            let passage = match (self.is_request(segment), self.is_answer(segment), segment.is_outgoing) {
                (true, _, true) => Passage::RequestOut,
                (true, _, false) => Passage::RequestIn,
                (_, true, true) => Passage::AnswerOut,
                (_, true, false) => Passage::AnswerIn,
                (false, false, _) => continue,
            };
            let index = segment.index;
            let link = links.iter().find(|link| link.index == index);
            let link =
                link.map_or_else(|| index.to_string(), |link| link.name.to_string_lossy().into_owned());
            let seen = TappedPacket { passage, index, link, reached_ip: true, input_route: None };
            if !passages.contains(&seen) {
                passages.push(seen);
            }
        }
        passages
    }
}

/// Without the link of a link-local address.
fn is_same(a: SocketAddr, b: SocketAddr) -> bool {
    (a.ip(), a.port()) == (b.ip(), b.port())
}

fn seen_here(inspection: &Inspection<'_>, probe: &PortProbe) -> Vec<TappedPacket> {
    let Ok(mut socket) = inspection.inside.open(Socket::open) else { return Vec::new() };
    let links = socket.links().unwrap_or_default();
    let mut passages = probe.passages(TapPlace::Here, &links);
    let at_ip = probe.passages(TapPlace::HereIp, &links);
    for seen in passages.iter_mut().filter(|seen| seen.passage == Passage::AnswerIn) {
        seen.reached_ip =
            at_ip.iter().any(|at_ip| at_ip.index == seen.index && at_ip.passage == seen.passage);
        seen.input_route = socket.input_refusal(probe.from.ip(), probe.to.ip(), seen.index).ok().flatten();
    }
    passages
}

fn host_sight(to: IpAddr, probe: &PortProbe) -> Option<HostSight> {
    let mut socket = Socket::open().ok()?;
    let seen = probe.passages(TapPlace::Host, &socket.links().ok()?);
    if seen.is_empty() {
        return None;
    }
    let is_dest = socket.addresses().ok()?.iter().any(|own| own.address == to);
    Some(HostSight { seen, is_dest, hooks: own::hooks(to.is_ipv4()), ipsec: IpsecTables::read().ok() })
}

/// What of the probe was seen where the address is: in the one network where it arrived, or else in the only one that has it.
fn dest_sight(
    inspection: &Inspection<'_>,
    places: &[Namespace],
    taps: &[(TapPlace, PortTap)],
    probe: &PortProbe,
    port: DestPort,
) -> Option<DestSight> {
    let home = Home::current().ok()?;
    let arrived = places.iter().enumerate().find(|(at, netns)| {
        let is_own = netns.identity() == inspection.inside.netns.identity();
        let place = TapPlace::There(*at);
        let has_come = probe.at(place).any(|segment| {
            let is_for_it = segment.is_for_us && is_same(segment.to, probe.to);
            !segment.is_outgoing && is_for_it && probe.is_request(segment)
        });
        let has_left = probe.at(place).any(|segment| segment.is_outgoing && probe.is_request(segment));
        let is_translated = || home.inside(netns, || is_translated(probe)).unwrap_or(true);
        has_come && (is_own || !has_left) && !is_translated()
    });
    if let Some((at, netns)) = arrived {
        let has_answered =
            probe.at(TapPlace::There(at)).any(|segment| segment.is_outgoing && probe.is_answer(segment));
        let listening = home.inside(netns, || listening(port.transport, port.number));
        let listening = listening.ok().and_then(Result::ok);
        return Some(DestSight { has_arrived: true, has_answered, listening });
    }
    // NAT may have given a datagram another source, and then it was not recognized.
    let is_watched = taps.iter().any(|(place, _)| *place == TapPlace::There(0));
    let is_sure = probe.transport == Transport::Tcp && probe.number().is_some() && is_watched;
    let has_come = probe.at(TapPlace::There(0)).any(|segment| probe.is_request(segment));
    (places.len() == 1 && is_sure && !has_come).then(DestSight::default)
}

/// Whether connection tracking of the network that this thread is in gives it another destination.
fn is_translated(probe: &PortProbe) -> bool {
    let protocol = match probe.transport {
        Transport::Tcp => libc::IPPROTO_TCP,
        Transport::Udp => libc::IPPROTO_UDP,
    };
    let flows = || {
        let Some(mut netfilter) = Netfilter::open()? else { return Ok(None) };
        let protocol = u8::try_from(protocol).unwrap_or_default();
        let number = (protocol, probe.to.port());
        netfilter.flows_to(probe.to.is_ipv4(), number, |flow| {
            let is_ours = flow.original.source == (probe.from.ip(), probe.from.port());
            let to = (probe.to.ip(), probe.to.port());
            is_ours && flow.original.destination == to && flow.reply.source != to
        })
    };
    match flows() {
        Ok(Some(found)) => !found.is_empty(),
        Ok(None) => false,
        Err::<_, common::netlink::NetlinkError>(_) => true,
    }
}
