//! The packet's TTL, which IPv6 calls hop limit: what it is sent with, and the router that finds it used up.

use common::diagnose::Cause;
use common::firewall::{ChainHook, DropPlace};
use common::hint;
use common::map::LinkPlace;
use common::netlink::RouteLookup;
use common::output::one_line;

use super::filter::sentence;
use super::packet::TtlOrigin;
use super::walker::{StopReason, Walker};
use crate::model::{HopHook, TraceVerdict};

impl Walker<'_> {
    /// A namespace sends the packet by that route: net/ipv4/route.c, ip4_dst_hoplimit; net/ipv6/output_core.c, ip6_dst_hoplimit.
    pub fn sent_with_ttl(&mut self, netns: u64, out: LinkPlace, route: &RouteLookup) {
        if let Some(value) = route.hop_limit {
            (self.packet.ttl, self.ttl_by) = (Some(value), TtlOrigin::Route { netns, value });
            return;
        }
        // A name of an interface can have dots in it.
        let (file, key) = match self.packet.is_six() {
            false => ("ipv4/ip_default_ttl".to_owned(), "net.ipv4.ip_default_ttl".to_owned()),
            true => {
                let file = format!("ipv6/conf/{}/hop_limit", self.link_name(out));
                let key = format!("net/{file}");
                (file, key)
            }
        };
        self.packet.ttl = self.state.setting(netns, &file).and_then(|value| value.parse().ok());
        self.ttl_by = match self.packet.ttl {
            Some(value) => TtlOrigin::Setting { netns, key, value },
            None => TtlOrigin::Unknown,
        };
    }

    /// A namespace has to forward the packet, which came in there: what has a TTL of 1 goes no further.
    pub fn expires(&mut self, place: LinkPlace) {
        let Some(ttl) = self.packet.ttl.filter(|ttl| *ttl <= 1) else { return };
        let word = self.ttl_word();
        let text = format!("{}: the packet has a {word} of {ttl} and cannot be forwarded", self.at(place));
        let reason = |text| StopReason::new(Cause::TtlExpired, TraceVerdict::Unreachable, text);
        let reason = match self.ttl_by.clone() {
            TtlOrigin::Unknown => reason(text).advised(format!("send it with a greater {word}")),
            TtlOrigin::Setting { netns, key, value } => {
                let sends = format!("{text}: {} sends it with {value} ({})", self.who(netns), one_line(&key));
                let set = format!("{key}=64");
                reason(sends).fixed_by(self.inside(netns, hint!("sysctl -w {}", set)))
            }
            TtlOrigin::Route { netns, value } => {
                let sends = format!("{text}: the route of {} says hoplimit {value}", self.who(netns));
                reason(sends).advised("change the hoplimit of that route: ip route change")
            }
            TtlOrigin::Rule { netns, hook, from, by } => {
                let rule = sentence(hook, &by, false);
                let mut reason = reason(format!("{text}: a rule of {} sets it: {rule}", self.who(netns)));
                reason.rule.clone_from(&by.rule);
                reason.fixed_by(self.rule_undone(netns, from.as_deref(), &by))
            }
        };
        let place = self.link_place(place, Some(HopHook::Route));
        self.stop(place, reason);
        self.packet.ttl = None;
    }

    /// A namespace has forwarded it.
    pub fn forwarded_with_ttl(&mut self) {
        self.packet.ttl = self.packet.ttl.and_then(|ttl| ttl.checked_sub(1));
    }

    fn ttl_word(&self) -> &'static str {
        if self.packet.is_six() { "hop limit" } else { "TTL" }
    }

    /// What rules have made of it at a hook.
    pub fn takes_ttl(
        &mut self,
        netns: u64,
        hook: ChainHook,
        from: Option<&str>,
        (ttl, by): (Option<u8>, Option<DropPlace>),
    ) {
        if ttl.is_none() && self.packet.ttl.is_some() {
            self.doubt(format!(
                "{}: a rule may change the {} of the packet",
                self.who(netns),
                self.ttl_word()
            ));
        }
        self.packet.ttl = ttl;
        if let Some(by) = by {
            self.ttl_by = TtlOrigin::Rule { netns, hook, from: from.map(str::to_owned), by: Box::new(by) };
        }
    }
}
