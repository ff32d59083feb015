//! Asks for each address again and again, until a signal ends it or enough has come.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use common::failure::{Failure, Status};
use common::packet::neighbour::{Listen, NeighbourSocket, ReceivedClaim};
use common::packet::{IpFamily, TxStage, realtime_now};
use common::probe::{self, ProbeSignals, ProbeTask};
use nix::errno::Errno;

use super::report::{Report, not_sent};
use super::tally::Tally;
use super::target::ArpTarget;
use crate::network::neighbours::NeighbourLink;
use crate::network::netns::TargetNetns;
use crate::request::AskConfig;
use crate::resolve::destination::Destination;

/// After an answer so long, or four round trips, is waited for another host that has the address.
const LEAST_SILENCE: Duration = Duration::from_millis(10);

/// A socket on one link, for one family.
type LinkSocket = ((u32, IpFamily), NeighbourSocket);

/// All probes, until their replies have come.
struct ArpTask<'a> {
    config: AskConfig,
    targets: Vec<ArpTarget>,
    sockets: Vec<LinkSocket>,
    report: Report<'a>,
    deadline: Option<Instant>,
    /// When the next probes are due.
    next: Instant,
    last_sent: Instant,
    last_heard: Instant,
}

/// Asks.
pub fn ask(
    all: Vec<(Destination, NeighbourLink)>,
    inside: &TargetNetns,
    config: AskConfig,
    report: Report<'_>,
) -> Result<Status, Failure> {
    let signals = ProbeSignals::block()?;
    let mut task = ArpTask::open(all, inside, config, report)?;
    task.report.begins(&task.targets)?;
    probe::run(&mut task, &signals, None)?;
    task.end()
}

impl<'a> ArpTask<'a> {
    fn open(
        all: Vec<(Destination, NeighbourLink)>,
        inside: &TargetNetns,
        config: AskConfig,
        report: Report<'a>,
    ) -> Result<Self, Failure> {
        let mut sockets: Vec<LinkSocket> = Vec::new();
        let mut targets = Vec::new();
        for (to, via) in all {
            let key = (via.index, IpFamily::of(to.address));
            if !sockets.iter().any(|(known, _)| *known == key) {
                let listen = Listen::Answers { mac: via.sender.mac, ident: 0, stage: TxStage::Sent };
                let socket = inside.open_to_ask(|| NeighbourSocket::open(key.0, key.1, listen))?;
                sockets.push((key, socket));
            }
            targets.push(ArpTarget { to, via, tally: Tally::default(), left_at: Duration::ZERO });
        }
        let now = Instant::now();
        let deadline = config.deadline.map(|deadline| now + deadline);
        let (next, last_sent, last_heard) = (now, now, now);
        Ok(ArpTask { config, targets, sockets, report, deadline, next, last_sent, last_heard })
    }

    /// One probe for each address.
    fn send(&mut self) -> Result<(), Failure> {
        for (number, target) in (0..).zip(&mut self.targets) {
            let ArpTarget { to, via, tally, left_at } = target;
            let key = (via.index, IpFamily::of(to.address));
            let Some((_, socket)) = self.sockets.iter_mut().find(|(of, _)| *of == key) else { continue };
            let request = via.sender.request(to.address);
            *left_at = realtime_now();
            match socket.send(&[(number, request)]) {
                // The link's queue is full: it counts as one that was lost on the way.
                Ok(_) | Err(Errno::EAGAIN | Errno::ENOBUFS) => {}
                Err(errno) => return Err(not_sent(to, via, errno)),
            }
            if tally.sent() {
                self.report.lost(to, tally.sent - 1)?;
            }
            self.report.sent(to, tally.sent)?;
        }
        self.last_sent = Instant::now();
        Ok(())
    }

