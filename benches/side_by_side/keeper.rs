//! Holds the fixture while another process runs the rows, so that neither Ctrl-C nor a panic leaves it behind.

use std::{
    env,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus},
};

use nix::{
    sys::signal::{SigSet, Signal, killpg, raise},
    unistd::Pid,
};

use crate::{
    cli::{self, Wanted},
    error::BenchError,
    fixture::Stage,
};

/// Sets the fixture up, runs the rows in a copy of this program, and gives its exit status.
pub(crate) fn run(wanted: &Wanted) -> Result<ExitStatus, BenchError> {
    wanted.rows()?;
    let signals: SigSet =
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD].into_iter().collect();
    signals.thread_block().map_err(BenchError::call("block signals"))?;
    let stage = Stage::set_up(wanted)?;
    let ourselves = env::current_exe().map_err(BenchError::call("find this program"))?;
    let mut race = Command::new(&ourselves)
        .arg("inner-race")
        .arg(serde_json::to_string(&stage.fixture)?)
        .args(env::args_os().skip(1))
        // For lines of shell that call a tool of ours.
        .env(cli::BIN_DIR, wanted.bin_dir())
        // So that what it has started can be told to end with it.
        .process_group(0)
        .spawn()
        .map_err(BenchError::path(&ourselves))?;
    let ended = wait(&signals, &mut race);
    drop(stage);
    match ended? {
        Ended::Race(status) => Ok(status),
        Ended::Told(signal, status) => {
            signals.thread_unblock().map_err(BenchError::call("unblock signals"))?;
            raise(signal).map_err(BenchError::call("raise"))?;
            Ok(status)
        }
    }
}

/// What every process below the keeper does first: the keeper's blocked signals are inherited.
pub(crate) fn let_signals_in() -> Result<(), BenchError> {
    SigSet::all().thread_unblock().map_err(BenchError::call("unblock signals"))
}

enum Ended {
    Race(ExitStatus),
    Told(Signal, ExitStatus),
}

fn wait(signals: &SigSet, race: &mut Child) -> Result<Ended, BenchError> {
    loop {
        match signals.wait().map_err(BenchError::call("sigwait"))? {
            Signal::SIGCHLD => {
                if let Some(status) = race.try_wait().map_err(BenchError::call("wait"))? {
                    return Ok(Ended::Race(status));
                }
            }
            told => {
                // It is not yet waited for, so the group is still its own.
                let _ = killpg(Pid::from_raw(race.id().cast_signed()), Signal::SIGTERM);
                return Ok(Ended::Told(told, race.wait().map_err(BenchError::call("wait"))?));
            }
        }
    }
}
