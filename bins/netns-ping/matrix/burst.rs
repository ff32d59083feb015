//! Requests that are due at one time, sent on several processors: for each, the kernel asks for a neighbour on its way, and
//! delivers that question to every other container on the bridge before the call returns. Of fifty containers each does so
//! fifty times, which is nearly all of the time that a matrix takes.

use std::net::SocketAddr;
use std::thread::{self, Builder, available_parallelism};

use common::packet::IpFamily;
use common::packet::icmp::EchoSocket;
use common::probe::SendTime;

use super::node::Node;

/// More would wait for each other in the kernel.
const MOST_THREADS: usize = 4;
/// A thread costs as much as one request.
const WORTH_A_THREAD: usize = 32;

/// A request that is due.
#[derive(Debug, Clone, Copy)]
pub struct DueRequest {
    /// Which pair's.
    pub pair: usize,
    /// Whose socket sends it.
    pub from: usize,
    pub to: SocketAddr,
    pub sequence: u16,
}

/// What sending it came to.
pub type RequestOutcome = (nix::Result<usize>, SendTime);

/// Sends requests, on as many processors as there are.
#[derive(Debug)]
pub struct BurstSender {
    threads: usize,
}

impl BurstSender {
    pub fn new() -> Self {
        BurstSender { threads: available_parallelism().map_or(1, |count| count.get().min(MOST_THREADS)) }
    }

    /// Sends all of them, those of one container in their order. What came of each; nothing of one that was not sent, because
    /// there was no thread to be had.
    pub fn send(&mut self, nodes: &mut [Node], due: &[DueRequest]) -> Vec<Option<RequestOutcome>> {
        let parts = self.threads.min(due.len() / WORTH_A_THREAD).max(1);
        let mut sockets: Vec<Vec<(IpFamily, &mut EchoSocket)>> = nodes.iter_mut().map(sockets_of).collect();
        let size = sockets.len().div_ceil(parts).max(1);
        let mut chunks = sockets.chunks_mut(size).enumerate().map(|(nth, chunk)| (nth * size, chunk));
        let Some((_, first)) = chunks.next() else { return vec![None; due.len()] };
        let mut sent = vec![None; due.len()];
        let mut keep =
            |all: Vec<(usize, RequestOutcome)>| all.into_iter().for_each(|(at, one)| sent[at] = Some(one));
        let is_short = thread::scope(|scope| {
            let spawned: Vec<_> = chunks
                .map(|(offset, chunk)| {
                    Builder::new().spawn_scoped(scope, move || send_part(chunk, offset, due))
                })
                .collect();
            keep(send_part(first, 0, due));
            let mut is_short = false;
            for thread in spawned {
                match thread.map(|thread| thread.join()) {
                    Ok(Ok(all)) => keep(all),
                    Ok(Err(panic)) => std::panic::resume_unwind(panic),
                    Err(_) => is_short = true,
                }
            }
            is_short
        });
        if is_short {
            self.threads = 1;
        }
        sent
    }
}

fn sockets_of(node: &mut Node) -> Vec<(IpFamily, &mut EchoSocket)> {
    node.sockets.iter_mut().map(|(family, socket)| (*family, socket)).collect()
}

/// Sends those of the containers from the one numbered `offset` on that `sockets` are of.
fn send_part(
    sockets: &mut [Vec<(IpFamily, &mut EchoSocket)>],
    offset: usize,
    due: &[DueRequest],
) -> Vec<(usize, RequestOutcome)> {
    let mut all = Vec::new();
    for (at, request) in due.iter().enumerate() {
        let own = request.from.checked_sub(offset).and_then(|from| sockets.get_mut(from));
        let family = IpFamily::of(request.to.ip());
        let socket = own.into_iter().flatten().find(|(of, _)| *of == family);
        if let Some((_, socket)) = socket {
            all.push((at, SendTime::of(|| socket.send(request.to, request.sequence, 1))));
        }
    }
    all
}
