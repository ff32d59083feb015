//! The arithmetic of the bench: who runs when, medians and how sure they are, ratios and verdicts.
//!
//! Pure, and the root of a test target of its own, because a bench with its own `main` runs no unit tests.

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
}

/// Between two values, in proportion. `sorted` must not be empty.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn summary_us(us: impl IntoIterator<Item = u64>) -> Summary {
        Summary::of(&us.into_iter().map(Duration::from_micros).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn everyone_runs_equally_often_in_each_place_and_after_each_other() {
        for contestants in 1..=6 {
            let mut places = vec![vec![0; contestants]; contestants];
            let mut after = vec![vec![0; contestants]; contestants];
            for round in 0..2 * contestants {
                let order = order(contestants, round);
                order.iter().enumerate().for_each(|(place, who)| places[*who][place] += 1);
                order.windows(2).for_each(|pair| after[pair[1]][pair[0]] += 1);
            }
            for who in 0..contestants {
                assert_eq!(places[who], vec![2; contestants]);
                for other in (0..contestants).filter(|other| *other != who) {
                    assert_eq!(after[who][other], 2, "{contestants} contestants: {other} then {who}");
                }
            }
        }
    }

    #[test]
    fn the_median_of_an_even_count_lies_in_the_middle() {
        let summary = summary_us([40, 10, 30, 20]);
        assert_eq!((summary.median_us, summary.min_us, summary.max_us), (25.0, 10.0, 40.0));
        assert_eq!((summary.quartile_1_us, summary.quartile_3_us), (17.5, 32.5));
    }

    #[test]
    fn one_slow_run_moves_the_maximum_and_not_the_median() {
        let summary = summary_us((1..=99).chain([1_000_000]));
        assert_eq!((summary.median_us, summary.max_us), (50.5, 1_000_000.0));
    }

    #[test]
    fn a_single_run_is_its_own_summary_and_none_is_no_summary() {
        let summary = summary_us([7]);
        assert_eq!((summary.median_low_us, summary.median_us, summary.median_high_us), (7.0, 7.0, 7.0));
        assert_eq!(summary.runs, 1);
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn the_confidence_interval_of_a_hundred_runs_is_ranks_40_to_61() {
        // The textbook's ranks: floor((n - 1.96 √n) / 2) and ceil(1 + (n + 1.96 √n) / 2).
        let summary = summary_us(1..=100);
        assert_eq!((summary.median_low_us, summary.median_high_us), (40.0, 61.0));
    }

    #[test]
    fn a_ratio_far_from_the_target_is_certain() {
        let (ours, other) = (summary_us(100..=110), summary_us(1000..=1010));
        let ratio = Ratio::between(&ours, &other);
        assert!(ratio.low < ratio.ratio && ratio.ratio < ratio.high);
        assert_eq!(ratio.verdict(1.0 / 6.0), Verdict { met: true, certain: true });
        assert_eq!(ratio.verdict(0.05), Verdict { met: false, certain: true });
    }

    #[test]
    fn a_ratio_whose_interval_holds_the_target_is_called_noise() {
        let ratio = Ratio { ratio: 1.14, low: 1.11, high: 1.17 };
        assert_eq!(ratio.verdict(1.15).to_string(), "met, but within the noise");
        assert_eq!(ratio.verdict(1.12).to_string(), "missed, but within the noise");
        assert_eq!(ratio.verdict(1.2).to_string(), "met");
    }

    #[test]
    fn factors_read_as_people_say_them() {
        assert_eq!([1.0 / 6.0, 0.8, 1.15, 2.0].map(factor), ["1/6", "0.8", "1.15", "2"]);
    }
}
