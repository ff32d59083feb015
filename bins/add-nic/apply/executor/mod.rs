//! Executes steps, through a socket in each namespace. A file for each kind of object that is changed.

mod address;
mod bridge_mac;
mod conntrack;
mod error;
mod link;
mod phys;
mod route;
mod rule;
mod stacked;
mod sysctl;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use common::netlink::{Link, Socket};
use common::output::one_line;
use common::target::IfName;

use crate::apply::filter;
use crate::model::change::{PlanStep, Veth, VethIndices};
use crate::model::identity::LinkIdentity;
use crate::model::netns::Netns;
use crate::model::plan::Plan;
use crate::model::record::NicRecord;
use crate::model::sysctl::{SwitchWitness, SysctlKey};
use crate::read::sockets::Sockets;
pub use error::StepError;

/// The sockets, and the indices of the links that we created: the container can rename its own.
#[derive(Debug)]
pub struct Executor {
    pub sockets: Sockets,
    known: BTreeMap<(Netns, IfName), u32>,
    source: IndexSource,
    /// Links of these names are not touched: what they should be is not there.
    without: BTreeSet<(Netns, IfName)>,
    /// Of the switches of the host that were set.
    pub witnesses: Vec<(SysctlKey, SwitchWitness)>,
}

/// Where the index of a link comes from that is not known yet.
#[derive(Debug)]
enum IndexSource {
    /// From its name: nothing was changed yet, or just now.
    Name,
    /// From the record: a name may be another link's by now.
    Recorded(Box<Plan>),
}

impl Executor {
    /// With no link known yet.
    pub fn new(sockets: Sockets) -> Self {
        Executor {
            sockets,
            known: BTreeMap::new(),
            source: IndexSource::Name,
            without: BTreeSet::new(),
            witnesses: vec![],
        }
    }

    /// From now on it undoes what `record` says, on links that the record identifies and on no others.
    pub fn undo_only(&mut self, record: &NicRecord) {
        // Records of format 0 have names only.
        if record.format > 0 {
            self.source = IndexSource::Recorded(Box::new(record.plan.clone()));
        }
    }

    /// From now on a link is the one of that name, unless it is known.
    pub fn go_by_names(&mut self) {
        self.source = IndexSource::Name;
    }

    /// The indices of a NIC's own links, whatever they are called by now.
    pub fn know(&mut self, plan: &Plan) -> Result<(), StepError> {
        let nic = (Netns::Container, plan.nic.name.clone());
        let found = self.recorded_index(plan, nic.0, &nic.1)?;
        self.known.extend(found.map(|index| (nic, index)));
        if let Some(veth) = plan.veth() {
            let links = self.sockets.socket(veth.other_netns).map(Socket::links).transpose()?;
            let other = links.into_iter().flatten().find(|link| veth.is_other_end(link));
            let other = other.map(|link| ((veth.other_netns, veth.other.name.clone()), link.index));
            self.known.extend(other);
        }
        Ok(())
    }

    /// Forgets which links were known: they are deleted.
    pub fn forget(&mut self) {
        self.known.clear();
        self.without.clear();
        self.go_by_names();
    }

