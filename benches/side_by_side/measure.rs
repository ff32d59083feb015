//! Measures one row: find everyone, see that all give the same answer, race them, weigh them, compare.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    contest::{Of, Part, Row, Target, words},
    error::BenchError,
    fixture::Fixture,
    numbers::{Ratio, Summary, Verdict},
    program::{self, Linkage},
    report::RowReport,
    scales,
    stopwatch::{self, Runner},
};

/// What was found out about a row.
#[derive(Serialize)]
pub(crate) struct Measured {
    pub(crate) contestants: Vec<Contestant>,
    pub(crate) targets: Vec<Compared>,
}

#[derive(Serialize)]
pub(crate) struct Contestant {
    pub(crate) part: Part,
    pub(crate) command: &'static str,
    /// `None` if its program is not on this machine.
    #[serde(flatten)]
    pub(crate) result: Option<Figures>,
}

#[derive(Serialize)]
pub(crate) struct Figures {
    pub(crate) program: PathBuf,
    pub(crate) version: Option<String>,
    #[serde(flatten)]
    pub(crate) time: Summary,
    /// Our median divided by this one's; `None` for ourselves.
    pub(crate) ours_to_this: Option<Ratio>,
    pub(crate) peak_rss_kib: u64,
    pub(crate) size_bytes: u64,
    pub(crate) linkage: Linkage,
}

/// A target and what became of it.
#[derive(Serialize)]
pub(crate) struct Compared {
    pub(crate) of: Of,
    pub(crate) at_most: f64,
    /// `None` if there was nothing to compare with.
    #[serde(flatten)]
    pub(crate) outcome: Option<Outcome>,
}

#[derive(Serialize)]
pub(crate) struct Outcome {
    /// A number of milliseconds where the target is in those.
    #[serde(flatten)]
    pub(crate) ratio: Ratio,
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
}

impl Contestant {
    /// The name that targets and people use.
    pub(crate) fn name(&self) -> &'static str {
        self.command.split(' ').next().unwrap_or(self.command)
    }
}

/// What stands in for `TRUE`: while running times are measured, and while answers are compared.
const TRUE: &[&str] = &["true"];
const PROOF: &[&str] = &["readlink", "/proc/self/ns/net"];

/// Measures `row`; rows that were measured before it may be what its targets are counted in.
pub(crate) fn row(
    row: &Row,
    runs: u32,
    bin_dir: &Path,
    fixture: &Fixture,
    before: &[RowReport],
) -> Result<Measured, BenchError> {
    if let (true, Err(why)) = (row.needs_container(), &fixture.container) {
        return Err(BenchError::NoContainer(why.clone()));
    }
    let mut contestants = Vec::new();
    let (mut runners, mut proofs) = (Vec::new(), Vec::new());
    for (part, command) in row.contestants() {
        let contestant = Contestant { part, command, result: None };
        match find(&contestant, bin_dir, fixture) {
            Some(program) => {
                proofs.push(runner(&program, command, fixture, PROOF)?);
                runners.push((contestants.len(), runner(&program, command, fixture, TRUE)?));
            }
            None if part == Part::Ours => return Err(BenchError::OursMissing(contestant.name().to_owned())),
            None => {}
        }
        contestants.push(contestant);
    }
    let reset = shell(row.reset, fixture)?;
    let _setting = Setting::make(row, fixture)?;
    all_achieve_the_same(&proofs, &shell(row.proof, fixture)?, &reset)?;

    let (places, runners): (Vec<usize>, Vec<Runner>) = runners.into_iter().unzip();
    let runs = (runs / row.every).max(1);
    let times = stopwatch::race(&runners, runs as usize, &reset, &fixture.workshop)?;
    let times: Vec<Summary> = times.iter().filter_map(|times| Summary::of(times)).collect();
    for ((place, runner), time) in places.into_iter().zip(&runners).zip(&times) {
        let contestant = &mut contestants[place];
        let ours_to_this = (contestant.part != Part::Ours).then(|| Ratio::between(&times[0], time));
        reset.run()?;
        contestant.result = Some(figures(runner, *time, ours_to_this)?);
    }
    let targets = row.targets.iter().map(|target| compared(target, &contestants, before)).collect();
    Ok(Measured { contestants, targets })
}

/// What a row needs around it; taken down again when dropped.
struct Setting(Runner);

impl Setting {
    fn make(row: &Row, fixture: &Fixture) -> Result<Self, BenchError> {
        let (before, after) = (shell(row.before, fixture)?, shell(row.after, fixture)?);
        let setting = Self(after);
        before.run().map(|_| setting)
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        if let Err(error) = self.0.run() {
            crate::complain(&error);
        }
    }
}

