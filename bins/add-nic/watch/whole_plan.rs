//! `--watch FILE` with `--dry-run` or `--preflight`: all entries of the file as one plan. Each is planned on top of those before it, and
//! so what two of them both want is found before anything is done.

use common::failure::{self, Failure, Status};

use crate::jobs::add::{PlannedNic, plan_on, read_state, warnings_on};
use crate::journal::Journal;
use crate::model::change::PlanStep;
use crate::model::record::NicRecord;
use crate::model::request::{AddOptions, WatchMode, WatchRequest};
use crate::parse::watch_file::WatchEntry;
use crate::plan::simulation::Sides;
use crate::preflight::warning::Warning;
use crate::read::container::pin;
use crate::read::endpoints::Endpoints;
use crate::read::sockets::Sockets;
use crate::report::{self, PlannedLine, WarningLine};
use crate::tool::TOOL;

/// What the entries before have come to.
#[derive(Default)]
struct WholePlan<'a> {
    nics: Vec<PlannedEntry<'a>>,
    lines: Vec<PlannedLine>,
    warnings: Vec<WarningLine>,
}

/// An entry whose NIC is to be added or changed.
struct PlannedEntry<'a> {
    entry: &'a WatchEntry,
    /// As the journal would have it.
    record: NicRecord,
    steps: Vec<PlanStep>,
}

/// Prints the commands that would make all NICs as the file says, or the problems that they would have.
pub fn show(entries: &[WatchEntry], request: &WatchRequest) -> Result<Status, Failure> {
    let mut whole = WholePlan::default();
    let mut status = Status::Yes;
    for entry in entries {
        if let Err(failure) = whole.add(entry, request.mode) {
            status = status.max(failure.status);
            if !failure.is_already_said() {
                failure::report(TOOL, &failure.map_hints(|hint| entry.hint(hint)).within(entry));
            }
        }
    }
    let as_json = request.form.is_json();
    if request.mode == WatchMode::Preflight {
        report::all_warnings(&whole.warnings, as_json)?;
        return Ok(if whole.warnings.is_empty() { status } else { status.max(Status::No) });
    }
    report::planned(&whole.lines, as_json)?;
    Ok(status)
}

impl<'a> WholePlan<'a> {
    fn add(&mut self, entry: &'a WatchEntry, mode: WatchMode) -> Result<(), Failure> {
        let options = AddOptions { names_before: 0, ..entry.options };
        let (ends, mut sockets) =
            Endpoints::open(pin(&entry.target, &options.search)?, &entry.wanted, &options.search)?;
        self.refuse_shared(entry, &ends)?;
        let journal = Journal::read_only();
        let (mut records, mut snapshot) = read_state(&entry.wanted, &ends, &mut sockets, &options, &journal)?;
        for PlannedEntry { record, steps, .. } in &self.nics {
            snapshot = snapshot.after(steps.iter(), Sides::new(record, &ends.inside, ends.peer.as_ref()));
            records.retain(|known| known.id != record.id);
            records.push(record.clone());
        }
        let planned = if mode == WatchMode::Preflight {
            let (warnings, planned) =
                warnings_on(records, snapshot, &entry.wanted, &ends, (&sockets, &options))?;
            self.warnings.extend(warnings.into_iter().map(|warning| warning_line(entry, warning)));
            planned
        } else {
            let planned = plan_on(records, snapshot, &entry.wanted, &ends, &options)?;
            planned.as_ref().map_or(Ok(()), PlannedNic::refuse_renamed)?;
            planned
        };
        if let Some(planned) = planned {
            self.take(entry, planned, ends, &sockets);
        }
        Ok(())
    }

    fn take(&mut self, entry: &'a WatchEntry, planned: PlannedNic, ends: Endpoints, sockets: &Sockets) {
        let steps: Vec<PlanStep> = planned.steps(&ends).map(|(step, _)| step.clone()).collect();
        let about = format!("{entry}");
        let lines = planned.steps(&ends).map(|(step, files)| PlannedLine {
            about: about.clone(),
            line: entry.line,
            step: step.clone(),
            command: step.as_command(&files),
        });
        self.lines.extend(lines);
        let record = planned.record(entry, ends, sockets);
        self.nics.push(PlannedEntry { entry, record, steps });
    }

    /// What an entry before it takes, also under another name of the same container.
    fn refuse_shared(&self, entry: &WatchEntry, ends: &Endpoints) -> Result<(), Failure> {
        for PlannedEntry { entry: other, record, .. } in &self.nics {
            let is_one = record.is_about(&ends.inside);
            let name = entry.wanted.name.as_ref().filter(|name| is_one && record.plan.nic.name == **name);
            let shared = entry.shares(other, is_one).or_else(|| name.map(ToString::to_string));
            if let Some(what) = shared {
                let what = format!("{what}: already used by the entry in line {}", other.line);
                return Err(Failure::said(Status::Failed, what));
            }
        }
        Ok(())
    }
}

fn warning_line(entry: &WatchEntry, warning: Warning) -> WarningLine {
    let fix = warning.fix.as_ref().and_then(|fix| entry.hint(fix));
    WarningLine { about: format!("{entry}"), line: entry.line, warning: Warning { fix, ..warning } }
}
