//! What a user may type for "what to ping". Pure, no I/O.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use common::cidr::{Cidr, CidrError};
use common::output::quotable;
use common::target::{IfName, NameError, Target, TargetError};

/// What to ping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dest {
    /// An address, and for a link-local one possibly its link.
    Address(IpAddr, Option<IfName>),
    /// A name, to be looked up as the container does.
    Name(HostName),
    /// The container's default gateway.
    Gateway,
    /// Another container: a TARGET that says of what kind it is.
    Container(Target),
    /// All addresses of a network.
    Network(Cidr),
    /// All addresses from the first to the last, of one family.
    Range(IpAddr, IpAddr),
}

/// A host name as RFC 1123 and DNS have it: up to 253 bytes, labels of up to 63; underscores, which engines allow, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

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
    /// Numbers and points that are no address, or what cannot be in a name.
    #[error("'{}' is neither an address nor a name", quotable(.0))]
    Name(String),
    /// A kind in front that is none, or no name after it.
    #[error(transparent)]
    Target(#[from] TargetError),
}

impl Dest {
    /// Whether it means many addresses.
    pub fn is_many(&self) -> bool {
        matches!(self, Dest::Network(_) | Dest::Range(..))
    }
}

impl HostName {
    /// As it was typed; a point at its end means that it is whole.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = DestError;

    fn from_str(word: &str) -> Result<Self, DestError> {
        let whole = word.strip_suffix('.').unwrap_or(word);
        let is_label = |label: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (1..=63).contains(&label.len()) && label.bytes().all(allowed) && !label.starts_with('-')
        };
        // 10.1.0.999 and 1.2.3 are mistyped addresses, and no name ends in a number (RFC 3696, 2).
        let last = whole.rsplit('.').next().unwrap_or(whole);
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
        match whole.len() <= 253 && whole.split('.').all(is_label) && !is_number {
            true => Ok(HostName(word.to_owned())),
            false => Err(DestError::Name(word.to_owned())),
        }
    }
}

impl FromStr for Dest {
    type Err = DestError;

    fn from_str(word: &str) -> Result<Self, DestError> {
        if word.is_empty() {
            return Err(DestError::Empty);
        }
        if let Ok(address) = word.parse() {
            return Ok(Dest::Address(address, None));
        }
        if word == "gateway" {
            return Ok(Dest::Gateway);
        }
        if let Some((address, link)) = word.split_once('%')
            && let Ok(address) = address.parse::<IpAddr>()
        {
            return Ok(Dest::Address(address, Some(link.parse()?)));
        }
        if let Some((first, last)) = word.split_once('-')
            && let Ok(first) = first.parse::<IpAddr>()
        {
            return range(first, last).ok_or(DestError::Range);
        }
        match word.split_once('/') {
            Some((address, _)) if address.parse::<IpAddr>().is_ok() => Ok(Dest::Network(word.parse()?)),
            // A path, or a pod of a namespace.
            _ if word.starts_with('/') || word.contains(':') => Ok(Dest::Container(word.parse()?)),
            _ => word.parse().map(Dest::Name),
        }
    }
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

impl fmt::Display for Dest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dest::Address(address, None) => write!(f, "{address}"),
            Dest::Address(address, Some(link)) => write!(f, "{address}%{link}"),
            Dest::Name(name) => f.write_str(name.as_str()),
            Dest::Gateway => f.write_str("gateway"),
            Dest::Container(target) => write!(f, "{target}"),
            Dest::Network(cidr) => write!(f, "{cidr}"),
            Dest::Range(first, last) => write!(f, "{first}-{last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dest(word: &str) -> Dest {
        word.parse().unwrap()
    }

    fn why(word: &str) -> String {
        word.parse::<Dest>().unwrap_err().to_string()
    }

    #[test]
    fn each_form_is_told_from_the_others() {
        assert_eq!(dest("10.1.0.1"), Dest::Address("10.1.0.1".parse().unwrap(), None));
        assert_eq!(dest("::1"), Dest::Address("::1".parse().unwrap(), None));
        assert_eq!(dest("fe80::1%eth0"), Dest::Address("fe80::1".parse().unwrap(), "eth0".parse().ok()));
        assert_eq!(dest("gateway"), Dest::Gateway);
        assert_eq!(dest("10.1.0.0/24"), Dest::Network("10.1.0.0/24".parse().unwrap()));
        let range = Dest::Range("10.1.0.5".parse().unwrap(), "10.1.0.9".parse().unwrap());
        assert_eq!(dest("10.1.0.5-10.1.0.9"), range);
        assert_eq!(dest("10.1.0.5-9"), range);
        assert!(dest("10.1.0.5-9").is_many() && !dest("10.1.0.5").is_many());
        for container in ["docker:db", "pod:prod/web", "pid:1", "netns:blue", "/run/netns/blue"] {
            assert!(matches!(dest(container), Dest::Container(_)), "{container}");
        }
        for name in ["db", "db-1", "a_b.example.com", "gateway.", "0x.de", "1.db"] {
            assert_eq!(dest(name), Dest::Name(HostName(name.to_owned())));
        }
    }

    #[test]
    fn what_is_no_dest_is_told_why() {
        assert_eq!(why("10.1.0.999"), "'10.1.0.999' is neither an address nor a name");
        assert_eq!(why("-x"), "'-x' is neither an address nor a name");
        assert_eq!(why("a..b"), "'a..b' is neither an address nor a name");
        assert_eq!(why("10.1.0.0/33"), "'33' is not a prefix length: 0 to 32");
        assert!(why("10.1.0.9-5").starts_with("a range must go from one address to a higher one"));
        assert!(why("10.1.0.9-::1").starts_with("a range must go"));
        assert!(why("dokcer:db").starts_with("'dokcer:' is not a kind of TARGET"));
        assert_eq!(why(""), "the DEST is empty (was it the output of a command that failed?)");
    }

    proptest! {
        #[test]
        fn no_word_makes_it_panic_and_what_it_prints_it_parses(word: String) {
            if let Ok(dest) = word.parse::<Dest>() {
                prop_assert_eq!(dest.to_string().parse(), Ok(dest));
            }
        }
    }
}
