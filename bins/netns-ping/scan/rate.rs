//! Limits how fast probes are sent: N a second, in small bursts. Sends that were missed during a sleep are caught up. Pure.

use std::time::{Duration, Instant};

/// At most the sends of this long are caught up after a sleep that was too long or a delay by the scheduler.
const CATCH_UP_LIMIT: Duration = Duration::from_millis(20);
/// A shorter sleep costs more than the packets that it would keep apart.
const LEAST_SLEEP: Duration = Duration::from_millis(1);
/// The first burst, and the largest: what one system call takes.
pub const BURST: u32 = 64;

/// An allowance of packets to send, which grows with time.
#[derive(Debug, Clone)]
pub struct RateLimit {
    rate: f64,
    most: f64,
    allowance: f64,
    at: Instant,
}

impl RateLimit {
    /// `rate` packets a second.
    pub fn new(rate: u32, now: Instant) -> Self {
        let rate = f64::from(rate.max(1));
        let most = (rate * CATCH_UP_LIMIT.as_secs_f64()).max(1.0);
        RateLimit { rate, most, allowance: most.min(f64::from(BURST)), at: now }
    }

    /// How many may be sent now.
    pub fn allowance(&mut self, now: Instant) -> usize {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.allowance = (self.allowance + passed * self.rate).min(self.most);
        self.at = now;
        self.allowance as usize
    }

    /// `count` packets were sent.
    pub fn sent(&mut self, count: usize) {
        self.allowance -= count as f64;
    }

    /// When the next may be sent.
    pub fn next(&self) -> Instant {
        let missing = (1.0 - self.allowance).max(0.0) / self.rate;
        self.at + Duration::from_secs_f64(missing).max(LEAST_SLEEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many are sent in the first second by a sender that wakes up every so often.
    fn in_a_second(rate: u32, every: Duration) -> usize {
        let began = Instant::now();
        let (mut pace, mut sent, mut now) = (RateLimit::new(rate, began), 0, began);
        while now < began + Duration::from_secs(1) {
            let allowance = pace.allowance(now);
            pace.sent(allowance);
            sent += allowance;
            now = pace.next().max(now + every);
        }
        sent
    }

    #[test]
    fn a_rate_is_kept_however_late_we_wake_up() {
        for (rate, burst) in [(500, 10), (10_000, 64), (100_000, 64)] {
            for every in [Duration::ZERO, Duration::from_millis(3), Duration::from_millis(15)] {
                let sent = in_a_second(rate, every) as f64;
                let (least, most) = (f64::from(rate) * 0.97, f64::from(rate) * 1.001 + f64::from(burst));
                assert!((least..=most).contains(&sent), "{sent} of {rate}, every {every:?}");
            }
        }
        assert!(in_a_second(10_000, Duration::from_millis(100)) < 3_000, "a long sleep is not made up for");
        assert_eq!(in_a_second(1, Duration::ZERO), 1);
    }
}
