//! What can be wrong with a host's networks: the stable words of `--json`, and how they differ.

use std::fmt;

use serde::{Serialize, Serializer};

/// One line for each kind: its name, its word, and how it differs from the others, as the manual has it.
macro_rules! kinds {
    ($($name:ident $word:literal $differs:literal,)+) => {
        /// What is wrong. A word that [`Cause`](super::super::Cause) has too means the same there.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FindingKind {
            $(#[doc = $differs] $name,)+
        }

        impl FindingKind {
            /// All of them, in the order of the manual.
            pub const ALL: &[FindingKind] = &[$(FindingKind::$name),+];

            /// Its word in `--json`. Words stay as they are.
            pub const fn word(self) -> &'static str {
                match self { $(FindingKind::$name => $word),+ }
            }

            /// How it differs from the others, in a line.
            pub const fn differs(self) -> &'static str {
                match self { $(FindingKind::$name => $differs),+ }
            }
        }
    };
}

kinds! {
    NobodyListens "nobody-listens" "A port is published, and no socket waits where it leads to.",
    ListensOnLoopbackOnly "listens-on-loopback-only" "The same, and a program listens at the port, but only on 127.0.0.1 or ::1.",
    ListensElsewhere "listens-elsewhere" "The same, and a program listens at the port, but on another address.",
    PublishedToNobody "published-to-nobody" "A rule forwards a port of the host to an address that no container has any more.",
    ProxyMissing "proxy-missing" "docker-proxy runs for the other published ports, and not for this one.",
    DnsMissing "dns-missing" "The container asks Docker's name server at 127.0.0.11, and nothing listens there.",
    InputDrops "input-drops" "Containers cannot reach a published port at the host's own address: the host's INPUT drops it, as ufw does.",
    BridgeFiltered "bridge-filtered" "FORWARD drops what passes between the containers of one bridge, because br_netfilter is on and no rule is about that bridge.",
    ForwardDrops "forward-drops" "FORWARD drops what containers send to the default route of the host, and no rule is about their bridge.",
    SubnetOverlap "subnet-overlap" "The network of a bridge and another route have addresses in common: one of the two is not reached.",
    PrefixTwice "prefix-twice" "Two bridges have the same network: only one of them is reached.",
    MtuAboveWayOut "mtu-above-way-out" "The MTU of containers is greater than that of the interface of the host's default route.",
    MtuUnequal "mtu-unequal" "The two ends of a veth pair have different MTUs: greater packets are dropped without a word.",
    MacvlanParent "macvlan-parent" "The host and a macvlan container on one of its interfaces tried to reach each other: macvlan does not carry that.",
    AddressConflict "address-conflict" "Two interfaces of one segment have the same IP address.",
    MacConflict "mac-conflict" "Two interfaces of one segment have the same MAC address.",
    NoRoute "no-route" "A container has no default route, while the others of its segment have one by the same gateway.",
    RouterSilent "router-silent" "The gateway of a default route does not answer ARP or neighbour solicitation, or nothing in the segment has its address.",
    ForwardingOff "forwarding-off" "Containers have their default route by this namespace, which does not forward.",
    NoMasquerade "no-masquerade" "Packets of containers leave with their own address, and the next router has no route back; or Docker's own rule is gone.",
    PortNotForwarding "port-not-forwarding" "A port of a bridge is up, and the bridge does not forward through it.",
    PortIsolated "port-isolated" "Two containers tried to reach each other, and the ports of both are isolated.",
    FdbStale "fdb-stale" "A static entry of a bridge's forwarding table has a container's MAC at another port than the container's.",
    PortUnplugged "port-unplugged" "A veth pair leads to a container whose network is that of a bridge, and the host's end is in no bridge.",
    DadFailed "dad-failed" "Duplicate address detection has found another host with this IPv6 address, so it is not used.",
    Ipv6Disabled "ipv6-disabled" "IPv6 is switched off on one interface, and its segment has an IPv6 network.",
    NameStale "name-stale" "A name in /run/netns leads to no network namespace.",
    VethOrphaned "veth-orphaned" "Both ends of a veth pair are in one namespace, one is down, and nothing uses either.",
    NetnsOrphaned "netns-orphaned" "The network of a container that is gone is kept by a descriptor or by its engine's mount, and is still plugged in.",
    BacklogFull "backlog-full" "As many connections wait to be accepted as may: new ones are dropped.",
    ConntrackFull "conntrack-full" "The connection tracking table is full to 90 percent or more.",
    LocalPortsFull "local-ports-full" "90 percent or more of the local ports are in use for connections to one address and port.",
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Serialize for FindingKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::Cause;

    #[test]
    fn each_word_stands_for_one_thing() {
        let mut words: Vec<&str> = FindingKind::ALL.iter().map(|kind| kind.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), FindingKind::ALL.len());
        let shared: Vec<&str> =
            Cause::PINGED.iter().map(|cause| cause.word()).filter(|word| words.contains(word)).collect();
        let expected = [
            "no-route",
            "conntrack-full",
            "address-conflict",
            "router-silent",
            "nobody-listens",
            "listens-on-loopback-only",
            "listens-elsewhere",
            "backlog-full",
        ];
        assert_eq!(shared, expected, "words that mean the same here and for a probe");
    }
}
