//! Firewall chains that drop the NIC's traffic.

use common::hint;
use common::netlink::TableFamily;
use common::target::IfName;

use crate::model::filter::IptablesListing;
use crate::model::netns::Netns;
use crate::model::nic::Nic;
use crate::model::sysctl::{SysctlKey, SysctlReading, SysctlValues};
use crate::plan::input::PlanInput;
use crate::preflight::warning::{Warning, WarningKind};

/// Whether what passes through bridges is given to iptables.
pub fn bridge_netfilter(six: bool) -> SysctlKey {
    SysctlKey::of_network(if six {
        "bridge/bridge-nf-call-ip6tables"
    } else {
        "bridge/bridge-nf-call-iptables"
    })
}

/// Whether bridge netfilter gives packets of that family to iptables.
pub fn is_on(six: bool, settings: &SysctlValues) -> bool {
    settings.get(Netns::Host, &bridge_netfilter(six)).and_then(SysctlReading::value) == Some("1")
}

pub fn drops(nic: &Nic, input: &PlanInput<'_>) -> Vec<Warning> {
    let (filters, wanted) = (&input.snapshot.filters, &input.wanted.firewall);
    let mut warnings = Vec::new();
    if let Some(bridge) = nic.other_end.bridge().filter(|_| !wanted.forward) {
        let dropping = filters.tables.iter().find(|table| {
            is_on(table.six, &input.snapshot.settings)
                && table
                    .listing
                    .as_ref()
                    .is_ok_and(|listing| listing.drops_the_rest() && !listing.passes(bridge))
        });
        warnings.extend(dropping.map(|table| {
            let program = table.kind.name(table.six);
            Warning::new(
                WarningKind::ForwardDrop,
                bridge,
                format_args!(
                    "bridge netfilter is on and {program}'s FORWARD policy is DROP: the NIC reaches the host, but not the containers on the bridge"
                ),
                "--forward",
            )
        }));
    }
    let link = nic.other_end.bridge().or(nic.other_end.port().map(|port| &port.name));
    if let Some(link) = link {
        warnings.extend(filters.foreign_drops().map(|chain| {
            let family = match chain.family {
                TableFamily::Ip => "ip",
                TableFamily::Ip6 => "ip6",
                _ => "inet",
            };
            Warning::new(
                WarningKind::ForwardDrop,
                format_args!("the nftables chain {} {}", chain.table, chain.name),
                "drops what its rules do not accept, and add-nic does not change it",
                hint!(
                    "nft insert rule {} {} {} meta iifname {} accept; then the same with oifname",
                    family,
                    chain.table,
                    chain.name,
                    link
                ),
            )
        }));
        if filters.has_table("firewalld") {
            warnings.push(Warning::new(
                WarningKind::ForwardDrop,
                "firewalld",
                format_args!("rejects forwarded traffic of interfaces without a zone, such as {link}"),
                hint!("firewall-cmd --zone=trusted --add-interface={}", link),
            ));
        }
    }
    warnings
}

impl IptablesListing {
    /// Whether a rule lets through what goes from one port of that bridge to another, as Docker's does for its own.
    fn passes(&self, bridge: &IfName) -> bool {
        let (from, to) = (format!(" -i {bridge} "), format!(" -o {bridge} "));
        self.0.lines().any(|line| {
            line.starts_with("-A ")
                && line.ends_with("-j ACCEPT")
                && line.contains(&from)
                && (line.contains(&to) || !line.contains(" -o "))
                && !line.contains(" ! ")
        })
    }
}
