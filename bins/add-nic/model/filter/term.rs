//! What a rule asks of a packet, or does with it: as nft(8) writes it.

use std::net::{IpAddr, Ipv4Addr};

use common::cidr::Cidr;
use common::target::IfName;
use serde::{Deserialize, Serialize};

use super::mark::MarkBit;
use super::mark_use::MarkValue;
use super::publish::Protocol;

/// Whether a packet comes from an address, or goes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressEnd {
    Source,
    Destination,
}

impl AddressEnd {
    fn field(self) -> &'static str {
        match self {
            AddressEnd::Source => "saddr",
            AddressEnd::Destination => "daddr",
        }
    }
}

/// One term of a rule.
pub enum RuleTerm {
    /// `key` is `oifname` or `iifname`: through which link it goes, or came; or `oif` or `iif`, for which nft takes the index of the
    /// link that has the name now.
    Link {
        key: &'static str,
        is: bool,
        name: IfName,
    },
    /// It leaves through one of these.
    OutThrough(Vec<IfName>),
    Address {
        end: AddressEnd,
        is: bool,
        network: Cidr,
    },
    NotMulticast {
        six: bool,
    },
    /// 127.0.0.0/8
    Loopback(AddressEnd),
    /// An address of the host's.
    OfTheHost(AddressEnd),
    Port(Protocol, u16),
    Ipv4,
    /// Its destination has been changed.
    Forwarded,
    /// There is a route of type anycast to that address: it takes the place of the packet's own to be looked up.
    IsAnchored {
        end: AddressEnd,
        address: IpAddr,
    },
    /// The packet gets its own address back.
    Restore {
        end: AddressEnd,
        six: bool,
    },
    Masquerade,
    ForwardTo(Ipv4Addr, u16),
    /// The first packets of a flow, until one is answered.
    New,
    /// Packets of a flow that was let through, and errors about it.
    Known,
    MarkIsNot(MarkValue),
    SetBit(MarkBit),
    ClearBit(MarkBit),
    Drop,
}

impl RuleTerm {
    /// As nft(8) writes it.
    pub fn text(&self) -> String {
        let unless = |is: bool| if is { "" } else { "!= " };
        match self {
            RuleTerm::Link { key, is, name } => format!("{key} {}\"{name}\"", unless(*is)),
            RuleTerm::OutThrough(links) => {
                let links: Vec<String> = links.iter().map(|link| format!("\"{link}\"")).collect();
                format!("oifname {{ {} }}", links.join(", "))
            }
            RuleTerm::Address { end, is, network } => {
                let bare =
                    if network.is_host() { network.address().to_string() } else { network.to_string() };
                format!("{} {} {}{bare}", ip(*network), end.field(), unless(*is))
            }
            RuleTerm::NotMulticast { six: false } => "ip daddr != 224.0.0.0/4".to_owned(),
            RuleTerm::NotMulticast { six: true } => "ip6 daddr != ff00::/8".to_owned(),
            RuleTerm::Loopback(end) => format!("ip {} 127.0.0.0/8", end.field()),
            RuleTerm::OfTheHost(end) => format!("fib {} type local", end.field()),
            RuleTerm::Port(protocol, port) => format!("{} dport {port}", protocol.name()),
            RuleTerm::Ipv4 => "meta nfproto ipv4".to_owned(),
            RuleTerm::Forwarded => "ct status dnat".to_owned(),
            RuleTerm::IsAnchored { end, address } => {
                let (ip, end) = (ip(Cidr::host(*address)), end.field());
                format!("{ip} {end} set {address} fib {end} type anycast")
            }
            RuleTerm::Restore { end, six } => {
                let (ip, end) = (if *six { "ip6" } else { "ip" }, end.field());
                format!("{ip} {end} set ct original {ip} {end}")
            }
            RuleTerm::Masquerade => "masquerade".to_owned(),
            RuleTerm::ForwardTo(to, port) => format!("dnat ip to {to}:{port}"),
            RuleTerm::New => "ct state new".to_owned(),
            RuleTerm::Known => "ct state established,related".to_owned(),
            RuleTerm::MarkIsNot(MarkValue { value, mask: u32::MAX }) => format!("meta mark != {value:#x}"),
            RuleTerm::MarkIsNot(MarkValue { value, mask }) => format!("meta mark & {mask:#x} != {value:#x}"),
            RuleTerm::SetBit(MarkBit(bit)) => format!("meta mark set meta mark | {bit:#x}"),
            RuleTerm::ClearBit(MarkBit(bit)) => format!("meta mark set meta mark & {:#x}", !bit),
            RuleTerm::Drop => "drop".to_owned(),
        }
    }
}

fn ip(network: Cidr) -> &'static str {
    if network.address().is_ipv4() { "ip" } else { "ip6" }
}
