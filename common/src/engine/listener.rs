//! The process that listens on an engine's socket. The PIDs that an engine tells are those of its own PID namespace, so they
//! are used only if the process that called listen(2) is in ours: tools in a container that has the host's socket and not
//! its PID namespace, and Docker in Docker, would act on any process that happens to have the number.
//!
//! Where systemd listens for the engine (docker.socket), the engine need not be where systemd is. Then, and where a program
//! passes on what another machine's engine says (`ssh -L`), the process itself has to show that it is the container's:
//! `find` compares each claim with its control group or its start time.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Pid, Uid};

use crate::process::{Process, ProcessError};
use crate::sys;

/// What called listen(2) for the socket at the other end: the kernel noted it then, and nobody can change it (SO_PEERCRED in
/// unix(7)).
#[derive(Debug)]
pub(super) struct SocketListener {
    /// Its user.
    pub user: Uid,
    /// Its PID in our PID namespace; `None` where it is neither in that one nor in one below.
    pub pid: Option<Pid>,
    /// It is held. `Gone` where it has ended, or has no PID here.
    pub process: Result<Process, ProcessError>,
}

impl SocketListener {
    /// What listens at the other end of this connection.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub(super) fn behind(socket: BorrowedFd<'_>) -> nix::Result<Self> {
        let peer = getsockopt(&socket, PeerCredentials)?;
        let pid = Pid::from_raw(peer.pid());
        let seen = Some(pid).filter(|pid| pid.as_raw() > 0);
        Ok(SocketListener { user: Uid::from_raw(peer.uid()), pid: seen, process: held(socket, pid) })
    }

    /// Whether the PIDs that it tells are ours. What we may not look at is not believed.
    pub(super) fn has_our_pids(&self) -> bool {
        self.process.as_ref().is_ok_and(|process| process.is_in_our_pid_namespace().unwrap_or(false))
    }

    /// Whether it was killed: the socket is still there, and nobody will answer.
    pub(super) fn has_ended(&self) -> bool {
        self.pid.is_some()
            && match &self.process {
                Ok(process) => !process.is_alive(),
                Err(error) => matches!(error, ProcessError::Gone(_)),
            }
    }
}

/// By the listener's own pidfd (Linux 6.5): its number may be another process's by now.
fn held(socket: BorrowedFd<'_>, pid: Pid) -> Result<Process, ProcessError> {
    if pid.as_raw() <= 0 {
        return Err(ProcessError::Gone(pid));
    }
    match sys::peer_pidfd(socket) {
        Ok(pidfd) => Process::behind(pidfd, pid),
        Err(Errno::ENOPROTOOPT) => Process::open(pid),
        // It has ended and was waited for: EINVAL of pidfd_prepare() in kernel/fork.c, by now ESRCH.
        Err(Errno::ESRCH | Errno::EINVAL | Errno::ENODATA) => Err(ProcessError::Gone(pid)),
        // That the kernel does not say says nothing of the process.
        Err(errno) => Err(ProcessError::Proc { pid, file: "", source: errno.into() }),
    }
}
