//! Firewall chains that drop the NIC's traffic.

use common::hint;
use common::netlink::{Chain, TableFamily};
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
        let on = filters.tables.iter().filter(|table| is_on(table.six, &input.snapshot.settings));
        let dropping = on.filter_map(|table| {
            let listing = table.listing.as_ref().ok().filter(|listing| !listing.passes(bridge))?;
            Some((table, listing.what_drops()?))
        });
        warnings.extend(dropping.take(1).map(|(table, what)| {
            let program = table.kind.name(table.six);
            Warning::new(
                WarningKind::ForwardDrop,
                bridge,
                format_args!(
                    "bridge netfilter is on and {program}'s {what}: the NIC reaches the host, but not the containers on the bridge"
                ),
                common::same_with!("--forward"),
            )
        }));
    }
    let port = nic.other_end.port().map(|port| &port.name);
    if let (Some(link), Some(port)) = (nic.other_end.bridge().or(port), port) {
        // A chain of the family bridge sees only what passes a bridge, and knows its ports; the others see that only with bridge
        // netfilter.
        let is_forwarded = link == port || !wanted.is_empty();
        let is_on = |six| is_forwarded || is_on(six, &input.snapshot.settings);
        let is_met = |chain: &&Chain| match chain.family {
            TableFamily::Ip => is_on(false),
            TableFamily::Ip6 => is_on(true),
            TableFamily::Inet => is_on(false) || is_on(true),
            TableFamily::Other(_) => chain.family == TableFamily::BRIDGE && link != port,
        };
        warnings.extend(filters.foreign_drops().filter(is_met).map(|chain| {
            let (family, link) =
                (chain.family.word(), if chain.family == TableFamily::BRIDGE { port } else { link });
            Warning::new(
                WarningKind::ForwardDrop,
                format_args!("the nftables chain {} {}", chain.table, chain.name),
                "drops what its rules do not accept, and add-nic does not change it",
                hint!(
                    "nft insert rule {} {} {} meta iifname {} accept && nft insert rule {} {} {} meta oifname {} accept",
                    family, chain.table, chain.name, link, family, chain.table, chain.name, link
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
