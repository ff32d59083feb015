//! How long packets took. Pure.

use std::fmt;
use std::time::Duration;

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

/// Microseconds, to the nanosecond: what JSON has.
pub fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

/// Milliseconds with three decimals.
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
}
