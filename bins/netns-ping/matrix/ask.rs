//! Who answers ARP, or neighbour solicitation, for the addresses of pairs that were lost: asked here and now, of all at once, so
//! that no kernel's table is believed and no neighbour learns anything from it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::diagnose::NeighbourAnswer;
use common::failure::Failure;
use common::packet::neighbour::{ClaimKind, Listen, NeighbourSocket, ProbeSender};
use common::packet::{IpFamily, wait_for};
use common::target::Mac;

use super::node::Node;
use super::pair::{Pair, PairEnd, PairOutcome};

/// How often each is asked for, and how long an answer is waited for each time. A host on this machine answers within tens
/// of microseconds.
const TRIES: u32 = 2;
const WAIT: Duration = Duration::from_millis(150);

/// A link from which neighbours are asked, and whether for IPv4.
type LinkKey = (usize, u32, bool);

/// What was heard.
pub struct NeighbourClaims(HashMap<LinkKey, HashMap<IpAddr, Vec<Mac>>>);

impl NeighbourClaims {
    /// Asks for all that did not answer.
    pub fn ask(nodes: &[Node], pairs: &[Pair]) -> Result<Self, Failure> {
        let mut wanted: HashMap<LinkKey, HashSet<IpAddr>> = HashMap::new();
        for pair in pairs.iter().filter(|pair| pair.outcome == Some(PairOutcome::Lost)) {
            if is_on_link(&nodes[pair.from], pair) {
                let key = (pair.from, pair.index, pair.address.is_ipv4());
                wanted.entry(key).or_default().insert(pair.address);
            }
        }
        Ok(NeighbourClaims(ask(nodes, &wanted)?))
    }

    /// Who answered for this one.
    pub fn of(&self, pair: &Pair) -> NeighbourAnswer {
        let key = (pair.from, pair.index, pair.address.is_ipv4());
        match self.0.get(&key).map(|heard| heard.get(&pair.address)) {
            None => NeighbourAnswer::NotAsked,
            Some(None) => NeighbourAnswer::Silent,
            Some(Some(macs)) => NeighbourAnswer::Answered(macs.clone()),
        }
    }
}

/// Whether it is asked for by ARP on the link, and not through a router.
pub fn is_on_link(node: &Node, pair: &Pair) -> bool {
    let is_near =
        |(own, index): &(common::cidr::Cidr, u32)| *index == pair.index && own.contains(pair.address);
    let has_mac = node.network.links.iter().any(|link| link.index == pair.index && link.mac.is_some());
    has_mac && (pair.to == PairEnd::Gateway || node.network.own.iter().any(is_near))
}

/// The MACs that answered for each address; without the right to ask, nothing of that link.
fn ask(
    nodes: &[Node],
    wanted: &HashMap<LinkKey, HashSet<IpAddr>>,
) -> Result<HashMap<LinkKey, HashMap<IpAddr, Vec<Mac>>>, Failure> {
    let mut sockets = Vec::new();
    for (key @ (from, index, is_v4), addresses) in wanted {
        let node = &nodes[*from];
        let mac = node.network.links.iter().find(|link| link.index == *index).and_then(|link| link.mac);
        let Some(mac) = mac else { continue };
        let family = if *is_v4 { IpFamily::V4 } else { IpFamily::V6 };
        let opened = node.inside.open_to_ask(|| NeighbourSocket::open(*index, family, Listen::Claims));
        let Ok(socket) = opened else { continue };
        let sender = ProbeSender { mac, address: None };
        let requests: Vec<_> = (0..).zip(addresses).map(|(at, to)| (at, sender.request(*to))).collect();
        sockets.push((*key, mac, socket, requests));
    }
    let mut heard: HashMap<LinkKey, HashMap<IpAddr, Vec<Mac>>> =
        sockets.iter().map(|(key, ..)| (*key, HashMap::new())).collect();
    for _ in 0..TRIES {
        for (.., socket, requests) in &mut sockets {
            let mut rest = requests.as_slice();
            // What the link's queue has no room for is asked for the next time.
            while let Ok(sent @ 1..) = socket.send(rest) {
                rest = &rest[sent..];
            }
        }
        let until = Instant::now() + WAIT;
        loop {
            for (key, own, socket, _) in &mut sockets {
                let answers = heard.entry(*key).or_default();
                let _ = socket.receive(|received| {
                    let Ok(claim) = received.claim else { return };
                    if claim.kind == ClaimKind::Has
                        && claim.mac != *own
                        && wanted[key].contains(&claim.address)
                    {
                        let macs = answers.entry(claim.address).or_default();
                        if !macs.contains(&claim.mac) {
                            macs.push(claim.mac);
                        }
                    }
                });
            }
            let is_whole =
                wanted.iter().all(|(key, all)| heard.get(key).is_none_or(|heard| heard.len() == all.len()));
            if is_whole {
                return Ok(heard);
            }
            if Instant::now() >= until {
                break;
            }
            let fds = sockets.iter().map(|(_, _, socket, _)| socket.as_fd());
            wait_for(fds, until).map_err(|errno| Failure::failed("poll", errno.desc()))?;
        }
    }
    Ok(heard)
}
