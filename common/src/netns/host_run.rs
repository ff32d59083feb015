//! Whether `/run` is the host's. In a container that shares the host's network but not its `/run`, what our tools record there is
//! lost with the container, and tools on the host do not see it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};

/// What a tool that records something there should say; `None` if `/run` is the host's, as far as can be seen.
pub fn run_of_a_container() -> Option<&'static str> {
    if is_another(Path::new("/run"), Path::new("/proc/1/root/run")) {
        return Some(
            "/run is not that of the first process: what is recorded there is not seen on the host (in a container: -v /run:/run)",
        );
    }
    let is_of_an_image = statfs("/run").is_ok_and(|found| found.filesystem_type() == OVERLAYFS_SUPER_MAGIC);
    is_of_an_image.then_some(
        "/run is part of a container's image: what is recorded there is not seen on the host, and lost with the container (-v /run:/run)",
    )
}

/// Whether both can be looked at, and are two directories. Only root can look through the root of the first process.
fn is_another(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| path.metadata().map(|found| (found.dev(), found.ino()));
    match (identity(one), identity(other)) {
        (Ok(one), Ok(other)) => one != other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_directories_are_told_apart_and_what_cannot_be_seen_is_no_reason() {
        assert!(is_another(Path::new("/proc"), Path::new("/sys")));
        assert!(!is_another(Path::new("/proc"), Path::new("/proc/.")));
        assert!(!is_another(Path::new("/proc"), Path::new("/nonexistent")));
    }
}
