//! What undoing has changed, in words.

use crate::model::change::PlanStep;

/// What was removed or put back; nothing of it was gone already.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct UndoneSteps(Vec<String>);

impl UndoneSteps {
    /// This step was done.
    pub fn add(&mut self, step: &PlanStep) {
        let Some(words) = words(step) else { return };
        if !self.0.contains(&words) {
            self.0.push(words);
        }
    }

    /// All of it in one line; `None` if it is nothing.
    pub fn words(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join(", "))
    }
}

fn words(step: &PlanStep) -> Option<String> {
    Some(match step {
        PlanStep::DelBridge(bridge) => format!("bridge {}", bridge.name),
        PlanStep::DelVeth(veth) => format!("interface {}", veth.other.name),
        PlanStep::DelStackedLink(stacked) => format!("interface {}", stacked.name),
        PlanStep::GiveNicBack(moved) => format!("{} is on the host again", moved.name),
        PlanStep::DelAddress(spec) => format!("address {} of {}", spec.cidr, spec.link),
        PlanStep::AddAddress(spec) => format!("address {} of {} put back", spec.cidr, spec.link),
        PlanStep::DelRoute(spec) => format!("route to {}", spec.to),
        PlanStep::AddRoute(spec) => format!("route to {} put back", spec.to),
        PlanStep::DelRule(rule) => format!("routing rule for {}", rule.source),
        PlanStep::ResetSysctl(sysctl) => {
            format!("{} put back to {}", sysctl.key, sysctl.before.as_deref().unwrap_or_default())
        }
        PlanStep::DelRules(_) => "its rules in the nftables table netns-toolbox".to_owned(),
        PlanStep::DelAccept(accept) => format!("its rules in {}'s {}", accept.program, accept.chain),
        _ => return None,
    })
}
