//! A snapshot as it will be once steps are done: what follows is planned on top of it. Pure.

use common::cidr::Cidr;
use common::netlink::{Address, Link, NewAddress, OperState, PortVlan, Route, Rule, usual_scope};
use common::target::{IfName, Mac};

use crate::model::change::{
    AccessPort, AddressSpec, BridgeSpec, MovedNic, PlanStep, RouteSpec, SourceRule, StackedKind, StackedLink,
    Veth,
};
use crate::model::filter::{AcceptRule, IptablesTable};
use crate::model::netns::Netns;
use crate::model::record::{ContainerNetns, NicRecord};
use crate::model::snapshot::{FIRST_PLANNED_INDEX, NetnsState, Snapshot};
use crate::model::sysctl::{SysctlChange, SysctlKey, SysctlReading};

/// netdevice(7)
const IFF_UP: u32 = 1;

/// What the networks of some steps are in a snapshot; `None` for one that it is not about.
#[derive(Debug, Clone, Copy)]
pub struct Sides {
    container: Option<Netns>,
    peer: Option<Netns>,
}

impl Sides {
    /// Of the steps of `record`, in a snapshot of `inside` and `peer`.
    pub fn new(record: &NicRecord, inside: &ContainerNetns, peer: Option<&ContainerNetns>) -> Self {
        let of = |network: &ContainerNetns| match peer {
            _ if network.is_same_as(inside) => Some(Netns::Container),
            Some(peer) if network.is_same_as(peer) => Some(Netns::Peer),
            _ => None,
        };
        Sides { container: of(&record.inside), peer: record.peer.as_ref().and_then(of) }
    }

    fn of(self, netns: Netns) -> Option<Netns> {
        match netns {
            Netns::Host => Some(Netns::Host),
            Netns::Container => self.container,
            Netns::Peer => self.peer,
        }
    }
}

