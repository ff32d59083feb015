//! A program of the host that listens on a port, which cannot be published then.

use std::net::{IpAddr, Ipv4Addr};

use super::publish::{Protocol, PublishedPort};

/// A socket that waits for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    pub protocol: Protocol,
    pub address: IpAddr,
    pub port: u16,
}

impl Listener {
    /// Whether what is published would be taken from it.
    pub fn clashes(&self, published: &PublishedPort) -> bool {
        let own = match self.address {
            IpAddr::V4(address) => Some(address),
            // A socket on :: receives IPv4 too, unless IPV6_V6ONLY is set, which other processes cannot see.
            IpAddr::V6(address) if address.is_unspecified() => Some(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(address) => address.to_ipv4_mapped(),
        };
        let Some(own) = own else { return false };
        self.protocol == published.protocol
            && self.port == published.host_port
            && (own.is_unspecified() || published.address.is_none_or(|address| address == own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_clashes_with_who_would_hear_it() {
        let clashes = |address: &str, published: &str| {
            let listener = Listener { protocol: Protocol::Tcp, address: address.parse().unwrap(), port: 80 };
            listener.clashes(&published.parse().unwrap())
        };
        assert!(clashes("0.0.0.0", "80:1") && clashes("::", "80:1") && clashes("127.0.0.1", "80:1"));
        assert!(clashes("0.0.0.0", "192.0.2.1:80:1") && clashes("::ffff:192.0.2.1", "192.0.2.1:80:1"));
        assert!(!clashes("127.0.0.1", "192.0.2.1:80:1") && !clashes("::1", "80:1"));
        assert!(!clashes("0.0.0.0", "80:1/udp") && !clashes("0.0.0.0", "81:1"));
    }
}
