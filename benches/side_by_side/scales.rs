//! Weighs a command: the peak resident memory of what it runs.

use std::{
    env,
    ffi::OsString,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use nix::{
    sys::resource::{UsageWho, getrusage},
    unistd::getgid,
};

use crate::{error::BenchError, program, stopwatch::Runner};

/// Peak RSS in KiB, measured by a copy of this program: getrusage(2) knows the largest of *all* children.
pub(crate) fn peak_rss_kib(runner: &Runner) -> Result<u64, BenchError> {
    let ourselves = env::current_exe().map_err(BenchError::call("find this program"))?;
    let mut command = Command::new(ourselves);
    let said = program::answer(command.arg("inner-weigh").arg("--").arg(&runner.program).args(&runner.args))?;
    said.parse().map_err(|_| BenchError::Unexpected { command: "inner-weigh".into(), said })
}

/// The copy's work.
pub(crate) fn weigh(command: &[OsString]) -> Result<i64, BenchError> {
    let [program, args @ ..] = command else { return Ok(0) };
    let mut command = Command::new(program);
    // Naming a group, though it is the one we have, makes std fork instead of vfork. After a vfork, exec would
    // charge the child with *our* pages (fs/exec.c, exec_mmap: the peak of the old address space is kept), and
    // small tools are smaller than we are.
    // A fork copies only what we have written to, which is the least that these scales can show: 130 KiB if this bench
    // is built for musl, 550 KiB if for glibc.
    command.args(args).gid(getgid().as_raw());
    let done =
        command.stdin(Stdio::null()).stdout(Stdio::null()).output().map_err(BenchError::path(program))?;
    if !done.status.success() {
        let stderr = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        return Err(BenchError::Failed { command: program::line(&command), status: done.status, stderr });
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(BenchError::call("getrusage"))?;
    Ok(usage.max_rss())
}
