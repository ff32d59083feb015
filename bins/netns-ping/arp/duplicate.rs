//! Whether an address is taken already: RFC 5227, 2.1.1; RFC 4862, 5.4. The probes change no neighbour table.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::diagnose::{Cause, Verdict};
use common::failure::{Failure, Status};
use common::packet::neighbour::{Claim, ClaimKind, Segment};
use common::probe::ProbeSignals;
use serde::Serialize;

use crate::network::holders::{MacHolder, MacHolders, in_words};
use crate::network::neighbours::NeighbourLink;
use crate::network::netns::TargetNetns;
use crate::report::event::{Event, EventKind, EventTime};
use crate::report::verdict;
use crate::request::ArpRequest;
use crate::resolve::destination::Destination;

#[derive(Serialize)]
struct DuplicateEvent {
    is_taken: bool,
    /// `has`, or `wants` of a host that asks at the same time, to take it.
    standing: Option<&'static str>,
    mac: Option<String>,
    holders: Vec<MacHolder>,
}

/// What is known of an address.
enum AddressUse {
    Taken(Claim),
    Free,
    /// A signal has ended it before its time.
    Stopped {
        after: Duration,
        of: Duration,
    },
}

impl AddressUse {
    fn status(&self) -> Status {
        match self {
            AddressUse::Taken(_) => Status::No,
            AddressUse::Free => Status::Yes,
            AddressUse::Stopped { .. } => Status::Failed,
        }
    }
}

/// Asks about each address, one after the other. After a signal no more is asked, and each address has its line nevertheless.
pub fn look(
    all: Vec<(Destination, NeighbourLink)>,
    waits: &[Duration],
    inside: &TargetNetns,
    holders: &MacHolders,
    request: &ArpRequest,
) -> Result<Status, Failure> {
    let signals = ProbeSignals::block()?;
    let mut status = Status::Yes;
    for (to, via) in &all {
        let segment = Segment { index: via.index, mac: via.sender.mac };
        let (begun, of) = (Instant::now(), waits.iter().sum());
        let stop = Some(signals.as_fd());
        let claim = inside.open_to_ask(|| segment.who_has(&[to.address], waits, stop))?;
        let known = match (claim, begun.elapsed()) {
            (Some(claim), _) => AddressUse::Taken(claim),
            (None, after) if after < of => AddressUse::Stopped { after, of },
            (None, _) => AddressUse::Free,
        };
        status = status.max(known.status());
        say(to, via, &known, inside, holders, request)?;
    }
    Ok(status)
}

fn say(
    to: &Destination,
    via: &NeighbourLink,
    known: &AddressUse,
    inside: &TargetNetns,
    holders: &MacHolders,
    request: &ArpRequest,
) -> Result<(), Failure> {
    let whose = if let AddressUse::Taken(claim) = known { holders.of(claim) } else { Vec::new() };
    let sentence = sentence(known, &whose, via);
    if request.json {
        let verdict = match known {
            AddressUse::Taken(_) => Verdict::of(Cause::AddressConflict, sentence),
            AddressUse::Free => Verdict::answered(),
            AddressUse::Stopped { .. } => Verdict::of(Cause::NotDone, sentence),
        };
        if let Some(what) = DuplicateEvent::of(known, whose) {
            let (event, stamp, address) = (EventKind::Summary, EventTime::now(), Some(to.address));
            Event { event, stamp, from: &inside.name, dest: &to.word, address, what }.print()?;
        }
        return verdict::print(&inside.name, &to.word, Some(to.address), &verdict);
    }
    if request.quiet {
        return Ok(());
    }
    Ok(writeln!(io::stdout(), "{}: {sentence}", to.address)?)
}

fn sentence(known: &AddressUse, whose: &[MacHolder], via: &NeighbourLink) -> String {
    match known {
        AddressUse::Taken(claim) => {
            let who = if whose.is_empty() { String::new() } else { format!(" ({})", in_words(whose)) };
            let does = match claim.kind {
                ClaimKind::Has => "has it",
                ClaimKind::Wants => "is probing for it too, to use it",
            };
            format!("{}{who} on {} {does}", claim.mac, via.link)
        }
        AddressUse::Free => format!("not in use on {}", via.link),
        AddressUse::Stopped { after, of } => format!(
            "not known: stopped after {:.1} s of {:.1}, and no host on {} has answered until then",
            after.as_secs_f64(),
            of.as_secs_f64(),
            via.link
        ),
    }
}

impl DuplicateEvent {
    /// None where it is not known.
    fn of(known: &AddressUse, holders: Vec<MacHolder>) -> Option<Self> {
        let (claim, standing) = match known {
            AddressUse::Taken(claim) => {
                (Some(claim), Some(if claim.kind == ClaimKind::Has { "has" } else { "wants" }))
            }
            AddressUse::Free => (None, None),
            AddressUse::Stopped { .. } => return None,
        };
        let mac = claim.map(|claim| claim.mac.to_string());
        Some(DuplicateEvent { is_taken: claim.is_some(), standing, mac, holders })
    }
}
