//! The parts that sentences and commands are made of.

use std::borrow::Cow;
use std::net::SocketAddr;

use super::{Evidence, ProbeKind};
use crate::hint;
use crate::hint::{Hint, Verbatim};
use crate::netlink::Link;
use crate::output::one_line;
use crate::packet::IpFamily;
use crate::packet::icmp::{IcmpError, describe};
use crate::target::{DestPort, Name};

impl Evidence {
    /// The link's name, for a message.
    pub(super) fn link_word(&self) -> Cow<'_, str> {
        one_line(&self.link_name)
    }

    /// What asks for a neighbour's address.
    pub(super) fn arp(&self) -> &'static str {
        if self.to.is_ipv4() { "ARP" } else { "neighbour solicitation" }
    }

    /// A command in the container's network.
    pub(super) fn inside(&self, command: Option<Hint>) -> Option<Hint> {
        inside(&self.target, command)
    }

    /// `ip`, or `ip -6`.
    pub(super) fn ip(&self) -> Verbatim {
        Verbatim(if self.to.is_ipv4() { "ip" } else { "ip -6" })
    }

    /// The link's name if it can stand in a command: the container chooses it.
    pub(super) fn pasted_link(&self) -> Option<Name> {
        self.link_name.parse().ok()
    }

    /// What follows such a probe from hop to hop.
    pub(super) fn trace(&self) -> Option<Hint> {
        match self.probe {
            ProbeKind::Echo { .. } => hint!("netns-trace {} {}", self.target, self.to),
            ProbeKind::Port(DestPort { transport, number }) => {
                let to = format!("{transport}:{}", SocketAddr::new(self.to, number));
                hint!("netns-trace {} {}", self.target, to)
            }
        }
    }

    /// What shows the packets of such a probe on the link.
    pub(super) fn capture(&self) -> Option<Hint> {
        let link = self.pasted_link();
        let link = link.as_ref().map_or("any", Name::as_str);
        let filter = match self.probe {
            ProbeKind::Port(DestPort { transport, number }) => {
                hint!("{} port {}", Verbatim(transport.as_str()), number)?
            }
            ProbeKind::Echo { .. } => {
                hint!("{}", Verbatim(if self.to.is_ipv4() { "icmp" } else { "icmp6" }))?
            }
        };
        self.inside(hint!("tcpdump -ni {} {}", link, filter))
    }
}

/// A command in the network of `target`.
pub(super) fn inside(target: &str, command: Option<Hint>) -> Option<Hint> {
    command.and_then(|command| hint!("nsenter-rs -t {} -n {}", target, command))
}

/// `eth0.5 is down`, and which link to set up: with the one below a VLAN that one goes down, and cannot be set up before it.
pub(super) fn link_down<'a>(links: &'a [Link], down: &'a Link, whose: &str) -> (String, &'a Link) {
    let is_here = |index: &u32| down.link_netnsid.is_none() && !down.is_veth() && *index != down.index;
    let below = down.link.filter(is_here).and_then(|index| links.iter().find(|link| link.index == index));
    let name = |link: &Link| one_line(&link.name.to_string_lossy()).into_owned();
    match below.filter(|below| !below.is_set_up()) {
        Some(below) => (format!("{}{whose} is down, and so is {} below it", name(down), name(below)), below),
        None => (format!("{}{whose} is down", name(down)), down),
    }
}

/// What an ICMP error says, in small letters, but for what is written in capitals only: `frag needed and DF set`.
pub(super) fn in_words(family: IpFamily, error: &IcmpError) -> String {
    let words = describe(family, error.kind, error.code, error.info);
    let is_acronym = |word: &str| word.len() > 1 && word.chars().all(|letter| letter.is_ascii_uppercase());
    let words =
        words.split(' ').map(|word| if is_acronym(word) { word.to_owned() } else { word.to_lowercase() });
    words.collect::<Vec<_>>().join(" ")
}
