//! One destination: its socket, the requests that are under way to it, and what comes back.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use common::netlink::Neighbour;
use common::packet::icmp::{EchoSocket, IcmpError, InvalidReply, TxEvent};
use common::probe::{ProbeState, Probes, SendTime};
use nix::errno::Errno;

use super::event::{EchoAnswer, EchoEvent, PayloadDifference};
use super::schedule::{Due, SendSchedule};
use super::statistics::Statistics;
use crate::evidence::EchoSpec;
use crate::request::EchoConfig;
use crate::resolve::destination::Destination;

/// When the link's queue is full, a flood waits so long.
const QUEUE_FULL: Duration = Duration::from_millis(1);

/// A packet that was sent so long before the end is not lost for that, if others were answered.
const JUST_SENT: Duration = Duration::from_millis(100);

/// A destination while it is pinged.
#[derive(Debug)]
pub struct EchoSession {
    /// Where packets go.
    pub to: Destination,
    /// How many went and came.
    pub statistics: Statistics,
    /// How many were under way at once.
    pub most_under_way: u64,
    /// The last ICMP error.
    pub icmp_error: Option<IcmpError>,
    /// Why our own kernel refused to send the last packet, and the MTU that it named.
    pub not_sent: Option<(Errno, Option<u32>)>,
    /// What the kernel knew of the next hop before anything was sent.
    pub neighbour_before: Option<Neighbour>,
    /// How packets are sent.
    pub spec: EchoSpec,
    /// Since when the kernel has had no room for a packet.
    full_since: Option<Instant>,
    address: SocketAddr,
    socket: EchoSocket,
    payload: Vec<u8>,
    /// Whether the first packet has to wait for its neighbour's address.
    asks_first: bool,
    probes: Probes<()>,
    schedule: SendSchedule,
    /// The last ICMP error that was shown, and about which packet it was.
    refused: Option<(u64, IcmpError)>,
    is_over: bool,
    events: Vec<EchoEvent>,
}

/// A reply as it came, before it is known which request it answers.
struct Arrival {
    from: IpAddr,
    ttl: Option<u8>,
    at: Option<Duration>,
    bytes: usize,
    reply: Result<(u16, Option<PayloadDifference>), InvalidReply>,
}

impl EchoSession {
    pub fn new(to: Destination, socket: EchoSocket, payload: Vec<u8>, asks_first: bool) -> Self {
        EchoSession {
            address: to.socket_address(),
            to,
            statistics: Statistics::default(),
            most_under_way: 0,
            icmp_error: None,
            not_sent: None,
            neighbour_before: None,
            spec: EchoSpec::default(),
            full_since: None,
            socket,
            payload,
            asks_first,
            probes: Probes::default(),
            schedule: SendSchedule::new(Instant::now()),
            refused: None,
            is_over: false,
            events: Vec::new(),
        }
    }

    /// Sends what is due; when there will be something to do next, or `None` if there never will.
    pub fn advance(&mut self, config: &EchoConfig) -> Option<Instant> {
        while !self.is_over {
            let now = Instant::now();
            // People are not told of it.
            if config.show.json {
                self.give_up(now, config.timeout);
            }
            match self.schedule.due(now, config, &self.statistics) {
                Due::Send(count) => {
                    self.send(usize::try_from(count).unwrap_or(1), config);
                    // Between two calls answers are looked for, however short the interval.
                    let is_full = config.is_unlimited() && self.full_since.is_some();
                    return Some(if is_full { now + QUEUE_FULL } else { now });
                }
                Due::Wait(until) => {
                    let lost = if config.show.json { self.probes.oldest_open() } else { None };
                    let lost = lost.and_then(|sent| sent.checked_add(config.timeout));
                    return Some(lost.map_or(until, |lost| lost.min(until)));
                }
                Due::End => self.is_over = true,
            }
        }
        None
    }

    fn give_up(&mut self, now: Instant, timeout: Duration) {
        while let Some(seq) = self.probes.overdue(now, timeout) {
            self.events.push(EchoEvent::Lost { seq });
        }
    }

    fn send(&mut self, count: usize, config: &EchoConfig) {
        if config.show.outstanding && self.probes.last().is_some_and(|last| last.state == ProbeState::Open) {
            self.events.push(EchoEvent::Outstanding { seq: self.probes.count() });
        }
        let first = self.probes.next_sequence();
        let (sent, when) = SendTime::of(|| self.socket.send(self.address, first, count));
        let sent = match sent {
            Ok(sent) => sent,
            // The link's queue is full: later, as if it had not been tried, but not for ever.
            Err(Errno::ENOBUFS | Errno::ENOMEM | Errno::EAGAIN)
                if self.full_since.get_or_insert(when.at).elapsed() < config.timeout =>
            {
                0
            }
            Err(errno) => {
                self.probes.add(1, when, ());
                self.refused_by_kernel(errno);
                0
            }
        };
        if sent > 0 {
            (self.full_since, self.not_sent) = (None, None);
        }
        self.probes.add(sent, when, ());
        let last = self.probes.count();
        self.events.extend((last - sent as u64 + 1..=last).map(|seq| EchoEvent::Sent { seq }));
        self.statistics.transmitted = last;
        self.schedule.sent(when.at, config);
    }

    /// The packet that was added last was not sent. Of one that is too long the kernel tells how long it may be.
    fn refused_by_kernel(&mut self, errno: Errno) {
        let mut mtu_bytes = None;
        for event in self.read_events() {
            if let TxEvent::Error { sequence: None, error, .. } = event {
                mtu_bytes = Some(error.info).filter(|_| error.errno == Errno::EMSGSIZE as i32);
            }
        }
        let seq = self.probes.count();
        let is_said = self.refused.is_some_and(|(refused, _)| refused == seq);
        if let Some(probe) = self.probes.get(seq) {
            probe.state = ProbeState::Failed;
        }
        self.not_sent = Some((errno, mtu_bytes));
        if is_said {
            return;
        }
        self.statistics.errors += 1;
        self.events.push(EchoEvent::NotSent { seq, errno, mtu_bytes });
    }

