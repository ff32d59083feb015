//! Weighs a command: the peak resident memory of what it runs.

use std::{
    env,
    ffi::OsString,
    process::{Command, Stdio},
};

use nix::sys::resource::{UsageWho, getrusage};

use crate::{program, stopwatch::Runner, trouble::Trouble};

/// Peak RSS in KiB, measured by a copy of this program: getrusage(2) knows the largest of *all* children.
pub(crate) fn peak_rss_kib(runner: &Runner) -> Result<u64, Trouble> {
    let ourselves = env::current_exe().map_err(Trouble::call("find this program"))?;
    let mut command = Command::new(ourselves);
    let said = program::answer(command.arg("inner-weigh").arg("--").arg(&runner.program).args(&runner.args))?;
    said.parse().map_err(|_| Trouble::Unexpected { command: "inner-weigh".into(), said })
}

/// The copy's work.
pub(crate) fn weigh(command: &[OsString]) -> Result<i64, Trouble> {
    let [program, args @ ..] = command else { return Ok(0) };
    let mut command = Command::new(program);
    // A PATH of its own makes std fork instead of vfork. After a vfork, exec would charge the child with *our* pages
    // (fs/exec.c, exec_mmap: the peak of the old address space is kept), and the small tools are smaller than we are.
    command.args(args).env("PATH", env::var_os("PATH").unwrap_or_default());
    let done = command.stdin(Stdio::null()).stdout(Stdio::null()).output().map_err(Trouble::path(program))?;
    if !done.status.success() {
        let stderr = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        return Err(Trouble::Failed { command: program::line(&command), status: done.status, stderr });
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(Trouble::call("getrusage"))?;
    Ok(usage.max_rss())
}
