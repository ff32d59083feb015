//! Runs programs of the host, those of its firewall: searched where only root can install one, with a clean environment, a time limit and an
//! output limit.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::Pid;

use crate::output::one_line;
use crate::process::open_pidfd;

/// What systemd gives to services, and where NixOS has its programs. Never $PATH, which may be a user's, under sudo too.
const DIRECTORIES: [&str; 7] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/run/current-system/sw/bin",
];

/// iptables itself waits five seconds for others; rules by the thousand take one or two.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Enough for a hundred thousand rules.
const MOST_BYTES: usize = 16 << 20;

/// Why a program did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It could not be started, or listened to.
    #[error("{program}: {source}")]
    Io {
        /// Its name.
        program: String,
        /// The kernel's error.
        source: io::Error,
    },
    /// It was still running.
    #[error("{program}: did not finish within {} s", TIMEOUT.as_secs())]
    TooLong {
        /// Its name.
        program: String,
    },
    /// Its output was too long.
    #[error("{program}: printed more than {} MiB", MOST_BYTES >> 20)]
    TooMuch {
        /// Its name.
        program: String,
    },
    /// It failed.
    #[error("{program}: {said}")]
    Failed {
        /// Its name.
        program: String,
        /// Its error output, or its status if there was none.
        said: String,
        /// Its exit status, if it had one.
        code: Option<i32>,
    },
}

/// The program of that name.
pub fn find(name: &str) -> Option<PathBuf> {
    let is_one = |file: &PathBuf| {
        fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    DIRECTORIES.iter().map(|directory| Path::new(directory).join(name)).find(is_one)
}

/// Runs it to its end, in the namespaces that this thread is in, and returns its output. It is in a process group of its own:
/// Ctrl-C does not interrupt it.
///
/// # Errors
/// [`ProgramError`]; as `Failed` with the program's own status.
pub fn run(program: &Path, words: &[&str], input: Option<&str>) -> Result<String, ProgramError> {
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let io = |source: io::Error| ProgramError::Io { program: name.clone(), source };
    let stdin = match input {
        Some(text) => Stdio::from(in_memory(text).map_err(io)?),
        None => Stdio::null(),
    };
    let mut command = Command::new(program);
    command.args(words).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
        .env_clear()
        .env("PATH", DIRECTORIES.join(":"))
        .env("LC_ALL", "C")
        .current_dir("/")
        .process_group(0);
    let mut child = command.spawn().map_err(io)?;
    let heard = listen(&mut child, &name);
    if heard.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(io)?;
    let [stdout, stderr] = heard?;
    if status.success() {
        return Ok(stdout);
    }
    let words = said(&stderr);
    let said = match (words.is_empty(), status.signal()) {
        (_, Some(signal)) => format!("killed by signal {signal}"),
        (true, None) => format!("exit status {}", status.code().unwrap_or_default()),
        (false, None) => words,
    };
    Err(ProgramError::Failed { program: name, said, code: status.code() })
}

/// A file that only we and the program have: unlike a pipe it takes any length at once.
fn in_memory(text: &str) -> io::Result<OwnedFd> {
    let fd = memfd_create(c"input", MFdFlags::MFD_CLOEXEC)?;
    let mut file = fs::File::from(fd);
    file.write_all(text.as_bytes())?;
    io::Seek::rewind(&mut file)?;
    Ok(file.into())
}

/// Its output until it exits; pipes that its own children still hold open are not waited for.
fn listen(child: &mut Child, name: &str) -> Result<[String; 2], ProgramError> {
    let io = |source: io::Error| ProgramError::Io { program: name.to_owned(), source };
    let pid = Pid::from_raw(child.id().cast_signed());
    let pidfd = open_pidfd(pid).map_err(|errno| io(errno.into()))?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io(io::ErrorKind::BrokenPipe.into()));
    };
    let mut pipes =
        [OutputPipe::new(stdout.into()).map_err(io)?, OutputPipe::new(stderr.into()).map_err(io)?];
    let until = Instant::now() + TIMEOUT;
    loop {
        let ended = wait(&pidfd, &pipes, until).map_err(|errno| io(errno.into()))?;
        for pipe in &mut pipes {
            pipe.read().map_err(io)?;
            if pipe.bytes.len() > MOST_BYTES {
                return Err(ProgramError::TooMuch { program: name.to_owned() });
            }
        }
        if ended {
            return Ok(pipes.map(|pipe| String::from_utf8_lossy(&pipe.bytes).into_owned()));
        }
        if Instant::now() > until {
            return Err(ProgramError::TooLong { program: name.to_owned() });
        }
    }
}

/// Until there is something to read, or it has ended, which is the answer, or the time is over.
fn wait(pidfd: &OwnedFd, pipes: &[OutputPipe; 2], until: Instant) -> nix::Result<bool> {
    let mut waiting = vec![PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    waiting.extend(pipes.iter().filter_map(|pipe| Some(PollFd::new(pipe.waits_for()?, PollFlags::POLLIN))));
    let left = until.saturating_duration_since(Instant::now());
    let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
    match poll(&mut waiting, timeout) {
        Ok(_) => Ok(waiting[0].any().unwrap_or(false)),
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// What it writes to.
struct OutputPipe {
    file: fs::File,
    bytes: Vec<u8>,
    is_open: bool,
}

impl OutputPipe {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(OutputPipe { file: fd.into(), bytes: Vec::new(), is_open: true })
    }

    fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        self.is_open.then(|| self.file.as_fd())
    }

    /// What there is now.
    fn read(&mut self) -> io::Result<()> {
        let mut chunk = [0; 16 << 10];
        while self.is_open && self.bytes.len() <= MOST_BYTES {
            match self.file.read(&mut chunk) {
                Ok(0) => self.is_open = false,
                Ok(length) => self.bytes.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The first lines of what it complains about, as one; iptables' remarks about its other kind are no complaint.
fn said(stderr: &str) -> String {
    let lines =
        stderr.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("# Warning"));
    let text = lines.take(3).collect::<Vec<_>>().join("; ");
    one_line(&text).chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, input: Option<&str>) -> Result<String, String> {
        run(Path::new("/bin/sh"), &["-c", script], input).map_err(|error| error.to_string())
    }

    #[test]
    fn a_program_has_its_input_and_nothing_of_our_environment() {
        assert_eq!(shell("cat", Some("a\nb")).unwrap(), "a\nb");
        let environment = shell("env", None).unwrap();
        assert!(environment.contains("LC_ALL=C") && !environment.contains("CARGO"), "{environment}");
    }

    #[test]
    fn what_it_complains_about_is_short_and_harmless() {
        assert_eq!(
            shell("printf 'a\\033[2J\\n# Warning: x\\nb\\nc\\nd\\n' >&2; exit 4", None),
            Err("sh: a\\u{1b}[2J; b; c".to_owned())
        );
        assert_eq!(shell("exit 3", None), Err("sh: exit status 3".to_owned()));
        assert_eq!(shell("kill -9 $$", None), Err("sh: killed by signal 9".to_owned()));
    }

    #[test]
    fn one_that_does_not_stop_talking_is_stopped() {
        assert_eq!(shell("exec cat /dev/zero", None), Err("sh: printed more than 16 MiB".to_owned()));
    }

    #[test]
    fn what_its_children_hold_open_is_not_waited_for() {
        let since = Instant::now();
        let sleeper = shell("sleep 60 & echo $!", None).unwrap();
        assert!(since.elapsed() < Duration::from_secs(10));
        nix::sys::signal::kill(
            Pid::from_raw(sleeper.trim().parse().unwrap()),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
    }
}
