//! Sends a probe again, with packet sockets on all links of the container and of the host, and notes where it was seen.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::diagnose::{HostSight, Passage, TappedPacket, WatchedProbe};
use common::failure::Failure;
use common::namespace::{self, NamespaceKind};
use common::netlink::{IpsecTables, Link, Socket};
use common::packet::icmp::{EchoOptions, EchoSocket, InvalidReply, TOKEN_BYTES, TxEvent};
use common::packet::{IpFamily, Tap, TapLayer, TappedEcho, TappedKind, random, wait_for};

use super::inspection::Inspection;
use super::own;
use crate::resolve::destination::Destination;

/// What is still in a queue when the answer has been read.
const SETTLE: Duration = Duration::from_millis(2);

/// How probes are sent again.
pub(super) struct Watch<'a> {
    pub inspection: &'a Inspection<'a>,
    pub to: &'a Destination,
    pub options: &'a EchoOptions,
    /// How long an answer is waited for.
    pub wait: Duration,
}

/// A probe of one size.
struct SizedProbe {
    socket: EchoSocket,
    ident: u16,
    token: Vec<u8>,
    watched: WatchedProbe,
    /// What the container's taps saw, and whether it reached IP there.
    seen: Vec<(TappedEcho, bool)>,
    /// What the host's tap saw.
    host_seen: Vec<(TappedEcho, bool)>,
}

/// A tap, and what it is on.
struct PlacedTap {
    tap: Tap,
    is_hosts: bool,
    is_ip: bool,
}

impl Watch<'_> {
    /// One probe of each of these sizes, all at once: what became of each, and what the host saw of the first.
    pub fn round(
        &mut self,
        payload_bytes: &[usize],
    ) -> Result<(Vec<WatchedProbe>, Option<HostSight>), Failure> {
        let family = IpFamily::of(self.to.address);
        let mut taps = self.taps(family);
        let has_taps = taps.iter().any(|tap| !tap.is_hosts && !tap.is_ip);
        let mut probes =
            payload_bytes.iter().map(|bytes| self.probe(family, *bytes)).collect::<Result<Vec<_>, _>>()?;
        let filtered_before = own::rp_filtered(self.inspection.inside);
        for probe in &mut probes {
            probe.watched.has_taps = has_taps;
            probe.watched.not_sent = probe.socket.send(self.to.socket_address(), 1, 1).err();
        }
        self.listen(&mut probes, &mut taps, self.wait);
        let rp_filtered = filtered_before.zip(own::rp_filtered(self.inspection.inside));
        let hosts = self.host_sight(&taps, &probes);
        let mut socket = self.inspection.inside.open(Socket::open)?;
        let links = socket.links().unwrap_or_default();
        let finished = probes.into_iter().map(|probe| {
            let SizedProbe { mut watched, seen, .. } = probe;
            watched.rp_filtered = rp_filtered.map(|(before, after)| after.saturating_sub(before));
            watched.seen = seen
                .iter()
                .map(|(tapped, reached_ip)| {
                    let mut one = passage(tapped, *reached_ip, &links);
                    if one.passage == Passage::AnswerIn {
                        one.input_route =
                            socket.input_refusal(tapped.to, tapped.from, tapped.index).ok().flatten();
                    }
                    one
                })
                .collect();
            watched
        });
        Ok((finished.collect(), hosts))
    }

    /// Without permission there are none.
    fn taps(&self, family: IpFamily) -> Vec<PlacedTap> {
        let inside = self.inspection.inside;
        let placed = |tap, is_hosts, is_ip| PlacedTap { tap, is_hosts, is_ip };
        let mut taps = Vec::new();
        for (layer, is_ip) in [(TapLayer::Link, false), (TapLayer::Ip, true)] {
            taps.extend(inside.open_to_ask(|| Tap::open(family, layer)).map(|tap| placed(tap, false, is_ip)));
        }
        let is_elsewhere =
            namespace::own_identity(NamespaceKind::Net).is_ok_and(|own| own != inside.netns.identity());
        if is_elsewhere {
            taps.extend(Tap::open(family, TapLayer::Link).map(|tap| placed(tap, true, false)));
        }
        taps
    }

    fn probe(&self, family: IpFamily, bytes: usize) -> Result<SizedProbe, Failure> {
        let [a, b, token @ ..] =
            random::<{ TOKEN_BYTES + 2 }>().map_err(|errno| Failure::failed("random numbers", errno))?;
        let ident = u16::from_be_bytes([a, b]);
        let payload: Vec<u8> = (0..bytes).map(|at| token.get(at).copied().unwrap_or(at as u8)).collect();
        let options = EchoOptions { batch: 1, ..self.options.clone() };
        let open = || EchoSocket::open(family, ident, &payload, &options);
        let socket =
            self.inspection.inside.open(|| open().map_err(|error| Failure::failed("socket", error)))?;
        let token = payload.into_iter().take(TOKEN_BYTES).collect();
        Ok(SizedProbe {
            socket,
            ident,
            token,
            watched: WatchedProbe::default(),
            seen: Vec::new(),
            host_seen: Vec::new(),
        })
    }

    /// Takes in what comes until all are answered, or that time is over.
    fn listen(&self, probes: &mut [SizedProbe], taps: &mut [PlacedTap], wait: Duration) {
        let mut until = Instant::now() + wait;
        loop {
            for probe in probes.iter_mut() {
                let watched = &mut probe.watched;
                let _ = probe.socket.receive(|received| match received.answer {
                    Ok(_) => watched.is_answered = true,
                    Err(InvalidReply::Checksum | InvalidReply::Unproven { .. }) => {
                        watched.is_corrupted = true
                    }
                    Err(InvalidReply::Short | InvalidReply::NoReply) => {}
                });
                probe.socket.events(|event| {
                    if let TxEvent::Error { error, sequence: Some(_), .. } = event {
                        watched.error = Some(error);
                    }
                });
            }
            for placed in taps.iter_mut() {
                let is_hosts = placed.is_hosts;
                let is_ip = placed.is_ip;
                placed.tap.read(|tapped| {
                    for probe in probes.iter_mut().filter(|probe| is_of(&tapped, probe, self.to)) {
                        note(probe, &tapped, is_hosts, is_ip);
                    }
                });
            }
            let now = Instant::now();
            if now >= until {
                return;
            }
            let is_over = |probe: &SizedProbe| probe.watched.is_answered || probe.watched.not_sent.is_some();
            if probes.iter().all(is_over) {
                until = until.min(now + SETTLE);
            }
            let sockets = probes.iter().map(|probe| probe.socket.as_fd());
            let fds = std::iter::once(self.inspection.stop)
                .chain(sockets)
                .chain(taps.iter().map(|tap| tap.tap.as_fd()));
            match wait_for(fds, until) {
                Ok(ready) if ready.first() != Some(&0) => {}
                _ => return,
            }
        }
    }

    /// What the host saw of the first probe.
    fn host_sight(&self, taps: &[PlacedTap], probes: &[SizedProbe]) -> Option<HostSight> {
        taps.iter().find(|tap| tap.is_hosts)?;
        let probe = probes.first()?;
        let mut socket = Socket::open().ok()?;
        let links = socket.links().ok()?;
        let seen: Vec<TappedPacket> =
            probe.host_seen.iter().map(|(tapped, _)| passage(tapped, true, &links)).collect();
        if seen.is_empty() {
            return None;
        }
        let is_dest = socket.addresses().ok()?.iter().any(|own| own.address == self.to.address);
        let hooks = own::hooks(self.to.address.is_ipv4());
        Some(HostSight { seen, is_dest, hooks, ipsec: IpsecTables::read().ok() })
    }
}

