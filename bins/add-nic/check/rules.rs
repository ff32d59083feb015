//! Missing firewall rules: a program that reloads its own rules may flush all others.

use common::netlink::ANYCAST;
use common::target::IfName;

use crate::model::change::{LOCAL, LinkAnchor, PlanStep};
use crate::model::filter::{AcceptRule, FilterState, NicRules};
use crate::model::record::NicRecord;
use crate::model::snapshot::NetnsState;

pub(super) fn differ(rules: &NicRules, filters: &FilterState, host: &NetnsState) -> Option<String> {
    let comment = rules.comment();
    let of = |chain: &str| {
        let is_ours = |rule: &&common::netlink::ChainRule| {
            rule.chain == chain && rule.comment.as_deref() == Some(comment.as_str())
        };
        filters.rules.iter().filter(is_ours).count()
    };
    let is_stale = |chain: &str, name: &IfName| {
        let now = host.link(name.as_str()).map(|link| link.index);
        let of_it = filters.rules.iter().filter(|rule| rule.chain == chain);
        of_it.flat_map(|rule| &rule.links).any(|index| Some(*index) != now)
    };
    let gone =
        rules.chains().into_iter().find(|(chain, count)| !filters.has_chain(chain) || of(chain) < *count);
    if let Some((chain, _)) = gone {
        return Some(format!("rules of {chain} in the nftables table netns-toolbox are gone"));
    }
    let chains: Vec<String> = rules.chains().into_iter().map(|(chain, _)| chain).collect();
    let stale = chains
        .iter()
        .find_map(|chain| rules.indexed_links(chain).into_iter().find(|name| is_stale(chain, name)));
    stale.map(|name| {
        let what = match host.link(name.as_str()) {
            Some(_) => "was deleted, and is another interface now",
            None => "was renamed or deleted",
        };
        format!("its firewall rules are void: {name} {what}")
    })
}

/// An IPv6 route is deleted when the link is set down. An IPv4 route stays, unless somebody deletes it.
pub(super) fn anchor_is_gone(anchor: &LinkAnchor, host: &NetnsState) -> Option<String> {
    let link = &anchor.link;
    let index = host.link(link.as_str()).map(|link| link.index);
    let is_it = |route: &common::netlink::Route| {
        route.table == LOCAL
            && route.kind == ANYCAST
            && route.destination == anchor.network()
            && route.index == index
    };
    let is_there = index.is_some() && host.routes.iter().any(is_it);
    (!is_there).then(|| {
        format!(
            "its firewall rules are void: {link} was down or its route was deleted; {}",
            anchor.as_command()
        )
    })
}

pub(super) fn accept_differs(accept: &AcceptRule, filters: &FilterState) -> Option<String> {
    let AcceptRule { program, chain, .. } = accept;
    let six = program.starts_with("ip6");
    let unread = filters.tables.iter().find(|table| table.six == six && table.listing.is_err());
    let table = filters.tables.iter().find(|table| table.program.as_ref() == Some(program)).or(unread);
    match table.map(|table| &table.listing) {
        Some(Ok(listing)) if listing.has(chain, &accept.comment()) => listing
            .what_drops_before(chain, &accept.comment())
            .map(|what| format!("{program}'s {what} before its rule in {chain} is met")),
        Some(Err(why)) => Some(format!("could not look at its rules in {program}'s {chain}: {why}")),
        _ => Some(format!("its rule in {program}'s {chain} is gone")),
    }
}

/// Chains that drop its packets now, and did not when it was added.
pub(super) fn unguarded(record: &NicRecord, filters: &FilterState) -> Vec<String> {
    let wanted = &record.wanted.firewall;
    if wanted.is_empty() {
        return vec![];
    }
    let has_rule = |program: &str| {
        let of_it =
            |step: &PlanStep| matches!(step, PlanStep::AddAccept(accept) if accept.program == program);
        record.plan.steps.iter().any(|(step, _)| of_it(step))
    };
    let drops = filters.tables.iter().filter(|table| {
        table.listing.as_ref().is_ok_and(|listing| listing.what_drops().is_some())
            && record.plan.nic.addresses.iter().any(|cidr| cidr.address().is_ipv6() == table.six)
    });
    let programs = drops.filter_map(|table| table.program.as_deref());
    programs
        .filter(|program| !has_rule(program))
        .map(|program| {
            format!("{program}'s FORWARD now drops packets that it accepted when the NIC was added")
        })
        .collect()
}
