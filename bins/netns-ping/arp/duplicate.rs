//! Whether anybody has an address already: RFC 5227, 2.1.1; RFC 4862, 5.4. Nobody learns anything from the question.

use std::io::{self, Write};
use std::time::Duration;

use common::failure::{Failure, Status};
use common::packet::ask::Answer;
use common::packet::{Claim, Segment, Standing};
use serde::Serialize;

use crate::cli::Cli;
use crate::destination::Destination;
use crate::event::{Event, Kind, Stamp};
use crate::holder::{Holder, Holders, in_words};
use crate::inside::Inside;
use crate::neighbourhood::Neighbourhood;

/// RFC 5227's PROBE_NUM.
const PROBES: u32 = 3;
/// It takes a quarter of an hour, whatever was asked for.
const MOST_PROBES: u32 = 10_000;
/// Behind each probe, where nobody says how long: who is on this host answers within tens of microseconds, who is behind a
/// few switches within a millisecond. RFC 5227 waits for 3 to 7 seconds in all, for what may be waking up: that is `-w 6`.
const QUICK: Duration = Duration::from_millis(100);

#[derive(Serialize)]
struct Verdict {
    is_taken: bool,
    /// `has`, or `wants` of somebody who asks at the same time, to take it.
    standing: Option<&'static str>,
    mac: Option<String>,
    holders: Vec<Holder>,
}

/// Asks about each address, one after the other.
pub fn look(
    all: Vec<(Destination, Neighbourhood)>,
    inside: &Inside,
    holders: &Holders,
    cli: &Cli,
) -> Result<Status, Failure> {
    let waits = waits(cli);
    let mut status = Status::Yes;
    for (to, hood) in &all {
        let segment = Segment { index: hood.index, mac: hood.asker.mac };
        let claim = inside.open_to_ask(|| segment.who_has(&[to.address], &waits, None))?;
        if claim.is_some() {
            status = Status::No;
        }
        say(to, hood, claim.as_ref(), inside, holders, cli)?;
    }
    Ok(status)
}

fn waits(cli: &Cli) -> Vec<Duration> {
    let probes =
        cli.count.map_or(PROBES, |count| u32::try_from(count).unwrap_or(MOST_PROBES).min(MOST_PROBES));
    let each = match (cli.deadline(), cli.timeout()) {
        (Some(deadline), _) => deadline / probes,
        (None, Some(timeout)) => timeout,
        (None, None) => QUICK,
    };
    vec![each; probes as usize]
}

fn say(
    to: &Destination,
    hood: &Neighbourhood,
    claim: Option<&Claim>,
    inside: &Inside,
    holders: &Holders,
    cli: &Cli,
) -> Result<(), Failure> {
    let whose = claim.map(|claim| {
        let Claim { address, mac, .. } = *claim;
        holders.of(&Answer { address, mac, sender: mac })
    });
    if cli.json {
        let standing = claim.map(|claim| if claim.standing == Standing::Has { "has" } else { "wants" });
        let what = Verdict {
            is_taken: claim.is_some(),
            standing,
            mac: claim.map(|claim| claim.mac.to_string()),
            holders: whose.unwrap_or_default(),
        };
        let (event, stamp, address) = (Kind::Summary, Stamp::now(), Some(to.address));
        return Event { event, stamp, from: &inside.name, dest: &to.word, address, what }.print();
    }
    if cli.quiet {
        return Ok(());
    }
    let Some(claim) = claim else {
        return Ok(writeln!(io::stdout(), "{}: not in use on {}", to.address, hood.link)?);
    };
    let who = whose
        .filter(|whose| !whose.is_empty())
        .map_or_else(String::new, |whose| format!(" ({})", in_words(&whose)));
    let does = match claim.standing {
        Standing::Has => "has it",
        Standing::Wants => "is probing for it too, to use it",
    };
    Ok(writeln!(io::stdout(), "{}: {}{who} on {} {does}", to.address, claim.mac, hood.link)?)
}
