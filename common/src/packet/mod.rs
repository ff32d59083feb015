//! Frames that ask a segment who has an address, and tell it who has one now: ARP and neighbour discovery, and the
//! socket that they go through. Frames are built and read with pnet's types.

mod arp;
pub mod ask;
mod bpf;
pub mod icmp;
mod nd;
mod segment;
mod socket;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

pub use segment::{PacketError, Segment};

use crate::target::Mac;

/// Random bytes, which nobody can guess.
///
/// # Errors
/// What getrandom(2) says.
pub fn random<const N: usize>() -> nix::Result<[u8; N]> {
    let mut bytes = [0; N];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    filled.map(|_| bytes).map_err(|errno| nix::errno::Errno::from_raw(errno.raw_os_error()))
}

/// Whose an address is, as a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The address.
    pub address: IpAddr,
    /// Who says that it is his.
    pub mac: Mac,
    /// Whether it is so yet.
    pub standing: Standing,
}

/// How much of a claim it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is his.
    Has,
    /// He asks whether it is anybody's, in order to take it: of two who do so at once neither may (RFC 5227, 2.1.1; RFC
    /// 4862, 5.4.3).
    Wants,
}

/// The frame that asks whether anybody has `address`, without telling anybody that `mac` could have it: RFC 5227's ARP
/// probe, RFC 4862's neighbour solicitation.
fn probe(mac: Mac, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => arp::probe(mac, address),
        IpAddr::V6(address) => nd::probe(mac, address),
    }
}

/// The frame that tells everybody that `mac` has `address` now: RFC 5227's ARP announcement, RFC 4861's unsolicited
/// neighbour advertisement.
fn announcement(mac: Mac, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => arp::announcement(mac, address),
        IpAddr::V6(address) => nd::announcement(mac, address),
    }
}

/// Who claims an address in this frame; `None` for any other frame, and for one that breaks off.
fn claim(frame: &[u8]) -> Option<Claim> {
    arp::claim(frame).or_else(|| nd::claim(frame))
}
