//! What will not work, and what helps.

use std::fmt::Display;

use common::failure::{self, Failure, Status};
use common::hint;
use common::hint::Hint;
use common::typed;
use serde::Serialize;

use crate::tool::TOOL;

/// What will not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The kind of problem.
    pub kind: WarningKind,
    /// What it is about, and the consequence.
    pub message: String,
    /// What helps: a command, or an option of add-nic. None if a name in it cannot be pasted safely.
    pub fix: Option<Hint>,
}

/// Kinds of problems, by the words that programs use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningKind {
    ForwardDrop,
    StrictRpFilter,
    Overlap,
    MtuMismatch,
    SpanningTree,
    NoCarrier,
    DuplicateMac,
    NoDefaultRoute,
    NoHostAddress,
    SilentGateway,
}

impl Warning {
    pub(super) fn new(kind: WarningKind, about: impl Display, what: impl Display, fix: Option<Hint>) -> Self {
        Warning { kind, message: format!("{about}: {what}"), fix }
    }

    /// The whole command that helps: of an option what was `typed`, as an add and with the option.
    pub fn fix_command(&self, typed: &[String]) -> Option<String> {
        let fix = self.fix.as_ref()?;
        if !fix.is_option() {
            return Some(fix.to_string());
        }
        let typed = typed.iter().filter(|word| !matches!(word.as_str(), "--preflight" | "--json"));
        let line = typed::with_option(TOOL, &typed.cloned().collect::<Vec<_>>(), fix);
        Some(line.as_ref().unwrap_or(fix).to_string())
    }

    /// As a line of `--check` about the NIC that is there.
    pub fn as_difference(&self) -> String {
        match &self.fix {
            Some(fix) if fix.is_option() => {
                format!("{}; fix: --rm, then the same command with {}", self.message, &**fix)
            }
            Some(fix) => format!("{}; fix: {}", self.message, &**fix),
            None => self.message.clone(),
        }
    }

    /// Says it on standard error, before a NIC is added.
    pub fn say(&self) {
        let said = Failure::said(Status::Yes, format_args!("warning: {}", self.message));
        failure::report(TOOL, &said.hint(self.fix.as_ref().and_then(afterwards)));
    }
}

/// What helps when the NIC has been added: with an option that was missing the same command takes its place.
pub fn afterwards(fix: &Hint) -> Option<Hint> {
    let again = || {
        let (tool, words) = typed::typed().filter(|_| fix.is_option())?;
        let line = typed::with_option(&tool, &words, fix)?;
        if words.iter().any(|word| word == "--replace") { Some(line) } else { hint!("{} --replace", line) }
    };
    again().or_else(|| Some(fix.clone()))
}
