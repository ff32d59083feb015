//! A run that has begun: its child, and what that has said so far.

use std::os::fd::OwnedFd;

use common::each::Chosen;
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::unistd::read;

use super::child::Child;
use super::lines::{Line, LineSplitter};
use super::report::OutputStream;
use crate::run::ended::ChildEnd;

/// What is still read of a pipe when PROGRAM has ended: as much as the largest one holds (pipe(7)). More can only
/// come from what PROGRAM has left running.
const LEFT_BEHIND: usize = 1 << 20;

/// A run that has begun.
pub struct Active {
    pub run: Chosen,
    pub child: Child,
    pub pipes: [Option<RunPipe>; 2],
    /// How the child has ended.
    pub end: Option<ChildEnd>,
    /// Whether it has stopped, and was killed for that.
    pub stopped: bool,
    left_behind: usize,
}

/// One of its streams, until it ends.
pub struct RunPipe {
    pub stream: OutputStream,
    pub fd: OwnedFd,
    lines: LineSplitter,
}

impl Active {
    pub fn new(run: Chosen, child: Child, [stdout, stderr]: [OwnedFd; 2]) -> Self {
        let pipe = |stream, fd| Some(RunPipe { stream, fd, lines: LineSplitter::default() });
        let pipes = [pipe(OutputStream::Stdout, stdout), pipe(OutputStream::Stderr, stderr)];
        Active { run, child, pipes, end: None, stopped: false, left_behind: LEFT_BEHIND }
    }

    /// Whether it has ended, and all that it said has been read.
    pub fn is_over(&self) -> bool {
        self.end.is_some() && self.pipes.iter().all(Option::is_none)
    }

    /// Reads once, where poll(2) has `seen` something. What it did not see of a run that has ended will not come any
    /// more: others may hold its pipe, but they are not waited for.
    pub fn read_pipe(
        &mut self,
        nth: usize,
        seen: PollFlags,
        chunk: &mut [u8],
        mut line: impl FnMut(&Chosen, OutputStream, Line<'_>),
    ) {
        let Some(pipe) = &mut self.pipes[nth] else { return };
        let length = match seen.is_empty() {
            true if self.end.is_none() => return,
            true => 0,
            false => match read(&pipe.fd, chunk) {
                Err(Errno::EINTR) => return,
                read => read.unwrap_or(0),
            },
        };
        let (run, stream) = (&self.run, pipe.stream);
        pipe.lines.take(&chunk[..length], |text| line(run, stream, text));
        if self.end.is_some() {
            self.left_behind = self.left_behind.saturating_sub(length);
        }
        if length == 0 || self.left_behind == 0 {
            pipe.lines.end(|text| line(run, stream, text));
            self.pipes[nth] = None;
        }
    }
}
