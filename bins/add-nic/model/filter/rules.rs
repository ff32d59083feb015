//! Rules of our own table, as data and in the language of nft(8): `--dry-run` shows the text that nft is given.
//!
//! Names in it are safe: `plan::filter` lets only plain characters into a rule. Each NIC has chains of its own, named after
//! its record: so exactly its own are deleted, and no rule is looked up by number.

use std::net::Ipv4Addr;

use common::cidr::Cidr;
use common::target::IfName;
use serde::{Deserialize, Serialize};

use super::mark::{LinkPassage, LinkSide, MarkBit};
use super::mark_use::MarkValue;
use super::publish::{Protocol, PublishedPort};
use super::term::{AddressEnd, RuleTerm};
use crate::model::change::AnchorAddresses;

/// Of family `inet`, which has NAT since Linux 5.2.
pub const TABLE: &str = "netns-toolbox";
pub const FAMILY: &str = "inet";

/// All rules of one NIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicRules {
    /// The NIC's record; a comment on each rule.
    pub id: String,
    /// For people.
    pub nic: String,
    pub rules: Vec<FilterRule>,
    /// What ties those of NAT to the NIC's link; `None` in records of add-nic 0.1.
    #[serde(default)]
    pub anchors: Option<AnchorAddresses>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilterRule {
    /// Packets that leave this network through another link get the host's address as source.
    Masquerade {
        network: Cidr,
        link: IfName,
        /// If not empty, only through one of these.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        through: Vec<IfName>,
    },
    /// Connections to a port of the host, from outside or from the host itself, are forwarded to the container.
    Forward { to: Ipv4Addr, published: PublishedPort, hook: Hook },
    /// Forwarded connections that the container could not answer otherwise get the host's address as source.
    Answerable { to: Ipv4Addr, port: u16, protocol: Protocol, from: PortClient },
    /// With route_localnet, the container could connect to services on 127.0.0.1, and send packets from 127.0.0.1.
    GuardLoopback { link: IfName, end: AddressEnd },
    /// Packets that pass these links get the mark that the chains of iptables let through.
    Mark {
        at: Vec<LinkPassage>,
        flows: MarkedFlows,
        bit: MarkBit,
        /// But none that other programs' rules tell by its whole mark.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        but: Vec<MarkValue>,
    },
    /// They lose it again.
    Unmark { at: LinkPassage, bit: MarkBit },
}

/// The flows whose packets are marked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkedFlows {
    All,
    /// Those that were let through before.
    Known,
    /// New ones from this network, while the NIC is there.
    NewFrom(Cidr),
    /// New ones to this address that a published port led there, while the NIC is there.
    NewForwardedTo(Ipv4Addr),
}

/// Where in the kernel a rule is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// Before anything else is.
    Raw,
    Prerouting,
    /// For connections that the host itself makes.
    Output,
    Postrouting,
    /// Right before the chains of iptables that filter what is forwarded.
    Mark,
    /// Right after them.
    Unmark,
}

/// The clients of a published port whose source address is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortClient {
    Anybody,
    /// The host itself: 127.0.0.1 cannot be answered, and its other addresses may use another route in the container.
    Host,
    /// Those in the container's own network, including itself: replies to them would bypass the host.
    Network(Cidr),
}

impl Hook {
    fn name(self) -> &'static str {
        match self {
            Hook::Raw => "raw",
            Hook::Prerouting => "prerouting",
            Hook::Output => "output",
            Hook::Postrouting => "postrouting",
            Hook::Mark => "mark",
            Hook::Unmark => "unmark",
        }
    }

    /// Which address of a packet its rules replace.
    fn rewritten_end(self) -> AddressEnd {
        match self {
            Hook::Postrouting | Hook::Mark | Hook::Unmark => AddressEnd::Source,
            Hook::Raw | Hook::Prerouting | Hook::Output => AddressEnd::Destination,
        }
    }

    /// Type, hook and priority of its chain, with the numbers that all of netfilter has for them
    /// (linux/netfilter_ipv4.h).
    fn place(self) -> (&'static str, &'static str, i32) {
        match self {
            Hook::Raw => ("filter", "prerouting", -300),
            Hook::Prerouting => ("nat", "prerouting", -100),
            Hook::Output => ("nat", "output", -100),
            Hook::Postrouting => ("nat", "postrouting", 100),
            Hook::Mark => ("filter", "forward", -1),
            Hook::Unmark => ("filter", "forward", 1),
        }
    }
}

impl NicRules {
    fn hooks(&self) -> Vec<Hook> {
        let mut hooks: Vec<Hook> = self.rules.iter().map(FilterRule::hook).collect();
        hooks.sort();
        hooks.dedup();
        hooks
    }

