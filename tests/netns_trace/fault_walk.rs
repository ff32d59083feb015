//! What one fault goes through: that it is one, what is said of it at each level, and what becomes of it when the printed commands
//! are run.

use support::tier;

use crate::evidence_level::{EvidenceLevel, TraceSaid};
use crate::inside_lab::InsideLab;
use crate::rows::FaultRow;
use crate::score::{FaultScore, LevelScore};

/// Traces after a fix, until one passes.
const ROUNDS: usize = 3;

/// Commands of one fix.
const MOST_COMMANDS: usize = 3;

/// In a lab of its own. An error where the row itself is void: it makes no fault, or does not undo it.
pub fn walk(row: &FaultRow, levels: &[EvidenceLevel]) -> Result<FaultScore, String> {
    let mut lab = InsideLab::new();
    lab.set_up(row.given)?;
    lab.snapshot("before");
    seed(&mut lab, row)?;
    if tier::is_all() && row.seed != "true" {
        undo(&mut lab, row)?;
        lab.set_up(row.seed)?;
    }
    let mut score = FaultScore { row: *row, levels: Vec::new(), changed: String::new(), fixed: None };
    let Some(richest) = levels.last().copied() else { return Ok(score) };
    lab.snapshot("seeded");
    let inodes = lab.inodes();
    let mut said = Vec::new();
    for level in levels {
        said.push(TraceSaid::by(&mut lab, *level, row.probe));
    }
    lab.snapshot("traced");
    score.changed = lab.differences("seeded", "traced", None);
    let first = said.last().cloned().expect("a level");
    for (level, said) in levels.iter().zip(&said) {
        score.levels.push(LevelScore::of(*level, row, said, &first, &inodes));
    }
    score.fixed = row.has_fix.then(|| fixed(&mut lab, row, richest, first));
    Ok(score)
}

/// Plain programs see the fault, and see none before.
fn seed(lab: &mut InsideLab, row: &FaultRow) -> Result<(), String> {
    let plain = row.probe.plain();
    if row.seed != "true" && !answers(lab, &plain) {
        return Err(format!("void: {plain} fails before the seed: {}", lab.run(&plain).said));
    }
    lab.set_up(row.seed)?;
    if lab.run(&plain).status == 0 { Err(format!("void: {plain} works with the seed")) } else { Ok(()) }
}

/// Plain programs see it gone, and nothing of it is left.
fn undo(lab: &mut InsideLab, row: &FaultRow) -> Result<(), String> {
    let plain = row.probe.plain();
    lab.set_up(row.undo)?;
    if !answers(lab, &plain) {
        return Err(format!("void: {plain} fails after the undo: {}", lab.run(&plain).said));
    }
    lab.snapshot("undone");
    match lab.differences("before", "undone", None) {
        none if none.is_empty() => Ok(()),
        left => Err(format!("void: the undo leaves {left}")),
    }
}

/// Whether plain programs are answered, now or shortly: what came up needs a moment.
pub fn answers(lab: &mut InsideLab, plain: &str) -> bool {
    (0..3).any(|_| lab.run(plain).status == 0)
}

/// Runs what is printed until a trace passes; an error if none does, or if more has changed than the fault.
fn fixed(lab: &mut InsideLab, row: &FaultRow, level: EvidenceLevel, first: TraceSaid) -> Result<(), String> {
    let mut said = first;
    let mut run = Vec::new();
    for _ in 0..ROUNDS {
        run.extend(run_fix(lab, &said).map_err(|why| format!("after {run:?}: {why}"))?);
        said = TraceSaid::by(lab, level, row.probe);
        if said.verdict() == level.works() {
            return as_before(lab, row, &run);
        }
    }
    Err(format!("after {run:?} still {}", said.text))
}

/// Runs the commands of a fix as they were printed, and returns them.
pub fn run_fix(lab: &mut InsideLab, said: &TraceSaid) -> Result<Vec<String>, String> {
    let commands = said.fix();
    if commands.is_empty() || commands.len() > MOST_COMMANDS {
        return Err(format!("{} commands: {}", commands.len(), said.text));
    }
    for command in &commands {
        let ran = lab.paste(command);
        if ran.status != 0 {
            return Err(format!("{command}: status {}: {}", ran.status, ran.said));
        }
    }
    Ok(commands)
}

fn as_before(lab: &mut InsideLab, row: &FaultRow, run: &[String]) -> Result<(), String> {
    let plain = row.probe.plain();
    if !answers(lab, &plain) {
        return Err(format!("said to work after {run:?}, and {plain} fails"));
    }
    lab.snapshot("fixed");
    match lab.differences("before", "fixed", row.may_differ) {
        none if none.is_empty() => Ok(()),
        more => Err(format!("{run:?} changes more: {more}")),
    }
}
