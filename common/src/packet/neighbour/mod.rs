//! Who has an address on a link: ARP and neighbour discovery, many questions at once, with the kernel's own time stamps.
//!
//! A [`Segment`] asks once, for duplicate address detection, and announces; an [`AskSocket`] is for programs that ask again
//! and again.

mod arp;
mod asker;
mod claim;
mod error;
mod filter;
mod nd;
mod packet_socket;
mod read;
mod segment;
mod socket;
#[cfg(test)]
mod tests;

pub use asker::Asker;
pub use claim::{Claim, ClaimKind, InvalidFrame};
pub use error::PacketError;
pub use read::read;
pub use segment::Segment;
pub use socket::{AskSocket, Listen, ReceivedClaim};
