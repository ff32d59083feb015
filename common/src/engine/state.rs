//! Reading what engines keep on disk, in bounded time and memory (all together: [`budget`]): the files are other programs', may be half
//! written, and in a rootless engine's directory they are whatever that user likes.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::{EngineError, budget};
use crate::target::Name;

/// No engine writes a state file near this size.
pub(super) const MOST_BYTES: u64 = 8 << 20;

/// No host runs near this many containers of one engine.
const MOST_ENTRIES: usize = 100_000;

/// The whole of a state file; `None` when it is not there.
///
/// # Errors
/// `Unreadable`, or `File` when it is no regular file or longer than [`MOST_BYTES`].
pub(super) fn read(file: &Path) -> Result<Option<Vec<u8>>, EngineError> {
    let mut bytes = Vec::new();
    Ok(read_into(&mut bytes, file)?.then_some(bytes))
}

/// As [`read`], in the place of what `bytes` hold; returns whether the file is there. For many files, one
/// after the other: musl asks the kernel for memory, and gives it back, for a vector of each one's own.
///
/// # Errors
/// As [`read`].
pub(super) fn read_into(bytes: &mut Vec<u8>, file: &Path) -> Result<bool, EngineError> {
    let Some((opened, length)) = open(file)? else { return Ok(false) };
    bytes.clear();
    bytes.reserve(usize::try_from(length.min(MOST_BYTES)).unwrap_or(0));
    opened.take(MOST_BYTES + 1).read_to_end(bytes).map_err(|error| wrong(file, error))?;
    budget::spend(file, 0, bytes.len() as u64)?;
    match bytes.len() as u64 > MOST_BYTES {
        true => Err(wrong(file, format_args!("is longer than {MOST_BYTES} bytes"))),
        false => Ok(true),
    }
}

/// The first `most` bytes of a state file, or all there are; none when it is not there.
///
/// # Errors
/// `Unreadable`, or `File` when it is no regular file.
pub(super) fn beginning(file: &Path, most: usize) -> Result<Vec<u8>, EngineError> {
    let Some((opened, _)) = open(file)? else { return Ok(vec![]) };
    let mut bytes = Vec::with_capacity(most);
    opened.take(most as u64).read_to_end(&mut bytes).map_err(|error| wrong(file, error))?;
    budget::spend(file, 0, bytes.len() as u64)?;
    Ok(bytes)
}

/// A state file that holds JSON; `None` when it is not there.
///
/// # Errors
/// As [`read`], and `File` when it does not parse.
pub(super) fn json<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, EngineError> {
    let Some(bytes) = read(file)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| wrong(file, error))
}

/// A file that holds one number, such as a PID file; `None` when it is not there.
///
/// # Errors
/// As [`read`], and `File` when it is not a number.
pub(super) fn number(file: &Path) -> Result<Option<i32>, EngineError> {
    let Some(bytes) = read(file)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    text.trim().parse().map(Some).map_err(|_| wrong(file, "is not a number"))
}

/// The names in a state directory, sorted; none when it is not there.
///
/// # Errors
/// `Unreadable`, or `File` when there are more than any engine makes.
pub(super) fn names(directory: &Path) -> Result<Vec<OsString>, EngineError> {
    let Some(entries) = there(fs::read_dir(directory), directory)? else { return Ok(vec![]) };
    let mut names = Vec::new();
    for entry in entries {
        budget::spend(directory, 1, 0)?;
        names.push(entry.map_err(|error| wrong(directory, error))?.file_name());
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
/// `Unreadable` when we may not even know, or `File`.
pub(super) fn is_there(directory: &Path) -> Result<bool, EngineError> {
    budget::spend(directory, 1, 0)?;
    there(fs::metadata(directory), directory).map(|found| found.is_some())
}

/// Those of [`names`] that could be a container's, its ID's or a namespace's; an engine's own notes, and what
/// it is about to remove, begin with a dot.
///
/// # Errors
/// As [`names`].
pub(super) fn words(directory: &Path) -> Result<Vec<Name>, EngineError> {
    let word = |name: OsString| name.to_str().filter(|name| !name.starts_with('.'))?.parse().ok();
    Ok(names(directory)?.into_iter().filter_map(word).collect())
}

/// A file that is wrong, and why.
pub(super) fn wrong(file: &Path, what: impl std::fmt::Display) -> EngineError {
    EngineError::File { file: file.to_owned(), what: what.to_string() }
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

fn there<T>(result: io::Result<T>, file: &Path) -> Result<Option<T>, EngineError> {
    match result {
        Ok(opened) => Ok(Some(opened)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
            io::ErrorKind::PermissionDenied => Err(EngineError::Unreadable { file: file.to_owned() }),
            _ => Err(wrong(file, error)),
        },
    }
}

/// A regular file and its length in bytes; `None` when it is not there.
fn open(file: &Path) -> Result<Option<(File, u64)>, EngineError> {
    budget::spend(file, 1, 0)?;
    // Not to be held up by a pipe, nor to be given a terminal.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(file);
    let Some(opened) = there(opened, file)? else { return Ok(None) };
    let meta = opened.metadata().map_err(|error| wrong(file, error))?;
    match meta.is_file() {
        true => Ok(Some((opened, meta.len()))),
        false => Err(wrong(file, "is not a regular file")),
    }
}
