//! Packets that are under way, and what has become of those that were lately. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Sequence numbers have 16 bits: with so many at once none is another one's.
const MOST_OPEN: usize = 65_000;
/// Packets that are settled are remembered so long, to know a second answer; more would not stay in a processor's cache.
const MOST_SETTLED: usize = 1024;

/// A packet.
#[derive(Debug, Clone)]
pub struct Packet {
    /// When it was given to the kernel, by the clock that nobody sets.
    pub sent: Instant,
    /// The same by the clock that the kernel's stamps are of.
    pub before: Duration,
    /// When the kernel had taken it, by that clock.
    pub after: Duration,
    /// Whether no other was sent in the same call.
    pub is_alone: bool,
    /// When its neighbour's address was known.
    pub scheduled: Option<Duration>,
    /// When it was given to the link.
    pub out: Option<Duration>,
    /// What has become of it.
    pub fate: Fate,
}

/// What has become of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing yet.
    Open,
    /// It was answered.
    Answered,
    /// Somebody says that it cannot be delivered.
    Failed,
    /// Nobody has said anything in time.
    Lost,
}

/// When packets were given to the kernel, some of them in one call.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// By the clock that nobody sets.
    pub at: Instant,
    /// Before the call, by the clock that the kernel's stamps are of.
    pub before: Duration,
    /// And behind it.
    pub after: Duration,
}

/// All packets that are remembered, in the order in which they were sent. They are counted from 1.
#[derive(Debug, Default)]
pub struct Flight {
    packets: VecDeque<Packet>,
    /// How many were sent before the first of these.
    forgotten: u64,
    /// Up to this one all are settled.
    settled: u64,
}

impl Flight {
    /// How many were sent.
    pub fn count(&self) -> u64 {
        self.forgotten + self.packets.len() as u64
    }

    /// The number that the next packet has on the wire.
    pub fn next_sequence(&self) -> u16 {
        self.count().wrapping_add(1) as u16
    }

    /// The packet that was sent last.
    pub fn last(&self) -> Option<&Packet> {
        self.packets.back()
    }

    /// `count` packets were sent in one call.
    pub fn add(&mut self, count: usize, sent: Sent) {
        let Sent { at, before, after } = sent;
        let (is_alone, scheduled, out, fate) = (count == 1, None, None, Fate::Open);
        let packet = Packet { sent: at, before, after, is_alone, scheduled, out, fate };
        self.packets.extend(std::iter::repeat_n(packet, count));
        self.forget();
    }

    fn forget(&mut self) {
        let is_settled = |packet: &Packet| packet.fate != Fate::Open;
        while self.packets.len() > MOST_OPEN
            || (self.packets.len() > MOST_SETTLED && self.packets.front().is_some_and(is_settled))
        {
            self.packets.pop_front();
            self.forgotten += 1;
        }
        self.settled = self.settled.max(self.forgotten);
    }

    /// The packet that had this number on the wire last, and its place among all.
    pub fn find(&mut self, sequence: u16) -> Option<(u64, &mut Packet)> {
        let newest = self.count();
        let back = u64::from((newest as u16).wrapping_sub(sequence));
        let nth = newest.checked_sub(back).filter(|nth| *nth > self.forgotten)?;
        let at = usize::try_from(nth - self.forgotten - 1).ok()?;
        Some((nth, self.packets.get_mut(at)?))
    }

    /// The next packet that has not been answered for as long as `patience`; it is lost now.
    pub fn overdue(&mut self, now: Instant, patience: Duration) -> Option<u64> {
        loop {
            let at = usize::try_from(self.settled - self.forgotten).ok()?;
            let packet = self.packets.get_mut(at)?;
            if packet.fate == Fate::Open {
                if now.saturating_duration_since(packet.sent) < patience {
                    return None;
                }
                packet.fate = Fate::Lost;
                self.settled += 1;
                return Some(self.settled);
            }
            self.settled += 1;
        }
    }

    /// When the oldest packet that is open was sent.
    pub fn oldest_open(&mut self) -> Option<Instant> {
        loop {
            let packet = self.packets.get(usize::try_from(self.settled - self.forgotten).ok()?)?;
            if packet.fate == Fate::Open {
                return Some(packet.sent);
            }
            self.settled += 1;
        }
    }
}

/// How long a packet took, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    /// From the link to the other end and back.
    pub round_trip: Duration,
    /// Whether that is how long it took, and not how long at least.
    pub is_exact: bool,
    /// Until the neighbour's address was known; `None` if it was before.
    pub arp: Option<Duration>,
    /// In the queue of our own link.
    pub queue: Option<Duration>,
}

/// When an answer came.
#[derive(Debug, Clone, Copy)]
pub enum Came {
    /// Then, as the kernel says.
    At(Duration),
    /// It had not come by then.
    Behind(Duration),
    /// Nobody says.
    Unknown,
}

