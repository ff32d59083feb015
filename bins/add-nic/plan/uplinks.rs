//! The links of the host's default routes, through which `--nat` lets a NIC's traffic out. Pure.

use common::failure::Failure;
use common::target::IfName;

use crate::model::change::PlanStep;
use crate::model::filter::{FilterRule, NatScope};
use crate::model::plan::Plan;
use crate::model::snapshot::NetnsState;
use crate::model::wanted::Wanted;

/// In every table, for policy routing selects among them; each once, in the order of their names. `None` if there is one with several
/// next hops, whose links are not known.
pub fn uplinks(host: &NetnsState, six: bool) -> Option<Vec<IfName>> {
    let mut links: Vec<IfName> = Vec::new();
    // Two /1 routes act as a default route.
    let is_default = |route: &&common::netlink::Route| {
        route.is_unicast()
            && route.destination.prefix_len() <= 1
            && route.destination.address().is_ipv6() == six
    };
    for route in host.routes.iter().filter(is_default) {
        let index = route.index?;
        let link = host.links.iter().find(|link| link.index == index)?;
        links.push(link.name.to_str()?.parse().ok()?);
    }
    links.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    links.dedup();
    Some(links)
}

/// Those for each family that the NIC has, or why `--nat` is not possible: at least one family must have some.
pub fn needed_uplinks(wanted: &Wanted, host: &NetnsState) -> Result<[Vec<IfName>; 2], Failure> {
    if wanted.firewall.nat != NatScope::DefaultRoute {
        return Ok([vec![], vec![]]);
    }
    let of = |six: bool| {
        if !wanted.addresses.iter().any(|cidr| cidr.address().is_ipv6() == six) {
            return Ok(vec![]);
        }
        uplinks(host, six).ok_or_else(|| {
            Failure::failed("--nat", "the host's default route has several next hops")
                .hint(common::same_with!("--nat=all"))
        })
    };
    let both = [of(false)?, of(true)?];
    match both.iter().all(Vec::is_empty) {
        true => {
            Err(Failure::failed("--nat", "the host has no default route")
                .hint(common::same_with!("--nat=all")))
        }
        false => Ok(both),
    }
}

/// What `--nat` does not apply to although the host's default route uses it, or the other way round: a line for each family.
pub fn moved(wanted: &Wanted, plan: &Plan, host: &NetnsState) -> Vec<String> {
    if wanted.firewall.nat != NatScope::DefaultRoute {
        return vec![];
    }
    let rules = plan.steps.iter().filter_map(|(step, _)| match step {
        PlanStep::AddRules(rules) => Some(&rules.rules),
        _ => None,
    });
    let rules: Vec<&FilterRule> = rules.flatten().collect();
    let mut lines = Vec::new();
    for six in [false, true] {
        if !wanted.addresses.iter().any(|cidr| cidr.address().is_ipv6() == six) {
            continue;
        }
        let made = rules.iter().find_map(|rule| match rule {
            FilterRule::Masquerade { network, through, .. } if network.address().is_ipv6() == six => {
                Some(through.clone())
            }
            _ => None,
        });
        let (made, now) = (made.unwrap_or_default(), uplinks(host, six).unwrap_or_default());
        if made != now {
            let words = |links: &[IfName]| match links {
                [] => "no interface".to_owned(),
                links => links.iter().map(IfName::as_str).collect::<Vec<_>>().join(", "),
            };
            lines.push(format!(
                "--nat applies to {}, but the host's IPv{} default route uses {} now; fix: --rm, then the same command",
                words(&made),
                if six { 6 } else { 4 },
                words(&now)
            ));
        }
    }
    lines
}
