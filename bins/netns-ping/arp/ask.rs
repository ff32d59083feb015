//! Who has an address: asks again and again, all DESTs alike, until it is told to stop or has what it wants.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::failure::{Failure, Status};
use common::packet::ask::{AskSocket, Heard};
use common::packet::icmp::{Family, Stage, since_1970};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};

use super::report::{Report, not_sent};
use super::tally::Tally;
use crate::cli::Cli;
use crate::destination::Destination;
use crate::holder::Holders;
use crate::inside::Inside;
use crate::neighbourhood::Neighbourhood;
use crate::signals::{Signals, Wish};

/// Neighbours answer within milliseconds; what sleeps may need longer to wake up.
const PATIENCE: Duration = Duration::from_secs(1);
/// Behind an answer so long, or four round trips, is waited for who else has the address.
const LEAST_SILENCE: Duration = Duration::from_millis(10);
/// Questions that may be under way at once: that of which an answer is still of interest.
const UNDER_WAY: usize = 1024;

/// An address that is asked for.
#[derive(Debug)]
pub struct Asked {
    pub to: Destination,
    pub hood: Neighbourhood,
    pub tally: Tally,
    /// Which socket.
    through: usize,
    /// When the last question left, by the clock that people have.
    left_at: Duration,
}

/// A socket, and which addresses its last questions were for.
#[derive(Debug)]
struct Line {
    index: u32,
    family: Family,
    socket: AskSocket,
    first: u32,
    asked: VecDeque<usize>,
}

/// All of it, while it goes on.
struct Asking<'a> {
    asked: Vec<Asked>,
    lines: Vec<Line>,
    report: Report<'a>,
    last_sent: Instant,
    last_heard: Instant,
}

/// Asks.
pub fn ask(
    all: Vec<(Destination, Neighbourhood)>,
    inside: &Inside,
    holders: &Holders,
    cli: &Cli,
) -> Result<Status, Failure> {
    let signals = Signals::keep()?;
    let mut asking = Asking::open(all, inside, Report::new(inside, holders, cli))?;
    let (interval, patience) =
        (cli.interval.unwrap_or(Duration::from_secs(1)), cli.timeout().unwrap_or(PATIENCE));
    let began = Instant::now();
    let deadline = cli.deadline().map(|deadline| began + deadline);
    let mut next = began;
    asking.report.begins(&asking.asked)?;
    loop {
        asking.receive()?;
        let now = Instant::now();
        let has_all = asking.has_all(cli, deadline.is_some());
        if deadline.is_some_and(|deadline| now >= deadline) || has_all && now >= asking.silent_at(patience) {
            break;
        }
        if !has_all && now >= next {
            asking.send()?;
            next = (next + interval).max(now);
            continue;
        }
        let until = if has_all { asking.silent_at(patience) } else { next };
        match asking.wait(deadline.map_or(until, |deadline| deadline.min(until)), &signals)? {
            Some(Wish::End) => break,
            Some(Wish::Status) => asking.report.status(&asking.asked),
            None => {}
        }
    }
    asking.end(cli)
}

impl<'a> Asking<'a> {
    fn open(
        all: Vec<(Destination, Neighbourhood)>,
        inside: &Inside,
        report: Report<'a>,
    ) -> Result<Self, Failure> {
        let mut lines: Vec<Line> = Vec::new();
        let mut asked = Vec::new();
        for (to, hood) in all {
            let (index, family) = (hood.index, Family::of(to.address));
            let known = lines.iter().position(|line| (line.index, line.family) == (index, family));
            let through = match known {
                Some(known) => known,
                None => {
                    let ours = (hood.asker.mac, 0);
                    let socket = inside.open_to_ask(|| AskSocket::open(index, family, ours, Stage::Sent))?;
                    lines.push(Line { index, family, socket, first: 0, asked: VecDeque::new() });
                    lines.len() - 1
                }
            };
            asked.push(Asked { to, hood, tally: Tally::default(), through, left_at: Duration::ZERO });
        }
        let now = Instant::now();
        Ok(Asking { asked, lines, report, last_sent: now, last_heard: now })
    }

    /// One question for each address.
    fn send(&mut self) -> Result<(), Failure> {
        for at in 0..self.asked.len() {
            let Asked { to, hood, through, left_at, tally } = &mut self.asked[at];
            let line = &mut self.lines[*through];
            let question = hood.asker.question(to.address);
            *left_at = since_1970();
            match line.socket.send([question.as_slice()]) {
                Ok(_) => line.asked.push_back(at),
                // The link's queue is full: it counts as one that was lost on the way.
                Err(Errno::EAGAIN | Errno::ENOBUFS) => {
                    line.socket.count_anew();
                    (line.first, line.asked) = (0, VecDeque::new());
                }
                Err(errno) => return Err(not_sent(to, hood, errno)),
            }
            if line.asked.len() > UNDER_WAY {
                line.asked.pop_front();
                line.first = line.first.wrapping_add(1);
            }
            if tally.sent() {
                self.report.lost(to)?;
            }
            self.report.sent(to)?;
            self.stamp(self.asked[at].through);
        }
        self.last_sent = Instant::now();
        Ok(())
    }

