//! `--sbr`: a routing table and rules for the NIC, so that replies leave through the NIC that received the request. Pure.

use std::net::IpAddr;

use common::cidr::Cidr;
use common::failure::Failure;

use crate::model::change::{BY_HAND, PlanStep, RouteSpec, SourceRule, Undo};
use crate::model::netns::Netns;
use crate::model::nic::Nic;
use crate::model::snapshot::NetnsState;
use crate::plan::input::PlanInput;

/// Far from the numbers that people and other programs usually choose.
const FIRST_TABLE: u32 = 10_000;
/// The priority of the rule for the main table; rules after it are hardly ever evaluated.
const MAIN_PRIORITY: u32 = 32_766;

/// The steps that make them; none if that is not wanted.
///
/// The table has the routes that the main table would have if the NIC were the only one. The rules select it by source
/// address, before any other rule. A reply's source is the address of the request. Strict reverse path filters then use
/// this table too, and accept clients that are answered through this NIC (fib_validate_source in net/ipv4/fib_frontend.c).
pub fn sbr(nic: &Nic, input: &PlanInput<'_>) -> Result<Vec<(PlanStep, Undo)>, Failure> {
    if !input.wanted.sbr {
        return Ok(vec![]);
    }
    let inside = &input.snapshot.inside;
    if inside.rules.is_empty() {
        return Err(Failure::failed("--sbr", "the kernel has no policy routing (CONFIG_IP_MULTIPLE_TABLES)"));
    }
    let (table, priority) = (free_table(inside), free_priority(inside));
    // On-link ones first: a router must be reached before anything is through it.
    let mut routes: Vec<(Cidr, Option<IpAddr>)> = Vec::new();
    for router in routers(nic, input)? {
        let of_family = nic.addresses.iter().filter(|cidr| cidr.address().is_ipv4() == router.is_ipv4());
        routes.extend(of_family.map(|cidr| {
            let network = if cidr.is_host() { Cidr::host(router) } else { cidr.network() };
            (network, None)
        }));
        routes.push((Cidr::everywhere(router), Some(router)));
    }
    routes.extend(input.wanted.routes.iter().map(|route| (route.to, route.via)));
    let mut steps: Vec<(PlanStep, Undo)> = Vec::new();
    for (to, via) in routes {
        let is_new = |(step, _): &(PlanStep, _)| !matches!(step, PlanStep::AddRoute(known) if known.to == to);
        if steps.iter().all(is_new) {
            let route = RouteSpec {
                netns: Netns::Container,
                table,
                to,
                via,
                link: nic.name.clone(),
                source: None,
                metric: 0,
                protocol: BY_HAND,
                scope: None,
                on_link: false,
            };
            steps.push((PlanStep::AddRoute(route), Undo::WithItsLink));
        }
    }
    for cidr in &nic.addresses {
        let rule = SourceRule { netns: Netns::Container, source: cidr.address(), table, priority };
        steps.push((PlanStep::AddRule(rule.clone()), Undo::By(PlanStep::DelRule(rule))));
    }
    Ok(steps)
}

/// The routers, one for each address family: the gateway, or the other end.
fn routers(nic: &Nic, input: &PlanInput<'_>) -> Result<Vec<IpAddr>, Failure> {
    let host = &input.snapshot.host;
    let bridge = nic.other_end.bridge().and_then(|bridge| host.link(bridge.as_str()));
    let of_bridge = bridge.into_iter().flat_map(|bridge| host.addresses_of(bridge.index));
    let others =
        nic.other_end.other_port().into_iter().flat_map(|(_, port)| &port.addresses).map(Cidr::address);
    let candidates: Vec<IpAddr> = input
        .wanted
        .gateways
        .iter()
        .copied()
        .chain(others)
        .chain(of_bridge.map(|held| held.address))
        .collect();
    let mut routers: Vec<IpAddr> = Vec::new();
    for cidr in &nic.addresses {
        if routers.iter().any(|router| router.is_ipv4() == cidr.address().is_ipv4()) {
            continue;
        }
        // One that is alone in its network has the other end's as its peer.
        let reaches = |router: &&IpAddr| {
            cidr.contains(**router) || (cidr.is_host() && router.is_ipv4() == cidr.address().is_ipv4())
        };
        let router = candidates.iter().find(reaches).ok_or_else(|| {
            let why = format!("the other end has no address in {} to use as the router", cidr.network());
            Failure::failed("--sbr", why).hint(common::sentence!("give --gateway IP too"))
        })?;
        routers.push(*router);
    }
    Ok(routers)
}

/// The first number that no route and no rule uses.
fn free_table(side: &NetnsState) -> u32 {
    let is_used = |table: &u32| {
        side.routes.iter().any(|route| route.table == *table)
            || side.rules.iter().any(|rule| rule.table == *table)
    };
    (FIRST_TABLE..).find(|table| !is_used(table)).unwrap_or(FIRST_TABLE)
}

/// One before all others, as the kernel chooses it too; behind them where there is no room. The rule that asks for our own
/// addresses has 0 and always comes first.
fn free_priority(side: &NetnsState) -> u32 {
    let used = |priority: u32| side.rules.iter().any(|rule| rule.priority == priority);
    let least = side.rules.iter().map(|rule| rule.priority).filter(|priority| *priority > 0).min();
    match least.unwrap_or(MAIN_PRIORITY) {
        1 => (2..MAIN_PRIORITY).find(|priority| !used(*priority)).unwrap_or(1),
        least => least - 1,
    }
}
