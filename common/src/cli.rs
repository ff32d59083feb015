//! The options that tools share.

use std::time::Duration;

use clap::Args;

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

/// A duration as people write it: `300ms`, `2s`, `1m`.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>().map_err(|error| error.to_string())?;
    Duration::try_from(parsed).map_err(|_| "a duration cannot be negative".to_owned())
}
