//! What a frame claims. Pure; no bytes make it panic.

use pnet_packet::Packet;
use pnet_packet::ethernet::{EtherTypes, EthernetPacket};

use super::{Claim, InvalidFrame, arp, nd};
use crate::target::Mac;

/// What `frame` claims.
///
/// # Errors
/// [`InvalidFrame`].
pub fn read(frame: &[u8]) -> Result<Claim, InvalidFrame> {
    let ethernet = EthernetPacket::new(frame).ok_or(InvalidFrame::Short)?;
    let sender = Mac(ethernet.get_source().octets());
    let claim = match ethernet.get_ethertype() {
        EtherTypes::Arp => arp::read(ethernet.payload(), sender)?,
        EtherTypes::Ipv6 => nd::read(ethernet.payload(), sender)?,
        _ => return Err(InvalidFrame::Senseless),
    };
    let is_a_hosts =
        !claim.address.is_unspecified() && !claim.address.is_multicast() && claim.mac.0[0] & 1 == 0;
    is_a_hosts.then_some(claim).ok_or(InvalidFrame::Senseless)
}
