//! When a failed entry is tried again, and which of its failures have been reported: each once, as long as it lasts.

use std::collections::HashSet;
use std::fmt::Display;
use std::time::{Duration, Instant};

use common::failure::{self, Failure, say};

use crate::model::request::WatchRequest;
use crate::tool::TOOL;
use crate::watch::drift::RepairState;

/// Also with an engine that reports events all the time.
const SHORTEST: Duration = Duration::from_secs(1);
/// The interval grows up to this.
const LONGEST: Duration = Duration::from_secs(60);
/// While a container is restarted, its engine's files and answers contradict each other for a moment.
const MOMENT: Duration = Duration::from_secs(3);

/// What has failed since the last success.
#[derive(Debug, Default)]
pub struct RetryState {
    reported: HashSet<String>,
    /// What is waited for, which is not a failure.
    waits: Option<String>,
    last: Option<Instant>,
    pause: Duration,
    /// Since when it cannot be told what its container is.
    undecided: Option<Instant>,
    /// What is there already.
    pub repairs: RepairState,
}

impl RetryState {
    /// When to try again; `None` after a success.
    pub fn next(&self) -> Option<Instant> {
        self.last.map(|last| last + self.pause)
    }

    /// Whether it is time to try again.
    pub fn is_due(&self) -> bool {
        self.next().is_none_or(|next| next <= Instant::now())
    }

    /// Whether nothing has failed, and nothing is waited for.
    pub fn is_clear(&self) -> bool {
        self.last.is_none() && self.waits.is_none() && self.repairs.is_clear()
    }

    /// Something has changed, and the next attempt may succeed.
    pub fn retry_soon(&mut self) {
        self.pause = SHORTEST;
    }

    /// An attempt succeeded.
    pub fn succeeded(&mut self) {
        *self = RetryState { repairs: std::mem::take(&mut self.repairs), ..RetryState::default() };
    }

    /// There is nothing to do yet; an event will say when there is.
    pub fn waits_for(&mut self, about: impl Display, failure: Failure, request: &WatchRequest) {
        // With --once there is no later event.
        if (request.find.verbose || request.once) && self.waits.as_deref() != Some(failure.text()) {
            say(TOOL, format_args!("{about}: {}", failure.text()));
        }
        // With its container, what was wrong with the NIC is gone.
        *self = RetryState { waits: Some(failure.text().to_owned()), ..RetryState::default() };
    }

    /// It cannot be told what its container is, or whether it runs: reported only if that is so for longer than a moment.
    pub fn undecided(&mut self, about: impl Display, failure: Failure) {
        let now = Instant::now();
        let since = *self.undecided.get_or_insert(now);
        if now.saturating_duration_since(since) < MOMENT {
            (self.last, self.pause) = (Some(now), SHORTEST);
            return;
        }
        self.failed(about, failure);
        self.undecided = Some(since);
    }

    /// An attempt failed.
    pub fn failed(&mut self, about: impl Display, failure: Failure) {
        (self.last, self.undecided) = (Some(Instant::now()), None);
        self.pause = (self.pause * 2).clamp(SHORTEST, LONGEST);
        if !failure.is_already_said() && self.reported.insert(without_macs(failure.text())) {
            failure::report(TOOL, &failure.within(about));
        }
    }
}

/// A message without MAC addresses: random ones differ with each attempt.
pub fn without_macs(message: &str) -> String {
    let is_mac = |word: &str| word.len() == 17 && word.bytes().filter(|byte| *byte == b':').count() == 5;
    message.split(' ').filter(|word| !is_mac(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_differ_only_in_a_random_address_are_the_same() {
        let said =
            |mac| without_macs(&format!("ip link add web-eth0 address {mac} type veth: no buffer space"));
        assert_eq!(said("02:00:00:00:00:01"), said("fe:12:34:56:78:9a"));
        assert_ne!(said("02:00:00:00:00:01"), without_macs("ip link add web-eth0: no buffer space"));
    }

    #[test]
    fn what_cannot_be_told_is_reported_if_it_lasts() {
        let mut retry = RetryState::default();
        let mut undecided = |since: Option<Duration>| {
            if let Some(ago) = since {
                retry.undecided = Instant::now().checked_sub(ago);
            }
            retry.undecided("web", Failure::said(failure::Status::Failed, "no"));
            (retry.reported.len(), retry.pause.as_secs(), retry.is_clear())
        };
        assert_eq!(undecided(None), (0, 1, false), "tried again soon, and without a word");
        assert_eq!(undecided(None), (0, 1, false));
        assert_eq!(undecided(Some(MOMENT)).0, 1);
        assert_eq!(undecided(None).0, 1, "once");
        retry.succeeded();
        assert!(retry.undecided.is_none() && retry.is_clear());
    }

    #[test]
    fn the_interval_grows_and_a_change_resets_it() {
        let mut retry = RetryState::default();
        assert!(retry.is_due() && retry.next().is_none());
        let pauses: Vec<u64> = (0..8)
            .map(|_| {
                retry.failed("web", Failure::said(failure::Status::Failed, "no"));
                retry.pause.as_secs()
            })
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(!retry.is_due());
        retry.retry_soon();
        assert!(retry.next().unwrap() <= Instant::now() + SHORTEST);
        retry.succeeded();
        assert!(retry.is_due());
    }
}