    fn chain(&self, hook: Hook) -> String {
        format!("nic-{}-{}", self.id, hook.name())
    }

    /// The chains, and how many rules each has.
    pub fn chains(&self) -> Vec<(String, usize)> {
        let of = |hook| {
            let own = self.rules.iter().filter(|rule| rule.hook() == hook).count();
            own + self.restoring(hook).len()
        };
        self.hooks().into_iter().map(|hook| (self.chain(hook), of(hook))).collect()
    }

    /// Whether some rule of that family is tied to the link.
    pub fn are_anchored(&self, six: bool) -> bool {
        self.rules.iter().any(|rule| rule.anchored_family() == Some(six))
    }

    /// The comment of each rule.
    pub fn comment(&self) -> String {
        format!("{} {}", self.id, self.nic)
    }

    /// The links that rules know by their index: with the names of those that are there now.
    pub fn indexed_links(&self, chain: &str) -> Vec<&IfName> {
        let of_it = self.rules.iter().filter(|rule| self.chain(rule.hook()) == chain);
        of_it.flat_map(FilterRule::indexed_links).collect()
    }

    /// The same, with a link that every host has in the place of those that are not there yet.
    pub fn on_loopback(&self) -> NicRules {
        let mut rules = self.clone();
        let Ok(lo) = "lo".parse::<IfName>() else { return rules };
        for rule in &mut rules.rules {
            match rule {
                FilterRule::Mark { at, .. } => at.iter_mut().for_each(|passage| passage.link = lo.clone()),
                FilterRule::Unmark { at, .. } => at.link = lo.clone(),
                FilterRule::GuardLoopback { link, .. } => *link = lo.clone(),
                _ => {}
            }
        }
        rules
    }

    /// What adds them, all or none.
    pub fn adding(&self) -> String {
        let mut words = Vec::new();
        for hook in self.hooks() {
            let (kind, at, priority) = hook.place();
            let chain = self.chain(hook);
            words.push(format!(
                "add chain {FAMILY} {TABLE} {chain} {{ type {kind} hook {at} priority {priority}; policy accept; }}"
            ));
        }
        let own = self.rules.iter().map(|rule| (rule.hook(), rule.terms(self.anchors)));
        let restoring = |hook| self.restoring(hook).into_iter().map(move |terms| (hook, terms));
        for (hook, terms) in own.chain(self.hooks().into_iter().flat_map(restoring)) {
            let terms: Vec<String> = terms.iter().map(RuleTerm::text).collect();
            let (chain, comment) = (self.chain(hook), self.comment());
            words
                .push(format!("add rule {FAMILY} {TABLE} {chain} {} comment \"{comment}\"", terms.join(" ")));
        }
        words.join("; ")
    }

    /// The last rules of a chain: a packet whose address was replaced to look up an anchor that is gone gets its own back.
    fn restoring(&self, hook: Hook) -> Vec<Vec<RuleTerm>> {
        let Some(anchors) = self.anchors else { return vec![] };
        let is_anchored = |six: bool| {
            let is_one = |rule: &FilterRule| rule.hook() == hook && rule.anchored_family() == Some(six);
            self.rules.iter().any(is_one)
        };
        let end = hook.rewritten_end();
        let restore = |six: bool| {
            let network = Cidr::host(anchors.of_family(six));
            vec![RuleTerm::Address { end, is: true, network }, RuleTerm::Restore { end, six }]
        };
        [false, true].into_iter().filter(|six| is_anchored(*six)).map(restore).collect()
    }

    /// What deletes those of their chains that exist; empty if none does.
    pub fn deleting(&self, exists: impl Fn(&str) -> bool) -> String {
        let chains = self.chains().into_iter().map(|(chain, _)| chain).filter(|chain| exists(chain));
        let delete = |chain: String| {
            format!("flush chain {FAMILY} {TABLE} {chain}; delete chain {FAMILY} {TABLE} {chain}")
        };
        chains.map(delete).collect::<Vec<_>>().join("; ")
    }
}

impl FilterRule {
    fn hook(&self) -> Hook {
        match self {
            FilterRule::Masquerade { .. } | FilterRule::Answerable { .. } => Hook::Postrouting,
            FilterRule::Forward { hook, .. } => *hook,
            FilterRule::GuardLoopback { .. } => Hook::Raw,
            FilterRule::Mark { .. } => Hook::Mark,
            FilterRule::Unmark { .. } => Hook::Unmark,
        }
    }

    /// The links that it knows by their index.
    fn indexed_links(&self) -> Vec<&IfName> {
        match self {
            FilterRule::Mark { at, .. } => at.iter().map(|passage| &passage.link).collect(),
            FilterRule::Unmark { at, .. } => vec![&at.link],
            FilterRule::GuardLoopback { link, .. } => vec![link],
            _ => vec![],
        }
    }

