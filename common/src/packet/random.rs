//! Random bytes, for tokens and identifiers.

use nix::errno::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// Random bytes, which cannot be guessed.
///
/// # Errors
/// What getrandom(2) says.
pub fn random<const N: usize>() -> nix::Result<[u8; N]> {
    let mut bytes = [0; N];
    let filled = getrandom(&mut bytes, GetRandomFlags::empty());
    filled.map(|_| bytes).map_err(|errno| Errno::from_raw(errno.raw_os_error()))
}
