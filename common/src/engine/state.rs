//! Reading what engines keep on disk, in bounded time and memory (all together: [`budget`]): the files are other programs', may be half
//! written, and in a rootless engine's directory they are whatever that user likes.
//!
//! A file speaks for a user's engines only if it belongs to that user. That is checked here, on what was opened: a
//! [`StatePath`] knows whose it has to be, and nothing else can be read.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::fcntl::OFlag;
use nix::unistd::{Uid, geteuid};
use rustix::fs::Dir;
use serde::de::DeserializeOwned;

use super::error::LONGEST_WORDS;
use super::{EngineError, budget};
use crate::output::shortened;
use crate::sys;
use crate::target::Name;

/// No engine writes a state file near this size.
pub(super) const MOST_BYTES: u64 = 8 << 20;

/// No host runs near this many containers of one engine.
pub(super) const MOST_ENTRIES: usize = 100_000;

/// What a stat shows of a file whose owner has no number in our user namespace (user_namespaces(7)).
const UNMAPPED: u32 = 65534;

/// A file or directory of an engine, and the user that it must belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StatePath {
    path: PathBuf,
    owner: Uid,
}

impl StatePath {
    /// The file at `path`, which is used only if `owner` owns it.
    pub(super) fn new(path: impl Into<PathBuf>, owner: Uid) -> Self {
        StatePath { path: path.into(), owner }
    }

    /// The file below it with this name.
    pub(super) fn join(&self, below: impl AsRef<Path>) -> Self {
        self.at(self.path.join(below))
    }

    /// Another path that must belong to the same user: where its configuration says.
    pub(super) fn at(&self, path: impl Into<PathBuf>) -> Self {
        StatePath { path: path.into(), owner: self.owner }
    }

    /// The user that it must belong to.
    pub(super) fn owner(&self) -> Uid {
        self.owner
    }

    /// Where it is. Do not read it without the functions of this file: its owner would not be checked.
    pub(super) fn as_path(&self) -> &Path {
        &self.path
    }

    /// Whether something is there, whosever it is.
    pub(super) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Whether a directory is there, whosever it is.
    pub(super) fn is_dir(&self) -> bool {
        self.path.is_dir()
    }

    /// Another user's file says nothing about this engine: a link of that user's may lead there, or whoever owns it may
    /// write into it.
    fn belongs_to(&self, found: u32) -> Result<(), EngineError> {
        let found = Uid::from_raw(found);
        let as_ever = found == self.owner
            // A file that root left in the user's own directories cannot harm the user.
            || (found.is_root() && !geteuid().is_root())
            // In a user namespace the host's root is one of the many without a number.
            || (found.as_raw() == UNMAPPED && self.owner.is_root() && !has_a_number(UNMAPPED));
        match as_ever {
            true => Ok(()),
            false => Err(EngineError::Foreign { file: self.path.clone(), owner: self.owner, found }),
        }
    }
}

impl fmt::Display for StatePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

/// Whether our user namespace has a user with this number: `FIRST OUTSIDE COUNT` in the lines of uid_map.
fn has_a_number(uid: u32) -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.lines().any(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        matches!(numbers[..], [first, _, count] if (first..first + count).contains(&u64::from(uid)))
    })
}

/// A small file of the kernel's, such as one of a cgroup, which has no owner that would matter; `None` when it is
/// not there or cannot be read.
pub(super) fn of_kernel(file: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let opened = sys::open(file, OFlag::O_NONBLOCK).ok()?;
    File::from(opened).take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The whole of a state file; `None` when it is not there.
///
/// # Errors
/// `Unreadable`, `Foreign`, or `File` when it is no regular file or longer than [`MOST_BYTES`].
pub(super) fn read(file: &StatePath) -> Result<Option<Vec<u8>>, EngineError> {
    let mut bytes = Vec::new();
    Ok(read_into(&mut bytes, file)?.then_some(bytes))
}

/// As [`read`], in the place of what `bytes` hold; returns whether the file is there. For many files, one
/// after the other: musl asks the kernel for memory, and gives it back, for a vector of each one's own.
///
/// # Errors
/// As [`read`].
pub(super) fn read_into(bytes: &mut Vec<u8>, file: &StatePath) -> Result<bool, EngineError> {
    let Some((opened, length)) = open(file)? else { return Ok(false) };
    bytes.clear();
    bytes.reserve(usize::try_from(length.min(MOST_BYTES)).unwrap_or(0));
    opened.take(MOST_BYTES + 1).read_to_end(bytes).map_err(|error| wrong(file, error))?;
    budget::spend(file.as_path(), 0, bytes.len() as u64)?;
    match bytes.len() as u64 > MOST_BYTES {
        true => Err(wrong(file, format_args!("is longer than {MOST_BYTES} bytes"))),
        false => Ok(true),
    }
}

/// The first `most` bytes of a state file, or all there are; none when it is not there.
///
/// # Errors
/// `Unreadable`, `Foreign`, or `File` when it is no regular file.
pub(super) fn beginning(file: &StatePath, most: usize) -> Result<Vec<u8>, EngineError> {
    let Some((opened, _)) = open(file)? else { return Ok(vec![]) };
    let mut bytes = Vec::with_capacity(most);
    opened.take(most as u64).read_to_end(&mut bytes).map_err(|error| wrong(file, error))?;
    budget::spend(file.as_path(), 0, bytes.len() as u64)?;
    Ok(bytes)
}

/// A state file that holds JSON; `None` when it is not there.
///
/// # Errors
/// As [`read`], and `File` when it does not parse.
pub(super) fn json<T: DeserializeOwned>(file: &StatePath) -> Result<Option<T>, EngineError> {
    let Some(bytes) = read(file)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| wrong(file, error))
}

