//! Decides what will be, from what is wanted and what is. Pure.

use std::net::IpAddr;

use common::cidr::Cidr;
use common::failure::Failure;
use common::netlink::Link;
use common::target::{IfName, Mac};
use serde::{Deserialize, Serialize};

use crate::addresses::{host_addresses, refuse_taken};
use crate::journal::{Inside, Record};
use crate::names;
use crate::routes::routes;
use crate::snapshot::Snapshot;
use crate::step::{End, Held, NewBridge, Place, Step, Undoing, Veth};
use crate::wanted::{Bridge, Wanted};

/// What will be done, step by step, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub nic: Nic,
    pub steps: Vec<(Step, Undoing)>,
}

/// The NIC as it will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    pub name: IfName,
    pub mac: Mac,
    pub addresses: Vec<Cidr>,
    pub mtu_bytes: u32,
    /// The other end.
    pub host_name: IfName,
    pub host_mac: Mac,
    /// What the host has on the cable, or on the bridge because of us.
    pub host_addresses: Vec<Cidr>,
    pub bridge: Option<IfName>,
}

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    pub wanted: &'a Wanted,
    pub snapshot: &'a Snapshot,
    /// All NICs of ours that there are.
    pub records: &'a [Record],
    pub inside: &'a Inside,
    /// For link-layer addresses.
    pub random: [u8; 18],
}

/// The kernel's for a veth and a bridge that nobody says anything about (ETH_DATA_LEN).
const USUAL_MTU: u32 = 1500;

impl Plan {
    /// The plan, or why there can be none.
    pub fn make(basis: &Basis<'_>) -> Result<Plan, Failure> {
        let (name, host_name) = (basis.name()?, basis.host_name()?);
        let bridge = basis.bridge()?;
        refuse_taken(basis)?;
        let host_addresses = host_addresses(basis, bridge.as_ref())?;
        let bridge_mtu = bridge.as_ref().and_then(|bridge| bridge.mtu_bytes);
        let nic = Nic {
            name,
            mac: basis.wanted.mac.unwrap_or_else(|| basis.mac(0)),
            addresses: basis.wanted.addresses.clone(),
            mtu_bytes: basis.wanted.mtu_bytes.or(bridge_mtu).unwrap_or(USUAL_MTU),
            host_name,
            host_mac: basis.port_mac(),
            host_addresses: host_addresses.clone(),
            bridge: bridge.as_ref().map(|bridge| bridge.name.clone()),
        };
        refuse_greater_mtu(&nic, bridge_mtu)?;
        let mut steps = bridge.map_or(Vec::new(), |bridge| bridge.steps);
        steps.extend(cable(&nic, basis)?);
        steps.extend(routes(&nic, basis)?);
        Ok(Plan { nic, steps })
    }

    /// Whether a step of it is about the bridge, which others may have done already.
    pub fn is_shared(&self, step: &Step) -> bool {
        match step {
            Step::AddBridge(_) => true,
            Step::AddAddress(held) => {
                held.place == Place::Outside && Some(&held.link) == self.nic.bridge.as_ref()
            }
            _ => false,
        }
    }

    /// The steps that undo it, last first; without those that others still need.
    pub fn undoing<'a>(&'a self, others: &'a [&'a Record]) -> impl Iterator<Item = &'a Step> {
        undoing(&self.steps, others)
    }
}

/// The steps that undo `steps`, last first; without those that one of `others` still needs.
pub fn undoing<'a>(steps: &'a [(Step, Undoing)], others: &'a [&'a Record]) -> impl Iterator<Item = &'a Step> {
    let needed =
        |step: &Step| others.iter().any(|record| record.plan.steps.iter().any(|(other, _)| other == step));
    steps.iter().rev().filter_map(move |(step, undoing)| match undoing {
        Undoing::WithItsLink => None,
        Undoing::By(undo) => Some(undo),
        Undoing::ByTheLast(undo) => (!needed(step)).then_some(undo),
    })
}

/// The bridge that the NIC is plugged into, and what is to be done about it.
#[derive(Debug)]
pub struct Plugged {
    pub name: IfName,
    /// Its own, when it is there already.
    pub mtu_bytes: Option<u32>,
    /// Its index, when it is there already.
    pub index: Option<u32>,
    steps: Vec<(Step, Undoing)>,
}

