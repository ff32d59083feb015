//! `--wait`: sleeps until a container runs, or until the time is over.

use std::time::{Duration, Instant};

use common::engine::EngineError;
use common::events::ContainerWatch;
use common::failure::Failure;
use common::find::{FindError, FoundTarget};
use common::ports::{PortError, PortOwner};
use common::target::EngineName;

/// An engine that was too slow to answer is asked again this much later, without an event: no event reports that it is faster.
const SLOW: Duration = Duration::from_millis(250);

/// Waits for all TARGETs together until one deadline, woken by what changes.
pub struct Waiter {
    until: Instant,
    watch: ContainerWatch,
}

impl Waiter {
    /// Begins to watch: what changes after the first look is not missed.
    pub fn new(limit: Duration, engine: Option<EngineName>, timeout: Duration) -> Result<Self, Failure> {
        let now = Instant::now();
        // What overflows is longer than any wait.
        let until = now.checked_add(limit).unwrap_or(now + Duration::from_secs(1 << 32));
        Ok(Waiter { until, watch: ContainerWatch::new(engine, timeout)? })
    }

    /// What `look` finds, as soon as it finds something. After the deadline it looks once more, and that counts.
    pub fn find(
        &mut self,
        look: impl Fn() -> Result<FoundTarget, FindError>,
    ) -> Result<FoundTarget, Failure> {
        loop {
            let over = Instant::now() >= self.until;
            let error = match look() {
                Err(error) if !over && may_pass(&error) => error,
                result => return Ok(result?),
            };
            self.sleep(is_slow(&error))?;
        }
    }

    /// The same for a port. Nothing tells of a socket that begins to listen, so the kernel is asked again and again.
    pub fn find_port(
        &mut self,
        look: impl Fn() -> Result<PortOwner, PortError>,
    ) -> Result<PortOwner, Failure> {
        loop {
            let over = Instant::now() >= self.until;
            match look() {
                Err(PortError::Nobody { .. }) if !over => self.sleep(true)?,
                result => return Ok(result?),
            }
        }
    }

    /// Until something may have changed, or the deadline.
    fn sleep(&mut self, shortly: bool) -> Result<(), Failure> {
        let left = self.until.saturating_duration_since(Instant::now());
        let limit = if shortly { left.min(SLOW) } else { left };
        while !self.watch.wait(limit)? && !shortly && Instant::now() < self.until {}
        Ok(())
    }
}

/// Whether waiting can help: the container, or its engine, may start yet.
fn may_pass(error: &FindError) -> bool {
    match error {
        FindError::NotFound { .. }
        | FindError::NotRunning(_)
        | FindError::Exited(_)
        | FindError::Orphan { .. }
        | FindError::NoEngine { .. } => true,
        error => match error.of_an_engine() {
            Some(EngineError::Missing { .. } | EngineError::Dead { .. }) => true,
            Some(error) if error.is_absence() => true,
            _ => is_slow(error),
        },
    }
}

fn is_slow(error: &FindError) -> bool {
    matches!(error.of_an_engine(), Some(EngineError::Slow { .. }))
}