    /// Takes in all that has come.
    ///
    /// # Errors
    /// What recvmsg(2) says.
    pub fn receive(&mut self) -> nix::Result<()> {
        let mut arrivals = Vec::new();
        let payload = &self.payload;
        let received = self.socket.receive(|received| {
            let reply = received.answer.map(|answer| {
                let differs = PayloadDifference::of(payload, answer.payload);
                (answer.sequence, if received.is_cut { Some(PayloadDifference::Longer) } else { differs })
            });
            let (from, ttl, at, bytes) = (received.from, received.ttl, received.at, received.bytes);
            arrivals.push(Arrival { from, ttl, at, bytes, reply });
        });
        // Now, and not before: what is answered has its stamps by then.
        self.read_events();
        let now = Instant::now();
        arrivals.iter().for_each(|arrival| self.take_in(arrival, now));
        received.map(drop)
    }

    /// Takes in all that the kernel tells of packets that were sent; what it has told.
    fn read_events(&mut self) -> Vec<TxEvent> {
        let mut events = Vec::new();
        self.socket.events(|event| events.push(event));
        for event in &events {
            match *event {
                TxEvent::Stamp { sequence, stage, at } => self.probes.stamp(sequence, stage, at),
                TxEvent::Error { sequence: Some(sequence), to, error } => {
                    // A forger has to know the destination, too.
                    let is_it = to.is_none_or(|to| to == self.to.address);
                    let Some((seq, probe)) = self.probes.find(sequence).filter(|_| is_it) else { continue };
                    // Where our own kernel rejects a packet, it is tried twice, and each time there is an error.
                    if self.refused.replace((seq, error)) == Some((seq, error)) {
                        continue;
                    }
                    if probe.state == ProbeState::Open {
                        probe.state = ProbeState::Failed;
                    }
                    self.statistics.errors += 1;
                    self.settled(seq);
                    self.icmp_error = Some(error);
                    self.events.push(EchoEvent::Refused { seq, error });
                }
                TxEvent::Error { sequence: None, .. } | TxEvent::Foreign => {}
            }
        }
        events
    }

    fn take_in(&mut self, arrival: &Arrival, now: Instant) {
        let (sequence, differs) = match arrival.reply {
            Ok(reply) => reply,
            Err(InvalidReply::Checksum) => return self.corrupted(arrival.from, None),
            // A reply to a packet that was sent: a forger guesses, or something on the way spoils the data.
            Err(InvalidReply::Unproven { sequence }) => {
                return match self.probes.find(sequence) {
                    Some((seq, _)) => self.corrupted(arrival.from, Some(seq)),
                    None => self.statistics.strays += 1,
                };
            }
            Err(InvalidReply::Short | InvalidReply::NoReply) => {
                self.statistics.strays += 1;
                return;
            }
        };
        let Some((seq, probe)) = self.probes.find(sequence) else {
            self.statistics.strays += 1;
            return;
        };
        let (is_duplicate, is_late) = (probe.state == ProbeState::Answered, probe.state == ProbeState::Lost);
        probe.state = ProbeState::Answered;
        let took = probe.timing(arrival.at, now, self.asks_first && seq == 1);
        if is_duplicate {
            self.statistics.duplicates += 1;
        } else {
            self.statistics.received += 1;
            self.statistics.round_trips.add(took.round_trip);
        }
        self.settled(seq);
        self.statistics.corrupted +=
            u64::from(differs.is_some_and(|differs| differs != PayloadDifference::Longer));
        let &Arrival { from, bytes, ttl, .. } = arrival;
        let answer = EchoAnswer { seq, from, bytes, ttl, took, is_duplicate, is_late, differs };
        self.events.push(EchoEvent::Answered(answer));
    }

    /// Something has come for this packet: so many were under way since it was sent, as ping(8) counts them. A packet that
    /// was lost is not under way.
    fn settled(&mut self, seq: u64) {
        self.most_under_way = self.most_under_way.max(self.probes.count() + 1 - seq);
    }

    fn corrupted(&mut self, from: IpAddr, seq: Option<u64>) {
        self.statistics.corrupted += 1;
        self.events.push(EchoEvent::Garbled { from, seq });
    }

    /// Ends it, whatever is under way. What is, is lost.
    pub fn end(&mut self, config: &EchoConfig) {
        self.is_over = true;
        if config.show.json {
            self.give_up(Instant::now(), Duration::ZERO);
        }
    }

    /// What has happened since this was asked last.
    pub fn take_events(&mut self) -> Vec<EchoEvent> {
        std::mem::take(&mut self.events)
    }

    /// How many of the packets that were sent last may still be answered: they have been under way no longer than twice the
    /// longest round trip.
    pub fn under_way(&self) -> u64 {
        let trips = &self.statistics.round_trips;
        let usual = if trips.is_empty() { Duration::ZERO } else { (trips.max() * 2).max(JUST_SENT) };
        self.probes.open_since(Instant::now(), usual)
    }

    /// From the first packet to the last one.
    pub fn lasted(&self) -> Duration {
        self.schedule.lasted()
    }

    /// How many answers the kernel has thrown away because we did not read them in time.
    pub fn dropped(&self) -> u32 {
        self.socket.dropped()
    }
}

impl AsFd for EchoSession {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
