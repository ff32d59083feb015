//! Shows what happened, for people and as JSON.

use std::io::{self, Write};
use std::time::Duration;

use common::cidr::Cidr;
use common::failure::Failure;
use common::output::{harmless, one_line, table};
use common::target::{IfName, Mac};
use jiff::Timestamp;
use serde::Serialize;

use crate::journal::Record;
use crate::plan::OtherEnd;
use crate::step::{Files, Step};

/// Whether anything had to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Added,
    Unchanged,
    Removed,
}

/// A NIC, as JSON has it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    container: &'a str,
    netns_inode: u64,
    name: &'a IfName,
    mac: Mac,
    mtu_bytes: u32,
    addresses: &'a [Cidr],
    gateways: &'a [std::net::IpAddr],
    kind: &'static str,
    host_name: Option<&'a IfName>,
    host_mac: Option<Mac>,
    host_addresses: &'a [Cidr],
    bridge: Option<&'a IfName>,
    since: Timestamp,
}

impl<'a> From<&'a Record> for Row<'a> {
    fn from(record: &'a Record) -> Self {
        let nic = &record.plan.nic;
        let port = nic.other_end.port();
        Row {
            container: &record.inside.name,
            netns_inode: record.inside.netns_inode,
            name: &nic.name,
            mac: nic.mac,
            mtu_bytes: nic.mtu_bytes,
            addresses: &nic.addresses,
            gateways: &record.wanted.gateways,
            kind: nic.other_end.kind(),
            host_name: port.map(|port| &port.name),
            host_mac: port.map(|port| port.mac),
            host_addresses: nic.other_end.host_addresses(),
            bridge: nic.other_end.bridge(),
            since: record.since,
        }
    }
}

fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    Ok(writeln!(io::stdout(), "{text}")?)
}

fn list_of(addresses: &[Cidr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// One line about a NIC: `nginx: eth1 10.1.0.2/24, host end nginx-eth1 10.1.0.1/24, reachable after 6 ms`.
pub fn nic(record: &Record, outcome: Outcome, took: Duration, as_json: bool) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Done<'a> {
        outcome: Outcome,
        #[serde(flatten)]
        row: Row<'a>,
        took_us: u128,
    }
    if as_json {
        return json(&Done { outcome, row: Row::from(record), took_us: took.as_micros() });
    }
    let nic = &record.plan.nic;
    let mut line = format!("{}: {} {}", one_line(&record.inside.name), nic.name, list_of(&nic.addresses));
    if outcome == Outcome::Removed {
        return Ok(writeln!(io::stdout(), "{line} removed")?);
    }
    line += &other_end(&nic.other_end);
    line += &match outcome {
        Outcome::Unchanged => ", as before".to_owned(),
        _ => format!(", reachable after {}", in_ms(took)),
    };
    Ok(writeln!(io::stdout(), "{line}")?)
}

fn other_end(other_end: &OtherEnd) -> String {
    let (port, mut words, before_addresses) = match other_end {
        OtherEnd::Host(port) => (port, format!(", host end {}", port.name), " "),
        OtherEnd::Bridge { bridge, port } => {
            (port, format!(", on {bridge} by {}", port.name), ", which has ")
        }
    };
    if !port.addresses.is_empty() {
        words += &format!("{before_addresses}{}", list_of(&port.addresses));
    }
    words
}

/// With as many digits as say something.
fn in_ms(took: Duration) -> String {
    let tenths = took.as_micros().div_ceil(100);
    if tenths < 100 {
        format!("{}.{} ms", tenths / 10, tenths % 10)
    } else {
        format!("{} ms", tenths.div_ceil(10))
    }
}

/// The plan, as commands that a person could paste; each a string in JSON.
pub fn commands<'a>(
    steps: impl Iterator<Item = &'a Step>,
    files: &Files<'_>,
    as_json: bool,
) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Line<'a> {
        step: &'a Step,
        command: String,
    }
    let lines: Vec<Line<'_>> = steps.map(|step| Line { step, command: step.as_command(files) }).collect();
    if as_json {
        return json(&lines);
    }
    lines.iter().try_for_each(|line| Ok(writeln!(io::stdout(), "{}", harmless(&line.command))?))
}

/// All NICs as a table, or as JSON; each with what differs.
pub fn list(rows: &[(&Record, Vec<String>)], as_json: bool) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Line<'a> {
        #[serde(flatten)]
        row: Row<'a>,
        differs: &'a [String],
    }
    if as_json {
        let lines: Vec<Line<'_>> =
            rows.iter().map(|(record, differs)| Line { row: Row::from(*record), differs }).collect();
        return json(&lines);
    }
    let mut shown =
        table(["CONTAINER", "NIC", "ADDRESSES", "HOST-END", "HOST-ADDRESSES", "BRIDGE", "STATE"], &[], 5);
    for (record, differs) in rows {
        let nic = &record.plan.nic;
        let state = if differs.is_empty() {
            "as made".to_owned()
        } else {
            one_line(&differs.join("; ")).into_owned()
        };
        shown.add_row([
            one_line(&record.inside.name).into_owned(),
            nic.name.to_string(),
            list_of(&nic.addresses),
            nic.other_end.port().map_or("-".to_owned(), |port| port.name.to_string()),
            Some(list_of(nic.other_end.host_addresses()))
                .filter(|list| !list.is_empty())
                .unwrap_or("-".to_owned()),
            nic.other_end.bridge().map_or("-".to_owned(), ToString::to_string),
            state,
        ]);
    }
    Ok(writeln!(io::stdout(), "{}", shown.trim_fmt())?)
}

/// One line for each thing that differs.
pub fn drift(rows: &[(&Record, Vec<String>)], as_json: bool) -> Result<(), Failure> {
    if as_json {
        return list(rows, true);
    }
    for (record, differs) in rows {
        for line in differs {
            let (who, nic) = (one_line(&record.inside.name), &record.plan.nic.name);
            writeln!(io::stdout(), "{who}: {nic}: {}", one_line(line))?;
        }
    }
    Ok(())
}
