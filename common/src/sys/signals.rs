//! Signals by their number, and those that end a process.

use std::ffi::c_int;

use nix::Result;
use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// From now on `signal` ends the process at once and with the status 0, whatever it is doing:
/// [sigaction(2)](https://man7.org/linux/man-pages/man2/sigaction.2.html).
///
/// # Errors
/// EINVAL for signals that cannot be handled.
pub fn exit_on(signal: Signal) -> Result<()> {
    extern "C" fn end(_: c_int) {
        // SAFETY: async-signal-safe (signal-safety(7)), and nothing runs behind it.
        unsafe { libc::_exit(0) }
    }
    let action = SigAction::new(SigHandler::Handler(end), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler is of the type that it is announced as, and touches nothing of ours.
    unsafe { sigaction(signal, &action) }.map(drop)
}

/// Restores the default action of `signal`: Rust programs start with SIGPIPE ignored,
/// and any caller may leave any signal ignored.
///
/// [sigaction(2)](https://man7.org/linux/man-pages/man2/sigaction.2.html).
pub fn default_action(signal: Signal) -> Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action is no function of ours that a signal could interrupt anything with.
    unsafe { sigaction(signal, &default) }.map(drop)
}

/// The same for any signal by its number: real-time signals (34 to 64) have no name.
pub fn default_action_of(signal: c_int) -> Result<()> {
    // SAFETY: zeroed is a valid sigaction: SIG_DFL, an empty mask and no flags, so no function of ours.
    let default = unsafe { std::mem::zeroed::<libc::sigaction>() };
    // SAFETY: the pointer is to a whole sigaction, and null means that the old one is of no interest.
    Errno::result(unsafe { libc::sigaction(signal, &raw const default, std::ptr::null_mut()) }).map(drop)
}

/// Lets a signal that is blocked arrive, by its number:
/// [pthread_sigmask(3)](https://man7.org/linux/man-pages/man3/pthread_sigmask.3.html).
pub fn unblock(signal: c_int) -> Result<()> {
    // SAFETY: zeroed is a valid signal set, and all three calls get pointers to it or null.
    let failed = unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        Errno::result(libc::sigaddset(&raw mut set, signal))?;
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut())
    };
    if failed == 0 { Ok(()) } else { Err(Errno::from_raw(failed)) }
}

/// Sends a signal to the calling thread, by its number: [raise(3)](https://man7.org/linux/man-pages/man3/raise.3.html).
pub fn raise(signal: c_int) -> Result<()> {
    // SAFETY: the call takes an integer and touches no memory of ours.
    Errno::result(unsafe { libc::raise(signal) }).map(drop)
}
