//! What names a namespace without a file and without a process: its ID, or its whole nsfs file handle.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::str::FromStr;

use nix::errno::Errno;

use super::{Namespace, NamespaceError, NamespaceKind};
use crate::sys;

/// A file handle of nsfs, `struct nsfs_file_handle` in linux/nsfs.h (Linux 6.18). It means one namespace and no
/// later one, and keeps none alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NamespaceHandle {
    id: u64,
    /// The CLONE_NEW* flag of its kind, and the number in `net:[4026531840]`: 0 for both where only the ID is known.
    kind: u32,
    inode: u32,
}

impl NamespaceHandle {
    /// The number of the namespace, which counts on from boot and which no other one gets.
    pub fn id(self) -> u64 {
        self.id
    }

    /// The one with that ID, as listns(2) lists it.
    pub fn of_id(id: u64) -> Self {
        NamespaceHandle { id, kind: 0, inode: 0 }
    }

    /// The same by the ID alone, which the kernel takes since Linux 6.19.
    #[must_use]
    pub fn only_id(self) -> Self {
        NamespaceHandle { kind: 0, inode: 0, ..self }
    }

    fn is_only_id(self) -> bool {
        self.kind == 0 && self.inode == 0
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, kind @ .., i, j, k, l] = bytes;
        NamespaceHandle {
            id: u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
            kind: u32::from_ne_bytes(kind),
            inode: u32::from_ne_bytes([i, j, k, l]),
        }
    }

    /// As the kernel lays it out in memory: three integers without gaps.
    fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.id.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.kind.to_ne_bytes());
        bytes[12..].copy_from_slice(&self.inode.to_ne_bytes());
        bytes
    }
}

/// A whole handle as 32 hexadecimal digits, the bytes as they lie in memory; one of which only the ID is known as
/// that number.
impl fmt::Display for NamespaceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_only_id() {
            true => write!(f, "{}", self.id),
            false => self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// The text was neither an ID nor a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is neither a namespace's ID (a number below 2^64) nor its handle (32 hexadecimal digits)")]
pub struct NoHandle;

impl FromStr for NamespaceHandle {
    type Err = NoHandle;

    /// No ID has 32 digits, so there is nothing to confuse.
    fn from_str(text: &str) -> Result<Self, NoHandle> {
        // parse() and from_str_radix() would take a sign.
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NoHandle);
        }
        let handle = match text.len() {
            32 => {
                let number = u128::from_str_radix(text, 16).map_err(|_| NoHandle)?;
                NamespaceHandle::from_bytes(number.to_be_bytes())
            }
            _ => NamespaceHandle { id: text.parse().map_err(|_| NoHandle)?, kind: 0, inode: 0 },
        };
        // The kernel counts from 1, and the rest of a handle is there or it is not.
        let is_whole = handle.kind != 0 && handle.inode != 0;
        if handle.id != 0 && (is_whole || handle.is_only_id()) { Ok(handle) } else { Err(NoHandle) }
    }
}

impl Namespace {
    /// Opens the namespace of `kind` that `handle` means.
    ///
    /// # Errors
    /// `NoSuch`, `OtherKind`, or `NoHandles` where the kernel cannot open namespaces by such a handle.
    pub fn by_handle(handle: NamespaceHandle, kind: NamespaceKind) -> Result<Self, NamespaceError> {
        let name = || PathBuf::from(format!(":{handle}"));
        // What may not be opened is ESTALE too (exportfs_decode_fh in fs/exportfs/expfs.c of the kernel).
        let fd = open(handle).map_err(|errno| match errno {
            Errno::ESTALE if handle.is_only_id() && !kernel_takes_ids() => {
                NamespaceError::NoHandles { file: name(), since: "6.19", what: "its ID alone" }
            }
            Errno::ESTALE | Errno::EPERM => NamespaceError::NoSuch { file: name() },
            // FD_NSFS_ROOT is no descriptor to a kernel that does not know it.
            Errno::EBADF | Errno::EOPNOTSUPP if handle.is_only_id() => {
                NamespaceError::NoHandles { file: name(), since: "6.19", what: "its ID alone" }
            }
            Errno::EBADF | Errno::EOPNOTSUPP => {
                NamespaceError::NoHandles { file: name(), since: "6.18", what: "its handle" }
            }
            errno => NamespaceError::Io { file: name(), source: errno.into() },
        })?;
        Self::from_fd(fd, kind, name)
    }
}

fn open(handle: NamespaceHandle) -> nix::Result<OwnedFd> {
    sys::open_namespace_by_handle(handle.to_bytes())
}

/// ESTALE says that no namespace has this ID, or that the kernel wants the whole handle: our own namespace tells.
fn kernel_takes_ids() -> bool {
    let own = Namespace::current(NamespaceKind::Mnt).ok().and_then(|own| own.handle());
    own.is_some_and(|own| open(own.only_id()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_handle_prints_is_what_it_is_read_from() {
        let whole = NamespaceHandle { id: 0x1_0000_0007, kind: 0x4000_0000, inode: 4_026_531_840 };
        for (handle, length) in [(whole, 32), (whole.only_id(), 10)] {
            assert_eq!(handle.to_string().len(), length);
            assert_eq!(handle.to_string().parse(), Ok(handle));
            assert_eq!(NamespaceHandle::from_bytes(handle.to_bytes()), handle);
        }
        assert_eq!(whole.only_id().to_string(), "4294967303");
        assert_eq!(u64::MAX.to_string().parse::<NamespaceHandle>().map(NamespaceHandle::id), Ok(u64::MAX));
    }

    #[test]
    fn what_is_no_number_names_no_namespace() {
        let half = "0700000000000000000000400000000000";
        let words =
            ["", "0", "+1", "-1", " 1", "1 ", "0x1", "18446744073709551616", "1a", "ä", &half[..32], half];
        for word in words {
            assert_eq!(word.parse::<NamespaceHandle>(), Err(NoHandle), "{word:?}");
        }
        assert_eq!("0".repeat(32).parse::<NamespaceHandle>(), Err(NoHandle));
    }

    #[test]
    fn a_namespace_is_opened_by_its_handle_and_only_as_what_it_is() {
        let own = Namespace::current(NamespaceKind::Net).unwrap();
        let Some(handle) = own.handle() else {
            let some = NamespaceHandle { id: 1, kind: 0x4000_0000, inode: 1 };
            let refused = Namespace::by_handle(some, NamespaceKind::Net).unwrap_err();
            return assert!(matches!(refused, NamespaceError::NoHandles { since: "6.18", .. }), "{refused}");
        };
        assert_eq!(Namespace::by_handle(handle, NamespaceKind::Net).unwrap().identity(), own.identity());
        let other = Namespace::by_handle(handle, NamespaceKind::Uts).unwrap_err();
        assert!(matches!(other, NamespaceError::OtherKind { .. }), "{other}");
        let nobody =
            Namespace::by_handle(NamespaceHandle { id: u64::MAX, ..handle }, NamespaceKind::Net).unwrap_err();
        assert!(matches!(nobody, NamespaceError::NoSuch { .. }), "{nobody}");
        match Namespace::by_handle(handle.only_id(), NamespaceKind::Net) {
            Ok(opened) => assert_eq!(opened.identity(), own.identity()),
            Err(error) => {
                assert!(matches!(error, NamespaceError::NoHandles { since: "6.19", .. }), "{error}")
            }
        }
    }
}
