//! A frame on its way through cables and bridges, from the interface that it leaves by to the one that takes it.

use std::net::IpAddr;

use common::diagnose::Cause;
use common::hint;
use common::map::{LinkEnd, LinkPlace};

use super::segment::{FrameReach, FrameStep, SegmentStation, reach};
use super::walker::{PacketStep, StopReason, Walker};
use crate::model::TraceVerdict;

/// What the kernel adds to an MTU before it drops a frame on a cable: the header of a VLAN (is_skb_forwardable).
const SPARE_BYTES: u32 = 4;

impl Walker<'_> {
    /// The packet leaves by `out`, for whoever has the address of the next hop.
    pub fn transmit(&mut self, out: LinkPlace, next_hop: IpAddr) -> PacketStep {
        self.egress(out);
        if !self.is_plugged_in(out) {
            return PacketStep::Stopped;
        }
        let map = &self.state.map;
        let reach = reach(map, out);
        let mut owners: Vec<SegmentStation> = reach.with_address(map, next_hop).cloned().collect();
        if owners.is_empty() {
            owners = self.proxies(&reach, next_hop);
        }
        let Some(station) = self.chosen(out, next_hop, &owners) else {
            let exit = reach
                .exits
                .iter()
                .find(|exit| map.link(exit.place).is_some_and(|link| link.link.is_set_up()));
            if let Some(exit) = exit.cloned() {
                self.carry(out, &exit, true);
                if self.is_unseen(exit.place) {
                    self.doubt(format!(
                        "{}: its other end is in a namespace that could not be looked at",
                        self.at(exit.place)
                    ));
                }
                return PacketStep::Left(exit.place);
            }
            self.nobody(out, next_hop, &reach);
            return PacketStep::Stopped;
        };
        let is_known = self.neighbour(out, next_hop, &station, &owners);
        self.carry(out, &station, is_known);
        self.question = None;
        PacketStep::Arrived(station.place)
    }

    /// Routers that answer ARP for what is behind them: ip-sysctl.rst, proxy_arp.
    fn proxies(&self, reach: &FrameReach, next_hop: IpAddr) -> Vec<SegmentStation> {
        let is_one = |station: &&SegmentStation| {
            let place = station.place;
            let is_on = |name: &str| {
                self.state.is_on(place.netns, &format!("ipv4/conf/{name}/proxy_arp")) == Some(true)
            };
            let leads_on = || {
                let route = self.state.netns(place.netns).ok()?.route_out(next_hop, None, None, None).ok()?;
                Some(route.index? != place.index)
            };
            next_hop.is_ipv4()
                && (is_on("all") || is_on(&self.link_name(place)))
                && self.forwards(place)
                && leads_on() == Some(true)
        };
        reach.stations.iter().filter(is_one).cloned().collect()
    }

    fn is_unseen(&self, place: LinkPlace) -> bool {
        matches!(self.state.map.link(place).and_then(|link| link.end), Some(LinkEnd::Unseen { .. }))
    }

    /// Whether an interface carries frames at all; why not is noted.
    fn is_plugged_in(&mut self, out: LinkPlace) -> bool {
        let Some(link) = self.state.map.link(out) else { return false };
        if !link.link.is_set_up() {
            self.link_down(out, Cause::LinkDown);
            return false;
        }
        if link.link.has_carrier() || link.link.is_bridge() {
            return true;
        }
        match link.end {
            Some(LinkEnd::Known(end))
                if self.state.map.link(end).is_some_and(|end| !end.link.is_set_up()) =>
            {
                let cause = self.cause_of_down(end);
                self.link_down(end, cause);
            }
            _ => {
                let text = format!("{}: has no carrier: nothing is plugged into it", self.at(out));
                let reason = StopReason::new(Cause::NoCarrier, TraceVerdict::Lost, text);
                let place = self.link_place(out, None);
                self.stop(place, reason);
            }
        }
        false
    }

    /// What it is called that this interface is down: it may be the destination's own.
    fn cause_of_down(&self, place: LinkPlace) -> Cause {
        let is_plain = |netns: u64| self.state.map.netns(netns).is_some_and(|netns| netns.is_own);
        let is_port = self.state.map.link(place).is_some_and(|link| link.link.master.is_some());
        match () {
            () if is_port || is_plain(place.netns) => Cause::NoCarrier,
            () if place.netns == self.origin => Cause::LinkDown,
            () => Cause::DestLinkDown,
        }
    }

    /// An interface is down.
    pub fn link_down(&mut self, place: LinkPlace, cause: Cause) {
        let what = match cause {
            Cause::NoCarrier => "is down, so the other end of the cable has no carrier",
            _ => "is down",
        };
        let text = format!("{}: {what}", self.at(place));
        let command = self.pasted(place).and_then(|name| hint!("ip link set {} up", name));
        // Without its interface the sender has no route either, and its kernel says so.
        let is_own = place.netns == self.origin && cause == Cause::LinkDown;
        let verdict = if is_own { TraceVerdict::Unreachable } else { TraceVerdict::Lost };
        let reason = StopReason::new(cause, verdict, text).fixed_by(self.inside(place.netns, command));
        let where_it_is = self.link_place(place, None);
        self.stop(where_it_is, reason);
    }

    /// The frame goes its way. `is_known` says that the sender knows the receiver's MAC address, and need not ask.
    fn carry(&mut self, out: LinkPlace, station: &SegmentStation, is_known: bool) {
        for step in &station.way {
            match *step {
                FrameStep::Cable(from, to) => self.cross(out, from, to, station.place),
                FrameStep::Bridge { bridge, from, to } => {
                    self.bridge(bridge, from, to, station.place, is_known);
                }
                FrameStep::Macvlan(_, to) => self.macvlan(to),
            }
        }
        if let Some(FrameStep::Bridge { .. }) = station.way.last() {
            self.pass(station.place);
        }
    }

    fn cross(&mut self, out: LinkPlace, from: LinkPlace, to: LinkPlace, last: LinkPlace) {
        if from != out {
            self.pass(from);
        }
        let is_up = |place: LinkPlace| self.state.map.link(place).is_some_and(|link| link.link.is_set_up());
        match (is_up(from), is_up(to)) {
            (false, _) if from != out => self.link_down(from, Cause::NoCarrier),
            (_, false) => {
                let cause = if to == last { self.cause_of_down(to) } else { Cause::NoCarrier };
                self.link_down(to, cause);
            }
            _ => {}
        }
        if from != out {
            self.egress(from);
        }
        self.squeeze(from, out);
        self.squeeze(to, out);
        self.questioned_on_cable(from, to);
        self.pass(to);
        self.ingress(to);
    }

    /// A cable, or a port of a bridge, drops what is too large without a word.
    fn squeeze(&mut self, place: LinkPlace, out: LinkPlace) {
        let Some(link) = self.state.map.link(place).filter(|_| place != out) else { return };
        let (mtu, bytes) = (link.link.mtu_bytes, u32::from(self.packet.bytes));
        if bytes <= mtu + SPARE_BYTES {
            return;
        }
        let text = format!(
            "{}: the packet has {bytes} bytes, and what is greater than its MTU of {mtu} is dropped without a word",
            self.at(place)
        );
        let reason = StopReason::new(Cause::Mtu, TraceVerdict::Lost, text);
        let reason = reason.fixed_by(self.raised_mtu(place, mtu)).or_advised(format!(
            "send packets of at most {mtu} bytes, or give both ends of the cable the same MTU"
        ));
        let where_it_is = self.link_place(place, None);
        self.stop(where_it_is, reason);
    }

    fn macvlan(&mut self, to: LinkPlace) {
        let is_up = |place: LinkPlace| self.state.map.link(place).is_some_and(|link| link.link.is_set_up());
        if !is_up(to) {
            self.link_down(to, Cause::NoCarrier);
        }
        self.pass(to);
    }
}