impl Basis<'_> {
    /// How people call the container.
    pub fn who(&self) -> &str {
        &self.inside.name
    }

    /// The last of its words: of `pod:default/shop/frontend` it is `frontend`, of `/run/netns/blue` `blue`.
    fn stem(&self) -> String {
        let last = self.who().rsplit(['/', ':']).next().unwrap_or_default();
        let is_number = last.chars().all(|c| c.is_ascii_digit());
        if is_number { format!("pid{last}") } else { last.to_owned() }
    }

    fn mac(&self, which: usize) -> Mac {
        let mut bytes = [0; 6];
        bytes.copy_from_slice(&self.random[which * 6..][..6]);
        Mac::local(bytes)
    }

    /// Higher than any other: a bridge takes the least of its ports' addresses for its own, unless somebody gave it one,
    /// and then all who knew the host by the one before would not reach it for a while.
    fn port_mac(&self) -> Mac {
        let Mac([_, rest @ ..]) = self.mac(1);
        let [b, c, d, e, f] = rest;
        Mac([0xfe, b, c, d, e, f])
    }

    fn name(&self) -> Result<IfName, Failure> {
        let inside = &self.snapshot.inside;
        let Some(name) = &self.wanted.name else {
            let free = names::next_free(|name| inside.link(name).is_some());
            return free
                .ok_or_else(|| Failure::trouble(self.who(), "has no name left between eth0 and eth9999"));
        };
        match inside.link(name.as_str()) {
            Some(_) => {
                Err(Failure::trouble(name, format_args!("is the name of another link in {}", self.who())))
            }
            None => Ok(name.clone()),
        }
    }

    fn host_name(&self) -> Result<IfName, Failure> {
        let outside = &self.snapshot.outside;
        let inside_name = self.name()?;
        let is_taken = |name: &str| {
            // With both ends in one namespace the other end's name is not free either.
            outside.link(name).is_some() || (self.snapshot.is_one && name == inside_name.as_str())
        };
        let Some(name) = &self.wanted.host_name else {
            let free = names::of_host_end(&self.stem(), &inside_name, is_taken);
            return free.ok_or_else(|| {
                Failure::trouble(self.who(), "has no name left for the host's end").hint("--host-name IF")
            });
        };
        match is_taken(name.as_str()) {
            true => Err(Failure::trouble(name, "is the name of another link of the host")),
            false => Ok(name.clone()),
        }
    }

    fn bridge(&self) -> Result<Option<Plugged>, Failure> {
        let Some(Bridge { name, create }) = &self.wanted.bridge else { return Ok(None) };
        let found = self.snapshot.outside.link(name.as_str());
        match found {
            Some(link) if !link.is_bridge() => Err(Failure::trouble(name, "is not a bridge")),
            Some(link) if !link.is_set_up() => {
                Err(Failure::trouble(name, "is down").hint(format_args!("ip link set {name} up")))
            }
            Some(link) => Ok(Some(self.existing(name, link))),
            None if *create => Ok(Some(self.new_bridge(name))),
            None => Err(Failure::trouble(name, "there is no such bridge").hint("--create makes it")),
        }
    }

    /// A bridge that is there. If one of ours made it, it is this NIC's too now, and goes with the last of them.
    fn existing(&self, name: &IfName, link: &Link) -> Plugged {
        let shared = |step: &Step| match step {
            Step::AddBridge(bridge) => bridge.name == *name && Some(bridge.mac) == link.mac,
            Step::AddAddress(held) => held.place == Place::Outside && held.link == *name,
            _ => false,
        };
        let mut steps: Vec<(Step, Undoing)> = Vec::new();
        for (step, undoing) in self.records.iter().flat_map(|record| &record.plan.steps) {
            let is_new = steps.iter().all(|(known, _)| known != step);
            if is_new && shared(step) {
                steps.push((step.clone(), undoing.clone()));
            }
        }
        Plugged { name: name.clone(), mtu_bytes: Some(link.mtu_bytes), index: Some(link.index), steps }
    }

    fn new_bridge(&self, name: &IfName) -> Plugged {
        let bridge = NewBridge { name: name.clone(), mac: self.mac(2), mtu_bytes: self.wanted.mtu_bytes };
        let steps = vec![(Step::AddBridge(bridge.clone()), Undoing::ByTheLast(Step::DelBridge(bridge)))];
        Plugged { name: name.clone(), mtu_bytes: self.wanted.mtu_bytes, index: None, steps }
    }
}

