//! Standard input, output and error that are files of the host: a program among a container's files gets pipes in their
//! place, and we copy.
//!
//! A process that has a file open can open it once more through `/proc/self/fd`, in another way: code of the container would read
//! the log that the program's output is appended to, or empty it. Pipes, sockets and terminals lead to nothing
//! else (what a terminal does is `--pty`'s), and `/dev/null` and the like are the container's own too.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use common::failure::{Failure, say};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc::{S_IFBLK, S_IFCHR, S_IFDIR, S_IFMT, S_IFREG};
use nix::poll::{PollFd, PollFlags};
use nix::sys::stat::{FileStat, fstat, major, minor};
use nix::unistd::{Whence, lseek, pipe2, read, write};
use rustix::stdio::{stderr, stdin, stdout};

use crate::tool::TOOL;

/// The default capacity of a pipe.
const AT_ONCE: usize = 64 << 10;
/// What was written before the program ended is within it; what others go on to write may never end.
const MOST_LEFT: usize = 16;
/// null, zero, full, random and urandom: linux's Documentation/admin-guide/devices.txt, 1 char.
const HARMLESS: [u64; 5] = [3, 5, 7, 8, 9];

/// Pipes in the place of files.
#[derive(Debug, Default)]
pub struct Streams {
    input: Option<StreamPipe>,
    output: Option<StreamPipe>,
    error: Option<StreamPipe>,
    /// Both are the same file, in which what is written to them keeps its order.
    error_is_output: bool,
}

#[derive(Debug)]
struct StreamPipe {
    ours: OwnedFd,
    theirs: OwnedFd,
}

/// What copies, in the parent.
#[derive(Debug, Default)]
pub struct StreamCarrier {
    input: Option<Input>,
    outputs: Vec<Output>,
}

#[derive(Debug)]
struct Input {
    /// Until all of the file is in it.
    pipe: Option<OwnedFd>,
    /// The program's end, which says what has not been read of it.
    theirs: OwnedFd,
    bytes: Vec<u8>,
    sent: usize,
}

#[derive(Debug)]
struct Output {
    pipe: OwnedFd,
    name: &'static str,
    is_error: bool,
}

/// What becomes of one of the three.
enum StreamFate {
    Stays,
    Pipe(FileStat),
}

