//! Every container pings every other one, with a limited number of requests in flight at once.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use common::failure::Failure;
use common::packet::IpFamily;
use common::packet::icmp::TxEvent;
use common::probe::{ProbeState, ProbeTask, Probes, SendTime};
use nix::errno::Errno;

use super::burst::{BurstSender, DueRequest, RequestOutcome};
use super::node::Node;
use super::pair::{Pair, PairEnd, PairOutcome};

/// Each has two entries in the host's table of neighbours.
const MOST_OPEN: usize = 128;
/// A ping without an answer for so long makes room for the next one; its answer still counts.
const OPEN: Duration = Duration::from_millis(50);

/// All of it, while it goes on; `each` hears of pings as they are done.
pub struct MatrixTask<'a, Each> {
    nodes: &'a mut [Node],
    pairs: &'a mut [Pair],
    tries: u32,
    timeout: Duration,
    each: Each,
    waiting: VecDeque<usize>,
    sender: BurstSender,
    probes: Probes<PairProbe>,
    /// How many of these are under way, and how many of them open: their neighbours are known, or asked for.
    under_way: usize,
    open: usize,
    /// Up to this one none is open.
    closed: u64,
    pub strays: u64,
}

/// A request that was sent.
#[derive(Debug, Clone, Copy)]
struct PairProbe {
    pair: usize,
    is_open: bool,
}

impl<'a, Each: FnMut(&[Node], &Pair) -> Result<(), Failure>> MatrixTask<'a, Each> {
    pub fn new(
        nodes: &'a mut [Node],
        pairs: &'a mut [Pair],
        (tries, timeout): (u32, Duration),
        each: Each,
    ) -> Self {
        let due = (0..pairs.len()).filter(|at| pairs[*at].outcome.is_none());
        MatrixTask {
            waiting: due.collect(),
            nodes,
            pairs,
            tries,
            timeout,
            each,
            sender: BurstSender::new(),
            probes: Probes::default(),
            under_way: 0,
            open: 0,
            closed: 0,
            strays: 0,
        }
    }

    /// Sends as many as may be under way.
    fn send(&mut self) -> Result<(), Failure> {
        let mut has_room = true;
        while has_room && self.open < MOST_OPEN && !self.waiting.is_empty() {
            let due = self.take_due()?;
            let sent = self.sender.send(self.nodes, &due);
            let mut again = Vec::new();
            for (request, sent) in due.into_iter().zip(sent) {
                again.extend(self.note(request, sent)?);
            }
            has_room = again.is_empty();
            again.into_iter().rev().for_each(|at| self.waiting.push_front(at));
        }
        Ok(())
    }

    /// Notes what came of a request. The pair, if it has to wait for its turn again.
    fn note(&mut self, request: DueRequest, sent: Option<RequestOutcome>) -> Result<Option<usize>, Failure> {
        let at = request.pair;
        let (sent, when) = sent.unwrap_or_else(|| SendTime::of(|| Err(Errno::EAGAIN)));
        let is_open = sent.is_ok();
        self.probes.add(1, when, PairProbe { pair: at, is_open });
        let Err(errno) = sent else {
            (self.under_way, self.open) = (self.under_way + 1, self.open + 1);
            return Ok(None);
        };
        // The number is taken; nothing comes for it.
        if let Some(probe) = self.probes.get(self.probes.count()) {
            probe.state = ProbeState::Failed;
        }
        let pair = &mut self.pairs[at];
        if matches!(errno, Errno::EAGAIN | Errno::ENOBUFS) && pair.tries <= self.tries.saturating_mul(10) {
            return Ok(Some(at));
        }
        pair.outcome = Some(PairOutcome::NotSent(errno));
        (self.each)(self.nodes, &self.pairs[at])?;
        Ok(None)
    }

    /// Takes as many as may be under way from those that wait, in the order of their numbers.
    fn take_due(&mut self) -> Result<Vec<DueRequest>, Failure> {
        let mut due = Vec::new();
        while self.open + due.len() < MOST_OPEN
            && let Some(at) = self.waiting.pop_front()
        {
            let pair = &mut self.pairs[at];
            let family = IpFamily::of(pair.address);
            if !self.nodes[pair.from].sockets.iter().any(|(of, _)| *of == family) {
                // No address of that family is on a link that is up.
                pair.outcome = Some(PairOutcome::NotSent(Errno::ENETUNREACH));
                (self.each)(self.nodes, &self.pairs[at])?;
                continue;
            }
            pair.tries += 1;
            let (from, to) = (pair.from, socket_address(pair.address, pair.index));
            let sequence = self.probes.next_sequence().wrapping_add(due.len() as u16);
            due.push(DueRequest { pair: at, from, to, sequence });
        }
        Ok(due)
    }

    /// Those that have timed out are sent again, or are lost.
    fn give_up(&mut self, now: Instant) -> Result<(), Failure> {
        while let Some(nth) = self.probes.overdue(now, self.timeout) {
            let Some(PairProbe { pair, is_open }) = self.probes.get(nth).map(|probe| probe.what) else {
                continue;
            };
            self.under_way -= 1;
            self.open -= usize::from(is_open);
            if self.pairs[pair].tries < self.tries {
                self.waiting.push_back(pair);
            } else {
                self.over(pair, PairOutcome::Lost)?;
            }
        }
        Ok(())
    }

