//! A bridge on the way: whether it takes a frame from one port to another.

use common::diagnose::Cause;
use common::firewall::{ChainHook, FilterPacket, HookFamily};
use common::hint;
use common::map::{LinkPlace, MappedLink};
use common::netlink::{FdbEntry, FdbOrigin, PortState};

use super::walker::{StopReason, Walker};
use crate::model::{HopHook, TraceVerdict};

impl Walker<'_> {
    /// The frame goes through a bridge, from one port to another; without a port it is the namespace's own.
    pub fn bridge(
        &mut self,
        bridge: LinkPlace,
        from: Option<LinkPlace>,
        to: Option<LinkPlace>,
        last: LinkPlace,
        is_known: bool,
    ) {
        if from.is_some() && to.is_some() {
            self.pass(bridge);
        }
        let Some(link) = self.state.map.link(bridge) else { return };
        if !link.link.is_set_up() {
            self.link_down(bridge, Cause::LinkDown);
            return;
        }
        if link.link.vlan_filtering.is_some_and(|vlans| vlans.is_on) {
            self.doubt(format!("{}: keeps VLANs apart, which is not followed", self.at(bridge)));
        }
        for port in [from, to].into_iter().flatten() {
            self.port_state(bridge, port);
        }
        if let (Some(from), Some(to)) = (from, to) {
            self.isolation(from, to);
            self.bridged_filters(bridge, from, to);
        }
        let name = |port: Option<LinkPlace>| port.map(|port| self.link_name(port));
        let packet = FilterPacket {
            from: name(from),
            out: name(to),
            is_bridged: true,
            ..self.packet.filtered(None, None)
        };
        self.bridge_hooks(bridge, &packet);
        self.questioned_on_bridge(bridge, from, to);
        if let Some(to) = to {
            self.flooding(to, is_known);
        }
        self.forwarding_entry(bridge, to, last);
    }

    fn port(&self, place: LinkPlace) -> Option<&MappedLink> {
        self.state.map.link(place)
    }

    fn port_state(&mut self, bridge: LinkPlace, port: LinkPlace) {
        let Some(link) = self.port(port) else { return };
        let name = self.pasted(port);
        let reason = match link.link.port_state {
            // A port that is down is told of as a link.
            Some(PortState::Disabled) if link.link.is_set_up() && link.link.has_carrier() => {
                let text = format!("{}: this port of {} is disabled", self.at(port), self.shown(bridge));
                let command = name.and_then(|name| hint!("bridge link set dev {} state 3", name));
                StopReason::new(Cause::BridgePortDisabled, TraceVerdict::Lost, text)
                    .fixed_by(self.inside(port.netns, command))
            }
            Some(PortState::Waiting) => {
                let text = format!(
                    "{}: this port of {} does not forward yet: the spanning tree protocol waits for other bridges",
                    self.at(port),
                    self.shown(bridge)
                );
                // To switch the protocol off does not end the wait.
                StopReason::new(Cause::BridgePortStp, TraceVerdict::Lost, text)
                    .advised("wait: it forwards after twice the forward_delay of the bridge")
            }
            Some(PortState::Blocking) => {
                let text = format!(
                    "{}: this port of {} is blocked by the spanning tree protocol: another way leads there",
                    self.at(port),
                    self.shown(bridge)
                );
                StopReason::new(Cause::BridgePortStp, TraceVerdict::Lost, text)
                    .advised("look for the bridge that is connected twice")
            }
            _ => return,
        };
        let place = self.link_place(port, Some(HopHook::Bridge));
        self.stop(place, reason);
    }

    fn isolation(&mut self, from: LinkPlace, to: LinkPlace) {
        let is_isolated = |place| self.port(place).is_some_and(|port| port.link.is_isolated);
        if !is_isolated(from) || !is_isolated(to) {
            return;
        }
        let text = format!(
            "{}: this port and {} are both isolated, and exchange no packets",
            self.at(to),
            self.shown(from)
        );
        let command = self.pasted(to).and_then(|name| hint!("bridge link set dev {} isolated off", name));
        let reason = StopReason::new(Cause::BridgePortIsolated, TraceVerdict::Lost, text)
            .fixed_by(self.inside(to.netns, command));
        let place = self.link_place(to, Some(HopHook::Bridge));
        self.stop(place, reason);
    }

    /// What asks who has an address is flooded.
    fn flooding(&mut self, to: LinkPlace, is_known: bool) {
        let Some(link) = self.port(to).filter(|_| !is_known) else { return };
        let (is_on, what, option) = match self.packet.is_six() {
            false => (link.link.floods.broadcast, "broadcasts, and ARP is one", "bcast_flood"),
            true => (
                link.link.floods.multicast,
                "multicasts, and neighbour solicitations are such",
                "mcast_flood",
            ),
        };
        if is_on {
            return;
        }
        let text = format!("{}: this port gets no {what}", self.at(to));
        let command = self
            .pasted(to)
            .and_then(|name| hint!("bridge link set dev {} {} on", name, hint::Verbatim(option)));
        let reason = StopReason::new(Cause::BridgeFloodOff, TraceVerdict::Lost, text)
            .fixed_by(self.inside(to.netns, command));
        let place = self.link_place(to, Some(HopHook::Bridge));
        self.stop(place, reason);
    }

    /// An entry that somebody has set sends the receiver's frames elsewhere.
    fn forwarding_entry(&mut self, bridge: LinkPlace, to: Option<LinkPlace>, last: LinkPlace) {
        let Some(mac) = self.port(last).and_then(|link| link.link.mac) else { return };
        let Ok(visited) = self.state.netns(bridge.netns) else { return };
        let right = to.map_or(bridge.index, |to| to.index);
        let is_about = |entry: &&FdbEntry| {
            entry.mac == mac && entry.bridge == Some(bridge.index) && entry.origin != FdbOrigin::Learned
        };
        // A local entry means the bridge itself, whichever port has it: a bridge may have the MAC of one.
        let leads_to = |entry: &FdbEntry| match entry.origin {
            FdbOrigin::Local => bridge.index,
            _ => entry.index,
        };
        let entries: Vec<_> = visited.fdb().iter().filter(is_about).copied().collect();
        let Some(wrong) = entries.iter().find(|entry| leads_to(entry) != right) else { return };
        if entries.iter().any(|entry| leads_to(entry) == right) {
            return;
        }
        let port = LinkPlace { index: wrong.index, ..bridge };
        let where_to = match wrong.origin {
            FdbOrigin::Local => "the bridge itself",
            _ => "this port",
        };
        let text = format!(
            "{}: an entry of the forwarding table of {} sends {mac}, which is {}, to {where_to}",
            self.at(port),
            self.shown(bridge),
            self.at(last)
        );
        // The entry of a port's own address comes and goes with the port.
        let is_own = self.port(port).is_some_and(|port| port.link.mac == Some(mac));
        let name = self.pasted(port).filter(|_| !is_own);
        let command = name.and_then(|name| hint!("bridge fdb del {} dev {} master", mac, name));
        let reason = StopReason::new(Cause::BridgeFdb, TraceVerdict::Lost, text)
            .fixed_by(self.inside(bridge.netns, command));
        let place = self.link_place(port, Some(HopHook::Bridge));
        self.stop(place, reason);
    }

    /// The hooks of the family `bridge`: between two ports, or between one and the bridge's own namespace.
    pub fn bridge_hooks(&mut self, bridge: LinkPlace, packet: &FilterPacket) {
        let hooks: &[ChainHook] = match (&packet.from, &packet.out) {
            (Some(_), Some(_)) => &[ChainHook::Prerouting, ChainHook::Forward, ChainHook::Postrouting],
            (Some(_), None) => &[ChainHook::Prerouting, ChainHook::Input],
            (None, _) => &[ChainHook::Output, ChainHook::Postrouting],
        };
        for hook in hooks.iter().copied() {
            let place = self.link_place(bridge, Some(super::filter::word(hook)));
            self.filtered(place, HookFamily::Bridge, hook, packet);
        }
    }

    /// Filters of IP for what is bridged, with br_netfilter.
    fn bridged_filters(&mut self, bridge: LinkPlace, from: LinkPlace, to: LinkPlace) {
        let ports = [from, to].map(|port| self.link_name(port));
        let key = match self.packet.is_six() {
            false => "bridge/bridge-nf-call-iptables",
            true => "bridge/bridge-nf-call-ip6tables",
        };
        if self.state.is_on(bridge.netns, key) != Some(true) {
            return;
        }
        let name = self.link_name(bridge);
        let mut packet = self.packet.filtered(Some(&name), Some(&name));
        packet.is_bridged = true;
        packet.ports = ports.map(Some);
        for hook in [ChainHook::Prerouting, ChainHook::Forward, ChainHook::Postrouting] {
            let place = self.link_place(bridge, Some(super::filter::word(hook)));
            let mut packet = packet.clone();
            if hook == ChainHook::Prerouting {
                packet.out = None;
            }
            self.filtered(place, HookFamily::BridgedIp, hook, &packet);
        }
    }
}
