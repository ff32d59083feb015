//! The last event of each DEST in `--json`: why it was not answered, or that it was.

use std::io::{self, Write};
use std::net::IpAddr;

use common::diagnose::{Cause, Verdict};
use common::failure::{Failure, Status};

use super::event::{Event, EventKind, EventTime};

/// Prints it.
///
/// # Errors
/// What writing to standard output says.
pub fn print(from: &str, dest: &str, address: Option<IpAddr>, verdict: &Verdict) -> Result<(), Failure> {
    Event { event: EventKind::Verdict, stamp: EventTime::now(), from, dest, address, what: verdict }
        .print()?;
    Ok(io::stdout().flush()?)
}

/// Prints one for each DEST, where all of it could not be done; gives the result back.
pub fn of_failure(
    json: bool,
    from: &str,
    dests: impl IntoIterator<Item = String>,
    result: Result<Status, Failure>,
) -> Result<Status, Failure> {
    let Err(failure) = &result else { return result };
    if json && !failure.is_already_said() {
        let verdict = Verdict::of(Cause::NotDone, failure.text()).advising(failure.hint.clone());
        dests.into_iter().try_for_each(|dest| print(from, &dest, None, &verdict))?;
    }
    result
}
