//! The options that tools share, and what their help says alike.

use std::time::Duration;

use clap::{ArgAction, Args};

use crate::failure::say;
use crate::find::{FindError, Found, find};
use crate::target::Target;

/// What every tool's `--help` says about a TARGET; the manual has the whole grammar.
pub const TARGETS: &str = "\
TARGET:
  nginx, 3f2a9c, docker:nginx  a container by its name or the start of its ID
  4711, pid:4711               a process
  netns:blue, /run/netns/blue  a network namespace, where no process is needed";

/// How to find what a TARGET means, and the help.
#[derive(Debug, Clone, Args)]
pub struct FindOptions {
    /// Wait for an engine this long
    ///
    /// From connecting to the last byte of its answer: 300ms, 2s, 1m. An engine that needs longer is an error,
    /// and not an answer.
    #[arg(long, value_name = "TIME", default_value = "300ms", value_parser = duration)]
    pub engine_timeout: Duration,

    /// Say on stderr what was found, and how
    #[arg(short, long)]
    pub verbose: bool,

    // Of our own, because clap's would print the manual's text where people expect one screen.
    /// Print this help; the manual says more
    #[arg(short, long, action = ArgAction::HelpShort)]
    help: Option<bool>,
}

impl FindOptions {
    /// Finds what `target` means, and with `--verbose` says on stderr, for `tool`, who answered.
    ///
    /// # Errors
    /// As [`find`].
    pub fn find(&self, tool: &str, target: &Target) -> Result<Found, FindError> {
        let found = find(target, self.engine_timeout)?;
        if let (true, Some(why)) = (self.verbose, &found.silence) {
            say(tool, why);
        }
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