    /// Closes those that have had no answer for a while, if others wait: a matrix without any answer is to end, too.
    fn make_room(&mut self, now: Instant) {
        while !self.waiting.is_empty() && self.closed < self.probes.count() {
            if let Some(probe) = self.probes.get(self.closed + 1)
                && probe.state == ProbeState::Open
            {
                if now.saturating_duration_since(probe.sent_at()) < OPEN {
                    return;
                }
                probe.what.is_open = false;
                let pair = probe.what.pair;
                self.open -= 1;
                self.forget(pair);
            }
            self.closed += 1;
        }
    }

    /// When the next one that is open is closed.
    fn closes_at(&mut self) -> Option<Instant> {
        while self.closed < self.probes.count() {
            match self.probes.get(self.closed + 1) {
                Some(probe) if probe.state == ProbeState::Open => return Some(probe.sent_at() + OPEN),
                _ => self.closed += 1,
            }
        }
        None
    }

    fn receive_from(&mut self, node: usize, socket: usize) -> Result<(), Failure> {
        let (_, socket) = &mut self.nodes[node].sockets[socket];
        let mut answers = Vec::new();
        // What went wrong with one packet does not matter to the others, and that one is lost.
        let _ = socket.receive(|received| match &received.answer {
            Ok(answer) => answers.push((received.from, answer.sequence, received.at)),
            Err(_) => self.strays += 1,
        });
        // Now, and not before: what is answered has its stamps by then.
        socket.events(|event| {
            if let TxEvent::Stamp { sequence, stage, at } = event {
                self.probes.stamp(sequence, stage, at);
            }
        });
        let now = Instant::now();
        for (from, sequence, at) in answers {
            let is_it = |pair: &Pair| pair.from == node && pair.address == from;
            let probe = self
                .probes
                .find(sequence)
                .map(|(_, probe)| probe)
                .filter(|probe| probe.state == ProbeState::Open && is_it(&self.pairs[probe.what.pair]));
            let Some(probe) = probe else {
                self.strays += 1;
                continue;
            };
            probe.state = ProbeState::Answered;
            let (took, PairProbe { pair, is_open }) = (probe.timing(at, now, false), probe.what);
            self.under_way -= 1;
            self.open -= usize::from(is_open);
            self.over(pair, PairOutcome::Reached(took.round_trip))?;
        }
        Ok(())
    }

    /// Notes it, and has both ends forget each other.
    fn over(&mut self, at: usize, outcome: PairOutcome) -> Result<(), Failure> {
        self.pairs[at].outcome = Some(outcome);
        self.forget(at);
        (self.each)(self.nodes, &self.pairs[at])
    }

    fn forget(&mut self, at: usize) {
        forget_each_other(self.nodes, &self.pairs[at]);
    }

    /// Each socket: of which node, and which of that node's.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.flat_map(|(node, of_node)| (0..of_node.sockets.len()).map(move |socket| (node, socket)))
    }
}

impl<Each: FnMut(&[Node], &Pair) -> Result<(), Failure>> ProbeTask for MatrixTask<'_, Each> {
    fn advance(&mut self) -> Result<Option<Instant>, Failure> {
        let now = Instant::now();
        self.give_up(now)?;
        self.make_room(now);
        self.send()?;
        if self.waiting.is_empty() && self.under_way == 0 {
            return Ok(None);
        }
        let closes = if self.waiting.is_empty() { None } else { self.closes_at() };
        let lost = self.probes.oldest_open().map(|sent| sent + self.timeout);
        Ok(Some([closes, lost].into_iter().flatten().min().unwrap_or(now + self.timeout)))
    }

    fn receive(&mut self, ready: &[usize]) -> Result<(), Failure> {
        let places: Vec<_> = self.places().collect();
        for at in ready {
            let (node, socket) = places[*at];
            self.receive_from(node, socket)?;
        }
        Ok(())
    }

    fn sockets(&self) -> Vec<BorrowedFd<'_>> {
        self.nodes.iter().flat_map(|node| &node.sockets).map(|(_, socket)| socket.as_fd()).collect()
    }

    fn status(&self) {}
}

/// Has both ends of a pair forget each other: the one that answered has learned of the one that asked.
pub(super) fn forget_each_other(nodes: &mut [Node], pair: &Pair) {
    let Pair { from, to, address, index, .. } = *pair;
    nodes[from].forget(index, address);
    let PairEnd::Node(to) = to else { return };
    let own = nodes[from].network.own.iter();
    let own = own.filter(|(own, near)| *near == index && own.contains(address)).map(|(own, _)| own.address());
    let ours: Vec<IpAddr> = own.collect();
    if let Some(theirs) = nodes[to].network.link_of(address) {
        ours.iter().for_each(|ours| nodes[to].forget(theirs, *ours));
    }
}

/// A link-local router is one on each link.
pub(super) fn socket_address(address: IpAddr, index: u32) -> SocketAddr {
    match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => SocketAddrV6::new(v6, 0, 0, index).into(),
        address => (address, 0).into(),
    }
}
