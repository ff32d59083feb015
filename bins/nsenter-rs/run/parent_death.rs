//! The kernel's signal for the death of a parent.

use std::os::fd::{AsFd, OwnedFd};

use common::failure::Failure;
use common::process::open_pidfd;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{Signal, raise};
use nix::unistd::Pid;

/// What keeps the child from outliving its parent.
#[derive(Debug)]
pub struct ParentDeathSignal {
    /// Its pidfd, without a look at /proc: by now that may be the container's, which does not show us.
    parent: OwnedFd,
}

impl ParentDeathSignal {
    /// For children of this process.
    pub fn of_this_process() -> Result<Self, Failure> {
        let parent = open_pidfd(Pid::this());
        Ok(ParentDeathSignal { parent: parent.map_err(|errno| Failure::failed("fork", errno.desc()))? })
    }

    /// Ends this process when the parent has died, or dies later. setuid(2) and the like take this back, so
    /// it comes after them.
    pub fn arm(&self) -> Result<(), Failure> {
        self.tie().map_err(|errno| Failure::failed("parent", errno.desc()))
    }

    fn tie(&self) -> nix::Result<()> {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // A parent that died before would send nothing. getppid(2) cannot tell: from inside another PID
        // namespace it is 0 all the time.
        let mut parent = [PollFd::new(self.parent.as_fd(), PollFlags::POLLIN)];
        match poll(&mut parent, PollTimeout::ZERO)? {
            0 => Ok(()),
            _ => raise(Signal::SIGKILL),
        }
    }
}
