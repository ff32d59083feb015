//! An address with its network: `10.1.0.2/24`. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::output::quotable;

/// Why a word is not an address with a prefix length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// What stands before the `/` is no address.
    #[error("'{}' is not an IP address", quotable(.0))]
    Address(String),
    /// There is no `/`.
    #[error("{address} has no prefix length, as in {address}/{usual}")]
    NoLength {
        /// The address.
        address: IpAddr,
        /// What is usual for such.
        usual: u8,
    },
    /// What stands behind the `/` is no number, or too great for an address of that family.
    #[error("'{}' is not a prefix length: 0 to {most}", quotable(.word))]
    Length {
        /// What stands there.
        word: String,
        /// The longest there is.
        most: u8,
    },
}

/// An address, and how many bits of it are its network's.
///
/// ```
/// use common::cidr::Cidr;
///
/// let cidr: Cidr = "10.1.0.2/24".parse()?;
/// assert!(cidr.contains("10.1.0.77".parse()?) && !cidr.is_network());
/// assert_eq!(cidr.network().to_string(), "10.1.0.0/24");
/// assert_eq!(cidr.hosts().next(), Some("10.1.0.1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Cidr {
    address: IpAddr,
    prefix_len: u8,
}

impl Cidr {
    /// `None` for a prefix that is longer than the address.
    pub fn new(address: IpAddr, prefix_len: u8) -> Option<Self> {
        (prefix_len <= bits_of(address)).then_some(Cidr { address, prefix_len })
    }

    /// An address that is a network of its own: /32, or /128.
    pub fn host(address: IpAddr) -> Self {
        Cidr { address, prefix_len: bits_of(address) }
    }

    /// All addresses of the family of `like`: `0.0.0.0/0`, `::/0`.
    pub fn everywhere(like: IpAddr) -> Self {
        Cidr { address: with_bits(like, 0), prefix_len: 0 }
    }

    /// The address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits are the network's.
    pub fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// Whether there is only this one address in its network.
    pub fn is_host(&self) -> bool {
        self.prefix_len == bits_of(self.address)
    }

    /// Another address with as long a prefix; `None` for one of the other family.
    pub fn with_address(&self, address: IpAddr) -> Option<Self> {
        (address.is_ipv4() == self.address.is_ipv4()).then_some(Cidr { address, ..*self })
    }

    /// The same prefix with no bit set behind it.
    #[must_use]
    pub fn network(&self) -> Self {
        Cidr { address: with_bits(self.address, bits(self.address) & self.mask()), ..*self }
    }

    /// Whether no bit is set behind the prefix.
    pub fn is_network(&self) -> bool {
        *self == self.network()
    }

    /// Whether `address` is in this network.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && (bits(address) ^ bits(self.address)) & self.mask() == 0
    }

    /// The IPv4 address that means every host in the network; a network of one or two has none (RFC 3021).
    pub fn broadcast(&self) -> Option<Ipv4Addr> {
        match self.last() {
            IpAddr::V4(last) if self.prefix_len <= 30 => Some(last),
            _ => None,
        }
    }

    /// Whether the address means the network itself: of IPv4 its first one; of IPv6 that of any router in it (RFC
    /// 4291, 2.6.1). A network of one or two has neither (RFC 3021, RFC 6164).
    pub fn is_network_address(&self) -> bool {
        self.prefix_len + 2 <= bits_of(self.address) && self.is_network()
    }

    /// The addresses that a host can have, from the first on.
    pub fn hosts(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let (network, this) = (self.network(), *self);
        let (first, last) = (bits(network.address), bits(self.last()));
        let candidates = (first..=last).map(move |bits| with_bits(network.address, bits));
        candidates.filter(move |address| {
            let candidate = Cidr { address: *address, ..this };
            !candidate.is_network_address() && this.broadcast().map(IpAddr::V4) != Some(*address)
        })
    }

    fn last(&self) -> IpAddr {
        let all = u128::MAX.checked_shr(128 - u32::from(bits_of(self.address))).unwrap_or(0);
        with_bits(self.address, bits(self.address) | (all & !self.mask()))
    }

    fn mask(&self) -> u128 {
        let behind = u32::from(bits_of(self.address) - self.prefix_len);
        u128::MAX.checked_shl(behind).unwrap_or(0)
    }
}

