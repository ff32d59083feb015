//! Shows what happens, for people or as JSON.

use common::diagnose::{Cause, Verdict};
use common::failure::{self, Failure};
use common::output::one_line;

use super::json;
use super::lines::{self, PingLines};
use super::session::EchoSession;
use crate::request::EchoConfig;
use crate::resolve::Origin;
use crate::tool::TOOL;

/// What is shown, and how.
#[derive(Debug)]
pub struct Report<'a> {
    /// The container's name.
    from: &'a str,
    config: &'a EchoConfig,
    lines: PingLines,
}

impl<'a> Report<'a> {
    pub fn new(from: &'a str, config: &'a EchoConfig) -> Self {
        Report { from, config, lines: PingLines::new(config) }
    }

    /// The first line of each.
    pub fn begins(&self, sessions: &[EchoSession], origin: &Origin) -> Result<(), Failure> {
        if self.config.show.json {
            return Ok(());
        }
        let bytes = self.config.payload_bytes;
        sessions.iter().try_for_each(|session| self.lines.begins(&session.to, bytes, origin))
    }

    /// All that has happened in a session since.
    pub fn events(&mut self, session: &mut EchoSession) -> Result<(), Failure> {
        for event in &session.take_events() {
            match self.config.show.json {
                true => json::event(event, self.from, session)?,
                false => self.lines.event(event, session)?,
            }
        }
        Ok(())
    }

    /// Shows the dots of a flood.
    pub fn catch_up(&mut self) -> Result<(), Failure> {
        self.lines.catch_up()
    }

    /// How it was all in all; and why packets were not answered, which takes a while to find out.
    pub fn summary(
        &mut self,
        session: &EchoSession,
        verdict: impl FnOnce() -> Verdict,
    ) -> Result<(), Failure> {
        if !self.config.show.json {
            self.lines.catch_up()?;
            lines::summary(session, self.config)?;
        }
        let verdict = verdict();
        if self.config.show.json {
            json::summary(self.from, session, &verdict)?;
        }
        // The counter has also what an IPsec policy keeps from the socket (raw_rcv in net/ipv4/raw.c): then nothing is received. A
        // queue that is full has answers in it.
        if session.dropped() > 0 && session.statistics.received > 0 {
            failure::say(
                TOOL,
                format_args!(
                    "{}: the kernel dropped {} answers that came faster than they could be read",
                    one_line(&session.to.name),
                    session.dropped()
                ),
            );
        }
        // The statistics say so.
        if verdict.cause.is_some_and(|cause| cause != Cause::Loss) {
            let failure = Failure::no(one_line(&session.to.name), verdict.sentence());
            failure::report(TOOL, &failure.hint(verdict.hint()));
        }
        Ok(())
    }
}
