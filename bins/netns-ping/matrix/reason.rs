//! Why pings were not answered: who answers ARP, or neighbour solicitation, for the address now. It is asked here and now, and
//! no kernel's table believed; and so that no neighbour learns anything from it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::diagnose::Cause;
use common::failure::Failure;
use common::output::one_line;
use common::packet::neighbour::{ClaimKind, Listen, NeighbourSocket, ProbeSender};
use common::packet::{IpFamily, wait_for};
use common::target::{DestPort, Mac, Transport};

use super::node::Node;
use super::pair::{Pair, PairEnd, PairFailure, PairOutcome};
use super::port_task::in_words;

/// How often each is asked for, and how long an answer is waited for each time. A host on this machine answers within tens
/// of microseconds.
const TRIES: u32 = 2;
const WAIT: Duration = Duration::from_millis(150);

/// A link from which neighbours are asked, and whether for IPv4.
type LinkKey = (usize, u32, bool);

/// Says why, of each pair that was lost.
pub fn explain(nodes: &[Node], pairs: &mut [Pair], port: Option<DestPort>) -> Result<(), Failure> {
    let mut wanted: HashMap<LinkKey, HashSet<IpAddr>> = HashMap::new();
    for pair in pairs.iter().filter(|pair| pair.outcome == Some(PairOutcome::Lost)) {
        if is_on_link(&nodes[pair.from], pair) {
            let key = (pair.from, pair.index, pair.address.is_ipv4());
            wanted.entry(key).or_default().insert(pair.address);
        }
    }
    let heard = ask(nodes, &wanted)?;
    for pair in pairs.iter_mut().filter(|pair| pair.is_lost() && pair.why.is_none()) {
        let key = (pair.from, pair.index, pair.address.is_ipv4());
        let claims = heard.get(&key).map(|heard| heard.get(&pair.address).map_or(&[][..], Vec::as_slice));
        pair.why = Some(why(nodes, pair, claims, port));
    }
    // It may have ended long after it was found: then nothing else of it is a fault.
    let ended: Vec<bool> = nodes.iter().map(Node::has_ended).collect();
    for pair in pairs.iter_mut().filter(|pair| pair.is_lost()) {
        let to = match pair.to {
            PairEnd::Node(to) if ended[to] => Some((Cause::DestEnded, to)),
            _ => None,
        };
        if let Some((cause, who)) = to.or(ended[pair.from].then_some((Cause::TargetEnded, pair.from))) {
            let says = format!("{} has ended meanwhile", one_line(&nodes[who].name));
            pair.why = Some(PairFailure { cause, says });
        }
    }
    Ok(())
}

/// Whether it is asked for by ARP on the link, and not through a router.
fn is_on_link(node: &Node, pair: &Pair) -> bool {
    let is_near =
        |(own, index): &(common::cidr::Cidr, u32)| *index == pair.index && own.contains(pair.address);
    let has_mac = node.network.links.iter().any(|link| link.index == pair.index && link.mac.is_some());
    has_mac && (pair.to == PairEnd::Gateway || node.network.own.iter().any(is_near))
}

fn why(nodes: &[Node], pair: &Pair, claims: Option<&[Mac]>, port: Option<DestPort>) -> PairFailure {
    let is_gateway = pair.to == PairEnd::Gateway;
    let what = port.map_or_else(|| "pings".to_owned(), |port| format!("on {}", in_words(port)));
    let no_echo = match port.map(|port| port.transport) {
        None => Cause::NoEcho,
        Some(Transport::Tcp) => Cause::PortSilent,
        Some(Transport::Udp) => Cause::UdpUnanswered,
    };
    let asking = if pair.address.is_ipv4() { "ARP" } else { "neighbour solicitation" };
    let known = nodes[pair.from].known_mac(pair.index, pair.address);
    let (cause, says) = match (&pair.outcome, claims) {
        (Some(PairOutcome::NotSent(errno)), _) => (Cause::NotSent, format!("not sent: {}", errno.desc())),
        (_, Some([_, ..])) if no_echo == Cause::UdpUnanswered => (
            no_echo,
            "no answer, which proves nothing for UDP: open without an answer to this, or filtered".to_owned(),
        ),
        (_, None) => (Cause::NoAnswer, "no answer".to_owned()),
        (_, Some([])) if is_gateway => (Cause::RouterSilent, format!("does not answer {asking}")),
        (_, Some([])) => (Cause::NeighbourSilent, format!("does not answer {asking}")),
        (_, Some([mac, ..])) if known.is_some_and(|known| known != *mac) => {
            let known = known.map_or_else(String::new, |known| known.to_string());
            let says =
                format!("packets go to {known}, but {mac} answers {asking} for it: a wrong neighbour entry");
            (Cause::NeighbourWrongMac, says)
        }
        (_, Some([mac, ..])) => {
            let is_theirs = match pair.to {
                PairEnd::Node(to) => nodes[to].network.links.iter().any(|link| link.mac == Some(*mac)),
                PairEnd::Gateway => true,
            };
            match is_theirs {
                // The host answers for its bridge on a port that is off the bridge, too.
                true if is_gateway => (no_echo, format!("answers {asking} ({mac}), but not {what}")),
                true => (no_echo, format!("answers {asking} ({mac}), but not {what}: a firewall there?")),
                false => (
                    Cause::NeighbourWrongMac,
                    format!("another host ({mac}) answers {asking} for it, but not {what}"),
                ),
            }
        }
    };
    PairFailure { cause, says }
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
