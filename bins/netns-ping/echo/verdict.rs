//! Nothing has come back: how far it got, and what to look at next.

use std::borrow::Cow;
use std::net::IpAddr;

use common::hint;
use common::hint::Hint;
use common::netlink::{Link, Neighbour, OperState};
use common::output::one_line;
use common::packet::IpFamily;
use common::packet::icmp::describe;
use common::target::Name;
use nix::errno::Errno;

use super::session::EchoSession;
use crate::network::netns::TargetNetns;
use crate::resolve::ContainerRoutes;
use crate::resolve::destination::{Destination, NUD_VALID};

/// How far it got, and the next command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `no answer: 10.1.0.9 does not answer ARP on eth0`
    pub what: String,
    /// The command to run next.
    pub next: Option<Hint>,
}

/// How a link is.
#[derive(Debug, Clone, Copy)]
struct CarrierState {
    /// IFF_*, netdevice(7).
    flags: u32,
    operstate: OperState,
}

/// What the kernel knows of the route now.
#[derive(Debug, Default)]
struct PathState {
    link: Option<CarrierState>,
    neighbour: Option<Neighbour>,
}

/// IFF_LOOPBACK and IFF_NOARP, netdevice(7).
const HAS_NO_NEIGHBOURS: u32 = 0x8 | 0x80;
const IFF_UP: u32 = 1;
/// linux/if.h: there is a carrier.
const IFF_LOWER_UP: u32 = 1 << 16;

/// Looks how far packets to this destination got; `None` if answers have come.
pub fn of(session: &EchoSession, net: &ContainerRoutes, inside: &TargetNetns) -> Option<Verdict> {
    if session.statistics.received > 0 || session.statistics.transmitted == 0 {
        return None;
    }
    let to = &session.to;
    let index = to.route.index;
    let link = net.links().ok().and_then(|links| links.into_iter().find(|link| Some(link.index) == index));
    let link = link.map(|Link { flags, operstate, .. }| CarrierState { flags, operstate });
    let neighbour = index.and_then(|index| net.neighbour(index, to.next_hop()).ok().flatten());
    let errors = SendErrors {
        icmp_error: session.icmp_error.map(|error| (error.by, in_words(session))),
        not_sent: session.not_sent,
    };
    Some(judge(to, &PathState { link, neighbour }, &errors, &inside.target.to_string()))
}

/// The errors that came back for the packets.
#[derive(Debug, Default)]
struct SendErrors {
    icmp_error: Option<(Option<IpAddr>, String)>,
    not_sent: Option<Errno>,
}

/// In small letters, but for what is written in capitals only: `frag needed and DF set`.
fn in_words(session: &EchoSession) -> String {
    let words = session
        .icmp_error
        .map(|error| describe(IpFamily::of(session.to.address), error.kind, error.code, error.info));
    let words = words.unwrap_or_default();
    let is_acronym = |word: &str| word.len() > 1 && word.chars().all(|letter| letter.is_ascii_uppercase());
    let words =
        words.split(' ').map(|word| if is_acronym(word) { word.to_owned() } else { word.to_lowercase() });
    words.collect::<Vec<_>>().join(" ")
}

fn judge(to: &Destination, known: &PathState, errors: &SendErrors, target: &str) -> Verdict {
    let inside = Inside { to, target };
    if let Some(errno) = errors.not_sent {
        return refused_by_kernel(errno, &inside);
    }
    if let Some(state) = known.link.as_ref().and_then(link_problem) {
        let next = match inside.pasted_link() {
            Some(link) => hint!("ip link show {}", link),
            None => hint!("ip link"),
        };
        return Verdict { what: format!("no answer: {} {state}", inside.link()), next: inside.command(next) };
    }
    if to.is_group() {
        let what = format!(
            "no answer: sent to all hosts on {}, which usually ignore such pings (icmp_echo_ignore_broadcasts)",
            inside.link()
        );
        return Verdict { what, next: inside.capture("icmp or icmp6") };
    }
    hop_verdict(known, errors, &inside)
}

