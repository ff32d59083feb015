//! The packet that rules are asked about, as one hook sees it.

use std::net::IpAddr;

/// A packet at a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterPacket {
    /// What it is.
    pub protocol: PacketProtocol,
    /// Where it comes from.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// The port that it comes from; nothing if it may be any.
    pub source_port: Option<u16>,
    /// The port that it is for; nothing if it may be any.
    pub port: Option<u16>,
    /// A port that is not known is one of these, the first to the last.
    pub chosen_ports: [u16; 2],
    /// The interface that it came in by; none of what the namespace sends itself.
    pub from: Option<String>,
    /// The interface that it is to leave by.
    pub out: Option<String>,
    /// Of a bridged packet, the ports that it came in by and leaves by, where they are known.
    pub ports: [Option<String>; 2],
    /// Whether it only passes through a bridge.
    pub is_bridged: bool,
    /// Whether it is for the namespace itself.
    pub is_local: bool,
    /// Whether it is the answer to another packet: its flow is established.
    pub is_answer: bool,
    /// Whether NAT has replaced the destination of its flow.
    pub is_dnat: bool,
    /// What connection tracking makes of it.
    pub flow: PacketFlow,
    /// Its mark; nothing where it is not known.
    pub mark: Option<u32>,
    /// The mark of its flow, as connection tracking keeps it; nothing where it is not known.
    pub flow_mark: Option<u32>,
    /// Its TTL, or the hop limit of IPv6, as it is at the hook; nothing where it is not known.
    pub ttl: Option<u8>,
}

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketProtocol {
    /// A packet of a TCP connection: its first one, or the answer to that.
    Tcp,
    /// A datagram.
    Udp,
    /// An ICMP message, of IPv4 or IPv6, of that type.
    Icmp(u8),
    /// ARP, which asks or answers: [`ARP_REQUEST`], [`ARP_REPLY`]. Its addresses are those that it is about.
    Arp(u16),
}

/// RFC 826: who asks for an address.
pub const ARP_REQUEST: u16 = 1;
/// The same, who has it.
pub const ARP_REPLY: u16 = 2;

/// What connection tracking makes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketFlow {
    /// It is new, or of an established flow if it is an answer.
    Tracked,
    /// A rule has it not tracked, or it is of a kind that never is. No NAT is done with it.
    Untracked,
    /// It belongs to no flow and begins none: the answer to a packet that was not tracked. No NAT is done with it.
    Invalid,
    /// That is not known.
    Unknown,
}

impl FilterPacket {
    /// What connection tracking calls the packet's flow, as nft writes it; nothing where that is not known. The first packet of a flow is
    /// new, and the answer to it is of an established one.
    pub(super) fn flow_state(&self) -> Option<&'static str> {
        match self.flow {
            PacketFlow::Unknown => None,
            PacketFlow::Untracked => Some("untracked"),
            PacketFlow::Invalid => Some("invalid"),
            PacketFlow::Tracked if self.is_answer => Some("established"),
            PacketFlow::Tracked => Some("new"),
        }
    }

    /// Whether it belongs to a flow; nothing where that is not known.
    pub(super) fn has_flow(&self) -> Option<bool> {
        match self.flow {
            PacketFlow::Unknown => None,
            PacketFlow::Tracked => Some(true),
            PacketFlow::Untracked | PacketFlow::Invalid => Some(false),
        }
    }

    /// The first packet of a flow, of which nothing but this is known.
    pub fn first(protocol: PacketProtocol, source: IpAddr, destination: IpAddr) -> Self {
        FilterPacket {
            protocol,
            source,
            destination,
            source_port: None,
            port: None,
            chosen_ports: [0, u16::MAX],
            from: None,
            out: None,
            ports: [None, None],
            is_bridged: false,
            is_local: false,
            is_answer: false,
            is_dnat: false,
            flow: PacketFlow::Tracked,
            mark: None,
            flow_mark: None,
            ttl: None,
        }
    }

    pub(super) fn is_six(&self) -> bool {
        self.source.is_ipv6()
    }

    /// The words for its protocol.
    pub(super) fn protocol_words(&self) -> &'static [&'static str] {
        match (self.protocol, self.is_six()) {
            (PacketProtocol::Tcp, _) => &["tcp", "6"],
            (PacketProtocol::Udp, _) => &["udp", "17"],
            (PacketProtocol::Icmp(_), false) => &["icmp", "1"],
            (PacketProtocol::Icmp(_), true) => &["icmpv6", "ipv6-icmp", "58"],
            (PacketProtocol::Arp(_), _) => &[],
        }
    }

    /// Its protocol, as an IP header has it.
    pub(super) fn protocol_number(&self) -> Option<u8> {
        self.protocol_words().last().and_then(|number| number.parse().ok())
    }

    /// Whether its ICMP type is the one that the word says: its number, or the name in both programs.
    pub(super) fn is_icmp_type(&self, word: &str) -> Option<bool> {
        let PacketProtocol::Icmp(own) = self.protocol else { return Some(false) };
        if let Some(number) = word.split('/').next().and_then(|word| word.parse::<u8>().ok()) {
            return Some(number == own);
        }
        const FOUR: [(&str, u8); 4] =
            [("echo-request", 8), ("echo-reply", 0), ("destination-unreachable", 3), ("time-exceeded", 11)];
        const SIX: [(&str, u8); 10] = [
            ("echo-request", 128),
            ("echo-reply", 129),
            ("destination-unreachable", 1),
            ("packet-too-big", 2),
            ("nd-neighbor-solicit", 135),
            ("nd-neighbor-advert", 136),
            ("neighbour-solicitation", 135),
            ("neighbour-advertisement", 136),
            ("neighbor-solicitation", 135),
            ("neighbor-advertisement", 136),
        ];
        let known = if self.is_six() { &SIX[..] } else { &FOUR[..] };
        known.iter().find(|(name, _)| *name == word).map(|(_, number)| *number == own)
    }
}