impl Streams {
    /// Looks at ours.
    ///
    /// # Errors
    /// For a directory or a device of the host, which cannot be copied.
    pub fn of_ours() -> Result<Self, Failure> {
        let pipe = |fate: &StreamFate| match fate {
            StreamFate::Stays => Ok(None),
            StreamFate::Pipe(_) => pipe2(OFlag::O_CLOEXEC)
                .map(|(read, write)| Some((read, write)))
                .map_err(|errno| Failure::failed("pipe", errno.desc())),
        };
        let [input, output, error] = [
            fate(stdin(), "standard input")?,
            fate(stdout(), "standard output")?,
            fate(stderr(), "standard error")?,
        ];
        let same = match (&output, &error) {
            (StreamFate::Pipe(one), StreamFate::Pipe(other)) => {
                (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
            }
            _ => false,
        };
        let error = if same { StreamFate::Stays } else { error };
        Ok(Streams {
            input: pipe(&input)?.map(|(theirs, ours)| StreamPipe { ours, theirs }),
            output: pipe(&output)?.map(|(ours, theirs)| StreamPipe { ours, theirs }),
            error: pipe(&error)?.map(|(ours, theirs)| StreamPipe { ours, theirs }),
            error_is_output: same,
        })
    }

    /// Whether there is nothing to copy.
    pub fn is_empty(&self) -> bool {
        self.input.is_none() && self.output.is_none() && self.error.is_none()
    }

    /// In the child: the pipes become its standard input, output and error.
    ///
    /// # Errors
    /// What dup2(2) says.
    pub fn take(&self) -> Result<(), Failure> {
        let error = if self.error_is_output { &self.output } else { &self.error };
        let theirs =
            |pipe: &StreamPipe| pipe.theirs.try_clone().map_err(|error| Failure::failed("pipe", error));
        let failed = |errno: rustix::io::Errno| Failure::failed("pipe", errno);
        if let Some(pipe) = error {
            rustix::stdio::dup2_stderr(theirs(pipe)?).map_err(failed)?;
        }
        if let Some(pipe) = &self.output {
            rustix::stdio::dup2_stdout(theirs(pipe)?).map_err(failed)?;
        }
        if let Some(pipe) = &self.input {
            rustix::stdio::dup2_stdin(theirs(pipe)?).map_err(failed)?;
        }
        Ok(())
    }

    /// In the parent.
    pub fn carrier(self) -> StreamCarrier {
        let output = |pipe: StreamPipe, name, is_error| Output { pipe: pipe.ours, name, is_error };
        let outputs = [
            self.output.map(|pipe| output(pipe, "standard output", false)),
            self.error.map(|pipe| output(pipe, "standard error", true)),
        ];
        let outputs: Vec<_> = outputs.into_iter().flatten().collect();
        let input = self.input.map(|StreamPipe { ours, theirs }| Input {
            pipe: Some(ours),
            theirs,
            bytes: Vec::new(),
            sent: 0,
        });
        let to_program = input.as_ref().and_then(|input| input.pipe.as_ref());
        let ours = outputs.iter().map(|output| &output.pipe).chain(to_program);
        // Of a pipe that was just made this cannot fail.
        for pipe in ours {
            let _ = fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        }
        StreamCarrier { input, outputs }
    }
}

fn fate(stream: BorrowedFd<'_>, name: &'static str) -> Result<StreamFate, Failure> {
    // What is closed is nothing to copy.
    let Ok(stat) = fstat(stream) else { return Ok(StreamFate::Stays) };
    let device = (major(stat.st_rdev), minor(stat.st_rdev));
    let refused = |what| {
        let what = format_args!("is {what} of the host, and code of the container could use it");
        Err(Failure::failed(name, what)
            .hint(common::sentence!("use a file, a pipe or /dev/null there, or --trust-target")))
    };
    match stat.st_mode & S_IFMT {
        S_IFREG | S_IFBLK => Ok(StreamFate::Pipe(stat)),
        S_IFDIR => refused("a directory"),
        S_IFCHR if device.0 == 1 && HARMLESS.contains(&device.1) => Ok(StreamFate::Stays),
        S_IFCHR if !rustix::termios::isatty(stream) => refused("a device"),
        _ => Ok(StreamFate::Stays),
    }
}

impl StreamCarrier {
    /// What poll(2) is to wait for.
    pub fn awaited(&self) -> Vec<PollFd<'_>> {
        let outputs = self.outputs.iter().map(|output| PollFd::new(output.pipe.as_fd(), PollFlags::POLLIN));
        let to_program = self.input.as_ref().and_then(|input| input.pipe.as_ref());
        outputs.chain(to_program.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLOUT))).collect()
    }

    /// Copies what can be copied without waiting.
    pub fn carry(&mut self) {
        self.outputs.retain_mut(|output| output.copy_once());
        if let Some(input) = &mut self.input {
            input.copy();
        }
    }

    /// Once the program has ended: passes on what is left of its output, and takes back what it has not read.
    pub fn finish(mut self) {
        for _ in 0..MOST_LEFT {
            self.outputs.retain_mut(|output| output.copy_once());
        }
        if let Some(input) = &self.input {
            input.give_back();
        }
    }
}

impl Output {
    /// Whether there may be more.
    fn copy_once(&mut self) -> bool {
        let mut bytes = vec![0; AT_ONCE];
        let length = match read(&self.pipe, &mut bytes) {
            Ok(0) => return false,
            Ok(length) => length,
            Err(Errno::EAGAIN | Errno::EINTR) => return true,
            Err(_) => return false,
        };
        let mut left = &bytes[..length];
        while !left.is_empty() {
            let written = if self.is_error { write(stderr(), left) } else { write(stdout(), left) };
            match written {
                Ok(written) => left = &left[written..],
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    // The pipe is closed then, and the program told so by SIGPIPE.
                    say(TOOL, format_args!("{}: {}", self.name, errno.desc()));
                    return false;
                }
            }
        }
        true
    }
}

impl Input {
    /// As much as the pipe takes. At the end of the file it is closed, and that is what the program reads then.
    fn copy(&mut self) {
        while let Some(pipe) = &self.pipe {
            if self.sent == self.bytes.len() {
                self.bytes.resize(AT_ONCE, 0);
                let length = read(stdin(), &mut self.bytes).unwrap_or(0);
                self.bytes.truncate(length);
                self.sent = 0;
                if length == 0 {
                    self.pipe = None;
                    return;
                }
            }
            match write(pipe, &self.bytes[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => self.pipe = None,
            }
        }
    }

    /// Sets the file back to where the program has come: a process that shares it goes on there, as in
    /// `while read -r name; do nsenter-rs …; done <names`.
    fn give_back(&self) {
        let in_pipe = rustix::io::ioctl_fionread(&self.theirs).unwrap_or(0);
        let unread = (self.bytes.len() - self.sent) as u64 + in_pipe;
        if let Ok(unread) = i64::try_from(unread)
            && unread > 0
        {
            let _ = lseek(stdin(), -unread, Whence::SeekCur);
        }
    }
}
