//! `--pty`: the program has a terminal of its own, and whoever runs it hardly notices.
mod operator;
mod program;

use std::fs;
use std::process::Command;

use support::container::{Container, Options};
use support::lab::Lab;
use support::run::{LIMIT, RunningProgram};
use support::until::until_some;

/// Where the program is: with and without a PID namespace of its own.
const WAYS: [&str; 2] = ["-n", "-p"];

fn web(lab: &Lab) -> Container {
    lab.container("web", Options::only(&["net", "pid"]))
}

fn pty(lab: &Lab, web: &Container, way: &str, script: &str) -> Command {
    let mut enter = lab.tool("nsenter-rs");
    enter.args(["-t", &web.pid.to_string(), way, "--pty", "sh", "-c", script]);
    enter
}

/// The PID that the test sees of the process called `name` below `running`, once there is one.
#[track_caller]
pub(crate) fn find(running: &RunningProgram, name: &str) -> i32 {
    let found = eventually(|| {
        let mut line = vec![running.pid()];
        while let Some(pid) = line.pop() {
            if fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name) {
                return Some(pid);
            }
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            line.extend(children.split_whitespace().filter_map(|child| child.parse::<i32>().ok()));
        }
        None
    });
    found.unwrap_or_else(|| panic!("no {name} below {}", running.so_far()))
}

/// What `look` finds, for what the kernel tells nobody of when it happens.
fn eventually<T>(look: impl FnMut() -> Option<T>) -> Option<T> {
    until_some(LIMIT, look)
}

/// Whether the process is no more than a zombie.
fn has_ended(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.is_empty() || status.contains("Z (zombie)")
}
