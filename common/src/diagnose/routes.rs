//! Why no route leads to a destination: an interface that is down, a policy rule, a route that refuses, or none at all.

use std::net::IpAddr;

use nix::errno::Errno;

use super::{Cause, Verdict, words};
use crate::cidr::Cidr;
use crate::hint;
use crate::hint::{Hint, Verbatim};
use crate::netlink::{Address, Link, Route, Rule};
use crate::output::one_line;
use crate::target::Name;

/// What is known of a destination without a route. Empty is what could not be read.
#[derive(Debug, Clone)]
pub struct NoRoute {
    /// What to call the container.
    pub name: String,
    /// The TARGET that means it, for commands.
    pub target: String,
    /// The destination; `None` where a default gateway is wanted.
    pub to: Option<IpAddr>,
    /// Of which family, where it is the gateway's.
    pub is_ipv4: bool,
    /// What the kernel said; `None` of a gateway.
    pub errno: Option<Errno>,
    /// The link that `-I` binds to, by its index.
    pub through: Option<u32>,
    /// The links now.
    pub links: Vec<Link>,
    /// The addresses now.
    pub addresses: Vec<Address>,
    /// The routes of all tables now.
    pub routes: Vec<Route>,
    /// The policy rules now.
    pub rules: Vec<Rule>,
    /// What to say where it is nothing but that: `nginx has only 10.1.0.0/16 on eth0`.
    pub otherwise: String,
}

/// What refuses a packet: RTN_* of linux/rtnetlink.h, FR_ACT_* of linux/fib_rules.h, which have the same numbers.
const UNICAST: u8 = 1;
const BLACKHOLE: u8 = 6;
const UNREACHABLE: u8 = 7;
const PROHIBIT: u8 = 8;

/// Why no route leads there.
pub fn judge_no_route(known: &NoRoute) -> Verdict {
    let lookup = known.inside(hint!("{} route", known.ip()));
    let rules = || known.inside(hint!("{} rule", known.ip()));
    if let Some(kind) = known.errno.and_then(refusing) {
        let verdict = known.refused(kind);
        let is_rule = verdict.cause == Some(Cause::Rule);
        return verdict.advising(if is_rule { rules() } else { lookup });
    }
    // Of a rule that says unreachable the kernel says the same as where there is no route (fib4_rule_action).
    if known.errno == Some(Errno::ENETUNREACH) && known.who_refuses(UNREACHABLE) == RouteRefusal::Rule {
        return known.refused(UNREACHABLE).advising(rules());
    }
    if let Some(link) = known.link_down() {
        let (text, link) = words::link_down(&known.links, link, &format!(" of {}", known.name));
        let pasted: Option<Name> = link.name.to_string_lossy().parse().ok();
        let fix = pasted.and_then(|link| known.inside(hint!("ip link set {} up", link)));
        let text = format!("{}: {text}", known.begins());
        return Verdict::of(Cause::LinkDown, text).fixed_by(fix).advising(lookup);
    }
    if let (Some(vrf), Some(to)) = (known.vrf_that_leads_there(), known.to) {
        let name = vrf.name.to_string_lossy();
        let text = format!(
            "{}: only the VRF {} has a route there, for packets that are bound to it",
            known.begins(),
            one_line(&name)
        );
        let pasted: Option<Name> = name.parse().ok();
        let bound = pasted.and_then(|vrf| hint!("netns-ping -I {} {} {}", vrf, known.target, to));
        return Verdict::of(Cause::NoRoute, text).advising(bound.or(lookup));
    }
    let text = match known.to {
        Some(_) => format!("{}: {}", known.begins(), known.otherwise),
        None => known.otherwise.clone(),
    };
    Verdict::of(Cause::NoRoute, text).advising(lookup)
}

/// Which kind of route or rule makes the kernel say so: fib_rules_lookup and fib_props in the kernel.
fn refusing(errno: Errno) -> Option<u8> {
    match errno {
        Errno::EINVAL => Some(BLACKHOLE),
        Errno::EHOSTUNREACH => Some(UNREACHABLE),
        Errno::EACCES => Some(PROHIBIT),
        _ => None,
    }
}

/// What a table, or the rules, say of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RouteRefusal {
    Route,
    Rule,
    /// What is there cannot be followed: marks, sources, other conditions.
    Unclear,
}

impl NoRoute {
    fn begins(&self) -> String {
        "no route from inside".to_owned()
    }

    fn ip(&self) -> Verbatim {
        Verbatim(if self.is_ipv4 { "ip" } else { "ip -6" })
    }

    fn inside(&self, command: Option<Hint>) -> Option<Hint> {
        words::inside(&self.target, command)
    }

