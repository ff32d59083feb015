//! What will not work, and what helps.

use std::fmt::Display;

use common::failure::{self, Failure, Status};
use serde::Serialize;

use crate::model::shell::quoted;
use crate::tool::TOOL;

/// What will not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Which kind of trouble.
    pub kind: Kind,
    /// What it is about, and what will be.
    pub message: String,
    /// What helps.
    pub fix: Fix,
}

/// What helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// An option of add-nic.
    Option(String),
    /// A command.
    Command(String),
}

impl Fix {
    /// The whole command: what was `typed`, as an add and with the option.
    pub fn as_command(&self, typed: &[String]) -> String {
        let option = match self {
            Fix::Command(command) => return command.clone(),
            Fix::Option(option) => option,
        };
        let typed = typed.iter().filter(|word| !matches!(word.as_str(), "--preflight" | "--json"));
        let mut words: Vec<String> =
            std::iter::once(TOOL).chain(typed.map(String::as_str)).map(quoted).collect();
        words.push(option.clone());
        words.join(" ")
    }
}

impl From<&str> for Fix {
    fn from(text: &str) -> Self {
        Fix::from(text.to_owned())
    }
}

impl From<String> for Fix {
    /// Only options begin with a dash.
    fn from(text: String) -> Self {
        if text.starts_with("--") { Fix::Option(text) } else { Fix::Command(text) }
    }
}

/// Kinds of trouble; programs tell them by these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    ForwardDrop,
    StrictRpFilter,
    Overlap,
    MtuMismatch,
    SpanningTree,
    NoCarrier,
    DuplicateMac,
    NoDefaultRoute,
}

impl Warning {
    pub(super) fn new(kind: Kind, about: impl Display, what: impl Display, fix: impl Into<Fix>) -> Self {
        Warning { kind, message: format!("{about}: {what}"), fix: fix.into() }
    }

    /// Says it on standard error, before a NIC is added.
    pub fn say(&self) {
        let (Fix::Option(fix) | Fix::Command(fix)) = &self.fix;
        let said = Failure::said(Status::Yes, format_args!("warning: {}", self.message)).hint(fix);
        failure::report(TOOL, &said);
    }
}