impl Snapshot {
    /// As it will be after these steps.
    pub fn after<'a>(mut self, steps: impl Iterator<Item = &'a PlanStep>, sides: Sides) -> Self {
        steps.for_each(|step| self.simulate(step, sides));
        self
    }

    fn state(&mut self, netns: Netns, sides: Sides) -> Option<&mut NetnsState> {
        sides.of(netns).map(|netns| self.side_mut(netns))
    }

    fn simulate(&mut self, step: &PlanStep, sides: Sides) {
        match step {
            PlanStep::AddBridge(bridge) => self.add_bridge(bridge),
            PlanStep::DelBridge(bridge) => self.remove_bridge(bridge.mac),
            PlanStep::AddVeth(veth) => self.add_veth(veth, sides),
            PlanStep::DelVeth(veth) => {
                self.remove(Netns::Container, sides, |link| veth.is_inside_end(link));
                self.remove(veth.other_netns, sides, |link| veth.is_other_end(link));
            }
            PlanStep::AddStackedLink(stacked) => self.add_stacked_link(stacked, sides),
            PlanStep::DelStackedLink(stacked) => {
                self.remove(stacked.netns, sides, |link| stacked.matches(link));
            }
            PlanStep::TakeNic(moved) => self.take_nic(moved, sides),
            PlanStep::GiveNicBack(moved) => self.give_nic_back(moved, sides),
            PlanStep::DelLink { netns, link } => {
                self.remove(*netns, sides, |found| found.name.to_str() == Some(link.as_str()));
            }
            PlanStep::PinMac(pinned) => {
                self.change(Netns::Host, &pinned.bridge, sides, |link| link.mac = Some(pinned.mac));
            }
            PlanStep::SetMac { netns, link, mac } => {
                self.change(*netns, link, sides, |link| link.mac = Some(*mac));
            }
            PlanStep::SetMtu { netns, link, mtu_bytes } => {
                self.change(*netns, link, sides, |link| link.mtu_bytes = *mtu_bytes);
            }
            PlanStep::SetUp { netns, link } => {
                self.change(*netns, link, sides, |link| {
                    (link.flags, link.operstate) = (link.flags | IFF_UP, OperState::Up);
                });
            }
            PlanStep::SetAccessPort(port) => self.set_access_port(port),
            PlanStep::AddAddress(spec) => {
                self.state(spec.netns, sides).into_iter().for_each(|side| side.add_address(spec));
            }
            PlanStep::DelAddress(spec) => {
                self.state(spec.netns, sides).into_iter().for_each(|side| side.remove_address(spec));
            }
            PlanStep::AddRoute(spec) => {
                self.state(spec.netns, sides).into_iter().for_each(|side| side.add_route(spec));
            }
            PlanStep::DelRoute(spec) => {
                if let Some(side) = self.state(spec.netns, sides) {
                    let route = side.route(spec);
                    side.routes.retain(|known| Some(known) != route.as_ref());
                }
            }
            PlanStep::AddRule(rule) => {
                self.state(rule.netns, sides).into_iter().for_each(|side| side.rules.push(as_rule(rule)));
            }
            PlanStep::DelRule(rule) => {
                self.state(rule.netns, sides)
                    .into_iter()
                    .for_each(|side| side.rules.retain(|known| *known != as_rule(rule)));
            }
            PlanStep::SetSysctl(sysctl) => self.set(sysctl.netns, &sysctl.key, &sysctl.value, sides),
            PlanStep::ResetSysctl(sysctl) => self.reset(sysctl, sides),
            PlanStep::AddAccept(accept) => self.add_accept(accept),
            // No plan depends on these.
            PlanStep::SetAlias { .. }
            | PlanStep::SetHairpin { .. }
            | PlanStep::ClearHairpin { .. }
            | PlanStep::AllowIpv6 { .. }
            | PlanStep::ForbidIpv6 { .. }
            | PlanStep::AddAnchor(_)
            | PlanStep::DelAnchor(_)
            | PlanStep::AddTable
            | PlanStep::DelTable
            | PlanStep::AddRules(_)
            | PlanStep::DelRules(_)
            | PlanStep::ExchangeRules { .. }
            | PlanStep::DelAccept(_) => {}
        }
    }

    fn add_bridge(&mut self, bridge: &BridgeSpec) {
        let (index, mtu) = (self.free_index(), bridge.mtu_bytes.unwrap_or(1500));
        let link = new_link(index, &bridge.name, Some(bridge.mac), "bridge", mtu);
        self.host.links.push(Link { flags: IFF_UP, ..link });
    }

    /// Only where nothing is plugged into it.
    fn remove_bridge(&mut self, mac: Mac) {
        let found = self.host.links.iter().find(|link| link.is_bridge() && link.mac == Some(mac));
        let index = found.map(|link| link.index);
        let is_port = |link: &Link| link.master == index;
        if let Some(index) = index.filter(|_| !self.host.links.iter().any(is_port)) {
            self.host.remove_link(index);
        }
    }

    fn add_stacked_link(&mut self, stacked: &StackedLink, sides: Sides) {
        let (index, parent) = (self.free_index(), self.host.link(stacked.parent.as_str()));
        let below = parent.map(|link| (link.index, link.mac, link.mtu_bytes));
        let mac = stacked.mac.or(below.and_then(|(_, mac, _)| mac));
        let mtu = stacked.mtu_bytes.or(below.map(|(.., mtu)| mtu)).unwrap_or(1500);
        let vlan = if let StackedKind::Vlan(id) = stacked.on { Some(id) } else { None };
        let link = new_link(index, &stacked.name, mac, stacked.on.kind(), mtu);
        let link = Link { vlan, link: below.map(|(index, ..)| index), ..link };
        self.state(stacked.netns, sides).into_iter().for_each(|side| side.links.push(link.clone()));
    }

    fn set_access_port(&mut self, port: &AccessPort) {
        if let Some(index) = self.host.link(port.link.as_str()).map(|link| link.index) {
            self.host.port_vlans.retain(|vlan| vlan.index != index);
            let vlan = PortVlan { index, id: port.vlan, is_pvid: true, is_untagged: true };
            self.host.port_vlans.push(vlan);
        }
    }

    fn reset(&mut self, sysctl: &SysctlChange, sides: Sides) {
        let before = sysctl.before.as_ref().map(|before| (&sysctl.key, before));
        for (key, value) in before.into_iter().chain(sysctl.along.iter().map(|(key, value)| (key, value))) {
            self.set(sysctl.netns, key, value, sides);
        }
    }

    fn add_accept(&mut self, accept: &AcceptRule) {
        let its = |table: &&mut IptablesTable| table.program.as_ref() == Some(&accept.program);
        for listing in self.filters.tables.iter_mut().filter(its).flat_map(|table| &mut table.listing) {
            let (chain, comment) = (&accept.chain, accept.comment());
            listing.0 += &format!("\n-A {chain} -m comment --comment \"{comment}\" -j ACCEPT");
        }
    }

    /// One that no link has, on any side.
    fn free_index(&self) -> u32 {
        let links = [&self.host, &self.inside, &self.peer].into_iter().flat_map(|side| &side.links);
        links.map(|link| link.index).max().unwrap_or_default().max(FIRST_PLANNED_INDEX).saturating_add(1)
    }

    fn add_veth(&mut self, veth: &Veth, sides: Sides) {
        let (other, mtu) = (self.free_index(), veth.mtu_bytes.unwrap_or(1500));
        let inside = other + 1;
        let master = veth.bridge.as_ref().and_then(|bridge| self.host.link(bridge.as_str()));
        let master = master.map(|bridge| bridge.index);
        let ends = [
            (veth.other_netns, &veth.other, other, inside, master),
            (Netns::Container, &veth.inside, inside, other, None),
        ];
        for (netns, end, index, far, master) in ends {
            let link = new_link(index, &end.name, Some(end.mac), "veth", mtu);
            let link = Link { link: Some(far), link_netnsid: Some(0), master, ..link };
            self.state(netns, sides).into_iter().for_each(|side| side.links.push(link.clone()));
        }
    }

    fn remove(&mut self, netns: Netns, sides: Sides, is_it: impl Fn(&Link) -> bool) {
        let Some(side) = self.state(netns, sides) else { return };
        let found = side.links.iter().find(|link| is_it(link)).map(|link| link.index);
        found.into_iter().for_each(|index| side.remove_link(index));
    }

    fn change(&mut self, netns: Netns, name: &IfName, sides: Sides, how: impl FnMut(&mut Link)) {
        let links = self.state(netns, sides).into_iter().flat_map(|side| &mut side.links);
        let found = links.into_iter().find(|link| link.name.to_str() == Some(name.as_str()));
        found.into_iter().for_each(how);
    }

    fn take_nic(&mut self, moved: &MovedNic, sides: Sides) {
        let Some(link) = self.host.link(moved.name.as_str()).cloned() else { return };
        self.host.remove_link(link.index);
        let (index, mac) = (self.free_index(), moved.inside_mac.or(link.mac));
        let mtu_bytes = moved.inside_mtu_bytes.unwrap_or(link.mtu_bytes);
        let link = Link { index, mac, mtu_bytes, name: moved.inside_name.as_str().into(), flags: 0, ..link };
        self.state(Netns::Container, sides).into_iter().for_each(|side| side.links.push(link.clone()));
    }

    fn give_nic_back(&mut self, moved: &MovedNic, sides: Sides) {
        let links = self.state(Netns::Container, sides).map(|side| side.links.clone()).unwrap_or_default();
        let Some(link) = moved.most_like(&links).cloned() else { return };
        self.remove(Netns::Container, sides, |other| other.index == link.index);
        self.host.links.push(Link {
            index: self.free_index(),
            name: moved.name.as_str().into(),
            mac: Some(moved.mac),
            mtu_bytes: moved.mtu_bytes,
            flags: if moved.is_up { IFF_UP } else { 0 },
            ..link
        });
    }

    /// Of those settings that were read.
    fn set(&mut self, netns: Netns, key: &SysctlKey, value: &str, sides: Sides) {
        let Some(netns) = sides.of(netns) else { return };
        if self.settings.get(netns, key).is_some() {
            let now = (key.clone(), SysctlReading::Is(value.to_owned()));
            self.settings.insert(netns, std::iter::once(now));
        }
    }
}

