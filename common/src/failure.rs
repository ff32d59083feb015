//! What went wrong, what it was about, and what the user can do; and the exit status that says it.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::hint::{Hint, IntoHint};
use crate::output::harmless;

/// The exit status of every tool but nsenter-rs, whose status belongs to the command it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// 0: yes, or done.
    Yes = 0,
    /// 1: the honest negative: no such container, no reply, drift found.
    No = 1,
    /// 2: bad usage, or it could not be done or found out.
    Trouble = 2,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        ExitCode::from(status as u8)
    }
}

/// Why a tool cannot go on, ready to be shown: *about: what*, and a hint with the command to run next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the tool's exit status becomes.
    pub status: Status,
    /// What it was about, and what went wrong; `None` ends the tool in silence.
    pub message: Option<String>,
    /// The exact command, or the one fact, that helps.
    pub hint: Option<Hint>,
}

impl Failure {
    /// What `message` says, which has all its parts already: an error of some room.
    pub fn said(status: Status, message: impl Display) -> Self {
        Failure { status, message: Some(message.to_string()), hint: None }
    }

    /// An honest negative: exit status 1.
    pub fn no(about: impl Display, what: impl Display) -> Self {
        Failure::said(Status::No, format_args!("{about}: {what}"))
    }

    /// Something that could not be done or found out: exit status 2.
    pub fn trouble(about: impl Display, what: impl Display) -> Self {
        Failure::said(Status::Trouble, format_args!("{about}: {what}"))
    }

    /// The same with a line `hint:` below it: a literal, or what [`hint!`](crate::hint!) makes of one.
    #[must_use]
    pub fn hint(self, hint: impl IntoHint) -> Self {
        Failure { hint: hint.into_hint(), ..self }
    }

    /// Nobody reads our output any more, as in `cpid a b c | head -1`: that is success.
    fn closed_pipe() -> Self {
        Failure { status: Status::Yes, message: None, hint: None }
    }
}

impl From<io::Error> for Failure {
    /// For errors of writing results; every other error is made where what it was about is known.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::closed_pipe(),
            _ => Failure::trouble("standard output", error),
        }
    }
}

/// Says on stderr what `tool` has to say, with nothing in it that a terminal would obey.
pub fn say(tool: &str, message: impl Display) {
    // When stderr is closed there is nobody left to tell.
    let _ = writeln!(io::stderr(), "{tool}: {}", harmless(&message.to_string()));
}

/// Shows a failure as `tool: about: what` and, where there is one, a line `hint: …`.
pub fn report(tool: &str, failure: &Failure) {
    if let Some(message) = &failure.message {
        say(tool, message);
    }
    if let Some(hint) = &failure.hint {
        let _ = writeln!(io::stderr(), "hint: {}", harmless(hint));
    }
}

/// Shows several failures, and what helps against one after the other of them once, below the last of these.
pub fn report_all(tool: &str, failures: impl IntoIterator<Item = Failure>) {
    let mut failures = failures.into_iter().peekable();
    while let Some(mut failure) = failures.next() {
        if failures.peek().is_some_and(|next| next.hint == failure.hint) {
            failure.hint = None;
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
