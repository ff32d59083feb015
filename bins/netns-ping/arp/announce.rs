//! Tells the neighbours that the container has an address: RFC 5227, 2.3; RFC 4861, 7.2.6.
//!
//! Only for an address that it has. To announce another host's is to take its traffic: a tool for finding faults should not
//! make that easy, and `nsenter-rs -n arping -U` can do it.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::diagnose::Verdict;
use common::failure::{Failure, Status};
use common::packet::neighbour::Segment;
use common::packet::wait_for;
use common::probe::ProbeSignals;
use serde::Serialize;

use crate::network::neighbours::ContainerLinks;
use crate::network::netns::TargetNetns;
use crate::report::event::{Event, EventKind, EventTime};
use crate::report::verdict;
use crate::request::ArpRequest;
use crate::resolve::destination::Destination;

#[derive(Serialize)]
struct AnnounceEvent {
    mac: String,
    link: String,
}

/// Tells the neighbours, several times, or as often as it was done when a signal came.
pub fn announce(
    to: &[Destination],
    (times, interval): (u64, Duration),
    links: &ContainerLinks,
    inside: &TargetNetns,
    request: &ArpRequest,
) -> Result<Status, Failure> {
    let mut segments = Vec::new();
    for one in to {
        let index = links.own(one.address).ok_or_else(|| not_ours(one, links))?;
        let via = links.neighbour_link(index, one.address, None)?;
        segments.push((one, Segment { index, mac: via.sender.mac }, via.link));
    }
    let signals = ProbeSignals::block()?;
    let mut done = 0;
    while done < times {
        if done > 0 && is_stopped_within(interval, &signals)? {
            break;
        }
        done += 1;
        for (one, segment, link) in &segments {
            inside.open_to_ask(|| segment.announce([one.address]))?;
            if request.json {
                let what = AnnounceEvent { mac: segment.mac.to_string(), link: link.clone() };
                let (stamp, address) = (EventTime::now(), Some(one.address));
                Event { event: EventKind::Sent, stamp, from: &inside.name, dest: &one.word, address, what }
                    .print()?;
            }
        }
    }
    if request.json {
        for (one, ..) in &segments {
            verdict::print(&inside.name, &one.word, Some(one.address), &Verdict::answered())?;
        }
    } else if !request.quiet {
        for (one, segment, link) in &segments {
            let times = if done == 1 { "once".to_owned() } else { format!("{done} times") };
            writeln!(
                io::stdout(),
                "{}: announced on {link} with MAC address {}, {times}",
                one.address,
                segment.mac
            )?;
        }
    }
    Ok(Status::Yes)
}

/// Waits so long, or until a signal asks to end.
fn is_stopped_within(interval: Duration, signals: &ProbeSignals) -> Result<bool, Failure> {
    let until = Instant::now() + interval;
    while Instant::now() < until {
        let ready = wait_for([signals.as_fd()], until);
        ready.map_err(|errno| Failure::failed("poll", errno.desc()))?;
        if signals.is_end() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn not_ours(to: &Destination, links: &ContainerLinks) -> Failure {
    let own = links.addresses.iter().filter(|own| !own.address.is_loopback());
    let own: Vec<String> = own
        .filter(|own| own.address.is_ipv4() == to.address.is_ipv4())
        .map(|own| own.address.to_string())
        .collect();
    let has = if own.is_empty() { "none of that family".to_owned() } else { own.join(", ") };
    Failure::failed(to.address, format_args!("is not an address of {}, which has {has}", links.name))
}
