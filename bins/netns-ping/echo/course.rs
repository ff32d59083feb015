//! One destination: its socket, what is under way to it, and what comes back.

use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use common::packet::icmp::{Complaint, EchoSocket, Oddity, Stage, Stamps, Told, since_1970};
use nix::errno::Errno;

use super::flight::{Came, Fate, Flight, Sent};
use super::happened::{Answered, Differs, Happened};
use super::manner::Manner;
use super::pace::{Now, Pace, WINDOW};
use super::statistics::Statistics;
use crate::destination::Destination;

/// When the link's queue is full, a flood waits so long.
const QUEUE_FULL: Duration = Duration::from_millis(1);

/// A destination while it is pinged.
#[derive(Debug)]
pub struct Course {
    /// Where packets go.
    pub to: Destination,
    /// How many went and came.
    pub statistics: Statistics,
    /// How many were under way at once.
    pub most_under_way: u64,
    /// Whether the next packet is sent with each answer.
    pub is_unlimited: bool,
    /// What was last said of a packet that could not be delivered.
    pub complaint: Option<Complaint>,
    /// Why our own kernel last refused to send.
    pub not_sent: Option<Errno>,
    /// Since when the kernel has had no room for a packet.
    full_since: Option<Instant>,
    address: SocketAddr,
    socket: EchoSocket,
    payload: Vec<u8>,
    /// Which packets the kernel stamps.
    stamps: Stamps,
    /// When nothing was left to be read.
    emptied: Duration,
    /// Whether the first packet has to wait for its neighbour's address.
    asks_first: bool,
    /// Whether anybody wants to know of each answer.
    is_watched: bool,
    flight: Flight,
    pace: Pace,
    newest_answered: u64,
    is_over: bool,
    came: Vec<Arrival>,
    news: Vec<Happened>,
}

/// An answer as it came, before it is known of what it is one.
#[derive(Debug)]
struct Arrival {
    from: IpAddr,
    ttl: Option<u8>,
    at: Option<Duration>,
    bytes: usize,
    what: Result<(u16, Option<Differs>), Oddity>,
}

/// A destination and what it takes to ping it.
#[derive(Debug)]
pub struct Setup {
    pub to: Destination,
    pub socket: EchoSocket,
    pub payload: Vec<u8>,
    /// Which packets the kernel stamps.
    pub stamps: Stamps,
    /// Whether the neighbour's address is not known yet.
    pub asks_first: bool,
}

impl Course {
    pub fn new(setup: Setup, manner: &Manner) -> Self {
        let Setup { to, socket, payload, stamps, asks_first } = setup;
        Course {
            address: to.socket_address(),
            to,
            statistics: Statistics::default(),
            most_under_way: 0,
            is_unlimited: manner.is_unlimited(),
            complaint: None,
            not_sent: None,
            full_since: None,
            socket,
            payload,
            stamps,
            emptied: Duration::ZERO,
            asks_first,
            is_watched: manner.show.json || !manner.show.quiet,
            flight: Flight::default(),
            pace: Pace::new(Instant::now()),
            newest_answered: 0,
            is_over: false,
            came: Vec::new(),
            news: Vec::new(),
        }
    }

    /// Sends what is due; when there will be something to do next, or `None` if there never will.
    pub fn advance(&mut self, manner: &Manner) -> Option<Instant> {
        while !self.is_over {
            let now = Instant::now();
            // Nobody would see it otherwise.
            if manner.show.json {
                while let Some(seq) = self.flight.overdue(now, manner.timeout) {
                    self.news.push(Happened::Lost { seq });
                }
            }
            match self.pace.now(now, manner, &self.statistics) {
                Now::Send(count) => {
                    self.send(usize::try_from(count).unwrap_or(1), manner);
                    // Between two calls answers are looked for, however short the interval.
                    let is_full = manner.is_unlimited() && self.full_since.is_some();
                    return Some(if is_full { now + QUEUE_FULL } else { now });
                }
                Now::Wait(until) => {
                    let lost = if manner.show.json { self.flight.oldest_open() } else { None };
                    let lost = lost.and_then(|sent| sent.checked_add(manner.timeout));
                    return Some(lost.map_or(until, |lost| lost.min(until)));
                }
                Now::End => self.is_over = true,
            }
        }
        None
    }

