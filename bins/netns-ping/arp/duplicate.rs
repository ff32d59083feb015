//! Whether an address is taken already: RFC 5227, 2.1.1; RFC 4862, 5.4. The probes change no neighbour table.

use std::io::{self, Write};
use std::time::Duration;

use common::failure::{Failure, Status};
use common::packet::neighbour::{Claim, ClaimKind, Segment};
use serde::Serialize;

use crate::network::holders::{MacHolder, MacHolders, in_words};
use crate::network::neighbours::NeighbourLink;
use crate::network::netns::TargetNetns;
use crate::report::event::{Event, EventKind, EventTime};
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

/// Asks about each address, one after the other.
pub fn look(
    all: Vec<(Destination, NeighbourLink)>,
    waits: &[Duration],
    inside: &TargetNetns,
    holders: &MacHolders,
    request: &ArpRequest,
) -> Result<Status, Failure> {
    let mut status = Status::Yes;
    for (to, via) in &all {
        let segment = Segment { index: via.index, mac: via.sender.mac };
        let claim = inside.open_to_ask(|| segment.who_has(&[to.address], waits, None))?;
        if claim.is_some() {
            status = Status::No;
        }
        say(to, via, claim.as_ref(), inside, holders, request)?;
    }
    Ok(status)
}

fn say(
    to: &Destination,
    via: &NeighbourLink,
    claim: Option<&Claim>,
    inside: &TargetNetns,
    holders: &MacHolders,
    request: &ArpRequest,
) -> Result<(), Failure> {
    let whose = claim.map(|claim| holders.of(claim));
    if request.json {
        let standing = claim.map(|claim| if claim.kind == ClaimKind::Has { "has" } else { "wants" });
        let what = DuplicateEvent {
            is_taken: claim.is_some(),
            standing,
            mac: claim.map(|claim| claim.mac.to_string()),
            holders: whose.unwrap_or_default(),
        };
        let (event, stamp, address) = (EventKind::Summary, EventTime::now(), Some(to.address));
        return Event { event, stamp, from: &inside.name, dest: &to.word, address, what }.print();
    }
    if request.quiet {
        return Ok(());
    }
    let Some(claim) = claim else {
        return Ok(writeln!(io::stdout(), "{}: not in use on {}", to.address, via.link)?);
    };
    let who = whose
        .filter(|whose| !whose.is_empty())
        .map_or_else(String::new, |whose| format!(" ({})", in_words(&whose)));
    let does = match claim.kind {
        ClaimKind::Has => "has it",
        ClaimKind::Wants => "is probing for it too, to use it",
    };
    Ok(writeln!(io::stdout(), "{}: {}{who} on {} {does}", to.address, claim.mac, via.link)?)
}
