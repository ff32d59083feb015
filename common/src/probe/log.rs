//! Probes that were sent, and what has become of them. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::packet::{TxStage, realtime_now};

/// Sequence numbers have 16 bits: among this many probes each number stands once.
const MOST_OPEN: usize = 65_000;
/// This many settled probes are remembered, to recognise a second reply; more would not stay in a processor's cache.
const MOST_SETTLED: usize = 1024;

/// A probe; `what` it was for is the caller's to say.
#[derive(Debug, Clone)]
pub struct Probe<T> {
    /// What it was for.
    pub what: T,
    /// What has become of it.
    pub state: ProbeState,
    sent: SendTime,
    /// When its neighbour's address was known.
    scheduled: Option<Duration>,
    /// When it was given to the link.
    out: Option<Duration>,
}

/// What has become of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeState {
    /// Nothing yet.
    Open,
    /// It was answered.
    Answered,
    /// It could not be delivered, an ICMP error says.
    Failed,
    /// It has timed out.
    Lost,
}

/// When probes were given to the kernel.
#[derive(Debug, Clone, Copy)]
pub struct SendTime {
    /// By CLOCK_MONOTONIC.
    pub at: Instant,
    /// Before the call, by CLOCK_REALTIME, the clock of the kernel's time stamps.
    before: Duration,
    /// After the call, by that clock.
    after: Duration,
}

impl SendTime {
    /// Does `send`, and notes when that was.
    pub fn of<R>(send: impl FnOnce() -> R) -> (R, Self) {
        let (at, before) = (Instant::now(), realtime_now());
        let sent = send();
        (sent, SendTime { at, before, after: realtime_now() })
    }
}

/// All probes that are remembered, in the order in which they were sent. They are counted from 1.
#[derive(Debug)]
pub struct Probes<T> {
    probes: VecDeque<Probe<T>>,
    /// How many were sent before the first of these.
    forgotten: u64,
    /// Up to this one all are settled.
    settled: u64,
}

impl<T> Default for Probes<T> {
    fn default() -> Self {
        Probes { probes: VecDeque::new(), forgotten: 0, settled: 0 }
    }
}

impl<T: Clone> Probes<T> {
    /// How many were sent.
    pub fn count(&self) -> u64 {
        self.forgotten + self.probes.len() as u64
    }

    /// The number that the next probe has on the wire.
    pub fn next_sequence(&self) -> u16 {
        self.count().wrapping_add(1) as u16
    }

    /// The probe that was sent last.
    pub fn last(&self) -> Option<&Probe<T>> {
        self.probes.back()
    }

    /// `count` probes for the same were sent in one call.
    pub fn add(&mut self, count: usize, sent: SendTime, what: T) {
        let probe = Probe { what, state: ProbeState::Open, sent, scheduled: None, out: None };
        self.probes.extend(std::iter::repeat_n(probe, count));
        self.forget();
    }

    /// The kernel says when a probe was how far. What it says of one that was given to it only later is about another one,
    /// which had the same number.
    pub fn stamp(&mut self, sequence: u16, stage: TxStage, at: Duration) {
        if let Some((_, probe)) = self.find(sequence)
            && at >= probe.sent.before
        {
            match stage {
                TxStage::Scheduled => probe.scheduled = Some(at),
                TxStage::Sent => probe.out = Some(at),
            }
        }
    }

    fn forget(&mut self) {
        let is_settled = |probe: &Probe<T>| probe.state != ProbeState::Open;
        while self.probes.len() > MOST_OPEN
            || (self.probes.len() > MOST_SETTLED && self.probes.front().is_some_and(is_settled))
        {
            self.probes.pop_front();
            self.forgotten += 1;
        }
        self.settled = self.settled.max(self.forgotten);
    }

    /// The probe that had this number on the wire last, and its place among all.
    pub fn find(&mut self, sequence: u16) -> Option<(u64, &mut Probe<T>)> {
        let newest = self.count();
        let back = u64::from((newest as u16).wrapping_sub(sequence));
        let nth = newest.checked_sub(back)?;
        Some((nth, self.get(nth)?))
    }

    /// The probe at this place among all.
    pub fn get(&mut self, nth: u64) -> Option<&mut Probe<T>> {
        let at = nth.checked_sub(self.forgotten + 1)?;
        self.probes.get_mut(usize::try_from(at).ok()?)
    }

    /// The next probe that has not been answered for as long as `timeout`; it is lost now.
    pub fn overdue(&mut self, now: Instant, timeout: Duration) -> Option<u64> {
        loop {
            let at = usize::try_from(self.settled - self.forgotten).ok()?;
            let probe = self.probes.get_mut(at)?;
            if probe.state == ProbeState::Open {
                if now.saturating_duration_since(probe.sent.at) < timeout {
                    return None;
                }
                probe.state = ProbeState::Lost;
                self.settled += 1;
                return Some(self.settled);
            }
            self.settled += 1;
        }
    }

    /// How many of those that were sent last, no longer than `age` ago, are not settled.
    pub fn open_since(&self, now: Instant, age: Duration) -> u64 {
        let is_young = |probe: &&Probe<T>| now.saturating_duration_since(probe.sent.at) < age;
        let young = self.probes.iter().rev().take_while(is_young);
        young.filter(|probe| matches!(probe.state, ProbeState::Open | ProbeState::Lost)).count() as u64
    }

