//! Where faults can be put into a program: at each of its system calls, by strace.

use std::collections::BTreeMap;
use std::fs;

use crate::lab::Lab;
use crate::run::Run;
use crate::tier;

/// System calls that change something, or move the program to where it changes something: each of them is a step of its
/// own, and `make test` has a fault at every one.
const CHANGES: [&str; 17] = [
    "sendto",
    "sendmsg",
    "write",
    "mount",
    "umount2",
    "open_tree",
    "move_mount",
    "setns",
    "unshare",
    "mkdir",
    "mkdirat",
    "linkat",
    "renameat",
    "renameat2",
    "symlinkat",
    "unlink",
    "unlinkat",
];

/// Of all others it has one at the first, the last and one between.
const OF_OTHERS: u32 = 3;

/// How often `command` makes each system call in `lab`; that of `strace` itself, which starts it, left out.
#[track_caller]
pub fn calls(lab: &Lab, strace: &str, command: &str) -> BTreeMap<String, u32> {
    lab.shell(&format!("{strace} -o /run/calls {command}")).run().ok();
    let log = fs::read_to_string(lab.path("/run/calls")).unwrap();
    let mut calls = BTreeMap::new();
    for line in log.lines() {
        let call =
            line.split(' ').find(|word| !word.is_empty() && !word.starts_with(|c: char| c.is_ascii_digit()));
        if let Some((name, _)) = call.and_then(|call| call.split_once('(')) {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    calls.remove("execve");
    calls
}

/// Whether that system call changes something, or moves the program to where it changes something.
pub fn changes(call: &str) -> bool {
    CHANGES.contains(&call)
}

/// At which of the `count` times that a program makes `call` to put a fault: at no more than `most`, spread evenly.
pub fn times(call: &str, count: u32, most: u32) -> Vec<u32> {
    let wanted = if tier::is_all() || changes(call) { most } else { most.min(OF_OTHERS) };
    let some = wanted.min(count);
    match some {
        0 | 1 => (1..=some).collect(),
        _ => (0..some).map(|at| 1 + at * (count - 1) / (some - 1)).collect(),
    }
}
