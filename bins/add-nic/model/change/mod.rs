//! One change of the network, as data: acted on, undone, shown as the command that does the same, compared with what is,
//! and kept in the journal. A file for each thing that is changed.

mod address;
mod link;
mod phys;
mod route;
mod rule;
mod stacked;

use common::target::IfName;
use serde::{Deserialize, Serialize};

use crate::model::filter::{AcceptRule, FAMILY, NicRules, TABLE};
use crate::model::netns::Netns;
use crate::model::shell::{NetnsFiles, quoted};
use crate::model::sysctl::SysctlChange;

pub use address::AddressSpec;
pub use link::{AccessPort, BridgeSpec, Veth, VethEndSpec, ipv6_switch};
pub use phys::{MovedNic, NicIdentity};
pub use route::{BY_HAND, MAIN, RouteSpec};
pub use rule::SourceRule;
pub use stacked::{IpvlanMode, MacvlanMode, StackedKind, StackedLink};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanStep {
    /// Make a bridge, and set it up.
    AddBridge(BridgeSpec),
    /// Delete that bridge, if nothing is plugged into it.
    DelBridge(BridgeSpec),
    /// Make a veth pair, each end in its place.
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
    /// Move a NIC of the host's in.
    TakeNic(MovedNic),
    /// Give it back as it was.
    GiveNicBack(MovedNic),
    /// Delete a link that is another's work.
    DelLink { place: Netns, link: IfName },
    /// Write on the host's end whose it is, for people.
    SetAlias { link: IfName, alias: String },
    /// Let a bridge send back through this port what came in there.
    SetHairpin { link: IfName },
    /// Let a link have IPv6 addresses.
    AllowIpv6 { place: Netns, link: IfName },
    /// Give a link an address.
    AddAddress(AddressSpec),
    /// Take it away.
    DelAddress(AddressSpec),
    /// Set a link up.
    SetUp { place: Netns, link: IfName },
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
    /// Make our table of rules, unless it is there.
    AddTable,
    /// Delete it.
    DelTable,
    /// Add a NIC's rules to it.
    AddRules(NicRules),
    /// Delete them.
    DelRules(NicRules),
    /// Let packets through a chain of somebody else's.
    AddAccept(AcceptRule),
    /// Do so no longer.
    DelAccept(AcceptRule),
}

/// How a step is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// It goes with its link, which another step of the same plan has made.
    WithItsLink,
    /// By this step.
    By(PlanStep),
    /// By this step, when nobody else's plan has it any more.
    #[serde(rename = "by-the-last")]
    WhenUnused(PlanStep),
}

impl PlanStep {
    /// The command that does the same.
    pub fn as_command(&self, files: &NetnsFiles<'_>) -> String {
        match self {
            PlanStep::AddBridge(bridge) => bridge.as_command(),
            PlanStep::DelBridge(bridge) => format!("ip link del {}", bridge.name),
            PlanStep::AddVeth(veth) => veth.as_command(files),
            PlanStep::DelVeth(veth) => files.at(veth.other_place, format!("ip link del {}", veth.other.name)),
            PlanStep::AddStackedLink(upper) => upper.adding(files),
            PlanStep::DelStackedLink(upper) => upper.deleting(files),
            PlanStep::SetAccessPort(port) => port.as_command(),
            PlanStep::TakeNic(moved) => moved.taking(files),
            PlanStep::GiveNicBack(moved) => moved.giving_back(files),
            PlanStep::DelLink { place, link } => files.at(*place, format!("ip link del {link}")),
            PlanStep::SetAlias { link, alias } => format!("ip link set {link} alias {}", quoted(alias)),
            PlanStep::SetHairpin { link } => format!("ip link set {link} type bridge_slave hairpin on"),
            PlanStep::AllowIpv6 { place, link } => {
                // A dot in a link's name is a slash for sysctl(8).
                let key = format!("net/ipv6/conf/{link}/disable_ipv6");
                files.at(*place, format!("sysctl -q -w {key}=0"))
            }
            PlanStep::AddAddress(held) => files.at(held.place, held.adding()),
            PlanStep::DelAddress(held) => files.at(held.place, held.deleting()),
            PlanStep::SetUp { place, link } => files.at(*place, format!("ip link set {link} up")),
            PlanStep::AddRoute(way) => files.at(way.place, format!("ip route add {}", way.words())),
            PlanStep::DelRoute(way) => files.at(way.place, format!("ip route del {}", way.words())),
            PlanStep::AddRule(rule) => files.at(rule.place, rule.as_command("add")),
            PlanStep::DelRule(rule) => files.at(rule.place, rule.as_command("del")),
            PlanStep::SetSysctl(sysctl) => files.at(sysctl.place, sysctl.setting()),
            PlanStep::ResetSysctl(sysctl) => files.at(sysctl.place, sysctl.resetting()),
            PlanStep::AddTable => format!("nft add table {FAMILY} {TABLE}"),
            PlanStep::DelTable => format!("nft delete table {FAMILY} {TABLE}"),
            PlanStep::AddRules(rules) => format!("nft {}", quoted(&rules.adding())),
            PlanStep::DelRules(rules) => format!("nft {}", quoted(&rules.deleting(|_| true))),
            PlanStep::AddAccept(accept) => accept.as_command("-I"),
            PlanStep::DelAccept(accept) => accept.as_command("-D"),
        }
    }
}
