//! That the container has an address: RFC 5227, 2.3; RFC 4861, 7.2.6.
//!
//! Only of an address that it has. To say so of another's is to take his traffic: no tool for finding faults should make
//! that easy, and `nsenter-rs -n arping -U` is there for who means it.

use std::io::{self, Write};
use std::thread::sleep;
use std::time::Duration;

use common::failure::{Failure, Status};
use common::packet::Segment;
use serde::Serialize;

use crate::cli::Cli;
use crate::destination::Destination;
use crate::event::{Event, Kind, Stamp};
use crate::inside::Inside;
use crate::neighbourhood::Scene;

/// As often as RFC 4861 has it at most, MAX_NEIGHBOR_ADVERTISEMENT, for what is lost on the way.
const TIMES: u64 = 3;
/// Neighbours that run Linux take no second word of an address within a second (arp_process, `locktime`): those are only
/// for who has not heard the first.
const APART: Duration = Duration::from_millis(100);

#[derive(Serialize)]
struct Told {
    mac: String,
    link: String,
}

/// Tells the neighbours, several times.
pub fn announce(to: &[Destination], scene: &Scene, inside: &Inside, cli: &Cli) -> Result<Status, Failure> {
    let mut segments = Vec::new();
    for one in to {
        let index = scene.own(one.address).ok_or_else(|| not_ours(one, scene))?;
        let hood = scene.neighbourhood(index, one.address, None)?;
        segments.push((one, Segment { index, mac: hood.asker.mac }, hood.link));
    }
    let (times, apart) = (cli.count.unwrap_or(TIMES), cli.interval.unwrap_or(APART));
    for time in 0..times {
        if time > 0 {
            sleep(apart);
        }
        for (one, segment, link) in &segments {
            inside.open_to_ask(|| segment.announce([one.address]))?;
            if cli.json {
                let what = Told { mac: segment.mac.to_string(), link: link.clone() };
                let (stamp, address) = (Stamp::now(), Some(one.address));
                Event { event: Kind::Sent, stamp, from: &inside.name, dest: &one.word, address, what }
                    .print()?;
            }
        }
    }
    if !cli.json && !cli.quiet {
        for (one, segment, link) in &segments {
            let times = if times == 1 { "once".to_owned() } else { format!("{times} times") };
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

fn not_ours(to: &Destination, scene: &Scene) -> Failure {
    let own = scene.addresses.iter().filter(|own| !own.address.is_loopback());
    let own: Vec<String> = own
        .filter(|own| own.address.is_ipv4() == to.address.is_ipv4())
        .map(|own| own.address.to_string())
        .collect();
    let has = if own.is_empty() { "none of that family".to_owned() } else { own.join(", ") };
    Failure::trouble(to.address, format_args!("is not an address of {}, which has {has}", scene.name))
}
