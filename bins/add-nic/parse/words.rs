//! Parses single arguments. Unusable addresses are refused here.

use std::fmt::Display;
use std::net::IpAddr;

use common::cidr::Cidr;
use common::failure::{Failure, Status};
use common::output::quotable;

use crate::model::change::{IpvlanMode, MacvlanMode, StackedKind};
use crate::model::nic::ParentLink;
use crate::model::sysctl::SysctlSetting;
use crate::model::wanted::{OtherAddresses, WantedRoute};

/// An ADDR of the container's.
pub fn address(word: &str) -> Result<Cidr, Failure> {
    let cidr: Cidr = word.parse().map_err(|error| match word.contains('/') {
        true => Failure::failed(quotable(word), error),
        false => Failure::said(Status::Failed, error),
    })?;
    refuse_unusable(Some(cidr))?;
    if cidr.prefix_len() == 0 {
        return Err(Failure::failed(cidr, "prefix length 0 is not allowed"));
    }
    Ok(cidr)
}

/// Refuses addresses that no host can have.
pub fn refuse_unusable(cidr: Option<Cidr>) -> Result<(), Failure> {
    let Some(cidr) = cidr else { return Ok(()) };
    let address = cidr.address();
    let refuse = |why: &dyn Display| Err(Failure::failed(cidr, why));
    match address {
        _ if address.is_unspecified() => refuse(&"the unspecified address"),
        _ if address.is_multicast() => refuse(&"multicast address"),
        _ if address.is_loopback() => refuse(&"loopback address"),
        IpAddr::V4(v4) if v4.octets()[0] >= 240 || v4.octets()[0] == 0 => refuse(&"reserved address"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => refuse(&"IPv4-mapped IPv6 address"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            refuse(&"link-local address: the kernel assigns these itself")
        }
        IpAddr::V4(_) if cidr.is_network_address() => refuse(&"network address, not a host address"),
        IpAddr::V6(_) if cidr.is_network_address() => {
            refuse(&"subnet-router anycast address (RFC 4291), not a host address")
        }
        IpAddr::V4(v4) if cidr.broadcast() == Some(v4) => refuse(&"broadcast address of its network"),
        _ => Ok(()),
    }
}

/// `PARENT[:MODE]`
pub fn parent(option: &'static str, word: &str, vlan: Option<u16>) -> Result<ParentLink, Failure> {
    let about = || format!("{option} {}", quotable(word));
    let (name, mode) = word.split_once(':').map_or((word, None), |(name, mode)| (name, Some(mode)));
    let name = name.parse().map_err(|error| Failure::failed(about(), error))?;
    let on = match option {
        "--macvlan" => mode.map_or(Ok(MacvlanMode::Bridge), str::parse).map(StackedKind::Macvlan),
        _ => mode.map_or(Ok(IpvlanMode::L2), str::parse).map(StackedKind::Ipvlan),
    };
    let on = on.map_err(|error| Failure::failed(about(), format_args!("mode {error}")))?;
    let parent = ParentLink { name, on, vlan };
    match parent.link() {
        Some(_) => Ok(parent),
        None => {
            Err(Failure::failed(about(), "PARENT.ID would be longer than 15 bytes").hint(common::sentence!(
                "create the VLAN interface under a shorter name and use {} with it",
                common::hint::Verbatim(option)
            )))
        }
    }
}

/// What the other end is to have.
pub fn other_addresses(
    option: &'static str,
    words: &[String],
    addresses: &[Cidr],
) -> Result<OtherAddresses, Failure> {
    match words {
        [] => Ok(OtherAddresses::Fitting),
        [none] if none == "none" => Ok(OtherAddresses::None),
        words if words.iter().any(|word| word == "none") => {
            Err(Failure::failed(format_args!("{option} none"), "cannot be combined with an address"))
        }
        words => {
            let these = words.iter().map(|word| other_address(option, word, addresses));
            let these: Vec<IpAddr> = these.collect::<Result<_, _>>()?;
            match these.iter().enumerate().find(|(at, address)| these[..*at].contains(address)) {
                Some((_, twice)) => Err(Failure::failed(twice, "given twice")),
                None => Ok(OtherAddresses::These(these)),
            }
        }
    }
}

fn other_address(option: &str, word: &str, addresses: &[Cidr]) -> Result<IpAddr, Failure> {
    let about = || format!("{option} {}", quotable(word));
    let plain = word.split_once('/').map_or(word, |(address, _)| address);
    let address: IpAddr =
        plain.parse().map_err(|_| Failure::failed(about(), "neither an IP address nor 'none'"))?;
    if addresses.iter().any(|cidr| cidr.address() == address) {
        return Err(Failure::failed(about(), "the container's own address"));
    }
    let network = addresses.iter().find(|cidr| cidr.contains(address));
    let across =
        addresses.iter().find(|cidr| cidr.is_host() && cidr.address().is_ipv4() == address.is_ipv4());
    let Some(whole) =
        network.and_then(|cidr| cidr.with_address(address)).or_else(|| across.map(|_| Cidr::host(address)))
    else {
        return Err(Failure::failed(about(), "not in a network of the NIC"));
    };
    if plain != word && whole.to_string() != word {
        return Err(Failure::failed(
            about(),
            format_args!("prefix length differs from the NIC's: use {whole}"),
        ));
    }
    refuse_unusable(Some(whole)).map(|()| address)
}

/// What --sysctl says.
pub fn settings(words: &[String]) -> Result<Vec<SysctlSetting>, Failure> {
    let mut settings: Vec<SysctlSetting> = Vec::new();
    for word in words {
        let about = || format!("--sysctl {}", quotable(word));
        let setting: SysctlSetting = word.parse().map_err(|error| Failure::failed(about(), error))?;
        if settings.iter().any(|other| other.key == setting.key) {
            return Err(Failure::failed(about(), "key given twice"));
        }
        settings.push(setting);
    }
    Ok(settings)
}

/// `CIDR[@VIA]`
pub fn route(word: &str) -> Result<WantedRoute, Failure> {
    let about = || format!("--route {}", quotable(word));
    let (to, via) = word.split_once('@').map_or((word, None), |(to, via)| (to, Some(via)));
    let to: Cidr = to.parse().map_err(|error| Failure::failed(about(), error))?;
    if !to.is_network() {
        return Err(Failure::failed(about(), format_args!("has host bits set"))
            .hint(common::same_with!("--route {}", to.network())));
    }
    let via = via.map(str::parse).transpose();
    let via = via.map_err(|_| Failure::failed(about(), "the part after '@' is not an IP address"))?;
    Ok(WantedRoute { to, via })
}
