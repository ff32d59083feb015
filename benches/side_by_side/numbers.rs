//! The arithmetic of the bench: who runs when, medians and how sure they are, ratios and verdicts.
//! Pure; its tests are in `tests.rs`.

use std::{fmt, time::Duration};

use serde::Serialize;

/// In which order contestants run in a round.
///
/// Plain rotation would let each contestant always run behind the same neighbour, and inherit the state in which
/// that one leaves caches and the daemon. This is a Williams design: over `2 * contestants` rounds everyone runs
/// equally often in each place, and equally often right after each of the others.
pub(crate) fn order(contestants: usize, round: usize) -> Vec<usize> {
    let zigzag = (0..contestants).map(|i| if i % 2 == 0 { i / 2 } else { contestants - 1 - i / 2 });
    let mut order: Vec<usize> = zigzag.map(|place| (place + round) % contestants).collect();
    if round / contestants.max(1) % 2 == 1 {
        order.reverse();
    }
    order
}

/// What many runs of one command took, in microseconds of wall time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) runs: usize,
    pub(crate) median_us: f64,
    pub(crate) min_us: f64,
    pub(crate) max_us: f64,
    /// Half of all runs lie between this and `quartile_3_us`: the noise.
    pub(crate) quartile_1_us: f64,
    pub(crate) quartile_3_us: f64,
    /// With 95 % confidence the true median lies between this and `median_high_us`.
    pub(crate) median_low_us: f64,
    pub(crate) median_high_us: f64,
}

impl Summary {
    /// `None` if nothing was run.
    pub(crate) fn of(times: &[Duration]) -> Option<Self> {
        let mut us: Vec<f64> = times.iter().map(|time| time.as_nanos() as f64 / 1000.0).collect();
        us.sort_by(f64::total_cmp);
        let (min_us, max_us) = (*us.first()?, *us.last()?);
        // The confidence interval of a median from order statistics: it assumes no shape of the distribution,
        // and run times have a long tail.
        let (n, spread) = (us.len() as f64, 1.96 * (us.len() as f64).sqrt());
        let low = ((n - spread) / 2.0).floor().max(1.0) as usize - 1;
        let high = (((n + spread) / 2.0).ceil() as usize).min(us.len() - 1);
        Some(Self {
            runs: us.len(),
            median_us: quantile(&us, 0.5),
            min_us,
            max_us,
            quartile_1_us: quantile(&us, 0.25),
            quartile_3_us: quantile(&us, 0.75),
            median_low_us: us[low],
            median_high_us: us[high],
        })
    }

    /// The median and how sure it is, for a target that is a time and not a comparison.
    pub(crate) fn in_milliseconds(&self) -> Ratio {
        let [ratio, low, high] =
            [self.median_us, self.median_low_us, self.median_high_us].map(|us| us / 1000.0);
        Ratio { ratio, low, high }
    }

    /// By how many milliseconds the median is more than that of `other`, and how sure that is.
    pub(crate) fn added_to(&self, other: &Summary) -> Ratio {
        Ratio {
            ratio: (self.median_us - other.median_us) / 1000.0,
            low: (self.median_low_us - other.median_high_us) / 1000.0,
            high: (self.median_high_us - other.median_low_us) / 1000.0,
        }
    }
}

/// Between two values, in proportion, to the nanosecond. `sorted` must not be empty.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    ((below + (above - below) * place.fract()) * 1000.0).round() / 1000.0
}

/// How one median compares with another; `low` and `high` come from the far ends of both confidence intervals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Ratio {
    pub(crate) ratio: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Ratio {
    pub(crate) fn between(ours: &Summary, other: &Summary) -> Self {
        Self {
            ratio: ours.median_us / other.median_us,
            low: ours.median_low_us / other.median_high_us,
            high: ours.median_high_us / other.median_low_us,
        }
    }

    pub(crate) fn verdict(&self, at_most: f64) -> Verdict {
        Verdict { met: self.ratio <= at_most, certain: self.high <= at_most || self.low > at_most }
    }
}

/// Whether a target was reached, and whether more runs could still change the answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) met: bool,
    pub(crate) certain: bool,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.met { "met" } else { "missed" })?;
        f.write_str(if self.certain { "" } else { ", but within the noise" })
    }
}

/// A factor as people say it: 0.1666… is `1/6`, 1.15 stays `1.15`.
pub(crate) fn factor(factor: f64) -> String {
    let parts = (1.0 / factor).round();
    if parts > 2.0 && (parts * factor - 1.0).abs() < 1e-9 { format!("1/{parts}") } else { factor.to_string() }
}
