//! What a running container's monitor is asked, and how: LXC's command socket, whose protocol is written down
//! nowhere but in `src/lxc/commands.h` and `commands.c` of LXC. Incus and LXD run their containers by LXC's library.
//!
//! A request is `{ int cmd; int datalen; void *data; }` with the sender's credentials beside it, an answer
//! `{ int ret; int datalen; void *data; }`, in which small values stand where the pointer would.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, UnixCredentials, connect,
    getsockopt, sendmsg, socket, sockopt,
};
use nix::unistd::{Pid, Uid};

use super::super::{ContainerState, EngineError, EngineName, Proof};
use crate::netlink;
use crate::process::{self, Process, ProcessError};
use crate::sys;

/// What is asked for: `LXC_CMD_GET_STATE` and so on of `lxc_cmd_t`, whose numbers are fixed.
#[derive(Clone, Copy)]
enum MonitorCommand {
    State = 3,
    InitPid = 4,
    /// LXC 4.0.
    InitPidfd = 18,
}

/// What a monitor has to answer, if others have used up the time.
pub(super) const AT_LEAST: Duration = Duration::from_millis(20);

/// Two ints and a pointer.
const WORD: usize = size_of::<usize>();
const MESSAGE: usize = 8 + WORD;

/// The monitor of one container, if it runs.
pub(super) struct Monitor {
    engine: EngineName,
    /// The abstract socket's name, without the NUL before it.
    name: Vec<u8>,
    /// The user that may speak for the container, beside root.
    owner: Uid,
    /// How long an answer may take, for messages.
    timeout: Duration,
}

/// A request that was sent, on a connection of its own.
struct SentRequest {
    socket: OwnedFd,
    /// The user that listens.
    peer: Uid,
}

/// The two requests that tell what a container does, both sent and neither answered: whatever one monitor takes, the
/// others answer meanwhile.
pub(super) struct PendingAnswers {
    state: Result<SentRequest, MonitorError>,
    first: Result<SentRequest, MonitorError>,
}

/// A container that a monitor answers for.
pub(super) struct MonitoredContainer {
    pub(super) state: ContainerState,
    /// `None` when it has ended by now.
    pub(super) first: Option<FirstProcess>,
}

/// A container's first process, and what is known of it.
pub(super) struct FirstProcess {
    pub(super) pid: Pid,
    pub(super) proof: Proof,
}

struct MonitorReply {
    status: i32,
    value: usize,
    descriptors: Vec<OwnedFd>,
    /// The user that listens.
    peer: Uid,
}

/// What ended a conversation before an answer.
enum MonitorError {
    /// No process listens, or it ended during the exchange: the container does not run.
    NoListener,
    /// It hung up: a monitor too old for the command.
    HungUp,
    Known(EngineError),
}

impl Monitor {
    pub(super) fn new(engine: EngineName, path: &Path, name: &OsStr, owner: Uid, timeout: Duration) -> Self {
        Monitor { engine, name: socket_name(path, name), owner, timeout }
    }

    /// The abstract name under which it listens, without the NUL before it.
    pub(super) fn socket_name(&self) -> &[u8] {
        &self.name
    }

    /// Asks what the container does, and does not wait for the answer.
    pub(super) fn send(&self) -> PendingAnswers {
        let state = self.request(MonitorCommand::State);
        // What does not answer one does not answer two.
        let first = match &state {
            Ok(_) => self.request(MonitorCommand::InitPidfd),
            Err(_) => Err(MonitorError::NoListener),
        };
        PendingAnswers { state, first }
    }

    /// What it answers until then; `None` when no process listens.
    pub(super) fn answer(
        &self,
        pending: PendingAnswers,
        until: Instant,
    ) -> Result<Option<MonitoredContainer>, EngineError> {
        let Some(state) = self.state(pending.state, until)? else { return Ok(None) };
        let first = match has_process(state) {
            true => self.first_process(pending.first, until)?,
            false => None,
        };
        Ok(Some(MonitoredContainer { state, first }))
    }

    fn state(
        &self,
        sent: Result<SentRequest, MonitorError>,
        until: Instant,
    ) -> Result<Option<ContainerState>, EngineError> {
        match sent.and_then(|sent| self.reply(&sent, until)) {
            // enum lxc_state_t, src/lxc/state.h
            Ok(answer) => match answer.value {
                0 => Ok(Some(ContainerState::Exited)),
                1 => Ok(Some(ContainerState::Created)),
                2 | 3 | 7 => Ok(Some(ContainerState::Running)),
                4 => Ok(Some(ContainerState::Dead)),
                5 | 6 => Ok(Some(ContainerState::Paused)),
                other => Err(self.nonsense(format_args!("state number {other}"))),
            },
            Err(MonitorError::NoListener) => Ok(None),
            Err(MonitorError::HungUp) => Err(self.nonsense("it closed the connection without an answer")),
            Err(MonitorError::Known(error)) => Err(error),
        }
    }

