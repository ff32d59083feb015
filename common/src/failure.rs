//! What went wrong, what it was about, and what the user can do; and the exit status that says it.

use std::error::Error;
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::hint::{Hint, IntoHint};
use crate::output::{harmless, one_line};
use crate::typed;

/// The exit status of every tool but nsenter-rs, which has the status of the command that it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// 0: yes, or done.
    Yes = 0,
    /// 1: the honest negative: no such container, no reply, drift found.
    No = 1,
    /// 2: bad usage, or it could not be done or found out.
    Failed = 2,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        ExitCode::from(status as u8)
    }
}

/// What there is to say of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
enum FailureText {
    /// One line, and those that were added below it. A line feed in a name makes none.
    Now(String),
    /// All of it has been printed, or the reader has closed the pipe.
    Already,
}

/// One line; line feeds in it are spelled out.
fn line(text: impl Display) -> String {
    text.to_string().replace('\n', "\\n")
}

/// Why a tool cannot go on, ready to be shown: *about: what*, and a hint with the command to run next.
///
/// ```
/// use common::failure::{Failure, Status};
/// use common::hint;
///
/// let failure = Failure::no("web", "is not running").hint(hint!("docker start {}", "web; reboot"));
/// assert_eq!(failure.status, Status::No);
/// // A name acts as one word, whatever it is.
/// assert_eq!(failure.hint.as_deref(), Some("docker start 'web; reboot'"));
/// ```
#[derive(Debug, Clone)]
pub struct Failure {
    /// What the tool's exit status becomes.
    pub status: Status,
    /// The exact command, or the one fact, that helps.
    pub hint: Option<Hint>,
    /// Other commands that help instead.
    or_hints: Vec<Hint>,
    /// What it was about, and what went wrong.
    said: FailureText,
    /// The error that it was made from.
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// Two failures are the same if they say the same.
impl PartialEq for Failure {
    fn eq(&self, other: &Self) -> bool {
        (self.status, &self.said, &self.hint, &self.or_hints)
            == (other.status, &other.said, &other.hint, &other.or_hints)
    }
}

impl Eq for Failure {}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as &(dyn Error + 'static))
    }
}

impl Failure {
    /// The text of `message`, which has all its parts already: an error enum of `common`.
    pub fn said(status: Status, message: impl Display) -> Self {
        Failure {
            status,
            hint: None,
            or_hints: Vec::new(),
            said: FailureText::Now(line(message)),
            source: None,
        }
    }

    /// What `error` says. It stays the failure's source.
    pub fn from_error(status: Status, error: impl Error + Send + Sync + 'static) -> Self {
        Failure::said(status, &error).caused_by(error)
    }

    /// The same, made from `error`.
    #[must_use]
    pub fn caused_by(self, error: impl Error + Send + Sync + 'static) -> Self {
        Failure { source: Some(Arc::new(error)), ..self }
    }

    /// An honest negative: exit status 1.
    pub fn no(about: impl Display, what: impl Display) -> Self {
        Failure::said(Status::No, format_args!("{about}: {what}"))
    }

    /// Something that could not be done or found out: exit status 2.
    pub fn failed(about: impl Display, what: impl Display) -> Self {
        Failure::said(Status::Failed, format_args!("{about}: {what}"))
    }

    /// The same with lines below it, each of them one.
    #[must_use]
    pub fn and_lines(mut self, lines: impl IntoIterator<Item = impl Display>) -> Self {
        if let FailureText::Now(text) = &mut self.said {
            lines.into_iter().for_each(|added| *text += &format!("\n{}", line(added)));
        }
        self
    }

    /// What `text` says in several lines: a usage, or what another process of ours has made.
    pub fn in_lines(status: Status, text: &str) -> Self {
        let mut lines = text.split('\n');
        Failure::said(status, lines.next().unwrap_or_default()).and_lines(lines)
    }

    /// The same, said of `about`.
    #[must_use]
    pub fn within(mut self, about: impl Display) -> Self {
        if let FailureText::Now(text) = &mut self.said {
            *text = format!("{}: {text}", line(about));
        }
        self
    }

    /// Ends the tool with this status and no message: all of it has been printed.
    pub fn already_said(status: Status) -> Self {
        Failure { status, hint: None, or_hints: Vec::new(), said: FailureText::Already, source: None }
    }

    /// Whether nothing is left to be said, so that the tool ends at once.
    pub fn is_already_said(&self) -> bool {
        self.said == FailureText::Already
    }

    /// What it was about, and what went wrong: a line, and those below it; empty if all has been printed.
    pub fn text(&self) -> &str {
        match &self.said {
            FailureText::Now(text) => text,
            FailureText::Already => "",
        }
    }

