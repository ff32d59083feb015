//! The terminal that we were started from: raw while the program runs, and as it was whenever we stop or end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use rustix::process::getpgrp;
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{
    OptionalActions, Termios, isatty, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize,
};

/// Where keys come from and output goes to: terminals, or not.
#[derive(Debug)]
pub struct Operator {
    /// How standard input was before we changed it; none if it is no terminal.
    modes: Option<Termios>,
    /// The first of our standard descriptors that is a terminal, and so has a size.
    window: Option<BorrowedFd<'static>>,
    /// Standard output without waiting, where it is a terminal.
    unblocked: Option<OwnedFd>,
    is_raw: bool,
}

impl Operator {
    /// The user at our standard input and output.
    pub fn here() -> Self {
        let window = [stdin(), stdout(), stderr()].into_iter().find(|fd| isatty(fd));
        // Opened again, since O_NONBLOCK on what we share with our caller would be our caller's too.
        let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let again = || nix::fcntl::open("/proc/self/fd/1", flags, Mode::empty()).ok();
        Operator {
            modes: tcgetattr(stdin()).ok(),
            window,
            unblocked: if isatty(stdout()) { again() } else { None },
            is_raw: false,
        }
    }

    /// The terminal's modes as they were, if standard input is one.
    pub fn modes(&self) -> Option<&Termios> {
        self.modes.as_ref()
    }

    /// Where output goes to.
    pub fn output(&self) -> BorrowedFd<'_> {
        self.unblocked.as_ref().map_or(stdout(), OwnedFd::as_fd)
    }

    /// Gives `terminal` the size of the window, if there is one.
    pub fn copy_size(&self, terminal: &impl AsFd) {
        if let Some(size) = self.window.and_then(|window| tcgetwinsize(window).ok()) {
            // The kernel tells the processes in front there, if it is another size.
            let _ = tcsetwinsize(terminal, size);
        }
    }

    /// Every key is passed on as it is: what it does is for the program's terminal to say. In the background this
    /// stops us (SIGTTOU) until we are in front again.
    pub fn make_raw(&mut self) {
        if let Some(modes) = &self.modes {
            let mut raw = modes.clone();
            raw.make_raw();
            self.is_raw = tcsetattr(stdin(), OptionalActions::Now, &raw).is_ok();
        }
    }

    /// As it was before.
    pub fn restore(&mut self) {
        let Some(modes) = self.modes.as_ref().filter(|_| self.is_raw) else { return };
        self.is_raw = false;
        // In the background the terminal belongs to another process by now, which has set it for itself. Of a terminal
        // that is not our session's that cannot be known.
        let in_front = tcgetpgrp(stdin()).map_or(true, |front| front == getpgrp());
        if in_front {
            let _ = tcsetattr(stdin(), OptionalActions::Now, modes);
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.restore();
    }
}
