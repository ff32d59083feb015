//! ICMP echo, of IPv4 and IPv6: requests and replies, the socket that they go through, and the kernel's own time stamps of
//! both. Packets are built and read with pnet's types.

mod describe;
mod echo;
mod error;
mod event;
mod filter;
pub(super) mod options;
mod socket;
#[cfg(test)]
mod tests;

pub use describe::describe;
pub use echo::{EchoReply, InvalidReply, TOKEN_BYTES, answer, quoted, request};
pub use error::EchoSocketError;
pub use event::{IcmpError, TxEvent};
pub use options::{EchoOptions, PathMtu};
pub use socket::{EchoSocket, ReceivedEcho};