impl NetnsState {
    /// With all that goes with it.
    fn remove_link(&mut self, index: u32) {
        self.links.retain(|link| link.index != index);
        self.addresses.retain(|held| held.index != index);
        self.routes.retain(|route| route.index != Some(index));
        self.port_vlans.retain(|vlan| vlan.index != index);
    }

    fn remove_address(&mut self, spec: &AddressSpec) {
        let index = self.link(spec.link.as_str()).map(|link| link.index);
        let is_it = |held: &Address| Some(held.index) == index && held.address == spec.cidr.address();
        self.addresses.retain(|held| !is_it(held));
    }

    fn add_address(&mut self, spec: &AddressSpec) {
        let Some(index) = self.link(spec.link.as_str()).map(|link| link.index) else { return };
        let usual = NewAddress::usual(index, spec.cidr, spec.peer).given;
        let address = Address {
            peer: spec.peer,
            scope: spec.given.as_ref().map_or(0, |given| given.scope),
            given: spec.given.clone().unwrap_or(usual),
            ..Address::plain(index, spec.cidr.address(), spec.cidr.prefix_len())
        };
        self.addresses.push(address);
    }

    fn add_route(&mut self, spec: &RouteSpec) {
        if let Some(route) = self.route(spec).filter(|route| !self.routes.contains(route)) {
            self.routes.push(route);
        }
    }

    /// As it is once it is there; `None` without its link.
    fn route(&self, spec: &RouteSpec) -> Option<Route> {
        let index = self.link(spec.link.as_str())?.index;
        Some(Route {
            gateway: spec.via,
            source: spec.source,
            metric: crate::plan::routes::effective(spec.to, spec.metric),
            table: spec.table,
            protocol: spec.protocol,
            scope: spec.scope.unwrap_or_else(|| usual_scope(spec.to, spec.via)),
            on_link: spec.on_link,
            ..Route::plain(spec.to, index)
        })
    }
}

fn new_link(index: u32, name: &IfName, mac: Option<Mac>, kind: &str, mtu_bytes: u32) -> Link {
    let (name, kind) = (name.as_str().into(), Some(kind.to_owned()));
    Link { name, mac, kind, mtu_bytes, operstate: OperState::Up, ..Link::plain(index) }
}

fn as_rule(rule: &SourceRule) -> Rule {
    let SourceRule { source, table, priority, .. } = *rule;
    Rule::plain(source.is_ipv4(), Some(Cidr::host(source)), priority, table)
}