fn find(contestant: &Contestant, bin_dir: &Path, fixture: &Fixture) -> Option<PathBuf> {
    let name = contestant.name();
    let place = match contestant.part {
        Part::Ours => Some(bin_dir.join(name)),
        Part::Peer => program::on_path(name),
        Part::Floor => Some(fixture.workshop.join(name)),
    };
    place.filter(|file| program::is_executable(file))
}

/// The command with what is in capitals filled in.
fn runner(program: &Path, command: &str, fixture: &Fixture, inside: &[&str]) -> Result<Runner, BenchError> {
    let mut args = Vec::new();
    for word in words(command).into_iter().skip(1) {
        match word {
            "TRUE" => args.extend(absolute(inside)),
            word => args.push(filled_in(&word.replace("TRUE", &absolute(inside).join(" ")), fixture)?),
        }
    }
    Ok(Runner { program: program.to_path_buf(), args })
}

fn shell(line: &str, fixture: &Fixture) -> Result<Runner, BenchError> {
    Ok(Runner { program: "/bin/sh".into(), args: vec!["-c".to_owned(), filled_in(line, fixture)?] })
}

fn filled_in(word: &str, fixture: &Fixture) -> Result<String, BenchError> {
    let word = match word.contains("NAME") {
        true => word
            .replace("NAME", fixture.container.as_ref().map_err(|why| BenchError::NoContainer(why.clone()))?),
        false => word.to_owned(),
    };
    let word = word.replace("PID", &fixture.pid.to_string()).replace("LINK", &fixture.link);
    let word = word.replace("WORKSHOP", &fixture.workshop.display().to_string());
    Ok(word.replace("SOCKET", &fixture.socket.display().to_string()))
}

/// The program by its path, so that nobody's time depends on how long `PATH` is.
fn absolute(command: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    if let Some(path) = command.first().and_then(|name| program::on_path(name)) {
        words[0] = path.display().to_string();
    }
    words
}

/// Fast and wrong does not count.
fn all_achieve_the_same(runners: &[Runner], proof: &Runner, reset: &Runner) -> Result<(), BenchError> {
    let mut first = None;
    for runner in runners {
        reset.run()?;
        let line = program::line(&runner.command());
        let said = program::answer_to(&mut proof.command(), &runner.run()?)?;
        let (one, one_said) = first.get_or_insert_with(|| (line.clone(), said.clone()));
        if said.is_empty() {
            return Err(BenchError::Unexpected { command: line, said });
        }
        if *one_said != said {
            let (one, one_said) = (one.clone(), one_said.clone());
            return Err(BenchError::Unlike { one, one_said, other: line, other_said: said });
        }
    }
    Ok(())
}

fn figures(runner: &Runner, time: Summary, ours_to_this: Option<Ratio>) -> Result<Figures, BenchError> {
    let program = &runner.program;
    Ok(Figures {
        version: program::version(program),
        time,
        ours_to_this,
        peak_rss_kib: scales::peak_rss_kib(runner)?,
        size_bytes: fs::metadata(program).map_err(BenchError::path(program))?.len(),
        linkage: Linkage::of(program)?,
        program: program.clone(),
    })
}

fn compared(target: &Target, contestants: &[Contestant], before: &[RowReport]) -> Compared {
    let ours = contestants.iter().find_map(|ours| Some(ours.result.as_ref()?.time));
    let ratio = match target.of {
        Of::Contestant(name) => {
            let other = contestants.iter().find(|contestant| contestant.name() == name);
            other.and_then(|other| other.result.as_ref()?.ours_to_this)
        }
        Of::Row(name) => ours.zip(ours_in(name, before)).map(|(ours, then)| Ratio::between(&ours, &then)),
        Of::Added(name) => ours.zip(ours_in(name, before)).map(|(ours, then)| ours.added_to(&then)),
        Of::Milliseconds => ours.map(|ours| ours.in_milliseconds()),
    };
    let outcome = ratio.map(|ratio| Outcome { verdict: ratio.verdict(target.at_most), ratio });
    Compared { of: target.of, at_most: target.at_most, outcome }
}

/// Our times in the row of that name.
fn ours_in(name: &str, rows: &[RowReport]) -> Option<Summary> {
    let row = rows.iter().find(|row| row.name == name)?.measured.as_ref()?;
    Some(row.contestants.first()?.result.as_ref()?.time)
}
