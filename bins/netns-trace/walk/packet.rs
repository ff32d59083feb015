//! The packet on its way: what it says at the moment, and what NAT has made of its flow. Pure.

use std::net::{IpAddr, Ipv6Addr};

use common::firewall::{
    ARP_REPLY, ARP_REQUEST, ChainHook, DropPlace, FilterPacket, PacketFlow, PacketProtocol,
};

use crate::model::{ProbeProtocol, TraceProbe};

/// ICMP types of echo requests and replies: RFC 792, RFC 4443.
const ECHO: [[u8; 2]; 2] = [[8, 0], [128, 129]];

/// RFC 4861: solicitation and advertisement.
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// A packet at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlyingPacket {
    pub protocol: ProbeProtocol,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub source_port: Option<u16>,
    pub port: Option<u16>,
    /// Its mark; nothing where it is not known.
    pub mark: Option<u32>,
    /// Its TTL, or hop limit; nothing where it is not known.
    pub ttl: Option<u8>,
    pub is_answer: bool,
    pub is_dnat: bool,
    pub bytes: u16,
    pub dont_fragment: bool,
}

/// What has given the packet its TTL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TtlOrigin {
    /// That is not known: its sender is not on this host.
    Unknown,
    /// A setting of the namespace that sends it, as sysctl(8) takes it, and its value.
    Setting { netns: u64, key: String, value: u8 },
    /// The route of the namespace that sends it.
    Route { netns: u64, value: u8 },
    /// A rule of that namespace, at a hook to which the packet came by that interface.
    Rule { netns: u64, hook: ChainHook, from: Option<String>, by: Box<DropPlace> },
}

/// A flow as one namespace tracks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedPacket {
    pub netns: u64,
    /// As the packet came there.
    pub before: FlyingPacket,
    /// As it left.
    pub after: FlyingPacket,
}

impl FlyingPacket {
    pub fn of(probe: &TraceProbe) -> Self {
        FlyingPacket {
            protocol: probe.protocol,
            source: probe.source,
            destination: probe.destination,
            source_port: None,
            port: probe.protocol.port(),
            mark: Some(0),
            ttl: None,
            is_answer: false,
            is_dnat: false,
            bytes: probe.packet_bytes,
            dont_fragment: probe.dont_fragment || probe.destination.is_ipv6(),
        }
    }

    /// Its answer, as its receiver sends it.
    pub fn answer(&self) -> Self {
        // An echo is as large as what it answers; that of a port is small.
        let bytes = if self.protocol == ProbeProtocol::Echo { self.bytes } else { self.bytes.min(60) };
        FlyingPacket {
            source: self.destination,
            destination: self.source,
            source_port: self.port,
            port: self.source_port,
            mark: Some(0),
            ttl: None,
            is_answer: true,
            bytes,
            ..self.clone()
        }
    }

    pub fn is_six(&self) -> bool {
        self.destination.is_ipv6()
    }

    /// As packet filters see it between two interfaces.
    pub fn filtered(&self, from: Option<&str>, out: Option<&str>) -> FilterPacket {
        let protocol = match self.protocol {
            ProbeProtocol::Tcp(_) => PacketProtocol::Tcp,
            ProbeProtocol::Udp(_) => PacketProtocol::Udp,
            ProbeProtocol::Echo => {
                PacketProtocol::Icmp(ECHO[usize::from(self.is_six())][usize::from(self.is_answer)])
            }
        };
        FilterPacket {
            source_port: self.source_port,
            port: self.port,
            from: from.map(str::to_owned),
            out: out.map(str::to_owned),
            is_answer: self.is_answer,
            is_dnat: self.is_dnat,
            mark: self.mark,
            ttl: self.ttl,
            ..FilterPacket::first(protocol, self.source, self.destination)
        }
    }
}

impl TrackedPacket {
    /// Whether a packet is the answer to this one.
    pub fn is_answered_by(&self, netns: u64, packet: &FlyingPacket) -> bool {
        self.netns == netns
            && packet.is_answer
            && packet.source == self.after.destination
            && packet.destination == self.after.source
    }
}

/// The question and its answer, while a frame is on its way to who has to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourQuestion {
    pub asks: FilterPacket,
    pub answers: FilterPacket,
}

impl NeighbourQuestion {
    /// ARP's, or that of neighbour discovery.
    pub fn of(asker: IpAddr, asked: IpAddr) -> Self {
        let packet = |protocol, source, destination| FilterPacket {
            // Neighbour discovery is never tracked: net/netfilter/nf_conntrack_proto_icmpv6.c.
            flow: PacketFlow::Untracked,
            mark: Some(0),
            // RFC 4861, 11.2: a router has forwarded it otherwise.
            ttl: asked.is_ipv6().then_some(u8::MAX),
            is_local: true,
            ..FilterPacket::first(protocol, source, destination)
        };
        let (asks, answers) = match asked {
            IpAddr::V4(_) => (
                packet(PacketProtocol::Arp(ARP_REQUEST), asker, asked),
                packet(PacketProtocol::Arp(ARP_REPLY), asked, asker),
            ),
            IpAddr::V6(address) => (
                packet(PacketProtocol::Icmp(SOLICITATION), asker, solicited(address).into()),
                packet(PacketProtocol::Icmp(ADVERTISEMENT), asked, asker),
            ),
        };
        NeighbourQuestion { asks, answers }
    }
}

/// The group that an address's owner listens to: RFC 4291, 2.7.1.
fn solicited(address: Ipv6Addr) -> Ipv6Addr {
    let last = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | last[6] & 0xff, last[7])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> FlyingPacket {
        FlyingPacket::of(&TraceProbe {
            source: "10.1.0.2".parse().unwrap(),
            is_bound: false,
            destination: "10.2.0.2".parse().unwrap(),
            scope: None,
            protocol: ProbeProtocol::Tcp(80),
            packet_bytes: 60,
            dont_fragment: false,
            ignores_known_mtu: false,
        })
    }

    #[test]
    fn an_answer_comes_from_where_the_packet_went() {
        let answer = packet().answer();
        assert_eq!((answer.source, answer.source_port), (packet().destination, Some(80)));
        assert_eq!((answer.destination, answer.port), (packet().source, None));
        assert!(answer.filtered(Some("eth0"), None).is_answer);
    }

    #[test]
    fn a_flow_knows_its_answer_by_what_nat_made_of_it() {
        let after = FlyingPacket { source: "192.0.2.1".parse().unwrap(), ..packet() };
        let flow = TrackedPacket { netns: 1, before: packet(), after: after.clone() };
        assert!(flow.is_answered_by(1, &after.answer()));
        assert!(!flow.is_answered_by(1, &packet().answer()) && !flow.is_answered_by(2, &after.answer()));
    }

    #[test]
    fn a_solicitation_goes_to_the_group_of_the_last_24_bits() {
        let group = solicited("fd18:2::12:3456".parse().unwrap());
        assert_eq!(group, "ff02::1:ff12:3456".parse::<Ipv6Addr>().unwrap());
    }

    #[test]
    fn the_answer_goes_back_to_who_asks() {
        let question = NeighbourQuestion::of("10.1.0.1".parse().unwrap(), "10.1.0.2".parse().unwrap());
        assert_eq!(question.asks.protocol, PacketProtocol::Arp(ARP_REQUEST));
        assert_eq!(question.answers.destination, question.asks.source);
    }
}
