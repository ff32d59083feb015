//! ARP: RFC 826, and RFC 5227 for what is said without being asked.

use std::net::Ipv4Addr;

use pnet_packet::Packet;
use pnet_packet::arp::{ArpHardwareTypes, ArpOperations, ArpPacket, MutableArpPacket};
use pnet_packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};

use super::{Claim, Standing};
use crate::target::Mac;

const ETHERNET_BYTES: usize = 14;
const ARP_BYTES: usize = 28;

fn request(mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
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

/// RFC 5227, 1.1: the sender's address is all zeroes, so that nobody learns anything of it.
pub(super) fn probe(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    request(mac, Ipv4Addr::UNSPECIFIED, address)
}

/// RFC 5227, 2.3: a request, for some hosts take no notice of a reply that they did not ask for.
pub(super) fn announcement(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    request(mac, address, address)
}

/// Who sends an ARP packet has the address in it, be it a request or a reply; without one he asks for another's because
/// he wants it.
pub(super) fn claim(frame: &[u8]) -> Option<Claim> {
    let frame = EthernetPacket::new(frame).filter(|frame| frame.get_ethertype() == EtherTypes::Arp)?;
    let arp = ArpPacket::new(frame.payload())?;
    let is_ipv4_on_ethernet = arp.get_hardware_type() == ArpHardwareTypes::Ethernet
        && arp.get_protocol_type() == EtherTypes::Ipv4
        && (arp.get_hw_addr_len(), arp.get_proto_addr_len()) == (6, 4);
    let (sender, target) = (arp.get_sender_proto_addr(), arp.get_target_proto_addr());
    let (address, standing) = match arp.get_operation() {
        ArpOperations::Request if sender.is_unspecified() => (target, Standing::Wants),
        ArpOperations::Request | ArpOperations::Reply => (sender, Standing::Has),
        _ => return None,
    };
    let says_something = is_ipv4_on_ethernet && !address.is_unspecified();
    let mac = Mac(arp.get_sender_hw_addr().octets());
    says_something.then(|| Claim { address: address.into(), mac, standing })
}
