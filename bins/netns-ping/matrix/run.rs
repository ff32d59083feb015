//! Everybody pings everybody: one loop over the sockets of all, with so many requests under way at once.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::failure::Failure;
use common::packet::icmp::{Family, Told, since_1970};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};

use super::node::Node;
use crate::signals::{Signals, Wish};

/// Each has two entries in the host's table of neighbours.
const MOST_OPEN: usize = 128;
/// Who has not answered for so long makes room for the next one; he is still listened to.
const OPEN: Duration = Duration::from_millis(50);

/// Whom a container pings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Another one, and on which link of its own it is asked.
    Node(usize, u32),
    Gateway,
}

/// A ping, and what came of it.
#[derive(Debug, Clone)]
pub struct Probe {
    pub from: usize,
    pub to: To,
    pub address: IpAddr,
    /// The link that leads there.
    pub index: u32,
    pub outcome: Option<Outcome>,
    tries: u32,
}

/// What came of a ping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An answer, after so long.
    Reached(Duration),
    /// None.
    Lost,
    /// None, and the kernel says why it was not even sent.
    NotSent(Errno),
}

/// All pings there are: round and round, so that nobody is asked by all others at once.
pub fn probes(nodes: &[Node]) -> Vec<Probe> {
    let probe = |from, to, address, index| Probe { from, to, address, index, outcome: None, tries: 0 };
    let gateways = nodes.iter().enumerate().filter_map(|(from, node)| {
        let (address, index) = node.network.gateway?;
        let can = node.sockets.iter().any(|(family, _)| *family == Family::of(address));
        can.then(|| probe(from, To::Gateway, address, index))
    });
    let count = nodes.len();
    let pairs = (1..count).flat_map(|step| (0..count).map(move |from| (from, (from + step) % count)));
    let pairs = pairs.filter_map(|(from, to)| {
        let (address, index, theirs) = nodes[from].network.neighbour(&nodes[to].network)?;
        Some(probe(from, To::Node(to, theirs), address, index))
    });
    gateways.chain(pairs).collect()
}

/// How long, and how often.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    pub tries: u32,
    pub patience: Duration,
}

/// All of it, while it goes on.
pub struct Run<'a> {
    nodes: &'a mut [Node],
    probes: &'a mut [Probe],
    manner: Manner,
    waiting: VecDeque<usize>,
    under_way: HashMap<Number, Packet>,
    /// How many of these are open: their neighbours are known, or asked for.
    open: usize,
    /// When they were sent, the earliest first: those that may be open, and those that are not.
    fresh: VecDeque<(Instant, Number)>,
    silent: VecDeque<(Instant, Number)>,
    next_number: Vec<u16>,
    pub strays: u64,
}

/// Whose packet, and its number on the wire.
type Number = (usize, u16);

/// One that is under way.
struct Packet {
    probe: usize,
    left_at: Duration,
    is_open: bool,
}

/// A socket: which node's, and which of that one's.
type Ear = (usize, usize);

impl<'a> Run<'a> {
    pub fn new(nodes: &'a mut [Node], probes: &'a mut [Probe], manner: Manner) -> Self {
        let (waiting, next_number) = ((0..probes.len()).collect(), vec![0; nodes.len()]);
        let (under_way, fresh, silent) = (HashMap::new(), VecDeque::new(), VecDeque::new());
        Run { nodes, probes, manner, waiting, under_way, open: 0, fresh, silent, next_number, strays: 0 }
    }

    /// Goes on until all are done; `each` hears of them as they are. False if a signal ended it before.
    pub fn go_to_the_end(
        &mut self,
        deadline: Option<Instant>,
        signals: &Signals,
        mut each: impl FnMut(&[Node], &Probe) -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        loop {
            let mut done = self.give_up();
            self.make_room();
            done.extend(self.send());
            for probe in done {
                each(self.nodes, &self.probes[probe])?;
            }
            if self.waiting.is_empty() && self.under_way.is_empty() {
                return Ok(true);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(false);
            }
            let (ready, wish) = self.wait(deadline, signals)?;
            if wish == Some(Wish::End) {
                return Ok(false);
            }
            for (node, socket) in ready {
                for probe in self.receive(node, socket) {
                    each(self.nodes, &self.probes[probe])?;
                }
            }
        }
    }

    /// Sends as many as may be under way; which were refused.
    fn send(&mut self) -> Vec<usize> {
        let mut refused = Vec::new();
        while self.open < MOST_OPEN
            && let Some(at) = self.waiting.pop_front()
        {
            let probe = &mut self.probes[at];
            let (from, family) = (probe.from, Family::of(probe.address));
            let node = &mut self.nodes[from];
            let Some((_, socket)) = node.sockets.iter_mut().find(|(of, _)| *of == family) else { continue };
            let number = self.next_number[from];
            self.next_number[from] = number.wrapping_add(1);
            probe.tries += 1;
            let left_at = since_1970();
            match socket.send(socket_address(probe.address, probe.index), number, 1) {
                Ok(_) => {
                    self.under_way.insert((from, number), Packet { probe: at, left_at, is_open: true });
                    self.open += 1;
                    self.fresh.push_back((Instant::now(), (from, number)));
                }
                Err(Errno::EAGAIN | Errno::ENOBUFS)
                    if probe.tries <= self.manner.tries.saturating_mul(10) =>
                {
                    self.waiting.push_front(at);
                    break;
                }
                Err(errno) => {
                    probe.outcome = Some(Outcome::NotSent(errno));
                    refused.push(at);
                }
            }
        }
        refused
    }

