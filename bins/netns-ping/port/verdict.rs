//! What is told to the judge about a port when all is over.

use common::diagnose::{Cause, ProbeKind, Verdict, judge};
use common::hint;

use super::session::{PortSession, PortStatistics};
use super::there;
use crate::evidence::Inspection;
use crate::resolve::destination::AddressSource;

/// Why probes failed; nothing is looked at where all were answered.
pub fn of(session: &PortSession, inspection: &Inspection<'_>) -> Verdict {
    let (to, statistics) = (&session.to, &session.statistics);
    let &PortStatistics { open, refused, errors, silent, .. } = statistics;
    let failed = refused + errors + silent;
    if failed == 0 && open == 0 {
        let text = "stopped before an answer could come";
        let again = hint!("netns-ping {} {}", inspection.inside.target.to_string(), to.word);
        return Verdict::of(Cause::NotDone, text).advising(again);
    }
    if failed == 0 {
        return Verdict::answered();
    }
    let mut evidence = inspection.look(to, session.neighbour_before);
    evidence.probe = ProbeKind::Port(session.port);
    evidence.dest_name.clone_from(&to.name);
    if let AddressSource::Container(target) = &to.known {
        evidence.dest_target = Some(target.clone());
    }
    (evidence.answered, evidence.lost, evidence.refused) = (open, failed, refused);
    evidence.icmp_error = session.icmp_error;
    evidence.not_sent = session.not_sent.map(|errno| (errno, None));
    // Where we cannot come back from inside, nothing of the host is within reach.
    if open == 0 && inspection.inside.is_open_to_us() {
        evidence.listening = there::look(to.address, session.port);
    }
    if open == 0 && refused == 0 {
        evidence.asked = inspection.ask(&evidence);
    }
    judge(&evidence)
}
