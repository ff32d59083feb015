//! Why the kernel has no route for a packet, and the command that gives it one.

use std::net::IpAddr;

use common::cidr::Cidr;
use common::diagnose::Cause;
use common::hint;
use common::hint::{Hint, Verbatim};
use common::map::LinkPlace;
use common::netlink::{Address, Route, Rule};
use nix::errno::Errno;

use super::fib::{FibAnswer, FibQuestion, decide, is_usual};
use super::segment::reach;
use super::walker::{StopReason, Walker};
use crate::model::{HopHook, TraceVerdict};

/// RTN_* of linux/rtnetlink.h.
const BLACKHOLE: u8 = 6;
const UNREACHABLE: u8 = 7;
const PROHIBIT: u8 = 8;
/// IPv6's metric where none is said.
const USUAL_METRIC_OF_IPV6: u32 = 1024;

/// The network of an address; none of one that is alone.
pub fn network_of(own: &Address) -> Option<Cidr> {
    let is_link_local = matches!(own.address, IpAddr::V6(address) if address.is_unicast_link_local());
    let cidr = Cidr::new(own.peer.unwrap_or(own.address), own.prefix_len)?;
    (!own.address.is_loopback() && !is_link_local && !cidr.is_host()).then(|| cidr.network())
}

impl Walker<'_> {
    /// The kernel refuses to route the packet, which came in by `from`.
    pub fn no_route(&mut self, netns: u64, from: Option<LinkPlace>, errno: Errno) {
        let Ok(visited) = self.state.netns(netns) else { return };
        let from_name = from.map(|from| self.link_name(from));
        let answer = decide(visited.rules(), visited.routes(), &self.question(from_name.as_deref()));
        let who = self.who(netns);
        let destination = self.packet.destination;
        let reason = match answer {
            FibAnswer::Refused(rule) => {
                let text = format!("{who}: a policy rule refuses {destination}: {}", written(rule));
                StopReason::new(Cause::Rule, TraceVerdict::Unreachable, text)
                    .fixed_by(self.inside(netns, self.rule_deleted(rule)))
            }
            FibAnswer::Found(rule, route) if !route.is_unicast() && !is_usual(rule) => {
                let text = format!(
                    "{who}: a policy rule leads to table {}, where a route refuses {destination}: {}",
                    rule.table,
                    written(rule)
                );
                StopReason::new(Cause::RuleTable, TraceVerdict::Unreachable, text)
                    .fixed_by(self.inside(netns, self.rule_deleted(rule)))
            }
            FibAnswer::Found(_, route) if matches!(route.kind, BLACKHOLE | UNREACHABLE | PROHIBIT) => {
                self.refusing(netns, route)
            }
            _ => return self.missing(netns, from, errno),
        };
        let place = self.place(netns, from, Some(HopHook::Route));
        self.stop(place, reason);
    }

    fn question<'q>(&self, from: Option<&'q str>) -> FibQuestion<'q> {
        let is_chosen = !self.packet.is_answer && !self.probe.is_bound && from.is_none();
        FibQuestion {
            source: (!is_chosen).then_some(self.packet.source),
            destination: self.packet.destination,
            mark: self.packet.mark,
            from,
        }
    }

    /// The route that decides about the packet in a namespace.
    pub fn deciding_route(&self, netns: u64, from: Option<LinkPlace>) -> Option<Route> {
        let visited = self.state.netns(netns).ok()?;
        let from = from.map(|from| self.link_name(from));
        match decide(visited.rules(), visited.routes(), &self.question(from.as_deref())) {
            FibAnswer::Found(_, route) => Some(route.clone()),
            _ => None,
        }
    }

    fn refusing(&self, netns: u64, route: &Route) -> StopReason {
        let (cause, word, verdict) = match route.kind {
            BLACKHOLE => (Cause::RouteBlackhole, "blackhole", TraceVerdict::Lost),
            UNREACHABLE => (Cause::RouteUnreachable, "unreachable", TraceVerdict::Unreachable),
            _ => (Cause::RouteProhibit, "prohibit", TraceVerdict::Unreachable),
        };
        let verdict = if netns == self.origin { TraceVerdict::Unreachable } else { verdict };
        let text = format!("{}: a route says {word}: {word} {}", self.who(netns), to(route));
        let command = match (table_word(route.table), metric_of(route)) {
            (None, None) => hint!("{} route del {} {}", self.ip(), Verbatim(word), to(route)),
            (None, Some(metric)) => {
                hint!("{} route del {} {} metric {}", self.ip(), Verbatim(word), to(route), metric)
            }
            (Some(table), _) => {
                hint!("{} route del {} {} table {}", self.ip(), Verbatim(word), to(route), table)
            }
        };
        StopReason::new(cause, verdict, text).fixed_by(self.inside(netns, command))
    }

    /// No route leads there.
    fn missing(&mut self, netns: u64, from: Option<LinkPlace>, errno: Errno) {
        if let Some(down) = self.down_link(netns) {
            self.link_down(down, Cause::LinkDown);
            return;
        }
        if self.packet.is_answer && self.not_masqueraded() {
            return;
        }
        let cause = if self.packet.is_answer { Cause::NoRouteBack } else { Cause::NoRoute };
        if let Some(text) = self.without_interface(netns) {
            let reason = StopReason::new(cause, TraceVerdict::Unreachable, text)
                .advised("connect it to a network: docker network connect, add-nic");
            let place = self.place(netns, from, Some(HopHook::Route));
            return self.stop(place, reason);
        }
        let why = if errno == Errno::ENETUNREACH { String::new() } else { format!(" ({})", errno.desc()) };
        let text = format!("{}: has no route to {}{why}", self.who(netns), self.packet.destination);
        let reason = StopReason::new(cause, TraceVerdict::Unreachable, text);
        let reason = reason
            .fixed_by(self.inside(netns, self.new_route(netns)))
            .or_advised(format!("add a route to {} there", self.packet.destination));
        let place = self.place(netns, from, Some(HopHook::Route));
        self.stop(place, reason);
    }

    /// What is said of a namespace that has no interface but its loopback.
    fn without_interface(&self, netns: u64) -> Option<String> {
        let links = &self.state.map.netns(netns)?.links;
        let is_alone = links.iter().all(|link| link.link.is_loopback());
        is_alone
            .then(|| format!("{}: is on no network: it has no interface but its loopback", self.who(netns)))
    }

    /// An interface that is down, and would lead somewhere if it were not.
    fn down_link(&self, netns: u64) -> Option<LinkPlace> {
        let links = &self.state.map.netns(netns)?.links;
        let mut down = links.iter().filter(|link| {
            let has_family = link.addresses.iter().any(|own| own.address.is_ipv6() == self.packet.is_six());
            let is_plugged = link.link.is_veth() || link.end.is_some();
            !link.link.is_loopback()
                && !link.link.is_set_up()
                && link.link.master.is_none()
                && (has_family || is_plugged && self.packet.is_six())
        });
        let down = down.next()?;
        let others = links.iter().any(|link| !link.link.is_loopback() && link.link.is_set_up());
        (!others).then_some(LinkPlace { netns, index: down.link.index })
    }

    /// The command that gives a namespace a route to the destination.
    fn new_route(&self, netns: u64) -> Option<Hint> {
        let mapped = self.state.map.netns(netns)?;
        let visited = self.state.netns(netns).ok()?;
        let is_six = self.packet.is_six();
        let has_default = visited.routes().iter().any(|route| {
            route.is_default() && route.is_ordinary() && route.destination.address().is_ipv6() == is_six
        });
        let places: Vec<LinkPlace> = mapped
            .links
            .iter()
            .filter(|link| link.link.is_set_up() && !link.link.is_loopback() && link.link.master.is_none())
            .map(|link| LinkPlace { netns, index: link.link.index })
            .collect();
        if !has_default && !mapped.is_own {
            let routers: Vec<IpAddr> = places.iter().filter_map(|place| self.router_at(*place)).collect();
            if let [router] = routers[..] {
                return hint!("{} route add default via {}", self.ip(), router);
            }
        }
        let owner = self.owner_of(self.packet.destination)?;
        let own = &self.state.map.link(owner)?.addresses;
        let network = own.iter().find(|own| own.address == self.packet.destination).and_then(network_of)?;
        for place in &places {
            let link = self.state.map.link(*place)?;
            if link.addresses.iter().any(|own| network.contains(own.address)) {
                return hint!("{} route add {} dev {}", self.ip(), network, self.pasted(*place)?);
            }
        }
        places.iter().find_map(|place| self.by_router(*place, network))
    }

    /// A route by a neighbour that has an address in the network.
    fn by_router(&self, place: LinkPlace, network: Cidr) -> Option<Hint> {
        let map = &self.state.map;
        let own: Vec<Cidr> = map.link(place)?.addresses.iter().filter_map(network_of).collect();
        for station in reach(map, place).stations.iter().filter(|station| station.place.netns != place.netns)
        {
            let netns = map.netns(station.place.netns)?;
            let mut all = netns.links.iter().flat_map(|link| &link.addresses);
            if !all.any(|address| network.contains(address.address)) {
                continue;
            }
            let link = map.link(station.place)?;
            let near = link.addresses.iter().map(|address| address.address);
            if let Some(router) = near.into_iter().find(|near| own.iter().any(|own| own.contains(*near))) {
                return hint!("{} route add {} via {}", self.ip(), network, router);
            }
        }
        None
    }

    /// The command that deletes a route.
    pub fn route_deleted(&self, route: &Route) -> Option<Hint> {
        let command = hint!("{} route del {}", self.ip(), to(route))?;
        let command = match route.gateway {
            Some(gateway) => hint!("{} via {}", command, gateway)?,
            None => command,
        };
        match metric_of(route) {
            Some(metric) => hint!("{} metric {}", command, metric),
            None => Some(command),
        }
    }

    /// The command that deletes a rule.
    fn rule_deleted(&self, rule: &Rule) -> Option<Hint> {
        let mut command = hint!("{} rule del priority {}", self.ip(), rule.priority)?;
        if let Some(source) = rule.source {
            command = hint!("{} from {}", command, source)?;
        }
        if let Some(destination) = rule.destination {
            command = hint!("{} to {}", command, destination)?;
        }
        if rule.table != 0 {
            command = hint!("{} lookup {}", command, rule.table)?;
        }
        Some(command)
    }
}

/// The rule as people read it: `from 10.1.0.0/24 lookup 99`
fn written(rule: &Rule) -> String {
    let mut words = vec![format!("priority {}", rule.priority)];
    words.extend(rule.source.map(|source| format!("from {source}")));
    words.extend(rule.destination.map(|destination| format!("to {destination}")));
    words.extend((rule.table != 0).then(|| format!("lookup {}", rule.table)));
    words.join(" ")
}

fn to(route: &Route) -> String {
    if route.is_default() { "default".to_owned() } else { route.destination.to_string() }
}

/// A table that is not the main one.
fn table_word(table: u32) -> Option<u32> {
    (table != 254).then_some(table)
}

fn metric_of(route: &Route) -> Option<u32> {
    let is_usual =
        route.metric == 0 || route.metric == USUAL_METRIC_OF_IPV6 && route.destination.address().is_ipv6();
    (!is_usual).then_some(route.metric)
}
