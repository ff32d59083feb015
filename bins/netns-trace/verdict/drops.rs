//! Which drops a working network has all the time: they are counted, and not shown. Pure.

use crate::model::{DropKind, DroppedContent, DroppedPacket};

/// The kernel's words for the end of a connection, for what was received before, and for what nobody reads any more.
const ENDS: [&str; 18] = [
    "SOCKET_CLOSE",
    "QUEUE_PURGE",
    "UNIX_DISCONNECT",
    "UNIX_SKIP_OOB",
    "TCP_ABORT_ON_DATA",
    "TCP_ABORT_ON_CLOSE",
    "TCP_ABORT_ON_LINGER",
    "TCP_RESET",
    "TCP_CLOSE",
    "TCP_OLD_DATA",
    "TCP_OLD_SEQUENCE",
    "TCP_OLD_ACK",
    "TCP_TOO_OLD_ACK",
    "TCP_OFOMERGE",
    "TCP_RFC7323_PAWS_ACK",
    "TCP_FASTOPEN",
    "IPV6_NDISC_NS_OTHERHOST",
    "CONSUMED",
];
/// Who gets copies of packets: net/packet/af_packet.c, net/ipv4/raw.c, ping.c, net/ipv6/raw.c.
const COPIES: [&str; 11] = [
    // Packets that are made up to look for a route.
    "inet_rtm_getroute",
    "inet6_rtm_getroute",
    "packet_rcv",
    "packet_rcv_spkt",
    "packet_rcv_fanout",
    "tpacket_rcv",
    "raw_rcv",
    "raw_rcv_skb",
    "rawv6_rcv",
    "rawv6_rcv_skb",
    "ping_rcv",
];
/// What somebody has asked for, also for packets that are for many.
const ASKED_FOR: [&str; 6] =
    ["NETFILTER_DROP", "TC_INGRESS", "TC_EGRESS", "XDP", "BPF_CGROUP_EGRESS", "XFRM_POLICY"];
/// ICMP types of echo replies: RFC 792, RFC 4443.
const ECHO_REPLIES: [u8; 2] = [0, 129];

/// Whether working networks have such drops all the time. `is_own` says that the packet's destination is an address of the
/// namespace that dropped it, and `is_for_station` that another interface has the MAC address that it is for.
pub fn is_normal(kind: &DropKind, is_own: bool, is_for_station: bool) -> bool {
    let reason = kind.reason.as_str();
    if ENDS.contains(&reason) || kind.function.as_deref().is_some_and(|name| COPIES.contains(&name)) {
        return true;
    }
    let Some(packet) = &kind.packet else { return false };
    if ASKED_FOR.contains(&reason) {
        return false;
    }
    // ARP that asks is a broadcast, and wanted where it could not be sent, or was asked in vain.
    let is_wanted = reason.starts_with("NEIGH_")
        || reason == "QDISC_DROP" && matches!(packet.content, DroppedContent::Arp { .. });
    if packet.is_for_many {
        return !is_wanted;
    }
    // The copy of a flood, or what a promiscuous interface hears: nothing if the packet is for nobody else.
    if packet.is_for_other || reason == "OTHERHOST" {
        return !is_own || is_for_station;
    }
    // What comes for a connection that only waits for its time to be over (TIME_WAIT).
    let is_of_tcp = kind.function.as_deref().is_some_and(|name| ["tcp_v4_rcv", "tcp_v6_rcv"].contains(&name));
    (reason == "NO_SOCKET" || reason == "NOT_SPECIFIED" && is_of_tcp) && is_late(packet)
}

/// What comes when a connection has ended, or a ping.
fn is_late(packet: &DroppedPacket) -> bool {
    match packet.content {
        DroppedContent::Tcp { .. } => !packet.content.is_syn(),
        DroppedContent::Icmp { kind, .. } => ECHO_REPLIES.contains(&kind),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DroppedFlow, TCP_ACK, TCP_FIN, TCP_SYN};

    fn kind(reason: &str, content: DroppedContent) -> DropKind {
        let packet = DroppedPacket {
            source: "10.1.0.2".parse().unwrap(),
            destination: "10.2.0.2".parse().unwrap(),
            content,
            mac: None,
            is_for_many: false,
            is_for_other: false,
            mark: 0,
            flow: DroppedFlow::Unknown,
            bytes: None,
            ttl: None,
        };
        DropKind {
            netns: Some(1),
            index: Some(2),
            out: None,
            reason: reason.to_owned(),
            function: None,
            hook: None,
            packet: Some(packet),
        }
    }

    fn tcp(flags: u8) -> DroppedContent {
        DroppedContent::Tcp { ports: [None, Some(80)], flags }
    }

    #[test]
    fn the_end_of_a_connection_is_normal_and_its_beginning_is_not() {
        assert!(is_normal(&kind("TCP_ABORT_ON_DATA", tcp(TCP_ACK)), true, false));
        assert!(is_normal(&kind("NO_SOCKET", tcp(TCP_FIN | TCP_ACK)), true, false));
        assert!(!is_normal(&kind("NO_SOCKET", tcp(TCP_SYN)), true, false));
        let waiting = DropKind {
            function: Some("tcp_v4_rcv".to_owned()),
            ..kind("NOT_SPECIFIED", tcp(TCP_FIN | TCP_ACK))
        };
        assert!(is_normal(&waiting, true, false));
        assert!(!is_normal(&DropKind { function: None, ..waiting }, true, false));
        assert!(!is_normal(&kind("NO_SOCKET", DroppedContent::Udp { ports: [None, Some(53)] }), true, false));
        assert!(is_normal(&kind("NO_SOCKET", DroppedContent::Icmp { kind: 0, code: 0 }), true, false));
        assert!(!is_normal(&kind("NETFILTER_DROP", tcp(TCP_FIN | TCP_ACK)), true, false));
    }

    #[test]
    fn a_copy_is_normal_and_a_wrong_mac_address_is_not() {
        let mut other = kind("OTHERHOST", tcp(TCP_SYN));
        other.packet.as_mut().unwrap().is_for_other = true;
        assert!(is_normal(&other, false, false), "the copy of a flood");
        assert!(is_normal(&other, true, true), "it is for another that has the address, too");
        assert!(!is_normal(&other, true, false));
        let tap =
            DropKind { function: Some("tpacket_rcv".to_owned()), ..kind("NOT_SPECIFIED", tcp(TCP_SYN)) };
        assert!(is_normal(&tap, true, false));
    }

    #[test]
    fn what_is_for_many_and_wanted_by_nobody_is_normal_unless_a_filter_drops_it() {
        let mut many = kind("NOT_SPECIFIED", DroppedContent::Icmp { kind: 143, code: 0 });
        many.packet.as_mut().unwrap().is_for_many = true;
        assert!(is_normal(&many, false, false));
        many.reason = "NETFILTER_DROP".to_owned();
        assert!(!is_normal(&many, false, false));
        many.reason = "NEIGH_FAILED".to_owned();
        assert!(!is_normal(&many, false, false));
        many.reason = "QDISC_DROP".to_owned();
        assert!(is_normal(&many, false, false), "what IPv6 says where nothing is plugged in yet");
        many.packet.as_mut().unwrap().content = DroppedContent::Arp { operation: 1 };
        assert!(!is_normal(&many, false, false));
    }
}