    /// The same with another exit status.
    #[must_use]
    pub fn with_status(self, status: Status) -> Self {
        Failure { status, ..self }
    }

    /// The same with a line `hint:` below it: what [`hint!`](crate::hint!), [`sentence!`](crate::sentence!) or
    /// [`same_with!`](crate::same_with!) makes of a literal.
    #[must_use]
    pub fn hint(self, hint: impl IntoHint) -> Self {
        Failure { hint: hint.into_hint(), ..self }
    }

    /// The same with another hint, which helps instead.
    #[must_use]
    pub fn or_hint(mut self, hint: impl IntoHint) -> Self {
        match self.hint {
            None => self.hint = hint.into_hint(),
            Some(_) => self.or_hints.extend(hint.into_hint()),
        }
        self
    }

    /// What helps, first what helps most.
    pub fn hints(&self) -> impl Iterator<Item = &Hint> {
        self.hint.iter().chain(&self.or_hints)
    }

    /// The same with what `meant` makes of each hint.
    #[must_use]
    pub fn map_hints(self, meant: impl Fn(&Hint) -> Option<Hint>) -> Self {
        let mut hints = self.hints().filter_map(meant).collect::<Vec<_>>().into_iter();
        Failure { hint: hints.next(), or_hints: hints.collect(), ..self }
    }

    /// The same with all that helps against another failure.
    #[must_use]
    pub fn hinting_as(self, other: Failure) -> Self {
        Failure { hint: other.hint, or_hints: other.or_hints, ..self }
    }

    /// The reader has closed the pipe, as in `cpid a b c | head -1`: that is success.
    fn closed_pipe() -> Self {
        Failure::already_said(Status::Yes)
    }
}

impl From<io::Error> for Failure {
    /// For errors of writing results; every other error is made where what it was about is known.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::closed_pipe(),
            _ => Failure::failed("standard output", &error).caused_by(error),
        }
    }
}

/// Prints a message of `tool` on stderr: one line, with control characters escaped.
pub fn say(tool: &str, message: impl Display) {
    // When stderr is closed, the message cannot be shown anywhere.
    let _ = writeln!(io::stderr(), "{tool}: {}", one_line(&message.to_string()));
}

/// What an ordinary user can do, for whoever asked for more.
const WITHOUT_ROOT: &str =
    "without root: containers and namespaces of your own; nsenter-rs --explain says what is missing";
static WITHOUT_ROOT_SAID: AtomicBool = AtomicBool::new(false);

/// Shows a failure as `tool: about: what` and, where there is one, a line `hint: …`.
pub fn report(tool: &str, failure: &Failure) {
    if !failure.is_already_said() {
        let _ = writeln!(io::stderr(), "{tool}: {}", harmless(failure.text()));
    }
    for hint in failure.hints() {
        let _ = writeln!(io::stderr(), "hint: {}", one_line(&typed::shown(hint)));
        if hint.starts_with("sudo ") && !WITHOUT_ROOT_SAID.swap(true, Ordering::Relaxed) {
            let _ = writeln!(io::stderr(), "{WITHOUT_ROOT}");
        }
    }
}

/// Shows several failures, and what helps against one after the other of them once, below the last of these.
pub fn report_all(tool: &str, failures: impl IntoIterator<Item = Failure>) {
    let mut failures = failures.into_iter().peekable();
    while let Some(mut failure) = failures.next() {
        if failures.peek().is_some_and(|next| next.hints().eq(failure.hints())) {
            failure.hint = None;
            failure.or_hints.clear();
        }
        report(tool, &failure);
    }
}

/// The end of every `main`: shows what went wrong, and turns it into the exit status.
pub fn exit(tool: &str, result: Result<Status, Failure>) -> ExitCode {
    result
        .unwrap_or_else(|failure| {
            report(tool, &failure);
            failure.status
        })
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_feed_in_a_name_makes_no_line() {
        let failure = Failure::no("evil\nNAME", "is gone").and_lines(["a\nb"]).within("x\ny");
        assert_eq!(failure.text(), "x\\ny: evil\\nNAME: is gone\na\\nb");
        assert_eq!(Failure::in_lines(Status::Failed, "a\nb").text().lines().count(), 2);
    }

    #[test]
    fn the_error_that_a_failure_was_made_from_is_its_source() {
        let failure = Failure::from_error(Status::Failed, io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(failure.source().unwrap().to_string(), failure.to_string());
        let unread = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(unread.is_already_said() && unread.status == Status::Yes);
        assert!(Failure::already_said(Status::No).and_lines(["a"]).within("b").text().is_empty());
    }
}
