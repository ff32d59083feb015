//! Why a DEST has no address or no route, for people and for `--json`.

use std::fmt::Display;

use common::diagnose::{Cause, Verdict};
use common::failure::{Failure, Status};

/// Why a DEST cannot be probed.
#[derive(Debug, Clone)]
pub struct UnresolvedDest {
    /// What is printed.
    pub failure: Failure,
    /// The same for programs.
    pub verdict: Box<Verdict>,
}

impl UnresolvedDest {
    /// What the judge says `about` a DEST.
    pub fn of(about: impl Display, verdict: Verdict, status: Status) -> Self {
        let failure = Failure::said(status, format_args!("{about}: {}", verdict.sentence()));
        UnresolvedDest { failure: failure.hint(verdict.hint()), verdict: Box::new(verdict) }
    }

    /// A failure whose cause is known.
    pub fn because(cause: Cause, failure: Failure) -> Self {
        let verdict = Verdict::of(cause, failure.text()).advising(failure.hint.clone());
        UnresolvedDest { failure, verdict: Box::new(verdict) }
    }
}

impl From<Failure> for UnresolvedDest {
    fn from(failure: Failure) -> Self {
        UnresolvedDest::because(Cause::NotDone, failure)
    }
}

impl From<UnresolvedDest> for Failure {
    fn from(unresolved: UnresolvedDest) -> Self {
        unresolved.failure
    }
}
