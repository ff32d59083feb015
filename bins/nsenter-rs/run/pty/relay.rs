//! Carries bytes between the operator and the program's terminal, and signals to the program, until it has ended and
//! all that it said has been passed on.
//!
//! One thread that sleeps in poll(2). Each direction has one buffer, which is filled only when it is empty: a side
//! that does not read makes the other one wait, and no buffer grows.

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill, killpg, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::{Pid, read, write};
use rustix::stdio::stdin;
use rustix::termios::{LocalModes, SpecialCodeIndex, tcgetattr, tcgetpgrp};

use super::operator::Operator;
use crate::run::child::asks_to_end;
use crate::run::ended::{ChildChange, ChildEnd, change_of};

/// POSIX's PIPE_BUF: a pipe that poll(2) says can be written to takes as much without waiting.
const AT_ONCE: usize = 4096;
/// More than the kernel keeps for a master that is not read (drivers/tty/pty.c, pty_common_install and n_tty.c).
/// What was written before the program ended is within it; what others go on to write may never end.
const LEFT_OVER: usize = 64 << 10;

/// What is passed on, and how far it has come.
#[derive(Debug)]
pub struct Relay {
    child: Pid,
    /// Until we hang up.
    master: Option<OwnedFd>,
    /// Held so that a program that closes its own does not look like one that has ended.
    slave: OwnedFd,
    operator: Operator,
    /// Whether there may be more on standard input.
    listens: bool,
    last_byte: u8,
    to_program: Buffer,
    to_operator: Buffer,
    left_over: usize,
    /// There is no reader for what the program prints.
    unread: bool,
    end: Option<ChildEnd>,
}

/// Bytes on their way.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    sent: usize,
}

impl Relay {
    pub fn new(child: Pid, master: OwnedFd, slave: OwnedFd, operator: Operator) -> Self {
        Relay {
            child,
            master: Some(master),
            slave,
            operator,
            listens: true,
            last_byte: b'\n',
            to_program: Buffer::default(),
            to_operator: Buffer::default(),
            left_over: LEFT_OVER,
            unread: false,
            end: None,
        }
    }

