//! Sends the probe and follows it: everything is armed before, and both the answer and what is seen are waited for.

#[cfg(test)]
mod tests;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::failure::Failure;
use common::namespace::Namespace;
use common::netns::Home;
use common::packet::wait_for_each;
use nix::errno::Errno;

use crate::evidence::ArmedEvidence;
use crate::model::{EvidenceLevel, FilterOutcome, SeenPacket, TraceEvent, TraceEventKind, TraceProbe};
use crate::probe::{ProbeAnswer, ReadyProbe};

/// How long an answer is waited for: longer than any way through the Internet takes.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(700);
/// And how long after the probe, or its answer, was seen to be dropped: a copy may have been, and the packet not.
const AFTER_DROP: Duration = Duration::from_millis(150);

/// What came of a probe.
#[derive(Debug)]
pub struct FollowedProbe {
    /// When it was sent, by CLOCK_MONOTONIC, or why its own kernel did not send it.
    pub sent: nix::Result<Duration>,
    /// What answered it.
    pub answer: Option<ProbeAnswer>,
    /// What was seen of it and its answer.
    pub events: Vec<TraceEvent>,
    /// From what that is known.
    pub used: Vec<EvidenceLevel>,
    /// What could not be seen, a sentence each.
    pub not_seen: Vec<String>,
}

/// Sends the probe from inside `from`, and watches it in the namespaces on its way, which come with their names.
///
/// # Errors
/// When there is no socket for it.
pub fn follow(
    probe: &TraceProbe,
    from: &Namespace,
    way: &[(String, &Namespace)],
    home: &Home,
    only: Option<EvidenceLevel>,
) -> Result<FollowedProbe, Failure> {
    let opened = home.inside(from, || ReadyProbe::open(probe));
    let opened = opened.map_err(|errno| Failure::failed("the network", errno.desc()))?;
    let mut ready = opened.map_err(|error| Failure::failed("the probe", error))?;
    let mut evidence = ArmedEvidence::arm(only, ready.signature(), way, home);
    let sent = ready.send();
    let answer = if sent.is_ok() { awaited(&mut ready, &mut evidence)? } else { None };
    let events = evidence.events(answer.is_none());
    let ArmedEvidence { used, not_seen, .. } = &mut evidence;
    let (used, not_seen) = (std::mem::take(used), std::mem::take(not_seen));
    Ok(FollowedProbe { sent, answer, events, used, not_seen })
}

/// The answer, if one comes in time.
fn awaited(ready: &mut ReadyProbe, evidence: &mut ArmedEvidence) -> Result<Option<ProbeAnswer>, Failure> {
    let mut until = Instant::now() + ANSWER_TIMEOUT;
    let mut is_dropped = false;
    loop {
        if let Some(answer) = ready.answer() {
            return Ok(Some(answer));
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        let sockets = evidence.sockets().into_iter().map(|socket| (socket, false));
        let all = std::iter::once((ready.as_fd(), ready.is_connecting())).chain(sockets);
        match wait_for_each(all, until) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Failure::failed("poll", errno.desc())),
        }
        evidence.drain(|event| is_dropped |= is_end(event));
        if is_dropped {
            until = until.min(Instant::now() + AFTER_DROP);
        }
    }
}

/// Whether a packet ended there: its own kernel's filter or routing threw it away, and it was not the copy of a flood.
fn is_end(event: &TraceEvent) -> bool {
    let is_ours = event.packet != SeenPacket::Error;
    is_ours
        && match &event.kind {
            TraceEventKind::Dropped { is_for_other, .. } => !is_for_other,
            TraceEventKind::Filtered(decision) => decision.outcome == FilterOutcome::Drop,
            _ => false,
        }
}
