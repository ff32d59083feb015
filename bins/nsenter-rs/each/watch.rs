//! Runs go on, so many at a time: whole lines of all of them are handed on as they come, and one that never ends, or
//! never says anything, holds up no other.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::each::Chosen;
use common::failure::{Failure, say};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use rustix::process::{WaitOptions, wait};

use super::active::Active;
use super::child::{self, ChildSide, ForkSide};
use super::report::{Report, RunEnd};
use super::signals::RunSignals;
use crate::run::child::asks_to_end;
use crate::run::ended::ChildEnd;
use crate::tool::TOOL;

/// What is read at a time.
const CHUNK: usize = 16 << 10;
/// How long runs may wait for others without a word: a command that ends does so by then.
const UNNOTICED: Duration = Duration::from_secs(2);
/// How long runs have to end when their output has no reader any more.
const GRACE: Duration = Duration::from_secs(1);
/// Signals that come closer together are one: timeout(1) sends its own to the process and to the group.
const TOGETHER: Duration = Duration::from_millis(300);

/// All runs.
pub struct ActiveRuns {
    waiting: VecDeque<Chosen>,
    active: Vec<Active>,
    jobs: usize,
    /// When to say how many wait; `None` where it was said.
    say_waiting_at: Option<Instant>,
    report: Report,
    signals: RunSignals,
    nothing: File,
    worst: u8,
    ending: Option<StopCause>,
    chunk: Vec<u8>,
}

/// Why no more runs are begun.
enum StopCause {
    Signalled(Signal, Instant),
    /// Standard output cannot be written to; when it is time to kill.
    Unwritable {
        why: Errno,
        kill_at: Option<Instant>,
    },
}

impl StopCause {
    /// Whether a repeated signal is meant.
    fn is_old(&self) -> bool {
        match self {
            StopCause::Signalled(_, since) => since.elapsed() > TOGETHER,
            StopCause::Unwritable { .. } => true,
        }
    }
}

/// How it went.
pub enum Outcome {
    /// All have ended, with this as the highest status.
    Over(u8),
    /// We were asked to end.
    Signalled(Signal),
    Unwritable(Errno),
    /// We are the child that is to run this.
    Child(Box<Chosen>, ChildSide),
}

/// What poll(2) can tell of.
#[derive(Clone, Copy)]
enum PollSource {
    Signals,
    Stdout,
    Stderr,
    Pipe { active: usize, nth: usize },
}

impl ActiveRuns {
    pub fn new(runs: Vec<Chosen>, jobs: Option<usize>, report: Report) -> Result<Self, Failure> {
        let nothing = File::open("/dev/null").map_err(|error| Failure::failed("/dev/null", error))?;
        Ok(ActiveRuns {
            waiting: runs.into(),
            active: Vec::new(),
            jobs: jobs.unwrap_or(usize::MAX),
            say_waiting_at: Some(Instant::now() + UNNOTICED),
            report,
            signals: RunSignals::catch()?,
            nothing,
            worst: 0,
            ending: None,
            chunk: vec![0; CHUNK],
        })
    }

    /// Goes on until all runs have ended and all that they said is written.
    pub fn over(mut self) -> Result<Outcome, Failure> {
        loop {
            if let Some((run, inside)) = self.begin()? {
                // What is open here belongs to the parent. What is in memory is not worth freeing for PROGRAM.
                std::mem::forget((self.waiting, self.chunk, self.report));
                return Ok(Outcome::Child(Box::new(run), inside));
            }
            let nothing_left = self.active.is_empty() && self.report.is_empty();
            match &self.ending {
                None if nothing_left => return Ok(Outcome::Over(self.worst)),
                Some(StopCause::Signalled(signal, _)) if nothing_left => {
                    return Ok(Outcome::Signalled(*signal));
                }
                Some(StopCause::Unwritable { why, .. }) if self.active.is_empty() => {
                    return Ok(Outcome::Unwritable(*why));
                }
                _ => self.round().map_err(|errno| Failure::failed("poll", errno.desc()))?,
            }
        }
    }