fn refuse_greater_mtu(nic: &Nic, bridge: Option<u32>) -> Result<(), Failure> {
    match (&nic.bridge, bridge) {
        (Some(name), Some(most)) if nic.mtu_bytes > most => Err(Failure::trouble(
            format_args!("MTU {}", nic.mtu_bytes),
            format_args!("is more than {name} carries, which is {most}"),
        )),
        _ => Ok(()),
    }
}

/// The pair, its addresses, and both ends up.
fn cable(nic: &Nic, basis: &Basis<'_>) -> Result<Vec<(Step, Undoing)>, Failure> {
    let end = |name: &IfName, mac| End { name: name.clone(), mac };
    let veth = Veth {
        outside: end(&nic.host_name, nic.host_mac),
        inside: end(&nic.name, nic.mac),
        mtu_bytes: Some(nic.mtu_bytes).filter(|mtu| *mtu != USUAL_MTU),
        bridge: nic.bridge.clone(),
    };
    let mut steps = vec![(Step::AddVeth(veth.clone()), Undoing::By(Step::DelVeth(veth)))];
    let alias = names::alias(basis.who(), &nic.name);
    let with_its_link = |step| (step, Undoing::WithItsLink);
    steps.push(with_its_link(Step::SetAlias { link: nic.host_name.clone(), alias }));
    // What is given to a bridge that was there before is taken from it again; all else goes with its link.
    let (outer, by_the_last) = match &nic.bridge {
        Some(bridge) => (bridge, basis.snapshot.outside.link(bridge.as_str()).is_some()),
        None => (&nic.host_name, false),
    };
    steps.extend(allow_ipv6(Place::Outside, outer, &nic.host_addresses, basis)?.map(with_its_link));
    steps.extend(allow_ipv6(Place::Inside, &nic.name, &nic.addresses, basis)?.map(with_its_link));
    // Up before it is addressed: an IPv6 peer's route is tried once, and fails on a link that is down
    // (__ipv6_ifa_notify in net/ipv6/addrconf.c).
    for (place, link) in [(Place::Outside, &nic.host_name), (Place::Inside, &nic.name)] {
        steps.push(with_its_link(Step::SetUp { place, link: link.clone() }));
    }
    for cidr in &nic.host_addresses {
        let peer = nic.addresses.iter().filter(|inside| inside.is_host()).map(Cidr::address);
        let held = held(Place::Outside, outer, *cidr, peer);
        let undoing = match by_the_last {
            true => Undoing::ByTheLast(Step::DelAddress(held.clone())),
            false => Undoing::WithItsLink,
        };
        steps.push((Step::AddAddress(held), undoing));
    }
    for cidr in &nic.addresses {
        let peer = nic.host_addresses.iter().filter(|outside| outside.is_host()).map(Cidr::address);
        steps.push(with_its_link(Step::AddAddress(held(Place::Inside, &nic.name, *cidr, peer))));
    }
    Ok(steps)
}

/// An address; one that is alone in its network has the other end's as its peer, which makes a route to that.
fn held(place: Place, link: &IfName, cidr: Cidr, mut others: impl Iterator<Item = IpAddr>) -> Held {
    let peer = match cidr.is_host() {
        true => others.find(|other| other.is_ipv4() == cidr.address().is_ipv4()),
        false => None,
    };
    Held { place, link: link.clone(), cidr, peer }
}

/// The step that lets a new link have IPv6 addresses, where new links may not: engines switch it off in containers
/// whose own network has none.
fn allow_ipv6(
    place: Place,
    link: &IfName,
    addresses: &[Cidr],
    basis: &Basis<'_>,
) -> Result<Option<Step>, Failure> {
    let Some(six) = addresses.iter().find(|cidr| cidr.address().is_ipv6()) else { return Ok(None) };
    let (side, whose) = match place {
        Place::Outside => (&basis.snapshot.outside, "the host"),
        Place::Inside => (&basis.snapshot.inside, basis.who()),
    };
    match side.allows_ipv6 {
        Some(true) => Ok(None),
        // A bridge that is there has what its owner wants, and the kernel will say so.
        Some(false) if side.link(link.as_str()).is_some() => Ok(None),
        Some(false) => Ok(Some(Step::AllowIpv6 { place, link: link.clone() })),
        None => Err(Failure::trouble(
            six,
            format_args!("the kernel has no IPv6, or /proc/sys of {whose} is hidden"),
        )),
    }
}
