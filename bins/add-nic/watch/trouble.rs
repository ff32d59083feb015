//! What keeps a NIC from being plugged in: said once for as long as it lasts, and tried again ever more seldom.

use std::collections::HashSet;
use std::fmt::Display;
use std::time::{Duration, Instant};

use common::failure::{self, Failure, FailureText, say};

use crate::model::request::WatchRequest;
use crate::tool::TOOL;

/// An engine that never stops talking has us try once in so long.
const SHORTEST: Duration = Duration::from_secs(1);
/// What has failed for an hour can wait for another minute.
const LONGEST: Duration = Duration::from_secs(60);

/// What went wrong since it last went well.
#[derive(Debug, Default)]
pub struct Trouble {
    said: HashSet<String>,
    /// What is waited for, which is no trouble.
    waits: Option<FailureText>,
    last: Option<Instant>,
    pause: Duration,
}

impl Trouble {
    /// When to try again; `None` when nothing has gone wrong.
    pub fn next(&self) -> Option<Instant> {
        self.last.map(|last| last + self.pause)
    }

    /// Whether it is time to try.
    pub fn is_due(&self) -> bool {
        self.next().is_none_or(|next| next <= Instant::now())
    }

    /// Whether nothing has gone wrong, and nothing is waited for.
    pub fn is_none(&self) -> bool {
        self.last.is_none() && self.waits.is_none()
    }

    /// Something has changed, and maybe what was in the way.
    pub fn stir(&mut self) {
        self.pause = SHORTEST;
    }

    /// It went well.
    pub fn is_over(&mut self) {
        *self = Trouble::default();
    }

    /// There is nothing to do yet, and somebody will say when there is.
    pub fn waits(&mut self, about: impl Display, failure: Failure, request: &WatchRequest) {
        // Who does not stay is not told by what comes.
        if (request.find.verbose || request.once) && self.waits != failure.message {
            say(TOOL, format_args!("{about}: {}", failure.message.as_deref().unwrap_or_default()));
        }
        *self = Trouble { waits: failure.message, ..Trouble::default() };
    }

    /// It went wrong.
    pub fn had(&mut self, about: impl Display, failure: Failure) {
        self.last = Some(Instant::now());
        self.pause = (self.pause * 2).clamp(SHORTEST, LONGEST);
        let Failure { message: Some(message), .. } = &failure else { return };
        if self.said.insert(gist(message)) {
            failure::report(TOOL, &failure.within(about));
        }
    }
}

/// What a message is about, without the link-layer addresses that are made up anew for each try.
fn gist(message: &str) -> String {
    let is_mac = |word: &str| word.len() == 17 && word.bytes().filter(|byte| *byte == b':').count() == 5;
    message.split(' ').filter(|word| !is_mac(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_a_made_up_address_alone_is_the_same() {
        let said = |mac| gist(&format!("ip link add web-eth0 address {mac} type veth: no buffer space"));
        assert_eq!(said("02:00:00:00:00:01"), said("fe:12:34:56:78:9a"));
        assert_ne!(said("02:00:00:00:00:01"), gist("ip link add web-eth0: no buffer space"));
    }

    #[test]
    fn it_is_tried_again_ever_more_seldom_and_soon_when_something_has_changed() {
        let mut trouble = Trouble::default();
        assert!(trouble.is_due() && trouble.next().is_none());
        let pauses: Vec<u64> = (0..8)
            .map(|_| {
                trouble.had("web", Failure::said(failure::Status::Trouble, "no"));
                trouble.pause.as_secs()
            })
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(!trouble.is_due());
        trouble.stir();
        assert!(trouble.next().unwrap() <= Instant::now() + SHORTEST);
        trouble.is_over();
        assert!(trouble.is_due());
    }
}
