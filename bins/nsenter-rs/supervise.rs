//! A parent that nobody notices: signals reach the program, its stops are ours, and so is its end.

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use common::failure::Failure;
use common::sys;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

use crate::reap::Reported;
use crate::refused;
use crate::streams::Carrier;

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

/// Runs `start` in a child, and becomes its shadow until it ends: its exit status is ours, and a signal that
/// kills it kills us. The child does not outlive us, however we die.
///
/// In the child this returns what `start` returns. Without `alone` there is somebody who sends signals to our whole
/// process group: then they are not for us to pass on, or the child would have each twice.
pub fn child(
    alone: bool,
    beside: impl FnOnce() -> Beside,
    start: impl FnOnce(&Leash) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    fork(&[], start, |child, watched| shadow(child, watched, alone, beside()))
}

/// What a shadow does beside passing signals on.
#[derive(Debug)]
pub struct Beside {
    pub carrier: Carrier,
    pub reported: Reported,
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

fn shadow(child: Pid, watched: &SigSet, passes_on: bool, beside: Beside) -> nix::Result<ExitCode> {
    let Beside { mut carrier, mut reported } = beside;
    let signals = SignalFd::with_flags(watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    loop {
        let mut awaited = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        awaited.extend(reported.awaited());
        let reports_at = awaited.len();
        awaited.extend(carrier.awaited());
        match poll(&mut awaited, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            ready => ready?,
        };
        let is_reported = awaited[1..reports_at].iter().any(|pipe| pipe.any() == Some(true));
        drop(awaited);
        carrier.carry();
        if let Some(end) = is_reported.then(|| reported.hear()).flatten() {
            carrier.finish();
            return Ok(end.share());
        }
        let Some(received) = signals.read_signal()? else { continue };
        let signal = Signal::try_from(received.ssi_signo.cast_signed())?;
        if signal != Signal::SIGCHLD {
            // A positive code says that the kernel sent it: the terminal's driver, which has sent it to the
            // program too, for that is in our process group.
            if passes_on && received.ssi_code <= 0 {
                let _ = kill(child, signal);
            }
            continue;
        }
        match change_of(child)? {
            Change::Ended(end) => {
                carrier.finish();
                return Ok(end.share());
            }
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
    Killed(Signal),
}

/// What SIGCHLD was about.
pub fn change_of(child: Pid) -> nix::Result<Change> {
    Ok(match waitpid(child, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED))? {
        WaitStatus::Exited(_, code) => Change::Ended(End::Exited(code)),
        WaitStatus::Signaled(_, signal, _) => Change::Ended(End::Killed(signal)),
        WaitStatus::Stopped(..) => Change::Stopped,
        _ => Change::Nothing,
    })
}

impl End {
    /// Ends as the child did, at once.
    pub fn end(self) -> ! {
        let status = match self {
            End::Exited(code) => code,
            End::Killed(signal) => {
                die_of(signal);
                128 + signal as i32
            }
        };
        std::process::exit(status)
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
pub fn die_of(signal: Signal) -> ExitCode {
    // The program has left a core file, if it was to leave one.
    let _ = prctl::set_dumpable(false);
    // Our own caller, or Rust's start-up code in the case of SIGPIPE, may have left it ignored.
    let _ = sys::default_action(signal);
    let _ = SigSet::from(signal).thread_unblock();
    let _ = raise(signal);
    exit_code(128 + signal as i32)
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}
