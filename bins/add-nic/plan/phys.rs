//! A host interface that is moved into the container: its state is recorded, and must be restorable.

use common::cidr::Cidr;
use common::failure::Failure;
use common::netlink::{Address, Link, Route};
use common::target::IfName;

use super::addressing::put_to_use;
use crate::model::change::{AddressSpec, MovedNic, NicIdentity, PlanStep, Undo};
use crate::model::netns::Netns;
use crate::model::nic::{Nic, OtherEnd};
use crate::model::plan::Plan;
use crate::plan::conflicts::refuse_conflicts;
use crate::plan::input::PlanInput;
use crate::plan::routes::restorable;

/// rtnetlink(7), rtm_protocol: made by the kernel, or by it on a router's word. It makes them again.
const BY_KERNEL: [u8; 2] = [2, 9];

/// The NIC, taken from the host and given back.
pub(super) fn phys(name: IfName, wanted: &IfName, input: &PlanInput<'_>) -> Result<Plan, Failure> {
    let link = input.movable(wanted)?;
    refuse_conflicts(input)?;
    let mac = link.mac.ok_or_else(|| Failure::failed(wanted, "has no Ethernet address"))?;
    let nic = Nic {
        name,
        mac: input.wanted.mac.unwrap_or(mac),
        addresses: input.wanted.addresses.clone(),
        mtu_bytes: input.wanted.mtu_bytes.unwrap_or(link.mtu_bytes),
        other_end: OtherEnd::Phys(wanted.clone()),
    };
    let moved = MovedNic {
        name: wanted.clone(),
        told_by: identity_of(link, wanted)?,
        mac,
        mtu_bytes: link.mtu_bytes,
        is_up: link.is_set_up(),
        switches: input.snapshot.switches.clone(),
        inside_name: nic.name.clone(),
        inside_mac: input.wanted.mac.filter(|wanted| *wanted != mac),
        inside_mtu_bytes: input.wanted.mtu_bytes.filter(|wanted| *wanted != link.mtu_bytes),
    };
    // Undone from the end: it comes back, is addressed, and then has its routes.
    let mut steps = Vec::new();
    for route in input.routes_of(link, wanted)? {
        steps.push((PlanStep::DelRoute(route.clone()), Undo::By(PlanStep::AddRoute(route))));
    }
    let addresses = input.addresses_of(link, wanted)?;
    steps.extend(
        addresses
            .into_iter()
            .rev()
            .map(|spec| (PlanStep::DelAddress(spec.clone()), Undo::By(PlanStep::AddAddress(spec)))),
    );
    steps.push((PlanStep::TakeNic(moved.clone()), Undo::By(PlanStep::GiveNicBack(moved))));
    steps.extend(put_to_use(&nic, input)?);
    Ok(Plan { nic, steps, links: vec![] })
}

fn identity_of(link: &Link, name: &IfName) -> Result<NicIdentity, Failure> {
    match (link.permanent_mac, link.mac, &link.kind) {
        (Some(mac), _, None) => Ok(NicIdentity::PermanentMac(mac)),
        (None, Some(mac), None) => Ok(NicIdentity::Hardware(mac)),
        (_, Some(mac), Some(_)) if link.is_veth() => {
            let (index, netnsid, far_index) = (link.link, link.link_netnsid, link.other_end());
            Ok(NicIdentity::OtherEnd { mac, index, netnsid, far_index })
        }
        (_, _, kind) => Err(Failure::failed(
            name,
            format_args!(
                "a {} cannot be moved: the container could replace it with a look-alike",
                kind.as_deref().unwrap_or("link without an Ethernet address")
            ),
        )),
    }
}

impl PlanInput<'_> {
    /// An interface that the host can spare, and that the kernel allows to be moved.
    fn movable(&self, name: &IfName) -> Result<&Link, Failure> {
        let host = &self.snapshot.host;
        let refuse = |why: String| Err(Failure::failed(name, why));
        let Some(link) = host.link(name.as_str()) else {
            return Err(
                Failure::failed(name, "no such interface on the host").hint(common::hint!("ip -br link"))
            );
        };
        if self.snapshot.is_one {
            return refuse("already in that network".to_owned());
        }
        if link.is_loopback() {
            return refuse("the loopback interface cannot be moved".to_owned());
        }
        if link.is_bridge() {
            return refuse("a bridge cannot be moved: use --bridge".to_owned());
        }
        if let Some(master) = link.master.map(|index| host.name_of(index)) {
            return refuse(format!("in use as a port of {master}"));
        }
        let stands_on_it = |other: &&Link| {
            other.master == Some(link.index)
                || (other.link == Some(link.index) && other.link_netnsid.is_none())
        };
        if let Some(other) = host.links.iter().filter(|other| !other.is_veth()).find(stands_on_it) {
            return refuse(format!("in use by {}, which is stacked on it", other.name.to_string_lossy()));
        }
        let is_ours = self
            .records
            .iter()
            .find(|record| record.plan.nic.other_end.parent().is_some_and(|parent| parent.name == *name));
        if let Some(record) = is_ours {
            return refuse(format!("in use by {} of {}", record.plan.nic.name, record.inside.name));
        }
        if host
            .routes
            .iter()
            .any(|route| route.is_default() && route.is_unicast() && route.index == Some(link.index))
        {
            return Err(Failure::failed(name, "has the host's default route: the host would be cut off")
                .hint(common::same_with!("--macvlan {}", name)));
        }
        Ok(link)
    }

    /// The routes that can be restored, without the kernel's own.
    fn routes_of(&self, link: &Link, name: &IfName) -> Result<Vec<crate::model::change::RouteSpec>, Failure> {
        let made = |route: &&Route| route.is_unicast() && !BY_KERNEL.contains(&route.protocol);
        let here = |route: &&Route| route.index == Some(link.index) || route.index.is_none();
        let routes = self.snapshot.host.routes.iter().filter(made).filter(here);
        // A route to a next hop must exist before the routes through it, and so is deleted last.
        let mut restorable_routes: Vec<_> = routes
            .map(|route| {
                restorable(Netns::Host, name, route).ok_or_else(|| {
                    Failure::failed(
                        format_args!("the host's route to {}", route.destination),
                        format_args!("uses {name} and cannot be restored exactly"),
                    )
                })
            })
            .collect::<Result<_, _>>()?;
        restorable_routes.sort_by_key(|route| route.via.is_none());
        Ok(restorable_routes)
    }

    /// Its addresses that can be restored, without the kernel's own.
    fn addresses_of(&self, link: &Link, name: &IfName) -> Result<Vec<AddressSpec>, Failure> {
        let kernels_own = |address: &&Address| !address.is_kernels;
        self.snapshot
            .host
            .addresses_of(link.index)
            .filter(kernels_own)
            .map(|address| again(address, name))
            .collect()
    }
}

fn again(address: &Address, name: &IfName) -> Result<AddressSpec, Failure> {
    let cidr = Cidr::new(address.address, address.prefix_len);
    let whole = address.peer.is_none() || cidr.is_some_and(|cidr| cidr.is_host());
    match cidr.filter(|_| address.is_plain && whole) {
        Some(cidr) => Ok(AddressSpec {
            netns: Netns::Host,
            link: name.clone(),
            cidr,
            peer: address.peer,
            given: Some(address.given.clone()),
        }),
        None => Err(Failure::failed(
            format_args!("{} of the host's {name}", address.address),
            "has a lifetime or flags that cannot be restored: a DHCP client or a router manages it",
        )
        .hint(common::sentence!("stop what manages {} and give it a static address", name))),
    }
}
