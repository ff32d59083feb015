//! A NIC that is stacked on a link of the host: macvlan, ipvlan, VLAN.

use common::failure::Failure;
use common::netlink::Link;
use common::target::{IfName, Mac};

use super::addressing::put_to_use;
use crate::model::change::{PlanStep, StackedKind, StackedLink, Undo};
use crate::model::netns::Netns;
use crate::model::nic::{Nic, OtherEnd, ParentLink};
use crate::model::plan::Plan;
use crate::plan::conflicts::refuse_conflicts;
use crate::plan::input::PlanInput;

/// Creates the NIC, with its addresses, and up; and the VLAN interface below, if needed.
pub(super) fn stacked(name: IfName, parent: &ParentLink, input: &PlanInput<'_>) -> Result<Plan, Failure> {
    let LinkBelow { link: below, mac, mtu_bytes, mut steps } = input.below(parent)?;
    refuse_conflicts(input)?;
    let own_mac = match parent.on {
        on if on.has_parents_mac() => None,
        StackedKind::Vlan(_) => input.wanted.mac,
        _ => Some(input.nic_mac()?),
    };
    let nic = Nic {
        name,
        mac: own_mac.or(mac).ok_or_else(|| no_ethernet(parent))?,
        addresses: input.wanted.addresses.clone(),
        mtu_bytes: input.wanted.mtu_bytes.unwrap_or(mtu_bytes),
        other_end: OtherEnd::On(parent.clone()),
    };
    if nic.mtu_bytes > mtu_bytes {
        return Err(Failure::failed(
            format_args!("MTU {}", nic.mtu_bytes),
            format_args!("larger than the MTU of {below}, {mtu_bytes}"),
        ));
    }
    let taken_outside = input.snapshot.host.link(nic.name.as_str()).is_some() && !input.snapshot.is_one;
    let stacked = StackedLink {
        netns: Netns::Container,
        name: nic.name.clone(),
        index: None,
        mac: own_mac,
        mtu_bytes: Some(nic.mtu_bytes),
        parent: below,
        on: parent.on,
        passing_name: if taken_outside { input.passing_name() } else { None },
    };
    steps.push((PlanStep::AddStackedLink(stacked.clone()), Undo::By(PlanStep::DelStackedLink(stacked))));
    steps.extend(put_to_use(&nic, input)?);
    Ok(Plan { nic, steps, links: vec![] })
}

/// A VLAN's link on the host, up.
fn vlan_link(name: &IfName, parent: &IfName, id: u16) -> Vec<(PlanStep, Undo)> {
    let stacked = StackedLink {
        netns: Netns::Host,
        name: name.clone(),
        index: None,
        mac: None,
        mtu_bytes: None,
        parent: parent.clone(),
        on: StackedKind::Vlan(id),
        passing_name: None,
    };
    vec![
        (PlanStep::AddStackedLink(stacked.clone()), Undo::WhenUnused(PlanStep::DelStackedLink(stacked))),
        (PlanStep::SetUp { netns: Netns::Host, link: name.clone() }, Undo::WithItsLink),
    ]
}

fn no_ethernet(parent: &ParentLink) -> Failure {
    Failure::failed(
        &parent.name,
        format_args!("has no Ethernet address and cannot carry {}", parent.on.one()),
    )
}

/// The link right below the NIC.
struct LinkBelow {
    link: IfName,
    mac: Option<Mac>,
    mtu_bytes: u32,
    /// What makes it, where it is a VLAN's.
    steps: Vec<(PlanStep, Undo)>,
}

