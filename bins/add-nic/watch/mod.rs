//! `--watch`: sleeps until containers start or stop or its file changes, and then adds missing NICs and removes outdated ones.
//!
//! All state is in the journal: after a watch was killed, the next one catches up.

mod file;
mod retry;
mod signals;
mod trust;
mod watched_nics;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::events::ContainerWatch;
use common::failure::{Failure, Status};

use crate::jobs::add;
use crate::model::request::{AddMode, AddRequest, OutputForm, WatchRequest};
use crate::parse::watch_file::WatchEntry;
use file::WatchFile;
use signals::{SignalRequest, WatchSignals};
use watched_nics::WatchedNics;

/// Without failures only an event wakes us; poll(2) needs a number.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Keeps the NICs in place that the file describes, until a signal ends it; or adds them once.
pub fn watch(request: &WatchRequest) -> Result<Status, Failure> {
    let mut file = WatchFile::at(&request.file, request.find.engine_timeout)?;
    let entries = file.read()?;
    if request.dry_run {
        return dry_run(entries, request.form);
    }
    let signals = WatchSignals::block()?;
    let mut nics = WatchedNics::new(file.path(), entries, &signals, request);
    if request.once {
        nics.update()?;
        return Ok(if nics.is_complete() { Status::Yes } else { Status::No });
    }
    let mut containers = ContainerWatch::new(None, request.find.engine_timeout)?;
    loop {
        nics.update()?;
        let until = nics.next().unwrap_or_else(|| Instant::now() + FOR_EVER);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let changed = containers.wait_also(left, &[signals.as_fd(), file.as_fd()])?;
            let read = match signals.received() {
                Some(SignalRequest::End) => return Ok(Status::Yes),
                Some(SignalRequest::Read) => Some(file.read()),
                None => file.read_if_changed(),
            };
            let is_news = changed || read.is_some();
            if let Some(read) = read {
                nics.replace(read);
            }
            if is_news {
                nics.retry_soon();
            }
            // Other files in the same directory cause events too.
            if is_news || Instant::now() >= until {
                break;
            }
        }
    }
}

/// Prints the commands that would add the missing NICs.
fn dry_run(entries: Vec<WatchEntry>, form: OutputForm) -> Result<Status, Failure> {
    for WatchEntry { target, wanted, options, .. } in entries {
        let request = AddRequest { target, wanted, options, mode: AddMode::DryRun, form };
        add::add(request, Instant::now())?;
    }
    Ok(Status::Yes)
}
