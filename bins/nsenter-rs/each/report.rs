//! What is said of the runs: their lines and their ends, for people and as JSON.

use common::each::Chosen;
use common::failure::Failure;
use common::hint::Hint;
use common::output::{harmless, one_line};
use nix::poll::PollFlags;
use nix::sys::signal::Signal;
use serde::Serialize;

use super::lines::Line;
use super::sink::Sink;
use crate::run::ended::{ChildEnd, name_of};
use crate::status::{CANNOT_RUN, NOT_FOUND, OWN_FAILURE};
use crate::tool::TOOL;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputStream {
    Stdout,
    Stderr,
}

/// No user can continue a run.
const STOPPED: &str = "stopped (SIGSTOP or the like), and was killed";

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// PROGRAM ended by itself, or could not be started (126, 127).
    Exited(u8),
    Killed(i32),
    /// It had stopped, as by SIGSTOP, and was killed.
    Stopped,
    /// The container could not be entered.
    Failed(Failure),
}

impl RunEnd {
    pub fn of(end: ChildEnd, failure: Option<Failure>) -> Self {
        match (failure, end) {
            (Some(failure), _) => RunEnd::Failed(failure),
            (None, ChildEnd::Killed(signal)) => RunEnd::Killed(signal),
            (None, ChildEnd::Exited(status)) => RunEnd::Exited(u8::try_from(status).unwrap_or(u8::MAX)),
        }
    }

    /// As a shell shows it.
    pub fn status(&self) -> u8 {
        match self {
            RunEnd::Exited(status) => *status,
            RunEnd::Killed(signal) => 128_u8.saturating_add(u8::try_from(*signal).unwrap_or(u8::MAX)),
            RunEnd::Stopped => RunEnd::Killed(Signal::SIGKILL as i32).status(),
            RunEnd::Failed(_) => OWN_FAILURE,
        }
    }
}

/// A line, as JSON has it.
#[derive(Serialize)]
struct LineObject<'a> {
    container: &'a str,
    stream: OutputStream,
    line: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    goes_on: bool,
}

/// The end of a run, as JSON has it.
#[derive(Serialize)]
struct EndObject<'a> {
    container: &'a str,
    engine: &'static str,
    id: &'a str,
    pid: Option<i32>,
    also: &'a [String],
    exit_status: Option<u8>,
    signal: Option<i32>,
    error: Option<&'a str>,
}

/// What is said, and where it goes.
#[derive(Debug)]
pub struct Report {
    as_json: bool,
    pub stdout: Sink,
    pub stderr: Sink,
    /// What helps against several failures is said once.
    hint: Option<Hint>,
}

impl Report {
    pub fn new(as_json: bool) -> Self {
        Report { as_json, stdout: Sink::stdout(), stderr: Sink::stderr(), hint: None }
    }

    /// Whether lines of `stream` can be taken now.
    pub fn has_room(&self, stream: OutputStream) -> bool {
        match self.sink(stream) {
            OutputStream::Stdout => !self.stdout.is_full(),
            OutputStream::Stderr => !self.stderr.is_full(),
        }
    }

    /// Whether all that was said has been written.
    pub fn is_empty(&self) -> bool {
        self.stdout.is_empty() && self.stderr.is_empty()
    }

    /// Writes what standard error takes; without a reader nothing is written.
    pub fn write_stderr(&mut self, seen: PollFlags) {
        let _ = self.stderr.write(seen);
    }

    /// There is no reader any more.
    pub fn close(&mut self) {
        self.stdout.close();
        self.stderr.close();
    }

    /// One line of a run.
    pub fn line(&mut self, run: &Chosen, stream: OutputStream, line: Line<'_>) {
        if self.as_json {
            let text = String::from_utf8_lossy(line.text);
            let object = LineObject { container: &run.name, stream, line: &text, goes_on: line.goes_on };
            return self.object(&object);
        }
        let sink = match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        };
        sink.add(one_line(&run.name).as_bytes());
        sink.add(b": ");
        if sink.is_terminal() {
            sink.add(for_terminal(&String::from_utf8_lossy(line.text)).as_bytes());
        } else {
            sink.add(line.text);
        }
        sink.add(b"\n");
    }

    /// How a run ended: in JSON always, to people only where it is neither as it should be nor `as_asked` nor said
    /// already, as shells and we do of a program that cannot be run.
    pub fn end(&mut self, run: &Chosen, end: &RunEnd, as_asked: bool) {
        if self.as_json {
            let container = &run.known.container;
            return self.object(&EndObject {
                container: &run.name,
                engine: container.engine.as_str(),
                id: &container.id,
                pid: container.pid.map(|pid| pid.as_raw()),
                also: &run.also,
                exit_status: if let RunEnd::Exited(status) = end { Some(*status) } else { None },
                signal: match end {
                    RunEnd::Killed(signal) => Some(*signal),
                    RunEnd::Stopped => Some(Signal::SIGKILL as i32),
                    RunEnd::Exited(_) | RunEnd::Failed(_) => None,
                },
                error: match end {
                    RunEnd::Failed(failure) => Some(failure.text()),
                    RunEnd::Stopped => Some(STOPPED),
                    RunEnd::Exited(_) | RunEnd::Killed(_) => None,
                },
            });
        }
        match end {
            RunEnd::Exited(0 | CANNOT_RUN | NOT_FOUND) => {}
            RunEnd::Killed(_) if as_asked => {}
            RunEnd::Exited(status) => self.say(&format!("{}: exit status {status}", run.name)),
            RunEnd::Killed(signal) => self.say(&format!("{}: killed by {}", run.name, name_of(*signal))),
            RunEnd::Stopped => self.say(&format!("{}: {STOPPED}", run.name)),
            RunEnd::Failed(failure) => {
                let why = failure.text();
                let name = one_line(&run.name);
                self.stderr.add(format!("{TOOL}: {name}: {}\n", harmless(why)).as_bytes());
                if let Some(hint) = failure.hint.as_ref().filter(|hint| self.hint.as_ref() != Some(hint)) {
                    self.stderr.add(format!("hint: {}\n", &**hint).as_bytes());
                    self.hint = Some(hint.clone());
                }
            }
        }
    }

    fn say(&mut self, message: &str) {
        self.stderr.add(format!("{TOOL}: {}\n", one_line(message)).as_bytes());
    }

    fn object(&mut self, object: &impl Serialize) {
        // These are structs of texts and numbers, which cannot fail.
        let mut text = Vec::new();
        let _ = common::json::line(&mut text, object);
        self.stdout.add(&text);
    }

    /// Where lines of `stream` end up.
    fn sink(&self, stream: OutputStream) -> OutputStream {
        if self.as_json { OutputStream::Stdout } else { stream }
    }
}

/// A program's line for a terminal: tabs stay, for columns, and a carriage return at its end goes.
fn for_terminal(line: &str) -> String {
    let line = line.strip_suffix('\r').unwrap_or(line);
    line.split('\t').map(harmless).collect::<Vec<_>>().join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_what_a_shell_shows() {
        assert_eq!(RunEnd::Exited(22).status(), 22);
        assert_eq!(RunEnd::Killed(9).status(), 137);
        assert_eq!(RunEnd::Stopped.status(), 137);
        assert_eq!(RunEnd::Failed(Failure::no("web", "is gone")).status(), 1);
    }

    #[test]
    fn a_line_cannot_drive_a_terminal() {
        assert_eq!(for_terminal("a\tb\x1b[2J\r"), "a\tb\\u{1b}[2J");
        assert_eq!(for_terminal("a\rb"), "a\\u{d}b");
    }
}
