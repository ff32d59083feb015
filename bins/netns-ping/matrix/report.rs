//! How it went, for people and as JSON.

use std::io::{self, Write};
use std::time::Duration;

use common::failure::Failure;
use common::output::one_line;
use serde::Serialize;

use super::node::Node;
use super::pair::{Pair, PairEnd, PairOutcome};
use super::table::{Cell, table};
use crate::report::event::{Event, EventKind, EventTime};
use crate::report::micros;
use crate::request::MatrixRequest;

/// A longer list is not read; `--json` has all.
const MOST_LOST: usize = 40;

#[derive(Serialize)]
struct PairEvent {
    to: &'static str,
    rtt_us: Option<f64>,
    /// Why nothing was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    says: Option<String>,
}

/// All in all.
#[derive(Debug, Serialize)]
struct MatrixSummary {
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
fn name_of<'a>(nodes: &'a [Node], pair: &Pair) -> &'a str {
    match pair.to {
        PairEnd::Node(to, _) => &nodes[to].name,
        PairEnd::Gateway => "gateway",
    }
}

/// Programs hear of each as it is done.
pub fn done(nodes: &[Node], pair: &Pair) -> Result<(), Failure> {
    let (event, rtt_us, says) = match &pair.outcome {
        Some(PairOutcome::Reached(took)) => (EventKind::Reply, Some(micros(*took)), None),
        Some(PairOutcome::NotSent(errno)) => {
            (EventKind::Error, None, Some(io::Error::from(*errno).to_string()))
        }
        Some(PairOutcome::Lost) | None => (EventKind::Lost, None, None),
    };
    let to = if pair.to == PairEnd::Gateway { "gateway" } else { "container" };
    let (from, dest) = (nodes[pair.from].name.as_str(), name_of(nodes, pair));
    let what = PairEvent { to, rtt_us, says };
    Event { event, stamp: EventTime::now(), from, dest, address: Some(pair.address), what }.print()
}

fn cell(pair: Option<&Pair>) -> Cell {
    match pair.map(|pair| &pair.outcome) {
        None => Cell::Nothing,
        Some(None) => Cell::Unknown,
        Some(Some(PairOutcome::Reached(took))) => Cell::Reached(*took),
        Some(Some(_)) => Cell::Lost,
    }
}

/// Shows all of it.
pub fn end(
    nodes: &[Node],
    pings: &[Pair],
    strays: u64,
    took: Duration,
    request: &MatrixRequest,
) -> Result<(), Failure> {
    let summary = MatrixSummary::of(nodes, pings, strays, took);
    if request.json {
        let stamp = EventTime::now();
        let event = EventKind::Summary;
        return Event { event, stamp, from: "*", dest: "*", address: None, what: summary }.print();
    }
    let mut out = io::stdout();
    if !request.quiet {
        write!(out, "{}", shown(nodes, pings))?;
        let lost: Vec<&Pair> = pings.iter().filter(|pair| pair.is_lost()).collect();
        for pair in lost.iter().take(MOST_LOST) {
            let (from, to) = (one_line(&nodes[pair.from].name), one_line(name_of(nodes, pair)));
            let why = match &pair.outcome {
                Some(PairOutcome::NotSent(errno)) => format!("not sent: {}", io::Error::from(*errno)),
                _ => "lost".to_owned(),
            };
            writeln!(out, "{from} -> {to} {}: {why}", pair.address)?;
        }
        if lost.len() > MOST_LOST {
            writeln!(out, "and {} more: see --json", lost.len() - MOST_LOST)?;
        }
    }
    Ok(writeln!(out, "{summary}")?)
}

fn shown(nodes: &[Node], pings: &[Pair]) -> String {
    let find = |from: usize, to: Option<usize>| {
        pings.iter().find(|pair| {
            let is_it = match (pair.to, to) {
                (PairEnd::Gateway, None) => true,
                (PairEnd::Node(node, _), Some(to)) => node == to,
                _ => false,
            };
            pair.from == from && is_it
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

impl MatrixSummary {
    fn of(nodes: &[Node], pings: &[Pair], strays: u64, took: Duration) -> Self {
        let (gateways, pairs): (Vec<_>, Vec<_>) = pings.iter().partition(|pair| pair.to == PairEnd::Gateway);
        let reached = |pair: &&&Pair| matches!(pair.outcome, Some(PairOutcome::Reached(_)));
        MatrixSummary {
            containers: nodes.iter().map(|node| 1 + node.also.len()).sum(),
            networks: nodes.len(),
            pairs: pairs.len(),
            reached: pairs.iter().filter(reached).count(),
            lost: pings.iter().filter(|pair| pair.is_lost()).count(),
            without_network_in_common: nodes.len() * nodes.len().saturating_sub(1) - pairs.len(),
            gateways: gateways.len(),
            gateways_reached: gateways.iter().filter(reached).count(),
            strays,
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

impl std::fmt::Display for MatrixSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let MatrixSummary { containers, pairs, reached, gateways, gateways_reached, took_us, .. } = self;
        write!(f, "{containers} containers: {reached} of {pairs} pairs reached, ")?;
        write!(f, "{gateways_reached} of {gateways} gateways, {:.3} s", *took_us as f64 / 1e6)
    }
}