    /// Those for whose answers has been waited long enough: they are sent again, or are lost.
    fn give_up(&mut self) -> Vec<usize> {
        let patience = self.manner.patience;
        let mut lost = Vec::new();
        for queue in [&mut self.silent, &mut self.fresh] {
            while let Some((_, number)) = pop_older(queue, patience) {
                let Some(packet) = self.under_way.remove(&number) else { continue };
                self.open -= usize::from(packet.is_open);
                if self.probes[packet.probe].tries < self.manner.tries {
                    self.waiting.push_back(packet.probe);
                } else {
                    lost.push(packet.probe);
                }
            }
        }
        lost.iter().for_each(|probe| self.over(*probe, Outcome::Lost));
        lost
    }

    /// Closes those that have been silent for a while, if others wait: a matrix in which nobody answers is to end, too.
    fn make_room(&mut self) {
        while !self.waiting.is_empty()
            && let Some((sent, number)) = pop_older(&mut self.fresh, OPEN)
        {
            let Some(packet) = self.under_way.get_mut(&number) else { continue };
            packet.is_open = false;
            self.open -= 1;
            let probe = packet.probe;
            self.silent.push_back((sent, number));
            self.forget(probe);
        }
    }

    fn receive(&mut self, from: usize, socket: usize) -> Vec<usize> {
        let (_, socket) = &mut self.nodes[from].sockets[socket];
        let (under_way, strays) = (&mut self.under_way, &mut self.strays);
        let mut answers = Vec::new();
        let received = socket.receive(|heard| match &heard.answer {
            Ok(answer) => answers.push((heard.from, answer.sequence, heard.at)),
            Err(_) => *strays += 1,
        });
        // What went wrong with one packet is no matter of the others, and that one is lost.
        let _ = received;
        // Now, and not before: what is answered has its stamps by then.
        socket.told(|told| {
            if let Told::Stamp { sequence, at, .. } = told
                && let Some(packet) = under_way.get_mut(&(from, sequence))
            {
                packet.left_at = packet.left_at.max(at);
            }
        });
        let mut reached = Vec::new();
        for (by, number, at) in answers {
            let of = |packet: &Packet| self.probes[packet.probe].address;
            let is_it = self.under_way.get(&(from, number)).is_some_and(|packet| of(packet) == by);
            let known = is_it.then(|| self.under_way.remove(&(from, number))).flatten();
            let Some(Packet { probe, left_at, is_open }) = known else {
                self.strays += 1;
                continue;
            };
            self.open -= usize::from(is_open);
            self.over(probe, Outcome::Reached(at.unwrap_or_else(since_1970).saturating_sub(left_at)));
            reached.push(probe);
        }
        reached
    }

    /// Notes it, and has both ends forget each other.
    fn over(&mut self, at: usize, outcome: Outcome) {
        self.probes[at].outcome = Some(outcome);
        self.forget(at);
    }

    fn forget(&mut self, at: usize) {
        let Probe { from, to, address, index, .. } = self.probes[at];
        self.nodes[from].forget(index, address);
        if let To::Node(to, theirs) = to
            && let Some((ours, ..)) = self.nodes[to].network.neighbour(&self.nodes[from].network)
        {
            self.nodes[to].forget(theirs, ours);
        }
    }

    /// Which sockets have something to tell.
    fn wait(
        &self,
        deadline: Option<Instant>,
        signals: &Signals,
    ) -> Result<(Vec<Ear>, Option<Wish>), Failure> {
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        let mut places = Vec::new();
        for (node, of_node) in self.nodes.iter().enumerate() {
            for (at, (_, socket)) in of_node.sockets.iter().enumerate() {
                fds.push(PollFd::new(socket.as_fd(), PollFlags::POLLIN));
                places.push((node, at));
            }
        }
        let until = |queue: &VecDeque<(Instant, Number)>, patience| Some(queue.front()?.0 + patience);
        let open = if self.waiting.is_empty() { self.manner.patience } else { OPEN };
        let next = [until(&self.fresh, open), until(&self.silent, self.manner.patience), deadline];
        let next = next.into_iter().flatten().min();
        let left = next.map_or(self.manner.patience, |next| next.saturating_duration_since(Instant::now()));
        match ppoll(&mut fds, Some(left.into()), None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Failure::trouble("poll", errno)),
        }
        let has_something = |fd: &PollFd<'_>| fd.revents().is_some_and(|seen| !seen.is_empty());
        let ready = fds[1..].iter().zip(places).filter(|(fd, _)| has_something(fd));
        Ok((ready.map(|(_, place)| place).collect(), signals.wish()))
    }
}

/// The first of a queue, if it is older than `age`.
fn pop_older(queue: &mut VecDeque<(Instant, Number)>, age: Duration) -> Option<(Instant, Number)> {
    queue.front().filter(|(sent, _)| sent.elapsed() >= age)?;
    queue.pop_front()
}

/// A link-local router is one on each link.
fn socket_address(address: IpAddr, index: u32) -> SocketAddr {
    match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => std::net::SocketAddrV6::new(v6, 0, 0, index).into(),
        address => (address, 0).into(),
    }
}
