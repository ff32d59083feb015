//! `--watch`: sleeps until containers start or stop, its file changes, or others change its NICs, and then adds missing NICs, removes
//! outdated ones, and repairs.
//!
//! All state is in the journal: after a watch was killed, the next one catches up.

mod drift;
mod file;
mod not_found;
mod retry;
mod signals;
mod trust;
mod watched_nics;
mod whole_plan;

use std::os::fd::AsFd;
use std::time::Instant;

use common::events::ContainerWatch;
use common::failure::{Failure, Status};

use crate::model::request::{WatchMode, WatchRequest};
use drift::DriftClock;
use file::WatchFile;
use signals::{SignalRequest, WatchSignals};
use watched_nics::WatchedNics;

/// Keeps the NICs in place that the file describes, until a signal ends it; or adds them once.
pub fn watch(request: &WatchRequest) -> Result<Status, Failure> {
    let mut file = WatchFile::at(&request.file, request.find.engine_timeout)?;
    let entries = file.read()?;
    if request.mode != WatchMode::Keep {
        return whole_plan::show(&entries, request);
    }
    let signals = WatchSignals::block()?;
    let mut nics = WatchedNics::new(file.path(), entries, &signals, request);
    if request.once {
        nics.update()?;
        nics.repair()?;
        return Ok(if nics.is_complete() { Status::Yes } else { Status::No });
    }
    let mut containers = ContainerWatch::new(None, request.find.engine_timeout)?;
    let mut drift = DriftClock::start()?;
    let mut is_news = true;
    loop {
        if is_news || nics.next().is_some_and(is_over) {
            nics.update()?;
        }
        if drift.is_due() || nics.next_repair().is_some_and(is_over) {
            drift.looks();
            nics.repair()?;
        }
        let until = [nics.next(), nics.next_repair()].into_iter().flatten().fold(drift.next(), Instant::min);
        let left = until.saturating_duration_since(Instant::now());
        let wakes: Vec<_> = [signals.as_fd(), file.as_fd()].into_iter().chain(drift.fds()).collect();
        is_news = containers.wait_also(left, &wakes)?;
        drop(wakes);
        drift.listen();
        let read = match signals.received() {
            Some(SignalRequest::End) => return Ok(Status::Yes),
            Some(SignalRequest::Read) => Some(file.read()),
            // Other files in the same directory cause events too.
            None => file.read_if_changed(),
        };
        if let Some(read) = read {
            nics.replace(read);
            drift.look_now();
            is_news = true;
        }
        if is_news {
            nics.retry_soon();
        }
    }
}

fn is_over(at: Instant) -> bool {
    at <= Instant::now()
}
