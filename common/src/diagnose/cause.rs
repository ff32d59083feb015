//! Why a probe was not answered: the stable words of `--json`, and how they differ.

use std::fmt;

use serde::{Serialize, Serializer};

/// One line for each cause: its name, its word, and how it differs from the others, as the manual has it. First those that
/// netns-ping says, some of which netns-trace says too; then those for which every hop has to be looked at.
macro_rules! causes {
    (pinged { $($name:ident $word:literal $differs:literal,)+ }
     traced { $($only_name:ident $only_word:literal $only_differs:literal,)+ }) => {
        /// Why a probe was not answered, or not sent.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Cause {
            $(#[doc = $differs] $name,)+
            $(#[doc = $only_differs] $only_name,)+
        }

        impl Cause {
            /// Those of netns-ping, in the order of its manual.
            pub const PINGED: &[Cause] = &[$(Cause::$name),+];

            /// Those that only netns-trace says, in the order of its manual.
            pub const TRACED: &[Cause] = &[$(Cause::$only_name),+];

            /// Its word in `--json`. Words stay as they are.
            pub const fn word(self) -> &'static str {
                match self { $(Cause::$name => $word,)+ $(Cause::$only_name => $only_word,)+ }
            }

            /// How it differs from the others, in a line.
            pub const fn differs(self) -> &'static str {
                match self { $(Cause::$name => $differs,)+ $(Cause::$only_name => $only_differs,)+ }
            }
        }
    };
}

