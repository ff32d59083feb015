//! `--publish [IP:]HOSTPORT:PORT[/udp|/tcp]`: a port of the host that leads into the container.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What is carried to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    /// IPPROTO_*, linux/in.h.
    pub fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        }
    }

    /// As nft, iptables and /proc/net call it.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

/// A port of the host, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PublishedPort {
    /// The only one of the host's addresses at which it is reached.
    pub address: Option<Ipv4Addr>,
    pub host_port: u16,
    pub port: u16,
    pub protocol: Protocol,
}

/// Why a word is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// There is no port of each side in it.
    #[error("not [IP:]HOSTPORT:PORT[/udp|/tcp]")]
    Parts,
    /// Not a port.
    #[error("'{0}' is not a port (1 to 65535)")]
    Port(String),
    /// Not an address to be reached at.
    #[error("'{0}' is not an IPv4 address of the host")]
    Address(String),
    /// Another protocol.
    #[error("'{0}' is neither tcp nor udp")]
    Protocol(String),
}

impl PublishedPort {
    /// Whether both take the same packets.
    pub fn meets(&self, other: &PublishedPort) -> bool {
        let is_one_address =
            self.address.is_none() || other.address.is_none() || self.address == other.address;
        is_one_address && (self.host_port, self.protocol) == (other.host_port, other.protocol)
    }
}

impl FromStr for PublishedPort {
    type Err = PublishError;

    fn from_str(word: &str) -> Result<Self, PublishError> {
        let quoted = common::output::quotable;
        let (word, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            other => return Err(PublishError::Protocol(quoted(other))),
        };
        let (rest, port) = word.rsplit_once(':').ok_or(PublishError::Parts)?;
        let (address, host_port) = rest.rsplit_once(':').map_or((None, rest), |(a, port)| (Some(a), port));
        let number = |word: &str| match word.parse::<u16>() {
            Ok(port @ 1..) if !word.starts_with('+') => Ok(port),
            _ => Err(PublishError::Port(quoted(word))),
        };
        let usable = |ip: &Ipv4Addr| !ip.is_multicast() && !ip.is_broadcast();
        let address = match address.map(|word| (word, word.parse::<Ipv4Addr>().ok().filter(usable))) {
            Some((word, None)) => return Err(PublishError::Address(quoted(word))),
            Some((_, found)) => found.filter(|ip| !ip.is_unspecified()),
            None => None,
        };
        Ok(PublishedPort { address, host_port: number(host_port)?, port: number(port)?, protocol })
    }
}

impl fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.address {
            write!(f, "{address}:")?;
        }
        write!(f, "{}:{}/{}", self.host_port, self.port, self.protocol.name())
    }
}

impl TryFrom<String> for PublishedPort {
    type Error = PublishError;

    fn try_from(text: String) -> Result<Self, PublishError> {
        text.parse()
    }
}

impl From<PublishedPort> for String {
    fn from(published: PublishedPort) -> String {
        published.to_string()
    }
}

impl PublishedPort {
    /// Whether it is reached at 127.0.0.1 too.
    pub fn is_local(&self) -> bool {
        self.address.is_none_or(|address| address.is_loopback())
    }

    /// Whether a connection could be meant for either.
    pub fn clashes(&self, other: &PublishedPort) -> bool {
        self.protocol == other.protocol
            && self.host_port == other.host_port
            && (self.address.is_none() || other.address.is_none() || self.address == other.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(word: &str) -> Result<String, PublishError> {
        word.parse().map(|published: PublishedPort| published.to_string())
    }

    #[test]
    fn a_port_leads_to_a_port() {
        assert_eq!(shown("8080:80").unwrap(), "8080:80/tcp");
        assert_eq!(shown("192.0.2.1:53:5353/udp").unwrap(), "192.0.2.1:53:5353/udp");
        assert_eq!(shown("0.0.0.0:8080:80/tcp").unwrap(), "8080:80/tcp");
        assert_eq!(shown(&shown("127.0.0.1:1:65535").unwrap()).unwrap(), "127.0.0.1:1:65535/tcp");
    }

    #[test]
    fn what_is_no_port_says_so() {
        let port = |word: &str| Err(PublishError::Port(word.to_owned()));
        assert_eq!(shown("0:80"), port("0"));
        assert_eq!(shown("80:65536"), port("65536"));
        assert_eq!(shown("+80:80"), port("+80"));
        assert_eq!(shown(":80"), port(""));
        assert_eq!(shown("80"), Err(PublishError::Parts));
        assert_eq!(shown("80:80/sctp"), Err(PublishError::Protocol("sctp".to_owned())));
        for address in ["::1", "[fd00::1]", "localhost", "255.255.255.255", "224.0.0.1", ""] {
            assert_eq!(shown(&format!("{address}:80:80")), Err(PublishError::Address(address.to_owned())));
        }
    }

    #[test]
    fn two_clash_where_one_connection_could_be_meant_for_both() {
        let clash =
            |one: &str, other: &str| one.parse::<PublishedPort>().unwrap().clashes(&other.parse().unwrap());
        assert!(clash("80:1", "192.0.2.1:80:2"));
        assert!(clash("80:1", "80:1"));
        assert!(!clash("80:1", "80:1/udp"));
        assert!(!clash("192.0.2.1:80:1", "192.0.2.2:80:1"));
        assert!(!clash("80:1", "81:1"));
    }
}
