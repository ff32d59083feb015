//! What a rule asks of a packet, or does with it: as nft(8) writes it, and as JSON.

use std::net::Ipv4Addr;

use common::cidr::Cidr;
use common::target::IfName;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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
    /// `key` is `oifname` or `iifname`: through which link it goes, or came.
    Link {
        key: &'static str,
        is: bool,
        name: IfName,
    },
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
    Masquerade,
    ForwardTo(Ipv4Addr, u16),
    Drop,
}

impl RuleTerm {
    /// As nft(8) writes it.
    pub fn text(&self) -> String {
        let unless = |is: bool| if is { "" } else { "!= " };
        match self {
            RuleTerm::Link { key, is, name } => format!("{key} {}\"{name}\"", unless(*is)),
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
            RuleTerm::Masquerade => "masquerade".to_owned(),
            RuleTerm::ForwardTo(to, port) => format!("dnat ip to {to}:{port}"),
            RuleTerm::Drop => "drop".to_owned(),
        }
    }

    /// As libnftables-json(5) has it.
    pub fn json(&self) -> Value {
        let field = |protocol: &str, field: &str| json!({"payload": {"protocol": protocol, "field": field}});
        let network = |address: &str, length: u8| json!({"prefix": {"addr": address, "len": length}});
        match self {
            RuleTerm::Link { key, is, name } => {
                matching(*is, json!({"meta": {"key": key}}), json!(name.as_str()))
            }
            RuleTerm::Address { end, is, network: cidr } => {
                let address = cidr.address().to_string();
                let right =
                    if cidr.is_host() { json!(address) } else { network(&address, cidr.prefix_len()) };
                matching(*is, field(ip(*cidr), end.field()), right)
            }
            RuleTerm::NotMulticast { six: false } => {
                matching(false, field("ip", "daddr"), network("224.0.0.0", 4))
            }
            RuleTerm::NotMulticast { six: true } => {
                matching(false, field("ip6", "daddr"), network("ff00::", 8))
            }
            RuleTerm::Loopback(end) => matching(true, field("ip", end.field()), network("127.0.0.0", 8)),
            RuleTerm::OfTheHost(end) => {
                matching(true, json!({"fib": {"result": "type", "flags": [end.field()]}}), json!("local"))
            }
            RuleTerm::Port(protocol, port) => matching(true, field(protocol.name(), "dport"), json!(port)),
            RuleTerm::Ipv4 => matching(true, json!({"meta": {"key": "nfproto"}}), json!("ipv4")),
            RuleTerm::Forwarded => {
                json!({"match": {"op": "in", "left": {"ct": {"key": "status"}}, "right": "dnat"}})
            }
            RuleTerm::Masquerade => json!({"masquerade": null}),
            RuleTerm::ForwardTo(to, port) => json!({"dnat": {"family": "ip", "addr": to, "port": port}}),
            RuleTerm::Drop => json!({"drop": null}),
        }
    }
}

fn matching(is: bool, left: Value, right: Value) -> Value {
    json!({"match": {"op": if is { "==" } else { "!=" }, "left": left, "right": right}})
}

fn ip(network: Cidr) -> &'static str {
    if network.address().is_ipv4() { "ip" } else { "ip6" }
}
