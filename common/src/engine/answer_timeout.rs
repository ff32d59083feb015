//! How long engines may take to answer.

use std::time::{Duration, Instant};

use super::EngineSession;
use super::session::SocketMemory;

/// How long engines may take to answer, and what is known of their sockets already.
#[derive(Debug, Clone)]
pub(super) struct AnswerTimeout {
    each: Duration,
    until: Option<Instant>,
    pub sockets: SocketMemory,
}

impl AnswerTimeout {
    /// Each of them this long.
    pub(super) fn of_each(session: &EngineSession) -> Self {
        AnswerTimeout { each: session.timeout(), until: None, sockets: session.sockets() }
    }

    /// All together this long, from now on.
    pub(super) fn of_all(session: &EngineSession) -> Self {
        let until = Instant::now().checked_add(session.timeout());
        AnswerTimeout { until, ..AnswerTimeout::of_each(session) }
    }

    /// How long one of them may take, if it is the first.
    pub(super) fn each(&self) -> Duration {
        self.each
    }

    /// How long the next one may take.
    pub(super) fn left(&self) -> Duration {
        let until = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        until.map_or(self.each, |left| left.min(self.each))
    }
}
