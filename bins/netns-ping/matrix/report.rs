//! How it went, for people and as JSON.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use common::diagnose::{Cause, Verdict};
use common::failure::Failure;
use common::hint::Hint;
use common::output::{self, one_line};
use serde::Serialize;

use super::node::Node;
use super::pair::{Pair, PairEnd, PairOutcome};
use super::table::{Cell, table};
use crate::report::event::{Event, EventKind, EventTime};
use crate::report::micros;
use crate::report::verdict as verdict_event;
use crate::request::MatrixRequest;

/// A longer list is not read; `--json` has all.
const MOST_LOST: usize = 40;

#[derive(Serialize)]
struct PairEvent<'a> {
    to: &'static str,
    network: Option<&'a str>,
    rtt_us: Option<f64>,
    cause: Option<Cause>,
    says: Option<&'a str>,
}

/// What of a container is not as its engine set it up.
#[derive(Serialize)]
struct FaultEvent<'a> {
    network: &'a str,
    cause: Cause,
    says: &'a str,
    fix: &'a [Hint],
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
    probes: usize,
    faults: usize,
    frozen: Vec<String>,
    not_compared: Vec<String>,
    strays: u64,
    took_us: u64,
}

/// What a ping was for, by its name.
fn name_of<'a>(nodes: &'a [Node], pair: &Pair) -> &'a str {
    match pair.to {
        PairEnd::Node(to) => &nodes[to].name,
        PairEnd::Gateway => "gateway",
    }
}

/// Programs hear of each answer as it comes.
pub fn done(nodes: &[Node], pair: &Pair) -> Result<(), Failure> {
    if pair.is_reached() { pair_event(nodes, pair) } else { Ok(()) }
}

fn pair_event(nodes: &[Node], pair: &Pair) -> Result<(), Failure> {
    let (event, rtt_us) = match &pair.outcome {
        Some(PairOutcome::Reached(took)) => (EventKind::Reply, Some(micros(*took))),
        Some(
            PairOutcome::NotSent(_) | PairOutcome::Broken | PairOutcome::Refused | PairOutcome::Reported,
        ) => (EventKind::Error, None),
        Some(PairOutcome::Lost) | None => (EventKind::Lost, None),
    };
    let to = if pair.to == PairEnd::Gateway { "gateway" } else { "container" };
    let (from, dest) = (nodes[pair.from].name.as_str(), name_of(nodes, pair));
    let why = pair.why.as_ref();
    let (cause, says) = (why.and_then(|why| why.cause), why.map(Verdict::sentence));
    let what = PairEvent { to, network: pair.network.as_deref(), rtt_us, cause, says };
    Event { event, stamp: EventTime::now(), from, dest, address: Some(pair.address), what }.print()
}

/// What stands in a place of the table: of several pings the worst one.
fn cell<'a>(pairs: impl Iterator<Item = &'a Pair>) -> Cell {
    pairs.fold(Cell::Nothing, |worst, pair| match (&pair.outcome, worst) {
        (_, Cell::Lost) => Cell::Lost,
        (None, _) => Cell::Unknown,
        (Some(PairOutcome::Reached(_)), Cell::Unknown) => Cell::Unknown,
        (Some(PairOutcome::Reached(took)), Cell::Reached(before)) => Cell::Reached(before.max(*took)),
        (Some(PairOutcome::Reached(took)), _) => Cell::Reached(*took),
        (Some(_), _) => Cell::Lost,
    })
}

