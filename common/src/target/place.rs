//! A port of this host or of an address, as people copy it from ss(8), from `docker ps` or from a browser.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::Transport;
use crate::output::quotable;

/// Where something may listen: `:8080`, `172.17.0.5:80`, `[fd00::5]:80/tcp`, `:53/udp`.
///
/// ```
/// use common::target::SocketPlace;
///
/// let place: SocketPlace = "[fd00::5]:80/tcp".parse()?;
/// assert_eq!((place.port, place.to_string().as_str()), (80, "[fd00::5]:80/tcp"));
/// // "every address" as ss(8) prints it
/// assert_eq!("*:8080".parse::<SocketPlace>()?.to_string(), ":8080");
/// # Ok::<(), common::target::SocketPlaceError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketPlace {
    /// The address; any without one.
    pub address: Option<IpAddr>,
    /// 1 to 65535.
    pub port: u16,
    /// TCP or UDP; both without one.
    pub transport: Option<Transport>,
}

/// Why a word is no port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SocketPlaceError {
    /// It has no colon before a number.
    #[error("'{}' is not a port: :8080, 172.17.0.5:80, [fd00::5]:80/tcp", quotable(.0))]
    Form(String),
    /// What stands where the port should be is none.
    #[error("'{}' is not a port: 1 to 65535", quotable(.0))]
    Port(String),
    /// What stands after the slash is no protocol.
    #[error("'{}' is not tcp or udp", quotable(.0))]
    Transport(String),
}

impl SocketPlace {
    /// Whether a word that is no TARGET looks like one of these: it has a port behind nothing, `*` or an IP address.
    pub fn is_meant(word: &str) -> bool {
        let (place, _) = word.split_once('/').unwrap_or((word, ""));
        place.rsplit_once(':').is_some_and(|(host, port)| {
            is_port_like(port) && (host.is_empty() || host == "*" || address(host).is_some())
        })
    }
}

impl FromStr for SocketPlace {
    type Err = SocketPlaceError;

    fn from_str(word: &str) -> Result<Self, SocketPlaceError> {
        let (place, transport) = match word.split_once('/') {
            Some((place, kind)) => {
                let known = [Transport::Tcp, Transport::Udp].into_iter().find(|known| known.as_str() == kind);
                (place, Some(known.ok_or_else(|| SocketPlaceError::Transport(kind.to_owned()))?))
            }
            None => (word, None),
        };
        let wrong = || SocketPlaceError::Form(word.to_owned());
        let (host, digits) = place.rsplit_once(':').ok_or_else(wrong)?;
        let address = match host {
            "" | "*" => None,
            host => Some(address(host).ok_or_else(wrong)?),
        };
        let number =
            Some(digits).filter(|digits| is_port_like(digits)).and_then(|digits| digits.parse().ok());
        let port =
            number.filter(|port| *port != 0).ok_or_else(|| SocketPlaceError::Port(digits.to_owned()))?;
        Ok(SocketPlace { address, port, transport })
    }
}

fn is_port_like(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// An address of IPv4, or one of IPv6 in brackets.
fn address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(six) => six.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}

impl fmt::Display for SocketPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            None => {}
            Some(IpAddr::V4(address)) => write!(f, "{address}")?,
            Some(IpAddr::V6(address)) => write!(f, "[{address}]")?,
        }
        write!(f, ":{}", self.port)?;
        self.transport.iter().try_for_each(|transport| write!(f, "/{}", transport.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_copy_is_read_and_printed_as_it_was() {
        for word in [":8080", ":53/udp", "172.17.0.5:80", "127.0.0.1:80/tcp", "[fd00::5]:80", "0.0.0.0:1"] {
            assert_eq!(word.parse::<SocketPlace>().unwrap().to_string(), word);
            assert!(SocketPlace::is_meant(word), "{word}");
        }
    }

    #[test]
    fn what_is_no_port_says_why() {
        let said = |word: &str| word.parse::<SocketPlace>().unwrap_err().to_string();
        assert!(said(":0").starts_with("'0' is not a port"));
        assert!(said(":99999").starts_with("'99999' is not a port"));
        assert!(said(":80/sctp").starts_with("'sctp' is not tcp or udp"));
        for word in ["8080", "fd00::5:80", "web:80", "[10.0.0.1]:80", "", "1.2.3:80"] {
            assert!(said(word).contains("is not a port: :8080"), "{word}");
            assert!(!SocketPlace::is_meant(word), "{word}");
        }
        assert!(said(":+80").contains("'+80'"));
    }
}
