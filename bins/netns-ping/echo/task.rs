//! All destinations at once, until each is over or a signal ends it.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use common::failure::Failure;
use common::probe::ProbeTask;

use super::lines;
use super::report::Report;
use super::session::EchoSession;
use crate::request::EchoConfig;

/// How often the dots of a flood are shown.
const OFTEN: Duration = Duration::from_millis(20);

/// Pings all of them.
pub struct EchoTask<'a, 'r> {
    sessions: &'a mut [EchoSession],
    config: &'a EchoConfig,
    report: &'a mut Report<'r>,
    shown: Instant,
}

impl<'a, 'r> EchoTask<'a, 'r> {
    pub fn new(sessions: &'a mut [EchoSession], config: &'a EchoConfig, report: &'a mut Report<'r>) -> Self {
        EchoTask { sessions, config, report, shown: Instant::now() }
    }

    /// What is under way is lost.
    pub fn end(self) -> Result<(), Failure> {
        for session in self.sessions {
            session.end(self.config);
            self.report.events(session)?;
        }
        Ok(())
    }
}

impl ProbeTask for EchoTask<'_, '_> {
    fn advance(&mut self) -> Result<Option<Instant>, Failure> {
        let mut next: Option<Instant> = None;
        for session in self.sessions.iter_mut() {
            let due = session.advance(self.config);
            next = [next, due].into_iter().flatten().min();
            self.report.events(session)?;
        }
        if self.shown.elapsed() >= OFTEN {
            self.shown = Instant::now();
            self.report.catch_up()?;
        }
        Ok(next)
    }

    fn receive(&mut self, ready: &[usize]) -> Result<(), Failure> {
        for at in ready {
            let session = &mut self.sessions[*at];
            session.receive().map_err(|errno| Failure::failed(&session.to.name, errno.desc()))?;
            self.report.events(session)?;
        }
        Ok(())
    }

    fn sockets(&self) -> Vec<BorrowedFd<'_>> {
        self.sessions.iter().map(AsFd::as_fd).collect()
    }

    fn status(&self) {
        let is_one_of_many = self.sessions.len() > 1;
        self.sessions.iter().for_each(|session| lines::status(session, is_one_of_many));
    }
}
