//! netns-link, end to end.
//!
//! Observers: `ip netns`, `ip -n`, `/proc/PID/mountinfo`, `/proc/PID/ns`, directory listings.

#![cfg(test)]

mod docker;
mod faults;
mod host;
mod kill;
mod link;
mod locked;
mod record;
mod registry;
mod remove;
mod states;
mod users;
mod watch;
mod words;

use support::lab::Lab;
use support::run::{Ran, Run};
use support::tools;

/// Runs netns-link in the lab.
#[track_caller]
fn netns_link(lab: &Lab, arguments: &[&str]) -> Ran {
    lab.tool("netns-link").args(tools::patience(arguments)).args(arguments).run()
}

/// All that netns-link could change: the lab's mounts, and every file below `/run`.
#[track_caller]
fn everything(lab: &Lab) -> String {
    // But for the lock that our tools wait for: that it was taken changes nothing.
    let look = "cat /proc/1/mountinfo; find /run -mindepth 1 -path /run/netns-toolbox -prune -o \
                -printf '%p %i %m %U %y %l %T@\\n' | sort";
    lab.shell(look).run().ok().stdout
}

/// How many mounts of the lab are at `path`.
#[track_caller]
fn mounts_at(lab: &Lab, path: &str) -> usize {
    let mounts = lab.command("cat").arg("/proc/1/mountinfo").run().ok();
    mounts.stdout.lines().filter(|line| line.split(' ').nth(4) == Some(path)).count()
}