fn bits_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// An address of `like`'s family.
fn with_bits(like: IpAddr, bits: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::from_bits(u32::try_from(bits & u128::from(u32::MAX)).unwrap_or(0)).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(bits).into(),
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(word: &str) -> Result<Self, CidrError> {
        let (address, length) = word.split_once('/').map_or((word, None), |(a, l)| (a, Some(l)));
        let parsed: IpAddr = address.parse().map_err(|_| CidrError::Address(address.to_owned()))?;
        let most = bits_of(parsed);
        let length =
            length.ok_or(CidrError::NoLength { address: parsed, usual: if most == 32 { 24 } else { 64 } })?;
        // Some take 024 for octal.
        let is_number =
            length == "0" || (!length.starts_with('0') && length.bytes().all(|byte| byte.is_ascii_digit()));
        let prefix_len = Some(length).filter(|_| is_number).and_then(|length| length.parse().ok());
        prefix_len
            .and_then(|prefix_len| Cidr::new(parsed, prefix_len))
            .ok_or_else(|| CidrError::Length { word: length.to_owned(), most })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> String {
        cidr.to_string()
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(text: String) -> Result<Self, CidrError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    fn first_hosts(text: &str) -> Vec<String> {
        cidr(text).hosts().take(3).map(|address| address.to_string()).collect()
    }

    #[test]
    fn the_hosts_of_a_network_are_neither_the_network_nor_its_broadcast() {
        assert_eq!(first_hosts("10.1.0.2/24"), ["10.1.0.1", "10.1.0.2", "10.1.0.3"]);
        assert_eq!(first_hosts("10.1.0.2/30"), ["10.1.0.1", "10.1.0.2"]);
        assert_eq!(first_hosts("10.1.0.2/31"), ["10.1.0.2", "10.1.0.3"]);
        assert_eq!(first_hosts("10.1.0.2/32"), ["10.1.0.2"]);
        assert_eq!(first_hosts("2001:db8::7/64"), ["2001:db8::1", "2001:db8::2", "2001:db8::3"]);
        assert_eq!(first_hosts("2001:db8::7/127"), ["2001:db8::6", "2001:db8::7"]);
        assert_eq!(first_hosts("2001:db8::7/128"), ["2001:db8::7"]);
        assert_eq!(cidr("10.1.0.2/24").hosts().count(), 254);
        assert_eq!(first_hosts("1.2.3.4/0"), ["0.0.0.1", "0.0.0.2", "0.0.0.3"]);
        assert_eq!(first_hosts("::5/0"), ["::1", "::2", "::3"]);
    }

    #[test]
    fn what_is_no_cidr_is_told_why() {
        let why = |text: &str| text.parse::<Cidr>().unwrap_err().to_string();
        assert_eq!(why("10.1.0.2"), "10.1.0.2 has no prefix length, as in 10.1.0.2/24");
        assert_eq!(why("fe80::1"), "fe80::1 has no prefix length, as in fe80::1/64");
        assert_eq!(why("10.1.0.2/33"), "'33' is not a prefix length: 0 to 32");
        assert_eq!(why("10.1.0.2/+8"), "'+8' is not a prefix length: 0 to 32");
        assert_eq!(why("10.1.0.2/"), "'' is not a prefix length: 0 to 32");
        assert_eq!(why("::1/129"), "'129' is not a prefix length: 0 to 128");
        assert_eq!(why("10.1.0.999/24"), "'10.1.0.999' is not an IP address");
        assert_eq!(why("010.1.0.1/24"), "'010.1.0.1' is not an IP address");
    }

    #[test]
    fn an_address_is_in_networks_of_its_own_family_only() {
        assert!(cidr("10.1.0.0/16").contains("10.1.255.9".parse().unwrap()));
        assert!(!cidr("10.1.0.0/16").contains("10.2.0.0".parse().unwrap()));
        assert!(!cidr("::/0").contains("10.2.0.0".parse().unwrap()));
        assert!(cidr("0.0.0.0/0").contains("10.2.0.0".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn what_it_prints_it_parses(address: IpAddr, length in 0_u8..=128) {
            if let Some(cidr) = Cidr::new(address, length) {
                prop_assert_eq!(cidr.to_string().parse(), Ok(cidr));
                prop_assert!(cidr.contains(cidr.address()) && cidr.network().is_network());
                let _ = (cidr.hosts().next(), cidr.broadcast(), cidr.is_network_address());
            }
        }

        #[test]
        fn no_word_makes_it_panic(word: String) {
            let _ = word.parse::<Cidr>();
        }
    }
}
