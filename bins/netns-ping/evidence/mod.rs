//! Evidence about a probe that was not answered, for the judge in `common::diagnose`. It is collected afterwards, so that
//! nothing is slower where all is well.

mod ask;
mod containers;
mod inspection;
mod own;
mod peer;
mod port_watch;
mod sizes;
mod watch;

use std::time::Duration;

use common::diagnose::{DestState, Evidence, NeighbourAnswer, ProbeKind, TargetState};
use common::netlink::{Neighbour, NetlinkError, Socket};
use nix::errno::Errno;
use nix::libc;

use crate::resolve::destination::{AddressSource, Destination};
use inspection::SMALL_BYTES;
pub use inspection::{EchoSpec, Inspection, PortSpec};
use watch::Watch;

/// A repeated probe is waited for no longer than that.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
impl Inspection<'_> {
    /// What is known without sending anything: links, addresses, routes, rules, and what has become of both containers.
    pub fn look(&self, to: &Destination, before: Option<Neighbour>) -> Evidence {
        let target = self.inside.target.to_string();
        let mut evidence = Evidence::new(&self.inside.name, &target, to.address, to.route, &to.link);
        evidence.neighbour_before = before;
        evidence.dest_name.clone_from(&to.name);
        if let AddressSource::Container(target) = &to.known {
            evidence.dest_target = Some(target.clone());
        }
        evidence.is_bound_to_link = self.net.origin.link.is_some();
        if let Ok(mut socket) = self.inside.open(Socket::open) {
            evidence.links = socket.links().ok();
            evidence.addresses = socket.addresses().ok();
            evidence.neighbours = socket.neighbours().ok();
        }
        if let Err(NetlinkError::Refused { errno, .. }) = self.net.route_to(to.address, to.route.index) {
            evidence.route_error = Some(errno);
        }
        own::read(self.inside, to.address.is_ipv4(), &mut evidence);
        evidence.target_state = containers::target_state(self.inside, self.endpoints);
        evidence.dest_state = containers::dest_state(to);
        evidence.dest_macs = containers::dest_macs(to);
        let has_no_carrier = evidence.link().is_some_and(|link| link.is_set_up() && !link.has_carrier());
        if has_no_carrier {
            evidence.peer = evidence.link().cloned().and_then(|link| peer::of(self.inside, &link));
        }
        evidence
    }

    /// The same, and what comes of ARP and of another probe: for an echo request that was not answered.
    pub fn look_closely(&self, evidence: &mut Evidence, to: &Destination, spec: &EchoSpec) {
        evidence.probe = ProbeKind::Echo { packet_bytes: spec.packet_bytes(to) };
        if is_explained(evidence) || to.is_group() {
            return;
        }
        evidence.asked = self.ask(evidence);
        if evidence.asked == NeighbourAnswer::Silent {
            return;
        }
        let wait = spec.timeout.min(LONGEST_WAIT);
        let mut watch = Watch { inspection: self, to, options: &spec.options, wait };
        let is_large = spec.payload_bytes > SMALL_BYTES;
        let sizes = [spec.payload_bytes, SMALL_BYTES];
        let Ok((mut watched, host)) = watch.round(&sizes[..if is_large { 2 } else { 1 }]) else { return };
        let small = if is_large { watched.pop() } else { None };
        let again = watched.pop();
        let is_lost = again.as_ref().is_some_and(|again| !again.is_answered && again.not_sent.is_none());
        if is_lost && small.as_ref().is_some_and(|small| small.is_answered) {
            evidence.sizes = sizes::search(&mut watch, spec.payload_bytes);
        }
        (evidence.again, evidence.small, evidence.host) = (again, small, host);
        // What was asked now may have changed it.
        evidence.neighbours = self.neighbours();
    }

    fn neighbours(&self) -> Option<Vec<Neighbour>> {
        self.inside.open(Socket::open).ok().and_then(|mut socket| socket.neighbours().ok())
    }

    /// What comes of ARP and of another probe of a port, watched here, on the host, and where DEST's address is.
    pub fn look_at_port(&self, evidence: &mut Evidence, to: &Destination, spec: &PortSpec) {
        let is_refused = evidence.refused > 0;
        if !is_refused {
            if is_explained(evidence) {
                return;
            }
            evidence.asked = self.ask(evidence);
            if evidence.asked == NeighbourAnswer::Silent {
                return;
            }
        }
        port_watch::watch(self, evidence, to, spec);
        evidence.neighbours = self.neighbours();
    }

    /// Whether somebody answers for the next hop.
    pub fn ask(&self, evidence: &Evidence) -> NeighbourAnswer {
        let without = (libc::IFF_NOARP | libc::IFF_LOOPBACK).cast_unsigned();
        let Some(link) = evidence.link() else { return NeighbourAnswer::NotAsked };
        let Some(mac) = link.mac.filter(|_| link.flags & without == 0 && !evidence.route.is_local) else {
            return NeighbourAnswer::NotAsked;
        };
        ask::ask(self, evidence, link.index, mac)
    }
}

/// What needs no more evidence: it is not about the way there.
fn is_explained(evidence: &Evidence) -> bool {
    let refused = evidence.not_sent.is_some_and(|(errno, _)| errno != Errno::ENOBUFS);
    let reported = evidence.icmp_error.is_some_and(|error| error.by != evidence.route.source);
    let cannot_carry = evidence.link().is_none_or(|link| !link.is_set_up() || !link.has_carrier());
    refused
        || reported
        || cannot_carry
        || evidence.target_state != TargetState::Alive
        || !matches!(evidence.dest_state, DestState::Fine | DestState::Frozen { .. })
}
