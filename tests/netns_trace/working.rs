//! Scenes in which everything works, a row of `working.tsv` each: whatever dies on the way that is not the probe or its answer,
//! nothing else than that is said.

use support::skip::need;
use support::tier;

use crate::evidence_level::{EvidenceLevel, TraceSaid};
use crate::fault_walk::answers;
use crate::inside_lab::{InsideLab, observers, walk_all};
use crate::rows::{WorkingRow, is_wanted, working};

/// Scenes of which a level cannot know that they work, and says so: with `--evidence state` nothing is watched but the answer, and a
/// datagram that nobody answers may be anywhere.
const NOT_TO_BE_KNOWN: [(&str, EvidenceLevel); 1] = [("udp-mute", EvidenceLevel::State)];

#[test]
fn what_works_is_never_called_anything_else() {
    need!(observers());
    need!(support::skip::program("tcpdump", "tcpdump"));
    let levels = EvidenceLevel::there();
    let times = if tier::is_all() { 2 } else { 1 };
    let rows: Vec<WorkingRow> = working().into_iter().filter(|row| is_wanted(row.id, row.is_short)).collect();
    let walked = walk_all(&rows, |row| walk(row, &levels, times));
    let void: Vec<&String> = walked.iter().filter_map(|walked| walked.as_ref().err()).collect();
    let wrong: Vec<&String> = walked.iter().flatten().flatten().collect();
    let traces = rows.len() * levels.len() * times;
    println!("{} of {traces} traces of what works say something else", wrong.len());
    wrong.iter().for_each(|line| println!("{line}"));
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(void.is_empty(), "{} scenes are void: {void:?}", void.len());
}

/// What is said wrongly; an error where plain programs say that the scene does not work.
fn walk(row: &WorkingRow, levels: &[EvidenceLevel], times: usize) -> Result<Vec<String>, String> {
    let mut lab = InsideLab::new();
    lab.set_up(row.given).map_err(|why| format!("{}: {why}", row.id))?;
    let mut wrong = Vec::new();
    // Before plain programs: what they send teaches every neighbour on the way.
    for level in levels.iter().rev().cycle().take(levels.len() * times) {
        let said = TraceSaid::by(&mut lab, *level, row.probe);
        let is_right = match level {
            _ if NOT_TO_BE_KNOWN.contains(&(row.id, *level)) => said.verdict() == "cannot-tell",
            EvidenceLevel::Explain => said.verdict() == level.works(),
            _ => row.verdicts.split(' ').any(|word| word == said.verdict()),
        };
        if !is_right {
            wrong.push(format!("{} [{}]: {}", row.id, level.word(), said.text));
        }
    }
    let plain = row.probe.plain();
    // A UDP server that has no answer answers nobody.
    if row.verdicts != "delivered" && !answers(&mut lab, &plain) {
        return Err(format!("{}: {plain}: {}", row.id, lab.run(&plain).said));
    }
    Ok(wrong)
}