    /// Begins as many as there may be. In the child of one, gives that one.
    fn begin(&mut self) -> Result<Option<(Chosen, ChildSide)>, Failure> {
        while self.ending.is_none() && self.active.len() < self.jobs {
            let Some(run) = self.waiting.pop_front() else { break };
            match child::fork(&self.nothing, &self.signals.before) {
                Ok(ForkSide::Parent(child, output)) => self.active.push(Active::new(run, child, output)),
                Ok(ForkSide::Child(inside)) => return Ok(Some((run, inside))),
                // No more at a time than the limits of this process, or of the machine, allow.
                Err(Errno::EMFILE | Errno::ENFILE | Errno::EAGAIN | Errno::ENOMEM)
                    if !self.active.is_empty() =>
                {
                    self.jobs = self.active.len();
                    self.waiting.push_front(run);
                }
                Err(errno) => return Err(Failure::failed("fork", errno.desc())),
            }
        }
        Ok(None)
    }

    /// Waits for something, and does what has to be done then.
    fn round(&mut self) -> nix::Result<()> {
        for (place, seen) in self.wait()? {
            match place {
                PollSource::Pipe { active, nth } => self.read_pipe(active, nth, seen),
                PollSource::Stderr => self.report.write_stderr(seen),
                PollSource::Stdout => {
                    if let Err(why) = self.report.stdout.write(seen) {
                        self.nobody_reads(why);
                    }
                }
                PollSource::Signals if seen.is_empty() => {}
                PollSource::Signals => self.take_signals()?,
            }
        }
        self.kill_if_due();
        self.reap();
        self.say_waiting_if_due();
        Ok(())
    }

    /// What can be done now. Signals come last: that a run has ended must be known before the poll(2) that finds
    /// nothing left in its pipes.
    fn wait(&mut self) -> nix::Result<Vec<(PollSource, PollFlags)>> {
        let (mut places, mut fds) = (Vec::new(), Vec::new());
        let mut somebody_has_ended = false;
        for (at, active) in self.active.iter().enumerate() {
            for (nth, pipe) in active.pipes.iter().enumerate() {
                if let Some(pipe) = pipe.as_ref().filter(|pipe| self.report.has_room(pipe.stream)) {
                    places.push(PollSource::Pipe { active: at, nth });
                    fds.push(PollFd::new(pipe.fd.as_fd(), PollFlags::POLLIN));
                    somebody_has_ended |= active.end.is_some();
                }
            }
        }
        let (stdout, stderr) = (self.report.stdout.waits(), self.report.stderr.waits());
        for (place, fd) in [(PollSource::Stdout, stdout), (PollSource::Stderr, stderr)] {
            places.extend(fd.as_ref().map(|_| place));
            fds.extend(fd);
        }
        places.push(PollSource::Signals);
        fds.push(PollFd::new(self.signals.fd.as_fd(), PollFlags::POLLIN));
        let timeout = if somebody_has_ended { PollTimeout::ZERO } else { self.timeout() };
        match poll(&mut fds, timeout) {
            Ok(_) => {}
            // Nothing was looked at.
            Err(Errno::EINTR) => return Ok(Vec::new()),
            Err(errno) => return Err(errno),
        }
        let seen = fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        Ok(places.into_iter().zip(seen).collect())
    }

    /// Reads what a run has said, unless what was said before is still to be written.
    fn read_pipe(&mut self, active: usize, nth: usize, seen: PollFlags) {
        let report = &mut self.report;
        let has_room =
            self.active[active].pipes[nth].as_ref().is_some_and(|pipe| report.has_room(pipe.stream));
        if has_room {
            self.active[active]
                .read_pipe(nth, seen, &mut self.chunk, |run, stream, line| report.line(run, stream, line));
        }
    }

