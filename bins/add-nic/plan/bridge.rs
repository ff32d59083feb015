//! The bridge that the other end is attached to: existing or new.

use common::failure::Failure;
use common::netlink::Link;
use common::target::{IfName, Mac};

use crate::model::change::{BridgeSpec, PinnedMac, PlanStep, Undo};
use crate::model::netns::Netns;
use crate::model::wanted::{WantedBridge, WantedEnd};
use crate::plan::input::PlanInput;

/// The bridge that the NIC is attached to, and the steps it needs.
#[derive(Debug)]
pub struct BridgePlan {
    pub name: IfName,
    /// Its MTU, if it exists already.
    pub mtu_bytes: Option<u32>,
    /// Its index, if it exists already.
    pub index: Option<u32>,
    /// With VLAN filtering, the VLAN that each new port is in.
    pub(super) default_vlan: Option<u16>,
    pub(super) steps: Vec<(PlanStep, Undo)>,
}

/// In a new bridge (br_vlan_init in net/bridge/br_vlan.c).
const USUAL_VLAN: u16 = 1;

/// What the kernel calls the kind of a virtual machine's port.
const TAP: &str = "tun";

/// For kernels without VLAN filtering.
pub const NO_VLAN_FILTERING: &str =
    "the kernel's bridges have no VLAN filtering (CONFIG_BRIDGE_VLAN_FILTERING)";

/// The VLAN that each new port of a bridge with VLAN filtering is in.
fn default_vlan(name: &IfName, link: &Link) -> Result<u16, Failure> {
    match link.vlan_filtering {
        Some(vlans) if vlans.is_on => Ok(vlans.default_vlan),
        Some(_) => Err(Failure::failed(name, "VLAN filtering is off")
            .hint(common::hint!("ip link set {} type bridge vlan_filtering 1", name))),
        None => Err(Failure::failed(name, NO_VLAN_FILTERING)),
    }
}

impl PlanInput<'_> {
    pub(super) fn bridge(&self) -> Result<Option<BridgePlan>, Failure> {
        let WantedEnd::Bridge(WantedBridge { name, create, vlan }) = &self.wanted.other_end else {
            return Ok(None);
        };
        let found = self.snapshot.host.link(name.as_str());
        match found {
            Some(link) if !link.is_bridge() => Err(Failure::failed(name, "not a bridge")),
            Some(link) if !link.is_set_up() => {
                Err(Failure::failed(name, "interface is down").hint(common::hint!("ip link set {} up", name)))
            }
            Some(link) => {
                let default_vlan = vlan.map(|_| default_vlan(name, link)).transpose()?;
                Ok(Some(BridgePlan { default_vlan, ..self.existing(name, link) }))
            }
            None if *create => Ok(Some(self.new_bridge(name))),
            None => Err(Failure::failed(name, "no such bridge").hint(common::same_with!("--create"))),
        }
    }

    /// An existing bridge. If another NIC of ours created it, this NIC shares it, and it is deleted with the last of them.
    fn existing(&self, name: &IfName, link: &Link) -> BridgePlan {
        let shared = |step: &PlanStep| match step {
            PlanStep::AddBridge(bridge) => bridge.name == *name && Some(bridge.mac) == link.mac,
            PlanStep::AddAddress(spec) => spec.netns == Netns::Host && spec.link == *name,
            _ => false,
        };
        let mut steps: Vec<(PlanStep, Undo)> = Vec::new();
        for (step, undoing) in self.records.iter().flat_map(|record| &record.plan.steps) {
            let is_new = steps.iter().all(|(known, _)| known != step);
            if is_new && shared(step) {
                steps.push((step.clone(), undoing.clone()));
            }
        }
        if !steps.iter().any(|(step, _)| matches!(step, PlanStep::AddBridge(_))) {
            steps.extend(self.pinned(name, link).map(|pinned| (PlanStep::PinMac(pinned), Undo::Stays)));
        }
        BridgePlan {
            name: name.clone(),
            mtu_bytes: Some(link.mtu_bytes),
            index: Some(link.index),
            default_vlan: None,
            steps,
        }
    }

    /// The MAC address that a bridge of others has, where it is, or would be, that of a port that goes with its container: the
    /// lowest port's. It keeps it: nothing could tell the neighbours when the container dies. Hardware stays, and decides as before.
    fn pinned(&self, bridge: &IfName, link: &Link) -> Option<PinnedMac> {
        let ports = self.snapshot.host.links.iter().filter(|port| port.master == Some(link.index));
        let lowest = ports.filter(|port| port.mac.is_some()).min_by_key(|port| port.mac);
        let goes = |port: &&Link| port.is_veth() || port.kind.as_deref() == Some(TAP);
        let stays = lowest.is_some_and(|lowest| {
            let is_set_already = link.mac != lowest.mac;
            is_set_already || (lowest.mac < Some(self.port_mac()) && !goes(&lowest))
        });
        // A bridge that has lost its last port has none.
        let mac = link.mac.filter(|mac| *mac != Mac([0; 6])).unwrap_or_else(|| self.bridge_mac());
        (!stays).then(|| PinnedMac { bridge: bridge.clone(), mac })
    }

    fn new_bridge(&self, name: &IfName) -> BridgePlan {
        let vlan_filtering = self.wanted.other_end.vlan_of_port().is_some();
        let bridge = BridgeSpec {
            name: name.clone(),
            mac: self.bridge_mac(),
            mtu_bytes: self.wanted.mtu_bytes,
            vlan_filtering,
        };
        let steps =
            vec![(PlanStep::AddBridge(bridge.clone()), Undo::WhenUnused(PlanStep::DelBridge(bridge)))];
        BridgePlan {
            name: name.clone(),
            mtu_bytes: self.wanted.mtu_bytes,
            index: None,
            default_vlan: vlan_filtering.then_some(USUAL_VLAN),
            steps,
        }
    }
}