    fn take_in(&mut self, socket: usize, received: &ReceivedClaim) -> Result<(), Failure> {
        let claim = match received.claim {
            Ok(claim) => claim,
            Err(why) => {
                self.report.invalid(why);
                return Ok(());
            }
        };
        let (index, _) = self.sockets[socket].0;
        let is_it = |target: &&mut ArpTarget| target.via.index == index && target.to.address == claim.address;
        let Some(target) = self.targets.iter_mut().find(is_it).filter(|target| target.tally.sent > 0) else {
            self.report.stray();
            return Ok(());
        };
        // A clock that was set meanwhile gives no round trip rather than a wrong one.
        let took = received.at.unwrap_or_else(realtime_now).checked_sub(target.left_at);
        let kind = target.tally.heard(&claim, took);
        self.last_heard = Instant::now();
        self.report.answered(target, &claim, took, kind)
    }

    /// Whether as much as was asked for is done; with a deadline it is answers that are counted.
    fn has_all(&self) -> bool {
        let Some(count) = self.config.count else { return false };
        let by_answers = self.deadline.is_some();
        let done = |tally: &Tally| if by_answers { tally.answered } else { tally.sent };
        self.targets.iter().all(|target| done(&target.tally) >= count)
    }

    /// When nothing more is to be expected: long after the last probe if it has no answer, and else when the silence is
    /// long compared with the round trips. A neighbour that never falls silent, or is asked by others of this network too,
    /// is not listened to for longer than one that never answers.
    fn silent_at(&self) -> Instant {
        let timeout = self.config.timeout;
        let at_last = self.last_sent + timeout;
        if self.targets.iter().any(|target| target.tally.is_outstanding) {
            return at_last;
        }
        let longest =
            self.targets.iter().map(|target| target.tally.round_trips.max()).max().unwrap_or_default();
        let silent = self.last_sent.max(self.last_heard) + (longest * 4).max(LEAST_SILENCE).min(timeout);
        silent.min(at_last)
    }

    fn end(mut self) -> Result<Status, Failure> {
        for target in self.targets.iter().filter(|target| target.tally.is_outstanding) {
            self.report.lost(&target.to, target.tally.sent)?;
        }
        let dropped = self.sockets.iter_mut().map(|(_, socket)| socket.dropped()).sum();
        self.report.summary(&self.targets, dropped)?;
        self.report.verdicts(&self.targets)?;
        let enough = self.config.deadline.and(self.config.count).unwrap_or(1);
        let report = &self.report;
        let is_good =
            |target: &ArpTarget| target.tally.answered >= enough && !report.is_duplicate(&target.tally);
        Ok(if self.targets.iter().all(is_good) { Status::Yes } else { Status::No })
    }
}

impl ProbeTask for ArpTask<'_> {
    fn advance(&mut self) -> Result<Option<Instant>, Failure> {
        let now = Instant::now();
        let has_all = self.has_all();
        let is_over = self.deadline.is_some_and(|deadline| now >= deadline);
        if is_over || has_all && now >= self.silent_at() {
            return Ok(None);
        }
        if !has_all && now >= self.next {
            self.send()?;
            self.next = (self.next + self.config.interval).max(now);
            return Ok(Some(now));
        }
        let next = if has_all { self.silent_at() } else { self.next };
        Ok(Some(self.deadline.map_or(next, |deadline| deadline.min(next))))
    }

    fn receive(&mut self, ready: &[usize]) -> Result<(), Failure> {
        for at in ready {
            let mut received = Vec::new();
            let (_, socket) = &mut self.sockets[*at];
            let read = socket.receive(|one| received.push(one));
            read.map_err(|errno| Failure::failed("socket", errno))?;
            // Now, and not before: what is answered has left by then.
            socket.sent_at(|number, at| {
                if let Some(target) = self.targets.get_mut(number as usize) {
                    target.left_at = target.left_at.max(at);
                }
            });
            for one in received {
                self.take_in(*at, &one)?;
            }
        }
        Ok(())
    }

    fn sockets(&self) -> Vec<BorrowedFd<'_>> {
        self.sockets.iter().map(|(_, socket)| socket.as_fd()).collect()
    }

    fn status(&self) {
        self.report.status(&self.targets);
    }
}
