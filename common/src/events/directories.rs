//! inotify(7) on trees of directories that need not be there yet.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use super::EventsError;
use crate::engine::WatchDir;

/// No host runs near this many containers; a larger tree is not an engine's.
const MOST: usize = 20_000;

/// The directories, as far as they are there, and an inotify instance that watches them.
pub(super) struct Directories {
    inotify: Inotify,
    watch_dirs: Vec<WatchDir>,
    watched: HashSet<WatchDescriptor>,
}

impl Directories {
    pub(super) fn new(watch_dirs: Vec<WatchDir>) -> Result<Self, EventsError> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        let inotify = Inotify::init(flags).map_err(|errno| match errno {
            Errno::EMFILE => EventsError::Limit { limit: "fs.inotify.max_user_instances" },
            errno => io::Error::from(errno).into(),
        })?;
        Ok(Directories { inotify, watch_dirs, watched: HashSet::new() })
    }

    /// Watches everything that is there now; whether some of it had not been watched.
    pub(super) fn watch(&mut self) -> Result<bool, EventsError> {
        let mut there = HashSet::new();
        for watched in &self.watch_dirs {
            self.add_tree(&watched.directory, watched.depth, &mut there)?;
        }
        let new = there.iter().any(|watch| !self.watched.contains(watch));
        self.watched = there;
        Ok(new)
    }

    /// Whether there were news. What they were is forgotten.
    pub(super) fn heard(&self) -> Result<bool, EventsError> {
        let mut heard = false;
        loop {
            match self.inotify.read_events() {
                Ok(_) => heard = true,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(heard),
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
        }
    }

    fn add_tree(
        &self,
        directory: &Path,
        depth: u8,
        there: &mut HashSet<WatchDescriptor>,
    ) -> Result<(), EventsError> {
        if there.len() >= MOST {
            return Ok(());
        }
        // The watch comes before the look: what is made in between is in one of them.
        let Some(watch) = self.add(directory)? else {
            return self.add_parent(directory, there);
        };
        // Two traces may lead to one directory, to different depths.
        there.insert(watch);
        if depth > 0 {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten().take(MOST) {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    self.add_below(&entry.path(), depth - 1, there)?;
                }
            }
        }
        Ok(())
    }

    /// As [`Self::add_tree`], for a directory whose parent is watched: if it has gone, that is known there.
    fn add_below(
        &self,
        directory: &Path,
        depth: u8,
        there: &mut HashSet<WatchDescriptor>,
    ) -> Result<(), EventsError> {
        match directory.is_dir() {
            true => self.add_tree(directory, depth, there),
            false => Ok(()),
        }
    }

    /// The nearest directory above that is there, in which the way to `directory` will appear.
    fn add_parent(&self, directory: &Path, there: &mut HashSet<WatchDescriptor>) -> Result<(), EventsError> {
        for parent in directory.ancestors().skip(1) {
            if let Some(watch) = self.add(parent)? {
                there.insert(watch);
                break;
            }
        }
        Ok(())
    }

    /// `None` when the directory is not there, or not for us: then the engine's own events must do.
    fn add(&self, directory: &Path) -> Result<Option<WatchDescriptor>, EventsError> {
        let news = AddWatchFlags::IN_ONLYDIR
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_CLOSE_WRITE
            // A socket is given to its group once the engine listens on it.
            | AddWatchFlags::IN_ATTRIB;
        match self.inotify.add_watch(directory, news) {
            Ok(watch) => Ok(Some(watch)),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) => Ok(None),
            Err(Errno::ENOSPC) => Err(EventsError::Limit { limit: "fs.inotify.max_user_watches" }),
            Err(errno) => Err(io::Error::from(errno).into()),
        }
    }
}

impl AsFd for Directories {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A directory of this test's own, removed when it ends.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(test: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("netns-toolbox-{}-{test}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Scratch(path)
        }

        fn watched(&self, below: &str, depth: u8) -> Directories {
            let watched = WatchDir { directory: self.0.join(below), depth };
            let mut directories = Directories::new(vec![watched]).unwrap();
            directories.watch().unwrap();
            assert!(!directories.heard().unwrap());
            directories
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_happens_before_anybody_waits_is_heard() {
        let scratch = Scratch::new("before");
        let directories = scratch.watched("", 0);
        fs::write(scratch.0.join("web"), "").unwrap();
        assert!(directories.heard().unwrap());
        assert!(!directories.heard().unwrap());
    }

    #[test]
    fn every_step_on_the_way_to_a_directory_is_heard() {
        let scratch = Scratch::new("steps");
        let mut directories = scratch.watched("a/b", 1);
        for step in ["a", "a/b", "a/b/c"] {
            fs::create_dir(scratch.0.join(step)).unwrap();
            assert!(directories.heard().unwrap(), "{step}");
            assert!(directories.watch().unwrap(), "{step}");
        }
        fs::write(scratch.0.join("a/b/c/init.pid"), "1").unwrap();
        assert!(directories.heard().unwrap());
    }

    #[test]
    fn what_was_made_in_a_directory_before_it_was_watched_is_news() {
        let scratch = Scratch::new("unheard");
        let mut directories = scratch.watched("tasks", 1);
        fs::create_dir_all(scratch.0.join("tasks/id")).unwrap();
        fs::write(scratch.0.join("tasks/id/init.pid"), "1").unwrap();
        assert!(directories.watch().unwrap());
        assert!(!directories.watch().unwrap());
    }

    #[test]
    fn a_directory_that_is_made_anew_is_watched_anew() {
        let scratch = Scratch::new("anew");
        fs::create_dir(scratch.0.join("tasks")).unwrap();
        let mut directories = scratch.watched("tasks", 0);
        fs::remove_dir(scratch.0.join("tasks")).unwrap();
        assert!(directories.heard().unwrap());
        directories.watch().unwrap();
        fs::create_dir(scratch.0.join("tasks")).unwrap();
        assert!(directories.heard().unwrap());
        assert!(directories.watch().unwrap());
        fs::write(scratch.0.join("tasks/web"), "").unwrap();
        assert!(directories.heard().unwrap());
    }
}
