//! The grammar of what a user types for "what to probe", seen from a container: pure, no I/O.
//!
//! | form | means |
//! |---|---|
//! | `10.1.0.1` `fe80::1%eth0` | an address |
//! | `db` `www.example.com` | a name, resolved as in the container |
//! | `gateway` | the container's default gateway |
//! | `docker:db` `pod:web` | another container: a TARGET with its kind |
//! | `tcp:db:5432` `udp:[fd00::1]:53` `tcp:docker:db:80` | a port of any of these |
//! | `10.1.0.0/24` `10.1.0.5-10.1.0.9` | all of these addresses: a scan |
//!
//! A word without a colon is a host name. The word before the first colon, or before the first one after `tcp:` or `udp:`,
//! is always the kind of a TARGET: `docker:db` is never a host called docker. A host that is called so, or `gateway`, is
//! written with a dot: `gateway.`, `tcp:docker.:80`.
//!
//! After `tcp:` or `udp:` there is always a port, which comes after the last colon: 1 to 65535. An IPv6 address
//! stands in brackets then.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::{HostName, HostNameError, IfName, NameError, Target, TargetError};
use crate::cidr::{Cidr, CidrError};
use crate::output::quotable;

/// What to probe.
///
/// ```
/// use common::target::{Dest, DestHost, Transport};
///
/// let Dest::Port(DestHost::Container(db), port) = "tcp:docker:db:5432".parse()? else { panic!() };
/// assert_eq!((db.to_string().as_str(), port.transport, port.number), ("docker:db", Transport::Tcp, 5432));
/// assert!(matches!("db".parse(), Ok(Dest::Host(DestHost::Name(_)))));
/// # Ok::<(), common::target::DestError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dest {
    /// One host.
    Host(DestHost),
    /// A port of one host.
    Port(DestHost, DestPort),
    /// All addresses of a network.
    Network(Cidr),
    /// All addresses from the first to the last, of one family.
    Range(IpAddr, IpAddr),
}

/// Which host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DestHost {
    /// An address, and for a link-local one possibly its link.
    Address(IpAddr, Option<IfName>),
    /// A name, to be resolved as in the container.
    Name(HostName),
    /// The container's default gateway.
    Gateway,
    /// Another container: a TARGET that says of what kind it is.
    Container(Target),
}

/// A port, 1 to 65535, and of which protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DestPort {
    /// TCP or UDP.
    pub transport: Transport,
    /// Not 0.
    pub number: u16,
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP: RFC 9293.
    Tcp,
    /// UDP: RFC 768.
    Udp,
}

/// Why a word is no DEST.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestError {
    /// Nothing at all: the output of `$(cpid nope)`.
    #[error("the DEST is empty (was it the output of a command that failed?)")]
    Empty,
    /// A network whose prefix length makes no sense.
    #[error(transparent)]
    Network(#[from] CidrError),
    /// From an address of one family to one of the other, or backwards.
    #[error("a range must go from one address to a higher one: 10.1.0.5-10.1.0.9, or 10.1.0.5-9")]
    Range,
    /// The word after the `%` is no link's name.
    #[error("{0}")]
    Link(#[from] NameError),
    /// Neither an address nor a name.
    #[error(transparent)]
    Name(#[from] HostNameError),
    /// A kind in front that is none, or no name after it.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A port, but neither `tcp:` nor `udp:`. The word itself would be right after one of them.
    #[error("a port has tcp: or udp: before it, as in tcp:{}", quotable(.0))]
    NoTransport(String),
    /// `tcp:` or `udp:`, but no port after the host, which is all of the rest.
    #[error("the port is missing: {transport}:{}:PORT", quotable(.host))]
    NoPort {
        /// The protocol.
        transport: Transport,
        /// The rest.
        host: String,
    },
    /// A word that could be a port of a host, but whose first part is the kind of a TARGET.
    #[error(
        "the port is missing: {kind}:{rest} is a TARGET; for a host called {kind} write {transport}:{kind}.:{rest}"
    )]
    KindAsHost {
        /// The protocol.
        transport: Transport,
        /// The kind.
        kind: HostName,
        /// What comes after its colon, which is one line.
        rest: String,
    },
    /// What stands where the port should be is none.
    #[error("'{}' is not a port: 1 to 65535", quotable(.0))]
    Port(String),
    /// An IPv6 address whose last part could be the port.
    #[error("an IPv6 address with a port has brackets: {0}:[fd00::1]:80")]
    Brackets(Transport),
    /// A port of many addresses.
    #[error("a port needs a single host: '{}' is many addresses", quotable(.0))]
    ManyHosts(String),
}

impl Transport {
    /// The word before the colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        }
    }

    /// What stands after `tcp:` or `udp:`.
    fn of(word: &str) -> Option<(Self, &str)> {
        let (kind, rest) = word.split_once(':')?;
        let transport = [Transport::Tcp, Transport::Udp].into_iter().find(|known| known.as_str() == kind)?;
        Some((transport, rest))
    }
}

impl Dest {
    /// Whether it means many addresses.
    pub fn is_many(&self) -> bool {
        matches!(self, Dest::Network(_) | Dest::Range(..))
    }

    /// The host, unless it means many addresses.
    pub fn host(&self) -> Option<&DestHost> {
        match self {
            Dest::Host(host) | Dest::Port(host, _) => Some(host),
            Dest::Network(_) | Dest::Range(..) => None,
        }
    }

    /// The port, if it has one.
    pub fn port(&self) -> Option<DestPort> {
        match self {
            Dest::Port(_, port) => Some(*port),
            _ => None,
        }
    }
}

impl FromStr for Dest {
    type Err = DestError;

