//! One change of the network, as data: acted on, undone, shown as the command that does the same, compared with what is,
//! and kept in the journal.

use std::net::IpAddr;

use common::cidr::Cidr;
use common::target::{IfName, Mac};
use serde::{Deserialize, Serialize};

/// On which side of the cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// In the namespace that add-nic runs in.
    Outside,
    /// In the container's.
    Inside,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Make a bridge, and set it up.
    AddBridge(NewBridge),
    /// Delete that bridge, if nothing is plugged into it.
    DelBridge(NewBridge),
    /// Make a veth pair, each end in its place.
    AddVeth(Veth),
    /// Delete that pair.
    DelVeth(Veth),
    /// Delete a link that is another's work.
    DelLink { place: Place, link: IfName },
    /// Write on the host's end whose it is, for people.
    SetAlias { link: IfName, alias: String },
    /// Let a link have IPv6 addresses.
    AllowIpv6 { place: Place, link: IfName },
    /// Give a link an address.
    AddAddress(Held),
    /// Take it away.
    DelAddress(Held),
    /// Set a link up.
    SetUp { place: Place, link: IfName },
    /// Make a route in the container.
    AddRoute(Way),
    /// Delete one there.
    DelRoute(Way),
}

/// How a step is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undoing {
    /// It goes with its link, which another step of the same plan has made.
    WithItsLink,
    /// By this step.
    By(Step),
    /// By this step, when nobody else's plan has it any more.
    ByTheLast(Step),
}

/// A bridge that we make. Its address tells it from one of the same name that somebody made since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewBridge {
    pub name: IfName,
    pub mac: Mac,
    pub mtu_bytes: Option<u32>,
}

/// A veth pair. The address of the end outside, which is random and no container can change, tells it from every other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Veth {
    pub outside: End,
    pub inside: End,
    pub mtu_bytes: Option<u32>,
    /// The bridge that the end outside is a port of.
    pub bridge: Option<IfName>,
}

/// One end of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub name: IfName,
    pub mac: Mac,
}

/// An address that a link has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub place: Place,
    pub link: IfName,
    pub cidr: Cidr,
    /// The other end's, where that is in no network with it.
    pub peer: Option<IpAddr>,
}

/// A route of the container's main table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    pub to: Cidr,
    pub via: Option<IpAddr>,
    pub link: IfName,
    pub source: Option<IpAddr>,
    /// 0 is what the kernel takes when nobody says anything: IPv4 0, IPv6 1024.
    pub metric: u32,
    /// rtnetlink(7), rtm_protocol: 3 is what was made at boot, or by hand.
    pub protocol: u8,
    /// rtnetlink(7), rtm_scope; `None`: as far as one such leads.
    pub scope: Option<u8>,
    pub on_link: bool,
}

/// RTPROT_BOOT: what `ip route add` gives to a route.
pub const BY_HAND: u8 = 3;

/// The file that says whether a link may have IPv6 addresses.
pub fn ipv6_switch(link: &str) -> String {
    format!("/proc/sys/net/ipv6/conf/{link}/disable_ipv6")
}

impl Step {
    /// The command that does the same; `inside` is a file of the container's network namespace.
    pub fn as_command(&self, inside: &str) -> String {
        let quoted_inside = quoted(inside);
        let at = |place: Place, command: String| match place {
            Place::Outside => command,
            Place::Inside => format!("nsenter --net={quoted_inside} {command}"),
        };
        match self {
            Step::AddBridge(bridge) => {
                let NewBridge { name, mac, mtu_bytes } = bridge;
                format!("ip link add {name} address {mac}{} up type bridge", mtu(*mtu_bytes))
            }
            Step::DelBridge(NewBridge { name, .. }) => format!("ip link del {name}"),
            Step::AddVeth(veth) => veth.as_command(&quoted_inside),
            Step::DelVeth(veth) => format!("ip link del {}", veth.outside.name),
            Step::DelLink { place, link } => at(*place, format!("ip link del {link}")),
            Step::SetAlias { link, alias } => format!("ip link set {link} alias {}", quoted(alias)),
            Step::AllowIpv6 { place, link } => {
                // A dot in a link's name is a slash for sysctl(8).
                let key = format!("net/ipv6/conf/{link}/disable_ipv6");
                at(*place, format!("sysctl -q -w {key}=0"))
            }
            Step::AddAddress(held) => {
                at(held.place, format!("ip address add {}{}", held.words(), held.no_dad()))
            }
            Step::DelAddress(held) => at(held.place, format!("ip address del {}", held.words())),
            Step::SetUp { place, link } => at(*place, format!("ip link set {link} up")),
            Step::AddRoute(way) => at(Place::Inside, format!("ip route add {}", way.words())),
            Step::DelRoute(way) => at(Place::Inside, format!("ip route del {}", way.words())),
        }
    }
}

impl Veth {
    fn as_command(&self, inside: &str) -> String {
        let mtu = mtu(self.mtu_bytes);
        let master = self.bridge.as_ref().map_or(String::new(), |bridge| format!(" master {bridge}"));
        let (here, there) = (&self.outside, &self.inside);
        format!(
            "ip link add {} address {}{mtu}{master} type veth peer name {} address {}{mtu} netns {inside}",
            here.name, here.mac, there.name, there.mac
        )
    }
}

impl Held {
    fn words(&self) -> String {
        match self.peer {
            Some(peer) => format!("{} peer {} dev {}", self.cidr.address(), Cidr::host(peer), self.link),
            None => {
                let broadcast =
                    self.cidr.broadcast().map_or(String::new(), |all| format!(" broadcast {all}"));
                format!("{}{broadcast} dev {}", self.cidr, self.link)
            }
        }
    }

    fn no_dad(&self) -> &'static str {
        if self.cidr.address().is_ipv6() { " nodad" } else { "" }
    }
}

impl Way {
    /// As ip-route(8) takes it.
    fn words(&self) -> String {
        let mut words = match (self.to.prefix_len(), self.to.address()) {
            (0, IpAddr::V4(_)) => "default".to_owned(),
            (0, IpAddr::V6(_)) => "::/0".to_owned(),
            _ => self.to.to_string(),
        };
        if let Some(via) = self.via {
            words += &format!(" via {via}");
        }
        words += &format!(" dev {}", self.link);
        if let Some(source) = self.source {
            words += &format!(" src {source}");
        }
        if self.metric > 0 {
            words += &format!(" metric {}", self.metric);
        }
        if self.protocol != BY_HAND {
            words += &format!(" proto {}", self.protocol);
        }
        if let (Some(scope), IpAddr::V4(_)) = (self.scope, self.to.address()) {
            words += &format!(" scope {scope}");
        }
        if self.on_link {
            words += " onlink";
        }
        words
    }
}

fn mtu(bytes: Option<u32>) -> String {
    bytes.map_or(String::new(), |bytes| format!(" mtu {bytes}"))
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@+".contains(c);
    match word.chars().all(plain) && !word.is_empty() {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_a_shell_would_read_otherwise_is_quoted() {
        assert_eq!(quoted("/proc/12/ns/net"), "/proc/12/ns/net");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's; $(reboot)"), r"'it'\''s; $(reboot)'");
        assert_eq!(quoted(""), "''");
    }
}
