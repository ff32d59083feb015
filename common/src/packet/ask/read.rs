//! What an answer says, and why something that came through our filter is none. Pure; no bytes make it panic.

use std::net::IpAddr;

use pnet_packet::Packet;
use pnet_packet::arp::{ArpHardwareTypes, ArpOperations, ArpPacket};
use pnet_packet::ethernet::{EtherTypes, EthernetPacket};
use pnet_packet::icmpv6::ndp::{NdpOptionTypes, NeighborAdvertPacket};
use pnet_packet::icmpv6::{Icmpv6Code, Icmpv6Packet, Icmpv6Types, checksum};
use pnet_packet::ip::IpNextHeaderProtocols;
use pnet_packet::ipv6::Ipv6Packet;

use super::super::nd::MESSAGE_BYTES;
use crate::target::Mac;

/// Somebody says that he has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The address.
    pub address: IpAddr,
    /// The link-layer address that he says is the right one.
    pub mac: Mac,
    /// The one that the frame itself came from, which is another one where somebody answers for others, or lies.
    pub sender: Mac,
}

/// Why a frame is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Oddity {
    /// It breaks off.
    #[error("cut short")]
    Short,
    /// It has a length in it that cannot be.
    #[error("with an impossible length")]
    Length,
    /// Its checksum is wrong.
    #[error("with a wrong checksum")]
    Checksum,
    /// It came through a router, or says so: whatever it claims about this segment is a lie (RFC 4861, 7.1.2).
    #[error("from beyond a router")]
    Routed,
    /// It is of another kind, or claims an address that nobody can have.
    #[error("with invalid contents")]
    Senseless,
}

/// What `frame` answers.
///
/// # Errors
/// [`Oddity`].
pub fn read(frame: &[u8]) -> Result<Answer, Oddity> {
    let ethernet = EthernetPacket::new(frame).ok_or(Oddity::Short)?;
    let sender = Mac(ethernet.get_source().octets());
    let (address, mac) = match ethernet.get_ethertype() {
        EtherTypes::Arp => arp(ethernet.payload())?,
        EtherTypes::Ipv6 => ipv6(ethernet.payload(), sender)?,
        _ => return Err(Oddity::Senseless),
    };
    let is_a_hosts = !address.is_unspecified() && !address.is_multicast() && mac.0[0] & 1 == 0;
    is_a_hosts.then_some(Answer { address, mac, sender }).ok_or(Oddity::Senseless)
}

fn arp(payload: &[u8]) -> Result<(IpAddr, Mac), Oddity> {
    let arp = ArpPacket::new(payload).ok_or(Oddity::Short)?;
    if (arp.get_hw_addr_len(), arp.get_proto_addr_len()) != (6, 4) {
        return Err(Oddity::Length);
    }
    let is_reply = arp.get_hardware_type() == ArpHardwareTypes::Ethernet
        && arp.get_protocol_type() == EtherTypes::Ipv4
        && arp.get_operation() == ArpOperations::Reply;
    let said = (arp.get_sender_proto_addr().into(), Mac(arp.get_sender_hw_addr().octets()));
    is_reply.then_some(said).ok_or(Oddity::Senseless)
}

fn ipv6(payload: &[u8], sender: Mac) -> Result<(IpAddr, Mac), Oddity> {
    let packet = Ipv6Packet::new(payload).ok_or(Oddity::Short)?;
    if packet.get_version() != 6 || packet.get_next_header() != IpNextHeaderProtocols::Icmpv6 {
        return Err(Oddity::Senseless);
    }
    let bytes = payload.get(Ipv6Packet::minimum_packet_size()..).ok_or(Oddity::Short)?;
    let message = bytes.get(..usize::from(packet.get_payload_length())).ok_or(Oddity::Length)?;
    let icmp = Icmpv6Packet::new(message).ok_or(Oddity::Short)?;
    if checksum(&icmp, &packet.get_source(), &packet.get_destination()) != icmp.get_checksum() {
        return Err(Oddity::Checksum);
    }
    match icmp.get_icmpv6_type() {
        Icmpv6Types::EchoReply => Ok((packet.get_source().into(), sender)),
        Icmpv6Types::NeighborAdvert if packet.get_hop_limit() != 255 => Err(Oddity::Routed),
        Icmpv6Types::NeighborAdvert if icmp.get_icmpv6_code() == Icmpv6Code(0) => {
            let advert = NeighborAdvertPacket::new(message).filter(|_| message.len() >= MESSAGE_BYTES);
            let target = advert.ok_or(Oddity::Short)?.get_target_addr();
            let option = link_layer_address(&message[MESSAGE_BYTES..])?;
            Ok((target.into(), option.unwrap_or(sender)))
        }
        _ => Err(Oddity::Senseless),
    }
}

/// The target link-layer address among the options: type, length in units of eight bytes, value. An option without a
/// length would never end, and makes all of it void (RFC 4861, 7.1.2).
fn link_layer_address(mut options: &[u8]) -> Result<Option<Mac>, Oddity> {
    while let [kind, units, ..] = *options {
        let length = usize::from(units) * 8;
        let option = options.get(..length).filter(|option| !option.is_empty()).ok_or(Oddity::Length)?;
        if kind == NdpOptionTypes::TargetLLAddr.0 {
            return Ok(option.get(2..8).and_then(|mac| mac.try_into().ok()).map(Mac));
        }
        options = &options[length..];
    }
    Ok(None)
}
