//! The clock of the kernel's time stamps.

use std::time::{Duration, SystemTime};

/// The time since 1970 by CLOCK_REALTIME, the clock of the kernel's time stamps. It can be set, so it can jump.
pub fn realtime_now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
