//! Every container connects to a port of every other one, or sends a datagram there, a limited number at once.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use common::failure::Failure;
use common::packet::icmp::IcmpError;
use common::packet::port::{PortAnswer, PortOptions, PortSocket};
use common::probe::ProbeTask;
use common::target::{DestPort, Transport};
use nix::errno::Errno;

use super::node::Node;
use super::pair::{Pair, PairOutcome};
use super::task::socket_address;

/// Each has a descriptor, and two entries in the host's table of neighbours.
const MOST_OPEN: usize = 128;

/// All of it, while it goes on; `each` hears of pairs as they are done.
pub struct PortMatrixTask<'a, Each> {
    pub nodes: &'a mut [Node],
    pub pairs: &'a mut [Pair],
    port: DestPort,
    payload: Vec<u8>,
    timeout: Duration,
    each: Each,
    waiting: VecDeque<usize>,
    open: Vec<OpenPair>,
}

/// A probe that is under way.
struct OpenPair {
    pair: usize,
    sent: Instant,
    socket: PortSocket,
}

impl<'a, Each: FnMut(&[Node], &Pair) -> Result<(), Failure>> PortMatrixTask<'a, Each> {
    pub fn new(
        nodes: &'a mut [Node],
        pairs: &'a mut [Pair],
        (port, payload, timeout): (DestPort, Vec<u8>, Duration),
        each: Each,
    ) -> Self {
        let waiting = (0..pairs.len()).filter(|at| pairs[*at].outcome.is_none()).collect();
        PortMatrixTask { nodes, pairs, port, payload, timeout, each, waiting, open: Vec::new() }
    }

    fn send(&mut self) -> Result<(), Failure> {
        while self.open.len() < MOST_OPEN
            && let Some(at) = self.waiting.pop_front()
        {
            let Pair { from, address, index, .. } = self.pairs[at];
            let mut to = socket_address(address, index);
            to.set_port(self.port.number);
            let sent = Instant::now();
            let open = || PortSocket::open(self.port.transport, to, &PortOptions::default(), &self.payload);
            match self.nodes[from].inside.open(|| Ok::<_, Failure>(open()))? {
                Ok(socket) => self.open.push(OpenPair { pair: at, sent, socket }),
                Err(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS) if !self.open.is_empty() => {
                    self.waiting.push_front(at);
                    break;
                }
                Err(errno) => self.over(at, PairOutcome::NotSent(errno), None)?,
            }
        }
        Ok(())
    }

    /// Notes it, and has both ends forget each other.
    fn over(&mut self, at: usize, outcome: PairOutcome, error: Option<IcmpError>) -> Result<(), Failure> {
        (self.pairs[at].outcome, self.pairs[at].icmp_error) = (Some(outcome), error);
        super::task::forget_each_other(self.nodes, &self.pairs[at]);
        (self.each)(self.nodes, &self.pairs[at])
    }

    fn look(&mut self, nth: usize) -> Result<(), Failure> {
        let OpenPair { pair, sent, socket } = &self.open[nth];
        let (pair, passed) = (*pair, sent.elapsed());
        let Some(answer) = socket.answer() else { return Ok(()) };
        drop(self.open.remove(nth));
        let (outcome, error) = match answer {
            PortAnswer::Connected { round_trip, .. } => {
                let measured = round_trip.filter(|measured| *measured <= passed);
                (PairOutcome::Reached(measured.unwrap_or(passed)), None)
            }
            PortAnswer::Datagram { .. } => (PairOutcome::Reached(passed), None),
            PortAnswer::Reset => (PairOutcome::Refused, None),
            PortAnswer::Error(error) => {
                let Pair { address, from, .. } = self.pairs[pair];
                let is_port =
                    matches!((address.is_ipv4(), error.kind, error.code), (true, 3, 3) | (false, 1, 4));
                let outcome = match error.by {
                    Some(by) if by == address && is_port => PairOutcome::Refused,
                    // Our own kernel's: who does not answer ARP is found out.
                    Some(by) if self.nodes[from].network.link_of(by).is_none() => PairOutcome::Reported,
                    _ => PairOutcome::Lost,
                };
                (outcome, Some(error))
            }
            PortAnswer::Failed(errno) => (PairOutcome::NotSent(errno), None),
        };
        self.over(pair, outcome, error)
    }
}

impl<Each: FnMut(&[Node], &Pair) -> Result<(), Failure>> ProbeTask for PortMatrixTask<'_, Each> {
    fn advance(&mut self) -> Result<Option<Instant>, Failure> {
        let now = Instant::now();
        while let Some(nth) =
            self.open.iter().position(|one| now.saturating_duration_since(one.sent) >= self.timeout)
        {
            let OpenPair { pair, .. } = self.open.remove(nth);
            self.over(pair, PairOutcome::Lost, None)?;
        }
        self.send()?;
        let first = self.open.iter().map(|one| one.sent).min();
        Ok(first.map(|sent| sent + self.timeout))
    }

    fn receive(&mut self, ready: &[usize]) -> Result<(), Failure> {
        // The last ones first, so that the places of the others stay as they are.
        ready.iter().rev().try_for_each(|at| self.look(*at))
    }

    fn sockets(&self) -> Vec<BorrowedFd<'_>> {
        self.open.iter().map(|one| one.socket.as_fd()).collect()
    }

    fn connecting(&self) -> Vec<bool> {
        vec![self.port.transport == Transport::Tcp; self.open.len()]
    }

    fn status(&self) {}
}
