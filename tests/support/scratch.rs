//! A directory for one test that is removed with all that is in it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A word that no other test, of this process or another one, has: for names of links, mounts, containers, directories.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}{:x}-{:x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An empty directory with a short path (a socket's path has at most 107 bytes), gone when this is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A fresh one in the directory for temporary files.
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Scratch {
        // A test that was killed may have left a directory under the PID that is now ours.
        let dir = loop {
            let dir = std::env::temp_dir().join(unique("netns-toolbox-"));
            match std::fs::create_dir(&dir) {
                Ok(()) => break dir,
                Err(err) if err.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(err) => panic!("{}: {err}", dir.display()),
            }
        };
        Scratch(dir)
    }

    /// The path of `name` in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl AsRef<Path> for Scratch {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
