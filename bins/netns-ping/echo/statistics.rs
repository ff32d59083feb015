//! How many packets went and came, and how long they took. Pure.

use std::fmt;
use std::time::Duration;

/// Of one destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets that were sent, or that the kernel would not send.
    pub transmitted: u64,
    /// Packets that were answered.
    pub received: u64,
    /// Answers to packets that had one already.
    pub duplicates: u64,
    /// Answers with a wrong checksum, or not with what was sent.
    pub corrupted: u64,
    /// Packets of which somebody, or our kernel, says that they cannot be delivered.
    pub errors: u64,
    /// What came to us and answers nothing that we know of.
    pub strays: u64,
    /// Round trips, in nanoseconds.
    pub round_trips: RoundTrips,
}

/// Round trips, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoundTrips {
    count: u64,
    min: u64,
    max: u64,
    sum: u128,
    sum_of_squares: u128,
    /// Eight times the moving average.
    moving: u64,
}

impl RoundTrips {
    /// One more.
    pub fn add(&mut self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX / 8);
        self.min = if self.count == 0 { took } else { self.min.min(took) };
        self.max = self.max.max(took);
        self.count += 1;
        self.sum += u128::from(took);
        self.sum_of_squares += u128::from(took) * u128::from(took);
        // As ping(8) and TCP have it: an eighth of each new one.
        self.moving =
            if self.moving == 0 { took.saturating_mul(8) } else { self.moving - self.moving / 8 + took };
    }

    /// One more of which is known only that it took no less than that.
    pub fn add_at_least(&mut self, took: Duration) {
        self.max = self.max.max(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The shortest.
    pub fn min(&self) -> Duration {
        Duration::from_nanos(self.min)
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The mean.
    pub fn avg(&self) -> Duration {
        nanos(self.sum / u128::from(self.count.max(1)))
    }

    /// The standard deviation.
    pub fn mdev(&self) -> Duration {
        let (count, mean) = (u128::from(self.count.max(1)), self.sum / u128::from(self.count.max(1)));
        nanos((self.sum_of_squares / count).saturating_sub(mean * mean).isqrt())
    }

    /// The average of late: each new one is an eighth of it.
    pub fn moving(&self) -> Duration {
        Duration::from_nanos(self.moving / 8)
    }
}

fn nanos(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

impl Statistics {
    /// How many of all were lost, 0 to 1.
    pub fn loss_ratio(&self) -> f64 {
        let lost = self.transmitted.saturating_sub(self.received);
        if self.transmitted == 0 { 0.0 } else { lost as f64 / self.transmitted as f64 }
    }
}

/// Milliseconds with three digits behind the point.
#[derive(Debug, Clone, Copy)]
pub struct Ms(pub Duration);

impl fmt::Display for Ms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

/// Milliseconds with as many digits as say something, as ping(8) prints them.
#[derive(Debug, Clone, Copy)]
pub struct FewMs(pub Duration);

impl fmt::Display for FewMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        match micros {
            100_000.. => write!(f, "{}", micros / 1000),
            10_000.. => write!(f, "{}.{:01}", micros / 1000, micros % 1000 / 100),
            1_000.. => write!(f, "{}.{:02}", micros / 1000, micros % 1000 / 10),
            _ => write!(f, "{}.{:03}", micros / 1000, micros % 1000),
        }
    }
}

/// A share in per cent, with at most six digits as printf's `%g` has them.
#[derive(Debug, Clone, Copy)]
pub struct Percent(pub f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        let whole_digits = if percent < 1.0 { 1 } else { percent.log10().floor() as usize + 1 };
        let text = format!("{percent:.*}", 6 - whole_digits.min(6));
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        f.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_and_what_they_differ_by_are_those_of_all() {
        let mut trips = RoundTrips::default();
        for micros in [1000, 2000, 3000, 4000] {
            trips.add(Duration::from_micros(micros));
        }
        let shown = [trips.min(), trips.avg(), trips.max(), trips.mdev()].map(|time| Ms(time).to_string());
        assert_eq!(shown, ["1.000", "2.500", "4.000", "1.118"]);
        let mut one = RoundTrips::default();
        one.add(Duration::ZERO);
        assert_eq!((one.min(), one.mdev(), one.is_empty()), (Duration::ZERO, Duration::ZERO, false));
    }

    #[test]
    fn times_have_the_digits_that_ping_gives_them() {
        let shown = |micros| FewMs(Duration::from_micros(micros)).to_string();
        assert_eq!(shown(40), "0.040");
        assert_eq!(shown(1_234), "1.23");
        assert_eq!(shown(12_345), "12.3");
        assert_eq!(shown(1_025_999), "1025");
    }

    #[test]
    fn shares_are_shown_as_ping_does() {
        let shown = |part: f64, of: f64| Percent(part / of).to_string();
        assert_eq!(shown(0.0, 1.0), "0");
        assert_eq!(shown(1.0, 1.0), "100");
        assert_eq!(shown(1.0, 3.0), "33.3333");
        assert_eq!(shown(1.0, 8.0), "12.5");
        assert_eq!(shown(1.0, 300.0), "0.33333");
        assert_eq!(shown(1.0, 10.0), "10");
    }
}
