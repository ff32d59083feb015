//! The file of a watch, and changes to it. A version with an error changes nothing.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::failure::Failure;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::unistd::geteuid;

use crate::parse::watch_file::{WatchEntry, entries};
use crate::watch::trust::refuse_others;

/// More than is written by hand.
const MOST_BYTES: u64 = 1 << 20;

/// The file, and the inotify watches that report changes to it.
#[derive(Debug)]
pub struct WatchFile {
    /// Absolute.
    path: PathBuf,
    /// Its text when it was read last, valid or not.
    text: String,
    inotify: Inotify,
    /// For how long its entries wait for an engine.
    engine_timeout: Duration,
}

impl WatchFile {
    /// The file at `path`, which is not read yet.
    pub fn at(path: &Path, engine_timeout: Duration) -> Result<Self, Failure> {
        let as_failure = |error: io::Error| Failure::failed(path.display(), error);
        refuse_others(&std::path::absolute(path).map_err(as_failure)?)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = fs::canonicalize(parent.unwrap_or(Path::new("."))).map_err(as_failure)?;
        let name = path.file_name().ok_or_else(|| Failure::failed(path.display(), "not a file"))?;
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).map_err(|errno| {
            let failure = Failure::failed("inotify", io::Error::from(errno));
            if errno == Errno::EMFILE {
                failure.hint(common::hint!("sysctl fs.inotify.max_user_instances"))
            } else {
                failure
            }
        })?;
        Ok(WatchFile { path: directory.join(name), text: String::new(), inotify, engine_timeout })
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its entries.
    pub fn read(&mut self) -> Result<Vec<WatchEntry>, Failure> {
        // Before it is read: a change in between is noticed.
        self.watch_directories()?;
        self.text = text(&self.path)?;
        entries(&self.path, &self.text, self.engine_timeout)
    }

    /// Its entries, if it was written since and its text differs.
    pub fn read_if_changed(&mut self) -> Option<Result<Vec<WatchEntry>, Failure>> {
        if !self.was_written() {
            return None;
        }
        match text(&self.path) {
            Ok(text) if text == self.text => None,
            _ => Some(self.read()),
        }
    }

    /// The directory reports a version that is moved into its place, as most editors do. The file behind a symbolic link may
    /// be in another directory.
    fn watch_directories(&self) -> Result<(), Failure> {
        let elsewhere = fs::canonicalize(&self.path).ok();
        let files = std::iter::once(&self.path).chain(&elsewhere);
        let directories: Vec<&Path> = files.filter_map(|file| file.parent()).collect();
        // A file is trusted by its owner and mode, and by those of the directories above it.
        for above in directories.iter().flat_map(|directory| directory.ancestors()) {
            self.add_watch(above, AddWatchFlags::IN_ATTRIB)?;
        }
        // Not while it is created or written: it may be incomplete then.
        let whole = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ATTRIB;
        directories.into_iter().try_for_each(|directory| self.add_watch(directory, whole))
    }

    /// Replaces what is watched there already.
    fn add_watch(&self, directory: &Path, events: AddWatchFlags) -> Result<(), Failure> {
        self.inotify.add_watch(directory, events).map(drop).map_err(|errno| {
            let failure = Failure::failed(directory.display(), io::Error::from(errno));
            if errno == Errno::ENOSPC {
                failure.hint(common::hint!("sysctl fs.inotify.max_user_watches"))
            } else {
                failure
            }
        })
    }

    /// Whether there are events that may be about it. Consumes all events.
    fn was_written(&self) -> bool {
        let is_link = self.path.is_symlink();
        let mut heard = false;
        loop {
            match self.inotify.read_events() {
                // Any symbolic link in its path may have been replaced.
                Ok(events) => {
                    // Without a name it is about a directory itself.
                    let is_about = |name: Option<&OsStr>| name.is_none() || name == self.path.file_name();
                    heard |= is_link || events.iter().any(|event| is_about(event.name.as_deref()));
                }
                Err(Errno::EINTR) => {}
                Err(_) => return heard,
            }
        }
    }
}

impl AsFd for WatchFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// The text of a file that only root or the caller can write or replace: it decides what root does to the network.
fn text(path: &Path) -> Result<String, Failure> {
    let as_failure = |error: io::Error| Failure::failed(path.display(), error);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(as_failure)?;
    let metadata = file.metadata().map_err(as_failure)?;
    if !metadata.is_file() {
        return Err(Failure::failed(path.display(), "not a file"));
    }
    if (metadata.uid() != 0 && metadata.uid() != geteuid().as_raw()) || metadata.mode() & 0o022 != 0 {
        return Err(Failure::failed(path.display(), "can be written by another user").hint(common::hint!(
            "chown root {}; chmod go-w {}",
            path.display(),
            path.display()
        )));
    }
    refuse_others(path)?;
    let mut text = String::new();
    let length = file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(as_failure)?;
    match length as u64 > MOST_BYTES {
        true => Err(Failure::failed(path.display(), "larger than 1 MiB")),
        false => Ok(text),
    }
}
