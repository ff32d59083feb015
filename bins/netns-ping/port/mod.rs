//! Ports: whether TCP connects, and whether UDP is answered, as from a program in the container.

mod report;
mod session;
mod task;
mod verdict;

use std::os::fd::AsFd;

use common::failure::{self, Failure, Status};
use common::packet::port::PortOptions;
use common::probe::{self, ProbeSignals};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::evidence::Inspection;
use crate::network::netns::TargetNetns;
use crate::report::verdict as verdict_event;
use crate::request::PortRequest;
use crate::resolve::destination::Destination;
use crate::resolve::{self, UnresolvedDest};
use crate::tool::TOOL;
use report::PortReport;
use session::PortSession;
use task::PortTask;

/// Probes until a signal ends it, or enough has come.
pub fn port(request: &PortRequest) -> Result<Status, Failure> {
    let PortRequest { endpoints, config } = request;
    let dests = endpoints.dests.iter().map(ToString::to_string);
    verdict_event::of_failure(config.json, &endpoints.target.to_string(), dests, probe_ports(request))
}

fn probe_ports(PortRequest { endpoints, config }: &PortRequest) -> Result<Status, Failure> {
    let inside = TargetNetns::find(&endpoints.target, &endpoints.find)?;
    let (resolved, net) = resolve::all(endpoints, &inside)?;
    // A descriptor for each probe that is under way, of which a process has 1,024 by default.
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
    let (mut failed, mut sessions) = (Vec::new(), Vec::new());
    for (to, dest) in resolved.into_iter().zip(&endpoints.dests) {
        let port = dest.port().ok_or_else(|| Failure::failed(dest, "has no port"));
        let port = port.map_err(UnresolvedDest::from);
        match port.and_then(|port| Ok((single(to?)?, port))) {
            Ok((to, port)) => {
                let link = net.origin.link.as_ref().map(|(link, _)| link.clone());
                let source = net.origin.address.map(|address| (address, to.scope()));
                let (_, before) = net.must_ask(&to);
                let mut session = PortSession::new(
                    to,
                    port,
                    PortOptions { link, source, ..PortOptions::default() },
                    config,
                );
                session.neighbour_before = before;
                sessions.push(session);
            }
            Err(unresolved) => failed.push((dest.to_string(), unresolved)),
        }
    }
    let mut status = failed.iter().map(|(_, failed)| failed.failure.status).max().unwrap_or(Status::Yes);
    failure::report_all(TOOL, failed.iter().map(|(_, failed)| failed.failure.clone()));
    if config.json {
        let print = |(dest, failed): &(String, UnresolvedDest)| {
            verdict_event::print(&inside.name, dest, None, &failed.verdict)
        };
        failed.iter().try_for_each(print)?;
    }
    if sessions.is_empty() {
        return Ok(status);
    }
    let signals = ProbeSignals::block()?;
    let report = PortReport { from: &inside.name, config };
    sessions.iter().try_for_each(|session| report.begins(session))?;
    let mut task = PortTask { sessions: &mut sessions, inside: &inside, report: &report };
    probe::run(&mut task, &signals, None)?;
    let inspection = Inspection { inside: &inside, net: &net, endpoints, stop: signals.as_fd() };
    for session in &mut sessions {
        session.end();
        report.events(session)?;
        report.summary(session, &verdict::of(session, &inspection))?;
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