    /// The family of the address that it looks up its link by; `None` for a rule that does not.
    fn anchored_family(&self) -> Option<bool> {
        match self {
            FilterRule::Masquerade { network, .. } => Some(network.address().is_ipv6()),
            FilterRule::Forward { .. } | FilterRule::Answerable { .. } => Some(false),
            FilterRule::Mark { flows: MarkedFlows::NewFrom(network), .. } => {
                Some(network.address().is_ipv6())
            }
            FilterRule::Mark { flows: MarkedFlows::NewForwardedTo(_), .. } => Some(false),
            FilterRule::GuardLoopback { .. } | FilterRule::Mark { .. } | FilterRule::Unmark { .. } => None,
        }
    }

    /// With the lookup of the anchor before what the rule does.
    fn terms(&self, anchors: Option<AnchorAddresses>) -> Vec<RuleTerm> {
        let mut terms = self.plain_terms();
        if let (Some(anchors), Some(six)) = (anchors, self.anchored_family()) {
            let end = self.hook().rewritten_end();
            let lookup = RuleTerm::IsAnchored { end, address: anchors.of_family(six) };
            terms.insert(terms.len().saturating_sub(1), lookup);
        }
        terms
    }

    fn plain_terms(&self) -> Vec<RuleTerm> {
        use AddressEnd::{Destination, Source};
        let through = |key, is, name: &IfName| RuleTerm::Link { key, is, name: name.clone() };
        match self {
            FilterRule::Masquerade { network, link, through: out } => vec![
                match out.is_empty() {
                    true => through("oifname", false, link),
                    false => RuleTerm::OutThrough(out.clone()),
                },
                RuleTerm::Address { end: Source, is: true, network: *network },
                RuleTerm::Address { end: Destination, is: false, network: *network },
                RuleTerm::NotMulticast { six: network.address().is_ipv6() },
                RuleTerm::Masquerade,
            ],
            FilterRule::Forward { to, published, .. } => {
                let mut terms = match published.address {
                    Some(ip) => {
                        vec![RuleTerm::Address { end: Destination, is: true, network: Cidr::host(ip.into()) }]
                    }
                    None => vec![RuleTerm::Ipv4, RuleTerm::OfTheHost(Destination)],
                };
                terms.push(RuleTerm::Port(published.protocol, published.host_port));
                terms.push(RuleTerm::ForwardTo(*to, published.port));
                terms
            }
            FilterRule::Answerable { to, port, protocol, from } => {
                let mut terms = vec![RuleTerm::Forwarded];
                match from {
                    PortClient::Anybody => {}
                    PortClient::Host => terms.push(RuleTerm::OfTheHost(Source)),
                    PortClient::Network(network) => {
                        terms.push(RuleTerm::Address { end: Source, is: true, network: *network });
                    }
                }
                terms.push(RuleTerm::Address {
                    end: Destination,
                    is: true,
                    network: Cidr::host((*to).into()),
                });
                terms.push(RuleTerm::Port(*protocol, *port));
                terms.push(RuleTerm::Masquerade);
                terms
            }
            FilterRule::GuardLoopback { link, end } => {
                vec![through("iif", true, link), RuleTerm::Loopback(*end), RuleTerm::Drop]
            }
            FilterRule::Mark { at, flows, bit, but } => {
                let mut terms: Vec<RuleTerm> = at.iter().map(LinkPassage::term).collect();
                match flows {
                    MarkedFlows::All => {}
                    MarkedFlows::Known => terms.push(RuleTerm::Known),
                    MarkedFlows::NewFrom(network) => {
                        terms.push(RuleTerm::New);
                        terms.push(RuleTerm::Address { end: Source, is: true, network: *network });
                    }
                    MarkedFlows::NewForwardedTo(to) => {
                        let network = Cidr::host((*to).into());
                        terms.extend([RuleTerm::New, RuleTerm::Forwarded]);
                        terms.push(RuleTerm::Address { end: Destination, is: true, network });
                    }
                }
                terms.extend(but.iter().map(|of| RuleTerm::MarkIsNot(*of)));
                terms.push(RuleTerm::SetBit(*bit));
                terms
            }
            FilterRule::Unmark { at, bit } => vec![at.term(), RuleTerm::ClearBit(*bit)],
        }
    }
}

impl LinkPassage {
    fn term(&self) -> RuleTerm {
        let key = match self.side {
            LinkSide::In => "iif",
            LinkSide::Out => "oif",
        };
        RuleTerm::Link { key, is: true, name: self.link.clone() }
    }
}
