//! A NIC that stands on a link of the host: macvlan, ipvlan.

use common::failure::Failure;
use common::netlink::Link;
use common::target::IfName;

use super::addressing::{allow_ipv6, held};
use super::{Basis, Nic, OtherEnd, Parent, Plan};
use crate::step::{On, Place, Step, Undoing, Upper};
use crate::taken::refuse_taken;

/// The NIC, its addresses, and up.
pub(super) fn stacked(name: IfName, parent: &Parent, basis: &Basis<'_>) -> Result<Plan, Failure> {
    let below = basis.parent(parent)?;
    refuse_taken(basis)?;
    let own_mac = match parent.on.has_parents_mac() {
        true => None,
        false => Some(basis.nic_mac()?),
    };
    let nic = Nic {
        name,
        mac: own_mac.or(below.mac).ok_or_else(|| no_ethernet(parent))?,
        addresses: basis.wanted.addresses.clone(),
        mtu_bytes: basis.wanted.mtu_bytes.unwrap_or(below.mtu_bytes),
        other_end: OtherEnd::On(parent.clone()),
    };
    if nic.mtu_bytes > below.mtu_bytes {
        return Err(Failure::trouble(
            format_args!("MTU {}", nic.mtu_bytes),
            format_args!("is more than {} carries, which is {}", parent.name, below.mtu_bytes),
        ));
    }
    let taken_outside = basis.snapshot.outside.link(nic.name.as_str()).is_some() && !basis.snapshot.is_one;
    let upper = Upper {
        place: Place::Inside,
        name: nic.name.clone(),
        index: None,
        mac: own_mac,
        mtu_bytes: Some(nic.mtu_bytes),
        parent: parent.name.clone(),
        on: parent.on,
        command_name: if taken_outside { basis.passing_name() } else { None },
    };
    let mut steps = vec![(Step::AddUpper(upper.clone()), Undoing::By(Step::DelUpper(upper)))];
    let with_its_link = |step| (step, Undoing::WithItsLink);
    steps.extend(allow_ipv6(Place::Inside, &nic.name, &nic.addresses, basis)?.map(with_its_link));
    steps.push(with_its_link(Step::SetUp { place: Place::Inside, link: nic.name.clone() }));
    for cidr in &nic.addresses {
        let held = held(Place::Inside, &nic.name, *cidr, std::iter::empty());
        steps.push(with_its_link(Step::AddAddress(held)));
    }
    Ok(Plan { nic, steps })
}

fn no_ethernet(parent: &Parent) -> Failure {
    Failure::trouble(
        &parent.name,
        format_args!("has no Ethernet address, and cannot carry a {}", parent.on.kind()),
    )
}

impl Basis<'_> {
    /// The link below, which must be able to carry one.
    fn parent(&self, parent: &Parent) -> Result<&Link, Failure> {
        let (name, kind, outside) = (&parent.name, parent.on.kind(), &self.snapshot.outside);
        let Some(link) = outside.link(name.as_str()) else {
            return Err(
                Failure::trouble(name, "the host has no such link").hint("ip -br link shows those it has")
            );
        };
        if link.is_loopback() {
            return Err(Failure::trouble(name, format_args!("is a loopback, and cannot carry a {kind}")));
        }
        if let Some(master) = link.master.map(|index| outside.name_of(index)) {
            return Err(Failure::trouble(
                name,
                format_args!("is a port of {master}, and cannot carry a {kind}"),
            )
            .hint(format_args!("--{kind} {master}")));
        }
        if !link.is_set_up() {
            return Err(Failure::trouble(name, "is down").hint(format_args!("ip link set {name} up")));
        }
        self.refuse_other_mode(parent)?;
        Ok(link)
    }

    /// All ipvlans of one parent have one mode, the last one that was asked for (ipvlan_link_new in
    /// drivers/net/ipvlan/ipvlan_main.c): the others' would change.
    fn refuse_other_mode(&self, parent: &Parent) -> Result<(), Failure> {
        let others =
            self.records.iter().filter_map(|record| Some((record, record.plan.nic.other_end.parent()?)));
        let differs = |other: &Parent| matches!((other.on, parent.on), (On::Ipvlan(theirs), On::Ipvlan(ours)) if theirs != ours);
        match others.into_iter().find(|(_, other)| other.name == parent.name && differs(other)) {
            None => Ok(()),
            Some((record, other)) => {
                let mode = other.on.mode().unwrap_or_default();
                Err(Failure::trouble(
                    &parent.name,
                    format_args!(
                        "has ipvlans in mode {mode} already, {}'s one: all must have the same",
                        record.inside.name
                    ),
                )
                .hint(format_args!("--ipvlan {}:{mode}", parent.name)))
            }
        }
    }

    /// A name that the host has not, for a moment.
    fn passing_name(&self) -> Option<IfName> {
        let [a, b, c, d, ..] = self.random;
        format!("nic{a:02x}{b:02x}{c:02x}{d:02x}").parse().ok()
    }
}