/// Shows all of it.
pub fn end(
    nodes: &[Node],
    pings: &[Pair],
    strays: u64,
    took: Duration,
    request: &MatrixRequest,
) -> Result<(), Failure> {
    let places = by_place(pings);
    let summary = MatrixSummary::of(nodes, pings, &places, strays, took);
    let mut lost: Vec<&Pair> = pings.iter().filter(|pair| pair.is_lost()).collect();
    lost.sort_by_key(|pair| pair.place());
    if request.json {
        let unfinished = pings.iter().filter(|pair| pair.outcome.is_none()).count();
        return end_of_events(nodes, &lost, summary, unfinished);
    }
    let mut out = io::stdout();
    if !request.quiet {
        write!(out, "{}", shown(nodes, &places))?;
        for node in nodes {
            let name = one_line(&node.name);
            for fault in &node.faults {
                let network = one_line(&fault.network);
                writeln!(out, "{name}: {} (network {network})", fault.says)?;
            }
            for frozen in node.frozen() {
                writeln!(
                    out,
                    "{}: is frozen: its kernel answers pings, its programs do not run",
                    one_line(frozen)
                )?;
            }
        }
        for pair in lost.iter().take(MOST_LOST) {
            let (from, to) = (one_line(&nodes[pair.from].name), one_line(name_of(nodes, pair)));
            let why = pair.why.as_ref().map_or("lost", Verdict::sentence);
            writeln!(out, "{from} -> {to} {}: {why}", pair.address)?;
        }
        if lost.len() > MOST_LOST {
            writeln!(out, "and {} more: see --json", lost.len() - MOST_LOST)?;
        }
    }
    writeln!(out, "{summary}")?;
    for fault in nodes.iter().flat_map(|node| &node.faults) {
        if let Some(fix) = fault.hint() {
            let _ = writeln!(io::stderr(), "hint: {}", one_line(&fix));
        }
    }
    Ok(())
}

fn end_of_events(
    nodes: &[Node],
    lost: &[&Pair],
    summary: MatrixSummary,
    unfinished: usize,
) -> Result<(), Failure> {
    for node in nodes {
        for fault in &node.faults {
            let what = FaultEvent {
                network: &fault.network,
                cause: fault.kind.cause(),
                says: &fault.says,
                fix: &fault.fix,
            };
            let (event, stamp) = (EventKind::Fault, EventTime::now());
            Event { event, stamp, from: &node.name, dest: "*", address: fault.address, what }.print()?;
        }
    }
    lost.iter().try_for_each(|pair| pair_event(nodes, pair))?;
    let stamp = EventTime::now();
    let verdict = match (verdict(nodes, lost, &summary), unfinished) {
        (verdict, 1..) if verdict.cause.is_none() => Verdict::of(
            Cause::NotDone,
            format!("stopped: {unfinished} of {} probes were not over", summary.probes),
        ),
        (verdict, _) => verdict,
    };
    Event { event: EventKind::Summary, stamp, from: "*", dest: "*", address: None, what: summary }.print()?;
    verdict_event::print("*", "*", None, &verdict)
}

type Places<'a> = HashMap<(usize, PairEnd), Vec<&'a Pair>>;

/// The pings of each container to each other one and to its gateway: one of each network and family.
fn by_place(pings: &[Pair]) -> Places<'_> {
    let mut places = Places::new();
    pings.iter().for_each(|pair| places.entry((pair.from, pair.to)).or_default().push(pair));
    places
}

fn shown(nodes: &[Node], places: &Places<'_>) -> String {
    let at = |from: usize, to: PairEnd| cell(places.get(&(from, to)).into_iter().flatten().copied());
    let names: Vec<String> = nodes.iter().map(Node::label).collect();
    let gateways: Vec<Cell> = (0..nodes.len()).map(|from| at(from, PairEnd::Gateway)).collect();
    let row = |from: usize| {
        let cells =
            (0..nodes.len()).map(|to| if to == from { Cell::Itself } else { at(from, PairEnd::Node(to)) });
        cells.collect()
    };
    let cells: Vec<Vec<Cell>> = (0..nodes.len()).map(row).collect();
    table(&names, &gateways, &cells, output::columns())
}

