//! The routes of the new NIC, and the default route that they replace. Pure.

use std::net::IpAddr;

use common::cidr::Cidr;
use common::failure::Failure;
use common::netlink::{Route, usual_scope};
use common::target::IfName;

use crate::model::change::{BY_HAND, MAIN, PlanStep, RouteSpec, Undo};
use crate::model::netns::Netns;
use crate::model::nic::Nic;
use crate::model::plan::Plan;
use crate::plan::input::PlanInput;

/// IP6_RT_PRIO_USER: the metric of an IPv6 route that was made without one.
const USUAL_METRIC_OF_IPV6: u32 = 1024;

/// The steps that make them.
pub fn routes(nic: &Nic, input: &PlanInput<'_>) -> Result<Vec<(PlanStep, Undo)>, Failure> {
    let metric = input.wanted.metric.unwrap_or(0);
    let spec = |to, via| RouteSpec {
        netns: Netns::Container,
        table: MAIN,
        to,
        via,
        link: nic.name.clone(),
        source: None,
        metric,
        protocol: BY_HAND,
        scope: None,
        on_link: false,
    };
    let mut steps = Vec::new();
    // With a table of its own, that is where they belong.
    let gateways = if input.wanted.sbr { &[][..] } else { &input.wanted.gateways };
    for gateway in gateways {
        let everywhere = Cidr::everywhere(*gateway);
        for old in rivals(everywhere, input) {
            let old = restorable_default(old, input)?;
            steps.push((PlanStep::DelRoute(old.clone()), Undo::By(PlanStep::AddRoute(old))));
        }
        // Not with its link: the old one can come back only when this one is gone.
        let new = spec(everywhere, Some(*gateway));
        steps.push((PlanStep::AddRoute(new.clone()), Undo::By(PlanStep::DelRoute(new))));
    }
    for route in &input.wanted.routes {
        if let Some(old) = rivals(route.to, input).next() {
            let link =
                old.index.map_or("another link".to_owned(), |index| input.snapshot.inside.name_of(index));
            return Err(Failure::failed(
                format_args!("--route {}", route.to),
                format_args!("{} already has this route, on {link}", input.container_name()),
            )
            .hint(common::sentence!("give --metric N: it allows both")));
        }
        steps.push((PlanStep::AddRoute(spec(route.to, route.via)), Undo::WithItsLink));
    }
    Ok(steps)
}

/// Routes with the same destination that the new one replaces. There can be only one with a given metric; and without
/// --metric the new one must be the one that is used, which is the one with the lowest metric.
fn rivals<'a>(to: Cidr, input: &'a PlanInput<'_>) -> impl Iterator<Item = &'a Route> {
    let wanted = input.wanted.metric;
    let metric = effective(to, wanted.unwrap_or(0));
    let rivals = move |other: u32| other == metric || (other < metric && wanted.is_none());
    input.snapshot.inside.routes.iter().filter(move |route| {
        route.is_ordinary() && route.destination == to && rivals(effective(to, route.metric))
    })
}

/// The metric that the kernel gives to a route that has none.
pub fn effective(to: Cidr, metric: u32) -> u32 {
    match (metric, to.address()) {
        (0, IpAddr::V6(_)) => USUAL_METRIC_OF_IPV6,
        (metric, _) => metric,
    }
}

/// The current default route, as it can be restored.
fn restorable_default(old: &Route, input: &PlanInput<'_>) -> Result<RouteSpec, Failure> {
    let inside = &input.snapshot.inside;
    let link = old.index.and_then(|index| inside.links.iter().find(|link| link.index == index));
    let link = link.and_then(|link| link.name.to_str()?.parse::<IfName>().ok());
    match link.and_then(|link| restorable(Netns::Container, &link, old)) {
        Some(spec) => Ok(spec),
        None => Err(Failure::failed(
            format_args!("the default route of {}", input.container_name()),
            "cannot be restored exactly",
        )
        .hint(common::sentence!(
            "give --metric N: it keeps that route, and the one with the lowest metric is used"
        ))),
    }
}

/// A route as it can be restored, if that gives exactly the same one.
pub fn restorable(netns: Netns, link: &IfName, old: &Route) -> Option<RouteSpec> {
    old.is_plain.then(|| RouteSpec {
        netns,
        table: old.table,
        to: old.destination,
        via: old.gateway,
        link: link.clone(),
        source: old.source,
        metric: old.metric,
        protocol: old.protocol,
        scope: Some(old.scope).filter(|scope| *scope != usual_scope(old.destination, old.gateway)),
        on_link: old.on_link,
    })
}

/// Two NICs replaced the default route one after the other, and the first, `gone`, is about to be removed: lets the second,
/// `above`, restore what `gone` would have restored. Returns whether that changed anything.
pub fn hand_over_routes(gone: &Plan, above: &mut Plan) -> bool {
    let is_route_of_gone = |step: &PlanStep| matches!(step, PlanStep::DelRoute(route) if gone.steps.iter().any(|(s, _)| *s == PlanStep::AddRoute(route.clone())));
    let Some(at) = above.steps.iter().position(|(step, _)| is_route_of_gone(step)) else { return false };
    let (PlanStep::DelRoute(displaced), _) = above.steps.remove(at) else { return false };
    let same_destination = |route: &RouteSpec| route.to == displaced.to;
    let older = gone
        .steps
        .iter()
        .filter(|(step, _)| matches!(step, PlanStep::DelRoute(route) if same_destination(route)));
    above.steps.splice(at..at, older.cloned());
    // With what identifies the links of those routes.
    for link in &gone.links {
        if !above.links.iter().any(|known| known.netns == link.netns && known.name == link.name) {
            above.links.push(link.clone());
        }
    }
    true
}
