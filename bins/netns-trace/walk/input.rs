//! A namespace receives a packet: prerouting, routing and its checks, and either the input hook or the forward hook.

use std::net::IpAddr;

use common::diagnose::Cause;
use common::firewall::ChainHook;
use common::hint;
use common::map::LinkPlace;
use common::netlink::{IpsecDirection, NetlinkError};
use nix::errno::Errno;

use super::packet::FlyingPacket;
use super::segment::has_address;
use super::walker::{PacketStep, PassedRouter, StopReason, Walker};
use crate::model::{HopHook, TraceVerdict};

impl Walker<'_> {
    /// A link has received the packet for its namespace.
    pub fn receive(&mut self, place: LinkPlace) -> PacketStep {
        let netns = place.netns;
        self.pass(place);
        let name = self.link_name(place);
        if self.packet.is_six() {
            let key = format!("ipv6/conf/{name}/disable_ipv6");
            if self.state.is_on(netns, &key) == Some(true) {
                self.ipv6_off(place, None);
                return PacketStep::Stopped;
            }
        }
        let before = self.packet.clone();
        self.restore_destination(netns);
        self.hook(netns, ChainHook::Prerouting, Some(&name), None);
        self.full_table(netns);
        let Ok(visited) = self.state.netns(netns) else {
            self.doubt(format!("{} could not be entered", self.who(netns)));
            return PacketStep::Stopped;
        };
        let (to, from) = (self.packet.destination, self.packet.source);
        let route = match visited.route_in(to, from, place.index, self.packet.mark) {
            Ok(route) => route,
            Err(NetlinkError::Refused { errno, .. }) => {
                self.refused(place, errno);
                return PacketStep::Stopped;
            }
            Err(error) => {
                self.doubt(format!("{}: {error}", self.who(netns)));
                return PacketStep::Stopped;
            }
        };
        if route.is_local {
            self.track(netns, before);
            self.hook(netns, ChainHook::Input, Some(&name), None);
            self.restore_source(netns);
            self.ipsec(netns, IpsecDirection::In);
            return PacketStep::Delivered(netns);
        }
        if !self.forwards(place) {
            self.not_forwarded(place);
        }
        self.forward(place, &route, &name, before)
    }

    fn forward(
        &mut self,
        place: LinkPlace,
        route: &common::netlink::RouteLookup,
        from: &str,
        before: FlyingPacket,
    ) -> PacketStep {
        let Some(index) = route.index else { return PacketStep::Stopped };
        let out = LinkPlace { index, ..place };
        self.expires(place);
        self.fits(out);
        let name = self.link_name(out);
        self.ipsec(place.netns, IpsecDirection::Forward);
        self.ipsec(place.netns, IpsecDirection::Out);
        // The forward hook sees it with its new one.
        self.forwarded_with_ttl();
        self.hook(place.netns, ChainHook::Forward, Some(from), Some(&name));
        if !self.packet.is_answer {
            self.passed.push(PassedRouter { netns: place.netns, out });
        }
        self.leave(place.netns, route, Some(from), before)
    }

    /// The destination of an answer becomes again the source of the probe.
    fn restore_destination(&mut self, netns: u64) {
        let flow = self.tracked.iter().find(|flow| flow.is_answered_by(netns, &self.packet));
        if let Some(flow) = flow {
            self.packet.destination = flow.before.source;
            self.packet.port = flow.before.source_port;
        }
    }

    /// A table that is full takes no new flow.
    fn full_table(&mut self, netns: u64) {
        let Some(table) = self.state.conntrack(netns).filter(|_| !self.packet.is_answer) else { return };
        if table.most == 0 || table.used < table.most {
            return;
        }
        let text = format!(
            "{}: its connection tracking table is full: {} of {}",
            self.who(netns),
            table.used,
            table.most
        );
        let more = table.most.saturating_mul(2);
        let reason = StopReason::new(Cause::ConntrackFull, TraceVerdict::Lost, text)
            .fixed_by(hint!("sysctl -w net.netfilter.nf_conntrack_max={}", more));
        let place = self.place(netns, None, Some(HopHook::Prerouting));
        self.stop(place, reason);
    }

    /// The kernel would not route what comes in there.
    fn refused(&mut self, place: LinkPlace, errno: Errno) {
        let source = self.packet.source;
        if let Some(own) = self.own_address(place.netns, source) {
            return self.martian(place, own, source);
        }
        if self.is_reverse_filtered(place, errno) {
            return self.reverse_filtered(place);
        }
        if !self.forwards(place) {
            return self.not_forwarded(place);
        }
        self.no_route(place.netns, Some(place), errno);
    }

    pub fn own_address(&self, netns: u64, address: IpAddr) -> Option<LinkPlace> {
        let links = &self.state.map.netns(netns)?.links;
        let link = links.iter().find(|link| has_address(link, address))?;
        Some(LinkPlace { netns, index: link.link.index })
    }

    fn martian(&mut self, place: LinkPlace, own: LinkPlace, source: IpAddr) {
        let text = format!(
            "{}: the packet comes from {source}, which is an address of {} itself ({})",
            self.at(place),
            self.who(place.netns),
            self.shown(own)
        );
        let reason = StopReason::new(Cause::MartianSource, TraceVerdict::Lost, text)
            .fixed_by(self.without_address(own, source));
        let where_it_is = self.link_place(place, Some(HopHook::Route));
        self.stop(where_it_is, reason);
    }

    /// rp_filter of IPv4: 1 wants the route back to be by the same interface, 2 that there is one at all.
    fn is_reverse_filtered(&self, place: LinkPlace, errno: Errno) -> bool {
        if self.packet.is_six() || !matches!(errno, Errno::EXDEV | Errno::EINVAL) {
            return false;
        }
        let mode = |name: &str| {
            let value = self.state.setting(place.netns, &format!("ipv4/conf/{name}/rp_filter"));
            value.and_then(|value| value.parse::<u8>().ok()).unwrap_or(0)
        };
        let mode = mode("all").max(mode(&self.link_name(place)));
        let back = self.route_back(place.netns);
        match mode {
            0 => false,
            1 => back != Some(place.index),
            _ => back.is_none(),
        }
    }

    fn route_back(&self, netns: u64) -> Option<u32> {
        let visited = self.state.netns(netns).ok()?;
        visited.route_out(self.packet.source, None, self.packet.mark, None).ok()?.index
    }

    fn reverse_filtered(&mut self, place: LinkPlace) {
        let source = self.packet.source;
        let back = self.route_back(place.netns).map(|index| LinkPlace { index, ..place });
        let leads = match back {
            Some(back) => format!("the route back to {source} leads by {}", self.shown(back)),
            None => format!("no route leads back to {source}"),
        };
        let text =
            format!("{}: reverse path filtering (rp_filter) drops the packet: {leads}", self.at(place));
        let reason = StopReason::new(Cause::RpFilter, TraceVerdict::Lost, text);
        let loose = self.pasted(place).and_then(|name| {
            let key = format!("net/ipv4/conf/{name}/rp_filter=2");
            hint!("sysctl -w {}", key)
        });
        let command = self.wrong_route_back(place).or(loose.filter(|_| back.is_some()));
        let reason = reason.fixed_by(self.inside(place.netns, command)).or_advised("add a route back");
        let where_it_is = self.link_place(place, Some(HopHook::Route));
        self.stop(where_it_is, reason);
    }

    /// The command that deletes the route that leads back elsewhere, where without it another one leads back by this link.
    fn wrong_route_back(&self, place: LinkPlace) -> Option<hint::Hint> {
        let visited = self.state.netns(place.netns).ok()?;
        let source = self.packet.source;
        let mut routes: Vec<_> = visited
            .routes()
            .iter()
            .filter(|route| route.is_ordinary() && route.destination.contains(source))
            .collect();
        routes.sort_by_key(|route| (u8::MAX - route.destination.prefix_len(), route.metric));
        let (wrong, next) = (routes.first()?, routes.get(1)?);
        if wrong.index == Some(place.index) || next.index != Some(place.index) {
            return None;
        }
        let link = LinkPlace { index: wrong.index?, ..place };
        let command = self.route_deleted(wrong)?;
        hint!("{} dev {}", command, self.pasted(link)?)
    }

    /// What comes in there is not forwarded.
    fn not_forwarded(&mut self, place: LinkPlace) {
        let is_six = self.packet.is_six();
        let version = if is_six { "IPv6" } else { "IPv4" };
        let text = format!(
            "{}: does not forward {version}, and the packet is for {}",
            self.at(place),
            self.packet.destination
        );
        let is_all_off = self.state.is_on(place.netns, "ipv4/ip_forward") != Some(true);
        let command = match (is_six, is_all_off) {
            (true, _) => hint!("sysctl -w net.ipv6.conf.all.forwarding=1"),
            (false, true) => hint!("sysctl -w net.ipv4.ip_forward=1"),
            (false, false) => self.pasted(place).and_then(|name| {
                let key = format!("net/ipv4/conf/{name}/forwarding=1");
                hint!("sysctl -w {}", key)
            }),
        };
        let reason = StopReason::new(Cause::ForwardingOff, TraceVerdict::Lost, text)
            .fixed_by(self.inside(place.netns, command));
        let where_it_is = self.link_place(place, Some(HopHook::Route));
        self.stop(where_it_is, reason);
    }
}
