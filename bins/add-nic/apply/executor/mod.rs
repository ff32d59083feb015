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

use std::collections::BTreeMap;
use std::net::IpAddr;

use common::netlink::{Link, Socket};
use common::output::one_line;
use common::target::IfName;

use crate::apply::filter;
use crate::model::change::PlanStep;
use crate::model::netns::Netns;
use crate::read::sockets::Sockets;
pub use error::StepError;

/// The sockets, and the indices of the links that we created: the container can rename its own.
#[derive(Debug)]
pub struct Executor {
    pub sockets: Sockets,
    known: BTreeMap<(Netns, IfName), u32>,
}

impl Executor {
    /// With no link known yet.
    pub fn new(sockets: Sockets) -> Self {
        Executor { sockets, known: BTreeMap::new() }
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
            PlanStep::AddTable => Ok(filter::add_table()?),
            PlanStep::DelTable => Ok(filter::delete_table()?),
            PlanStep::AddRules(rules) => {
                filter::add_rules(rules)?;
                self.forget_contradicting_flows(rules)
            }
            PlanStep::DelRules(rules) => {
                filter::delete_rules(rules)?;
                Executor::forget_led_flows(rules)
            }
            PlanStep::AddAccept(accept) => Ok(accept.add()?),
            PlanStep::DelAccept(accept) => Ok(accept.delete()?),
        }
    }

    /// Does a step that others may have done already.
    pub fn act_unless_done(&mut self, step: &PlanStep) -> Result<(), StepError> {
        match self.act(step) {
            Err(error) if error.is_there() => Ok(()),
            other => other,
        }
    }

    /// Does a step that undoes another: that its object is gone already, or was replaced since, is no error.
    pub fn act_as_undoing(&mut self, step: &PlanStep) -> Result<(), StepError> {
        match self.act(step) {
            Err(error) if error.is_gone() || error.is_there() => Ok(()),
            other => other,
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
        let link = self.socket(netns)?.link_named(name)?.ok_or_else(|| StepError::NoLink(name.clone()))?;
        self.known.insert(key, link.index);
        Ok(link.index)
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
