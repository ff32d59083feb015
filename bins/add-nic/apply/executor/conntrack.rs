//! Flows that contradict a published port. The kernel asks NAT rules about the first packet of a flow only: a client that keeps
//! sending would never reach the container, or never leave it again.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use common::netlink::{Netfilter, NetlinkError, TrackedFlow};

use super::{Executor, StepError};
use crate::model::filter::{FilterRule, NicRules, Protocol, PublishedPort};

/// A port of the host, and where the rules lead it.
#[derive(PartialEq, Eq)]
struct PortForward<'a> {
    published: &'a PublishedPort,
    to: (IpAddr, u16),
}

impl Executor {
    /// After the rules were added: forgets the flows to a port of theirs that lead elsewhere.
    pub(super) fn forget_contradicting_flows(&mut self, rules: &NicRules) -> Result<(), StepError> {
        let forwards = forwards(rules);
        if forwards.is_empty() {
            return Ok(());
        }
        let own: BTreeSet<IpAddr> = self.sockets.host.addresses()?.iter().map(|held| held.address).collect();
        let is_local = |address: IpAddr| address.is_loopback() || own.contains(&address);
        Ok(forget(&forwards, |forward, flow| {
            let to = flow.original.destination.0;
            let is_meant =
                forward.published.address.map_or_else(|| is_local(to), |address| to == IpAddr::V4(address));
            is_meant && forward.is_contradicted_by(flow)
        })?)
    }

    /// After the rules were deleted, or replaced by others: forgets the flows that they had led and nothing leads any more.
    pub(super) fn forget_led_flows(rules: &NicRules, now: Option<&NicRules>) -> Result<(), StepError> {
        let led = |forward: &PortForward<'_>, flow: &TrackedFlow| {
            flow.reply.source == forward.to && flow.original.destination != forward.to
        };
        let kept = now.map(forwards).unwrap_or_default();
        let mut over = forwards(rules);
        over.retain(|forward| !kept.iter().any(|kept| kept == forward));
        Ok(forget(&over, led)?)
    }
}

impl PortForward<'_> {
    /// A connection of the host's own, which has begun, is not one: its packets would be led away in the middle.
    fn is_contradicted_by(&self, flow: &TrackedFlow) -> bool {
        let is_the_hosts = flow.reply.source == flow.original.destination;
        let has_begun = self.published.protocol == Protocol::Tcp && is_the_hosts && flow.is_answered;
        flow.reply.source != self.to && !has_begun
    }
}

fn forwards(rules: &NicRules) -> Vec<PortForward<'_>> {
    let mut forwards: Vec<PortForward<'_>> = Vec::new();
    for rule in &rules.rules {
        if let FilterRule::Forward { to, published, .. } = rule
            && forwards.iter().all(|known| known.published != published)
        {
            forwards.push(PortForward { published, to: (Ipv4Addr::into(*to), published.port) });
        }
    }
    forwards
}

fn forget(
    forwards: &[PortForward<'_>],
    is_over: impl Fn(&PortForward<'_>, &TrackedFlow) -> bool,
) -> Result<(), NetlinkError> {
    if forwards.is_empty() {
        return Ok(());
    }
    let Some(mut netfilter) = Netfilter::open()? else { return Ok(()) };
    for forward in forwards {
        let (protocol, port) = (forward.published.protocol.number(), forward.published.host_port);
        let found = netfilter.flows_to(true, (protocol, port), |flow| is_over(forward, flow))?;
        for flow in found.unwrap_or_default() {
            netfilter.forget(&flow)?;
        }
    }
    Ok(())
}
