//! Ports: whether TCP connects, and whether UDP is answered, as from a program in the container.

mod report;
mod session;
mod task;
mod there;
mod verdict;

use std::time::Duration;

use common::failure::{self, Failure, Status};
use common::packet::neighbour::Segment;
use common::packet::port::PortOptions;
use common::probe::{self, ProbeSignals};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::network::neighbours::ContainerLinks;
use crate::network::netns::TargetNetns;
use crate::request::PortRequest;
use crate::resolve;
use crate::resolve::destination::Destination;
use crate::tool::TOOL;
use report::PortReport;
use session::PortSession;
use task::PortTask;
use there::PortThere;
use verdict::{PortEvidence, PortVerdict};

/// Probes until a signal ends it, or enough has come.
pub fn port(PortRequest { endpoints, config }: &PortRequest) -> Result<Status, Failure> {
    let inside = TargetNetns::find(&endpoints.target, &endpoints.find)?;
    let (resolved, net) = resolve::all(endpoints, &inside)?;
    // A descriptor for each probe that is under way, of which a process has 1,024 by default.
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
    let (mut failures, mut sessions) = (Vec::new(), Vec::new());
    for (to, dest) in resolved.into_iter().zip(&endpoints.dests) {
        let port = dest.port().ok_or_else(|| Failure::failed(dest, "has no port"));
        match port.and_then(|port| Ok((to?, port))).and_then(|(to, port)| single(to).map(|to| (to, port))) {
            Ok((to, port)) => {
                let link = net.origin.link.as_ref().map(|(link, _)| link.clone());
                let source = net.origin.address.map(|address| (address, to.scope()));
                sessions.push(PortSession::new(to, port, PortOptions { link, source }, config));
            }
            Err(failure) => failures.push(failure),
        }
    }
    let mut status = failures.iter().map(|failure| failure.status).max().unwrap_or(Status::Yes);
    failure::report_all(TOOL, failures);
    if sessions.is_empty() {
        return Ok(status);
    }
    let signals = ProbeSignals::block()?;
    let report = PortReport { from: &inside.name, config };
    sessions.iter().try_for_each(|session| report.begins(session))?;
    let mut task = PortTask { sessions: &mut sessions, inside: &inside, report: &report };
    probe::run(&mut task, &signals, None)?;
    for session in &mut sessions {
        session.end();
        report.events(session)?;
        report.summary(session, &verdict_of(session, &inside))?;
        if session.statistics.open == 0 {
            status = status.max(Status::No);
        }
    }
    Ok(status)
}

/// A connection is with one host.
fn single(to: Destination) -> Result<Destination, Failure> {
    match to.is_group() {
        true => {
            Err(Failure::failed(to.word, "is a broadcast or multicast address: a port needs a single host"))
        }
        false => Ok(to),
    }
}

fn verdict_of(session: &PortSession, inside: &TargetNetns) -> PortVerdict {
    let is_failed = session.statistics.open == 0;
    // Where we cannot come back from inside, nothing of the host is within reach.
    let there = (is_failed && inside.is_open_to_us())
        .then(|| PortThere::look(session.to.address, session.port))
        .flatten();
    verdict::judge(&PortEvidence {
        to: &session.to,
        port: session.port,
        target: &inside.target.to_string(),
        statistics: &session.statistics,
        icmp_error: session.icmp_error.as_ref(),
        not_sent: session.not_sent,
        there: there.as_ref(),
        hop_answers: if is_failed && session.statistics.refused == 0 {
            hop_answers(session, inside)
        } else {
            None
        },
    })
}

/// Whether the next hop answers ARP, or neighbour solicitation, now; `None` where there is none on that link, or we may not ask.
fn hop_answers(session: &PortSession, inside: &TargetNetns) -> Option<bool> {
    const WAITS: [Duration; 2] = [Duration::from_millis(150); 2];
    let (to, links) = (&session.to, ContainerLinks::take(inside).ok()?);
    let index = to.route.index.filter(|_| !to.route.is_local)?;
    let link = links.links.iter().find(|link| link.index == index)?;
    let mac = link.mac.filter(|_| links.has_neighbours(index) && link.is_set_up())?;
    let hop = to.next_hop();
    let asked = inside.open_to_ask(|| Segment { index, mac }.who_has(&[hop], &WAITS, None));
    asked.ok().map(|claim| claim.is_some())
}
