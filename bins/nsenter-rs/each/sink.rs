//! Where lines go: a standard stream that is written to when it takes something, so that a slow reader holds up
//! what is read and nothing else, and no signal waits for it.

use std::io::{self, IsTerminal};
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::unistd::write;

/// As much as a pipe that can be written to takes without making us wait: one of its pages (pipe(7)).
const AT_ONCE: usize = 4096;
/// With so much unwritten, nothing more is read.
const ENOUGH: usize = 256 << 10;

/// One of our standard streams.
#[derive(Debug)]
pub struct Sink {
    fd: BorrowedFd<'static>,
    is_terminal: bool,
    unwritten: Vec<u8>,
    /// How much of it has been written by now.
    at: usize,
    closed: bool,
}

impl Sink {
    pub fn stdout() -> Self {
        // Never closed by us.
        Sink::new(rustix::stdio::stdout(), io::stdout().is_terminal())
    }

    pub fn stderr() -> Self {
        Sink::new(rustix::stdio::stderr(), io::stderr().is_terminal())
    }

    fn new(fd: BorrowedFd<'static>, is_terminal: bool) -> Self {
        Sink { fd, is_terminal, unwritten: Vec::new(), at: 0, closed: false }
    }

    /// Whether what is written must be harmless to a terminal.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Adds what is to be written. Without a reader it is dropped.
    pub fn add(&mut self, bytes: &[u8]) {
        if !self.closed {
            self.unwritten.extend_from_slice(bytes);
        }
    }

    pub fn is_full(&self) -> bool {
        self.unwritten.len() - self.at >= ENOUGH
    }

    pub fn is_empty(&self) -> bool {
        self.unwritten.is_empty()
    }

    /// What to wait for: room, while something is unwritten; that the reader goes, as long as there is one.
    pub fn waits(&self) -> Option<PollFd<'static>> {
        let room = if self.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
        (!self.closed).then(|| PollFd::new(self.fd, room))
    }

    /// Writes what is taken now, `seen` being what poll(2) said.
    ///
    /// # Errors
    /// Once: EPIPE when the reader has gone, or why it cannot be written to. From then on all is dropped.
    pub fn write(&mut self, seen: PollFlags) -> nix::Result<()> {
        let gone = seen.intersects(PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL);
        let result = match (self.closed, self.is_empty()) {
            (true, _) => return Ok(()),
            (false, true) if gone => Err(Errno::EPIPE),
            (false, false) if !seen.is_empty() => self.write_some(),
            _ => Ok(()),
        };
        if result.is_err() {
            self.close();
        }
        result
    }

    fn write_some(&mut self) -> nix::Result<()> {
        let end = self.unwritten.len().min(self.at + AT_ONCE);
        match write(self.fd, &self.unwritten[self.at..end]) {
            Ok(written) => self.at += written,
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        if self.at == self.unwritten.len() {
            self.unwritten.clear();
            self.at = 0;
        } else if self.at >= ENOUGH {
            self.unwritten.drain(..self.at);
            self.at = 0;
        }
        Ok(())
    }

    /// Drops all that is unwritten, and all that will come.
    pub fn close(&mut self) {
        self.closed = true;
        self.unwritten = Vec::new();
        self.at = 0;
    }
}
