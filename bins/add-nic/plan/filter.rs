//! The firewall rules and settings that a NIC needs for --nat, --publish and --forward. Pure.

use std::net::{IpAddr, Ipv4Addr};

use common::cidr::Cidr;
use common::failure::Failure;
use common::target::IfName;

use super::addressing::allow_ipv6;
use super::filter_point::{FilterPoint, filter_point, refuse_odd};
use super::uplinks::needed_uplinks;
use super::{marks, refuse, sysctl};
use crate::model::change::{AnchorAddresses, LinkAnchor, PlanStep, Undo};
use crate::model::filter::{
    AcceptRule, AddressEnd, AllowedTraffic, FilterRule, Hook, NatScope, NicRules, PortClient, PublishedPort,
    WantedRules,
};
use crate::model::netns::Netns;
use crate::model::nic::Nic;
use crate::model::snapshot::NetnsState;
use crate::model::sysctl::{SysctlKey, SysctlReading};
use crate::model::wanted::Wanted;
use crate::plan::input::PlanInput;

/// RTPROT_RA: a route that a router advertised.
const FROM_A_ROUTER: u8 = 9;

/// The steps that do it; none if nothing is asked for.
pub fn steps(nic: &Nic, input: &PlanInput<'_>) -> Result<Vec<(PlanStep, Undo)>, Failure> {
    let wanted = &input.wanted.firewall;
    let shared = shared_accepts(nic, input);
    if wanted.is_empty() && shared.is_empty() {
        return Ok(shared);
    }
    let filter_point = filter_point(nic, input)?;
    refuse::unfit(&filter_point)?;
    let uplinks = needed_uplinks(input.wanted, &input.snapshot.host)?;
    uplinks.iter().flatten().try_for_each(|link| refuse_odd(link, "--nat"))?;
    let mut steps = filter_point.settings()?;
    steps.extend(filter_point.hairpin());
    let anchors = AnchorAddresses::of(input.random.id);
    let accepts = filter_point.accepts(&uplinks)?;
    let mut rules = filter_point.rules(&uplinks);
    let all_accepts = accepts.iter().chain(shared.iter().filter_map(accepted));
    rules.extend(marks::rules(all_accepts, &input.snapshot.filters));
    let rules = NicRules { id: input.id(), nic: filter_point.words(), rules, anchors: Some(anchors) };
    if !rules.rules.is_empty() {
        steps.extend(filter_point.anchors(&rules, anchors)?);
        steps.push((PlanStep::AddTable, Undo::WhenUnused(PlanStep::DelTable)));
        steps.push((PlanStep::AddRules(rules.clone()), Undo::By(PlanStep::DelRules(rules))));
    }
    for accept in accepts {
        let undo = PlanStep::DelAccept(accept.clone());
        let undo = if accept.what.shared_on().is_some() { Undo::WhenUnused(undo) } else { Undo::By(undo) };
        steps.push((PlanStep::AddAccept(accept), undo));
    }
    for accept in shared {
        if !steps.contains(&accept) {
            steps.push(accept);
        }
    }
    Ok(steps)
}

/// The rule that a step adds to a chain of iptables, if it does.
fn accepted((step, _): &(PlanStep, Undo)) -> Option<&AcceptRule> {
    match step {
        PlanStep::AddAccept(accept) => Some(accept),
        _ => None,
    }
}

/// The rules that other NICs of ours on the same bridge have for all of them: they are this one's too, and go with the last.
fn shared_accepts(nic: &Nic, input: &PlanInput<'_>) -> Vec<(PlanStep, Undo)> {
    let mut shared: Vec<(PlanStep, Undo)> = Vec::new();
    let is_shared = |step: &PlanStep| {
        matches!(step, PlanStep::AddAccept(accept)
            if accept.what.shared_on().is_some() && accept.what.shared_on() == nic.other_end.bridge())
    };
    for (step, undo) in input.records.iter().flat_map(|record| &record.plan.steps) {
        let is_of_the_bridge = is_shared(step) && matches!(undo, Undo::WhenUnused(_));
        if is_of_the_bridge && shared.iter().all(|(known, _)| known != step) {
            shared.push((step.clone(), undo.clone()));
        }
    }
    shared
}

fn forwarding(six: bool) -> SysctlKey {
    SysctlKey::of_network(if six { "ipv6/conf/all/forwarding" } else { "ipv4/ip_forward" })
}

/// The links that have an IPv6 default route which a router advertised.
fn advertised(host: &NetnsState) -> impl Iterator<Item = &str> {
    let routes = host.routes.iter().filter(|route| {
        route.destination.prefix_len() == 0
            && route.destination.address().is_ipv6()
            && route.protocol == FROM_A_ROUTER
    });
    let indices = routes.filter_map(|route| route.index);
    indices.filter_map(|index| host.links.iter().find(|link| link.index == index)?.name.to_str())
}

