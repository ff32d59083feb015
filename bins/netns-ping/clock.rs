//! The clock that the kernel stamps packets with.

use std::time::{Duration, SystemTime};

/// Since 1970, by the clock that people have.
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
