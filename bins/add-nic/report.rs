//! Prints results, for people and as JSON.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use common::cidr::Cidr;
use common::failure::Failure;
use common::output::{leave_out, one_line, table};
use common::target::{IfName, Mac};
use jiff::Timestamp;
use serde::Serialize;

use crate::apply::proof::Reachability;
use crate::model::change::PlanStep;
use crate::model::filter::PublishedPort;
use crate::model::nic::OtherEnd;
use crate::model::request::OutputForm;
use crate::model::shell::NetnsFiles;
use crate::model::view::NicView;
use crate::preflight::warning::{self, Warning};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Added(Reachability),
    Unchanged,
    /// Other options, on the same links.
    Changed(Reachability),
    /// A new interface in the place of another one.
    Replaced(Reachability),
    Repaired,
    Removed,
}

impl Outcome {
    /// Whether the NIC has something that it had not before.
    pub fn is_news(self) -> bool {
        matches!(self, Outcome::Added(_) | Outcome::Changed(_) | Outcome::Replaced(_))
    }

    fn word(self) -> &'static str {
        match self {
            Outcome::Added(_) => "added",
            Outcome::Unchanged => "unchanged",
            Outcome::Changed(_) => "changed",
            Outcome::Replaced(_) => "replaced",
            Outcome::Repaired => "repaired",
            Outcome::Removed => "removed",
        }
    }
}

/// A NIC in JSON.
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
    peer: Option<PeerRow<'a>>,
    nat: bool,
    forward: bool,
    publish: &'a [PublishedPort],
    parent: Option<&'a IfName>,
    mode: Option<&'static str>,
    vlan: Option<u16>,
    since: Timestamp,
    /// The file of the watch that keeps it.
    watch_file: Option<&'a Path>,
}

/// The end in the other container.
#[derive(Debug, Serialize)]
struct PeerRow<'a> {
    container: &'a str,
    netns_inode: u64,
    name: &'a IfName,
    mac: Mac,
    addresses: &'a [Cidr],
}

impl<'a> From<NicView<'a>> for Row<'a> {
    fn from(view: NicView<'a>) -> Self {
        let NicView { record, here, peer } = view;
        let nic = &record.plan.nic;
        let port = nic.other_end.port();
        Row {
            container: &here.container.name,
            netns_inode: here.container.netns_inode,
            name: here.name,
            mac: here.mac,
            mtu_bytes: nic.mtu_bytes,
            addresses: here.addresses,
            gateways: if view.is_first() { &record.wanted.gateways } else { &[] },
            kind: nic.other_end.kind(),
            host_name: nic.other_end.host_name(),
            host_mac: port.map(|port| port.mac),
            host_addresses: nic.other_end.host_addresses(),
            bridge: nic.other_end.bridge(),
            peer: peer.map(|peer| PeerRow {
                container: &peer.container.name,
                netns_inode: peer.container.netns_inode,
                name: peer.name,
                mac: peer.mac,
                addresses: peer.addresses,
            }),
            nat: record.wanted.firewall.nat.is_on(),
            forward: record.wanted.firewall.forward,
            publish: &record.wanted.firewall.publish,
            parent: nic.other_end.parent().map(|parent| &parent.name),
            mode: nic.other_end.parent().and_then(|parent| parent.on.mode()),
            vlan: nic.other_end.vlan(),
            since: record.since,
            watch_file: record.watched.as_ref().map(|watched| watched.file.as_path()),
        }
    }
}

fn json(value: &impl Serialize) -> Result<(), Failure> {
    Ok(common::json::pretty(&mut io::stdout(), value)?)
}

