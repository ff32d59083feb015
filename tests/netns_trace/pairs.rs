//! Two faults at once, a row of `pairs.tsv` each: what the packet meets first is named first, and the other one after its fix.

use support::skip::need;
use support::tier;

use crate::evidence_level::{EvidenceLevel, TraceSaid};
use crate::fault_walk::{answers, run_fix};
use crate::inside_lab::{InsideLab, observers, walk_all};
use crate::rows::{PairRow, is_wanted, pairs};
use crate::score::percent;

/// How a pair went: void, or what was said wrongly, if anything.
enum PairOutcome {
    Void(String),
    Wrong(String),
    Right,
}

#[test]
fn of_two_faults_the_first_is_named_and_after_its_fix_the_second() {
    need!(observers());
    let richest = EvidenceLevel::there().last().copied();
    let rows: Vec<PairRow> = pairs().into_iter().filter(|row| is_wanted(row.id, row.is_short)).collect();
    let walked = walk_all(&rows, |row| walk(row, richest));
    let (mut void, mut wrong) = (Vec::new(), Vec::new());
    for (row, outcome) in rows.iter().zip(walked) {
        match outcome {
            PairOutcome::Void(why) => void.push(format!("{}: {why}", row.id)),
            PairOutcome::Wrong(why) => wrong.push(format!("{}: {why}", row.id)),
            PairOutcome::Right => {}
        }
    }
    let right = rows.len() - void.len() - wrong.len();
    println!("{}\npairs: {right} of {} ({} %)", wrong.join("\n"), rows.len(), percent(right, rows.len()));
    assert!(void.is_empty(), "{} pairs are void:\n{}", void.len(), void.join("\n"));
    // Of the few that make test walks one more may be wrong.
    let least = if tier::is_all() { 93 } else { 85 };
    let right = percent(right, rows.len());
    assert!(right >= least, "{right} % of the pairs are right, and {least} % were");
}

fn walk(row: &PairRow, richest: Option<EvidenceLevel>) -> PairOutcome {
    let mut lab = InsideLab::new();
    if let Err(why) = seed(&mut lab, row) {
        return PairOutcome::Void(why);
    }
    match richest.map(|level| named_in_turn(&mut lab, row, level)) {
        None | Some(Ok(())) => PairOutcome::Right,
        Some(Err(why)) => PairOutcome::Wrong(why),
    }
}

/// Both faults; plain programs fail with them. They do without, unless one is in what is given.
fn seed(lab: &mut InsideLab, row: &PairRow) -> Result<(), String> {
    let plain = row.probe.plain();
    lab.set_up(row.given)?;
    for seed in row.seeds {
        lab.set_up(seed)?;
    }
    if lab.run(&plain).status == 0 { Err(format!("{plain} works")) } else { Ok(()) }
}

fn named_in_turn(lab: &mut InsideLab, row: &PairRow, level: EvidenceLevel) -> Result<(), String> {
    let inodes = lab.inodes();
    let is_named = |said: &TraceSaid, (cause, hop): (&str, &str)| {
        let is_right = said.cause() == cause && said.is_at(hop, &inodes);
        let wrong =
            || format!("{cause} at {hop} is called {} at {}: {}", said.cause(), said.hop(&inodes), said.text);
        if is_right { Ok(()) } else { Err(wrong()) }
    };
    let first = TraceSaid::by(lab, level, row.probe);
    is_named(&first, row.first)?;
    run_fix(lab, &first)?;
    // A fix may need a second round, as a path MTU that is still remembered does: what it says then is of the first fault.
    let mut second = TraceSaid::by(lab, level, row.probe);
    if second.cause() == row.first.0 && row.second.is_none_or(|(cause, _)| cause != row.first.0) {
        run_fix(lab, &second)?;
        second = TraceSaid::by(lab, level, row.probe);
    }
    match row.second {
        Some(expected) => is_named(&second, expected),
        None if second.verdict() == level.works() && answers(lab, &row.probe.plain()) => Ok(()),
        None => Err(format!("does not work after the first fix: {}", second.text)),
    }
}
