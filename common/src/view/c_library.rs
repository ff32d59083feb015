//! Which C library the programs of a container have: it decides how a name is looked up.

use std::fmt;
use std::io;
use std::path::PathBuf;

use nix::fcntl::OFlag;

use super::ViewError;
use super::file::{ConfinedDir, LinkPolicy};
use crate::process::{Process, ProcessError};

/// A C library, as far as its resolver differs from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CLibrary {
    /// The GNU C library, and what behaves like it.
    Glibc,
    /// musl, of Alpine Linux and others.
    Musl,
}

/// The C library of a container, and how it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownLibrary {
    /// Which one.
    pub library: CLibrary,
    /// How it is known, or why it is assumed.
    pub why: &'static str,
}

/// The dynamic loaders of glibc, by the ABIs of each architecture; those of musl are called `ld-musl-ARCH.so.1`.
const GLIBC_LOADERS: [&str; 9] = [
    "lib64/ld-linux-x86-64.so.2",
    "lib/ld-linux-aarch64.so.1",
    "lib/ld-linux-armhf.so.3",
    "lib/ld-linux.so.2",
    "lib/ld-linux.so.3",
    "lib/ld64.so.1",
    "lib64/ld64.so.2",
    "lib/ld-linux-riscv64-lp64d.so.1",
    "lib64/ld-linux-loongarch-lp64d.so.1",
];
const MUSL_LOADERS: [&str; 9] = [
    "lib/ld-musl-x86_64.so.1",
    "lib/ld-musl-aarch64.so.1",
    "lib/ld-musl-armhf.so.1",
    "lib/ld-musl-arm.so.1",
    "lib/ld-musl-i386.so.1",
    "lib/ld-musl-powerpc64le.so.1",
    "lib/ld-musl-s390x.so.1",
    "lib/ld-musl-riscv64.so.1",
    "lib/ld-musl-loongarch64.so.1",
];

impl KnownLibrary {
    /// What a network namespace without a process has: the host's programs are what is started in it.
    pub const OF_HOST: KnownLibrary =
        KnownLibrary { library: CLibrary::Glibc, why: "assumed, as there is no process" };

    /// That of `process`, by what it has mapped, or by the dynamic loader in its root.
    pub fn of_process(process: &Process) -> Self {
        let mapped = process.read("maps").ok().and_then(|maps| mapped(&maps));
        mapped.unwrap_or_else(|| match in_root(process) {
            Ok((false, true)) => {
                KnownLibrary { library: CLibrary::Musl, why: "its root has the loader of musl, and no other" }
            }
            Ok((true, false)) => KnownLibrary {
                library: CLibrary::Glibc,
                why: "its root has the loader of glibc, and no other",
            },
            Ok((true, true)) => {
                KnownLibrary { library: CLibrary::Glibc, why: "assumed, as its root has several loaders" }
            }
            Ok((false, false)) => {
                KnownLibrary { library: CLibrary::Glibc, why: "assumed, as its programs are static" }
            }
            Err(_) => KnownLibrary { library: CLibrary::Glibc, why: "assumed, as its root cannot be read" },
        })
    }
}

/// By the files that a process has mapped: proc_pid_maps(5), the path is the sixth word.
fn mapped(maps: &[u8]) -> Option<KnownLibrary> {
    let text = String::from_utf8_lossy(maps);
    let files = text.lines().filter_map(|line| line.split_ascii_whitespace().nth(5)?.rsplit('/').next());
    for file in files {
        if file.starts_with("ld-musl-") || file.starts_with("libc.musl-") {
            return Some(KnownLibrary { library: CLibrary::Musl, why: "its process has musl loaded" });
        }
        if file == "libc.so.6" || file.starts_with("ld-linux") || file.starts_with("libc-2.") {
            return Some(KnownLibrary { library: CLibrary::Glibc, why: "its process has glibc loaded" });
        }
    }
    None
}

/// Whether its root has a loader of glibc, and one of musl.
fn in_root(process: &Process) -> Result<(bool, bool), ViewError> {
    let root = root(process)?;
    Ok((root.has_any(&GLIBC_LOADERS)?, root.has_any(&MUSL_LOADERS)?))
}

/// The root directory of a process, which is not left through links.
pub(super) fn root(process: &Process) -> Result<ConfinedDir, ViewError> {
    let root = process.open_file("root", OFlag::O_PATH | OFlag::O_DIRECTORY);
    let root = root.map_err(|error| match error {
        ProcessError::Proc { pid, source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            ViewError::OutOfReach(pid)
        }
        error => error.into(),
    })?;
    let name = PathBuf::from(format!("/proc/{}/root", process.pid()));
    Ok(ConfinedDir::new(root, name, LinkPolicy::StayInside))
}

impl fmt::Display for CLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CLibrary::Glibc => "glibc",
            CLibrary::Musl => "musl",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_that_is_mapped_is_known_and_one_that_only_looks_so_is_not() {
        let library = |file: &str| {
            let line = format!("7f00-7f01 r-xp 00000000 fe:01 1234                       {file}\n");
            let maps =
                format!("5500-5501 r-xp 00000000 fe:01 12   /bin/busybox\n{line}7ffe-7fff rw-p 0 00:00 0\n");
            mapped(maps.as_bytes()).map(|known| known.library)
        };
        assert_eq!(library("/lib/ld-musl-x86_64.so.1"), Some(CLibrary::Musl));
        assert_eq!(library("/usr/lib/x86_64-linux-gnu/libc.so.6"), Some(CLibrary::Glibc));
        assert_eq!(library("/lib/aarch64-linux-gnu/libc-2.31.so"), Some(CLibrary::Glibc));
        for other in ["/srv/ld-musl-x/data", "[heap]", "", "/lib/my-libc.so.6x"] {
            assert_eq!(library(other), None, "{other}");
        }
    }
}
