//! What tells a link that add-nic did not make from all others: steps that undo something name it, and a name can be another link's by
//! then.

use common::netlink::Link;
use common::target::IfName;
use serde::{Deserialize, Serialize};

use crate::model::change::{PlanStep, Undo};
use crate::model::netns::Netns;
use crate::model::snapshot::Snapshot;

/// A link as it was before the first change. In a container, root there can give the index to another link of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkIdentity {
    pub netns: Netns,
    /// What it was called, and steps call it.
    pub name: IfName,
    pub index: u32,
    pub kind: Option<String>,
}

impl LinkIdentity {
    /// Of those links that `steps` name, the ones that exist. The interface that `--phys` moves is found by what
    /// [`crate::model::change::NicIdentity`] says.
    pub fn of_all(steps: &[(PlanStep, Undo)], snapshot: &Snapshot) -> Vec<Self> {
        let mut all: Vec<LinkIdentity> = Vec::new();
        let moved = |netns: Netns, name: &IfName| {
            let is_it = |step: &PlanStep| matches!(step, PlanStep::TakeNic(moved) if moved.name == *name);
            netns == Netns::Host && steps.iter().any(|(step, _)| is_it(step))
        };
        let undos = steps.iter().filter_map(|(_, undo)| match undo {
            Undo::WithItsLink | Undo::Stays => None,
            Undo::By(step) | Undo::WhenUnused(step) => Some(step),
        });
        for (netns, name) in undos.flat_map(PlanStep::named_links) {
            let is_known = all.iter().any(|known| known.netns == netns && known.name == name);
            let found = snapshot.side(netns).link(name.as_str());
            if let (false, false, Some(link)) = (is_known, moved(netns, &name), found) {
                let kind = link.kind.clone();
                all.push(LinkIdentity { netns, name, index: link.index, kind });
            }
        }
        all
    }

    /// Whether a link is this one, whatever it is called now.
    pub fn matches(&self, link: &Link) -> bool {
        self.index == link.index && self.kind == link.kind
    }
}

impl PlanStep {
    /// The links that it names without any more about them: those that another step made, or that were there before.
    fn named_links(&self) -> Vec<(Netns, IfName)> {
        match self {
            PlanStep::AddAddress(spec) | PlanStep::DelAddress(spec) => vec![(spec.netns, spec.link.clone())],
            PlanStep::AddRoute(spec) | PlanStep::DelRoute(spec) => vec![(spec.netns, spec.link.clone())],
            PlanStep::ResetSysctl(sysctl) => {
                let keys = std::iter::once(&sysctl.key).chain(sysctl.along.iter().map(|(key, _)| key));
                let links = keys.filter_map(|key| key.link()?.parse().ok());
                links.map(|link| (sysctl.netns, link)).collect()
            }
            _ => vec![],
        }
    }
}