    /// The container's first process; `None` when it has ended by now.
    fn first_process(
        &self,
        sent: Result<SentRequest, MonitorError>,
        until: Instant,
    ) -> Result<Option<FirstProcess>, EngineError> {
        match sent.and_then(|sent| self.reply(&sent, until)) {
            Ok(MonitorReply { status: 0, descriptors, peer, .. }) if descriptors.len() == 1 => {
                self.behind(&descriptors[0], peer)
            }
            // A kernel without pidfds (below 5.3), or an LXC without the command.
            Ok(_) | Err(MonitorError::HungUp) => self.first_pid(until),
            Err(MonitorError::NoListener) => Ok(None),
            Err(MonitorError::Known(error)) => Err(error),
        }
    }

    fn first_pid(&self, until: Instant) -> Result<Option<FirstProcess>, EngineError> {
        let sent = self.request(MonitorCommand::InitPid);
        // It has answered before: it is not the one that has used up the time.
        let until = until.max(Instant::now() + AT_LEAST);
        match sent.and_then(|sent| self.reply(&sent, until)) {
            Ok(answer) => match i32::try_from(answer.value) {
                Ok(pid @ 1..) => {
                    Ok(Some(FirstProcess { pid: Pid::from_raw(pid), proof: Proof::word_of(answer.peer) }))
                }
                _ => Err(self.nonsense(format_args!("PID {}", answer.value.cast_signed()))),
            },
            Err(MonitorError::NoListener) => Ok(None),
            Err(MonitorError::HungUp) => Err(self.nonsense("it closed the connection without an answer")),
            Err(MonitorError::Known(error)) => Err(error),
        }
    }

    /// The process of a descriptor that the monitor sent: the kernel says whose it is, whatever the sender
    /// meant by it.
    fn behind(&self, pidfd: &OwnedFd, peer: Uid) -> Result<Option<FirstProcess>, EngineError> {
        let unknown = |error: ProcessError| self.nonsense(error);
        let pid = match process::pid_of_pidfd(pidfd.as_fd()) {
            Some(pid @ 1..) => Pid::from_raw(pid),
            // -1: it has ended.
            Some(..0) => return Ok(None),
            Some(0) => {
                return Err(self.nonsense("its first process is in a PID namespace outside of the caller's"));
            }
            None => return Err(self.nonsense("it did not send a pidfd")),
        };
        let pidfd_inode = process::pidfs_inode(pidfd.as_fd());
        let start_time_ticks = match pidfd_inode {
            Some(_) => None,
            None => match Process::open(pid).and_then(|process| process.start_time_ticks()) {
                // That was of this process if it has not ended in between.
                Ok(ticks) if sys::pidfd_send_signal(pidfd.as_fd(), 0) != Err(Errno::ESRCH) => Some(ticks),
                Ok(_) | Err(ProcessError::Gone(_)) => return Ok(None),
                Err(error) => return Err(unknown(error)),
            },
        };
        Ok(Some(FirstProcess { pid, proof: Proof { start_time_ticks, pidfd_inode, ..Proof::word_of(peer) } }))
    }

    /// One request on one connection, as LXC's own programs send it.
    fn request(&self, command: MonitorCommand) -> Result<SentRequest, MonitorError> {
        let socket = self.connected()?;
        let peer = getsockopt(&socket, sockopt::PeerCredentials).map_err(|errno| self.failed(errno))?;
        let peer = Uid::from_raw(peer.uid());
        // Anybody may listen under any abstract name that is free. As long as somebody else has it no monitor can, and
        // without one the container does not run: a stranger cannot hide the container of another engine in this way.
        if !self.may_be_of(peer) {
            return Err(MonitorError::NoListener);
        }
        let mut request = [0; MESSAGE];
        request[..4].copy_from_slice(&(command as i32).to_ne_bytes());
        let credentials = [ControlMessage::ScmCredentials(&UnixCredentials::new())];
        let (text, quiet) = ([IoSlice::new(&request)], MsgFlags::MSG_NOSIGNAL);
        sendmsg::<()>(socket.as_raw_fd(), &text, &credentials, quiet, None)
            .map_err(|errno| self.failed(errno))?;
        Ok(SentRequest { socket, peer })
    }

    fn reply(&self, sent: &SentRequest, until: Instant) -> Result<MonitorReply, MonitorError> {
        let reply = self.received(sent, until)?;
        match reply.status {
            refused if refused == -libc::EPERM || refused == -libc::EACCES => {
                let (engine, socket) = (self.engine, self.shown());
                Err(MonitorError::Known(EngineError::NotPermitted { engine, socket, group: None }))
            }
            _ => Ok(reply),
        }
    }

    fn may_be_of(&self, user: Uid) -> bool {
        user.is_root() || user == self.owner
    }