fn list_of(addresses: &[Cidr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// One line about a NIC: `nginx: eth1 10.1.0.2/24, host end nginx-eth1 10.1.0.1/24, reachable after 6 ms`.
pub fn nic(view: NicView<'_>, outcome: Outcome, took: Duration, form: OutputForm) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct PrintedNic<'a> {
        outcome: &'static str,
        #[serde(flatten)]
        row: Row<'a>,
        took_us: u128,
    }
    let done = PrintedNic { outcome: outcome.word(), row: Row::from(view), took_us: took.as_micros() };
    match form {
        OutputForm::Text => {}
        OutputForm::Json => return json(&done),
        OutputForm::JsonLine => {
            return Ok(common::json::line(&mut io::stdout(), &done)?);
        }
    }
    let here = view.here;
    let mut line = format!("{}: {} {}", one_line(&here.container.name), here.name, list_of(here.addresses));
    if outcome != Outcome::Removed {
        line += &other_end(&view);
    }
    line += &match outcome {
        Outcome::Added(Reachability::Later) => format!(", added in {}", in_ms(took)),
        Outcome::Changed(Reachability::Later) => format!(", changed in place in {}", in_ms(took)),
        Outcome::Replaced(Reachability::Later) => format!(", replaced in {}", in_ms(took)),
        Outcome::Added(reachable) => reached(&view, reachable, took),
        Outcome::Changed(reachable) => format!(", changed in place{}", reached(&view, reachable, took)),
        Outcome::Replaced(reachable) => format!(", replaced{}", reached(&view, reachable, took)),
        Outcome::Unchanged => ", unchanged".to_owned(),
        Outcome::Repaired => ", repaired".to_owned(),
        Outcome::Removed => " removed".to_owned(),
    };
    Ok(writeln!(io::stdout(), "{line}")?)
}

fn reached(view: &NicView<'_>, reachable: Reachability, took: Duration) -> String {
    match reachable {
        Reachability::OnTheBridge => format!(
            ", answers on {} after {}; the host has no address there",
            view.record.plan.nic.other_end.bridge().map_or("its bridge", IfName::as_str),
            in_ms(took)
        ),
        _ => format!(", reachable after {}", in_ms(took)),
    }
}

fn other_end(view: &NicView<'_>) -> String {
    let other_end = &view.record.plan.nic.other_end;
    let (words, before_addresses) = match other_end {
        OtherEnd::Host(port) => (format!(", host end {}", port.name), " "),
        OtherEnd::Bridge { bridge, port, .. } => {
            (format!(", on {bridge} as port {}", port.name), ", bridge address ")
        }
        OtherEnd::Peer(_) => (format!(", to {}", peer_words(view)), " "),
        OtherEnd::Phys(name) => (format!(", the host's {name}"), " "),
        OtherEnd::On(parent) => (format!(", on {} as {}", parent.name, parent.on), " "),
    };
    let addresses = view.peer.map_or(other_end.host_addresses(), |peer| peer.addresses);
    let words = match other_end.vlan() {
        Some(id) if !words.ends_with(&format!(" id {id}")) => format!("{words} in VLAN {id}"),
        _ => words,
    };
    if addresses.is_empty() { words } else { format!("{words}{before_addresses}{}", list_of(addresses)) }
}

/// `db:eth0`
fn peer_words(view: &NicView<'_>) -> String {
    let words = view.peer.map(|peer| format!("{}:{}", one_line(&peer.container.name), peer.name));
    words.unwrap_or_default()
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
    steps: impl Iterator<Item = &'a PlanStep>,
    files: &NetnsFiles<'a>,
    as_json: bool,
) -> Result<(), Failure> {
    all_commands(steps.map(|step| (step, *files)), as_json)
}

/// The same of steps in several pairs of networks.
pub fn all_commands<'a>(
    steps: impl Iterator<Item = (&'a PlanStep, NetnsFiles<'a>)>,
    as_json: bool,
) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Line<'a> {
        step: &'a PlanStep,
        command: String,
    }
    let lines: Vec<Line<'_>> =
        steps.map(|(step, files)| Line { step, command: step.as_command(&files) }).collect();
    if as_json {
        return json(&lines);
    }
    lines.iter().try_for_each(|line| Ok(writeln!(io::stdout(), "{}", one_line(&line.command))?))
}

/// A command for an entry of a watch's file.
#[derive(Debug, Serialize)]
pub struct PlannedLine {
    /// The entry, for people.
    #[serde(skip)]
    pub about: String,
    pub line: usize,
    pub step: PlanStep,
    pub command: String,
}

/// The plan of a watch's file, with the entry before its commands as a comment.
pub fn planned(lines: &[PlannedLine], as_json: bool) -> Result<(), Failure> {
    if as_json {
        return json(&lines);
    }
    let mut about = "";
    for line in lines {
        if line.about != about {
            about = &line.about;
            writeln!(io::stdout(), "# {}", one_line(about))?;
        }
        writeln!(io::stdout(), "{}", one_line(&line.command))?;
    }
    Ok(())
}

