//! ARP: RFC 826, and RFC 5227 for duplicate address detection and announcements.

use std::net::Ipv4Addr;

use pnet_packet::arp::{ArpHardwareTypes, ArpOperations, ArpPacket, MutableArpPacket};
use pnet_packet::ethernet::{EtherTypes, MutableEthernetPacket};

use super::{Claim, ClaimKind, InvalidFrame};
use crate::target::Mac;

const ETHERNET_BYTES: usize = 14;
const ARP_BYTES: usize = 28;

/// RFC 826: who has `target`, and tell `sender`.
pub(super) fn request(mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut bytes = vec![0; ETHERNET_BYTES + ARP_BYTES];
    if let Some(mut frame) = MutableEthernetPacket::new(&mut bytes) {
        frame.set_destination([0xff; 6].into());
        frame.set_source(mac.0.into());
        frame.set_ethertype(EtherTypes::Arp);
    }
    if let Some(mut arp) = MutableArpPacket::new(&mut bytes[ETHERNET_BYTES..]) {
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(6);
        arp.set_proto_addr_len(4);
        arp.set_operation(ArpOperations::Request);
        arp.set_sender_hw_addr(mac.0.into());
        arp.set_sender_proto_addr(sender);
        arp.set_target_proto_addr(target);
    }
    bytes
}

/// RFC 5227, 1.1: the sender's address is all zeroes, so that it changes no neighbour table.
pub(super) fn probe(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    request(mac, Ipv4Addr::UNSPECIFIED, address)
}

/// RFC 5227, 2.3: a request, because some hosts ignore replies that they did not ask for.
pub(super) fn announcement(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    request(mac, address, address)
}

/// The sender of an ARP packet has the address in it, be it a request or a reply; a sender without an address asks for
/// another because it wants that one.
pub(super) fn read(payload: &[u8], sender: Mac) -> Result<Claim, InvalidFrame> {
    let arp = ArpPacket::new(payload).ok_or(InvalidFrame::Short)?;
    if (arp.get_hw_addr_len(), arp.get_proto_addr_len()) != (6, 4) {
        return Err(InvalidFrame::Length);
    }
    let is_ipv4_on_ethernet =
        arp.get_hardware_type() == ArpHardwareTypes::Ethernet && arp.get_protocol_type() == EtherTypes::Ipv4;
    let (own, asked) = (arp.get_sender_proto_addr(), arp.get_target_proto_addr());
    let (address, kind) = match arp.get_operation() {
        _ if !is_ipv4_on_ethernet => return Err(InvalidFrame::Senseless),
        ArpOperations::Request if own.is_unspecified() => (asked, ClaimKind::Wants),
        ArpOperations::Request | ArpOperations::Reply => (own, ClaimKind::Has),
        _ => return Err(InvalidFrame::Senseless),
    };
    Ok(Claim { address: address.into(), mac: Mac(arp.get_sender_hw_addr().octets()), sender, kind })
}