    fn connected(&self) -> Result<OwnedFd, MonitorError> {
        let address = UnixAddr::new_abstract(&self.name).map_err(|errno| self.failed(errno))?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None);
        let socket = socket.map_err(|errno| self.failed(errno))?;
        match connect(socket.as_raw_fd(), &address) {
            Ok(()) => Ok(socket),
            // A queue so full of others that it takes no more: it does not answer them either. Whoever squats under the
            // name can fill it, and then cannot be asked for credentials.
            Err(Errno::EAGAIN) => match netlink::owner_of_abstract(&self.name) {
                Ok(Some(owner)) if !self.may_be_of(owner) => Err(MonitorError::NoListener),
                _ => Err(MonitorError::Known(self.slow())),
            },
            Err(errno) => Err(self.failed(errno)),
        }
    }

    fn received(
        &self,
        SentRequest { socket, peer }: &SentRequest,
        until: Instant,
    ) -> Result<MonitorReply, MonitorError> {
        let mut message = [0; MESSAGE];
        let mut length = 0;
        let mut descriptors = Vec::new();
        while length < MESSAGE {
            self.wait(socket, until)?;
            let mut rest = [IoSliceMut::new(&mut message[length..])];
            match sys::receive(socket.as_fd(), &mut rest) {
                Ok((0, _)) => return Err(MonitorError::HungUp),
                Ok((read, mut more)) => {
                    length += read;
                    descriptors.append(&mut more);
                }
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(errno) => return Err(self.failed(errno)),
            }
        }
        let number =
            |at: usize| i32::from_ne_bytes([message[at], message[at + 1], message[at + 2], message[at + 3]]);
        let mut word = [0; WORD];
        word.copy_from_slice(&message[8..]);
        match number(4) {
            0 => Ok(MonitorReply {
                status: number(0),
                value: usize::from_ne_bytes(word),
                descriptors,
                peer: *peer,
            }),
            more => Err(MonitorError::Known(
                self.nonsense(format_args!("{more} bytes more than the request has")),
            )),
        }
    }

    /// Until there is something to read.
    fn wait(&self, socket: &OwnedFd, until: Instant) -> Result<(), MonitorError> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // Rounded up: a poll that is a moment short would spin.
            let milliseconds = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
            let limit = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], limit) {
                Ok(0) => return Err(MonitorError::Known(self.slow())),
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(self.failed(errno)),
            }
        }
    }

    fn failed(&self, errno: Errno) -> MonitorError {
        match errno {
            Errno::ECONNREFUSED | Errno::ECONNRESET | Errno::EPIPE => MonitorError::NoListener,
            errno => MonitorError::Known(self.nonsense(errno.desc())),
        }
    }

    fn slow(&self) -> EngineError {
        EngineError::Slow { engine: self.engine, socket: self.shown(), timeout: self.timeout }
    }

    fn nonsense(&self, what: impl Display) -> EngineError {
        EngineError::Nonsense { engine: self.engine, socket: self.shown(), what: what.to_string() }
    }

    /// As ss(8) and /proc/net/unix show an abstract name.
    fn shown(&self) -> PathBuf {
        PathBuf::from(OsStr::from_bytes(&[b"@", self.name.as_slice()].concat()))
    }
}

/// Whether a container in that state has a first process.
pub(super) fn has_process(state: ContainerState) -> bool {
    matches!(state, ContainerState::Running | ContainerState::Paused)
}

/// `LXCPATH/NAME/command`, or where that is too long for a socket's address `lxc/HASH/command`, with the
/// 64-bit FNV-1a hash of `LXCPATH/NAME` (`lxc_make_abstract_socket_name` in `src/lxc/commands_utils.c`).
fn socket_name(path: &Path, name: &OsStr) -> Vec<u8> {
    /// sun_path without the NULs that LXC keeps around the name.
    const LONGEST: usize = 106;
    let directory = [path.as_os_str().as_bytes(), b"/", name.as_bytes()].concat();
    let whole = [directory.as_slice(), b"/command"].concat();
    if whole.len() < LONGEST {
        return whole;
    }
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = directory.iter().fold(0xcbf2_9ce4_8422_2325, step);
    format!("lxc/{hash:016x}/command").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(path: &str, name: &str) -> String {
        String::from_utf8(socket_name(Path::new(path), OsStr::new(name))).unwrap()
    }

    #[test]
    fn a_socket_is_called_after_the_containers_directory() {
        assert_eq!(name_of("/var/lib/lxc", "web"), "/var/lib/lxc/web/command");
    }

    #[test]
    fn a_name_that_is_too_long_for_a_socket_is_hashed() {
        let just_fits = "n".repeat(105 - "/var/lib/lxc//command".len());
        assert_eq!(name_of("/var/lib/lxc", &just_fits).len(), 105);
        let hashed = name_of("/var/lib/lxc", &format!("{just_fits}n"));
        assert!(hashed.starts_with("lxc/") && hashed.ends_with("/command"), "{hashed}");
        assert_eq!(hashed.len(), "lxc/0123456789abcdef/command".len());
    }
}
