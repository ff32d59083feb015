//! What marks the packets that the rules in iptables' chains let through. Pure.

use common::cidr::Cidr;
use common::failure::Failure;
use common::output::one_line;

use super::refuse;
use crate::model::change::PlanStep;
use crate::model::filter::{
    AcceptRule, AllowedTraffic, FilterRule, FilterState, LinkPassage, LinkSide, MarkBit, MarkValue,
    MarkedFlows,
};
use crate::plan::input::PlanInput;

/// The bit that other NICs' rules ask for, or one that is free. Without one a rule of iptables would know the link by its name only, and
/// accept the packets of any other that gets the name later.
///
/// # Errors
/// Nothing could set it, or other rules need all of them.
pub fn bit(input: &PlanInput<'_>) -> Result<MarkBit, Failure> {
    let filters = &input.snapshot.filters;
    let option = input.wanted.firewall.option();
    refuse::no_nftables(filters, option)?;
    let steps = input.records.iter().flat_map(|record| &record.plan.steps);
    let theirs = steps.filter_map(|(step, _)| match step {
        PlanStep::AddAccept(accept) => accept.mark,
        _ => None,
    });
    let uses = filters.uses_of_marks();
    let clash = |bit: &MarkBit| uses.iter().find(|of| of.clashes(*bit));
    if let Some(bit) = theirs.chain(MarkBit::CANDIDATES).find(|bit| clash(bit).is_none()) {
        return Ok(bit);
    }
    let [first, ..] = MarkBit::CANDIDATES;
    let rule = clash(&first).map_or_else(String::new, |of| one_line(&of.rule).into_owned());
    let without = MarkBit::CANDIDATES.iter().fold(u32::MAX, |mask, bit| mask & !bit.0);
    Err(Failure::failed(option, format_args!("needs a bit of the mark that no other rule looks at: {rule}"))
        .hint(common::sentence!(
            "compare the other bits in that rule: --mark VALUE/{}",
            format_args!("{without:#x}")
        )))
}

/// The rules that mark what these accept, as long as other programs' rules say of each packet what they said without.
pub fn rules<'a>(accepts: impl Iterator<Item = &'a AcceptRule>, filters: &FilterState) -> Vec<FilterRule> {
    let uses = filters.uses_of_marks();
    let mut rules: Vec<FilterRule> = Vec::new();
    for accept in accepts {
        let Some(bit) = accept.mark else { continue };
        let mut but: Vec<MarkValue> = Vec::new();
        for of in uses.iter().filter_map(|of| of.apart_from(bit)) {
            if !but.contains(&of) {
                but.push(of);
            }
        }
        for rule in marking(&accept.what, bit, &but) {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
    }
    rules
}

fn marking(what: &AllowedTraffic, bit: MarkBit, but: &[MarkValue]) -> Vec<FilterRule> {
    let passage = |side| LinkPassage { side, link: what.link().clone() };
    let (from, to) = (passage(LinkSide::In), passage(LinkSide::Out));
    let mark_at = |at, flows| FilterRule::Mark { at, flows, bit, but: but.to_vec() };
    let mark = |at: &LinkPassage, flows| mark_at(vec![at.clone()], flows);
    let unmark = |at: &LinkPassage| FilterRule::Unmark { at: at.clone(), bit };
    match what {
        AllowedTraffic::Across { .. } => {
            let at = vec![from.clone(), to];
            vec![mark_at(at, MarkedFlows::All), unmark(&from)]
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
