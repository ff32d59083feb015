//! Links that are stacked on a link of the host: macvlan, ipvlan, VLAN.

use std::fmt;
use std::str::FromStr;

use common::netlink::{Link, UpperKind};
use common::target::{IfName, Mac};
use serde::{Deserialize, Serialize};

use super::link::mtu;
use crate::model::netns::Netns;
use crate::model::shell::{NetnsFiles, quoted};

/// A link on another one, which is the host's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackedLink {
    #[serde(rename = "place")]
    pub netns: Netns,
    pub name: IfName,
    /// Its index, known once it was created: a new name does not change it.
    pub index: Option<u32>,
    /// Its own; of a kind that has the parent's, none.
    pub mac: Option<Mac>,
    pub mtu_bytes: Option<u32>,
    pub parent: IfName,
    pub on: StackedKind,
    /// The name that it has for a moment, where the host has a link of its final one: kernels before 6.15 make it on the host,
    /// and move it in the same message.
    pub passing_name: Option<IfName>,
}

/// Its kind, and how it uses its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StackedKind {
    Macvlan(MacvlanMode),
    Ipvlan(IpvlanMode),
    Vlan(u16),
}

/// How macvlans of one parent reach each other: ip-link(8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MacvlanMode {
    Private,
    Vepa,
    Bridge,
    Passthru,
}

/// Whether an ipvlan's parent switches or routes: ip-link(8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpvlanMode {
    L2,
    L3,
    L3s,
}

/// A word that is none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub struct NoMode(&'static str);

impl FromStr for MacvlanMode {
    type Err = NoMode;

    fn from_str(word: &str) -> Result<Self, NoMode> {
        match word {
            "private" => Ok(MacvlanMode::Private),
            "vepa" => Ok(MacvlanMode::Vepa),
            "bridge" => Ok(MacvlanMode::Bridge),
            "passthru" => Ok(MacvlanMode::Passthru),
            _ => Err(NoMode("private, vepa, bridge or passthru")),
        }
    }
}

impl FromStr for IpvlanMode {
    type Err = NoMode;

    fn from_str(word: &str) -> Result<Self, NoMode> {
        match word {
            "l2" => Ok(IpvlanMode::L2),
            "l3" => Ok(IpvlanMode::L3),
            "l3s" => Ok(IpvlanMode::L3s),
            _ => Err(NoMode("l2, l3 or l3s")),
        }
    }
}

impl StackedKind {
    /// The option's word for it, which is the kernel's too.
    pub fn kind(self) -> &'static str {
        self.kernels().name()
    }

    /// One of it: `a macvlan`.
    pub fn one(self) -> &'static str {
        match self {
            StackedKind::Macvlan(_) => "a macvlan",
            StackedKind::Ipvlan(_) => "an ipvlan",
            StackedKind::Vlan(_) => "a vlan",
        }
    }

    /// How it is, in the words of ip-link(8).
    pub fn mode(self) -> Option<&'static str> {
        match self {
            StackedKind::Macvlan(MacvlanMode::Private) => Some("private"),
            StackedKind::Macvlan(MacvlanMode::Vepa) => Some("vepa"),
            StackedKind::Macvlan(MacvlanMode::Bridge) => Some("bridge"),
            StackedKind::Macvlan(MacvlanMode::Passthru) => Some("passthru"),
            StackedKind::Ipvlan(IpvlanMode::L2) => Some("l2"),
            StackedKind::Ipvlan(IpvlanMode::L3) => Some("l3"),
            StackedKind::Ipvlan(IpvlanMode::L3s) => Some("l3s"),
            StackedKind::Vlan(_) => None,
        }
    }

    /// In the kernel's numbers (linux/if_link.h).
    pub fn kernels(self) -> UpperKind {
        match self {
            StackedKind::Macvlan(mode) => UpperKind::Macvlan(match mode {
                MacvlanMode::Private => 1,
                MacvlanMode::Vepa => 2,
                MacvlanMode::Bridge => 4,
                MacvlanMode::Passthru => 8,
            }),
            StackedKind::Ipvlan(mode) => UpperKind::Ipvlan(match mode {
                IpvlanMode::L2 => 0,
                IpvlanMode::L3 => 1,
                IpvlanMode::L3s => 2,
            }),
            StackedKind::Vlan(id) => UpperKind::Vlan(id),
        }
    }

    /// Whether it has its parent's link-layer address, and no other.
    pub fn has_parents_mac(self) -> bool {
        matches!(self, StackedKind::Ipvlan(_) | StackedKind::Macvlan(MacvlanMode::Passthru))
    }

    /// Whether neighbours can resolve it: in the other modes the parent routes, and nothing answers ARP.
    pub fn answers_arp(self) -> bool {
        !matches!(self, StackedKind::Ipvlan(IpvlanMode::L3 | IpvlanMode::L3s))
    }
}

impl fmt::Display for StackedKind {
    /// As `ip link add type` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.mode()) {
            (StackedKind::Vlan(id), _) => write!(f, "vlan id {id}"),
            (_, Some(mode)) => write!(f, "{} mode {mode}", self.kind()),
            (_, None) => write!(f, "{}", self.kind()),
        }
    }
}

impl StackedLink {
    /// Whether a link is this one. As long as its index is not known, its name identifies it, in the only namespace that it
    /// can be in; a look-alike that the container creates there is deleted instead.
    pub fn matches(&self, link: &Link) -> bool {
        let same = match (self.index, self.mac) {
            (Some(index), _) => link.index == index,
            (None, Some(mac)) => link.mac == Some(mac),
            (None, None) => {
                let names = [Some(&self.name), self.passing_name.as_ref()];
                names.into_iter().flatten().any(|name| link.name.to_str() == Some(name.as_str()))
            }
        };
        let vlan = match self.on {
            StackedKind::Vlan(id) => Some(id),
            _ => None,
        };
        same && link.kind.as_deref() == Some(self.on.kind()) && link.vlan == vlan
    }

    pub(super) fn adding(&self, files: &NetnsFiles<'_>) -> String {
        let StackedLink { name, parent, on, .. } = self;
        let address = self.mac.map_or(String::new(), |mac| format!(" address {mac}"));
        let mtu = mtu(self.mtu_bytes);
        let first = self.passing_name.as_ref().unwrap_or(name);
        let netns = match self.netns {
            Netns::Host => String::new(),
            _ => format!(" netns {}", quoted(files.inside)),
        };
        let add = format!("ip link add link {parent} name {first}{address}{mtu}{netns} type {on}");
        match &self.passing_name {
            Some(_) => {
                format!("{add} && {}", files.at(self.netns, format!("ip link set {first} name {name}")))
            }
            None => add,
        }
    }

    pub(super) fn deleting(&self, files: &NetnsFiles<'_>) -> String {
        files.at(self.netns, format!("ip link del {}", self.name))
    }
}
