//! What will not work, and what helps.

use std::fmt::Display;

use common::failure::{self, Failure, Status};
use common::hint::Hint;
use serde::Serialize;

use crate::model::shell::quoted;
use crate::tool::TOOL;

/// What will not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The kind of problem.
    pub kind: WarningKind,
    /// What it is about, and the consequence.
    pub message: String,
    /// What helps.
    pub fix: Fix,
}

/// What helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// An option of add-nic.
    Option(Hint),
    /// A command.
    Command(Hint),
    /// None: a name in it cannot be pasted safely.
    Unsayable,
}

impl Fix {
    /// The whole command: what was `typed`, as an add and with the option.
    pub fn as_command(&self, typed: &[String]) -> Option<String> {
        let option = match self {
            Fix::Command(command) => return Some(command.to_string()),
            Fix::Option(option) => option,
            Fix::Unsayable => return None,
        };
        let typed = typed.iter().filter(|word| !matches!(word.as_str(), "--preflight" | "--json"));
        let mut words: Vec<String> =
            std::iter::once(TOOL).chain(typed.map(String::as_str)).map(quoted).collect();
        words.push(option.to_string());
        Some(words.join(" "))
    }
}

impl Fix {
    /// The option or the command alone.
    pub fn as_text(&self) -> Option<String> {
        match self {
            Fix::Option(fix) | Fix::Command(fix) => Some(fix.to_string()),
            Fix::Unsayable => None,
        }
    }
}

impl From<&'static str> for Fix {
    fn from(text: &'static str) -> Self {
        Fix::from(Some(Hint::say(text)))
    }
}

impl From<Option<Hint>> for Fix {
    /// Only options begin with a dash.
    fn from(hint: Option<Hint>) -> Self {
        match hint {
            Some(hint) if hint.starts_with("--") => Fix::Option(hint),
            Some(hint) => Fix::Command(hint),
            None => Fix::Unsayable,
        }
    }
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
    pub(super) fn new(
        kind: WarningKind,
        about: impl Display,
        what: impl Display,
        fix: impl Into<Fix>,
    ) -> Self {
        Warning { kind, message: format!("{about}: {what}"), fix: fix.into() }
    }

    /// As a line of `--check` about the NIC that is there.
    pub fn as_difference(&self) -> String {
        match &self.fix {
            Fix::Option(fix) => format!("{}; fix: --rm, then the same command with {}", self.message, &**fix),
            Fix::Command(fix) => format!("{}; fix: {}", self.message, &**fix),
            Fix::Unsayable => self.message.clone(),
        }
    }

    /// Says it on standard error, before a NIC is added.
    pub fn say(&self) {
        let fix = match &self.fix {
            Fix::Option(fix) | Fix::Command(fix) => Some(fix.clone()),
            Fix::Unsayable => None,
        };
        let said = Failure::said(Status::Yes, format_args!("warning: {}", self.message)).hint(fix);
        failure::report(TOOL, &said);
    }
}