    /// Does the step.
    pub fn act(&mut self, step: &PlanStep) -> Result<(), StepError> {
        match step {
            PlanStep::AddBridge(bridge) => self.add_bridge(bridge),
            PlanStep::DelBridge(bridge) => self.delete_bridge(bridge),
            PlanStep::AddVeth(veth) => self.add_veth(veth),
            PlanStep::PinMac(pinned) => self.pin_mac(pinned),
            PlanStep::DelVeth(veth) => self.delete_veth_and_announce(veth),
            PlanStep::AddStackedLink(stacked) => self.add_stacked_link(stacked),
            PlanStep::DelStackedLink(stacked) => self.delete_stacked_link(stacked),
            PlanStep::SetAccessPort(port) => self.set_access_port(port),
            PlanStep::TakeNic(moved) => self.take_nic(moved),
            PlanStep::GiveNicBack(moved) => self.give_nic_back(moved),
            PlanStep::DelLink { netns, link } => {
                let index = self.index(*netns, link)?;
                Ok(self.socket(*netns)?.delete_link(index)?)
            }
            PlanStep::SetAlias { link, alias } => {
                let index = self.index(Netns::Host, link)?;
                Ok(self.socket(Netns::Host)?.set_link_alias(index, alias)?)
            }
            PlanStep::SetHairpin { link } => {
                let index = self.index(Netns::Host, link)?;
                Ok(self.socket(Netns::Host)?.set_bridge_port_hairpin(index, true)?)
            }
            PlanStep::AllowIpv6 { netns, link } => self.allow_ipv6(*netns, link),
            PlanStep::AddAddress(spec) => self.add_address(spec),
            PlanStep::DelAddress(spec) => self.delete_address(spec),
            PlanStep::SetUp { netns, link } => {
                let index = self.index(*netns, link)?;
                Ok(self.socket(*netns)?.set_link_up(index, true)?)
            }
            PlanStep::AddRoute(spec) => self.add_route(spec),
            PlanStep::DelRoute(spec) => self.delete_route(spec),
            PlanStep::AddRule(rule) => self.add_rule(rule),
            PlanStep::DelRule(rule) => self.delete_rule(rule),
            PlanStep::SetSysctl(sysctl) => self.set_sysctl(sysctl),
            PlanStep::ResetSysctl(sysctl) => self.reset_sysctl(sysctl),
            PlanStep::AddAnchor(anchor) => self.add_anchor(anchor),
            PlanStep::AddTable => Ok(filter::add_table()?),
            PlanStep::DelTable => gone_unless(filter::delete_table()?),
            PlanStep::AddRules(rules) => {
                filter::add_rules(rules)?;
                self.forget_contradicting_flows(rules)
            }
            PlanStep::DelRules(rules) => {
                let is_deleted = filter::delete_rules(rules)?;
                Executor::forget_led_flows(rules, None)?;
                gone_unless(is_deleted)
            }
            PlanStep::AddAccept(accept) => Ok(accept.add()?),
            PlanStep::DelAccept(accept) => gone_unless(accept.delete()?),
            PlanStep::SetMac { netns, link, mac } => {
                let index = self.index(*netns, link)?;
                Ok(self.socket(*netns)?.set_link_mac(index, *mac)?)
            }
            PlanStep::SetMtu { netns, link, mtu_bytes } => {
                let index = self.index(*netns, link)?;
                Ok(self.socket(*netns)?.set_link_mtu(index, *mtu_bytes)?)
            }
            PlanStep::DelAnchor(anchor) => self.delete_anchor(anchor),
            PlanStep::ClearHairpin { link } => {
                let index = self.index(Netns::Host, link)?;
                Ok(self.socket(Netns::Host)?.set_bridge_port_hairpin(index, false)?)
            }
            PlanStep::ForbidIpv6 { netns, link } => self.forbid_ipv6(*netns, link),
            PlanStep::ExchangeRules { from, to } => {
                filter::exchange_rules(from, to)?;
                Executor::forget_led_flows(from, Some(to))?;
                self.forget_contradicting_flows(to)
            }
        }
    }

    /// Whether a step that undoes something could be done now. Changes nothing.
    pub fn can_undo(&mut self, step: &PlanStep) -> Result<(), StepError> {
        match step {
            PlanStep::GiveNicBack(moved) => self.can_give_back(moved),
            PlanStep::DelRules(rules) => Ok(filter::can_delete_rules(rules)?),
            PlanStep::ExchangeRules { from, .. } => Ok(filter::can_delete_rules(from)?),
            PlanStep::DelAccept(accept) => Ok(accept.can_delete()?),
            _ => Ok(()),
        }
    }

    /// Does a step that others may have done already.
    pub fn act_unless_done(&mut self, step: &PlanStep) -> Result<(), StepError> {
        match self.act(step) {
            Err(error) if error.is_there() => Ok(()),
            other => other,
        }
    }

    /// Does a step that undoes another: that its object is gone already, or was replaced since, is no error. Returns whether
    /// something was changed.
    pub fn act_as_undoing(&mut self, step: &PlanStep) -> Result<bool, StepError> {
        match self.act(step) {
            Err(error) if error.is_gone() || error.is_there() => Ok(false),
            other => other.map(|()| true),
        }
    }

