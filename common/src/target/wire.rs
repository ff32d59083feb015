//! An IP address as other programs print it: with a prefix length, in brackets, with the interface of a link-local one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::{IfName, TargetError};

/// An address that is on some link, and for a link-local one possibly the interface that leads to that link.
///
/// ```
/// use common::target::WireAddress;
///
/// let copied: WireAddress = "[fe80::1%eth0]".parse()?;
/// assert_eq!(copied.to_string(), "fe80::1%eth0");
/// assert_eq!("172.17.0.2/16".parse::<WireAddress>()?.to_string(), "172.17.0.2");
/// # Ok::<(), common::target::TargetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WireAddress {
    /// The address.
    pub address: IpAddr,
    /// The interface of our own network that leads to the address's link (the zone of RFC 4007): only for IPv6
    /// addresses of fe80::/10.
    pub zone: Option<IfName>,
}

impl FromStr for WireAddress {
    type Err = TargetError;

    /// `ADDRESS[%ZONE][/LENGTH]`, of IPv6 also `[ADDRESS[%ZONE]][/LENGTH]`. The length has to be one that such an address
    /// can have, and says nothing more.
    fn from_str(word: &str) -> Result<Self, TargetError> {
        let wrong = || TargetError::Ip(word.to_owned());
        let (host, length) = match word.split_once('/') {
            Some((host, length)) => (host, Some(length)),
            None => (word, None),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let (address, zone) = match bare.unwrap_or(host).split_once('%') {
            Some((address, zone)) => (address, Some(zone)),
            None => (bare.unwrap_or(host), None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most: u8 = if address.is_ipv4() { 32 } else { 128 };
        let is_length = |length: &str| {
            length.bytes().all(|b| b.is_ascii_digit()) && length.parse().is_ok_and(|bits: u8| bits <= most)
        };
        if (bare.is_some() && address.is_ipv4()) || length.is_some_and(|length| !is_length(length)) {
            return Err(wrong());
        }
        let zone = zone.map(|zone| zone.parse::<IfName>()).transpose()?;
        let is_link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
        if zone.is_some() && !is_link_local {
            return Err(TargetError::Zone(address));
        }
        Ok(WireAddress { address, zone })
    }
}

impl fmt::Display for WireAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        self.zone.iter().try_for_each(|zone| write!(f, "%{zone}"))
    }
}
