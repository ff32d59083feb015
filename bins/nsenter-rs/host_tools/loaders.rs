//! Which dynamic loaders there are below a root.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::root::Root;

/// Where programs name their loader: on Debian and Fedora, Alpine, and for 32 bits on both.
const DIRECTORIES: [&str; 4] = ["/lib64", "/lib", "/lib32", "/libx32"];
/// How loaders are called there: of glibc `ld-linux-x86-64.so.2`, `ld-linux.so.2`, `ld-linux-aarch64.so.1`, `ld64.so.2`,
/// `ld.so.1`; of musl `ld-musl-x86_64.so.1`.
const NAMES: [&[u8]; 4] = [b"ld-linux", b"ld-musl-", b"ld64.so.", b"ld.so."];
/// The canonical paths of all loaders below `root`; one that several names lead to comes as often.
pub fn loaders(root: &Root) -> impl Iterator<Item = PathBuf> {
    let directories = DIRECTORIES.iter().map(Path::new);
    let named = directories.flat_map(|directory| {
        let names = root.names(directory).into_iter().filter(|name| is_loader(name));
        names.map(|name| directory.join(name)).collect::<Vec<_>>()
    });
    named.filter_map(|file| root.canonical(&file).ok())
}

fn is_loader(name: &OsStr) -> bool {
    NAMES.iter().any(|start| name.as_bytes().starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaders_are_known_by_their_names() {
        for name in ["ld-linux-x86-64.so.2", "ld-linux.so.2", "ld-musl-x86_64.so.1", "ld64.so.2", "ld.so.1"] {
            assert!(is_loader(OsStr::new(name)), "{name}");
        }
        for name in ["libc.so.6", "ld", "cpp", "ldscripts"] {
            assert!(!is_loader(OsStr::new(name)), "{name}");
        }
    }
}
