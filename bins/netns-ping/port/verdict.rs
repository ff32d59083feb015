//! What is told to the judge about a port when all is over.

use common::diagnose::{Cause, ProbeKind, Verdict, judge};
use common::hint;

use super::session::{PortSession, PortStatistics};
use crate::evidence::Inspection;

/// Why probes failed; nothing is looked at where all were answered.
pub fn of(session: &PortSession, inspection: &Inspection<'_>) -> Verdict {
    let (to, statistics) = (&session.to, &session.statistics);
    let &PortStatistics { sent, open, refused, errors, silent, .. } = statistics;
    if sent == 0 {
        let again = hint!("netns-ping {} {}", inspection.inside.target.to_string(), to.word);
        return Verdict::of(Cause::NotDone, "nothing was sent: it was ended before").advising(again);
    }
    // Of what is under way when it is ended nothing is known, but it is looked at if nothing else is.
    let failed = refused + errors + silent + if open == 0 { session.unknown() } else { 0 };
    if failed == 0 {
        let paused = to.container.as_ref().and_then(|container| container.paused.clone());
        return paused.map_or_else(Verdict::answered, Verdict::frozen);
    }
    let mut evidence = inspection.look(to, session.neighbour_before);
    evidence.probe = ProbeKind::Port(session.port);
    (evidence.answered, evidence.lost, evidence.refused) = (open, failed, refused);
    evidence.icmp_error = session.icmp_error;
    evidence.not_sent = session.not_sent.map(|errno| (errno, None));
    if open == 0 {
        inspection.look_at_port(&mut evidence, to, &session.spec());
    }
    judge(&evidence)
}