    fn socket(&mut self, netns: Netns) -> Result<&mut Socket, StepError> {
        // A namespace that is gone has no links.
        self.sockets.socket(netns).ok_or_else(|| StepError::gone("link"))
    }

    /// The index of a link; one that we made keeps it, whatever it is called by now.
    pub fn index(&mut self, netns: Netns, name: &IfName) -> Result<u32, StepError> {
        let key = (netns, name.clone());
        if let Some(index) = self.known.get(&key) {
            return Ok(*index);
        }
        if self.without.contains(&key) {
            return Err(StepError::NoLink(name.clone()));
        }
        let found = match &self.source {
            IndexSource::Name => self.socket(netns)?.link_named(name)?.map(|link| link.index),
            IndexSource::Recorded(plan) => {
                let plan = plan.clone();
                self.recorded_index(&plan, netns, name)?
            }
        };
        let index = found.ok_or_else(|| StepError::NoLink(name.clone()))?;
        self.known.insert(key, index);
        Ok(index)
    }

    /// The index of the link that a step of `plan` calls by that name, if that link is still there.
    fn recorded_index(&mut self, plan: &Plan, netns: Netns, name: &IfName) -> Result<Option<u32>, StepError> {
        let is_it = |known: &&LinkIdentity| known.netns == netns && known.name == *name;
        if let Some(known) = plan.links.iter().find(is_it) {
            let link = self.socket(netns)?.link(known.index)?;
            return Ok(link.filter(|link| known.matches(link)).map(|link| link.index));
        }
        if netns != Netns::Container || plan.nic.name != *name {
            return Ok(None);
        }
        // The NIC itself, which the record identifies in its own way.
        if let Some(veth) = plan.veth() {
            let other = match self.sockets.socket(veth.other_netns) {
                Some(socket) => socket.links()?.into_iter().find(|link| veth.is_other_end(link)),
                None => None,
            };
            return Ok(other.and_then(|other| other.other_end()));
        }
        if let Some(moved) = plan.moved() {
            return self.moved_index(moved);
        }
        let is_nic = |link: &Link| plan.stacked_link().is_some_and(|stacked| stacked.matches(link));
        Ok(self.socket(netns)?.links()?.into_iter().find(|link| is_nic(link)).map(|link| link.index))
    }

    /// The indices of the pair's ends, now that it was made.
    pub fn indices_of(&self, veth: &Veth) -> Option<VethIndices> {
        let known = |netns, name: &IfName| self.known.get(&(netns, name.clone())).copied();
        let inside = known(Netns::Container, &veth.inside.name)?;
        Some(VethIndices { inside, other: known(veth.other_netns, &veth.other.name)? })
    }

    /// A link as it is now; `None` if it is gone.
    pub fn link(&mut self, netns: Netns, name: &IfName) -> Result<Option<Link>, StepError> {
        let index = self.index(netns, name)?;
        Ok(self.socket(netns)?.link(index)?)
    }

    /// The name of the link of that index, for messages.
    pub fn name_of(&mut self, netns: Netns, index: u32) -> Result<String, StepError> {
        let link = self.socket(netns)?.link(index)?;
        Ok(link.map_or_else(
            || format!("link {index}"),
            |link| one_line(&link.name.to_string_lossy()).into_owned(),
        ))
    }

    /// The index of the link through which that side would send to `address`.
    pub fn route_to(&mut self, netns: Netns, address: IpAddr) -> Result<Option<u32>, StepError> {
        Ok(self.socket(netns)?.link_to(address)?)
    }

    /// The same for packets from `source`.
    pub fn route_from(
        &mut self,
        netns: Netns,
        source: IpAddr,
        address: IpAddr,
    ) -> Result<Option<u32>, StepError> {
        Ok(self.socket(netns)?.link_from(source, address)?)
    }
}

/// What could be deleted; [`StepError::NothingToUndo`] if there was nothing.
fn gone_unless(is_deleted: bool) -> Result<(), StepError> {
    if is_deleted { Ok(()) } else { Err(StepError::NothingToUndo) }
}
