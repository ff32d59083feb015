//! A packet leaves a namespace: the postrouting hook, the MTU, and the interface.

use common::diagnose::Cause;
use common::firewall::ChainHook;
use common::hint;
use common::map::{LinkEnd, LinkPlace};
use common::netlink::RouteLookup;

use super::packet::FlyingPacket;
use super::walker::{PacketStep, StopReason, Walker};
use crate::model::{HopHook, TraceVerdict};

/// Disciplines that queue, and drop only what is too much for the link.
const HARMLESS: [&str; 8] = ["noqueue", "fq_codel", "fq", "pfifo_fast", "mq", "cake", "clsact", "ingress"];

impl Walker<'_> {
    /// It was routed, and leaves.
    pub fn leave(
        &mut self,
        netns: u64,
        route: &RouteLookup,
        from: Option<&str>,
        before: FlyingPacket,
    ) -> PacketStep {
        let Some(index) = route.index else { return PacketStep::Stopped };
        let out = LinkPlace { netns, index };
        let next_hop = route.gateway.unwrap_or(self.packet.destination);
        let name = self.link_name(out);
        if self.state.map.link(out).is_none() {
            self.doubt(format!("{}: an interface came or went meanwhile", self.who(netns)));
            return PacketStep::Stopped;
        }
        self.pass(out);
        self.hook(netns, ChainHook::Postrouting, None, Some(&name));
        self.restore_source(netns);
        self.track(netns, before);
        if from.is_none() {
            self.fits(out);
            self.fits_path(out, route);
        }
        self.transmit(out, next_hop)
    }

    /// The source of an answer becomes again what the probe was sent to.
    pub fn restore_source(&mut self, netns: u64) {
        let packet = &self.packet;
        let is_its = |flow: &&super::packet::TrackedPacket| {
            flow.netns == netns
                && packet.is_answer
                && packet.source == flow.after.destination
                && packet.destination == flow.before.source
        };
        if let Some(flow) = self.tracked.iter().find(is_its) {
            let (address, port) = (flow.before.destination, flow.before.port);
            self.packet.source = address;
            self.packet.source_port = port;
        }
    }

    /// A packet that may not be split has to fit the interface.
    pub fn fits(&mut self, out: LinkPlace) {
        let Some(link) = self.state.map.link(out) else { return };
        let (mtu, bytes) = (link.link.mtu_bytes, u32::from(self.packet.bytes));
        if bytes <= mtu || !self.packet.dont_fragment || link.link.is_loopback() {
            return;
        }
        let text = format!(
            "{}: the packet has {bytes} bytes and may not be split, and the MTU is {mtu}",
            self.at(out)
        );
        let reason = StopReason::new(Cause::Mtu, TraceVerdict::Unreachable, text);
        let reason = reason
            .fixed_by(self.raised_mtu(out, mtu))
            .or_advised(format!("send packets of at most {mtu} bytes"));
        let place = self.link_place(out, None);
        self.stop(place, reason);
    }

    /// The sender knows of a smaller MTU on the way, by its route or because a router said so.
    fn fits_path(&mut self, out: LinkPlace, route: &RouteLookup) {
        if self.probe.ignores_known_mtu && !self.packet.is_answer {
            return;
        }
        let bytes = u32::from(self.packet.bytes);
        let Some(mtu) = route.mtu_bytes.filter(|mtu| bytes > *mtu && self.packet.dont_fragment) else {
            return;
        };
        let says = if route.is_mtu_learned { "a router has said that" } else { "the route says that" };
        let text = format!(
            "{}: the packet has {bytes} bytes and may not be split, and {says} the MTU on the way is {mtu}",
            self.at(out)
        );
        let reason = StopReason::new(Cause::Mtu, TraceVerdict::Unreachable, text);
        let forget = hint!("{} route flush cache", self.ip());
        let place = self.link_place(out, None);
        if route.is_mtu_learned {
            self.stop_last(place, reason.fixed_by(self.inside(out.netns, forget)));
        } else {
            let advice = format!("send packets of at most {mtu} bytes, or change the mtu of the route");
            self.stop(place, reason.advised(advice));
        }
    }

    /// The command that gives an interface the MTU of the other end of its cable, where that is greater.
    pub fn raised_mtu(&self, place: LinkPlace, mtu: u32) -> Option<common::hint::Hint> {
        let link = self.state.map.link(place)?;
        let Some(LinkEnd::Known(end)) = link.end else { return None };
        let other = self.state.map.link(end)?.link.mtu_bytes;
        let command = hint!("ip link set {} mtu {}", self.pasted(place)?, other);
        if link.link.is_veth() && other > mtu { self.inside(place.netns, command) } else { None }
    }

    /// What is attached where it leaves an interface.
    pub fn egress(&mut self, out: LinkPlace) {
        self.device_hook(out, HopHook::Egress);
        self.attached(out, HopHook::Egress, "egress");
        let Ok(visited) = self.state.netns(out.netns) else { return };
        let is_shaper = |kind: &str| !HARMLESS.contains(&kind);
        let shapers =
            visited.programs().iter().filter(|one| one.index == out.index && one.program.hook == "qdisc");
        let Some(kind) = shapers.filter_map(|one| one.program.name.clone()).find(|kind| is_shaper(kind))
        else {
            return;
        };
        let text = format!("{}: the queueing discipline {kind} may drop the packet", self.at(out));
        let command = self.pasted(out).and_then(|name| hint!("tc qdisc del dev {} root", name));
        let reason = StopReason::new(Cause::QdiscDrop, TraceVerdict::Lost, text);
        let reason = reason.fixed_by(self.inside(out.netns, command));
        let place = self.link_place(out, Some(HopHook::Egress));
        self.suspect(place, reason);
    }

    /// What is attached where it comes in by an interface.
    pub fn ingress(&mut self, link: LinkPlace) {
        self.attached(link, HopHook::Ingress, "ingress");
        self.device_hook(link, HopHook::Ingress);
    }

    /// tc filters and XDP programs: what they do with a packet is theirs to know.
    fn attached(&mut self, link: LinkPlace, hook: HopHook, way: &str) {
        let Ok(visited) = self.state.netns(link.netns) else { return };
        let of_link = || visited.programs().iter().filter(|one| one.index == link.index);
        let is_it = |name: &str| name.ends_with(way) || way == "ingress" && name == "xdp";
        let Some(found) = of_link().find(|one| is_it(&one.program.hook)) else { return };
        let what = match found.program.hook.as_str() {
            "xdp" => "an XDP program".to_owned(),
            hook => format!("a {hook} filter"),
        };
        let text = format!("{}: {what} may drop the packet", self.at(link));
        // Where the other direction has filters too, deleting the discipline would take these away with it.
        let filters = of_link().filter(|one| one.program.hook.starts_with("tc "));
        let is_alone = filters.count() == 1 && found.program.hook.starts_with("tc ");
        let command = self.pasted(link).and_then(|name| hint!("tc qdisc del dev {} clsact", name));
        let fix = self.inside(link.netns, command).filter(|_| is_alone);
        let reason = StopReason::new(Cause::TcDrop, TraceVerdict::Lost, text).fixed_by(fix);
        let reason = reason.or_advised("look at what is attached: tc filter show, bpftool net");
        let place = self.link_place(link, Some(hook));
        self.suspect(place, reason);
    }
}
