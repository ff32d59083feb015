//! Which container pings which. Pure.

use std::net::IpAddr;
use std::time::Duration;

use common::diagnose::{Cause, Verdict};
use common::packet::IpFamily;
use common::packet::icmp::IcmpError;
use nix::errno::Errno;

use super::expected::{ExpectedNetwork, FaultKind, NetworkFault, expected_gateways};
use super::node::Node;
use crate::request::Families;

/// The other end of a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PairEnd {
    /// The default router.
    Gateway,
    /// Another container.
    Node(usize),
}

/// A ping, and what came of it.
#[derive(Debug, Clone)]
pub struct Pair {
    pub from: usize,
    pub to: PairEnd,
    pub address: IpAddr,
    /// The link that leads there.
    pub index: u32,
    /// The engine's name for the network that it is on, where an engine says that both are on it.
    pub network: Option<String>,
    pub outcome: Option<PairOutcome>,
    /// The ICMP error that came for it.
    pub icmp_error: Option<IcmpError>,
    /// Why it failed.
    pub why: Option<Verdict>,
    pub tries: u32,
}

/// What came of a ping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairOutcome {
    /// An answer, after so long.
    Reached(Duration),
    /// None.
    Lost,
    /// A port: it was refused.
    Refused,
    /// Another host reports an error, or refuses.
    Reported,
    /// None, and the kernel says why it was not even sent.
    NotSent(Errno),
    /// Nothing was sent: one of the two is not on the network as its engine set it up.
    Broken,
}

impl Pair {
    fn new(from: usize, to: PairEnd, address: IpAddr, index: u32) -> Self {
        Pair { from, to, address, index, network: None, outcome: None, icmp_error: None, why: None, tries: 0 }
    }

    fn broken(self, why: Verdict) -> Self {
        Pair { outcome: Some(PairOutcome::Broken), why: Some(why), ..self }
    }

    /// Whether it is known that no answer comes.
    pub fn is_lost(&self) -> bool {
        use PairOutcome::{Broken, Lost, NotSent, Refused, Reported};
        matches!(self.outcome, Some(Lost | Refused | Reported | NotSent(_) | Broken))
    }

    /// Whether an answer came.
    pub fn is_reached(&self) -> bool {
        matches!(self.outcome, Some(PairOutcome::Reached(_)))
    }

    /// How failed ones are listed: by their containers, each one's gateway first.
    pub fn place(&self) -> (usize, PairEnd, bool, IpAddr) {
        (self.from, self.to, self.address.is_ipv6(), self.address)
    }
}

/// All pings there are: round and round, so that no container is asked by all others at once.
pub fn pairs(nodes: &[Node], families: Families) -> Vec<Pair> {
    let gateways = (0..nodes.len()).flat_map(|from| gateway_pairs(nodes, from, families));
    let count = nodes.len();
    let pairs = (1..count).flat_map(|step| (0..count).map(move |from| (from, (from + step) % count)));
    gateways.chain(pairs.flat_map(|(from, to)| between(nodes, from, to, families))).collect()
}

/// The router of each family that has one, or should have one.
fn gateway_pairs(nodes: &[Node], from: usize, families: Families) -> Vec<Pair> {
    let node = &nodes[from];
    let there = node.network.gateways();
    let has_socket = |address: &IpAddr| {
        node.network.own.iter().any(|(own, _)| own.address().is_ipv4() == address.is_ipv4())
    };
    let mut pairs: Vec<Pair> = there
        .iter()
        .filter(|(address, _)| has_socket(address))
        .map(|(address, index)| Pair::new(from, PairEnd::Gateway, *address, *index))
        .collect();
    let mut missing: Vec<(&ExpectedNetwork, IpAddr)> = expected_gateways(&node.expected, families)
        .filter(|(_, gateway)| !node.network.has_default(*gateway))
        .collect();
    missing.dedup_by_key(|(_, gateway)| gateway.is_ipv4());
    for (network, gateway) in missing {
        let is_of = |fault: &&NetworkFault| {
            fault.key == network.key()
                && fault.address.is_none_or(|address| address.is_ipv4() == gateway.is_ipv4())
        };
        if let Some(fault) = node.faults.iter().find(is_of) {
            let pair = Pair::new(from, PairEnd::Gateway, gateway, 0).broken(own_failure(fault));
            pairs.push(Pair { network: Some(network.network.name.clone()), ..pair });
        }
    }
    pairs
}

/// On each network that both are on, by what their engine says or by their addresses.
fn between(nodes: &[Node], from: usize, to: usize, families: Families) -> Vec<Pair> {
    let (here, there) = (&nodes[from], &nodes[to]);
    let mut pairs: Vec<Pair> = Vec::new();
    for (ours, theirs) in both_on(&here.expected, &there.expected) {
        for own in theirs.addresses(families) {
            let address = own.address.address();
            let Some(mine) =
                ours.addresses(families).find(|mine| mine.address.address().is_ipv4() == address.is_ipv4())
            else {
                continue;
            };
            let index = here.network.link_of(mine.address.address());
            let pair = Pair::new(from, PairEnd::Node(to), address, index.unwrap_or(0));
            let pair = Pair { network: Some(theirs.network.name.clone()), ..pair };
            let here_fault = here.fault_on(&ours.key(), mine.address.address());
            let there_fault = there.fault_on(&theirs.key(), address);
            pairs.push(match (here_fault, there_fault) {
                (Some(fault), _) => pair.broken(own_failure(fault)),
                (None, Some(fault)) => pair.broken(their_failure(fault, &there.name)),
                (None, None) => pair,
            });
        }
    }
    for shared in here.network.shared(&there.network) {
        if !pairs.iter().any(|pair| pair.address == shared.address) {
            pairs.push(Pair::new(from, PairEnd::Node(to), shared.address, shared.index));
        }
    }
    pairs.sort_by_key(|pair| IpFamily::of(pair.address) == IpFamily::V6);
    pairs
}

fn both_on<'a>(
    here: &'a [ExpectedNetwork],
    there: &'a [ExpectedNetwork],
) -> impl Iterator<Item = (&'a ExpectedNetwork, &'a ExpectedNetwork)> {
    here.iter().filter_map(|ours| Some((ours, there.iter().find(|theirs| theirs.key() == ours.key())?)))
}

fn own_failure(fault: &NetworkFault) -> Verdict {
    Verdict { fix: fault.fix.clone(), ..Verdict::of(fault.kind.cause(), fault.says.clone()) }
}

fn their_failure(fault: &NetworkFault, name: &str) -> Verdict {
    let cause = match fault.kind {
        FaultKind::LinkGone | FaultKind::LinkDown | FaultKind::NoCarrier => Cause::DestLinkDown,
        FaultKind::AddressGone | FaultKind::NoDefaultRoute => Cause::DestAddressGone,
    };
    let text = format!("at {}: {}", common::output::one_line(name), fault.says);
    Verdict { fix: fault.fix.clone(), ..Verdict::of(cause, text) }
}
