//! What single words mean. Addresses that nobody can have are refused here.

use std::fmt::Display;
use std::net::IpAddr;

use common::cidr::Cidr;
use common::failure::{Failure, Status};
use common::output::quotable;

use crate::model::change::{IpvlanMode, MacvlanMode, StackedKind};
use crate::model::nic::Parent;
use crate::model::sysctl::Setting;
use crate::model::wanted::{OtherAddresses, WantedRoute};

/// An ADDR of the container's.
pub fn address(word: &str) -> Result<Cidr, Failure> {
    let cidr: Cidr = word.parse().map_err(|error| match word.contains('/') {
        true => Failure::trouble(quotable(word), error),
        false => Failure::said(Status::Trouble, error),
    })?;
    refuse_unusable(Some(cidr))?;
    if cidr.prefix_len() == 0 {
        return Err(Failure::trouble(cidr, "makes a network of all addresses there are"));
    }
    Ok(cidr)
}

/// What no host can have as its address.
pub fn refuse_unusable(cidr: Option<Cidr>) -> Result<(), Failure> {
    let Some(cidr) = cidr else { return Ok(()) };
    let address = cidr.address();
    let refuse = |why: &dyn Display| Err(Failure::trouble(cidr, why));
    match address {
        _ if address.is_unspecified() => refuse(&"is nobody's address"),
        _ if address.is_multicast() => refuse(&"is a group's address, and no host's"),
        _ if address.is_loopback() => refuse(&"is a loopback address, which stays in its host"),
        IpAddr::V4(v4) if v4.octets()[0] >= 240 || v4.octets()[0] == 0 => {
            refuse(&"is of a range that no host can have")
        }
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            refuse(&"is an IPv4 address in the disguise of IPv6")
        }
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            refuse(&"is a link-local address: each link makes one for itself")
        }
        IpAddr::V4(_) if cidr.is_network_address() => refuse(&"is the address of the network itself"),
        IpAddr::V6(_) if cidr.is_network_address() => {
            refuse(&"is the address of any router in that network, and no host's (RFC 4291)")
        }
        IpAddr::V4(v4) if cidr.broadcast() == Some(v4) => refuse(&"is the broadcast address of its network"),
        _ => Ok(()),
    }
}

/// `PARENT[:MODE]`
pub fn parent(option: &'static str, word: &str, vlan: Option<u16>) -> Result<Parent, Failure> {
    let about = || format!("{option} {}", quotable(word));
    let (name, mode) = word.split_once(':').map_or((word, None), |(name, mode)| (name, Some(mode)));
    let name = name.parse().map_err(|error| Failure::trouble(about(), error))?;
    let on = match option {
        "--macvlan" => mode.map_or(Ok(MacvlanMode::Bridge), str::parse).map(StackedKind::Macvlan),
        _ => mode.map_or(Ok(IpvlanMode::L2), str::parse).map(StackedKind::Ipvlan),
    };
    let on = on.map_err(|error| Failure::trouble(about(), format_args!("what stands behind : {error}")))?;
    let parent = Parent { name, on, vlan };
    match parent.link() {
        Some(_) => Ok(parent),
        None => Err(Failure::trouble(about(), "with its VLAN has more than the 15 bytes of a name").hint(
            common::hint!("make that link under a shorter name, and {} it", common::hint::Hint::say(option)),
        )),
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
            Err(Failure::trouble(format_args!("{option} none"), "and an address contradict each other"))
        }
        words => {
            let these = words.iter().map(|word| other_address(option, word, addresses));
            let these: Vec<IpAddr> = these.collect::<Result<_, _>>()?;
            match these.iter().enumerate().find(|(at, address)| these[..*at].contains(address)) {
                Some((_, twice)) => Err(Failure::trouble(twice, "is given twice")),
                None => Ok(OtherAddresses::These(these)),
            }
        }
    }
}

fn other_address(option: &str, word: &str, addresses: &[Cidr]) -> Result<IpAddr, Failure> {
    let about = || format!("{option} {}", quotable(word));
    let plain = word.split_once('/').map_or(word, |(address, _)| address);
    let address: IpAddr =
        plain.parse().map_err(|_| Failure::trouble(about(), "is neither an IP address nor none"))?;
    if addresses.iter().any(|cidr| cidr.address() == address) {
        return Err(Failure::trouble(about(), "is the container's own address"));
    }
    let network = addresses.iter().find(|cidr| cidr.contains(address));
    let across =
        addresses.iter().find(|cidr| cidr.is_host() && cidr.address().is_ipv4() == address.is_ipv4());
    let Some(whole) =
        network.and_then(|cidr| cidr.with_address(address)).or_else(|| across.map(|_| Cidr::host(address)))
    else {
        return Err(Failure::trouble(about(), "is in no network of the NIC"));
    };
    if plain != word && whole.to_string() != word {
        return Err(Failure::trouble(
            about(),
            format_args!("has another prefix length on this NIC: {whole}"),
        ));
    }
    refuse_unusable(Some(whole)).map(|()| address)
}

/// What --sysctl says.
pub fn settings(words: &[String]) -> Result<Vec<Setting>, Failure> {
    let mut settings: Vec<Setting> = Vec::new();
    for word in words {
        let about = || format!("--sysctl {}", quotable(word));
        let setting: Setting = word.parse().map_err(|error| Failure::trouble(about(), error))?;
        if settings.iter().any(|other| other.key == setting.key) {
            return Err(Failure::trouble(about(), "is a second value for the same"));
        }
        settings.push(setting);
    }
    Ok(settings)
}

/// `CIDR[@VIA]`
pub fn route(word: &str) -> Result<WantedRoute, Failure> {
    let about = || format!("--route {}", quotable(word));
    let (to, via) = word.split_once('@').map_or((word, None), |(to, via)| (to, Some(via)));
    let to: Cidr = to.parse().map_err(|error| Failure::trouble(about(), error))?;
    if !to.is_network() {
        return Err(Failure::trouble(about(), format_args!("has bits of a host behind its prefix"))
            .hint(common::hint!("--route {}", to.network())));
    }
    let via = via.map(str::parse).transpose();
    let via = via.map_err(|_| Failure::trouble(about(), "what stands behind @ is not an IP address"))?;
    Ok(WantedRoute { to, via })
}