    fn send(&mut self, count: usize, manner: &Manner) {
        if manner.show.outstanding && self.flight.last().is_some_and(|last| last.fate == Fate::Open) {
            self.news.push(Happened::Outstanding { seq: self.flight.count() });
        }
        let (first, at, before) = (self.flight.next_sequence(), Instant::now(), since_1970());
        let sent = self.socket.send(self.address, first, count);
        let sending = Sent { at, before, after: since_1970() };
        let sent = match sent {
            Ok(sent) => sent,
            // The link's queue is full: later, and as if nobody had tried, but not for ever.
            Err(Errno::ENOBUFS | Errno::ENOMEM | Errno::EAGAIN)
                if self.full_since.get_or_insert(at).elapsed() < manner.timeout =>
            {
                0
            }
            Err(errno) => {
                self.flight.add(1, sending);
                self.refused_by_kernel(errno);
                0
            }
        };
        if sent > 0 {
            self.full_since = None;
        }
        self.flight.add(sent, sending);
        if self.is_watched && (manner.show.json || manner.show.flood) {
            let last = self.flight.count();
            self.news.extend((last - sent as u64 + 1..=last).map(|seq| Happened::Sent { seq }));
        }
        self.statistics.transmitted = self.flight.count();
        self.pace.sent(at, manner);
    }

    /// The packet that was added last was not sent. Of one that is too long the kernel tells beside, how long it may be.
    fn refused_by_kernel(&mut self, errno: Errno) {
        let mut mtu_bytes = None;
        for told in self.told() {
            if let Told::Complaint { sequence: None, what, .. } = told {
                mtu_bytes = Some(what.info).filter(|_| what.errno == Errno::EMSGSIZE as i32);
            }
        }
        let seq = self.flight.count();
        if let Some((_, packet)) = self.flight.find(seq as u16) {
            packet.fate = Fate::Failed;
        }
        self.statistics.errors += 1;
        self.not_sent = Some(errno);
        self.news.push(Happened::NotSent { seq, errno, mtu_bytes });
    }

    /// Takes in all that has come; whether anything has.
    ///
    /// # Errors
    /// What recvmsg(2) says.
    pub fn hear(&mut self) -> nix::Result<bool> {
        let called = since_1970();
        let mut came = mem::take(&mut self.came);
        let payload = &self.payload;
        let heard = self.socket.receive(|heard| {
            let what = heard.answer.map(|answer| {
                let differs = Differs::of(payload, answer.payload);
                (answer.sequence, if heard.is_cut { Some(Differs::Length) } else { differs })
            });
            came.push(Arrival { from: heard.from, ttl: heard.ttl, at: heard.at, bytes: heard.bytes, what });
        });
        // Now, and not before: what is answered has its stamps by then.
        let told = self.told();
        let now = Instant::now();
        for came in came.drain(..) {
            self.take_in(&came, now);
        }
        self.came = came;
        if heard.is_ok_and(|count| count < WINDOW as usize) {
            self.emptied = called;
        }
        heard.map(|count| count > 0 || !told.is_empty())
    }

