//! Neighbour discovery: RFC 4861, and RFC 4862 for the question whether an address is another's already.

use std::net::Ipv6Addr;

use pnet_packet::Packet;
use pnet_packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet_packet::icmpv6::ndp::{
    MutableNeighborAdvertPacket, MutableNeighborSolicitPacket, NdpOption, NdpOptionTypes,
    NeighborAdvertFlags, NeighborAdvertPacket, NeighborSolicitPacket,
};
use pnet_packet::icmpv6::{Icmpv6Packet, Icmpv6Types, MutableIcmpv6Packet, checksum};
use pnet_packet::ip::IpNextHeaderProtocols;
use pnet_packet::ipv6::{Ipv6Packet, MutableIpv6Packet};

use super::{Claim, Standing};
use crate::target::Mac;

const ETHERNET_BYTES: usize = 14;
const IPV6_BYTES: usize = 40;
/// Type, code, checksum, flags or reserved, target.
const MESSAGE_BYTES: usize = 24;
/// Type, length in units of eight bytes, link-layer address.
const OPTION_BYTES: usize = 8;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// RFC 4862, 5.4.2: from nobody, to the group of those whose addresses end alike.
pub(super) fn probe(mac: Mac, address: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = address.octets();
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let mut message = vec![0; MESSAGE_BYTES];
    if let Some(mut solicit) = MutableNeighborSolicitPacket::new(&mut message) {
        solicit.set_icmpv6_type(Icmpv6Types::NeighborSolicit);
        solicit.set_target_addr(address);
    }
    frame(mac, Ipv6Addr::UNSPECIFIED, group, message)
}

/// RFC 4861, 7.2.6: to all nodes, and what they remember is to be replaced.
pub(super) fn announcement(mac: Mac, address: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![0; MESSAGE_BYTES + OPTION_BYTES];
    if let Some(mut advert) = MutableNeighborAdvertPacket::new(&mut message) {
        advert.set_icmpv6_type(Icmpv6Types::NeighborAdvert);
        advert.set_flags(NeighborAdvertFlags::Override);
        advert.set_target_addr(address);
        let data = mac.0.to_vec();
        advert.set_options(&[NdpOption { option_type: NdpOptionTypes::TargetLLAddr, length: 1, data }]);
    }
    frame(mac, address, ALL_NODES, message)
}

fn frame(mac: Mac, from: Ipv6Addr, to: Ipv6Addr, mut message: Vec<u8>) -> Vec<u8> {
    let sum = Icmpv6Packet::new(&message).map(|icmp| checksum(&icmp, &from, &to));
    if let (Some(mut icmp), Some(sum)) = (MutableIcmpv6Packet::new(&mut message), sum) {
        icmp.set_checksum(sum);
    }
    let mut bytes = vec![0; ETHERNET_BYTES + IPV6_BYTES];
    if let Some(mut frame) = MutableEthernetPacket::new(&mut bytes) {
        // RFC 2464, 7: 33-33 and the last four bytes of the group.
        let [.., a, b, c, d] = to.octets();
        frame.set_destination([0x33, 0x33, a, b, c, d].into());
        frame.set_source(mac.0.into());
        frame.set_ethertype(EtherTypes::Ipv6);
    }
    if let Some(mut packet) = MutableIpv6Packet::new(&mut bytes[ETHERNET_BYTES..]) {
        packet.set_version(6);
        packet.set_payload_length(u16::try_from(message.len()).unwrap_or(0));
        packet.set_next_header(IpNextHeaderProtocols::Icmpv6);
        // RFC 4861, 7.1: whoever gets it with less knows that it came through a router, and is a lie.
        packet.set_hop_limit(255);
        packet.set_source(from);
        packet.set_destination(to);
    }
    bytes.extend_from_slice(&message);
    bytes
}

/// Who advertises an address has it; who asks for one, and has none himself yet, wants it; and who has one and asks has
/// that one.
pub(super) fn claim(frame: &[u8]) -> Option<Claim> {
    let frame = EthernetPacket::new(frame).filter(|frame| frame.get_ethertype() == EtherTypes::Ipv6)?;
    let packet = Ipv6Packet::new(frame.payload())?;
    let is_neighbours =
        packet.get_next_header() == IpNextHeaderProtocols::Icmpv6 && packet.get_hop_limit() == 255;
    let length = usize::from(packet.get_payload_length());
    let message = packet.payload().get(..length).filter(|_| is_neighbours)?;
    let source = packet.get_source();
    let (address, standing) = match Icmpv6Packet::new(message)?.get_icmpv6_type() {
        Icmpv6Types::NeighborAdvert => (NeighborAdvertPacket::new(message)?.get_target_addr(), Standing::Has),
        Icmpv6Types::NeighborSolicit if source.is_unspecified() => {
            (NeighborSolicitPacket::new(message)?.get_target_addr(), Standing::Wants)
        }
        Icmpv6Types::NeighborSolicit => (source, Standing::Has),
        _ => return None,
    };
    Some(Claim { address: address.into(), mac: Mac(frame.get_source().octets()), standing })
}
