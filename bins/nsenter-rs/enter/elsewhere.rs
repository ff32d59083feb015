//! Namespaces that are not simply the target's of their kind: those of a file, a handle, a socket, and the user
//! namespace above.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::os::fd::{AsFd, OwnedFd, RawFd};

use common::failure::{Failure, Status};
use common::namespace::{Namespace, NamespaceError, NamespaceKind};
use common::process::Process;
use common::typed::with_sudo;
use nix::errno::Errno;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::SockType;
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};

use crate::wanted::{NamespaceRef, OtherNamespace, TakenFrom, Wanted};

/// Those that were named, opened.
pub fn given(wanted: &Wanted) -> Result<BTreeMap<NamespaceKind, Namespace>, Failure> {
    let given = wanted.namespaces.iter().filter_map(|(&kind, from)| match from {
        TakenFrom::Named(OtherNamespace::Named(given)) => Some((kind, given)),
        _ => None,
    });
    given.map(|(kind, given)| Ok((kind, open(given, kind)?))).collect()
}

pub fn open(given: &NamespaceRef, kind: NamespaceKind) -> Result<Namespace, Failure> {
    match given {
        NamespaceRef::File(path) => Ok(Namespace::open(path, kind)?),
        NamespaceRef::Handle(handle) => Namespace::by_handle(*handle, kind).map_err(|error| match error {
            NamespaceError::NoHandles { since: "6.19", .. } => {
                let whole = common::sentence!(
                    "use the whole handle instead: nsenter-rs -v prints that of each namespace it enters"
                );
                // Before Linux 6.18 there is none.
                let has_handles = Namespace::current(kind).is_ok_and(|own| own.handle().is_some());
                Failure::said(Status::Failed, error).hint(whole.filter(|_| has_handles))
            }
            error => error.into(),
        }),
    }
}

/// The network namespace of the target's socket with this descriptor.
pub fn of_socket(number: RawFd, process: &Process) -> Result<Namespace, Failure> {
    let about = format!("{process}, descriptor {number}");
    let socket = descriptor(process, number, &about)?;
    // Not fstat(2), which may have to ask a file system that the target plays.
    if getsockopt(&socket, SockType) == Err(Errno::ENOTSOCK) {
        return Err(
            Failure::failed(about, "is not a socket").hint(common::hint!("ls -l /proc/{}/fd", process.pid()))
        );
    }
    Namespace::of_socket(socket.as_fd()).map_err(|errno| match errno {
        Errno::EPERM => {
            let what =
                "permission denied: requires CAP_NET_ADMIN over the user namespace that owns its network";
            Failure::failed(about, what).hint(with_sudo())
        }
        errno => Failure::failed(about, errno.desc()),
    })
}

/// A descriptor of the target's, as our own.
fn descriptor(process: &Process, number: RawFd, about: &str) -> Result<OwnedFd, Failure> {
    let as_failure = |what: &dyn Display| Failure::failed(about, what);
    pidfd_getfd(process, number, PidfdGetfdFlags::empty()).map_err(|errno| {
        match Errno::from_raw(errno.raw_os_error()) {
            Errno::EBADF => {
                as_failure(&"is not open").hint(common::hint!("ls -l /proc/{}/fd", process.pid()))
            }
            Errno::EPERM => as_failure(
                &"permission denied: requires CAP_SYS_PTRACE over the user namespace of that process \
              (ptrace(2), \"Ptrace access mode checking\", PTRACE_MODE_ATTACH)",
            )
            .hint(with_sudo()),
            Errno::ENOSYS => {
                as_failure(&"this kernel cannot copy descriptors of other processes (needs Linux 5.6)")
            }
            Errno::ESRCH => Failure::no(process, "the process has ended"),
            errno => as_failure(&errno.desc()),
        }
    })
}

/// The user namespace that owns this one; to the kernel the owner of a user namespace is its parent.
pub fn owner(namespace: &Namespace) -> Result<Namespace, Failure> {
    namespace.owner().map_err(|errno| match errno {
        Errno::EPERM => Failure::failed(
            namespace,
            "it has no parent, or none that is the caller's user namespace or below it",
        ),
        Errno::ENOTTY => Failure::failed(namespace, "this kernel does not show its owner (needs Linux 4.9)"),
        errno => Failure::failed(namespace, errno.desc()),
    })
}
