//! A step of a plan as data: executed, undone, shown as the command that does the same, compared with the current state, and
//! recorded in the journal. A file for each kind of object that is changed.

mod address;
mod anchor;
mod link;
mod phys;
mod route;
mod rule;
mod stacked;

use common::target::{IfName, Mac};
use serde::{Deserialize, Serialize};

use crate::model::filter::{AcceptRule, FAMILY, NicRules, TABLE};
use crate::model::netns::Netns;
use crate::model::shell::{NetnsFiles, quoted};
use crate::model::sysctl::SysctlChange;

pub use address::AddressSpec;
pub use anchor::{AnchorAddresses, LOCAL, LinkAnchor};
pub use link::{AccessPort, BridgeSpec, PinnedMac, Veth, VethEndSpec, VethIndices, ipv6_switch};
pub use phys::{MovedNic, NicIdentity};
pub use route::{BY_HAND, MAIN, RouteSpec};
pub use rule::SourceRule;
pub use stacked::{IpvlanMode, MacvlanMode, StackedKind, StackedLink};

/// One change, as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanStep {
    /// Make a bridge, and set it up.
    AddBridge(BridgeSpec),
    /// Delete that bridge, if it has no ports.
    DelBridge(BridgeSpec),
    /// Set the MAC address that a bridge has, so that it keeps it whatever ports come and go.
    PinMac(PinnedMac),
    /// Create a veth pair, each end in its namespace.
    AddVeth(Veth),
    /// Delete that pair.
    DelVeth(Veth),
    /// Make a link on one of the host's.
    #[serde(rename = "add-upper")]
    AddStackedLink(StackedLink),
    /// Delete that link.
    #[serde(rename = "del-upper")]
    DelStackedLink(StackedLink),
    /// Put a bridge's port into one VLAN.
    SetAccessPort(AccessPort),
    /// Move a host interface into the container.
    TakeNic(MovedNic),
    /// Move it back and restore it.
    GiveNicBack(MovedNic),
    /// Delete a link that add-nic did not create.
    DelLink {
        #[serde(rename = "place")]
        netns: Netns,
        link: IfName,
    },
    /// Set the alias of the host's end, for people.
    SetAlias { link: IfName, alias: String },
    /// Enable hairpin mode: the bridge may send a packet back through the port it came from.
    SetHairpin { link: IfName },
    /// Let a link have IPv6 addresses.
    AllowIpv6 {
        #[serde(rename = "place")]
        netns: Netns,
        link: IfName,
    },
    /// Give a link an address.
    AddAddress(AddressSpec),
    /// Take it away.
    DelAddress(AddressSpec),
    /// Set a link up.
    SetUp {
        #[serde(rename = "place")]
        netns: Netns,
        link: IfName,
    },
    /// Make a route.
    AddRoute(RouteSpec),
    /// Delete one.
    DelRoute(RouteSpec),
    /// Make a rule of policy routing.
    AddRule(SourceRule),
    /// Delete one.
    DelRule(SourceRule),
    /// Change a setting.
    SetSysctl(SysctlChange),
    /// Put it back, if it is still what we made it.
    ResetSysctl(SysctlChange),
    /// Tie the NIC's rules to its link.
    AddAnchor(LinkAnchor),
    /// Make our table of rules, unless it is there.
    AddTable,
    /// Delete it.
    DelTable,
    /// Add a NIC's rules to it.
    AddRules(NicRules),
    /// Delete them.
    DelRules(NicRules),
    /// Accept packets in a chain that is not ours.
    AddAccept(AcceptRule),
    /// Delete that rule.
    DelAccept(AcceptRule),
    /// Set a link's MAC address. This and those below only change a NIC that is there: no record has them.
    SetMac { netns: Netns, link: IfName, mac: Mac },
    /// Set a link's MTU.
    SetMtu { netns: Netns, link: IfName, mtu_bytes: u32 },
    /// Delete what ties rules to a link.
    DelAnchor(LinkAnchor),
    /// Disable hairpin mode.
    ClearHairpin { link: IfName },
    /// Let a link have no IPv6 addresses.
    ForbidIpv6 { netns: Netns, link: IfName },
    /// Replace a NIC's rules by others, in one transaction.
    ExchangeRules { from: NicRules, to: NicRules },
}

