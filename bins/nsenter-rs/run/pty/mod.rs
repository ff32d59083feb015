//! A terminal of the program's own (`--pty`), so that it cannot reach the one that we were started from.
//!
//! A process that has a terminal open can push keys into it (TIOCSTI), which the operator's shell reads when the program is
//! over; and a program in the operator's session may signal whatever else runs there. With a pseudo-terminal of the
//! host and a session around it there is nothing but our relay between the two.

mod operator;
mod relay;

use std::os::fd::OwnedFd;
use std::process::ExitCode;

use common::failure::Failure;
use common::namespace::NamespaceKind;
use nix::sys::signal::Signal;
use nix::sys::stat::fstat;
use nix::unistd::{Uid, fchown};
use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use self::operator::Operator;
use self::relay::Relay;
use crate::enter::source::EntrySource;
use crate::plan::{Join, Plan};
use crate::run::child;
use crate::run::parent_death::ParentDeathSignal;
use crate::wanted::RequestedId;

/// Both ends, opened from the host's devpts before anything is entered.
#[derive(Debug)]
pub struct Pty {
    /// The end that we hold.
    master: OwnedFd,
    /// The end that is the program's terminal.
    slave: OwnedFd,
    operator: Operator,
}

impl Pty {
    /// A terminal that behaves as the operator's does, and is as large.
    pub fn open() -> Result<Self, Failure> {
        let operator = Operator::here();
        let open = || -> rustix::io::Result<Pty> {
            let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
            let master = openpt(flags)?;
            grantpt(&master)?;
            unlockpt(&master)?;
            let slave = match ioctl_tiocgptpeer(&master, flags) {
                // Before Linux 4.13 it has to be found by its name.
                Err(rustix::io::Errno::NOTTY | rustix::io::Errno::INVAL) => by_name(&master)?,
                slave => slave?,
            };
            let mut modes = match operator.modes() {
                Some(modes) => modes.clone(),
                None => tcgetattr(&slave)?,
            };
            // What comes from a file is not to appear in the output: script(1) does the same.
            modes.local_modes.set(LocalModes::ECHO, operator.modes().is_some());
            tcsetattr(&slave, OptionalActions::Now, &modes)?;
            rustix::io::ioctl_fionbio(&master, true)?;
            operator.copy_size(&master);
            Ok(Pty { master, slave, operator })
        };
        open().map_err(|errno| Failure::failed("--pty: /dev/ptmx", errno))
    }

    /// Makes it belong to the user that the program will have, which can then open it again, as `echo >/dev/stderr` does.
    /// It has to be done out here: inside a user namespace its owner is not mapped. Where it cannot be, it stays ours.
    pub fn give(&self, plan: &Plan, source: &EntrySource) {
        if let Some(user) = user(plan, source) {
            let _ = fchown(&self.slave, Some(Uid::from_raw(user)), None);
        }
    }

    /// Runs `start` in a child whose terminal this is, and relays until it ends: as [`crate::run::supervise::child`] otherwise.
    pub fn child(
        self,
        start: impl FnOnce(&ParentDeathSignal) -> Result<ExitCode, Failure>,
    ) -> Result<ExitCode, Failure> {
        let Pty { master, slave, operator } = self;
        let theirs = slave.try_clone().map_err(|error| Failure::failed("--pty", error))?;
        let start = |parent: &ParentDeathSignal| {
            take(&theirs).map_err(|errno| Failure::failed("--pty", errno))?;
            start(parent)
        };
        child::fork(&[Signal::SIGTSTP, Signal::SIGCONT], start, |child, watched| {
            Relay::new(child, master, slave, operator).run(watched)
        })
    }
}

fn by_name(master: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    let name = ptsname(master, Vec::new())?;
    let flags = nix::fcntl::OFlag::O_RDWR | nix::fcntl::OFlag::O_NOCTTY | nix::fcntl::OFlag::O_CLOEXEC;
    let slave = nix::fcntl::open(name.as_c_str(), flags, nix::sys::stat::Mode::empty());
    slave.map_err(|errno| rustix::io::Errno::from_raw_os_error(errno as i32))
}

/// The user that the program will be, as we count users.
fn user(plan: &Plan, source: &EntrySource) -> Option<u32> {
    let joins_targets = matches!(&plan.join, Join::AtOnce(kinds) if kinds.contains(&NamespaceKind::User));
    let Some(uid) = plan.uid else { return plan.confinement.as_ref().map(|confinement| confinement.ids.uid) };
    match uid {
        RequestedId::Follow => Some(fstat(source.process().ok()?.directory()).ok()?.st_uid),
        RequestedId::Number(user) if joins_targets => {
            outside(&source.process().ok()?.read("uid_map").ok()?, user)
        }
        RequestedId::Number(user) => (!plan.joins(NamespaceKind::User)).then_some(user),
    }
}

/// What `user` of a user namespace is outside: its `/proc/PID/uid_map`, user_namespaces(7).
fn outside(map: &[u8], user: u32) -> Option<u32> {
    std::str::from_utf8(map).ok()?.lines().find_map(|line| {
        let numbers: Vec<u32> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
        let [inside, outside, count] = numbers[..] else { return None };
        let distance = user.checked_sub(inside).filter(|distance| *distance < count)?;
        outside.checked_add(distance)
    })
}

/// Makes the slave the terminal of this process: of a session of its own, and its standard input, output and error.
fn take(slave: &OwnedFd) -> rustix::io::Result<()> {
    setsid()?;
    ioctl_tiocsctty(slave)?;
    rustix::stdio::dup2_stdin(slave)?;
    rustix::stdio::dup2_stdout(slave)?;
    rustix::stdio::dup2_stderr(slave)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_inside_is_another_one_outside() {
        let map = b"         0       1000          1\n         1     100000      65536\n";
        assert_eq!(outside(map, 0), Some(1000));
        assert_eq!(outside(map, 1), Some(100_000));
        assert_eq!(outside(map, 65_536), Some(165_535));
        assert_eq!(outside(map, 65_537), None);
        assert_eq!(outside(b"0 0 4294967295", 7), Some(7));
        assert_eq!(outside(b"0 4294967295 9", 7), None);
        assert_eq!(outside(b"no map", 0), None);
    }
}
