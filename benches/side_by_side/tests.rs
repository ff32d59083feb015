//! The bench's rows and arithmetic.

use std::time::Duration;

use crate::contest::{CROWD, Of, Part, ROWS, words};
use crate::numbers::{Ratio, Summary, Verdict, factor, order};

#[test]
fn every_row_can_be_called_by_its_name_and_says_what_it_does() {
    for row in ROWS {
        assert_eq!(ROWS.iter().filter(|other| other.name == row.name).count(), 1, "{}", row.name);
        assert!(!row.work.is_empty(), "{}", row.name);
    }
}

#[test]
fn every_target_names_a_contestant_of_its_row_that_is_not_ours_or_an_earlier_row() {
    for (place, row) in ROWS.iter().enumerate() {
        for target in row.targets {
            match target.of {
                Of::Contestant(name) => {
                    let named = |(_, command): &(Part, &str)| command.split(' ').next() == Some(name);
                    let part = row.contestants().find(named).map(|(part, _)| part.name());
                    assert!(matches!(part, Some("peer" | "floor")), "{}: {name}", row.name);
                }
                Of::Row(name) | Of::Added(name) => {
                    assert!(ROWS[..place].iter().any(|row| row.name == name), "{name}")
                }
                Of::Milliseconds => {}
            }
            assert!(target.at_most > 0.0);
        }
    }
}

#[test]
fn only_a_row_that_speaks_of_a_name_needs_a_container() {
    let needs = |name| ROWS.iter().find(|row| row.name == name).unwrap().needs_container();
    assert!(needs("cpid") && needs("list") && !needs("nsenter-rs"));
}

#[test]
fn no_row_that_wants_few_containers_comes_after_the_crowd() {
    assert!(ROWS.iter().map(|row| row.in_crowd).is_sorted());
    let in_crowd = ROWS.iter().filter(|row| row.in_crowd);
    assert!(in_crowd.clone().count() > 0);
    for row in in_crowd {
        assert!(row.work.contains(&CROWD.to_string()), "{}", row.name);
    }
}

#[test]
fn what_a_row_sets_up_or_resets_is_taken_down_after_it() {
    for row in ROWS {
        assert!(!row.after.is_empty() || (row.before.is_empty() && row.reset.is_empty()), "{}", row.name);
        assert!(!row.proof.is_empty() && row.every > 0, "{}", row.name);
    }
}

#[test]
fn a_quoted_script_is_one_word_of_a_command() {
    assert_eq!(words("sh -c 'docker ps | xargs'"), ["sh", "-c", "docker ps | xargs"]);
    assert_eq!(words("cpid NAME"), ["cpid", "NAME"]);
}

#[test]
fn what_is_added_to_another_row_is_a_difference_of_milliseconds() {
    let (ours, before) = (summary_us(5000..=5098).unwrap(), summary_us(2000..=2098).unwrap());
    let added = ours.added_to(&before);
    assert_eq!(added.ratio, 3.0);
    assert!(added.low < 3.0 && added.high > 3.0, "{added:?}");
    assert_eq!((added.verdict(3.0).met, added.verdict(2.9).met), (true, false));
}

#[test]
fn a_time_is_held_against_a_target_in_milliseconds() {
    let time = summary_us(2000..=2098).unwrap().in_milliseconds();
    assert_eq!(time.ratio, 2.049);
    assert_eq!(time.verdict(5.0), Verdict { met: true, certain: true });
    assert_eq!(time.verdict(2.05), Verdict { met: true, certain: false });
}

fn summary_us(us: impl IntoIterator<Item = u64>) -> Option<Summary> {
    Summary::of(&us.into_iter().map(Duration::from_micros).collect::<Vec<_>>())
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
    let summary = summary_us([40, 10, 30, 20]).unwrap();
    assert_eq!((summary.median_us, summary.min_us, summary.max_us), (25.0, 10.0, 40.0));
    assert_eq!((summary.quartile_1_us, summary.quartile_3_us), (17.5, 32.5));
}

#[test]
fn one_slow_run_moves_the_maximum_and_not_the_median() {
    let summary = summary_us((1..=99).chain([1_000_000])).unwrap();
    assert_eq!((summary.median_us, summary.max_us), (50.5, 1_000_000.0));
}

#[test]
fn a_single_run_is_its_own_summary_and_none_is_no_summary() {
    let summary = summary_us([7]).unwrap();
    assert_eq!((summary.median_low_us, summary.median_us, summary.median_high_us), (7.0, 7.0, 7.0));
    assert_eq!(summary.runs, 1);
    assert_eq!(Summary::of(&[]), None);
}

#[test]
fn the_confidence_interval_of_a_hundred_runs_is_ranks_40_to_61() {
    // The textbook's ranks: floor((n - 1.96 √n) / 2) and ceil(1 + (n + 1.96 √n) / 2).
    let summary = summary_us(1..=100).unwrap();
    assert_eq!((summary.median_low_us, summary.median_high_us), (40.0, 61.0));
}

#[test]
fn a_ratio_far_from_the_target_is_certain() {
    let (ours, other) = (summary_us(100..=110).unwrap(), summary_us(1000..=1010).unwrap());
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