/// How a step is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// It is deleted with its link, which another step of the same plan creates.
    WithItsLink,
    /// By this step.
    By(PlanStep),
    /// Not at all: it changes nothing that can be seen.
    Stays,
    /// By this step, once no other plan needs it.
    #[serde(rename = "by-the-last")]
    WhenUnused(PlanStep),
}

impl PlanStep {
    /// The command that does the same.
    pub fn as_command(&self, files: &NetnsFiles<'_>) -> String {
        match self {
            PlanStep::AddBridge(bridge) => bridge.as_command(),
            PlanStep::DelBridge(bridge) => format!("ip link del {}", bridge.name),
            PlanStep::PinMac(pinned) => format!("ip link set {} address {}", pinned.bridge, pinned.mac),
            PlanStep::AddVeth(veth) => veth.as_command(files),
            PlanStep::DelVeth(veth) => files.at(veth.other_netns, format!("ip link del {}", veth.other.name)),
            PlanStep::AddStackedLink(stacked) => stacked.adding(files),
            PlanStep::DelStackedLink(stacked) => stacked.deleting(files),
            PlanStep::SetAccessPort(port) => port.as_command(),
            PlanStep::TakeNic(moved) => moved.taking(files),
            PlanStep::GiveNicBack(moved) => moved.giving_back(files),
            PlanStep::DelLink { netns, link } => files.at(*netns, format!("ip link del {link}")),
            PlanStep::SetAlias { link, alias } => format!("ip link set {link} alias {}", quoted(alias)),
            PlanStep::SetHairpin { link } => format!("ip link set {link} type bridge_slave hairpin on"),
            PlanStep::AllowIpv6 { netns, link } => {
                // A dot in a link's name is a slash for sysctl(8).
                let key = format!("net/ipv6/conf/{link}/disable_ipv6");
                files.at(*netns, format!("sysctl -q -w {key}=0"))
            }
            PlanStep::AddAddress(spec) => files.at(spec.netns, spec.adding()),
            PlanStep::DelAddress(spec) => files.at(spec.netns, spec.deleting()),
            PlanStep::SetUp { netns, link } => files.at(*netns, format!("ip link set {link} up")),
            PlanStep::AddRoute(spec) => files.at(spec.netns, format!("ip route add {}", spec.words())),
            PlanStep::DelRoute(spec) => files.at(spec.netns, format!("ip route del {}", spec.words())),
            PlanStep::AddRule(rule) => files.at(rule.netns, rule.as_command("add")),
            PlanStep::DelRule(rule) => files.at(rule.netns, rule.as_command("del")),
            PlanStep::SetSysctl(sysctl) => files.at(sysctl.netns, sysctl.setting()),
            PlanStep::ResetSysctl(sysctl) => files.at(sysctl.netns, sysctl.resetting()),
            PlanStep::AddAnchor(anchor) => anchor.as_command(),
            PlanStep::AddTable => format!("nft add table {FAMILY} {TABLE}"),
            PlanStep::DelTable => format!("nft delete table {FAMILY} {TABLE}"),
            PlanStep::AddRules(rules) => format!("nft {}", quoted(&rules.adding())),
            PlanStep::DelRules(rules) => format!("nft {}", quoted(&rules.deleting(|_| true))),
            PlanStep::AddAccept(accept) => accept.as_command("-I"),
            PlanStep::DelAccept(accept) => accept.as_command("-D"),
            PlanStep::SetMac { netns, link, mac } => {
                files.at(*netns, format!("ip link set {link} address {mac}"))
            }
            PlanStep::SetMtu { netns, link, mtu_bytes } => {
                files.at(*netns, format!("ip link set {link} mtu {mtu_bytes}"))
            }
            PlanStep::DelAnchor(anchor) => anchor.deleting(),
            PlanStep::ClearHairpin { link } => format!("ip link set {link} type bridge_slave hairpin off"),
            PlanStep::ForbidIpv6 { netns, link } => {
                files.at(*netns, format!("sysctl -q -w net/ipv6/conf/{link}/disable_ipv6=1"))
            }
            PlanStep::ExchangeRules { from, to } => {
                format!("nft {}", quoted(&format!("{}; {}", from.deleting(|_| true), to.adding())))
            }
        }
    }
}
