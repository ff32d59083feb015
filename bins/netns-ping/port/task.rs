//! All ports at once, until each is over or a signal ends it.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use common::failure::Failure;
use common::probe::ProbeTask;
use common::target::Transport;

use super::report::{self, PortReport};
use super::session::PortSession;
use crate::network::netns::TargetNetns;

/// Probes all of them.
pub struct PortTask<'a> {
    pub sessions: &'a mut [PortSession],
    pub inside: &'a TargetNetns,
    pub report: &'a PortReport<'a>,
}

impl ProbeTask for PortTask<'_> {
    fn advance(&mut self) -> Result<Option<Instant>, Failure> {
        let mut next: Option<Instant> = None;
        for session in self.sessions.iter_mut() {
            let due = session.advance(self.inside, self.report.config);
            next = [next, due].into_iter().flatten().min();
            self.report.events(session)?;
        }
        Ok(next)
    }

    fn receive(&mut self, ready: &[usize]) -> Result<(), Failure> {
        // A socket goes when it has told: the last ones first, so that places stay as they are.
        let starts: Vec<usize> = self
            .sessions
            .iter()
            .scan(0, |start, session| {
                let first = *start;
                *start += session.sockets().count();
                Some(first)
            })
            .collect();
        for at in ready.iter().rev() {
            let nth = starts.partition_point(|start| start <= at) - 1;
            self.sessions[nth].receive(at - starts[nth]);
        }
        self.sessions.iter_mut().try_for_each(|session| self.report.events(session))
    }

    fn sockets(&self) -> Vec<BorrowedFd<'_>> {
        self.sessions.iter().flat_map(PortSession::sockets).collect()
    }

    fn connecting(&self) -> Vec<bool> {
        let is_tcp = |session: &PortSession| session.port.transport == Transport::Tcp;
        self.sessions.iter().flat_map(|session| session.sockets().map(move |_| is_tcp(session))).collect()
    }

    fn status(&self) {
        self.sessions.iter().for_each(report::status);
    }
}
