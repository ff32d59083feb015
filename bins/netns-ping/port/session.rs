//! A port of one host while it is probed: a socket for each probe that is under way, and what became of the others.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use common::netlink::Neighbour;
use common::packet::icmp::IcmpError;
use common::packet::port::{PortAnswer, PortOptions, PortSocket};
use common::packet::random;
use common::probe::{ProbeState, Probes, SendTime};
use common::target::{DestPort, Transport};
use nix::errno::Errno;

use crate::evidence::PortSpec;
use crate::network::netns::TargetNetns;
use crate::report::RoundTrips;
use crate::request::{Payload, PortConfig, usual_payload};
use crate::resolve::destination::Destination;

/// As many probes of a port are under way at once: a server has room for so many connections that nobody accepted.
const MOST_UNDER_WAY: usize = 64;
/// Where no descriptor or no port is free, so long is waited before the next.
const NO_ROOM: Duration = Duration::from_millis(10);
/// A SYN is sent again after one second and three: what got lost once or twice is answered within this.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);
const UDP_TIMEOUT: Duration = Duration::from_secs(2);

/// A port while it is probed.
pub struct PortSession {
    pub to: Destination,
    pub port: DestPort,
    pub statistics: PortStatistics,
    /// The last ICMP error that came.
    pub icmp_error: Option<IcmpError>,
    /// Why our own kernel last refused to send.
    pub not_sent: Option<Errno>,
    /// What the kernel knew of the next hop before anything was sent.
    pub neighbour_before: Option<Neighbour>,
    options: PortOptions,
    payload: Payload,
    probes: Probes<()>,
    open: BTreeMap<u64, PortSocket>,
    began: Instant,
    next: Instant,
    last_sent: Option<Instant>,
    is_over: bool,
    events: Vec<PortEvent>,
}

/// How many probes, and what became of them.
#[derive(Debug, Clone, Default)]
pub struct PortStatistics {
    /// Probes that were sent, or that the kernel would not send.
    pub sent: u64,
    /// TCP: connected; UDP: answered.
    pub open: u64,
    /// Refused: by a reset, or by ICMP port unreachable of the host itself.
    pub refused: u64,
    /// Other errors: of routers, and of our own kernel.
    pub errors: u64,
    /// Not answered in time.
    pub silent: u64,
    pub round_trips: RoundTrips,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq)]
pub enum PortEvent {
    Sent {
        seq: u64,
    },
    /// It is open.
    Open {
        seq: u64,
        took: Duration,
        by_kernel: bool,
        retransmitted: u32,
        bytes: Option<usize>,
        is_expected: bool,
    },
    /// It is refused, by a reset.
    Reset {
        seq: u64,
        took: Duration,
    },
    /// An ICMP error came.
    Refused {
        seq: u64,
        error: IcmpError,
    },
    /// Our own kernel gave it up.
    NotSent {
        seq: u64,
        errno: Errno,
    },
    /// Nothing came in time.
    Lost {
        seq: u64,
        after: Duration,
    },
}

impl PortSession {
    pub fn new(to: Destination, port: DestPort, options: PortOptions, config: &PortConfig) -> Self {
        let payload = match (port.transport, &config.data) {
            (Transport::Tcp, _) => Payload::Given(Vec::new()),
            (Transport::Udp, Some(data)) => Payload::Given(data.clone()),
            (Transport::Udp, None) => usual_payload(port.number),
        };
        let now = Instant::now();
        PortSession {
            to,
            port,
            statistics: PortStatistics::default(),
            icmp_error: None,
            not_sent: None,
            neighbour_before: None,
            options,
            payload,
            probes: Probes::default(),
            open: BTreeMap::new(),
            began: now,
            next: now,
            last_sent: None,
            is_over: false,
            events: Vec::new(),
        }
    }

    /// Where it is: `10.1.0.9:80`, `[fe80::1%eth0]:80`.
    pub fn place(&self) -> String {
        let address = self.to.address;
        match self.to.scope() {
            0 => SocketAddr::from((address, self.port.number)).to_string(),
            _ => format!("[{address}%{}]:{}", self.to.link, self.port.number),
        }
    }

    /// What its datagrams hold, for messages.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// How its probes are sent, so that one can be sent again.
    pub fn spec(&self) -> PortSpec {
        let payload = self.payload.bytes(random().unwrap_or_default());
        let timeout = if self.port.transport == Transport::Tcp { TCP_TIMEOUT } else { UDP_TIMEOUT };
        PortSpec { port: self.port, payload, options: self.options.clone(), timeout }
    }

    fn timeout(&self, config: &PortConfig) -> Duration {
        config.timeout.unwrap_or(match self.port.transport {
            Transport::Tcp => TCP_TIMEOUT,
            Transport::Udp => UDP_TIMEOUT,
        })
    }

    /// Sends what is due; when there will be something to do next, or `None` if there never will.
    pub fn advance(&mut self, inside: &TargetNetns, config: &PortConfig) -> Option<Instant> {
        let timeout = self.timeout(config);
        let deadline = config.deadline.and_then(|deadline| self.began.checked_add(deadline));
        loop {
            let now = Instant::now();
            self.give_up(now, timeout);
            let left = config.count.is_none_or(|count| self.statistics.sent < count);
            let is_late = deadline.is_some_and(|deadline| now >= deadline);
            if self.is_over || is_late || (!left && self.open.is_empty()) {
                return None;
            }
            let lost = self.probes.oldest_open().and_then(|sent| sent.checked_add(timeout));
            let mut until = [lost, deadline].into_iter().flatten().min();
            if left && self.open.len() < MOST_UNDER_WAY {
                if now >= self.next {
                    self.send(inside, now, config);
                    continue;
                }
                until = Some(until.map_or(self.next, |until| until.min(self.next)));
            }
            return Some(until.unwrap_or(now + timeout));
        }
    }

