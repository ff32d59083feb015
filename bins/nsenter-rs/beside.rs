//! Who is in a PID namespace: beside a container's first process there may be more powerful ones, of a container that
//! shares the namespace (`--pid container:NAME`, a pod's debugger) or of `docker exec --privileged`.

use std::fs;

use common::namespace::{Identity, Kind};
use common::process::Process;
use nix::sys::stat::stat;
use nix::unistd::Pid;

/// The processes that are in the PID namespace now. One that we may not look at is none: it would not be a container's.
pub fn processes_in(namespace: Identity) -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // To look first is to open few: a host has thousands of processes.
    let looks_right = move |pid: &i32| {
        stat(format!("/proc/{pid}/ns/pid").as_str()).is_ok_and(|stat| Identity::from(&stat) == namespace)
    };
    let opened = pids.filter(looks_right).filter_map(|pid| Process::open(Pid::from_raw(pid)).ok());
    opened.filter(move |process| {
        process.namespace_identity(Kind::Pid).is_ok_and(|identity| identity == namespace)
    })
}