fn accept_ra(link: &str) -> SysctlKey {
    SysctlKey::of_link("ipv6", link, "accept_ra")
}

fn route_localnet(link: &str) -> SysctlKey {
    SysctlKey::of_link("ipv4", link, "route_localnet")
}

/// The settings of the host that [`steps`] must know.
pub fn needed_settings(wanted: &Wanted, host: &NetnsState) -> Vec<SysctlKey> {
    let WantedRules { nat, publish, .. } = &wanted.firewall;
    let has = |six: bool| wanted.addresses.iter().any(|cidr| cidr.address().is_ipv6() == six);
    let mut keys = Vec::new();
    if (nat.is_on() && has(false)) || !publish.is_empty() {
        keys.push(forwarding(false));
    }
    if nat.is_on() && has(true) {
        keys.push(forwarding(true));
        keys.extend(advertised(host).map(accept_ra));
    }
    if publish.iter().any(PublishedPort::is_local) {
        keys.extend(wanted.other_end.bridge().map(|bridge| route_localnet(bridge.as_str())));
    }
    keys
}

impl FilterPoint<'_> {
    /// For people, and without any character that nft would take for something else.
    fn words(&self) -> String {
        let plain = |text: &str| {
            let is_plain = |c: &char| c.is_ascii_alphanumeric() || "_./:-".contains(*c);
            text.chars().filter(is_plain).take(60).collect::<String>()
        };
        format!("{} of {}", plain(self.nic.name.as_str()), plain(self.input.container_name()))
    }

    fn wanted(&self) -> &WantedRules {
        &self.input.wanted.firewall
    }

    /// Its networks, each once.
    fn networks(&self, six: bool) -> Vec<Cidr> {
        let of_family = self.nic.addresses.iter().filter(|cidr| cidr.address().is_ipv6() == six);
        let mut networks: Vec<Cidr> = of_family.map(Cidr::network).collect();
        networks.dedup();
        networks
    }

    /// The address that published ports are forwarded to: its first IPv4 address.
    fn published_address(&self) -> Option<(Ipv4Addr, Cidr)> {
        self.nic.addresses.iter().find_map(|cidr| match cidr.address() {
            IpAddr::V4(address) => Some((address, cidr.network())),
            IpAddr::V6(_) => None,
        })
    }

    fn settings(&self) -> Result<Vec<(PlanStep, Undo)>, Failure> {
        let WantedRules { nat, publish, .. } = self.wanted();
        let on = |key, value| sysctl::changed((Netns::Host, key), value, self.input);
        let mut steps = Vec::new();
        if (nat.is_on() && !self.networks(false).is_empty()) || !publish.is_empty() {
            steps.extend(on(forwarding(false), "1")?);
        }
        if nat.is_on() && !self.networks(true).is_empty() {
            let forwards = on(forwarding(true), "1")?;
            // A router believes no other router, unless it is told to: the host would lose its own default route
            // (rt6_purge_dflt_routers in net/ipv6/route.c).
            for link in advertised(&self.input.snapshot.host).filter(|_| forwards.is_some()) {
                let reading = self.input.snapshot.settings.get(Netns::Host, &accept_ra(link));
                if reading.and_then(SysctlReading::value) == Some("1") {
                    steps.extend(on(accept_ra(link), "2")?);
                }
            }
            steps.extend(forwards);
        }
        if publish.iter().any(PublishedPort::is_local) {
            steps.extend(self.route_localnet()?);
        }
        Ok(steps)
    }

    /// What comes from 127.0.0.1 may leave through that link, and what answers it may come in.
    fn route_localnet(&self) -> Result<Option<(PlanStep, Undo)>, Failure> {
        let key = route_localnet(self.link.as_str());
        match self.input.snapshot.host.link(self.link.as_str()) {
            Some(_) => sysctl::changed((Netns::Host, key), "1", self.input),
            None => Ok(Some(sysctl::of_new_link((Netns::Host, key), "1", self.input))),
        }
    }

    /// With bridge netfilter on, what the NIC sends to its own published port is turned around within the bridge
    /// (br_nf_pre_routing_finish in net/bridge/br_netfilter_hooks.c).
    fn hairpin(&self) -> Option<(PlanStep, Undo)> {
        let port = self.nic.other_end.bridge().and(self.nic.other_end.port())?;
        let step = PlanStep::SetHairpin { link: port.name.clone() };
        (!self.wanted().publish.is_empty()).then_some((step, Undo::WithItsLink))
    }

    /// The routes that tie `rules` to the NIC's own link on the host.
    fn anchors(
        &self,
        rules: &NicRules,
        addresses: AnchorAddresses,
    ) -> Result<Vec<(PlanStep, Undo)>, Failure> {
        let Some(port) = self.nic.other_end.port() else { return Ok(vec![]) };
        let mut steps = Vec::new();
        for six in [false, true].into_iter().filter(|six| rules.are_anchored(*six)) {
            // A bridge's port has no IPv6 address of its own, and may have been made without IPv6.
            if six && self.nic.other_end.bridge().is_some() {
                steps.extend(allow_ipv6(Netns::Host, &port.name, &self.nic.addresses, self.input)?);
            }
            steps.push(PlanStep::AddAnchor(LinkAnchor {
                link: port.name.clone(),
                address: addresses.of_family(six),
            }));
        }
        Ok(steps.into_iter().map(|step| (step, Undo::WithItsLink)).collect())
    }

    fn rules(&self, uplinks: &[Vec<IfName>; 2]) -> Vec<FilterRule> {
        let WantedRules { nat, publish, .. } = self.wanted();
        let mut rules = Vec::new();
        for (six, through) in [false, true].into_iter().zip(uplinks) {
            if *nat == NatScope::All || !through.is_empty() {
                let rule = |network| FilterRule::Masquerade {
                    network,
                    link: self.link.clone(),
                    through: through.clone(),
                };
                rules.extend(self.networks(six).into_iter().map(rule));
            }
        }
        let Some((to, network)) = self.published_address() else { return rules };
        for published in publish {
            let leads = |hook| FilterRule::Forward { to, published: published.clone(), hook };
            if published.address.is_none_or(|address| !address.is_loopback()) {
                rules.push(leads(Hook::Prerouting));
            }
            rules.push(leads(Hook::Output));
            for from in self.clients(network) {
                let answerable =
                    FilterRule::Answerable { to, port: published.port, protocol: published.protocol, from };
                if !rules.contains(&answerable) {
                    rules.push(answerable);
                }
            }
        }
        if publish.iter().any(PublishedPort::is_local) {
            for end in [AddressEnd::Destination, AddressEnd::Source] {
                rules.push(FilterRule::GuardLoopback { link: self.link.clone(), end });
            }
        }
        rules
    }

    /// The clients that the container could not answer through the host. With a gateway here, or with --sbr, its replies come
    /// back through the host, so it may see the client's address.
    fn clients(&self, network: Cidr) -> Vec<PortClient> {
        let wanted = self.input.wanted;
        if wanted.sbr || wanted.gateways.iter().any(IpAddr::is_ipv4) {
            vec![PortClient::Host, PortClient::Network(network)]
        } else {
            vec![PortClient::Anybody]
        }
    }

    /// A rule in each chain that could drop what is asked for.
    fn accepts(&self, uplinks: &[Vec<IfName>; 2]) -> Result<Vec<AcceptRule>, Failure> {
        let mut accepts = Vec::new();
        for table in &self.input.snapshot.filters.tables {
            let passing = self.passing(table.six, &uplinks[usize::from(table.six)]);
            if passing.is_empty() {
                continue;
            }
            let listing = table.listing.as_ref().map_err(|why| {
                Failure::failed(
                    format_args!(
                        "{}: cannot add a rule to {}",
                        self.wanted().option(),
                        table.kind.name(table.six)
                    ),
                    why,
                )
                .hint(common::sentence!("install the package iptables"))
            })?;
            let (Some(chain), Some(program)) = (listing.chain_for_accept(), &table.program) else { continue };
            let mark = Some(marks::bit(self.input)?);
            accepts.extend(passing.into_iter().enumerate().map(|(number, what)| AcceptRule {
                program: program.clone(),
                chain: chain.to_owned(),
                id: what.shared_on().map_or_else(|| self.input.id(), ToString::to_string),
                number: if what.shared_on().is_some() { 0 } else { number },
                what,
                mark,
            }));
        }
        Ok(accepts)
    }

    fn passing(&self, six: bool, uplinks: &[IfName]) -> Vec<AllowedTraffic> {
        let WantedRules { nat, forward, publish } = self.wanted();
        let link = || self.link.clone();
        let mut passing = Vec::new();
        let through: Vec<Option<IfName>> = match nat {
            NatScope::Off => vec![],
            NatScope::All => vec![None],
            NatScope::DefaultRoute => uplinks.iter().cloned().map(Some).collect(),
        };
        for network in self.networks(six) {
            for through in &through {
                passing.push(AllowedTraffic::Out { link: link(), network, through: through.clone() });
                passing.push(AllowedTraffic::Back { link: link(), network, through: through.clone() });
            }
        }
        if *forward && !self.networks(six).is_empty() {
            passing.push(AllowedTraffic::Across { bridge: link() });
        }
        let Some((to, _)) = self.published_address().filter(|_| !six) else { return passing };
        for PublishedPort { port, protocol, .. } in publish {
            let (port, protocol) = (*port, *protocol);
            passing.push(AllowedTraffic::Published { link: link(), to, port, protocol });
            passing.push(AllowedTraffic::Answers { link: link(), from: to, port, protocol });
        }
        passing
    }
}