    fn give_up(&mut self, now: Instant, timeout: Duration) {
        while let Some(seq) = self.probes.overdue(now, timeout) {
            if self.open.remove(&seq).is_some() {
                self.statistics.silent += 1;
                self.events.push(PortEvent::Lost { seq, after: timeout });
            }
        }
    }

    fn send(&mut self, inside: &TargetNetns, now: Instant, config: &PortConfig) {
        let mut to = self.to.socket_address();
        to.set_port(self.port.number);
        let payload = self.payload.bytes(random().unwrap_or_default());
        let (transport, options) = (self.port.transport, &self.options);
        let open = || SendTime::of(|| PortSocket::open(transport, to, options, &payload));
        let (opened, when) = match inside.open(|| Ok::<_, common::failure::Failure>(open())) {
            Ok(opened) => opened,
            // The container's network is entered as before, or never again.
            Err(_) => SendTime::of(|| Err(Errno::EPERM)),
        };
        // Others hold all descriptors, or all ports of that host: later, as if it had not been tried.
        if let Err(Errno::EMFILE | Errno::ENFILE | Errno::EADDRNOTAVAIL | Errno::ENOBUFS) = opened
            && !self.open.is_empty()
        {
            self.next = now + NO_ROOM;
            return;
        }
        self.probes.add(1, when, ());
        let seq = self.probes.count();
        self.statistics.sent = seq;
        self.last_sent = Some(now);
        self.next = self.next.checked_add(config.interval).unwrap_or(now).max(now);
        match opened {
            Ok(socket) => {
                self.events.push(PortEvent::Sent { seq });
                self.open.insert(seq, socket);
                self.look(seq);
            }
            Err(errno) => self.over(seq, None, errno),
        }
    }

    /// The socket of the one at that place has something to tell.
    pub fn receive(&mut self, at: usize) {
        if let Some(seq) = self.open.keys().nth(at).copied() {
            self.look(seq);
        }
    }

    /// What has become of that probe.
    fn look(&mut self, seq: u64) {
        let Some(answer) = self.open.get(&seq).and_then(PortSocket::answer) else { return };
        self.open.remove(&seq);
        let Some(probe) = self.probes.get(seq) else { return };
        probe.state = ProbeState::Answered;
        let now = Instant::now();
        let passed = now.saturating_duration_since(probe.sent_at());
        match answer {
            PortAnswer::Connected { round_trip, retransmitted } => {
                // A clock that was set is not believed, and neither is a kernel that counts otherwise.
                let measured = round_trip.filter(|measured| *measured <= passed);
                let (took, by_kernel) = (measured.unwrap_or(passed), measured.is_some());
                self.answered(PortEvent::Open {
                    seq,
                    took,
                    by_kernel,
                    retransmitted,
                    bytes: None,
                    is_expected: true,
                });
            }
            PortAnswer::Datagram { data, at, sent } => {
                for (stage, at) in sent {
                    self.probes.stamp(seq as u16, stage, at);
                }
                let Some(probe) = self.probes.get(seq) else { return };
                let (took, by_kernel) = (probe.timing(at, now, false).round_trip, at.is_some());
                let (bytes, is_expected) = (Some(data.len()), self.payload.is_answer(&data));
                self.answered(PortEvent::Open { seq, took, by_kernel, retransmitted: 0, bytes, is_expected });
            }
            PortAnswer::Reset => {
                self.statistics.refused += 1;
                self.events.push(PortEvent::Reset { seq, took: passed });
            }
            PortAnswer::Error(error) => self.over(seq, Some(error), Errno::from_raw(error.errno)),
            PortAnswer::Failed(errno) => self.over(seq, None, errno),
        }
    }

    fn answered(&mut self, event: PortEvent) {
        if let PortEvent::Open { took, .. } = &event {
            self.statistics.open += 1;
            self.statistics.round_trips.add(*took);
        }
        self.events.push(event);
    }

    fn over(&mut self, seq: u64, error: Option<IcmpError>, errno: Errno) {
        if let Some(probe) = self.probes.get(seq) {
            probe.state = ProbeState::Failed;
        }
        match error {
            Some(error) => {
                let is_port = matches!(
                    (self.to.address.is_ipv4(), error.kind, error.code),
                    (true, 3, 3) | (false, 1, 4)
                );
                let is_refusal = is_port && error.by == Some(self.to.address);
                *(if is_refusal { &mut self.statistics.refused } else { &mut self.statistics.errors }) += 1;
                self.icmp_error = Some(error);
                self.events.push(PortEvent::Refused { seq, error });
            }
            None => {
                self.statistics.errors += 1;
                self.not_sent = Some(errno);
                self.events.push(PortEvent::NotSent { seq, errno });
            }
        }
    }

    /// Ends it, whatever is under way: of that nothing is known.
    pub fn end(&mut self) {
        self.is_over = true;
        self.open.clear();
    }

    /// How many have neither been answered nor given up: it was stopped.
    pub fn unknown(&self) -> u64 {
        let PortStatistics { sent, open, refused, errors, silent, .. } = self.statistics;
        sent.saturating_sub(open + refused + errors + silent)
    }

    /// What has happened since this was asked last.
    pub fn take_events(&mut self) -> Vec<PortEvent> {
        std::mem::take(&mut self.events)
    }

    /// From the first probe to the last one.
    pub fn lasted(&self) -> Duration {
        self.last_sent.map_or(Duration::ZERO, |last| last.saturating_duration_since(self.began))
    }

    /// The sockets of those that are under way.
    pub fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.open.values().map(AsFd::as_fd)
    }
}
