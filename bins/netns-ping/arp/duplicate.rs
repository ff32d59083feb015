//! Whether an address is taken already: RFC 5227, 2.1.1; RFC 4862, 5.4. The probes change no neighbour table.

use std::io::{self, Write};
use std::time::Duration;

use common::diagnose::{Cause, Verdict};
use common::failure::{Failure, Status};
use common::packet::neighbour::{Claim, ClaimKind, Segment};
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
    let sentence = claim.map(|claim| {
        let who = whose
            .as_ref()
            .filter(|whose| !whose.is_empty())
            .map_or_else(String::new, |whose| format!(" ({})", in_words(whose)));
        let does = match claim.kind {
            ClaimKind::Has => "has it",
            ClaimKind::Wants => "is probing for it too, to use it",
        };
        format!("{}{who} on {} {does}", claim.mac, via.link)
    });
    if request.json {
        let standing = claim.map(|claim| if claim.kind == ClaimKind::Has { "has" } else { "wants" });
        let what = DuplicateEvent {
            is_taken: claim.is_some(),
            standing,
            mac: claim.map(|claim| claim.mac.to_string()),
            holders: whose.unwrap_or_default(),
        };
        let (event, stamp, address) = (EventKind::Summary, EventTime::now(), Some(to.address));
        Event { event, stamp, from: &inside.name, dest: &to.word, address, what }.print()?;
        let verdict =
            sentence.map_or_else(Verdict::answered, |sentence| Verdict::of(Cause::AddressConflict, sentence));
        return verdict::print(&inside.name, &to.word, address, &verdict);
    }
    if request.quiet {
        return Ok(());
    }
    let sentence = sentence.unwrap_or_else(|| format!("not in use on {}", via.link));
    Ok(writeln!(io::stdout(), "{}: {sentence}", to.address)?)
}
