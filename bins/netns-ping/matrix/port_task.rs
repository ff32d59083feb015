//! Every container connects to a port of every other one, or sends a datagram there, a limited number at once.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use common::diagnose::Cause;
use common::failure::Failure;
use common::netlink::listening;
use common::packet::IpFamily;
use common::packet::icmp::describe;
use common::packet::port::{PortAnswer, PortOptions, PortSocket};
use common::probe::ProbeTask;
use common::target::{DestPort, Transport};
use nix::errno::Errno;

use super::node::Node;
use super::pair::{Pair, PairEnd, PairFailure, PairOutcome};
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
    fn over(&mut self, at: usize, outcome: PairOutcome, why: Option<PairFailure>) -> Result<(), Failure> {
        (self.pairs[at].outcome, self.pairs[at].why) = (Some(outcome), why);
        super::task::forget_each_other(self.nodes, &self.pairs[at]);
        (self.each)(self.nodes, &self.pairs[at])
    }

    fn look(&mut self, nth: usize) -> Result<(), Failure> {
        let OpenPair { pair, sent, socket } = &self.open[nth];
        let (pair, passed) = (*pair, sent.elapsed());
        let Some(answer) = socket.answer() else { return Ok(()) };
        drop(self.open.remove(nth));
        let (outcome, why) = match answer {
            PortAnswer::Connected { round_trip, .. } => {
                let measured = round_trip.filter(|measured| *measured <= passed);
                (PairOutcome::Reached(measured.unwrap_or(passed)), None)
            }
            PortAnswer::Datagram { .. } => (PairOutcome::Reached(passed), None),
            PortAnswer::Reset => (PairOutcome::Refused, Some(self.refused(pair, "a TCP reset"))),
            PortAnswer::Error(error) => {
                let Pair { address, .. } = self.pairs[pair];
                let words = describe(IpFamily::of(address), error.kind, error.code, error.info);
                let is_port =
                    matches!((address.is_ipv4(), error.kind, error.code), (true, 3, 3) | (false, 1, 4));
                let why = match error.by {
                    Some(by) if by == address && is_port => self.refused(pair, &format!("ICMP: {words}")),
                    // Our own kernel's: who does not answer ARP is found out.
                    Some(by) if self.nodes[self.pairs[pair].from].network.link_of(by).is_none() => {
                        let is_prohibited = words.contains("rohibited") || words.contains("filtered");
                        let cause =
                            if is_prohibited { Cause::IcmpProhibited } else { Cause::IcmpUnreachable };
                        PairFailure { cause, says: format!("{by} reports: {words}") }
                    }
                    _ => return self.over(pair, PairOutcome::Lost, None),
                };
                (PairOutcome::Refused, Some(why))
            }
            PortAnswer::Failed(errno) => (PairOutcome::NotSent(errno), None),
        };
        self.over(pair, outcome, why)
    }

    /// What the sockets at the other end prove about a refusal.
    fn refused(&self, pair: usize, how: &str) -> PairFailure {
        let Pair { to, address, .. } = self.pairs[pair];
        let DestPort { transport, number } = self.port;
        let there = match to {
            PairEnd::Node(to) => self.nodes[to].inside.open(|| listening(transport, number)).ok(),
            PairEnd::Gateway => None,
        };
        let (cause, why) = match there.as_deref() {
            None => (Cause::PortRefused, String::new()),
            Some([]) => {
                (Cause::NobodyListens, format!(": nobody listens on {transport} port {number} there"))
            }
            Some(all) if all.iter().any(|one| one.has(address)) => (
                Cause::RefusedOnTheWay,
                ", although a program listens there: a firewall on the way or there".to_owned(),
            ),
            Some(all) if all.iter().all(|one| one.address.ip().is_loopback()) => {
                (Cause::ListensOnLoopbackOnly, format!(": it listens on {} only", all[0].address.ip()))
            }
            Some(all) => (Cause::ListensElsewhere, format!(": it listens on {} only", all[0].address.ip())),
        };
        PairFailure { cause, says: format!("refused ({how}){why}") }
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

/// For messages: `tcp port 5432`.
pub fn in_words(port: DestPort) -> String {
    let DestPort { transport, number } = port;
    format!("{transport} port {number}")
}
