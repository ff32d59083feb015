//! Shows a report, for people and as JSON.

mod text;

use std::io::{self, Write};

use common::failure::Failure;
use common::output::columns;

use crate::model::TraceReport;

/// Prints it.
///
/// # Errors
/// What writing to standard output says.
pub fn print(report: &TraceReport, json: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if json {
        common::json::line(&mut out, report)?;
    } else {
        out.write_all(text::text(report, columns()).as_bytes())?;
    }
    Ok(out.flush()?)
}
