//! `--replace`: from one plan of a NIC to another on the same links. What both have stays untouched. Pure.

use crate::model::change::{AddressSpec, BridgeSpec, PlanStep, RouteSpec, StackedLink, Undo, Veth};
use crate::model::netns::Netns;
use crate::model::plan::Plan;
use crate::model::snapshot::Snapshot;
use crate::model::sysctl::{SysctlChange, SysctlKey, SysctlReading, SysctlValues};

/// The kernel's default for a veth or a bridge (ETH_DATA_LEN).
const USUAL_MTU: u32 = 1500;

/// The changes of a NIC in place, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// They undo what only the old plan has.
    pub undoing: Vec<PlanStep>,
    /// They change what both have.
    pub adapting: Vec<PlanStep>,
    /// What only the new plan has.
    pub adding: Vec<PlanStep>,
}

impl Transition {
    /// From `old` to `new`; `None` if that needs other links. `others` are the plans of all other NICs, and `settings` has
    /// those of [`needed`].
    pub fn between(old: &Plan, new: &Plan, others: &[&Plan], settings: &SysctlValues) -> Option<Self> {
        let links = |plan: &Plan| -> Vec<PlanStep> {
            plan.steps.iter().map(|(step, _)| step).filter(|step| makes_a_link(step)).cloned().collect()
        };
        let (old_links, new_links) = (links(old), links(new));
        if old_links.len() != new_links.len() {
            return None;
        }
        let mut adapting = Vec::new();
        for (old, new) in old_links.iter().zip(&new_links) {
            adapting.extend(adapted(old, new)?);
        }
        let (rules_of_old, rules_of_new) = (rules(old), rules(new));
        if let (Some(from), Some(to)) = (rules_of_old, rules_of_new)
            && from != to
        {
            adapting.push(PlanStep::ExchangeRules { from: from.clone(), to: to.clone() });
        }
        let is_adapted = |step: &PlanStep| {
            makes_a_link(step)
                || matches!(step, PlanStep::AddRules(_)) && rules_of_old.is_some() && rules_of_new.is_some()
        };
        let mut undoing = Vec::new();
        for (step, undo) in old.steps.iter().rev() {
            let is_needed = new.has(step) || is_shared(undo) && others.iter().any(|plan| plan.has(step));
            if !is_adapted(step) && !is_needed {
                undoing.extend(undone(step, undo, new, settings)?);
            }
        }
        let is_added = |step: &&PlanStep| !is_adapted(step) && !old.has(step);
        let adding = new.steps.iter().map(|(step, _)| step).filter(is_added).cloned().collect();
        Some(Transition { undoing, adapting, adding })
    }

    /// Adds what both have and the snapshot has not: others undid it.
    pub fn repairing(
        mut self,
        new: &Plan,
        snapshot: &Snapshot,
        has: impl Fn(&Snapshot, &PlanStep) -> bool,
    ) -> Self {
        let is_undone = |step: &&PlanStep| {
            let is_known = self.adding.contains(step) || makes_a_link(step);
            let is_exchanged = matches!(step, PlanStep::AddRules(_)) && !self.adapting.is_empty();
            !is_known && !is_exchanged && !has(snapshot, step)
        };
        let undone: Vec<PlanStep> =
            new.steps.iter().map(|(step, _)| step).filter(is_undone).cloned().collect();
        self.adding.extend(undone);
        self
    }

    /// All of it.
    pub fn steps(&self) -> impl Iterator<Item = &PlanStep> {
        self.undoing.iter().chain(&self.adapting).chain(&self.adding)
    }
}

/// The settings that tell what a link's own setting is without the NIC's: those that new links start with.
pub fn needed(old: &Plan) -> Vec<(Netns, SysctlKey)> {
    let of_links = old.steps.iter().filter_map(|(step, _)| match step {
        PlanStep::SetSysctl(sysctl) if sysctl.before.is_none() => Some(sysctl),
        _ => None,
    });
    of_links.map(|sysctl| (sysctl.netns, sysctl.key.of_new_links())).collect()
}

