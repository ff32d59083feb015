//! netns-ping, end to end.
//!
//! Observers: `ping`, `ip -j`, and responders of the tests' own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy knows tests by their attribute, which shared code has not"
)]

#[path = "../support/mod.rs"]
mod support;

mod arp;
mod sweep;
mod words;

use support::container::Container;
use support::lab::Lab;
use support::run::{Ran, Run};

/// Runs netns-ping from `container`, which is the TARGET; the other words are split at spaces, options first.
#[track_caller]
fn ping_from(lab: &Lab, container: &Container, words: &str) -> Ran {
    let pid = format!("pid:{}", container.pid);
    let mut words: Vec<&str> = words.split_whitespace().collect();
    // Options come before the TARGET, for some of them take a value; the last word is the DEST.
    let dest = words.pop();
    words.push(&pid);
    words.extend(dest);
    lab.tool("netns-ping").args(words).run()
}

/// Waits until no address of these is tentative any more, which takes a link-local one a second or two.
fn settled(containers: &[&Container]) {
    for container in containers {
        while container.ip("address show tentative").stdout.contains("inet6") {
            std::thread::yield_now();
        }
    }
}
