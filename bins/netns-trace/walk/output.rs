//! What a namespace sends itself: routing, and the output hook.

use common::diagnose::Cause;
use common::firewall::{ChainHook, IpsecFate};
use common::hint;
use common::map::LinkPlace;
use common::netlink::{IpsecDirection, NetlinkError, RouteLookup};

use super::packet::TrackedPacket;
use super::walker::{PacketStep, StopReason, Walker};
use crate::model::{HopHook, TraceVerdict};

impl Walker<'_> {
    /// The namespace sends the packet.
    pub fn send(&mut self, netns: u64) -> PacketStep {
        let Some(route) = self.output_route(netns) else { return PacketStep::Stopped };
        let Some(index) = route.index else { return PacketStep::Stopped };
        let out = LinkPlace { netns, index };
        self.pass(out);
        self.sent_with_ttl(netns, out, &route);
        let before = self.packet.clone();
        let name = self.link_name(out);
        let translated = self.hook(netns, ChainHook::Output, None, Some(&name));
        self.ipsec(netns, IpsecDirection::Out);
        let is_other = translated || self.packet.mark != before.mark;
        let route = if is_other { self.output_route(netns) } else { Some(route) };
        let Some(route) = route else { return PacketStep::Stopped };
        if route.is_local {
            self.track(netns, before);
            self.hook(netns, ChainHook::Input, Some("lo"), None);
            return PacketStep::Delivered(netns);
        }
        self.leave(netns, &route, None, before)
    }

    /// The kernel's route; what is wrong with it is noted.
    fn output_route(&mut self, netns: u64) -> Option<RouteLookup> {
        let is_bound = self.packet.is_answer || self.probe.is_bound;
        let source = is_bound.then_some(self.packet.source);
        let through = self.probe.scope.filter(|_| netns == self.origin);
        let Ok(visited) = self.state.netns(netns) else {
            self.doubt(format!("{} could not be entered", self.who(netns)));
            return None;
        };
        match visited.route_out(self.packet.destination, source, self.packet.mark, through) {
            Ok(route) => {
                if let (false, Some(source)) = (is_bound, route.source) {
                    self.packet.source = source;
                }
                Some(route)
            }
            Err(NetlinkError::Refused { errno, .. }) => {
                self.no_route(netns, None, errno);
                None
            }
            Err(error) => {
                self.doubt(format!("{}: {error}", self.who(netns)));
                None
            }
        }
    }

    /// Notes what this namespace has made of the packet, so that the answer is known again.
    pub fn track(&mut self, netns: u64, before: super::packet::FlyingPacket) {
        if !self.packet.is_answer {
            self.tracked.push(TrackedPacket { netns, before, after: self.packet.clone() });
        }
    }

    /// IPsec policies have the packet changed, or dropped.
    pub fn ipsec(&mut self, netns: u64, direction: IpsecDirection) {
        let packet = self.packet.filtered(None, None);
        let hook = match direction {
            IpsecDirection::In => HopHook::Input,
            IpsecDirection::Out => HopHook::Output,
            IpsecDirection::Forward => HopHook::Forward,
        };
        let place = self.place(netns, None, Some(hook));
        let reason = |text: &str| {
            let text = format!("{}: {text}", self.who(netns));
            StopReason::new(Cause::XfrmPolicy, TraceVerdict::Lost, text)
        };
        match self.state.ipsec_fate(netns, direction, &packet) {
            IpsecFate::Plain => {}
            IpsecFate::Dropped(drop) => {
                let fix = self.inside(netns, drop.undone_by());
                let reason = reason(&drop.sentence()).fixed_by(fix).or_advised(
                    "look at the program that is to make the state, an IKE daemon, and at: ip xfrm state",
                );
                self.stop(place, reason);
            }
            IpsecFate::Changed | IpsecFate::Unknown => {
                let command = self.inside(netns, hint!("ip xfrm policy"));
                let reason = reason("an IPsec policy may be about the packet");
                let reason = match command {
                    Some(command) => reason.advised(format!("look at them: {}", &*command)),
                    None => reason,
                };
                self.suspect(place, reason);
            }
        }
    }
}