/// Whether a step makes or moves a link, or puts it where it is.
pub fn makes_a_link(step: &PlanStep) -> bool {
    matches!(
        step,
        PlanStep::AddBridge(_)
            | PlanStep::AddVeth(_)
            | PlanStep::AddStackedLink(_)
            | PlanStep::TakeNic(_)
            | PlanStep::SetAccessPort(_)
    )
}

fn is_shared(undo: &Undo) -> bool {
    matches!(undo, Undo::WhenUnused(_))
}

fn rules(plan: &Plan) -> Option<&crate::model::filter::NicRules> {
    plan.steps.iter().find_map(|(step, _)| match step {
        PlanStep::AddRules(rules) => Some(rules),
        _ => None,
    })
}

/// What makes the one link of the other; `None` if nothing does.
fn adapted(old: &PlanStep, new: &PlanStep) -> Option<Vec<PlanStep>> {
    let mtu = |netns, link: &common::target::IfName, old: Option<u32>, new: Option<u32>| {
        let (old, new) = (old.unwrap_or(USUAL_MTU), new.unwrap_or(USUAL_MTU));
        (old != new).then(|| PlanStep::SetMtu { netns, link: link.clone(), mtu_bytes: new })
    };
    match (old, new) {
        (old, new) if old == new => Some(vec![]),
        (PlanStep::AddBridge(old), PlanStep::AddBridge(new)) => {
            let is_same = BridgeSpec { mtu_bytes: new.mtu_bytes, ..old.clone() } == *new;
            is_same.then(|| mtu(Netns::Host, &new.name, old.mtu_bytes, new.mtu_bytes).into_iter().collect())
        }
        (PlanStep::AddVeth(old), PlanStep::AddVeth(new)) => {
            let mut like = old.clone();
            (like.mtu_bytes, like.inside.mac) = (new.mtu_bytes, new.inside.mac);
            let ends = [(new.other_netns, &new.other.name), (Netns::Container, &new.inside.name)];
            let mut steps: Vec<PlanStep> = ends
                .into_iter()
                .filter_map(|(netns, name)| mtu(netns, name, old.mtu_bytes, new.mtu_bytes))
                .collect();
            if old.inside.mac != new.inside.mac {
                let (link, mac) = (new.inside.name.clone(), new.inside.mac);
                steps.push(PlanStep::SetMac { netns: Netns::Container, link, mac });
            }
            (like == *new).then_some(steps)
        }
        (PlanStep::AddStackedLink(old), PlanStep::AddStackedLink(new)) => {
            let like = StackedLink {
                mtu_bytes: new.mtu_bytes,
                mac: new.mac,
                passing_name: new.passing_name.clone(),
                ..old.clone()
            };
            let mut steps: Vec<PlanStep> =
                mtu(new.netns, &new.name, old.mtu_bytes, new.mtu_bytes).into_iter().collect();
            match (old.mac, new.mac) {
                (old, new) if old == new => {}
                (Some(_), Some(mac)) => {
                    steps.push(PlanStep::SetMac { netns: new.netns, link: new.name.clone(), mac });
                }
                // It had, or is to have, its parent's.
                _ => return None,
            }
            (like == *new).then_some(steps)
        }
        _ => None,
    }
}

