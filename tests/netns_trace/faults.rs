//! Faults that are put in on purpose, a row of `faults.tsv` each: `id`, `given`, `seed`, `undo`, `probe`, the verdicts, the cause, the
//! hop, whether a command fixes it (`+`), what may differ after that, and the tier that has it.

use std::collections::BTreeSet;

use common::diagnose::Cause;
use support::skip::need;

use crate::evidence_level::EvidenceLevel;
use crate::fault_walk::walk;
use crate::inside_lab::{observers, walk_all};
use crate::rows::{FaultRow, faults, is_wanted};
use crate::score::{FaultScore, LevelScore, count, percent};

/// So many of a hundred fixes fix the fault and change nothing else: what was reached, and never less.
const LEAST_FIXED: usize = 98;

#[test]
fn each_fault_is_called_what_it_is_and_the_printed_commands_fix_it() {
    need!(observers());
    let levels = EvidenceLevel::there();
    let rows: Vec<FaultRow> = faults().into_iter().filter(|row| is_wanted(row.id, row.is_short)).collect();
    let walked = walk_all(&rows, |row| {
        let walked = walk(row, &levels);
        // At once: of a run that is ended before its end is known what was seen.
        walked.iter().flat_map(FaultScore::wrong).for_each(|line| println!("{line}"));
        (row.id, walked)
    });
    let void: Vec<String> = walked
        .iter()
        .filter_map(|(id, walked)| walked.as_ref().err().map(|why| format!("{id}: {why}")))
        .collect();
    let scores: Vec<FaultScore> = walked.into_iter().filter_map(|(_, walked)| walked.ok()).collect();
    println!("{} of {} faults", rows.len(), faults().len());
    let fixed = print(&scores, &levels);
    assert!(void.is_empty(), "{} rows are void:\n{}", void.len(), void.join("\n"));
    for level in &levels {
        let is_false =
            |score: &&FaultScore| score.levels.iter().any(|said| said.level == *level && said.is_false_works);
        let false_works: Vec<&str> = scores.iter().filter(is_false).map(|score| score.row.id).collect();
        assert!(false_works.is_empty(), "{}: said to be no faults: {false_works:?}", level.word());
        let right = percent(count(&scores, *level, LevelScore::is_right), scores.len());
        let least = level.least_percent();
        assert!(right >= least, "{}: {right} % are right, and {least} % were", level.word());
    }
    assert!(levels.is_empty() || fixed >= LEAST_FIXED, "{fixed} % of the fixes fix, and {LEAST_FIXED} % did");
}

/// The score of each level.
fn print(scores: &[FaultScore], levels: &[EvidenceLevel]) -> usize {
    let of = scores.len();
    for level in levels {
        let right = |is_so: fn(&LevelScore) -> bool| count(scores, *level, is_so);
        println!(
            "{:8} cause {}, hop {}, both {} of {of} ({} %), verdict {}, fix {}, false works {}",
            level.word(),
            right(|score| score.is_cause_right),
            right(|score| score.is_hop_right),
            right(LevelScore::is_right),
            percent(right(LevelScore::is_right), of),
            right(|score| score.is_verdict_right),
            right(|score| score.is_fix_right),
            right(|score| score.is_false_works),
        );
    }
    let with_fix: Vec<_> = scores.iter().filter_map(|score| score.fixed.as_ref()).collect();
    let fixed = with_fix.iter().filter(|fixed| fixed.is_ok()).count();
    println!(
        "fixes that fix, and nothing else: {fixed} of {} ({} %)",
        with_fix.len(),
        percent(fixed, with_fix.len())
    );
    percent(fixed, with_fix.len())
}

#[test]
fn the_table_has_only_words_that_there_are_and_each_row_once() {
    let words: BTreeSet<&str> = Cause::PINGED.iter().chain(Cause::TRACED).map(|cause| cause.word()).collect();
    let mut ids = BTreeSet::new();
    for row in faults() {
        assert!(words.contains(row.cause), "{row:?}");
        assert!(ids.insert(row.id), "{row:?}");
    }
}

/// A cause that no row makes is one that nothing proves.
#[test]
fn each_cause_that_only_a_trace_says_has_a_row() {
    let found: BTreeSet<&str> = faults().iter().map(|row| row.cause).collect();
    let missing: Vec<&str> =
        Cause::TRACED.iter().map(|cause| cause.word()).filter(|word| !found.contains(word)).collect();
    // The first has no row yet; the next two are what is said where nothing more is known; reverse.rs has the last two.
    assert_eq!(missing, ["route-localnet", "dropped", "vanished", "not-published", "dnat-gone"]);
}
