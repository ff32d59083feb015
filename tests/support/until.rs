//! Waiting for what nothing tells of when it happens: with a deadline, and the name of what was waited for.

use std::thread;
use std::time::{Duration, Instant};

use super::run::LIMIT;

/// Between two looks: short for a person, and long enough to leave the processor to what is waited for.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `done`; a panic that names `what` if that takes longer than any command may.
#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let there = until_some(LIMIT, || done().then_some(()));
    assert!(there.is_some(), "waited {LIMIT:?}, and longer on a busy machine, in vain: {what}");
}

/// `limit` as a machine needs it that has other things to do too: as many times more as programs want each processor.
pub fn as_busy(limit: Duration) -> Duration {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    let mut words = load.split([' ', '/']);
    // The mean of the last minute, and what is running right now: proc_loadavg(5).
    let mean: f64 = words.next().unwrap().parse().unwrap();
    let now: f64 = words.nth(2).unwrap().parse().unwrap();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    #[allow(clippy::cast_precision_loss, reason = "there are not that many processors")]
    let crowd = mean.max(now) / processors as f64;
    limit.mul_f64(1.0 + crowd)
}

/// What `look` finds within `limit`, or as many times more as the machine is busy.
pub fn until_some<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + as_busy(limit);
    loop {
        let found = look();
        if found.is_some() || Instant::now() >= deadline {
            return found;
        }
        thread::sleep(PAUSE);
    }
}
