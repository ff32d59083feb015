//! Whether somebody answers for an address now: asked by unicast, as the kernel itself would, then by broadcast.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::diagnose::{Evidence, NeighbourAnswer};
use common::packet::neighbour::{ClaimKind, Listen, NeighbourSocket, ProbeSender};
use common::packet::{IpFamily, TxStage, wait_for};
use common::target::Mac;

use super::inspection::Inspection;

/// After the unicast request, and after each broadcast.
const WAITS: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(250), Duration::from_millis(450)];
/// After an answer to a broadcast, for another host that has the address.
const OTHERS: Duration = Duration::from_millis(20);

/// Asks on the link of that index, whose address is `own`.
pub(super) fn ask(inspection: &Inspection<'_>, evidence: &Evidence, index: u32, own: Mac) -> NeighbourAnswer {
    let hop = evidence.next_hop();
    let listen = Listen::Answers { mac: own, ident: 0, stage: TxStage::Sent };
    let open = || NeighbourSocket::open(index, IpFamily::of(hop), listen);
    let Ok(mut socket) = inspection.inside.open_to_ask(open) else { return NeighbourAnswer::NotAsked };
    let sender = ProbeSender {
        mac: own,
        address: evidence.route.source.filter(|source| source.is_ipv4() == hop.is_ipv4()),
    };
    let known = evidence.neighbour_before.as_ref().or(evidence.neighbour()).and_then(|known| known.mac);
    let (mut macs, mut has_asked) = (Vec::new(), false);
    for (turn, wait) in WAITS.into_iter().enumerate() {
        let request = match (turn, known) {
            (0, Some(mac)) => sender.request_to(hop, mac),
            (0, None) => continue,
            _ => sender.request(hop),
        };
        has_asked |= socket.send(&[(0, request)]).is_ok();
        let is_broadcast = turn > 0;
        let mut until = Instant::now() + wait;
        loop {
            let before = macs.len();
            if !heard(&mut socket, hop, own, &mut macs) {
                return NeighbourAnswer::NotAsked;
            }
            if macs.len() > before && is_broadcast {
                until = until.min(Instant::now() + OTHERS);
            }
            let is_enough = !macs.is_empty() && !is_broadcast;
            if is_enough || Instant::now() >= until {
                break;
            }
            match wait_for([inspection.stop, socket.as_fd()], until) {
                Ok(ready) if ready.first() == Some(&0) => return answered(macs),
                Ok(_) => {}
                Err(_) => return NeighbourAnswer::NotAsked,
            }
        }
        if !macs.is_empty() && is_broadcast {
            break;
        }
    }
    match (macs.is_empty(), has_asked) {
        (true, true) => NeighbourAnswer::Silent,
        // A full queue, or an egress hook: nobody was asked.
        (true, false) => NeighbourAnswer::NotAsked,
        (false, _) => NeighbourAnswer::Answered(macs),
    }
}

/// The user has had enough: silence so far proves nothing.
fn answered(macs: Vec<Mac>) -> NeighbourAnswer {
    if macs.is_empty() { NeighbourAnswer::NotAsked } else { NeighbourAnswer::Answered(macs) }
}

/// Takes in what has come; whether the socket works.
fn heard(socket: &mut NeighbourSocket, hop: IpAddr, own: Mac, macs: &mut Vec<Mac>) -> bool {
    let read = socket.receive(|received| {
        let Ok(claim) = received.claim else { return };
        let is_answer = claim.address == hop && claim.kind == ClaimKind::Has && claim.mac != own;
        if is_answer && !macs.contains(&claim.mac) {
            macs.push(claim.mac);
        }
    });
    read.is_ok()
}
