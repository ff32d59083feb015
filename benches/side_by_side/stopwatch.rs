//! Runs the contestants of a row alternately and measures each from spawn to exit.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{error::BenchError, numbers, program};

/// Rounds before the first that counts: page cache, the daemon's caches, the CPU's clock.
const WARM_UP_ROUNDS: usize = 5;

/// One program and its arguments, ready to be run again and again.
pub(crate) struct Runner {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
}

impl Runner {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        command
    }

    /// Runs it once, untimed, and gives what it printed.
    pub(crate) fn run(&self) -> Result<String, BenchError> {
        program::answer(&mut self.command())
    }
}

/// The times of each runner in `runs` rounds, in the order of `runners`; `reset` comes before each.
pub(crate) fn race(
    runners: &[Runner],
    runs: usize,
    reset: &Runner,
    workshop: &Path,
) -> Result<Vec<Vec<Duration>>, BenchError> {
    let path = workshop.join("stderr");
    let file = OpenOptions::new().create(true).read(true).append(true).open(&path);
    let mut stderr = file.map_err(BenchError::path(&path))?;
    let mut times = vec![Vec::with_capacity(runs); runners.len()];
    let warm_up = WARM_UP_ROUNDS.min(runs);
    for round in 0..warm_up + runs {
        for who in numbers::order(runners.len(), round) {
            reset.run()?;
            let time = once(&mut runners[who].command(), &mut stderr)?;
            if round >= warm_up {
                times[who].push(time);
            }
        }
    }
    Ok(times)
}

/// Its error messages go to a file and are read only after a failure: reading a pipe would be in the time.
fn once(command: &mut Command, stderr: &mut File) -> Result<Duration, BenchError> {
    let shared = stderr.try_clone().map_err(BenchError::call("dup"))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(shared);
    let start = Instant::now();
    let ended = command.status();
    let time = start.elapsed();
    let status = ended.map_err(|cause| BenchError::path(command.get_program())(cause))?;
    if status.success() {
        return Ok(time);
    }
    let mut said = String::new();
    stderr
        .rewind()
        .and_then(|()| stderr.read_to_string(&mut said))
        .map_err(BenchError::call("read stderr"))?;
    Err(BenchError::Failed { command: program::line(command), status, stderr: said.trim().to_owned() })
}
