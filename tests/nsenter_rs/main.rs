//! nsenter-rs, end to end, side by side with the nsenter of util-linux.
//!
//! Observers: util-linux nsenter, `/proc/PID/ns` as seen from outside, `docker inspect`.

#![cfg(test)]

mod as_engines;
mod cgroup;
mod compatibility;
mod confine;
mod docker;
mod each;
mod each_running;
mod each_stopped;
mod elsewhere;
mod explain;
mod exploits;
mod fence;
mod habits;
mod host_programs;
mod host_tools;
mod host_tools_attacked;
mod host_tools_crowd;
mod host_tools_docker;
mod host_tools_paths;
mod host_tools_places;
mod identity;
mod inside;
mod namespaces;
mod program;
mod prompt;
mod pty;
mod refusals;
mod side_by_side;
mod signals;
mod surroundings;
mod users;
mod words;

use std::process::Command;

use support::lab::Lab;
use support::run::{Ran, Run};

/// Only directories that everybody can look into: in others, a program that is missing cannot be told from one
/// that is forbidden.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// What is said where the container is trusted with all our power.
const TRUSTED: &str = "nsenter-rs: --trust-target: the container's files decide what the program loads and runs, and it has all capabilities and files of the caller\n";

/// Runs nsenter-rs in the lab, and util-linux's nsenter with the same arguments: they must agree in everything
/// but what they say of themselves.
#[track_caller]
fn like_util_linux(lab: &Lab, arguments: &[&str]) -> Ran {
    let [ours, theirs] = [lab.tool("nsenter-rs"), lab.command(util_linux())]
        .map(|mut command| command.env("PATH", PATH).args(arguments).run());
    assert_eq!(ours.stdout, theirs.stdout, "stdout of {ours}\nand of {theirs}");
    assert_eq!(ours.status, theirs.status, "status of {ours}\nand of {theirs}");
    ours
}

/// The same for what util-linux has only `since` that version; with an older one, ours runs alone.
#[track_caller]
fn like_newer_util_linux(lab: &Lab, since: (u32, u32), arguments: &[&str]) -> Ran {
    if version_of_util_linux() >= since {
        return like_util_linux(lab, arguments);
    }
    lab.tool("nsenter-rs").env("PATH", PATH).args(arguments).run()
}

/// The nsenter to compare with: the one that is installed, or another one.
fn util_linux() -> String {
    std::env::var("NETNS_TOOLBOX_NSENTER").unwrap_or_else(|_| "nsenter".to_owned())
}

/// Its version: (2, 38).
#[track_caller]
fn version_of_util_linux() -> (u32, u32) {
    let said = Command::new(util_linux()).arg("--version").run().ok();
    let mut numbers = said.text().rsplit(' ').next().unwrap_or_default().split(['.', '-']).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        _ => panic!("no version in {said}"),
    }
}

#[test]
#[ignore = "is no test, but the name server of some"]
fn fake_name_server() {
    support::name_server::serve();
}