    /// When questions left, as the kernel says.
    fn stamp(&mut self, line: usize) {
        let Line { socket, first, asked, .. } = &mut self.lines[line];
        socket.sent_at(|question, at| {
            let place = question.wrapping_sub(*first) as usize;
            if let Some(asked) = asked.get(place) {
                self.asked[*asked].left_at = at;
            }
        });
    }

    fn receive(&mut self) -> Result<(), Failure> {
        for line in 0..self.lines.len() {
            let mut heard = Vec::new();
            match self.lines[line].socket.receive(|one| heard.push(one)) {
                // It is down, or gone: what is sent next says so.
                Ok(_) | Err(Errno::ENETDOWN) => {}
                Err(errno) => return Err(Failure::trouble("socket", errno)),
            }
            // Now, and not before: what is answered has left by then.
            self.stamp(line);
            for one in heard {
                self.heard(line, one)?;
            }
        }
        Ok(())
    }

    fn heard(&mut self, line: usize, Heard { answer, at }: Heard) -> Result<(), Failure> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(oddity) => {
                self.report.odd(oddity);
                return Ok(());
            }
        };
        let is_it = |asked: &&mut Asked| asked.through == line && asked.to.address == answer.address;
        let Some(asked) = self.asked.iter_mut().find(is_it).filter(|asked| asked.tally.sent > 0) else {
            self.report.stray();
            return Ok(());
        };
        // A clock that was set meanwhile gives no round trip rather than a wrong one.
        let took = at.unwrap_or_else(since_1970).checked_sub(asked.left_at);
        let is = asked.tally.heard(&answer, took);
        self.last_heard = Instant::now();
        self.report.answered(asked, &answer, took, is)
    }

    /// Whether as much as was asked for is done; with a deadline it is answers that are counted.
    fn has_all(&self, cli: &Cli, by_answers: bool) -> bool {
        let Some(count) = cli.count else { return false };
        let done = |tally: &Tally| if by_answers { tally.answered } else { tally.sent };
        self.asked.iter().all(|asked| done(&asked.tally) >= count)
    }

    /// When nothing more is to be expected: long after the last question if nobody has answered it, and else when the
    /// silence is long compared with the round trips. Who never falls silent, or is asked by others of this network too, is
    /// not listened to for longer than who never answers.
    fn silent_at(&self, patience: Duration) -> Instant {
        let at_last = self.last_sent + patience;
        if self.asked.iter().any(|asked| asked.tally.is_outstanding) {
            return at_last;
        }
        let longest = self.asked.iter().map(|asked| asked.tally.round_trips.max()).max().unwrap_or_default();
        let silent = self.last_sent.max(self.last_heard) + (longest * 4).max(LEAST_SILENCE).min(patience);
        silent.min(at_last)
    }

    fn wait(&self, until: Instant, signals: &Signals) -> Result<Option<Wish>, Failure> {
        let mut fds: Vec<PollFd<'_>> =
            self.lines.iter().map(|line| PollFd::new(line.socket.as_fd(), PollFlags::POLLIN)).collect();
        fds.push(PollFd::new(signals.as_fd(), PollFlags::POLLIN));
        let left = until.saturating_duration_since(Instant::now());
        match ppoll(&mut fds, Some(left.into()), None) {
            Ok(_) | Err(Errno::EINTR) => Ok(signals.wish()),
            Err(errno) => Err(Failure::trouble("poll", errno)),
        }
    }

    fn end(mut self, cli: &Cli) -> Result<Status, Failure> {
        for asked in self.asked.iter().filter(|asked| asked.tally.is_outstanding) {
            self.report.lost(&asked.to)?;
        }
        let dropped = self.lines.iter_mut().map(|line| line.socket.dropped()).sum();
        self.report.summary(&self.asked, dropped)?;
        let is_good = |asked: &Asked| {
            let tally = &asked.tally;
            let enough = match (cli.count, cli.deadline()) {
                (Some(count), Some(_)) => count,
                _ => 1,
            };
            tally.answered >= enough && !tally.is_duplicate()
        };
        Ok(if self.asked.iter().all(is_good) { Status::Yes } else { Status::No })
    }
}
