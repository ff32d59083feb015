//! The options that tools share.

use std::time::Duration;

use clap::Args;

use crate::failure::say;
use crate::find::{FindError, Found, find};
use crate::target::Target;

/// How to ask container engines.
#[derive(Debug, Clone, Args)]
pub struct FindOptions {
    /// How long an engine may take to answer
    #[arg(long, value_name = "DURATION", default_value = "300ms", value_parser = duration)]
    pub engine_timeout: Duration,

    /// Say on stderr what was asked and who answered
    #[arg(short, long)]
    pub verbose: bool,
}

impl FindOptions {
    /// Finds what `target` means, and with `--verbose` says on stderr, for `tool`, who answered.
    ///
    /// # Errors
    /// As [`find`].
    pub fn find(&self, tool: &str, target: &Target) -> Result<Found, FindError> {
        let found = find(target, self.engine_timeout)?;
        if let (true, Some(container)) = (self.verbose, &found.container) {
            say(tool, format_args!("{target} is {container}, says its {}", container.source));
        }
        Ok(found)
    }
}

/// A duration as people write it: `300ms`, `2s`, `1m`.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>().map_err(|error| error.to_string())?;
    Duration::try_from(parsed).map_err(|_| "a duration cannot be negative".to_owned())
}