impl Packet {
    /// How long it took, if the answer came so, and we have it `now`. `asked` is whether its neighbour's address was not
    /// known when it was sent.
    ///
    /// The kernel's stamps are of a clock that can be set meanwhile; then they make no sense with the time that has
    /// passed by the other clock, which is the answer then.
    pub fn took(&self, came: Came, now: Instant, asked: bool) -> Took {
        let passed = now.saturating_duration_since(self.sent);
        // Of packets that were sent in one call only the kernel knows when each left.
        let left = self.out.or(self.scheduled).or(self.is_alone.then_some(self.before));
        let between = |from: Duration, to: Duration| to.checked_sub(from).filter(|took| *took <= passed);
        let (round_trip, is_exact) = match (came, left) {
            (Came::At(at), Some(left)) => (between(left, at).unwrap_or(passed), true),
            (Came::At(at) | Came::Behind(at), _) => (between(self.after, at).unwrap_or_default(), false),
            (Came::Unknown, _) => (passed, true),
        };
        let waited =
            |from: Duration, to: Option<Duration>| to?.checked_sub(from).filter(|took| *took <= passed);
        // Who waits for an address is put aside, and the call returns: a packet that went out later had waited. On
        // a veth the answer may be there before the call returns.
        let has_waited = asked || self.scheduled.is_some_and(|at| at > self.after);
        Took {
            round_trip,
            is_exact,
            arp: waited(self.before, self.scheduled).filter(|_| has_waited),
            queue: self.scheduled.and_then(|scheduled| waited(scheduled, self.out)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(at: Instant) -> Sent {
        Sent { at, before: Duration::from_secs(100), after: Duration::from_micros(100_000_010) }
    }

    fn flight(count: usize) -> (Flight, Instant) {
        let (mut flight, at) = (Flight::default(), Instant::now());
        flight.add(count, sent(at));
        (flight, at)
    }

    #[test]
    fn a_packet_is_found_by_its_number_though_numbers_come_again() {
        let (mut flight, at) = flight(3);
        assert_eq!(flight.find(1).unwrap().0, 1);
        assert_eq!(flight.find(3).unwrap().0, 3);
        assert!(flight.find(0).is_none() && flight.find(4).is_none() && flight.find(65535).is_none());
        for nth in 4..=70_000_u64 {
            flight.add(1, sent(at));
            flight.find(nth as u16).unwrap().1.fate = Fate::Answered;
        }
        assert_eq!(flight.find(70_000_u64 as u16).unwrap().0, 70_000);
        assert_eq!(flight.next_sequence(), 70_001_u64 as u16);
        assert!(flight.packets.len() <= MOST_OPEN);
        assert!(flight.find(3).is_none(), "long ago");
    }

    #[test]
    fn what_is_not_answered_in_time_is_lost_once() {
        let (mut flight, at) = flight(3);
        flight.find(2).unwrap().1.fate = Fate::Answered;
        let patience = Duration::from_secs(1);
        assert_eq!(flight.overdue(at, patience), None);
        let later = at + patience;
        let lost: Vec<u64> = std::iter::from_fn(|| flight.overdue(later, patience)).collect();
        assert_eq!(lost, [1, 3]);
        assert_eq!(flight.find(3).unwrap().1.fate, Fate::Lost);
        assert_eq!(flight.oldest_open(), None);
    }

    #[test]
    fn of_packets_of_one_call_only_the_kernel_knows_when_each_left() {
        let (mut flight, at) = flight(3);
        let micros = |micros: u64| Duration::from_secs(100) + Duration::from_micros(micros);
        let now = at + Duration::from_millis(2);
        flight.find(2).unwrap().1.out = Some(micros(4));
        let mut took = |sequence, came| flight.find(sequence).unwrap().1.took(came, now, false);
        // The call took 10 µs: the answer came before its end, and behind it.
        let known = |took: Took| (took.round_trip.as_micros(), took.is_exact);
        assert_eq!(known(took(1, Came::At(micros(7)))), (0, false));
        assert_eq!(known(took(2, Came::At(micros(9)))), (5, true));
        assert_eq!(known(took(3, Came::At(micros(1010)))), (1000, false));
        for sequence in 1..4 {
            assert_eq!(known(took(sequence, Came::Behind(micros(9)))), (0, false));
            assert_eq!(known(took(sequence, Came::Behind(micros(510)))), (500, false));
        }
    }

    #[test]
    fn waiting_for_an_address_is_no_part_of_the_round_trip() {
        let (mut flight, at) = flight(1);
        let packet = flight.find(1).unwrap().1;
        let later = |micros: u64| Duration::from_secs(100) + Duration::from_micros(micros);
        packet.scheduled = Some(later(900));
        packet.out = Some(later(902));
        let took = packet.took(Came::At(later(942)), at + Duration::from_millis(2), false);
        assert_eq!(took.round_trip, Duration::from_micros(40));
        assert_eq!(took.arp, Some(Duration::from_micros(900)));
        assert_eq!(took.queue, Some(Duration::from_micros(2)));
        packet.scheduled = Some(later(5));
        let took = packet.took(Came::At(later(942)), at + Duration::from_millis(2), false);
        assert_eq!(took.arp, None, "it went out before the call was over");
    }

    #[test]
    fn a_clock_that_was_set_meanwhile_is_not_believed() {
        let (mut flight, at) = flight(1);
        let packet = flight.find(1).unwrap().1;
        packet.out = Some(Duration::from_secs(100));
        for came in [50, 4000] {
            let took = packet.took(Came::At(Duration::from_secs(came)), at + Duration::from_millis(2), false);
            assert_eq!(took.round_trip, Duration::from_millis(2));
        }
        assert_eq!(
            packet.took(Came::Unknown, at + Duration::from_millis(3), false).round_trip,
            Duration::from_millis(3)
        );
    }
}
