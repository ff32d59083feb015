//! How far a long scan is, on a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// A shorter scan needs no progress bar.
const LONG: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_millis(200);
const WIDTH: usize = 24;

/// A bar on standard error, if that is a terminal.
#[derive(Debug)]
pub struct ProgressBar {
    next: Option<Instant>,
    is_shown: bool,
}

impl ProgressBar {
    /// For what is to take as long as that.
    pub fn new(expected: Duration, quiet: bool) -> Self {
        let is_wanted = expected > LONG && !quiet && io::stderr().is_terminal();
        ProgressBar { next: is_wanted.then(Instant::now), is_shown: false }
    }

    /// When it is to be shown again.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Shows it, if it is time.
    pub fn show(&mut self, now: Instant, share: f64, what: impl std::fmt::Display) {
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        self.next = Some(now + EVERY);
        self.is_shown = true;
        let full = (share * WIDTH as f64) as usize;
        let bar = "#".repeat(full.min(WIDTH));
        // DECAWM: what does not fit into the line is cut off, for a carriage return comes back to the start of its last line only.
        let percent = share * 100.0;
        let line = format!("\r\x1b[?7l[{bar:.<WIDTH$}] {percent:>3.0} %  {what}\x1b[K\x1b[?7h");
        let _ = io::stderr().write_all(line.as_bytes());
    }

    /// Takes it away, so that what follows has the line for itself.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for ProgressBar {
    fn drop(&mut self) {
        self.clear();
    }
}