/// Problems and fixes.
pub fn warnings(warnings: &[Warning], typed: &[String], as_json: bool) -> Result<(), Failure> {
    let lines = warnings.iter().map(|warning| WarningRow {
        line: None,
        kind: warning.kind,
        message: &warning.message,
        fix: warning.fix_command(typed),
    });
    let lines: Vec<WarningRow<'_>> = lines.collect();
    if as_json { json(&lines) } else { lines.iter().try_for_each(|line| line.print("")) }
}

/// A problem of an entry of a watch's file.
#[derive(Debug)]
pub struct WarningLine {
    /// The entry, for people.
    pub about: String,
    pub line: usize,
    pub warning: Warning,
}

/// The problems of a watch's file.
pub fn all_warnings(warnings: &[WarningLine], as_json: bool) -> Result<(), Failure> {
    let rows =
        warnings.iter().map(|WarningLine { line, warning: Warning { kind, message, fix }, .. }| WarningRow {
            line: Some(*line),
            kind: *kind,
            message,
            fix: fix.as_ref().map(|fix| fix.to_string()),
        });
    let rows: Vec<WarningRow<'_>> = rows.collect();
    if as_json {
        return json(&rows);
    }
    let mut both = rows.iter().zip(warnings);
    both.try_for_each(|(row, line)| row.print(&format!("{}: ", line.about)))
}

#[derive(Serialize)]
struct WarningRow<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    kind: warning::WarningKind,
    message: &'a str,
    fix: Option<String>,
}

impl WarningRow<'_> {
    fn print(&self, about: &str) -> Result<(), Failure> {
        writeln!(io::stdout(), "{}", one_line(&format!("{about}{}", self.message)))?;
        if let Some(fix) = &self.fix {
            writeln!(io::stdout(), "  fix: {}", one_line(fix))?;
        }
        Ok(())
    }
}

/// All NICs as a table, or as JSON; each with its differences.
pub fn list(rows: &[(NicView<'_>, &[String])], as_json: bool) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Line<'a> {
        #[serde(flatten)]
        row: Row<'a>,
        differs: &'a [String],
    }
    if as_json {
        let lines: Vec<Line<'_>> =
            rows.iter().map(|(view, differs)| Line { row: Row::from(*view), differs }).collect();
        return json(&lines);
    }
    let mut shown = table(["CONTAINER", "NIC", "ADDRESSES", "PEER", "PEER-ADDRESSES", "ON", "STATE"], &[]);
    for (view, differs) in rows {
        let other_end = &view.record.plan.nic.other_end;
        let host_name = other_end.host_name().map(ToString::to_string);
        let beneath = other_end.bridge().or_else(|| other_end.parent().map(|parent| &parent.name));
        let others = view.peer.map_or(other_end.host_addresses(), |peer| peer.addresses);
        let state =
            if differs.is_empty() { "ok".to_owned() } else { one_line(&differs.join("; ")).into_owned() };
        shown.add_row([
            one_line(&view.here.container.name).into_owned(),
            view.here.name.to_string(),
            list_of(view.here.addresses),
            or_dash(host_name.unwrap_or_else(|| peer_words(view))),
            or_dash(list_of(others)),
            or_dash(beneath.map_or_else(String::new, ToString::to_string)),
            state,
        ]);
    }
    leave_out(&mut shown, &SPARED);
    Ok(writeln!(io::stdout(), "{}", shown.trim_fmt())?)
}

/// The columns that a narrow terminal omits, in this order: ON, PEER-ADDRESSES, PEER; `--json` has all.
const SPARED: [usize; 3] = [5, 4, 3];

fn or_dash(words: String) -> String {
    if words.is_empty() { "-".to_owned() } else { words }
}

/// One line for each difference.
pub fn drift(rows: &[(NicView<'_>, &[String])], as_json: bool) -> Result<(), Failure> {
    if as_json {
        return list(rows, true);
    }
    for (view, differs) in rows {
        for line in *differs {
            let (container, nic) = (one_line(&view.here.container.name), view.here.name);
            writeln!(io::stdout(), "{container}: {nic}: {}", one_line(line))?;
        }
    }
    Ok(())
}
