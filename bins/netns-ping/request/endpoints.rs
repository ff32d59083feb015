//! From which container, and to what.

use std::net::IpAddr;
use std::time::Duration;

use common::cli::FindSession;
use common::target::{Dest, Target};

/// From where probes go, and to what.
#[derive(Debug)]
pub struct ProbeEndpoints {
    /// The container to probe from.
    pub target: Target,
    /// At least one.
    pub dests: Vec<Dest>,
    /// The link or address that packets leave from: `-I`.
    pub source: Option<String>,
    /// The firewall mark of packets, which routing rules may ask for: `-m`.
    pub mark: Option<u32>,
    /// `-4` and `-6`.
    pub families: Families,
    /// When all ends. The look-up of a name takes no longer either.
    pub deadline: Option<Duration>,
    /// How to find containers.
    pub find: FindSession,
}

/// Which kinds of addresses are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Families {
    pub v4: bool,
    pub v6: bool,
}

impl Families {
    /// Whether this address is of one of them.
    pub fn has(self, address: IpAddr) -> bool {
        if address.is_ipv4() { self.v4 } else { self.v6 }
    }
}