    fn refused(&self, kind: u8) -> Verdict {
        let says = match kind {
            BLACKHOLE => "blackhole",
            UNREACHABLE => "unreachable",
            _ => "prohibit",
        };
        let name = &self.name;
        let of_route = match kind {
            BLACKHOLE => Cause::RouteBlackhole,
            UNREACHABLE => Cause::RouteUnreachable,
            _ => Cause::RouteProhibit,
        };
        let (cause, what) = match self.who_refuses(kind) {
            RouteRefusal::Route => (of_route, format!("a route of {name} says {says}")),
            RouteRefusal::Rule => (Cause::Rule, format!("a policy rule of {name} says {says}")),
            RouteRefusal::Unclear => {
                (Cause::NoRoute, format!("a route or a policy rule of {name} says {says}"))
            }
        };
        Verdict::of(cause, format!("{}: {what}", self.begins()))
    }

    /// Follows the rules in their order, as far as they can be followed.
    fn who_refuses(&self, kind: u8) -> RouteRefusal {
        let Some(to) = self.to else { return RouteRefusal::Unclear };
        let of_family = |rule: &&Rule| rule.is_ipv4 == self.is_ipv4;
        let mut rules: Vec<&Rule> = self.rules.iter().filter(of_family).collect();
        rules.sort_by_key(|rule| rule.priority);
        for rule in rules {
            if rule.destination.is_some_and(|network| !network.contains(to)) {
                continue;
            }
            let table = match (rule.conditions.is_of_vrf, self.vrf()) {
                (true, Some((_, table))) => table,
                (true, None) => continue,
                (false, _) => rule.table,
            };
            if rule.is_conditional && !rule.conditions.is_of_vrf {
                return RouteRefusal::Unclear;
            }
            if rule.action == kind {
                return RouteRefusal::Rule;
            }
            match self.in_table(table, to) {
                Some(found) if found == kind => return RouteRefusal::Route,
                Some(_) => return RouteRefusal::Unclear,
                None => {}
            }
        }
        RouteRefusal::Unclear
    }

    /// The kind of the most exact route of a table, of several the one with the least metric.
    fn in_table(&self, table: u32, to: IpAddr) -> Option<u8> {
        let fits = self.routes.iter().filter(|route| route.table == table && route.destination.contains(to));
        let of_family = fits.filter(|route| route.destination.address().is_ipv4() == to.is_ipv4());
        let best = of_family.min_by_key(|route| (u8::MAX - route.destination.prefix_len(), route.metric));
        best.map(|route| route.kind)
    }

    fn link(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    /// The VRF that `-I` binds to, by itself or by one of its ports, and its table.
    fn vrf(&self) -> Option<(&Link, u32)> {
        let bound = self.link(self.through?)?;
        let vrf = if bound.vrf_table.is_some() { bound } else { self.link(bound.master?)? };
        Some((vrf, vrf.vrf_table?))
    }

    /// A VRF whose table leads there, where nothing is bound to any.
    fn vrf_that_leads_there(&self) -> Option<&Link> {
        let to = self.to.filter(|_| self.through.is_none())?;
        let leads = |table: u32| self.in_table(table, to) == Some(UNICAST);
        self.links.iter().find(|link| link.vrf_table.is_some_and(leads))
    }

    /// The link that is down and would lead there: the one of `-I`, the one whose network has the destination, or the only
    /// ones that there are. Of a VRF, one of its ports.
    fn link_down(&self) -> Option<&Link> {
        let is_down = |link: &&Link| !link.is_set_up();
        let bound = self.through.and_then(|index| self.link(index));
        if bound.is_some_and(|bound| is_down(&bound) || bound.vrf_table.is_none()) {
            return bound.filter(is_down);
        }
        let is_ours = |link: &&Link| bound.is_none_or(|vrf| link.master == Some(vrf.index));
        let has_it = |own: &Address| {
            let network = Cidr::new(own.address, own.prefix_len);
            self.to.zip(network).is_some_and(|(to, network)| network.contains(to))
        };
        let mut with_it = self.addresses.iter().filter(|own| has_it(own));
        let of = |own: &Address| self.link(own.index).filter(is_down).filter(is_ours);
        if let Some(link) = with_it.find_map(of) {
            return Some(link);
        }
        let is_usual = |link: &&Link| !link.is_loopback() && link.kind.as_deref() != Some("ipip");
        let mut others = self.links.iter().filter(is_usual).filter(is_ours);
        let first = others.next()?;
        (!first.is_set_up() && others.all(|link| !link.is_set_up())).then_some(first)
    }
}
