//! A part of a scan: the addresses that are asked for through one socket, at a rate, each several times.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use common::failure::Failure;
use common::packet::realtime_now;
use common::target::Mac;

use super::address_set::AddressSet;
use super::rate::{BURST, RateLimit};
use super::results::{NewReply, ReplyKind, ScanReply, ScanResults};
use super::schedule::{Micros, NextProbes, RetrySchedule};
use super::socket::{ScanArrival, ScanSocket};
use crate::request::ScanConfig;

/// The container's own addresses in what is scanned through one socket: somebody else may have them too.
#[derive(Debug, Default)]
pub struct OwnAddresses {
    pub addresses: Vec<IpAddr>,
    /// Of all its links: it answers for its own addresses on others of them, too.
    pub macs: Vec<Mac>,
}

/// One part.
#[derive(Debug)]
pub struct ScanTask {
    socket: ScanSocket,
    addresses: AddressSet,
    own: OwnAddresses,
    /// When own addresses were asked for: first at the beginning, and again after the others.
    own_asked: Vec<Micros>,
    schedule: RetrySchedule,
    rate: RateLimit,
    config: ScanConfig,
    /// Where microseconds are counted from.
    epoch: Duration,
    last_sent: Instant,
    last_heard: Option<Instant>,
    longest: Duration,
    /// Since when the kernel has had no room for a probe.
    full_since: Option<Instant>,
    /// Why nothing is sent any more, if that is not because all is done.
    pub broken: Option<Failure>,
    pub packets_sent: u64,
}

/// An address that has not answered yet is asked for again after so long at least.
const LEAST_GAP: Duration = Duration::from_millis(10);
const MOST_GAP: Duration = Duration::from_millis(100);
/// Once more for the case that a packet is lost.
const OWN_PROBES: usize = 2;
/// When the link's queue is full.
const QUEUE_FULL: Duration = Duration::from_millis(1);
/// Nothing leaves it any more, if it has been full for so long.
const QUEUE_STUCK: Duration = Duration::from_secs(2);

impl ScanTask {
    pub fn new(socket: ScanSocket, addresses: AddressSet, own: OwnAddresses, config: ScanConfig) -> Self {
        let now = Instant::now();
        let size = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        ScanTask {
            socket,
            addresses,
            own,
            own_asked: Vec::new(),
            schedule: RetrySchedule::new(size, config.tries),
            rate: RateLimit::new(config.rate, now),
            config,
            epoch: realtime_now(),
            last_sent: now,
            last_heard: None,
            longest: Duration::ZERO,
            full_since: None,
            broken: None,
            packets_sent: 0,
        }
    }

    /// How many addresses there are.
    pub fn len(&self) -> u64 {
        self.addresses.len()
    }

    /// How many of them were never asked for.
    pub fn not_asked(&self) -> u64 {
        self.schedule.not_asked().into()
    }

    pub fn share_done(&self) -> f64 {
        self.schedule.share_done()
    }

    /// How long it takes if nothing answers.
    pub fn expected(&self) -> Duration {
        let packets = self.len() as f64 * f64::from(self.config.tries);
        Duration::from_secs_f64(packets / f64::from(self.config.rate)) + self.config.timeout
    }

    /// Answers that the kernel has thrown away.
    pub fn dropped(&mut self) -> u64 {
        self.socket.dropped()
    }

    /// How long an address that was asked for is left alone.
    fn gap(&self) -> Duration {
        let timeout = self.config.timeout;
        match self.last_heard {
            Some(_) => (self.longest * 4).clamp(LEAST_GAP, timeout.max(LEAST_GAP)),
            None => (timeout / self.config.tries.max(1)).clamp(LEAST_GAP, MOST_GAP),
        }
    }

    /// Sends what the rate allows. When there is more to do, or that all is over.
    pub fn advance(&mut self, now: Instant) -> Option<Instant> {
        loop {
            if self.broken.is_some() {
                return None;
            }
            let allowance = self.rate.allowance(now);
            if allowance == 0 {
                return Some(self.rate.next());
            }
            let at = since(self.epoch, realtime_now());
            if self.own_asked.is_empty() {
                self.probe_own(at);
            }
            match self.schedule.next(allowance.min(BURST as usize), at, self.gap()) {
                NextProbes::Send(numbers) => match self.send(&numbers) {
                    Ok(0) => {
                        let stuck = self.config.timeout.max(QUEUE_STUCK);
                        if self.full_since.get_or_insert(now).elapsed() > stuck {
                            let what = "nothing can be sent: the queue of the interface stays full";
                            self.broken = Some(Failure::failed(self.socket.name(), what));
                        }
                        return Some(now + QUEUE_FULL);
                    }
                    Ok(count) => {
                        self.full_since = None;
                        self.rate.sent(count);
                        self.packets_sent += count as u64;
                        self.last_sent = Instant::now();
                    }
                    Err(failure) => self.broken = Some(failure),
                },
                NextProbes::Wait(left) => {
                    self.probe_own(at);
                    return Some(now + left);
                }
                NextProbes::Nothing if self.packets_sent == 0 => return None,
                NextProbes::Nothing => return Some(self.silent_at()).filter(|at| *at > now),
            }
        }
    }

