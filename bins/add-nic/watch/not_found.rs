//! What it means to a watch that a container was not found.

use common::engine::EngineError;
use common::failure::{Failure, Status};
use common::find::FindError;

/// Whether it is an answer of the moment, as there is while a container is restarted.
pub fn may_pass(error: &FindError) -> bool {
    matches!(
        error,
        FindError::CannotTell { .. } | FindError::Engine(_) | FindError::Exited(_) | FindError::Unproven(_)
    )
}

/// An engine that is not running may be started later; its events report that.
pub fn not_found(error: FindError) -> Failure {
    let is_not_running = |why: &EngineError| {
        why.is_absence() || matches!(why, EngineError::Missing { .. } | EngineError::Dead { .. })
    };
    let no_engine = match &error {
        FindError::NoEngine { .. } => true,
        FindError::Engine(why) => is_not_running(why),
        FindError::CannotTell { hit: None, why, .. } => is_not_running(why),
        _ => false,
    };
    let failure = Failure::from(error);
    if no_engine { failure.with_status(Status::No) } else { failure }
}
