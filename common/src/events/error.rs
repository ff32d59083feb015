//! Why changes of containers cannot be waited for.

use std::io;

use crate::failure::{Failure, Status};

/// Why changes cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The kernel has no more watches for this user.
    #[error("no more directories can be watched: {limit} is reached")]
    Limit {
        /// The sysctl that limits them.
        limit: &'static str,
    },
    /// inotify or poll failed.
    #[error("cannot wait for containers to change: {0}")]
    Kernel(#[from] io::Error),
}

impl From<EventsError> for Failure {
    fn from(error: EventsError) -> Self {
        let failure = Failure::said(Status::Failed, &error);
        let failure = match &error {
            EventsError::Limit { limit } => failure.hint(crate::hint!("sysctl {}", limit)),
            EventsError::Kernel(_) => failure,
        };
        failure.caused_by(error)
    }
}
