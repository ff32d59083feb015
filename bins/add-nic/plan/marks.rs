//! What marks the packets that the rules in iptables' chains let through. Pure.

use common::cidr::Cidr;

use crate::model::change::PlanStep;
use crate::model::filter::{
    AcceptRule, AllowedTraffic, FilterRule, LinkPassage, LinkSide, MarkBit, MarkedFlows,
};
use crate::plan::input::PlanInput;

/// The bit that other NICs' rules ask for, or one that is free; `None` if nothing could set it.
pub fn bit(input: &PlanInput<'_>) -> Option<MarkBit> {
    let filters = &input.snapshot.filters;
    if !filters.has_nft || filters.chains.is_none() {
        return None;
    }
    let steps = input.records.iter().flat_map(|record| &record.plan.steps);
    let mut theirs = steps.filter_map(|(step, _)| match step {
        PlanStep::AddAccept(accept) => accept.mark,
        _ => None,
    });
    theirs
        .next()
        .or_else(|| MarkBit::unused(filters.tables.iter().filter_map(|table| table.listing.as_ref().ok())))
}

/// The rules that mark what these accept.
pub fn rules<'a>(accepts: impl Iterator<Item = &'a AcceptRule>) -> Vec<FilterRule> {
    let mut rules: Vec<FilterRule> = Vec::new();
    for accept in accepts {
        let Some(bit) = accept.mark else { continue };
        for rule in marking(&accept.what, bit) {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
    }
    rules
}

fn marking(what: &AllowedTraffic, bit: MarkBit) -> Vec<FilterRule> {
    let passage = |side| LinkPassage { side, link: what.link().clone() };
    let (from, to) = (passage(LinkSide::In), passage(LinkSide::Out));
    let mark = |at: &LinkPassage, flows| FilterRule::Mark { at: vec![at.clone()], flows, bit };
    let unmark = |at: &LinkPassage| FilterRule::Unmark { at: at.clone(), bit };
    match what {
        AllowedTraffic::Across { .. } => {
            let at = vec![from.clone(), to];
            vec![FilterRule::Mark { at, flows: MarkedFlows::All, bit }, unmark(&from)]
        }
        AllowedTraffic::Out { network, .. } => {
            let new = MarkedFlows::NewFrom(Cidr::network(network));
            vec![mark(&from, new), mark(&from, MarkedFlows::Known), unmark(&from)]
        }
        AllowedTraffic::Published { to: address, .. } => {
            let new = MarkedFlows::NewForwardedTo(*address);
            vec![mark(&to, new), mark(&to, MarkedFlows::Known), unmark(&to)]
        }
        AllowedTraffic::Back { .. } => vec![mark(&to, MarkedFlows::Known), unmark(&to)],
        AllowedTraffic::Answers { .. } => vec![mark(&from, MarkedFlows::Known), unmark(&from)],
    }
}
