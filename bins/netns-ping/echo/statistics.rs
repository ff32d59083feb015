//! How many packets went and came, and how long they took. Pure.

use std::fmt;

use crate::report::RoundTrips;

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
    /// Packets that cannot be delivered, as an ICMP error or our kernel says.
    pub errors: u64,
    /// What came to us and answers nothing that we know of.
    pub strays: u64,
    /// Round trips, in nanoseconds.
    pub round_trips: RoundTrips,
}

impl Statistics {
    /// How many of all were lost, 0 to 1.
    pub fn loss_ratio(&self) -> f64 {
        let lost = self.transmitted.saturating_sub(self.received);
        if self.transmitted == 0 { 0.0 } else { lost as f64 / self.transmitted as f64 }
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
