//! Why pairs failed, as the judge of `common::diagnose` says: of all by what is known anyway, and as long as there is time also
//! by another probe that is watched.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use common::diagnose::{Cause, Evidence, NeighbourAnswer, ProbeKind, Verdict, judge};
use common::failure::Failure;
use common::netlink::RouteLookup;
use common::output::one_line;
use common::packet::port::PortOptions;

use super::ask::{NeighbourClaims, is_on_link};
use super::node::{Node, PAYLOAD_BYTES};
use super::pair::{Pair, PairEnd, PairOutcome};
use super::task::forget_each_other;
use crate::evidence::{EchoSpec, Inspection, PortSpec};
use crate::request::{MatrixRequest, ProbeEndpoints};
use crate::resolve::ContainerRoutes;
use crate::resolve::destination::{AddressSource, Destination};

/// Pairs are looked at closely until so much time has passed: thousands may have failed, most for one reason.
const CLOSE_LOOKS: Duration = Duration::from_millis(400);
/// How long an answer is waited for then.
const WAIT: Duration = Duration::from_millis(300);

/// What a closer look can make more exact.
const VAGUE: [Cause; 6] = [
    Cause::NoAnswer,
    Cause::NoEcho,
    Cause::BeyondRouter,
    Cause::PortRefused,
    Cause::PortSilent,
    Cause::UdpUnanswered,
];

/// Says why, of each pair that was lost.
pub fn explain(
    nodes: &mut [Node],
    pairs: &mut [Pair],
    request: &MatrixRequest,
    stop: BorrowedFd<'_>,
) -> Result<(), Failure> {
    let claims = NeighbourClaims::ask(nodes, pairs)?;
    let began = Instant::now();
    for pair in pairs.iter_mut().filter(|pair| pair.is_lost() && pair.why.is_none()) {
        let mut evidence = known(nodes, pair, request, claims.of(pair));
        let mut verdict = judge(&evidence);
        let is_vague = verdict.cause.is_some_and(|cause| VAGUE.contains(&cause));
        if is_vague
            && began.elapsed() < CLOSE_LOOKS
            && look_closely(nodes, pair, request, &mut evidence, stop)
        {
            verdict = judge(&evidence);
            forget_each_other(nodes, pair);
        }
        pair.why = Some(verdict);
    }
    // It may have ended long after it was found: then nothing else of it is a fault.
    let ended: Vec<bool> = nodes.iter().map(Node::has_ended).collect();
    for pair in pairs.iter_mut().filter(|pair| pair.is_lost()) {
        let to = match pair.to {
            PairEnd::Node(to) if ended[to] => Some((Cause::DestEnded, to)),
            _ => None,
        };
        if let Some((cause, who)) = to.or(ended[pair.from].then_some((Cause::TargetEnded, pair.from))) {
            let text = format!("{} has ended meanwhile", one_line(&nodes[who].name));
            pair.why = Some(Verdict::of(cause, text));
        }
    }
    Ok(())
}

/// What is known of a pair without sending anything more.
fn known(nodes: &[Node], pair: &Pair, request: &MatrixRequest, asked: NeighbourAnswer) -> Evidence {
    let node = &nodes[pair.from];
    let mut own = node
        .network
        .own
        .iter()
        .filter(|(own, index)| *index == pair.index && own.address().is_ipv4() == pair.address.is_ipv4());
    let router = || node.network.gateways().into_iter().map(|(router, _)| router);
    let gateway = match is_on_link(node, pair) {
        true => None,
        false => router().find(|router| router.is_ipv4() == pair.address.is_ipv4()),
    };
    let route = RouteLookup {
        index: Some(pair.index).filter(|index| *index != 0),
        gateway,
        source: own.next().map(|(own, _)| own.address()),
        ..RouteLookup::default()
    };
    let link = node.network.links.iter().find(|link| link.index == pair.index);
    let link = link.map_or_else(String::new, |link| link.name.to_string_lossy().into_owned());
    let target = node.inside.target.to_string();
    let mut evidence = Evidence::new(&node.name, &target, pair.address, route, &link);
    match pair.to {
        PairEnd::Node(to) => {
            evidence.dest_name.clone_from(&nodes[to].name);
            evidence.dest_target = Some(nodes[to].inside.target.to_string());
            let links = nodes[to].network.links.iter();
            evidence.dest_macs = Some(links.filter_map(|link| link.mac).collect());
        }
        PairEnd::Gateway => "gateway".clone_into(&mut evidence.dest_name),
    }
    if let Some((port, _)) = request.port {
        evidence.probe = ProbeKind::Port(port);
    }
    evidence.lost = pair.tries.max(1).into();
    evidence.links = Some(node.network.links.clone());
    evidence.addresses = Some(node.network.addresses.clone());
    evidence.neighbour_before = node.known(pair.index, pair.address);
    evidence.icmp_error = pair.icmp_error;
    evidence.refused = u64::from(pair.outcome == Some(PairOutcome::Refused));
    if let Some(PairOutcome::NotSent(errno)) = pair.outcome {
        evidence.not_sent = Some((errno, None));
    }
    evidence.asked = asked;
    evidence
}

/// Another probe of that pair, watched; whether there was one.
fn look_closely(
    nodes: &[Node],
    pair: &Pair,
    request: &MatrixRequest,
    evidence: &mut Evidence,
    stop: BorrowedFd<'_>,
) -> bool {
    let inside = &nodes[pair.from].inside;
    let endpoints = ProbeEndpoints {
        target: inside.target.clone(),
        dests: Vec::new(),
        source: None,
        mark: None,
        families: request.families,
        deadline: None,
        find: request.find.session(),
    };
    let Ok(net) = ContainerRoutes::take(inside, &endpoints) else { return false };
    let Some(to) = destination(&net, pair, evidence) else { return false };
    let inspection = Inspection { inside, net: &net, endpoints: &endpoints, stop };
    let looked = inspection.look(&to, evidence.neighbour_before);
    *evidence = Evidence {
        probe: evidence.probe,
        dest_macs: evidence.dest_macs.take(),
        lost: evidence.lost,
        icmp_error: evidence.icmp_error,
        refused: evidence.refused,
        ..looked
    };
    match &request.port {
        None => {
            let spec = EchoSpec { payload_bytes: PAYLOAD_BYTES, timeout: WAIT, ..EchoSpec::default() };
            inspection.look_closely(evidence, &to, &spec);
        }
        Some((port, payload)) => {
            let (port, payload, options) = (*port, payload.clone(), PortOptions::default());
            inspection.look_at_port(evidence, &to, &PortSpec { port, payload, options, timeout: WAIT });
        }
    }
    true
}

fn destination(net: &ContainerRoutes, pair: &Pair, evidence: &Evidence) -> Option<Destination> {
    let known = match &evidence.dest_target {
        Some(target) => AddressSource::Container(target.clone()),
        None => AddressSource::Gateway,
    };
    let route = net.route_to(pair.address, Some(pair.index).filter(|index| *index != 0)).ok()?;
    let link = route.index.map_or_else(String::new, |index| net.link_name(index));
    let (word, name) = (evidence.dest_name.clone(), evidence.dest_name.clone());
    Some(Destination { word, name, address: pair.address, known, route, link, container: None })
}