/// What the next commands are about: they run in the network of `target`.
struct Inside<'a> {
    to: &'a Destination,
    target: &'a str,
}

impl Inside<'_> {
    /// The link's name, for a message.
    fn link(&self) -> Cow<'_, str> {
        one_line(&self.to.link)
    }

    /// The link's name if it can stand in a command: the container chooses it.
    fn pasted_link(&self) -> Option<Name> {
        self.to.link.parse().ok()
    }

    fn command(&self, command: Option<Hint>) -> Option<Hint> {
        command.and_then(|command| hint!("nsenter-rs -t {} -n {}", self.target, command))
    }

    fn family(&self) -> Hint {
        Hint::say(if self.to.address.is_ipv4() { "" } else { " -6" })
    }

    fn capture(&self, filter: &'static str) -> Option<Hint> {
        let link = self.pasted_link();
        let link = link.as_ref().map_or("any", Name::as_str);
        self.command(hint!("tcpdump -ni {} {}", link, Hint::say(filter)))
    }

    fn route_lookup(&self) -> Option<Hint> {
        self.command(hint!("ip{} route get {}", self.family(), self.to.address))
    }
}

fn refused_by_kernel(errno: Errno, inside: &Inside<'_>) -> Verdict {
    let why = errno.desc();
    let (what, next) = match errno {
        Errno::EPERM | Errno::EACCES => (
            format!("nothing was sent: {why}: a firewall's OUTPUT rule inside?"),
            inside.command(hint!("nft list ruleset")),
        ),
        Errno::EMSGSIZE => (format!("nothing was sent: {why}"), inside.route_lookup()),
        _ => (format!("nothing was sent: {why}"), inside.command(hint!("ip{} route", inside.family()))),
    };
    Verdict { what, next }
}

/// From the next hop, and the errors that came back: how far the packets got.
fn hop_verdict(known: &PathState, errors: &SendErrors, inside: &Inside<'_>) -> Verdict {
    let (to, link) = (inside.to, inside.link());
    let has_neighbours = known.link.as_ref().is_some_and(|link| link.flags & HAS_NO_NEIGHBOURS == 0);
    let is_known = known.neighbour.as_ref().is_some_and(|neighbour| neighbour.state & NUD_VALID != 0);
    let hop = to.next_hop();
    let (arp, icmp) =
        if to.address.is_ipv4() { ("ARP", "icmp") } else { ("neighbour solicitation", "icmp6") };
    let is_router = to.route.gateway.is_some();
    let role = if is_router { format!("the router {hop}") } else { hop.to_string() };
    // An error of another host comes first: one of our own kernel only follows from a silent neighbour.
    let from_another = errors.icmp_error.as_ref().filter(|(by, _)| by.is_some() && *by != to.route.source);
    if let Some((Some(by), words)) = from_another {
        return Verdict { what: format!("no answer: {by} reports: {words}"), next: inside.route_lookup() };
    }
    if !to.route.is_local && has_neighbours && !is_known {
        let what = format!("no answer: {role} does not answer {arp} on {link}");
        return Verdict { what, next: hint!("netns-ping --arp {} {}", inside.target, hop) };
    }
    if let Some((_, words)) = &errors.icmp_error {
        let what = format!("no answer: the kernel reports: {words}");
        return Verdict { what, next: inside.route_lookup() };
    }
    let mac = known
        .neighbour
        .and_then(|neighbour| neighbour.mac)
        .map_or_else(String::new, |mac| format!(" ({mac})"));
    let (what, next) = match (to.route.is_local, has_neighbours, is_router) {
        (true, ..) => (
            "no answer, although it is an address inside: a firewall inside?".to_owned(),
            inside.command(hint!("nft list ruleset")),
        ),
        (_, false, _) => (format!("no answer: sent through {link}"), inside.capture("icmp")),
        (_, true, false) => (
            format!("no answer: {hop}{mac} answers {arp} on {link}, but not pings: a firewall there?"),
            inside.capture(icmp),
        ),
        (_, true, true) => (
            format!("no answer: {role}{mac} answers {arp} on {link}, but no answer comes from beyond it"),
            hint!("netns-ping {} {}", inside.target, hop),
        ),
    };
    Verdict { what, next }
}

