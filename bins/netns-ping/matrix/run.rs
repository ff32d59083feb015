//! Everybody pings everybody: one loop over the sockets of all, with so many requests under way at once.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::failure::Failure;
use common::packet::icmp::{Family, Stage, Told};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};

use super::node::Node;
use crate::clock::since_1970;
use crate::signals::{Signals, Wish};

/// Each leaves two entries in the host's table of neighbours for as long as it is under way.
const UNDER_WAY: usize = 128;

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
    /// By its container and number: which ping, and when it left.
    under_way: HashMap<(usize, u16), (usize, Duration)>,
    /// When it is given up, the earliest first.
    until: VecDeque<(Instant, usize, u16)>,
    next_number: Vec<u16>,
    pub strays: u64,
}

/// A socket: which node's, and which of that one's.
type Ear = (usize, usize);

impl<'a> Run<'a> {
    pub fn new(nodes: &'a mut [Node], probes: &'a mut [Probe], manner: Manner) -> Self {
        let (waiting, next_number) = ((0..probes.len()).collect(), vec![0; nodes.len()]);
        let (under_way, until) = (HashMap::new(), VecDeque::new());
        Run { nodes, probes, manner, waiting, under_way, until, next_number, strays: 0 }
    }

    /// Goes on until all are done; `each` hears of them as they are. False if a signal ended it before.
    pub fn go_to_the_end(
        &mut self,
        deadline: Option<Instant>,
        signals: &Signals,
        mut each: impl FnMut(&[Node], &Probe) -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        loop {
            let mut done = self.send();
            done.extend(self.give_up());
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
        while self.under_way.len() < UNDER_WAY
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
                    self.under_way.insert((from, number), (at, left_at));
                    self.until.push_back((Instant::now() + self.manner.patience, from, number));
                }
                Err(Errno::EAGAIN | Errno::ENOBUFS) if probe.tries <= self.manner.tries * 10 => {
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
        let now = Instant::now();
        let mut lost = Vec::new();
        while let Some(&(until, from, number)) = self.until.front()
            && until <= now
        {
            self.until.pop_front();
            let Some((at, _)) = self.under_way.remove(&(from, number)) else { continue };
            if self.probes[at].tries < self.manner.tries {
                self.waiting.push_back(at);
            } else {
                self.over(at, Outcome::Lost);
                lost.push(at);
            }
        }
        lost
    }

    fn receive(&mut self, from: usize, socket: usize) -> Vec<usize> {
        let (_, socket) = &mut self.nodes[from].sockets[socket];
        let (under_way, strays) = (&mut self.under_way, &mut self.strays);
        socket.told(|told| {
            if let Told::Stamp { sequence, stage: Stage::Sent, at } = told
                && let Some((_, left_at)) = under_way.get_mut(&(from, sequence))
            {
                *left_at = at;
            }
        });
        let mut answers = Vec::new();
        let received = socket.receive(|heard| match &heard.answer {
            Ok(answer) => answers.push((heard.from, answer.sequence, heard.at)),
            Err(_) => *strays += 1,
        });
        // What went wrong with one packet is no matter of the others, and that one is lost.
        let _ = received;
        let mut reached = Vec::new();
        for (by, number, at) in answers {
            let known = self.under_way.get(&(from, number)).copied();
            let Some((probe, left_at)) = known.filter(|(probe, _)| self.probes[*probe].address == by) else {
                self.strays += 1;
                continue;
            };
            self.under_way.remove(&(from, number));
            self.over(probe, Outcome::Reached(at.unwrap_or_else(since_1970).saturating_sub(left_at)));
            reached.push(probe);
        }
        reached
    }

    /// Notes it, and has both ends forget each other.
    fn over(&mut self, at: usize, outcome: Outcome) {
        let probe = &mut self.probes[at];
        probe.outcome = Some(outcome);
        let Probe { from, to, address, index, .. } = *probe;
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
        let next = [self.until.front().map(|(until, ..)| *until), deadline].into_iter().flatten().min();
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

/// A link-local router is one on each link.
fn socket_address(address: IpAddr, index: u32) -> SocketAddr {
    match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => std::net::SocketAddrV6::new(v6, 0, 0, index).into(),
        address => (address, 0).into(),
    }
}
