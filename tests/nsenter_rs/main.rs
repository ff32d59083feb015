//! nsenter-rs, end to end, side by side with the nsenter of util-linux.
//!
//! Observers: util-linux nsenter, `/proc/PID/ns` as seen from outside, `docker inspect`.

#[path = "../support/mod.rs"]
mod support;

mod docker;
mod host_tools;
mod host_tools_attacked;
mod host_tools_docker;
mod host_tools_places;
mod namespaces;
mod program;
mod signals;
mod surroundings;
mod users;
mod words;

use support::lab::Lab;
use support::run::{Ran, Run};

/// Only directories that everybody can look into: in others, a program that is missing cannot be told from one
/// that is forbidden.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs nsenter-rs in the lab, and util-linux's nsenter with the same arguments: they must agree in everything
/// but what they say of themselves.
#[track_caller]
fn like_util_linux(lab: &Lab, arguments: &[&str]) -> Ran {
    let [ours, theirs] = [lab.tool("nsenter-rs"), lab.command("nsenter")]
        .map(|mut command| command.env("PATH", PATH).args(arguments).run());
    assert_eq!(ours.stdout, theirs.stdout, "stdout of {ours}\nand of {theirs}");
    assert_eq!(ours.status, theirs.status, "status of {ours}\nand of {theirs}");
    ours
}