/// A file that holds one number, such as a PID file; `None` when it is not there.
///
/// # Errors
/// As [`read`], and `File` when it is not a number.
pub(super) fn number(file: &StatePath) -> Result<Option<i32>, EngineError> {
    let Some(bytes) = read(file)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    text.trim().parse().map(Some).map_err(|_| wrong(file, "is not a number"))
}

/// The names in a state directory, sorted; none when it is not there.
///
/// # Errors
/// `Unreadable`, `Foreign`, or `File` when there are more than any engine makes.
pub(super) fn names(directory: &StatePath) -> Result<Vec<OsString>, EngineError> {
    let opened = sys::open(directory.as_path(), OFlag::O_DIRECTORY | OFlag::O_NONBLOCK);
    let Some(opened) = there(opened.map_err(io::Error::from), directory)?.map(File::from) else {
        return Ok(vec![]);
    };
    directory.belongs_to(opened.metadata().map_err(|error| wrong(directory, error))?.uid())?;
    let mut names = Vec::new();
    for entry in Dir::new(opened).map_err(|errno| wrong(directory, errno))? {
        budget::spend(directory.as_path(), 1, 0)?;
        let entry = entry.map_err(|errno| wrong(directory, errno))?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
        if names.len() > MOST_ENTRIES {
            return Err(wrong(directory, format_args!("has more than {MOST_ENTRIES} entries")));
        }
    }
    names.sort();
    Ok(names)
}

/// Whether a state directory is there.
///
/// # Errors
/// `Unreadable` when we may not even know, `Foreign`, or `File`.
pub(super) fn is_there(directory: &StatePath) -> Result<bool, EngineError> {
    Ok(looked_at(directory)?.is_some())
}

/// Whether a regular state file is there.
///
/// # Errors
/// As [`is_there`].
pub(super) fn has_file(file: &StatePath) -> Result<bool, EngineError> {
    Ok(looked_at(file)?.is_some_and(|meta| meta.is_file()))
}

/// When a state file was last written; `None` when it is not there, or does not belong to the right user.
pub(super) fn written_at(file: &StatePath) -> Option<Timestamp> {
    Timestamp::try_from(looked_at(file).ok()??.modified().ok()?).ok()
}

fn looked_at(path: &StatePath) -> Result<Option<Metadata>, EngineError> {
    budget::spend(path.as_path(), 1, 0)?;
    let Some(meta) = there(fs::metadata(path.as_path()), path)? else { return Ok(None) };
    path.belongs_to(meta.uid()).map(|()| Some(meta))
}

/// Those of [`names`] that could be a container's, its ID's or a namespace's; an engine's own notes, and what
/// it is about to remove, begin with a dot.
///
/// # Errors
/// As [`names`].
pub(super) fn usable_names(directory: &StatePath) -> Result<Vec<Name>, EngineError> {
    let word = |name: OsString| name.to_str().filter(|name| !name.starts_with('.'))?.parse().ok();
    Ok(names(directory)?.into_iter().filter_map(word).collect())
}

/// A file that is wrong, and why.
pub(super) fn wrong(file: &StatePath, what: impl fmt::Display) -> EngineError {
    let what = shortened(&what.to_string(), LONGEST_WORDS).into_owned();
    EngineError::File { file: file.path.clone(), what }
}

/// Whether `bytes` hold `word` anywhere: a cheap look before an expensive parse.
pub(super) fn mentions(bytes: &[u8], word: &str) -> bool {
    memchr::memmem::find(bytes, word.as_bytes()).is_some()
}

/// Whether `word` is a whole ID as most engines make them: 64 lower-case hexadecimal digits. Such a word is
/// safe in a path.
pub(super) fn is_id(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn there<T>(result: io::Result<T>, file: &StatePath) -> Result<Option<T>, EngineError> {
    match result {
        Ok(opened) => Ok(Some(opened)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
            io::ErrorKind::PermissionDenied => Err(EngineError::Unreadable { file: file.path.clone() }),
            _ => Err(wrong(file, error)),
        },
    }
}

/// A regular file and its length in bytes; `None` when it is not there.
///
/// # Errors
/// As [`read`].
pub(super) fn open(file: &StatePath) -> Result<Option<(File, u64)>, EngineError> {
    budget::spend(file.as_path(), 1, 0)?;
    let is_strangers = !file.owner.is_root() && geteuid().is_root();
    // Not to be held up by a pipe, nor to be given a terminal.
    let flags = if is_strangers { OFlag::O_PATH } else { OFlag::O_NONBLOCK | OFlag::O_NOCTTY };
    let opened = sys::open(file.as_path(), flags).map_err(io::Error::from);
    let Some(opened) = there(opened, file)?.map(File::from) else { return Ok(None) };
    let meta = opened.metadata().map_err(|error| wrong(file, error))?;
    file.belongs_to(meta.uid())?;
    if !meta.is_file() {
        return Err(wrong(file, "is not a regular file"));
    }
    let opened = if is_strangers { reopened(&opened).map_err(|error| wrong(file, error))? } else { opened };
    Ok(Some((opened, meta.len())))
}

/// The same file, to be read: `opened` with O_PATH only holds it. A user's link may lead to a device, and root's open(2) of one
/// acts: it wakes a watchdog that then resets the machine, or rewinds a tape.
fn reopened(opened: &File) -> io::Result<File> {
    let opened = sys::open(format!("/proc/self/fd/{}", opened.as_raw_fd()).as_str(), OFlag::O_NONBLOCK)?;
    Ok(opened.into())
}
