//! Neighbour discovery: RFC 4861, and RFC 4862 for duplicate address detection.

use std::net::Ipv6Addr;

use pnet_packet::ethernet::{EtherTypes, MutableEthernetPacket};
use pnet_packet::icmpv6::ndp::{
    MutableNeighborAdvertPacket, MutableNeighborSolicitPacket, NdpOption, NdpOptionTypes,
    NeighborAdvertFlags, NeighborAdvertPacket, NeighborSolicitPacket,
};
use pnet_packet::icmpv6::{Icmpv6Code, Icmpv6Packet, Icmpv6Types, MutableIcmpv6Packet, checksum};
use pnet_packet::ip::IpNextHeaderProtocols;
use pnet_packet::ipv6::{Ipv6Packet, MutableIpv6Packet};

use super::{Claim, ClaimKind, InvalidFrame};
use crate::packet::{IpFamily, icmp};
use crate::target::Mac;

const ETHERNET_BYTES: usize = 14;
const IPV6_BYTES: usize = 40;
/// Type, code, checksum, flags or reserved, target.
const MESSAGE_BYTES: usize = 24;
/// Type, length in units of eight bytes, link-layer address.
const OPTION_BYTES: usize = 8;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// RFC 4862, 5.4.2: from no address, to the group of hosts whose addresses end alike.
pub(super) fn probe(mac: Mac, address: Ipv6Addr) -> Vec<u8> {
    frame(mac, Ipv6Addr::UNSPECIFIED, group_of(address), solicit(address, &[]))
}

/// RFC 4861, 4.3: to the same group, with the address and the MAC that the answer is to go to.
pub(super) fn solicitation(mac: Mac, own: Ipv6Addr, address: Ipv6Addr) -> Vec<u8> {
    frame(mac, own, group_of(address), solicit(address, &[source_option(mac)]))
}

/// RFC 4861, 7.3.3: the same to the address itself.
pub(super) fn unicast_solicitation(mac: Mac, own: Ipv6Addr, address: Ipv6Addr) -> Vec<u8> {
    frame(mac, own, address, solicit(address, &[source_option(mac)]))
}

fn source_option(mac: Mac) -> NdpOption {
    NdpOption { option_type: NdpOptionTypes::SourceLLAddr, length: 1, data: mac.0.to_vec() }
}

fn solicit(address: Ipv6Addr, options: &[NdpOption]) -> Vec<u8> {
    let mut message = vec![0; MESSAGE_BYTES + options.len() * OPTION_BYTES];
    if let Some(mut solicit) = MutableNeighborSolicitPacket::new(&mut message) {
        solicit.set_icmpv6_type(Icmpv6Types::NeighborSolicit);
        solicit.set_target_addr(address);
        solicit.set_options(options);
    }
    message
}

fn group_of(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]))
}

/// RFC 4443, 4.1: an echo request that is meant for every node of the segment.
pub(super) fn echo_to_all_nodes(mac: Mac, own: Ipv6Addr, ident: u16) -> Vec<u8> {
    let request = icmp::request(IpFamily::V6, ident, 0, &[]);
    frame(mac, own, ALL_NODES, request)
}

/// RFC 4861, 7.2.6: to all nodes; it replaces what they remember.
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
        // RFC 4861, 7.1: with less it came through a router, and is not believed.
        packet.set_hop_limit(255);
        packet.set_source(from);
        packet.set_destination(to);
    }
    bytes.extend_from_slice(&message);
    bytes
}

/// The sender of an advertisement has the address in it, and so has the sender of an echo reply. The sender of a solicitation
/// has the address that it comes from; without one it wants the address that it asks for.
pub(super) fn read(payload: &[u8], sender: Mac) -> Result<Claim, InvalidFrame> {
    let packet = Ipv6Packet::new(payload).ok_or(InvalidFrame::Short)?;
    if packet.get_version() != 6 || packet.get_next_header() != IpNextHeaderProtocols::Icmpv6 {
        return Err(InvalidFrame::Senseless);
    }
    let bytes = payload.get(Ipv6Packet::minimum_packet_size()..).ok_or(InvalidFrame::Short)?;
    let message = bytes.get(..usize::from(packet.get_payload_length())).ok_or(InvalidFrame::Length)?;
    let icmp = Icmpv6Packet::new(message).ok_or(InvalidFrame::Short)?;
    let source = packet.get_source();
    if checksum(&icmp, &source, &packet.get_destination()) != icmp.get_checksum() {
        return Err(InvalidFrame::Checksum);
    }
    let claim = |address: Ipv6Addr, mac, kind| Claim { address: address.into(), mac, sender, kind };
    match icmp.get_icmpv6_type() {
        Icmpv6Types::EchoReply => Ok(claim(source, sender, ClaimKind::Has)),
        Icmpv6Types::NeighborAdvert | Icmpv6Types::NeighborSolicit if packet.get_hop_limit() != 255 => {
            Err(InvalidFrame::Routed)
        }
        Icmpv6Types::NeighborAdvert if icmp.get_icmpv6_code() == Icmpv6Code(0) => {
            let advert = NeighborAdvertPacket::new(message).filter(|_| message.len() >= MESSAGE_BYTES);
            let target = advert.ok_or(InvalidFrame::Short)?.get_target_addr();
            let option = link_layer_address(&message[MESSAGE_BYTES..])?;
            Ok(claim(target, option.unwrap_or(sender), ClaimKind::Has))
        }
        Icmpv6Types::NeighborSolicit if source.is_unspecified() => {
            let solicit = NeighborSolicitPacket::new(message).ok_or(InvalidFrame::Short)?;
            Ok(claim(solicit.get_target_addr(), sender, ClaimKind::Wants))
        }
        Icmpv6Types::NeighborSolicit => Ok(claim(source, sender, ClaimKind::Has)),
        _ => Err(InvalidFrame::Senseless),
    }
}

/// The target link-layer address among the options: type, length in units of eight bytes, value. An option without a
/// length would never end, as pnet's iterator would, and makes all of it void (RFC 4861, 7.1.2).
fn link_layer_address(mut options: &[u8]) -> Result<Option<Mac>, InvalidFrame> {
    while let [kind, units, ..] = *options {
        let length = usize::from(units) * 8;
        let option = options.get(..length).filter(|option| !option.is_empty()).ok_or(InvalidFrame::Length)?;
        if kind == NdpOptionTypes::TargetLLAddr.0 {
            return Ok(option.get(2..8).and_then(|mac| mac.try_into().ok()).map(Mac));
        }
        options = &options[length..];
    }
    Ok(None)
}