causes! {
    pinged {
        NotDone "not-done" "Nothing was sent, for a reason that only the text says: a wrong option, no permission, no such container.",
        Name "name" "DEST is a name that could not be resolved.",
        NoRoute "no-route" "No route leads to DEST, and no interface that is down explains it.",
        RouteUnreachable "route-unreachable" "A route says unreachable.",
        RouteBlackhole "route-blackhole" "A route says blackhole.",
        RouteProhibit "route-prohibit" "A route says prohibit.",
        Rule "rule" "A policy rule (ip rule) refuses DEST; the routes are not asked.",
        LinkDown "link-down" "The interface of the container that leads there is down.",
        LinkGone "link-gone" "The interface that led there no longer exists.",
        NoCarrier "no-carrier" "The interface is up, but its other end is down.",
        AddressGone "address-gone" "The container no longer has the source address of the packets.",
        TargetEnded "target-ended" "The container that was pinged from has ended.",
        TargetRestarted "target-restarted" "It has ended, and runs again with another network.",
        DestEnded "dest-ended" "The container that was pinged has ended.",
        DestLinkDown "dest-link-down" "The interface of the container that was pinged is down.",
        DestAddressGone "dest-address-gone" "The container that was pinged no longer has the address.",
        Frozen "frozen" "The container that was pinged is paused: its kernel answers pings and connections, its programs do not run.",
        NotSentOutput "not-sent-output" "A rule of the container's own output (or postrouting) hook dropped the packet.",
        NotSentEgress "not-sent-egress" "The kernel accepted the packet, but it did not leave the interface: tc, an egress hook, or a full queue.",
        XfrmPolicy "xfrm-policy" "An IPsec policy blocks it, or wants a transformation for which there is no state.",
        NotSent "not-sent" "The kernel refused to send, for another reason.",
        ConntrackFull "conntrack-full" "The container's connection tracking table is full.",
        Mtu "mtu" "The packet exceeds an MTU, and the kernel or a router said so.",
        MtuBlackhole "mtu-blackhole" "Small packets are answered, this size is not, and nobody said why.",
        NeighbourSilent "neighbour-silent" "DEST is on the link, and does not answer ARP or neighbour solicitation.",
        NeighbourGone "neighbour-gone" "The same, but the kernel knew its MAC address from before.",
        NeighbourPermanent "neighbour-permanent" "The same, and its neighbour entry is permanent: the kernel never asks.",
        NeighbourWrongMac "neighbour-wrong-mac" "Another MAC address answers ARP than the one that packets are sent to.",
        NeighbourOtherHost "neighbour-other-host" "DEST is a container of this host, and a MAC address that is not its own answers ARP for it.",
        AddressConflict "address-conflict" "Several MAC addresses answer ARP for DEST (--arp), or for an address of a scan; or another host has it (--dad).",
        RouterSilent "router-silent" "The next router does not answer ARP or neighbour solicitation.",
        RouterGone "router-gone" "The same, but the kernel knew its MAC address from before.",
        RouterPermanent "router-permanent" "The same, and its neighbour entry is permanent: the kernel never asks.",
        NoEcho "no-echo" "DEST is on the link and answers ARP now, but not pings.",
        BeyondRouter "beyond-router" "The next router answers ARP now, and nothing comes back from beyond it.",
        NoAnswer "no-answer" "Nothing came back, and there is no ARP on the interface, or it could not be asked; or no address of a scan answered.",
        HostDrops "host-drops" "This host, which is in between or has DEST itself, received the packet or the answer, and it was not seen to leave again.",
        AnswerDroppedHere "answer-dropped-here" "The answer came to the container, and the container dropped it.",
        EchoIgnoredHere "echo-ignored-here" "DEST is an address of the container, which is set to ignore pings.",
        RequestDroppedHere "request-dropped-here" "DEST is an address of the container, and the packet was dropped on its way through it.",
        IcmpUnreachable "icmp-unreachable" "A router or DEST reports that a network, host or port is unreachable.",
        IcmpProhibited "icmp-prohibited" "A router or DEST reports that the packet was filtered.",
        IcmpTtl "icmp-ttl" "A router reports that the TTL or hop limit is exceeded.",
        IcmpOther "icmp-other" "A router or DEST reports another ICMP error.",
        Broadcast "broadcast" "DEST is a broadcast address, and hosts usually ignore such pings.",
        Multicast "multicast" "DEST is a multicast group, and no member answered.",
        Corrupted "corrupted" "Answers came, but with a wrong checksum or without the data of the request.",
        Loss "loss" "Some packets were answered, and others were not.",
        AnswersNow "answers-now" "No packet was answered in time, but one that was sent afterwards was.",
        PortRefused "port-refused" "The port is refused, by a TCP reset or ICMP port unreachable of DEST; who refuses, and what listens there, is not known.",
        NobodyListens "nobody-listens" "The port is refused or silent; a probe was seen to arrive at DEST, and no socket waits at the port there.",
        ListensOnLoopbackOnly "listens-on-loopback-only" "The same, but a program listens at the port on 127.0.0.1 or ::1 only.",
        ListensElsewhere "listens-elsewhere" "The same, but a program listens at the port on another address.",
        RefusedOnTheWay "refused-on-the-way" "The port is refused, although a probe arrived at DEST and a program listens there: by a firewall on the way, or there.",
        PortSilent "port-silent" "TCP is not answered, not even by a reset, and nothing else is known to be wrong.",
        BacklogFull "backlog-full" "TCP is not answered: as many connections wait to be accepted as may.",
        UdpUnanswered "udp-unanswered" "UDP is not answered, which proves nothing.",
    }
    traced {
        NoRouteBack "no-route-back" "The probe reaches DEST, and a hop on the answer's way has no route to its source.",
        NoMasquerade "no-masquerade" "The host does not replace the source, so the answer takes another way or none: it does so for its other networks, or it has led the probe to an address of the sender's own network.",
        RuleTable "rule-table" "A policy rule (ip rule) selects a routing table of its own, and the route there is wrong or missing.",
        RouteOverlap "route-overlap" "A more specific route than that of DEST's own network leads elsewhere.",
        PrefixTooWide "prefix-too-wide" "An address has a prefix length that makes DEST appear on the link, so the gateway is not asked.",
        ForwardingOff "forwarding-off" "A hop that has to forward the packet has forwarding switched off.",
        TtlExpired "ttl-expired" "A hop that has to forward the packet finds its TTL, or hop limit, used up: it is sent with too small a one, or a rule sets it.",
        RpFilter "rp-filter" "Reverse path filtering drops the packet: the route to its source leaves by another interface.",
        MartianSource "martian-source" "A hop has the source of the packet as an address of its own, and drops what comes from elsewhere with it.",
        RouteLocalnet "route-localnet" "A loopback address is translated to another host, and route_localnet is off.",
        FilterDrop "filter-drop" "A rule of a packet filter drops it; the hop has the hook, and the rule is printed.",
        FilterPolicy "filter-policy" "No rule accepts it, and the policy of the chain is drop.",
        FilterReject "filter-reject" "A rule of a packet filter rejects it, with an ICMP error or a reset.",
        TcDrop "tc-drop" "A tc filter of an interface drops it.",
        QdiscDrop "qdisc-drop" "The queueing discipline of an interface drops it: a shaper, or a queue that is full.",
        BridgePortDisabled "bridge-port-disabled" "A port of a bridge is disabled.",
        BridgePortStp "bridge-port-stp" "A port of a bridge is not forwarding yet, or is blocked, because of the spanning tree protocol.",
        BridgePortIsolated "bridge-port-isolated" "Both ports of a bridge on the way are isolated, and never exchange packets.",
        BridgeFloodOff "bridge-flood-off" "A port of a bridge does not get what is flooded, so ARP does not reach DEST.",
        BridgeFdb "bridge-fdb" "A static entry of the FDB sends the MAC address of DEST to another port.",
        NotInBridge "not-in-bridge" "The host's end of the veth pair of DEST is in no bridge, and has no address of its own.",
        ArpOff "arp-off" "The interface that has DEST is set not to answer ARP.",
        MacvlanParent "macvlan-parent" "A host and the macvlan interfaces on one of its interfaces never exchange packets.",
        Ipv6Disabled "ipv6-disabled" "DEST is an IPv6 address, and IPv6 is disabled on the interface.",
        EchoIgnored "echo-ignored" "DEST is set to ignore pings.",
        Dropped "dropped" "The kernel dropped it, and says why; nothing that is set up explains it.",
        Vanished "vanished" "It was seen at one hop and not at the next, and nothing that is set up explains it.",
        NotPublished "not-published" "With --reverse: no rule and no proxy of Docker's leads from that port of the host to the container.",
        DnatGone "dnat-gone" "With --reverse: the port leads to an address that no container of this host has.",
        ReceiveBufferFull "receive-buffer-full" "UDP reaches the socket, whose receive buffer is full: the program does not read.",
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}