/// Of all pairs, and of what is not as engines set it up: `None` where nothing failed. The cause is that of most failures.
fn verdict(nodes: &[Node], lost: &[&Pair], summary: &MatrixSummary) -> Verdict {
    let faults = || nodes.iter().flat_map(|node| node.faults.iter().map(move |fault| (node, fault)));
    let mut causes: Vec<(Cause, usize)> = Vec::new();
    let of_pairs = lost.iter().filter_map(|pair| pair.why.as_ref()?.cause);
    for cause in of_pairs.chain(faults().map(|(_, fault)| fault.kind.cause())) {
        match causes.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, count)) => *count += 1,
            None => causes.push((cause, 1)),
        }
    }
    // Of as many the first: pairs stand before faults, in the order of the containers.
    let Some((cause, _)) = causes.iter().rev().max_by_key(|(_, count)| *count).copied() else {
        return Verdict::answered();
    };
    let first_pair =
        lost.iter().find_map(|pair| Some((pair, pair.why.as_ref().filter(|why| why.cause == Some(cause))?)));
    let first = match first_pair {
        Some((pair, why)) => {
            let (from, to) = (one_line(&nodes[pair.from].name), one_line(name_of(nodes, pair)));
            format!("{from} -> {to}: {}", why.sentence())
        }
        None => faults()
            .find(|(_, fault)| fault.kind.cause() == cause)
            .map_or_else(String::new, |(node, fault)| format!("{}: {}", one_line(&node.name), fault.says)),
    };
    let text = match (summary.lost, summary.faults) {
        (0, faults) => format!("{faults} faults, but every ping was answered; {first}"),
        (lost, _) => format!("{lost} of {} probes failed; {first}", summary.probes),
    };
    let mut verdict = Verdict::of(cause, text);
    for fix in faults()
        .flat_map(|(_, fault)| &fault.fix)
        .chain(lost.iter().filter_map(|pair| pair.why.as_ref()).flat_map(|why| &why.fix))
    {
        if !verdict.fix.contains(fix) {
            verdict.fix.push(fix.clone());
        }
    }
    verdict.advising(first_pair.and_then(|(_, why)| why.advice.clone()))
}

impl MatrixSummary {
    fn of(nodes: &[Node], pings: &[Pair], places: &Places<'_>, strays: u64, took: Duration) -> Self {
        let count = |wanted: &dyn Fn(PairEnd, &[&Pair]) -> bool| {
            places.iter().filter(|((_, to), pings)| wanted(*to, pings)).count()
        };
        let is_whole = |pings: &[&Pair]| pings.iter().all(|pair| pair.is_reached());
        let pairs = count(&|to, _| to != PairEnd::Gateway);
        let without_word = nodes.iter().filter(|node| !node.has_word);
        MatrixSummary {
            containers: nodes.iter().map(|node| 1 + node.also.len()).sum(),
            networks: nodes.len(),
            pairs,
            reached: count(&|to, pings| to != PairEnd::Gateway && is_whole(pings)),
            lost: pings.iter().filter(|pair| pair.is_lost()).count(),
            without_network_in_common: nodes.len() * nodes.len().saturating_sub(1) - pairs,
            gateways: count(&|to, _| to == PairEnd::Gateway),
            gateways_reached: count(&|to, pings| to == PairEnd::Gateway && is_whole(pings)),
            probes: pings.len(),
            faults: nodes.iter().map(|node| node.faults.len()).sum(),
            frozen: nodes.iter().flat_map(Node::frozen).map(str::to_owned).collect(),
            not_compared: without_word.map(|node| node.name.clone()).collect(),
            strays,
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

impl std::fmt::Display for MatrixSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let MatrixSummary { containers, pairs, reached, gateways, gateways_reached, took_us, .. } = self;
        write!(f, "{containers} containers: {reached} of {pairs} pairs reached, ")?;
        write!(f, "{gateways_reached} of {gateways} gateways, ")?;
        match self.faults {
            0 => {}
            1 => f.write_str("1 fault, ")?,
            faults => write!(f, "{faults} faults, ")?,
        }
        write!(f, "{:.3} s", *took_us as f64 / 1e6)
    }
}