    /// When the oldest probe that is open was sent.
    pub fn oldest_open(&mut self) -> Option<Instant> {
        loop {
            let probe = self.probes.get(usize::try_from(self.settled - self.forgotten).ok()?)?;
            if probe.state == ProbeState::Open {
                return Some(probe.sent.at);
            }
            self.settled += 1;
        }
    }
}

/// How long a probe took, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From the link to the other end and back.
    pub round_trip: Duration,
    /// Until the neighbour's address was known; `None` if it was before.
    pub arp: Option<Duration>,
    /// In the queue of our own link.
    pub queue: Option<Duration>,
}

impl<T> Probe<T> {
    /// When it was sent.
    pub fn sent_at(&self) -> Instant {
        self.sent.at
    }

    /// How long it took, if the kernel received the reply then, and we have it `now`. `asked` is whether its neighbour's
    /// address was not known when it was sent.
    ///
    /// The kernel's stamps are of a clock that can be set meanwhile. If they make no sense with the time that has passed by
    /// the other clock, that time is taken.
    pub fn timing(&self, received: Option<Duration>, now: Instant, asked: bool) -> Timing {
        let passed = now.saturating_duration_since(self.sent.at);
        let between = |from: Duration, to: Duration| to.checked_sub(from).filter(|took| *took <= passed);
        let left = self.out.or(self.scheduled).unwrap_or(self.sent.before);
        // A packet that waits for a MAC is put aside, and the call returns: one that went out later had waited. On a veth
        // the reply may be there before the call returns.
        let has_waited = asked || self.scheduled.is_some_and(|at| at > self.sent.after);
        Timing {
            round_trip: between(left, received.unwrap_or_else(realtime_now)).unwrap_or(passed),
            arp: self.scheduled.and_then(|at| between(self.sent.before, at)).filter(|_| has_waited),
            queue: self.scheduled.and_then(|scheduled| between(scheduled, self.out?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(at: Instant) -> SendTime {
        SendTime { at, before: Duration::from_secs(100), after: Duration::from_micros(100_000_010) }
    }

    fn sent_probes(count: usize) -> (Probes<()>, Instant) {
        let (mut probes, at) = (Probes::default(), Instant::now());
        probes.add(count, sent(at), ());
        (probes, at)
    }

    #[test]
    fn a_probe_is_found_by_its_number_though_numbers_come_again() {
        let (mut probes, at) = sent_probes(3);
        assert_eq!(probes.find(1).unwrap().0, 1);
        assert_eq!(probes.find(3).unwrap().0, 3);
        assert!(probes.find(0).is_none() && probes.find(4).is_none() && probes.find(65535).is_none());
        for nth in 4..=70_000_u64 {
            probes.add(1, sent(at), ());
            probes.find(nth as u16).unwrap().1.state = ProbeState::Answered;
        }
        assert_eq!(probes.find(70_000_u64 as u16).unwrap().0, 70_000);
        assert_eq!(probes.next_sequence(), 70_001_u64 as u16);
        assert!(probes.probes.len() <= MOST_OPEN);
        assert!(probes.find(3).is_none(), "long ago");
    }

    #[test]
    fn what_is_not_answered_in_time_is_lost_once() {
        let (mut probes, at) = sent_probes(3);
        probes.find(2).unwrap().1.state = ProbeState::Answered;
        let timeout = Duration::from_secs(1);
        assert_eq!(probes.overdue(at, timeout), None);
        let later = at + timeout;
        let lost: Vec<u64> = std::iter::from_fn(|| probes.overdue(later, timeout)).collect();
        assert_eq!(lost, [1, 3]);
        assert_eq!(probes.find(3).unwrap().1.state, ProbeState::Lost);
        assert_eq!(probes.oldest_open(), None);
    }

    #[test]
    fn waiting_for_an_address_is_no_part_of_the_round_trip() {
        let (mut probes, at) = sent_probes(1);
        let probe = probes.find(1).unwrap().1;
        let later = |micros: u64| Duration::from_secs(100) + Duration::from_micros(micros);
        probe.scheduled = Some(later(900));
        probe.out = Some(later(902));
        let took = probe.timing(Some(later(942)), at + Duration::from_millis(2), false);
        assert_eq!(took.round_trip, Duration::from_micros(40));
        assert_eq!(took.arp, Some(Duration::from_micros(900)));
        assert_eq!(took.queue, Some(Duration::from_micros(2)));
        probe.scheduled = Some(later(5));
        let took = probe.timing(Some(later(942)), at + Duration::from_millis(2), false);
        assert_eq!(took.arp, None, "it went out before the call was over");
    }

    #[test]
    fn a_clock_that_was_set_meanwhile_is_not_believed() {
        let (mut probes, at) = sent_probes(1);
        let probe = probes.find(1).unwrap().1;
        probe.out = Some(Duration::from_secs(100));
        for came in [50, 4000] {
            let took = probe.timing(Some(Duration::from_secs(came)), at + Duration::from_millis(2), false);
            assert_eq!(took.round_trip, Duration::from_millis(2));
        }
        assert_eq!(
            probe.timing(None, at + Duration::from_millis(3), false).round_trip,
            Duration::from_millis(3)
        );
    }
}