    /// Until the program has ended, and then ends as it did.
    pub fn run(mut self, watched: &SigSet) -> nix::Result<ExitCode> {
        let signals = SignalFd::with_flags(watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        self.operator.make_raw();
        let end = loop {
            if let Some(end) = self.end.filter(|_| !self.has_more()) {
                break end;
            }
            self.wait(&signals)?;
            while let Some(signal) = signals.read_signal()? {
                self.obey(&signal)?;
            }
        };
        let unread = self.unread;
        // Before we may die of a signal.
        drop(self);
        Ok(match end {
            // Our hanging up was the cause: we end as each program without a reader does.
            ChildEnd::Killed(signal) if unread && signal == Signal::SIGHUP as i32 => {
                ChildEnd::Killed(Signal::SIGPIPE as i32)
            }
            end => end,
        }
        .share())
    }

    /// Once the program has ended: whether there is something left that it has said.
    fn has_more(&mut self) -> bool {
        if self.to_operator.is_empty() && self.left_over > 0 {
            // A read flushes what the kernel has not passed on yet (n_tty_read), so nothing means: that was all.
            self.hear_program();
            self.left_over = self.left_over.saturating_sub(self.to_operator.bytes.len());
        }
        !self.to_operator.is_empty()
    }

    /// Sleeps until there is something to carry or to obey, and carries.
    fn wait(&mut self, signals: &SignalFd) -> nix::Result<()> {
        let runs = self.end.is_none();
        let when = |wanted: bool, flag: PollFlags| if wanted { flag } else { PollFlags::empty() };
        let master = when(runs && self.to_operator.is_empty(), PollFlags::POLLIN)
            | when(runs && !self.to_program.is_empty(), PollFlags::POLLOUT);
        let input = when(runs && self.listens && self.to_program.is_empty(), PollFlags::POLLIN);
        let output = when(!self.to_operator.is_empty(), PollFlags::POLLOUT);
        // What nothing is wanted of is left out: poll(2) reports its end again and again.
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        let mut add = |fd, flags: PollFlags| {
            (!flags.is_empty()).then(|| {
                fds.push(PollFd::new(fd, flags));
                fds.len() - 1
            })
        };
        let master = self.master.as_ref().and_then(|fd| add(fd.as_fd(), master));
        let input = add(stdin(), input);
        let output = add(self.operator.output(), output);
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => return Ok(()),
            ready => ready?,
        };
        let ready: Vec<PollFlags> = fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect();
        let ready = |at: Option<usize>| at.map_or(PollFlags::empty(), |at| ready[at]);
        if ready(master).intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
            // The program has hung up its terminal (vhangup(2)): it takes nothing more, and says so for ever.
            self.listens = false;
            self.to_program = Buffer::default();
        } else if ready(master).contains(PollFlags::POLLOUT) {
            self.tell_program();
        }
        if ready(master).intersects(!PollFlags::POLLOUT) && self.to_operator.is_empty() {
            self.hear_program();
        }
        if !ready(input).is_empty() {
            self.hear_operator();
        }
        if !ready(output).is_empty() {
            self.tell_operator();
        }
        Ok(())
    }

    fn hear_program(&mut self) {
        let Some(master) = &self.master else { return };
        match self.to_operator.fill(master) {
            Ok(1..) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Ok(0) | Err(_) => self.hang_up(),
        }
    }

    fn tell_program(&mut self) {
        let Some(master) = &self.master else { return };
        let before = self.to_program.sent;
        match self.to_program.empty_into(master) {
            Ok(()) => {
                let typed = &self.to_program.bytes[before..self.to_program.sent];
                if self.ends_the_program(typed) {
                    self.wait_for_the_keys_signal();
                    self.wake();
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.hang_up(),
        }
    }

    /// Whether there is a key among these bytes that ends what runs in the terminal, as Ctrl-C does: termios(3), ISIG.
    fn ends_the_program(&self, typed: &[u8]) -> bool {
        let keys = [SpecialCodeIndex::VINTR, SpecialCodeIndex::VQUIT];
        // Only what is typed costs a system call.
        typed.iter().any(u8::is_ascii_control)
            && tcgetattr(&self.slave).is_ok_and(|modes| {
                let is_key = |byte: &u8| keys.iter().any(|key| modes.special_codes[*key] == *byte);
                modes.local_modes.contains(LocalModes::ISIG) && typed.iter().any(is_key)
            })
    }

    /// Until the kernel has sent the signal of the key that was written last. A worker of the kernel does (tty_flip_buffer_push), and
    /// poll(2) of the slave waits for that worker where there is nothing to read (n_tty_poll); what there is to read goes with the
    /// signal, unless the program wants it kept (termios(3), NOFLSH).
    fn wait_for_the_keys_signal(&self) {
        const MOST_LOOKS: u32 = 20;
        const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
        for _ in 0..MOST_LOOKS {
            let mut slave = [PollFd::new(self.slave.as_fd(), PollFlags::POLLIN)];
            if !matches!(poll(&mut slave, PollTimeout::ZERO), Ok(1)) {
                return;
            }
            sleep(BETWEEN_LOOKS);
        }
    }

    fn hear_operator(&mut self) {
        match self.to_program.fill(&stdin()) {
            Ok(1..) => self.last_byte = self.to_program.bytes.last().copied().unwrap_or(b'\n'),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Ok(0) | Err(_) => self.end_input(),
        }
    }

    /// Nobody will type anything any more: so says the terminal's own character for it. Behind half a line the first
    /// one means only that no more of it comes.
    fn end_input(&mut self) {
        self.listens = false;
        if let Ok(modes) = tcgetattr(&self.slave) {
            let end_of_file = modes.special_codes[SpecialCodeIndex::VEOF];
            let times = if self.last_byte == b'\n' { 1 } else { 2 };
            self.to_program.bytes = vec![end_of_file; times];
        }
    }

    fn tell_operator(&mut self) {
        match self.to_operator.empty_into(&self.operator.output()) {
            Ok(()) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => {
                self.unread = true;
                self.hang_up();
            }
        }
    }

    /// Closes the line: the kernel sends SIGHUP to the program, and writing to it fails with EIO.
    fn hang_up(&mut self) {
        self.master = None;
        self.listens = false;
        self.to_operator = Buffer::default();
        self.to_program = Buffer::default();
    }

    fn obey(&mut self, received: &siginfo) -> nix::Result<()> {
        match Signal::try_from(received.ssi_signo.cast_signed())? {
            Signal::SIGCHLD => match change_of(self.child)? {
                ChildChange::Ended(end) => self.end = Some(end),
                ChildChange::Stopped => {
                    self.stop()?;
                    let _ = kill(self.child, Signal::SIGCONT);
                }
                ChildChange::Nothing => {}
            },
            Signal::SIGTSTP => self.stop()?,
            // After SIGSTOP the shell has had the terminal, and the window may have another size by now.
            Signal::SIGCONT => self.go_on(),
            // The caller does not want to wait for the rest.
            _ if self.end.is_some() => self.hang_up(),
            Signal::SIGWINCH => {
                self.copy_size();
                // From the kernel it is about our window; from anybody else it is meant for the program.
                if received.ssi_code <= 0 {
                    let _ = kill(self.child, Signal::SIGWINCH);
                }
            }
            // Those from the terminal's keys too: the program is in another session and does not get them itself.
            signal => {
                let _ = kill(self.child, signal);
                if asks_to_end(signal) {
                    let _ = kill(self.child, Signal::SIGCONT);
                    self.wake();
                }
            }
        }
        Ok(())
    }

    /// Lets the program in the foreground of its terminal go on, if it has stopped: it has been asked to end.
    fn wake(&self) {
        let foreground = self.master.as_ref().and_then(|master| tcgetpgrp(master).ok());
        if let Some(group) = foreground {
            let _ = killpg(Pid::from_raw(group.as_raw_pid()), Signal::SIGCONT);
        }
    }

    fn stop(&mut self) -> nix::Result<()> {
        self.operator.restore();
        raise(Signal::SIGSTOP)?;
        self.go_on();
        Ok(())
    }

    fn go_on(&mut self) {
        self.operator.make_raw();
        self.copy_size();
    }

    fn copy_size(&self) {
        if let Some(master) = &self.master {
            self.operator.copy_size(master);
        }
    }
}

impl Buffer {
    fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Reads once, into an empty buffer; how much.
    fn fill(&mut self, from: &impl AsFd) -> nix::Result<usize> {
        self.sent = 0;
        self.bytes.resize(AT_ONCE, 0);
        let length = read(from, &mut self.bytes);
        self.bytes.truncate(*length.as_ref().unwrap_or(&0));
        length
    }

    /// Writes once.
    fn empty_into(&mut self, to: &impl AsFd) -> nix::Result<()> {
        self.sent += write(to, &self.bytes[self.sent..])?;
        Ok(())
    }
}