impl PlanInput<'_> {
    fn below(&self, parent: &ParentLink) -> Result<LinkBelow, Failure> {
        let found = self.parent(parent)?;
        let (mac, mtu_bytes) = (found.mac, found.mtu_bytes);
        let Some(id) = parent.vlan else {
            return Ok(LinkBelow { link: parent.name.clone(), mac, mtu_bytes, steps: vec![] });
        };
        let host = &self.snapshot.host;
        let name = parent.link().ok_or_else(|| no_ethernet(parent))?;
        let is_it = |link: &&Link| link.vlan == Some(id) && link.link == Some(found.index);
        let there = host.link(name.as_str());
        match (there.filter(is_it), host.links.iter().find(is_it)) {
            (Some(link), _) if !link.is_set_up() => Err(Failure::failed(name.clone(), "interface is down")
                .hint(common::hint!("ip link set {} up", name))),
            (Some(link), _) => {
                let steps = self.made_for_another(&name);
                Ok(LinkBelow { link: name, mac: link.mac, mtu_bytes: link.mtu_bytes, steps })
            }
            (None, Some(other)) => {
                let other = other.name.to_string_lossy();
                Err(Failure::failed(&parent.name, format_args!("VLAN {id} already exists as {other}"))
                    .hint(common::sentence!("use --{} {}, without --vlan", parent.on.kind(), other)))
            }
            (None, None) if there.is_some() => {
                Err(Failure::failed(name, format_args!("exists, but is not VLAN {id} of {}", parent.name)))
            }
            (None, None) => {
                let steps = vlan_link(&name, &parent.name, id);
                Ok(LinkBelow { link: name, mac, mtu_bytes, steps })
            }
        }
    }

    /// The steps that made a VLAN's link for another NIC of ours: it is this one's too now, and goes with the last of them.
    fn made_for_another(&self, name: &IfName) -> Vec<(PlanStep, Undo)> {
        let steps = self.records.iter().map(|record| &record.plan.steps);
        let made = |(step, _): &&(PlanStep, Undo)| matches!(step, PlanStep::AddStackedLink(stacked) if stacked.netns == Netns::Host && stacked.name == *name);
        steps.into_iter().find_map(|steps| steps.iter().find(made)).cloned().into_iter().collect()
    }

    /// The link that was named, which must be able to carry one.
    fn parent(&self, parent: &ParentLink) -> Result<&Link, Failure> {
        let (name, one, host) = (&parent.name, parent.on.one(), &self.snapshot.host);
        let Some(link) = host.link(name.as_str()) else {
            return Err(
                Failure::failed(name, "no such interface on the host").hint(common::hint!("ip -br link"))
            );
        };
        if link.is_loopback() {
            return Err(Failure::failed(name, format_args!("a loopback interface cannot carry {one}")));
        }
        if let Some(index) = link.master {
            let master = host.name_of(index);
            let refused = Failure::failed(name, format_args!("a port of {master} cannot carry {one}"));
            // A VRF has no packets of its own.
            let is_vrf = host.links.iter().any(|link| link.index == index && link.vrf_table.is_some());
            let instead = common::same_with!("--{} {}", parent.on.kind(), master).filter(|_| !is_vrf);
            return Err(refused.hint(instead));
        }
        if !link.is_set_up() {
            return Err(
                Failure::failed(name, "interface is down").hint(common::hint!("ip link set {} up", name))
            );
        }
        self.refuse_other_mode(parent)?;
        Ok(link)
    }

    /// All ipvlans of one parent have one mode, the last one that was asked for (ipvlan_link_new in
    /// drivers/net/ipvlan/ipvlan_main.c): the others' would change.
    fn refuse_other_mode(&self, parent: &ParentLink) -> Result<(), Failure> {
        let others =
            self.records.iter().filter_map(|record| Some((record, record.plan.nic.other_end.parent()?)));
        let differs = |other: &ParentLink| matches!((other.on, parent.on), (StackedKind::Ipvlan(theirs), StackedKind::Ipvlan(ours)) if theirs != ours);
        match others.into_iter().find(|(_, other)| other.link() == parent.link() && differs(other)) {
            None => Ok(()),
            Some((record, other)) => {
                let mode = other.on.mode().unwrap_or_default();
                Err(Failure::failed(
                    &parent.name,
                    format_args!(
                        "already has ipvlans in mode {mode}, of {} among others: all must use the same mode",
                        record.inside.name
                    ),
                )
                .hint(common::same_with!("--ipvlan {}:{}", parent.name, mode)))
            }
        }
    }

    /// A name that the host does not use, for a moment.
    fn passing_name(&self) -> Option<IfName> {
        let [a, b, c, d, ..] = self.random.id;
        format!("nic{a:02x}{b:02x}{c:02x}{d:02x}").parse().ok()
    }
}
