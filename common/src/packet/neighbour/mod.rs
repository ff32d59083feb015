//! Which host has an address on a link: ARP and neighbour discovery, many requests at once, with the kernel's own time stamps.
//!
//! A [`Segment`] asks once, for duplicate address detection, and announces; an [`NeighbourSocket`] is for programs that ask again
//! and again.

mod arp;
mod claim;
pub(in crate::packet) mod error;
mod filter;
mod nd;
pub(in crate::packet) mod packet_socket;
mod read;
mod segment;
mod sender;
mod socket;
#[cfg(test)]
mod tests;

pub use claim::{Claim, ClaimKind, InvalidFrame};
pub use error::PacketError;
pub use read::read;
pub use segment::Segment;
pub use sender::ProbeSender;
pub use socket::{Listen, NeighbourSocket, ReceivedClaim};
