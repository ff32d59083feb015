//! Drift: what others changed of NICs that are there. Notices it, and has it repaired; what comes back at once at growing intervals.
//!
//! Events say when to look: the kernel's about links, addresses, routes and policy rules, of the host and of the containers that
//! veth pairs lead to, and about nf_tables. Settings under /proc/sys, rules of the old iptables, and what happens inside a container
//! with a macvlan or a host interface cause none: for these it looks once a minute.

use std::fmt::Display;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use common::failure::{self, Failure, say};
use common::netlink::ChangeListener;

use crate::tool::TOOL;

/// Without events.
const AT_LEAST_EVERY: Duration = Duration::from_secs(60);
/// A busy host has events all the time.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// Whoever changes something makes several changes.
const BURST: Duration = Duration::from_millis(50);
/// The interval between two repairs of one NIC grows up to this.
const LONGEST: Duration = Duration::from_secs(60);

/// When the next look is due.
#[derive(Debug)]
pub struct DriftClock {
    routing: ChangeListener,
    nftables: Option<ChangeListener>,
    last: Option<Instant>,
    next: Instant,
}

impl DriftClock {
    /// The first look is due at once.
    pub fn start() -> Result<Self, Failure> {
        let (routing, nftables) = (ChangeListener::routing()?, ChangeListener::nftables());
        Ok(DriftClock { routing, nftables, last: None, next: Instant::now() })
    }

    /// What wakes a wait.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::once(&self.routing).chain(&self.nftables).map(AsFd::as_fd)
    }

    pub fn next(&self) -> Instant {
        self.next
    }

    pub fn is_due(&self) -> bool {
        self.next <= Instant::now()
    }

    /// The next look is due at once.
    pub fn look_now(&mut self) {
        self.next = Instant::now();
    }

    /// A look begins: what happens from now on is for the next one.
    pub fn looks(&mut self) {
        let now = Instant::now();
        self.listeners_heard();
        (self.last, self.next) = (Some(now), now + AT_LEAST_EVERY);
    }

    /// Takes all events; if there were any, the next look is due soon.
    pub fn listen(&mut self) {
        if self.listeners_heard() {
            let soon = Instant::now() + BURST;
            let after_last = self.last.map_or(soon, |last| last + AT_MOST_EVERY);
            self.next = self.next.min(soon.max(after_last));
        }
    }

    fn listeners_heard(&self) -> bool {
        let rules = self.nftables.as_ref().is_some_and(ChangeListener::heard);
        self.routing.heard() | rules
    }
}

/// The repairs of one NIC.
#[derive(Debug, Default)]
pub struct RepairState {
    last: Option<Instant>,
    pause: Duration,
    /// Whether it was said that it comes back.
    is_said: bool,
    /// Whether something differs, and waits for its repair.
    waits: bool,
    /// What could not be repaired, as it was reported.
    failed: Option<String>,
}

impl RepairState {
    /// Nothing differs.
    pub fn is_as_made(&mut self) {
        (self.waits, self.failed) = (false, None);
    }

    /// Something differs: whether it is time to repair it.
    pub fn is_due(&mut self) -> bool {
        let now = Instant::now();
        self.waits = self.last.is_some_and(|last| now < last + self.pause);
        !self.waits
    }

    /// When a repair is due that had to wait.
    pub fn next(&self) -> Option<Instant> {
        self.last.filter(|_| self.waits).map(|last| last + self.pause)
    }

    /// Whether the NIC is as the file says, as far as the last look saw.
    pub fn is_clear(&self) -> bool {
        !self.waits && self.failed.is_none()
    }

    /// It was repaired, or is made again: says what differed. The second time within a minute that is the last it says, until
    /// the NIC stays as it is.
    pub fn repaired(&mut self, about: impl Display, differed: &[String]) {
        let now = Instant::now();
        let comes_back = self.last.is_some_and(|last| now < last + self.pause + LONGEST);
        let again = "changed again within a minute; from now on it is repaired at growing intervals of up to one minute";
        match (comes_back, self.is_said) {
            (false, _) => say(TOOL, format_args!("{about}: {}", differed.join("; "))),
            (true, false) => say(TOOL, format_args!("{about}: {}: {again}", differed.join("; "))),
            (true, true) => {}
        }
        self.is_said = comes_back;
        self.pause = if comes_back { (self.pause * 2).clamp(AT_MOST_EVERY, LONGEST) } else { AT_MOST_EVERY };
        (self.last, self.failed, self.waits) = (Some(now), None, false);
    }

    /// It could not be repaired: reported once for as long as it stays the same.
    pub fn failed(&mut self, about: impl Display, failure: Failure) {
        let text = failure.text().to_owned();
        if self.failed.as_ref() != Some(&text) && !failure.is_already_said() {
            failure::report(TOOL, &failure.within(about));
        }
        (self.failed, self.last) = (Some(text), Some(Instant::now()));
        self.pause = (self.pause * 2).clamp(AT_MOST_EVERY, LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_repaired_at_growing_intervals() {
        let mut state = RepairState::default();
        let pauses: Vec<u64> = (0..9)
            .map(|_| {
                state.repaired("web", &["eth0 is down".to_owned()]);
                state.pause.as_secs()
            })
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(!state.is_due() && state.next().is_some() && !state.is_clear());
        state.is_as_made();
        assert!(state.is_clear() && state.next().is_none());
    }
}