fn link_problem(link: &CarrierState) -> Option<&'static str> {
    match link.operstate {
        _ if link.flags & IFF_UP == 0 => Some("is down"),
        // The state comes up to a second later than the flag (net/core/link_watch.c).
        _ if link.flags & IFF_LOWER_UP == 0 => Some("has no carrier: its other end is down"),
        OperState::Dormant | OperState::Testing => Some("is not ready"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use common::netlink::RouteLookup;

    use super::*;
    use crate::resolve::destination::AddressSource;

    fn to(gateway: Option<&str>) -> Destination {
        let word = "10.1.0.9".to_owned();
        let route = RouteLookup {
            index: Some(2),
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
            source: "10.1.0.2".parse().ok(),
            is_local: false,
            is_group: false,
        };
        Destination {
            name: word.clone(),
            address: word.parse().unwrap(),
            word,
            known: AddressSource::Typed,
            route,
            link: "eth0".to_owned(),
        }
    }

    fn link(flags: u32) -> Option<CarrierState> {
        Some(CarrierState { flags, operstate: OperState::Up })
    }

    fn neighbour(state: u16) -> Option<Neighbour> {
        let mac = "02:00:00:00:00:09".parse().ok();
        Some(Neighbour { index: 2, address: "10.1.0.9".parse().unwrap(), mac, state })
    }

    fn said(to: &Destination, known: &PathState, said: &SendErrors) -> (String, String) {
        let Verdict { what, next } = judge(to, known, said, "nginx");
        (what, next.unwrap().to_string())
    }

    #[test]
    fn a_silent_neighbour_is_told_from_a_silent_host() {
        let silent = PathState { link: link(IFF_UP | IFF_LOWER_UP), neighbour: neighbour(0x20) };
        let expected = ("no answer: 10.1.0.9 does not answer ARP on eth0", "netns-ping --arp nginx 10.1.0.9");
        let ours = Some(("10.1.0.2".parse().ok(), "destination host unreachable".to_owned()));
        for icmp_error in [None, ours] {
            let (what, next) = said(&to(None), &silent, &SendErrors { icmp_error, not_sent: None });
            assert_eq!((what.as_str(), next.as_str()), expected);
        }
        let known = PathState { link: link(IFF_UP | IFF_LOWER_UP), neighbour: neighbour(2) };
        let (what, _) = said(&to(None), &known, &SendErrors::default());
        assert_eq!(
            what,
            "no answer: 10.1.0.9 (02:00:00:00:00:09) answers ARP on eth0, but not pings: a firewall there?"
        );
        let (what, next) = said(&to(Some("10.1.0.1")), &known, &SendErrors::default());
        assert!(what.contains("the router 10.1.0.1 (02:00:00:00:00:09) answers ARP on eth0"), "{what}");
        assert_eq!(next, "netns-ping nginx 10.1.0.1");
    }

    #[test]
    fn an_icmp_error_is_quoted_and_a_link_without_carrier_comes_first() {
        let known = PathState { link: link(IFF_UP | IFF_LOWER_UP), neighbour: neighbour(2) };
        let icmp_error = Some(("10.1.0.1".parse().ok(), "destination host unreachable".to_owned()));
        let (what, _) = said(&to(Some("10.1.0.1")), &known, &SendErrors { icmp_error, not_sent: None });
        assert_eq!(what, "no answer: 10.1.0.1 reports: destination host unreachable");
        let cut = PathState { link: link(IFF_UP), neighbour: None };
        let (what, next) = said(&to(None), &cut, &SendErrors::default());
        assert_eq!(what, "no answer: eth0 has no carrier: its other end is down");
        assert_eq!(next, "nsenter-rs -t nginx -n ip link show eth0");
        let (what, _) = said(&to(None), &cut, &SendErrors { icmp_error: None, not_sent: Some(Errno::EPERM) });
        assert!(what.starts_with("nothing was sent: Operation not permitted"), "{what}");
    }
}
