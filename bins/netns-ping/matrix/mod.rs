//! Every running container to every other one on a network that both are on, and to its gateway: in one process, a socket
//! in each network.

mod ask;
mod burst;
mod engines;
mod expected;
mod network;
mod node;
mod pair;
mod port_task;
mod reason;
mod report;
mod table;
mod task;

use std::os::fd::AsFd;
use std::time::Instant;

use common::each::{self, Chosen, Pattern};
use common::failure::{self, Failure, Status};
use common::namespace::NamespaceKind;
use common::output::quotable;
use common::packet::icmp::TOKEN_BYTES;
use common::packet::random;
use common::probe::{self, LoopEnd, ProbeSignals};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::network::netns::TargetNetns;
use crate::report::verdict as verdict_event;
use crate::request::MatrixRequest;
use crate::tool::TOOL;
use engines::EngineWords;
use node::Node;
use pair::{Pair, PairEnd};
use port_task::PortMatrixTask;
use task::MatrixTask;

/// Of all containers, or of those that the pattern fits.
pub fn matrix(request: &MatrixRequest) -> Result<Status, Failure> {
    verdict_event::of_failure(request.json, "*", ["*".to_owned()], ping_all(request))
}

fn ping_all(request: &MatrixRequest) -> Result<Status, Failure> {
    let began = Instant::now();
    let word = request.pattern.as_deref().unwrap_or("*");
    let pattern: Pattern = word.parse().map_err(|error| Failure::failed(quotable(word), error))?;
    let what = (TOOL, word, "shares its network namespace with");
    let mut running = Vec::new();
    let (chosen, all_were_asked) = each::find(what, &pattern, request.find, |container, process| {
        let netns = process.namespace_identity(NamespaceKind::Net).ok()?;
        running.push((container.clone(), netns));
        Some(vec![netns])
    })?;
    // A handful of descriptors each, of which a process has 1,024 by default.
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
    // All are held before any is entered: from inside an ordinary user's container nothing of the host is within reach.
    let mut held: Vec<(Chosen, TargetNetns)> = Vec::new();
    for one in chosen {
        match node::hold(&one) {
            Ok(inside) => held.push((one, inside)),
            // It has ended since it was listed: then it is none of those that run.
            Err(why) if why.status == Status::No => failure::report(TOOL, &why),
            Err(why) => return Err(why),
        }
    }
    let [a, b, token @ ..] =
        random::<{ TOKEN_BYTES + 2 }>().map_err(|errno| Failure::failed("random numbers", errno))?;
    let ours = (u16::from_ne_bytes([a, b]), token);
    let mut words = EngineWords::ask(running, held.iter().map(|(_, inside)| inside), request.find);
    let opened = held.into_iter().map(|(chosen, inside)| {
        let of_netns = words.of(inside.netns.identity());
        let mut node = Node::open(chosen, inside, of_netns, request.families)?;
        if request.port.is_none() {
            node.open_echo(ours)?;
        }
        Ok(node)
    });
    let mut nodes = opened.collect::<Result<Vec<Node>, Failure>>()?;
    words.compare(&mut nodes, request.families);
    let mut pairs = pair::pairs(&nodes, request.families);
    let signals = ProbeSignals::block()?;
    let deadline = request.deadline.map(|deadline| began + deadline);
    let each = |nodes: &[Node], pair: &Pair| if request.json { report::done(nodes, pair) } else { Ok(()) };
    let (ended, strays) = match &request.port {
        None => {
            let mut task = MatrixTask::new(&mut nodes, &mut pairs, (request.tries, request.timeout), each);
            (probe::run(&mut task, &signals, deadline)?, task.strays)
        }
        Some((port, payload)) => {
            // What a router's ports do is nobody's business here.
            pairs.retain(|pair| pair.to != PairEnd::Gateway);
            let how = (*port, payload.clone(), request.timeout);
            let mut task = PortMatrixTask::new(&mut nodes, &mut pairs, how, each);
            (probe::run(&mut task, &signals, deadline)?, 0)
        }
    };
    let is_whole = ended == LoopEnd::Done;
    reason::explain(&mut nodes, &mut pairs, request, signals.as_fd())?;
    report::end(&nodes, &pairs, strays, began.elapsed(), request)?;
    let is_failing = pairs.iter().any(Pair::is_lost) || nodes.iter().any(|node| !node.faults.is_empty());
    Ok(match (is_failing, is_whole && all_were_asked && words.all_were_told) {
        (_, false) => Status::Failed,
        (true, true) => Status::No,
        (false, true) => Status::Yes,
    })
}
