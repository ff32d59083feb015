#![forbid(unsafe_code)]
//! Measures our tools side by side with those people use today, and with floors: C programs that do only what
//! cannot be avoided.
//!
//! ```text
//! make bench                       all of it, in private namespaces with an engine of its own
//! side_by_side                     here, as root; the engine is the one that answers `docker`
//! side_by_side --only nsenter-rs --runs 1000 --json out.json --markdown
//! ```
//!
//! It measures the binaries beside it; `--bin-dir DIR` or `NETNS_TOOLBOX_BIN` those from elsewhere. The rows are in `contest.rs`.
//!
//! Before a row is measured, everyone in it must give the same answer. Then all run alternately, in an order that
//! puts each equally often behind each other, so that drift of the machine and a neighbour's leftovers hit all alike.
//! A time is wall time (CLOCK_MONOTONIC) from spawn to exit, output to /dev/null. Times have a long tail, so the
//! report is of medians; the noise is shown as the middle half of all runs, and a target is called met or missed
//! "within the noise" when the confidence interval of the ratio (from the 95 % ones of both medians) holds it: then
//! raise `--runs`, or quieten the machine.
#![expect(clippy::disallowed_methods, reason = "its JSON is a file, or for itself")]

mod cli;
mod contest;
mod crowd;
mod error;
mod fixture;
mod floors;
mod keeper;
mod measure;
mod numbers;
mod program;
mod report;
mod scales;
mod stopwatch;
#[cfg(test)]
mod tests;

use std::{
    fs,
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

use crate::{
    cli::{Cli, Inner, Wanted},
    crowd::Crowd,
    error::BenchError,
    fixture::Fixture,
    report::{Report, RowReport},
};

fn main() -> ExitCode {
    run(Cli::parse()).unwrap_or_else(|error| {
        complain(&error);
        ExitCode::from(2)
    })
}

fn run(cli: Cli) -> Result<ExitCode, BenchError> {
    match cli.inner {
        None => {
            let status = keeper::run(&cli.wanted)?;
            Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2)))
        }
        Some(Inner::Race { fixture, wanted }) => {
            keeper::let_signals_in()?;
            race(&serde_json::from_str(&fixture)?, &wanted)
        }
        Some(Inner::Weigh { command }) => {
            print(&format!("{}\n", scales::weigh(&command)?))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn race(fixture: &Fixture, wanted: &Wanted) -> Result<ExitCode, BenchError> {
    let mut report = Report::begin(fixture.describe(), wanted.runs);
    let mut crowd = Crowd::none_yet();
    for row in wanted.rows()? {
        let gathered = if row.in_crowd { crowd.gather(fixture, &wanted.image) } else { Ok(()) };
        let measured =
            gathered.and_then(|()| measure::row(row, wanted.runs, &wanted.bin_dir(), fixture, &report.rows));
        let (measured, stopped) = match measured {
            Ok(measured) => (Some(measured), None),
            Err(error) => (None, Some(error.to_string())),
        };
        report.rows.push(RowReport { name: row.name, work: row.work, measured, stopped });
    }
    print(&if wanted.markdown { report.markdown() } else { report.table() })?;
    if let Some(file) = &wanted.json {
        let json = serde_json::to_string_pretty(&report)? + "\n";
        fs::write(file, json).map_err(BenchError::path(file))?;
    }
    Ok(ExitCode::from(report.status()))
}

/// A reader that has seen enough and closed the pipe is no error.
fn print(text: &str) -> Result<(), BenchError> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(BenchError::call("stdout")(cause)),
        _ => Ok(()),
    }
}

fn complain(error: &BenchError) {
    // Nowhere is left to say that stderr is closed.
    let _ = writeln!(io::stderr().lock(), "side_by_side: {error}");
}
