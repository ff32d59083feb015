//! The process that listens on an engine's socket. The PIDs that an engine tells are those of its own PID namespace, so they
//! are used only if the process that called listen(2) is in ours: tools in a container that has the host's socket and not
//! its PID namespace, and Docker in Docker, would act on any process that happens to have the number.
//!
//! Where systemd listens for the engine (docker.socket), the engine need not be where systemd is. Then, and where a program
//! passes on what another machine's engine says (`ssh -L`), the process itself has to show that it is the container's:
//! `find` compares each claim with its control group or its start time.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Pid, Uid};

use crate::process::Process;
use crate::sys;

/// What called listen(2) for the socket at the other end: the kernel noted it then, and nobody can change it (SO_PEERCRED in
/// unix(7)).
#[derive(Debug)]
pub(super) struct Listener {
    /// Its user.
    pub user: Uid,
    /// It is held; `None` where it is not in our PID namespace nor in one below, and so has no PID here, or has ended, or
    /// where `/proc` does not show it.
    pub process: Option<Process>,
}

impl Listener {
    /// What listens at the other end of this connection.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub(super) fn behind(socket: BorrowedFd<'_>) -> nix::Result<Self> {
        let peer = getsockopt(&socket, PeerCredentials)?;
        Ok(Listener { user: Uid::from_raw(peer.uid()), process: held(socket, Pid::from_raw(peer.pid())) })
    }

    /// Whether the PIDs that it tells are ours. What we may not look at is not believed.
    pub(super) fn has_our_pids(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.is_in_our_pid_namespace().unwrap_or(false))
    }

    /// Its PID here, if it has one.
    pub(super) fn pid(&self) -> Option<Pid> {
        self.process.as_ref().map(Process::pid)
    }
}

/// By the listener's own pidfd (Linux 6.5): its number may be another process's by now.
fn held(socket: BorrowedFd<'_>, pid: Pid) -> Option<Process> {
    if pid.as_raw() <= 0 {
        return None;
    }
    match sys::peer_pidfd(socket.as_fd()) {
        Ok(pidfd) => Process::behind(pidfd, pid).ok(),
        Err(Errno::ENOPROTOOPT) => Process::open(pid).ok(),
        Err(_) => None,
    }
}