/// What undoes a step while its link stays; `None` if nothing does.
fn undone(step: &PlanStep, undo: &Undo, new: &Plan, settings: &SysctlValues) -> Option<Vec<PlanStep>> {
    let undoing = match (undo, step) {
        (Undo::By(undo) | Undo::WhenUnused(undo), _) => undo.clone(),
        (Undo::Stays, _) => return Some(vec![]),
        (Undo::WithItsLink, PlanStep::AddAddress(spec)) => PlanStep::DelAddress(AddressSpec::clone(spec)),
        (Undo::WithItsLink, PlanStep::AddRoute(spec)) => PlanStep::DelRoute(RouteSpec::clone(spec)),
        (Undo::WithItsLink, PlanStep::AddAnchor(anchor)) => PlanStep::DelAnchor(anchor.clone()),
        (Undo::WithItsLink, PlanStep::SetHairpin { link }) => PlanStep::ClearHairpin { link: link.clone() },
        (Undo::WithItsLink, PlanStep::AllowIpv6 { netns, link }) => {
            PlanStep::ForbidIpv6 { netns: *netns, link: link.clone() }
        }
        (Undo::WithItsLink, PlanStep::SetSysctl(sysctl)) => {
            let is_it = |step: &PlanStep| matches!(step, PlanStep::SetSysctl(other) if (other.netns, &other.key) == (sysctl.netns, &sysctl.key));
            if new.steps.iter().any(|(step, _)| is_it(step)) {
                return Some(vec![]);
            }
            let start =
                settings.get(sysctl.netns, &sysctl.key.of_new_links()).and_then(SysctlReading::value)?;
            PlanStep::SetSysctl(SysctlChange { value: start.to_owned(), ..sysctl.clone() })
        }
        (Undo::WithItsLink, PlanStep::SetAlias { .. } | PlanStep::SetUp { .. }) => return Some(vec![]),
        (Undo::WithItsLink, _) => return None,
    };
    Some(vec![undoing])
}

impl Plan {
    /// Whether it has this step.
    pub fn has(&self, step: &PlanStep) -> bool {
        self.steps.iter().any(|(known, _)| known == step)
    }

    /// Takes over what is known of links and settings of `old` that are this plan's too.
    pub fn take_over(&mut self, old: &Plan) {
        for at in 0..self.steps.len() {
            for (step, undo) in &old.steps {
                match (&mut self.steps[at].0, step) {
                    (PlanStep::AddVeth(new), PlanStep::AddVeth(old)) if is_same_pair(new, old) => {
                        new.indices = old.indices;
                        let same = new.clone();
                        self.steps[at].1 = Undo::By(PlanStep::DelVeth(same));
                    }
                    (PlanStep::AddStackedLink(new), PlanStep::AddStackedLink(old))
                        if (new.netns, &new.name, &new.parent, new.on)
                            == (old.netns, &old.name, &old.parent, old.on) =>
                    {
                        new.index = old.index;
                        let undoing = PlanStep::DelStackedLink(new.clone());
                        self.steps[at].1 = match undo {
                            Undo::WhenUnused(_) => Undo::WhenUnused(undoing),
                            _ => Undo::By(undoing),
                        };
                    }
                    (PlanStep::TakeNic(new), PlanStep::TakeNic(old)) if new.name == old.name => {
                        let (mac, mtu_bytes) = (new.inside_mac.unwrap_or(new.mac), new.inside_mtu_bytes);
                        *new = crate::model::change::MovedNic {
                            inside_name: new.inside_name.clone(),
                            inside_mac: Some(mac).filter(|mac| *mac != old.mac),
                            inside_mtu_bytes: mtu_bytes,
                            ..old.clone()
                        };
                        let same = new.clone();
                        self.steps[at].1 = Undo::By(PlanStep::GiveNicBack(same));
                    }
                    (PlanStep::SetSysctl(new), PlanStep::SetSysctl(old))
                        if (new.netns, new.netns_inode, &new.key, &new.value)
                            == (old.netns, old.netns_inode, &old.key, &old.value) =>
                    {
                        self.steps[at] = (step.clone(), undo.clone());
                    }
                    _ => {}
                }
            }
        }
    }
}

fn is_same_pair(one: &Veth, other: &Veth) -> bool {
    (&one.inside.name, &one.other, one.other_netns, &one.bridge)
        == (&other.inside.name, &other.other, other.other_netns, &other.bridge)
}