    /// Does what the signals that have arrived ask for.
    fn take_signals(&mut self) -> nix::Result<()> {
        while let Some(signal) = self.signals.next()? {
            match (signal, &self.ending) {
                (Signal::SIGCHLD, _) => self.see_who_has_ended(),
                (signal, Some(ending)) if asks_to_end(signal) => {
                    if ending.is_old() {
                        self.kill();
                    }
                }
                (signal, _) => {
                    self.active.iter().for_each(|active| active.child.signal(signal));
                    if asks_to_end(signal) {
                        self.ending = Some(StopCause::Signalled(signal, Instant::now()));
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes note of runs that have ended, and ends those that have stopped: no user can continue them, and a
    /// container must not hold up the others.
    fn see_who_has_ended(&mut self) {
        // One that is not ours may be among them: a caller may have left us children of its own.
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
            let pid = pid.as_raw_nonzero().get();
            let Some(active) = self.active.iter_mut().find(|active| active.child.pid().as_raw() == pid)
            else {
                continue;
            };
            if status.stopped() {
                active.stopped = true;
                active.child.signal(Signal::SIGKILL);
            } else {
                active.end = ChildEnd::of(status);
            }
        }
    }

    /// Lets go of runs that have ended, when all that they said has been read.
    fn reap(&mut self) {
        let (over, active) = self.active.drain(..).partition(Active::is_over);
        self.active = active;
        for Active { run, child, end, stopped, .. } in over {
            let Some(end) = end else { continue };
            let end = match RunEnd::of(end, child.failure()) {
                RunEnd::Killed(signal) if stopped && signal == Signal::SIGKILL as i32 => RunEnd::Stopped,
                end => end,
            };
            self.worst = self.worst.max(end.status());
            let as_asked = matches!((&end, &self.ending), (RunEnd::Killed(by), Some(StopCause::Signalled(signal, _))) if *by == *signal as i32);
            self.report.end(&run, &end, as_asked);
        }
    }

    /// Ends all runs: what they say would never be read.
    fn nobody_reads(&mut self, why: Errno) {
        for active in &mut self.active {
            active.pipes = [None, None];
            active.child.signal(Signal::SIGTERM);
        }
        self.report.close();
        self.ending = Some(StopCause::Unwritable { why, kill_at: Some(Instant::now() + GRACE) });
    }

    /// When there is something to do although nothing has happened.
    fn due_at(&self) -> Option<Instant> {
        let some_wait = self.ending.is_none() && !self.waiting.is_empty();
        self.kill_at().or(self.say_waiting_at.filter(|_| some_wait))
    }

    /// A program that never ends (tcpdump, `ip monitor`) would leave out containers, and nobody would know.
    fn say_waiting_if_due(&mut self) {
        if self.waiting.is_empty()
            || self.ending.is_some()
            || self.say_waiting_at.is_none_or(|at| at > Instant::now())
        {
            return;
        }
        self.say_waiting_at = None;
        let (wait, run) = (self.waiting.len(), self.active.len());
        let containers = if wait == 1 { "1 container waits" } else { &format!("{wait} containers wait") };
        say(
            TOOL,
            format_args!("--each: {run} run, and {containers} until one of these ends (-j, or ulimit -n)"),
        );
    }

    fn timeout(&self) -> PollTimeout {
        match self.due_at() {
            Some(at) => {
                let left = at.saturating_duration_since(Instant::now());
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        }
    }

    fn kill_if_due(&mut self) {
        if self.kill_at().is_some_and(|at| at <= Instant::now()) {
            self.kill();
        }
    }

    fn kill_at(&self) -> Option<Instant> {
        match &self.ending {
            Some(StopCause::Unwritable { kill_at, .. }) => *kill_at,
            _ => None,
        }
    }

    /// Ends all runs at once, and whatever they still have to say.
    fn kill(&mut self) {
        self.active.iter().for_each(|active| active.child.signal(Signal::SIGKILL));
        self.report.close();
        if let Some(StopCause::Unwritable { kill_at, .. }) = &mut self.ending {
            *kill_at = None;
        }
    }
}