    /// Takes in all that the kernel tells of packets that were sent; what it has told.
    fn told(&mut self) -> Vec<Told> {
        let mut told = Vec::new();
        self.socket.told(|one| told.push(one));
        for one in &told {
            match *one {
                Told::Stamp { sequence, stage, at } => {
                    // What is said of a packet that was given to the kernel only later is said of another one.
                    if let Some((_, packet)) = self.flight.find(sequence)
                        && at >= packet.before
                    {
                        match stage {
                            Stage::Scheduled => packet.scheduled = Some(at),
                            Stage::Sent => packet.out = Some(at),
                        }
                    }
                }
                Told::Complaint { sequence: Some(sequence), to, what } => {
                    // A forger has to know whom we asked, too.
                    let is_it = to.is_none_or(|to| to == self.to.address);
                    let Some((seq, packet)) = self.flight.find(sequence).filter(|_| is_it) else { continue };
                    if packet.fate == Fate::Open {
                        packet.fate = Fate::Failed;
                    }
                    self.statistics.errors += 1;
                    self.complaint = Some(what);
                    self.news.push(Happened::Refused { seq, what });
                }
                Told::Complaint { sequence: None, .. } | Told::Foreign => {}
            }
        }
        told
    }

    fn take_in(&mut self, came: &Arrival, now: Instant) {
        let (sequence, differs) = match came.what {
            Ok(what) => what,
            Err(Oddity::Checksum) => {
                self.statistics.corrupted += 1;
                self.news.push(Happened::Garbled { from: came.from, seq: None });
                return;
            }
            // Of a packet that was sent: somebody guesses, or something on the way spoils what it carries.
            Err(Oddity::Unproven { sequence }) => {
                match self.flight.find(sequence) {
                    Some((seq, _)) => {
                        self.statistics.corrupted += 1;
                        self.news.push(Happened::Garbled { from: came.from, seq: Some(seq) });
                    }
                    None => self.statistics.strays += 1,
                }
                return;
            }
            Err(Oddity::Short | Oddity::NoReply) => {
                self.statistics.strays += 1;
                return;
            }
        };
        let Some((seq, packet)) = self.flight.find(sequence) else {
            self.statistics.strays += 1;
            return;
        };
        let (is_duplicate, is_late) = (packet.fate == Fate::Answered, packet.fate == Fate::Lost);
        packet.fate = Fate::Answered;
        let at = match came.at {
            Some(at) => Came::At(at),
            None if self.stamps == Stamps::Some => Came::Behind(self.emptied),
            None => Came::Unknown,
        };
        let took = packet.took(at, now, self.asks_first && seq == 1);
        if is_duplicate {
            self.statistics.duplicates += 1;
        } else {
            self.statistics.received += 1;
            match took.is_exact {
                true => self.statistics.round_trips.add(took.round_trip),
                false => self.statistics.round_trips.add_at_least(took.round_trip),
            }
            self.most_under_way =
                self.most_under_way.max(self.flight.count().saturating_sub(self.newest_answered));
            self.newest_answered = self.newest_answered.max(seq);
        }
        self.statistics.corrupted += u64::from(differs.is_some());
        if !self.is_watched {
            return;
        }
        let (from, bytes, ttl) = (came.from, came.bytes, came.ttl);
        let answered = Answered { seq, from, bytes, ttl, took, is_duplicate, is_late, differs };
        self.news.push(Happened::Answered(answered));
    }

    /// Ends it, whatever is under way. What is, is lost.
    pub fn end(&mut self, manner: &Manner) {
        self.is_over = true;
        if manner.show.json {
            let now = Instant::now();
            while let Some(seq) = self.flight.overdue(now, Duration::ZERO) {
                self.news.push(Happened::Lost { seq });
            }
        }
    }

    /// What has happened since this was asked last.
    pub fn news(&mut self) -> Vec<Happened> {
        mem::take(&mut self.news)
    }

    /// Gives the room for news back.
    pub fn give_back(&mut self, mut room: Vec<Happened>) {
        room.clear();
        self.news = room;
    }

    /// From the first packet to the last one.
    pub fn lasted(&self) -> Duration {
        self.pace.lasted()
    }

    /// How many answers the kernel has thrown away because we did not read them in time.
    pub fn dropped(&self) -> u32 {
        self.socket.dropped()
    }
}

impl AsFd for Course {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
