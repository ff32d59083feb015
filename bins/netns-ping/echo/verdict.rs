//! What is told to the judge about a destination when all is over.

use common::diagnose::{Cause, Verdict, judge};

use super::session::EchoSession;
use crate::evidence::Inspection;

/// Why packets were not answered; nothing is looked at where all were.
pub fn of(session: &EchoSession, inspection: &Inspection<'_>) -> Verdict {
    let (to, statistics) = (&session.to, &session.statistics);
    if statistics.transmitted == 0 {
        return Verdict::of(Cause::NotDone, "nothing was sent: it was ended before");
    }
    let lost = statistics.transmitted.saturating_sub(statistics.received + session.under_way());
    if lost == 0 && statistics.received > 0 {
        let paused = to.container.as_ref().and_then(|container| container.paused.clone());
        return paused.map_or_else(Verdict::answered, Verdict::frozen);
    }
    let mut evidence = inspection.look(to, session.neighbour_before);
    evidence.not_sent = session.not_sent;
    evidence.icmp_error = session.icmp_error;
    evidence.corrupted = statistics.corrupted;
    (evidence.answered, evidence.lost) = (statistics.received, lost);
    if statistics.received == 0 {
        inspection.look_closely(&mut evidence, to, &session.spec);
    }
    judge(&evidence)
}
