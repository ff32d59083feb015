//! ICMP echo, of IPv4 and IPv6: what is sent and what comes back, the socket that it goes through, and the kernel's own
//! time stamps of both. Packets are built and read with pnet's types.

mod beside;
mod echo;
mod filter;
mod options;
mod says;
mod socket;
mod stamped;
#[cfg(test)]
mod tests;
mod told;

pub(super) use beside::Beside;
pub use echo::{Answer, Oddity, TOKEN_BYTES, answer, quoted, request};
pub use options::{IcmpError, Options, PathMtu, Stamps};
pub use says::says;
pub use socket::{EchoSocket, Heard};
pub use told::{Complaint, Stage, Told};

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// Of the Internet's two protocols, one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// RFC 792
    V4,
    /// RFC 4443
    V6,
}

impl Family {
    /// That of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// The time since 1970, by the clock that people have, and that the kernel's stamps are of.
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
