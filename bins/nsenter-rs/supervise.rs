//! A parent that nobody notices: signals reach the program, its stops are ours, and so is its end.

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use common::failure::Failure;
use common::sys;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, raise};
use nix::sys::signalfd::SignalFd;
use nix::unistd::{ForkResult, Pid};
use rustix::process::{WaitOptions, WaitStatus, waitpid};

use crate::refused;

/// What somebody may send to us and mean for the program.
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

/// Runs `start` in a child, and becomes its shadow until it ends: its exit status is ours, and a signal that
/// kills it kills us. The child does not outlive us, however we die.
///
/// In the child this returns what `start` returns. Without `alone` there is somebody who sends signals to our whole
/// process group: then they are not for us to pass on, or the child would have each twice.
pub fn child(
    alone: bool,
    start: impl FnOnce(&Leash) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    fork(&[], start, |child, watched| shadow(child, watched, alone))
}

/// The same with another shadow, which watches for signals of `also` too. They reach it through a signalfd, and
/// are blocked from before the child is there.
pub fn fork(
    also: &[Signal],
    start: impl FnOnce(&Leash) -> Result<ExitCode, Failure>,
    shadow: impl FnOnce(Pid, &SigSet) -> nix::Result<ExitCode>,
) -> Result<ExitCode, Failure> {
    let trouble = |errno: Errno| Failure::trouble("fork", errno.desc());
    let leash = Leash::of_this_process()?;
    // A caller may have left it ignored, and then the kernel would tell us nothing, and reap the child itself.
    sys::default_action(Signal::SIGCHLD).map_err(trouble)?;
    // Blocked before the fork: a signal that arrives now is neither lost nor obeyed too early.
    let mut watched: SigSet = FORWARDED.iter().chain(also).copied().collect();
    watched.add(Signal::SIGCHLD);
    let before = watched.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(trouble)?;
    match sys::fork_single_threaded().map_err(refused::forking)? {
        ForkResult::Child => {
            before.thread_set_mask().map_err(trouble)?;
            start(&leash)
        }
        ForkResult::Parent { child } => shadow(child, &watched).map_err(trouble),
    }
}

/// What keeps the child from outliving its parent.
#[derive(Debug)]
pub struct Leash {
    /// Its pidfd, without a look at /proc: by now that may be the container's, which does not show us.
    parent: OwnedFd,
}

impl Leash {
    /// For children of this process.
    pub fn of_this_process() -> Result<Self, Failure> {
        let parent = sys::pidfd_open(Pid::this());
        Ok(Leash { parent: parent.map_err(|errno| Failure::trouble("fork", errno.desc()))? })
    }

    /// Ends this process when the parent has died, or dies later. setuid(2) and the like take this back, so
    /// it comes behind them.
    pub fn put_on(&self) -> Result<(), Failure> {
        self.tie().map_err(|errno| Failure::trouble("parent", errno.desc()))
    }

    fn tie(&self) -> nix::Result<()> {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // A parent that died before would send nothing. getppid(2) cannot tell: from inside another PID
        // namespace it is 0 all the time.
        let mut parent = [PollFd::new(self.parent.as_fd(), PollFlags::POLLIN)];
        match poll(&mut parent, PollTimeout::ZERO)? {
            0 => Ok(()),
            _ => raise(Signal::SIGKILL),
        }
    }
}

fn shadow(child: Pid, watched: &SigSet, passes_on: bool) -> nix::Result<ExitCode> {
    let signals = SignalFd::new(watched)?;
    loop {
        let Some(received) = signals.read_signal()? else { continue };
        let signal = Signal::try_from(received.ssi_signo.cast_signed())?;
        if signal != Signal::SIGCHLD {
            // A positive code says that the kernel sent it: the terminal's driver, which has sent it to the
            // program too, for that is in our process group.
            let is_from_terminal = received.ssi_code > 0;
            if passes_on && !is_from_terminal {
                let _ = kill(child, signal);
            }
            if asks_to_end(signal) {
                let _ = kill(child, Signal::SIGCONT);
                // The terminal's driver has asked our whole process group, of which what PROGRAM has started may have
                // stopped: timeout(1) does the same.
                if passes_on && is_from_terminal {
                    let _ = kill(Pid::from_raw(0), Signal::SIGCONT);
                }
            }
            continue;
        }
        match change_of(child)? {
            Change::Ended(end) => return Ok(end.share()),
            // A child that has stopped stops us, and goes on when we do.
            Change::Stopped => {
                raise(Signal::SIGSTOP)?;
                let _ = kill(child, Signal::SIGCONT);
            }
            Change::Nothing => {}
        }
    }
}

/// What has become of the child.
#[derive(Debug)]
pub enum Change {
    Nothing,
    Stopped,
    Ended(End),
}

/// How the child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Exited(i32),
    /// The signal's number: real-time signals are of no type that nix has.
    Killed(i32),
}

/// What SIGCHLD was about.
pub fn change_of(child: Pid) -> nix::Result<Change> {
    // Not nix's, which reaps a child that a real-time signal has ended and then says EINVAL.
    let child = rustix::process::Pid::from_raw(child.as_raw());
    let waited = waitpid(child, WaitOptions::NOHANG | WaitOptions::UNTRACED)
        .map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
    Ok(match waited {
        Some((_, status)) if status.stopped() => Change::Stopped,
        Some((_, status)) => End::of(status).map_or(Change::Nothing, Change::Ended),
        None => Change::Nothing,
    })
}

impl End {
    /// What wait(2) says of a child that has ended.
    pub fn of(status: WaitStatus) -> Option<Self> {
        status.exit_status().map(End::Exited).or(status.terminating_signal().map(End::Killed))
    }

    /// Ends as the child did: of the same signal, or with the status that this gives back.
    pub fn share(self) -> ExitCode {
        match self {
            End::Exited(code) => exit_code(code),
            End::Killed(signal) => die_of(signal),
        }
    }
}

/// Ends this process by `signal`; what comes back, where that does not, is the status that says the same.
pub fn die_of(signal: i32) -> ExitCode {
    // The program has left a core file, if it was to leave one.
    let _ = prctl::set_dumpable(false);
    // Our own caller, or Rust's start-up code in the case of SIGPIPE, may have left it ignored.
    let _ = sys::default_action_of(signal);
    let _ = sys::unblock(signal);
    let _ = sys::raise(signal);
    exit_code(128 + signal)
}

/// What people call it.
pub fn name_of(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |signal| signal.to_string())
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}
