//! Which container pings which.

use std::net::IpAddr;
use std::time::Duration;

use common::packet::IpFamily;
use nix::errno::Errno;

use super::node::Node;

/// The other end of a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairEnd {
    /// Another container, and on which link of its own it is asked.
    Node(usize, u32),
    Gateway,
}

/// A ping, and what came of it.
#[derive(Debug, Clone)]
pub struct Pair {
    pub from: usize,
    pub to: PairEnd,
    pub address: IpAddr,
    /// The link that leads there.
    pub index: u32,
    pub outcome: Option<PairOutcome>,
    pub tries: u32,
}

/// What came of a ping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairOutcome {
    /// An answer, after so long.
    Reached(Duration),
    /// None.
    Lost,
    /// None, and the kernel says why it was not even sent.
    NotSent(Errno),
}

impl Pair {
    /// Whether it is known that no answer comes.
    pub fn is_lost(&self) -> bool {
        matches!(self.outcome, Some(PairOutcome::Lost | PairOutcome::NotSent(_)))
    }
}

/// All pings there are: round and round, so that no container is asked by all others at once.
pub fn pairs(nodes: &[Node]) -> Vec<Pair> {
    let pair = |from, to, address, index| Pair { from, to, address, index, outcome: None, tries: 0 };
    let gateways = nodes.iter().enumerate().filter_map(|(from, node)| {
        let (address, index) = node.network.gateway?;
        let can = node.sockets.iter().any(|(family, _)| *family == IpFamily::of(address));
        can.then(|| pair(from, PairEnd::Gateway, address, index))
    });
    let count = nodes.len();
    let pairs = (1..count).flat_map(|step| (0..count).map(move |from| (from, (from + step) % count)));
    let pairs = pairs.filter_map(|(from, to)| {
        let (address, index, theirs) = nodes[from].network.neighbour(&nodes[to].network)?;
        Some(pair(from, PairEnd::Node(to, theirs), address, index))
    });
    gateways.chain(pairs).collect()
}
