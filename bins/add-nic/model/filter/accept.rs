//! A rule that accepts packets in an iptables chain that would drop them. The chain is not ours: only the program that owns
//! it changes it. With a native nft rule in it, `iptables -S` and iptables-save would fail.

use std::net::Ipv4Addr;

use common::cidr::Cidr;
use common::target::IfName;
use serde::{Deserialize, Serialize};

use super::mark::MarkBit;
use super::publish::Protocol;

/// One such rule, which comes before all others of its chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptRule {
    /// The program that the chain belongs to: `iptables-nft`, `ip6tables-legacy`, or one that only has the plain name.
    pub program: String,
    pub chain: String,
    /// The NIC's record, or the bridge whose rule it is; and which of its rules in that chain this is.
    pub id: String,
    pub number: usize,
    pub what: AllowedTraffic,
    /// Only with this bit, which our own rules set; `None` in older records only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<MarkBit>,
}

/// What is let through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AllowedTraffic {
    /// From one port of a bridge to another.
    Across { bridge: IfName },
    /// Out to elsewhere.
    Out {
        link: IfName,
        network: Cidr,
        /// Only through this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        through: Option<IfName>,
    },
    /// What answers that.
    Back {
        link: IfName,
        network: Cidr,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        through: Option<IfName>,
    },
    /// To a published port.
    Published { link: IfName, to: Ipv4Addr, port: u16, protocol: Protocol },
    /// What it answers.
    Answers { link: IfName, from: Ipv4Addr, port: u16, protocol: Protocol },
}

/// How long it may wait for another one that changes rules.
const WAIT: [&str; 2] = ["-w", "5"];

impl AcceptRule {
    /// The words for the program: `order` is `-I`, `-C` or `-D`.
    pub fn words(&self, order: &str) -> Vec<String> {
        let mut words: Vec<String> = WAIT.iter().map(|&word| word.to_owned()).collect();
        words.extend([order.to_owned(), self.chain.clone()]);
        words.extend(self.what.words());
        if let Some(bit) = self.mark {
            words.extend(["-m", "mark", "--mark", &bit.matched()].map(str::to_owned));
        }
        words.extend(["-m", "comment", "--comment", &self.comment(), "-j", "ACCEPT"].map(str::to_owned));
        words
    }

    /// What tells it from all others.
    pub fn comment(&self) -> String {
        format!("netns-toolbox:{}:{}", self.id, self.number)
    }

    /// The command that does `order`.
    pub fn as_command(&self, order: &str) -> String {
        format!("{} {}", self.program, self.words(order).join(" "))
    }
}

impl AllowedTraffic {
    /// The bridge, if it is traffic between any two of its ports: then all NICs on it share the rule.
    pub fn shared_on(&self) -> Option<&IfName> {
        match self {
            AllowedTraffic::Across { bridge } => Some(bridge),
            _ => None,
        }
    }

    /// The link that all of it passes.
    pub fn link(&self) -> &IfName {
        match self {
            AllowedTraffic::Across { bridge: link }
            | AllowedTraffic::Out { link, .. }
            | AllowedTraffic::Back { link, .. }
            | AllowedTraffic::Published { link, .. }
            | AllowedTraffic::Answers { link, .. } => link,
        }
    }

    fn words(&self) -> Vec<String> {
        let text = match self {
            AllowedTraffic::Across { bridge } => format!("-i {bridge} -o {bridge}"),
            AllowedTraffic::Out { link, network, through } => {
                let out = through.as_ref().map_or_else(|| format!("! -o {link}"), |out| format!("-o {out}"));
                format!("-s {network} -i {link} {out}")
            }
            AllowedTraffic::Back { link, network, through } => {
                let from =
                    through.as_ref().map_or_else(|| format!("! -i {link}"), |from| format!("-i {from}"));
                format!("-d {network} {from} -o {link} -m conntrack --ctstate RELATED,ESTABLISHED")
            }
            AllowedTraffic::Published { link, to, port, protocol } => {
                let protocol = protocol.name();
                format!(
                    "-d {to}/32 -o {link} -p {protocol} -m {protocol} --dport {port} -m conntrack --ctstate DNAT"
                )
            }
            AllowedTraffic::Answers { link, from, port, protocol } => {
                let protocol = protocol.name();
                format!(
                    "-s {from}/32 -i {link} -p {protocol} -m {protocol} --sport {port} -m conntrack --ctstate ESTABLISHED"
                )
            }
        };
        text.split(' ').map(str::to_owned).collect()
    }
}
