//! A child that runs the program, with the signals held that its parent will pass on to it.

use std::process::ExitCode;

use common::failure::Failure;
use common::sys;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::{ForkResult, Pid};

use super::parent_death::ParentDeathSignal;

/// Signals that are sent to us and meant for the program.
const FORWARDED: [Signal; 7] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
];

/// Those of them that ask to end.
pub const ENDS: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// Whether `signal` asks to end. A process that has stopped does not obey it before it goes on, so SIGCONT comes after.
pub fn asks_to_end(signal: Signal) -> bool {
    ENDS.contains(&signal)
}

/// Runs `start` in a child, and `shadow` beside it, which watches for signals of `also` too. They reach it through a
/// signalfd, and are blocked from before the child exists.
///
/// In the child this returns what `start` returns.
pub fn fork(
    also: &[Signal],
    start: impl FnOnce(&ParentDeathSignal) -> Result<ExitCode, Failure>,
    shadow: impl FnOnce(Pid, &SigSet) -> nix::Result<ExitCode>,
) -> Result<ExitCode, Failure> {
    let as_failure = |errno: Errno| Failure::failed("fork", errno.desc());
    let parent = ParentDeathSignal::of_this_process()?;
    // A caller may have left it ignored, and then the kernel would tell us nothing, and reap the child itself.
    sys::default_action(Signal::SIGCHLD).map_err(as_failure)?;
    // Blocked before the fork: a signal that arrives now is neither lost nor obeyed too early.
    let mut watched: SigSet = FORWARDED.iter().chain(also).copied().collect();
    watched.add(Signal::SIGCHLD);
    let before = watched.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(as_failure)?;
    match sys::fork_single_threaded().map_err(not_forked)? {
        ForkResult::Child => {
            before.thread_set_mask().map_err(as_failure)?;
            start(&parent)
        }
        ForkResult::Parent { child } => shadow(child, &watched).map_err(as_failure),
    }
}

/// Why there is no child.
fn not_forked(errno: Errno) -> Failure {
    match errno {
        // pid_namespaces(7): so the kernel says it.
        Errno::ENOMEM => Failure::failed(
            "fork",
            "the PID namespace has ended: its first process has exited (or there is no memory)",
        ),
        Errno::EAGAIN => Failure::failed("fork", "the limit on the number of processes is reached")
            .hint(common::sentence!("look at ulimit -u, and at pids.max of the caller's control group")),
        errno => Failure::failed("fork", errno.desc()),
    }
}