    fn from_str(word: &str) -> Result<Self, DestError> {
        if let Some((transport, rest)) = Transport::of(word) {
            return port_of_host(transport, rest);
        }
        if let Some(many) = many(word) {
            return many;
        }
        word.parse().map(Dest::Host).map_err(|error| match split_port(word) {
            // What the word means where it has a port behind it is tried only where it means nothing without.
            Some((host, _)) if host.parse::<DestHost>().is_ok() => DestError::NoTransport(word.to_owned()),
            _ => error,
        })
    }
}

/// A network or a range, or why it is none although it looks like one.
fn many(word: &str) -> Option<Result<Dest, DestError>> {
    if let Some((first, last)) = word.split_once('-')
        && let Ok(first) = first.parse::<IpAddr>()
    {
        return Some(range(first, last).ok_or(DestError::Range));
    }
    let (address, _) = word.split_once('/')?;
    address.parse::<IpAddr>().ok()?;
    Some(word.parse().map(Dest::Network).map_err(DestError::Network))
}

/// After the `-` comes a whole address, or the last number of an IPv4 one.
fn range(first: IpAddr, last: &str) -> Option<Dest> {
    let last = match (first, last.parse::<IpAddr>()) {
        (_, Ok(last)) => last,
        (IpAddr::V4(first), Err(_)) => {
            let [a, b, c, _] = first.octets();
            Ipv4Addr::new(a, b, c, last.parse().ok()?).into()
        }
        _ => return None,
    };
    (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Dest::Range(first, last))
}

/// What stands before the last colon, and the port after it.
fn split_port(word: &str) -> Option<(&str, u16)> {
    let (host, port) = word.rsplit_once(':')?;
    Some((host, number(port)?))
}

fn number(port: &str) -> Option<u16> {
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|port| is_number && *port != 0)
}

/// `HOST:PORT`, after its `tcp:`.
fn port_of_host(transport: Transport, rest: &str) -> Result<Dest, DestError> {
    let missing = || DestError::NoPort { transport, host: rest.to_owned() };
    let Some((host, port)) = rest.rsplit_once(':') else {
        return Err(if rest.is_empty() { DestError::Empty } else { missing() });
    };
    if is_bare_ipv6(rest) || is_bare_ipv6(host) {
        return Err(DestError::Brackets(transport));
    }
    if many(host).is_some() {
        return Err(DestError::ManyHosts(host.to_owned()));
    }
    let without_port = rest.parse::<DestHost>();
    // `docker:5432` is a container of Docker's, and so there is no port.
    let is_word = !host.contains(':') && !host.starts_with('/');
    if is_word && matches!(without_port, Ok(DestHost::Container(_))) {
        return Err(match host.parse::<HostName>() {
            Ok(kind) => DestError::KindAsHost { transport, kind, rest: quotable(port) },
            Err(_) => missing(),
        });
    }
    match (host.parse::<DestHost>(), number(port)) {
        (Ok(host), Some(number)) => Ok(Dest::Port(host, DestPort { transport, number })),
        (_, None) | (Err(_), _) if without_port.is_ok() => Err(missing()),
        (Ok(_), None) => Err(DestError::Port(port.to_owned())),
        (Err(error), _) => Err(error),
    }
}

/// Whether it is an IPv6 address without brackets, also after `ip:`: nobody can tell where that ends and a port begins.
fn is_bare_ipv6(word: &str) -> bool {
    let address = word.strip_prefix("ip:").unwrap_or(word);
    let address = address.split(['%', '/']).next().unwrap_or(address);
    address.parse::<Ipv6Addr>().is_ok()
}

impl FromStr for DestHost {
    type Err = DestError;

    fn from_str(word: &str) -> Result<Self, DestError> {
        if word.is_empty() {
            return Err(DestError::Empty);
        }
        if word == "gateway" {
            return Ok(DestHost::Gateway);
        }
        if let Some(address) = address(word) {
            return address;
        }
        // A path, or a kind.
        if word.starts_with('/') || word.contains(':') {
            return Ok(DestHost::Container(word.parse::<Target>()?));
        }
        Ok(DestHost::Name(word.parse()?))
    }
}

/// An address, with its link after a `%`; of IPv6 also in brackets.
fn address(word: &str) -> Option<Result<DestHost, DestError>> {
    let in_brackets = word.strip_prefix('[').and_then(|word| word.strip_suffix(']'));
    let bare = in_brackets.unwrap_or(word);
    let (address, link) = bare.split_once('%').map_or((bare, None), |(address, link)| (address, Some(link)));
    let address: IpAddr = address.parse().ok()?;
    if in_brackets.is_some() && address.is_ipv4() {
        return None;
    }
    Some(match link.map(str::parse).transpose() {
        Ok(link) => Ok(DestHost::Address(address, link)),
        Err(error) => Err(DestError::Link(error)),
    })
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Dest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dest::Host(host) => write!(f, "{host}"),
            Dest::Port(host, DestPort { transport, number }) => match host {
                DestHost::Address(IpAddr::V6(_), _) => write!(f, "{transport}:[{host}]:{number}"),
                DestHost::Container(Target::Ip(ip)) if ip.address.is_ipv6() => {
                    write!(f, "{transport}:ip:[{ip}]:{number}")
                }
                _ => write!(f, "{transport}:{host}:{number}"),
            },
            Dest::Network(cidr) => write!(f, "{cidr}"),
            Dest::Range(first, last) => write!(f, "{first}-{last}"),
        }
    }
}

impl fmt::Display for DestHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DestHost::Address(address, None) => write!(f, "{address}"),
            DestHost::Address(address, Some(link)) => write!(f, "{address}%{link}"),
            DestHost::Name(name) => write!(f, "{name}"),
            DestHost::Gateway => f.write_str("gateway"),
            DestHost::Container(target) => write!(f, "{target}"),
        }
    }
}
