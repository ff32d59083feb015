//! How long engines may take to answer.

use std::time::{Duration, Instant};

/// How long engines may take to answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct AnswerTimeout {
    each: Duration,
    until: Option<Instant>,
}

impl AnswerTimeout {
    /// Each of them this long.
    pub(super) fn of_each(each: Duration) -> Self {
        AnswerTimeout { each, until: None }
    }

    /// All together this long, from now on.
    pub(super) fn of_all(each: Duration) -> Self {
        AnswerTimeout { each, until: Instant::now().checked_add(each) }
    }

    /// How long one of them may take, if it is the first.
    pub(super) fn each(self) -> Duration {
        self.each
    }

    /// How long the next one may take.
    pub(super) fn left(self) -> Duration {
        let until = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        until.map_or(self.each, |left| left.min(self.each))
    }
}
