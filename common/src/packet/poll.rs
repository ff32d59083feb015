//! Waiting for sockets.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};

/// Waits until one of `fds` can be read or has an error, or until then; which of them, by their places. None after a signal.
///
/// # Errors
/// What ppoll(2) says.
pub fn wait_for<'a>(
    fds: impl IntoIterator<Item = BorrowedFd<'a>>,
    until: Instant,
) -> nix::Result<Vec<usize>> {
    wait_for_each(fds.into_iter().map(|fd| (fd, false)), until)
}

/// The same, and where it is so of one, also until that one is connected.
///
/// # Errors
/// What ppoll(2) says.
pub fn wait_for_each<'a>(
    fds: impl IntoIterator<Item = (BorrowedFd<'a>, bool)>,
    until: Instant,
) -> nix::Result<Vec<usize>> {
    let events = |connects| if connects { PollFlags::POLLIN | PollFlags::POLLOUT } else { PollFlags::POLLIN };
    let mut fds: Vec<PollFd<'_>> =
        fds.into_iter().map(|(fd, connects)| PollFd::new(fd, events(connects))).collect();
    let left = until.saturating_duration_since(Instant::now());
    match ppoll(&mut fds, Some(left.into()), None) {
        Ok(_) => {}
        Err(Errno::EINTR) => return Ok(Vec::new()),
        Err(errno) => return Err(errno),
    }
    let ready = fds.iter().enumerate().filter(|(_, fd)| fd.any() == Some(true));
    Ok(ready.map(|(at, _)| at).collect())
}