    /// Asks for the own addresses, unless that was done twice.
    fn probe_own(&mut self, at: Micros) {
        if self.own_asked.len() < OWN_PROBES && !self.own.addresses.is_empty() {
            self.socket.probe(&self.own.addresses);
            self.packets_sent += self.own.addresses.len() as u64;
            self.own_asked.push(at);
        }
    }

    /// When nothing more is to be expected: when the silence is long compared with the round trips that were seen.
    fn silent_at(&self) -> Instant {
        let ScanConfig { timeout, least_silence, .. } = self.config;
        match self.last_heard {
            None => self.last_sent + timeout,
            Some(heard) => {
                let silence = (self.longest * 10).max(least_silence).min(timeout);
                (heard.max(self.last_sent) + silence).min(self.last_sent + timeout)
            }
        }
    }

    /// Asks for these; how many of them were.
    fn send(&mut self, numbers: &[u32]) -> Result<usize, Failure> {
        let addresses = numbers.iter().filter_map(|number| Some((*number, self.addresses.get(*number)?)));
        let addresses: Vec<_> = addresses.collect();
        let before = realtime_now();
        let count = self.socket.send(&addresses)?;
        // Until the kernel says when each left: one call sends many, evenly in its time.
        let took = realtime_now().saturating_sub(before);
        for (nth, number) in (0..).zip(&numbers[..count]) {
            let left_at = before + took * nth / u32::try_from(count).unwrap_or(1).max(1);
            self.schedule.asked(*number, since(self.epoch, left_at));
        }
        Ok(count)
    }

    /// Reads all that has come; the answers that are new.
    pub fn receive(&mut self, results: &mut ScanResults) -> Vec<NewReply> {
        let (schedule, epoch) = (&mut self.schedule, self.epoch);
        let size = u32::try_from(self.addresses.len()).unwrap_or(u32::MAX);
        let left = |number, at| schedule.left(number, since(epoch, at));
        let arrivals = self.socket.receive(size, results, left);
        let mut new = Vec::new();
        for arrival in arrivals {
            if self.own.addresses.contains(&arrival.address) {
                new.extend(self.conflict(arrival, results));
                continue;
            }
            let Some(took) = self.answered(&arrival) else {
                results.strays += 1;
                continue;
            };
            let ScanArrival { address, claim, .. } = arrival;
            let reply = ScanReply { claim, took };
            let kind = results.heard(address, reply.clone());
            if kind != ReplyKind::Known {
                new.push(NewReply { address, reply, kind, is_own: false });
            }
        }
        new
    }

    /// An answer for an address of the container's own, if it is somebody else's.
    fn conflict(&self, arrival: ScanArrival, results: &mut ScanResults) -> Option<NewReply> {
        let claim = arrival.claim.filter(|claim| !self.own.macs.contains(&claim.mac))?;
        let at = since(self.epoch, arrival.at.unwrap_or_else(realtime_now));
        let asked = self.own_asked.iter().rev().find(|asked| **asked <= at)?;
        let took = Duration::from_micros(at.saturating_sub(*asked).into());
        let reply = ScanReply { claim: Some(claim), took };
        let kind = results.conflict(arrival.address, reply.clone());
        (kind != ReplyKind::Known).then_some(NewReply { address: arrival.address, reply, kind, is_own: true })
    }

    /// How long it took; `None` for what answers no probe.
    fn answered(&mut self, arrival: &ScanArrival) -> Option<Duration> {
        let number = self.addresses.number_of(arrival.address)?;
        if arrival.sequence.is_some_and(|sequence| sequence != number as u16) {
            return None;
        }
        let at = since(self.epoch, arrival.at.unwrap_or_else(realtime_now));
        let took = self.schedule.answered(number, at)?;
        self.longest = self.longest.max(took);
        self.last_heard = Some(Instant::now());
        Some(took)
    }
}

fn since(epoch: Duration, at: Duration) -> Micros {
    at.saturating_sub(epoch).as_micros() as Micros
}

impl AsFd for ScanTask {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
