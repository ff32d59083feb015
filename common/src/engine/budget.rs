//! Limits how much is read of one engine for one lookup, all files together: the user that writes its state
//! (any user, in a rootless engine's directory) must not keep us busy. Every file and directory of [`super::state`] is counted here.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use super::EngineError;

/// Files, and entries of directories. No host runs near this many containers of one engine.
const MOST_FILES: u64 = 200_000;
/// Twenty thousand containers of Docker have two thirds of it.
const MOST_BYTES: u64 = 256 << 20;
/// From the first file on: no file system of this machine takes so long for what the others allow.
const LONGEST: Duration = Duration::from_secs(10);

/// What was read for one query.
#[derive(Debug, Clone, Copy)]
struct SpentReading {
    since: Option<Instant>,
    files: u64,
    bytes: u64,
}

thread_local! {
    /// Of the query that this thread answers; `None` if it is about none.
    static SPENT: Cell<Option<SpentReading>> = const { Cell::new(None) };
    /// What was refused.
    static REFUSED: Cell<Option<EngineError>> = const { Cell::new(None) };
}

/// What `ask` brings, if it needs no more than may be read. Otherwise it is an error, whatever it brings: of what was
/// passed over nobody may conclude that it is not there.
pub(super) fn within<T>(ask: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    let outer = SPENT.replace(Some(SpentReading { since: None, files: 0, bytes: 0 }));
    let answer = ask();
    SPENT.set(outer);
    match REFUSED.take() {
        Some(refused) => Err(refused),
        None => answer,
    }
}

/// Counts `files` more and `bytes`, about to be read from `place` or just read there.
///
/// # Errors
/// `File` where that is more than is read.
pub(super) fn spend(place: &Path, files: u64, bytes: u64) -> Result<(), EngineError> {
    let Some(mut spent) = SPENT.get() else { return Ok(()) };
    spent.files = spent.files.saturating_add(files);
    spent.bytes = spent.bytes.saturating_add(bytes);
    let since = *spent.since.get_or_insert_with(Instant::now);
    SPENT.set(Some(spent));
    let what = if spent.files > MOST_FILES {
        format!("{MOST_FILES} files")
    } else if spent.bytes > MOST_BYTES {
        format!("{} MiB", MOST_BYTES >> 20)
    } else if since.elapsed() > LONGEST {
        format!("{LONGEST:?}")
    } else {
        return Ok(());
    };
    let what = format!("is not read: the state of this engine is too large ({what})");
    let error = EngineError::File { file: place.to_owned(), what };
    REFUSED.set(Some(error.clone()));
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_an_error_whatever_is_made_of_it() {
        let place = Path::new("/state");
        let some = MOST_BYTES / 2;
        assert_eq!(within(|| spend(place, 1, some).map(|()| 7)).ok(), Some(7));
        // Each query begins at nothing.
        assert_eq!(within(|| spend(place, 1, some).map(|()| 7)).ok(), Some(7));
        let swallowed = within(|| {
            let _ =
                spend(place, 1, some).and_then(|()| spend(place, 1, some)).and_then(|()| spend(place, 1, 1));
            Ok(7)
        });
        let said = swallowed.map_err(|error| error.to_string());
        assert_eq!(
            said,
            Err("/state: is not read: the state of this engine is too large (256 MiB)".to_owned())
        );
        assert!(within(|| spend(place, MOST_FILES + 1, 0)).is_err());
        assert!(within(|| Ok(())).is_ok());
        assert!(spend(place, MOST_FILES + 1, 0).is_ok(), "nobody has asked");
    }
}
