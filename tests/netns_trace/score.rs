//! How much of what is said is right, at each level of evidence.

use std::collections::BTreeMap;

use crate::evidence_level::{EvidenceLevel, TraceSaid};
use crate::rows::FaultRow;

/// What was said of one fault at one level.
#[derive(Debug)]
pub struct LevelScore {
    pub level: EvidenceLevel,
    pub is_cause_right: bool,
    pub is_hop_right: bool,
    pub is_verdict_right: bool,
    /// The same commands as at the richest level, which are run; or none, and advice, where no command fixes it.
    pub is_fix_right: bool,
    /// A fault that is said to be none.
    pub is_false_works: bool,
    pub said: String,
}

impl LevelScore {
    pub fn of(
        level: EvidenceLevel,
        row: &FaultRow,
        said: &TraceSaid,
        richest: &TraceSaid,
        inodes: &BTreeMap<String, u64>,
    ) -> Self {
        let is_false_works = ["works", "delivered", "passes"].contains(&said.verdict());
        let is_verdict_right = row.verdicts.split(' ').any(|word| word == said.verdict());
        let is_fix_right = match row.has_fix {
            true => !said.fix().is_empty() && said.fix() == richest.fix(),
            false => said.fix().is_empty() && !said.advice().is_empty(),
        };
        let short =
            format!("{} {} at {}, fix {:?}", said.verdict(), said.cause(), said.hop(inodes), said.fix());
        LevelScore {
            level,
            is_cause_right: said.cause() == row.cause,
            is_hop_right: said.is_at(row.hop, inodes),
            is_verdict_right,
            is_fix_right,
            is_false_works,
            said: if said.json.is_null() { said.text.clone() } else { short },
        }
    }

    pub fn is_right(&self) -> bool {
        self.is_cause_right && self.is_hop_right
    }
}

/// What was said of one fault, and whether the fix is one.
#[derive(Debug)]
pub struct FaultScore {
    pub row: FaultRow,
    pub levels: Vec<LevelScore>,
    /// What is set otherwise since it was traced.
    pub changed: String,
    /// None where no command fixes it.
    pub fixed: Option<Result<(), String>>,
}

impl FaultScore {
    /// What is wrong, a line each.
    pub fn wrong(&self) -> Vec<String> {
        let FaultRow { id, cause, hop, verdicts, .. } = self.row;
        let level = |score: &LevelScore| {
            let is_right = score.is_right() && score.is_verdict_right && score.is_fix_right;
            let word = score.level.word();
            (!is_right)
                .then(|| format!("{id} [{word}]: {} in place of {verdicts} {cause} at {hop}", score.said))
        };
        let mut lines: Vec<String> = self.levels.iter().filter_map(level).collect();
        if !self.changed.is_empty() {
            lines.push(format!("{id}: tracing changed {}", self.changed));
        }
        if let Some(Err(why)) = &self.fixed {
            lines.push(format!("{id} [fix]: {why}"));
        }
        lines
    }
}

/// How many of a hundred; all of none.
pub fn percent(right: usize, of: usize) -> usize {
    (right * 100).checked_div(of).unwrap_or(100)
}

/// How many of these scores at a level are so.
pub fn count(scores: &[FaultScore], level: EvidenceLevel, is_so: impl Fn(&LevelScore) -> bool) -> usize {
    scores.iter().flat_map(|score| &score.levels).filter(|score| score.level == level && is_so(score)).count()
}
