//! What the judge says.

use serde::Serialize;

use super::Cause;
use crate::hint::Hint;

/// A cause, a sentence, and the commands that help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// `None` where all was answered.
    pub cause: Option<Cause>,
    /// A sentence without the DEST in front of it: `no answer: 10.1.0.9 does not answer ARP on eth0`.
    pub text: Option<String>,
    /// Commands that remove the fault, in their order; none where no command is known to.
    pub fix: Vec<Hint>,
    /// A command that shows more.
    pub advice: Option<Hint>,
}

impl Verdict {
    /// All was answered.
    pub fn answered() -> Self {
        Verdict { cause: None, text: None, fix: Vec::new(), advice: None }
    }

    /// A cause and its sentence.
    pub fn of(cause: Cause, text: impl Into<String>) -> Self {
        Verdict { cause: Some(cause), text: Some(text.into()), fix: Vec::new(), advice: None }
    }

    /// With a command that removes the fault, if there is one.
    #[must_use]
    pub fn fixed_by(mut self, fix: Option<Hint>) -> Self {
        self.fix.extend(fix);
        self
    }

    /// With a command that shows more, if there is one.
    #[must_use]
    pub fn advising(mut self, advice: Option<Hint>) -> Self {
        self.advice = advice;
        self
    }

    /// The sentence; empty where all was answered.
    pub fn sentence(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// What stands behind `hint:`: the fix, or else what shows more.
    pub fn hint(&self) -> Option<Hint> {
        let mut fix = self.fix.iter().cloned();
        let first = fix.next().or_else(|| self.advice.clone())?;
        fix.try_fold(first, |all, next| crate::hint!("{} && {}", all, next))
    }
}