/// What a tapped packet is to the judge.
fn passage(tapped: &TappedEcho, reached_ip: bool, links: &[Link]) -> TappedPacket {
    let passage = match (&tapped.kind, tapped.is_outgoing) {
        (TappedKind::Request(..), true) => Passage::RequestOut,
        (TappedKind::Request(..), false) => Passage::RequestIn,
        (TappedKind::Reply(..), true) => Passage::AnswerOut,
        (TappedKind::Reply(..), false) => Passage::AnswerIn,
        (TappedKind::Error(error, ..), _) => Passage::ErrorIn(*error),
    };
    let link = links.iter().find(|link| link.index == tapped.index);
    let link = link.map_or_else(|| tapped.index.to_string(), |link| link.name.to_string_lossy().into_owned());
    TappedPacket { passage, index: tapped.index, link, reached_ip, input_route: None }
}

/// Whether a packet is about this probe: by the random bytes that it begins with, or where there are too few of them by its
/// number. An error need not quote them.
fn is_of(tapped: &TappedEcho, probe: &SizedProbe, to: &Destination) -> bool {
    const ENOUGH: usize = 4;
    match &tapped.kind {
        TappedKind::Request(ident, _, data) | TappedKind::Reply(ident, _, data) => match probe.token.len() {
            ENOUGH.. => *data == probe.token,
            _ => *ident == probe.ident,
        },
        TappedKind::Error(_, ident, _, about) => *ident == probe.ident && *about == to.address,
    }
}

fn note(probe: &mut SizedProbe, tapped: &TappedEcho, is_hosts: bool, is_ip: bool) {
    // One that was given another number on the way is no answer to the socket; on the host NAT may have changed it.
    let is_renumbered = matches!(&tapped.kind, TappedKind::Reply(ident, ..) if *ident != probe.ident);
    if is_renumbered && !is_hosts && probe.socket.is_raw() {
        return;
    }
    let list = if is_hosts { &mut probe.host_seen } else { &mut probe.seen };
    match list.iter_mut().find(|(known, _)| known == tapped) {
        Some((_, reached_ip)) => *reached_ip |= is_ip,
        None => list.push((tapped.clone(), is_ip)),
    }
}
