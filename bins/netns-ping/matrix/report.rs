//! How it went, for people and as JSON.

use std::io::{self, Write};
use std::time::Duration;

use common::failure::Failure;
use common::output::one_line;
use serde::Serialize;

use super::node::Node;
use super::run::{Outcome, Probe, To};
use super::table::{Cell, table};
use crate::arp::micros;
use crate::cli::Cli;
use crate::event::{Event, Kind, Stamp};

/// Nobody reads a longer list; `--json` has all.
const MOST_LOST: usize = 40;

#[derive(Serialize)]
struct Said {
    to: &'static str,
    rtt_us: Option<f64>,
    /// Why nothing was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    says: Option<String>,
}

/// All in all.
#[derive(Debug, Serialize)]
struct Summary {
    containers: usize,
    networks: usize,
    pairs: usize,
    reached: usize,
    lost: usize,
    without_network_in_common: usize,
    gateways: usize,
    gateways_reached: usize,
    strays: u64,
    took_us: u64,
}

/// What a ping was for, by its name.
fn name_of<'a>(nodes: &'a [Node], probe: &Probe) -> &'a str {
    match probe.to {
        To::Node(to, _) => &nodes[to].name,
        To::Gateway => "gateway",
    }
}

/// Programs hear of each as it is done.
pub fn done(nodes: &[Node], probe: &Probe) -> Result<(), Failure> {
    let (event, rtt_us, says) = match &probe.outcome {
        Some(Outcome::Reached(took)) => (Kind::Reply, Some(micros(*took)), None),
        Some(Outcome::NotSent(errno)) => (Kind::Error, None, Some(io::Error::from(*errno).to_string())),
        Some(Outcome::Lost) | None => (Kind::Lost, None, None),
    };
    let to = if probe.to == To::Gateway { "gateway" } else { "container" };
    let (from, dest) = (nodes[probe.from].name.as_str(), name_of(nodes, probe));
    let what = Said { to, rtt_us, says };
    Event { event, stamp: Stamp::now(), from, dest, address: Some(probe.address), what }.print()
}

fn cell(probe: Option<&Probe>) -> Cell {
    match probe.map(|probe| &probe.outcome) {
        None => Cell::Nothing,
        Some(None) => Cell::Unknown,
        Some(Some(Outcome::Reached(took))) => Cell::Reached(*took),
        Some(Some(_)) => Cell::Lost,
    }
}

/// Shows all of it.
pub fn end(nodes: &[Node], probes: &[Probe], strays: u64, took: Duration, cli: &Cli) -> Result<(), Failure> {
    let summary = Summary::of(nodes, probes, strays, took);
    if cli.json {
        let stamp = Stamp::now();
        let event = Kind::Summary;
        return Event { event, stamp, from: "*", dest: "*", address: None, what: summary }.print();
    }
    let mut out = io::stdout();
    if !cli.quiet {
        write!(out, "{}", shown(nodes, probes))?;
        let lost: Vec<&Probe> = probes.iter().filter(|probe| is_lost(probe)).collect();
        for probe in lost.iter().take(MOST_LOST) {
            let (from, to) = (one_line(&nodes[probe.from].name), one_line(name_of(nodes, probe)));
            let why = match &probe.outcome {
                Some(Outcome::NotSent(errno)) => format!("not sent: {}", io::Error::from(*errno)),
                _ => "lost".to_owned(),
            };
            writeln!(out, "{from} -> {to} {}: {why}", probe.address)?;
        }
        if lost.len() > MOST_LOST {
            writeln!(out, "and {} more: see --json", lost.len() - MOST_LOST)?;
        }
    }
    Ok(writeln!(out, "{summary}")?)
}

pub fn is_lost(probe: &Probe) -> bool {
    matches!(probe.outcome, Some(Outcome::Lost | Outcome::NotSent(_)))
}

fn shown(nodes: &[Node], probes: &[Probe]) -> String {
    let find = |from: usize, to: Option<usize>| {
        probes.iter().find(|probe| {
            let is_it = match (probe.to, to) {
                (To::Gateway, None) => true,
                (To::Node(node, _), Some(to)) => node == to,
                _ => false,
            };
            probe.from == from && is_it
        })
    };
    let names: Vec<String> = nodes.iter().map(Node::label).collect();
    let gateways: Vec<Cell> = (0..nodes.len()).map(|from| cell(find(from, None))).collect();
    let row = |from: usize| {
        let cells =
            (0..nodes.len()).map(|to| if to == from { Cell::Itself } else { cell(find(from, Some(to))) });
        cells.collect()
    };
    let cells: Vec<Vec<Cell>> = (0..nodes.len()).map(row).collect();
    table(&names, &gateways, &cells)
}

impl Summary {
    fn of(nodes: &[Node], probes: &[Probe], strays: u64, took: Duration) -> Self {
        let (gateways, pairs): (Vec<_>, Vec<_>) = probes.iter().partition(|probe| probe.to == To::Gateway);
        let reached = |probe: &&&Probe| matches!(probe.outcome, Some(Outcome::Reached(_)));
        Summary {
            containers: nodes.iter().map(|node| 1 + node.also.len()).sum(),
            networks: nodes.len(),
            pairs: pairs.len(),
            reached: pairs.iter().filter(reached).count(),
            lost: probes.iter().filter(|probe| is_lost(probe)).count(),
            without_network_in_common: nodes.len() * nodes.len().saturating_sub(1) - pairs.len(),
            gateways: gateways.len(),
            gateways_reached: gateways.iter().filter(reached).count(),
            strays,
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Summary { containers, pairs, reached, gateways, gateways_reached, took_us, .. } = self;
        write!(f, "{containers} containers: {reached} of {pairs} pairs reached, ")?;
        write!(f, "{gateways_reached} of {gateways} gateways, {:.3} s", *took_us as f64 / 1e6)
    }
}
