//! Shows a report, for people and as JSON.

mod drops;
mod mtu;
mod text;

use std::io::{self, Write};

use common::failure::Failure;
use common::output::columns;

pub use self::drops::{packet_words, print_drop, print_summary};
pub use self::mtu::print_mtu;

use crate::model::{PublishedBy, ReverseReport, TraceReport};

/// Prints what a packet from outside meets.
///
/// # Errors
/// What writing to standard output says.
pub fn print_reverse(report: &ReverseReport, json: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if json {
        common::json::line(&mut out, report)?;
    } else {
        let by = report.published_by.as_ref().map(PublishedBy::shown);
        out.write_all(text::published(&report.report, by.as_deref(), columns()).as_bytes())?;
    }
    Ok(out.flush()?)
}

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
