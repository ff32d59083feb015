//! What asks for a neighbour's MAC address, and what answers: packets of their own, which packet filters can drop.

use std::net::IpAddr;

use common::firewall::{ChainHook, FilterPacket, HookFamily, PacketProtocol};
use common::map::LinkPlace;

use super::packet::NeighbourQuestion;
use super::walker::Walker;
use crate::model::HopHook;

impl Walker<'_> {
    /// `out` asks, and the station answers: what both ends do with it. What is between them is looked at where the frame passes.
    pub fn ask_neighbour(&mut self, out: LinkPlace, next_hop: IpAddr, station: LinkPlace) {
        let asker = self.asker(out).unwrap_or(self.packet.source);
        let question = NeighbourQuestion::of(asker, next_hop);
        self.end_to_end(out, station, &question.asks);
        self.end_to_end(station, out, &question.answers);
        self.question = Some(question);
    }

    fn end_to_end(&mut self, from: LinkPlace, to: LinkPlace, packet: &FilterPacket) {
        let is_arp = matches!(packet.protocol, PacketProtocol::Arp(_));
        let family = if is_arp { HookFamily::Arp } else { HookFamily::Ip };
        let mut at = |place: LinkPlace, hook: ChainHook, is_out: bool| {
            let name = Some(self.link_name(place));
            let (from, out) = if is_out { (None, name) } else { (name, None) };
            let packet = FilterPacket { from, out, ..packet.clone() };
            let hop = self.link_place(place, Some(super::filter::word(hook)));
            self.filtered(hop, family, hook, &packet);
        };
        at(from, ChainHook::Output, true);
        if !is_arp {
            at(from, ChainHook::Postrouting, true);
            at(to, ChainHook::Prerouting, false);
        }
        at(to, ChainHook::Input, false);
    }

    /// The filters of both ends of a cable, and those of a bridge, where a question is under way.
    pub fn questioned_on_cable(&mut self, from: LinkPlace, to: LinkPlace) {
        let Some(NeighbourQuestion { asks, answers }) = self.question.clone() else { return };
        for (from, to, packet) in [(from, to, asks), (to, from, answers)] {
            self.device_hook_of(from, HopHook::Egress, &packet);
            self.device_hook_of(to, HopHook::Ingress, &packet);
        }
    }

    /// The same of a bridge.
    pub fn questioned_on_bridge(
        &mut self,
        bridge: LinkPlace,
        from: Option<LinkPlace>,
        to: Option<LinkPlace>,
    ) {
        let Some(NeighbourQuestion { asks, answers }) = self.question.clone() else { return };
        for (from, to, packet) in [(from, to, asks), (to, from, answers)] {
            let name = |port: Option<LinkPlace>| port.map(|port| self.link_name(port));
            let packet = FilterPacket { from: name(from), out: name(to), is_bridged: true, ..packet };
            self.bridge_hooks(bridge, &packet);
        }
    }

    /// The address that `out` asks with.
    fn asker(&self, out: LinkPlace) -> Option<IpAddr> {
        let link = self.state.map.link(out)?;
        let is_usable = |address: &IpAddr| match address {
            IpAddr::V4(_) => !self.packet.is_six(),
            IpAddr::V6(own) => self.packet.is_six() && own.is_unicast_link_local(),
        };
        link.addresses.iter().map(|own| own.address).find(is_usable)
    }
}
