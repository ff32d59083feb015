//! ICMP echo, to each of a few destinations.

mod event;
mod json;
mod lines;
mod report;
mod schedule;
mod session;
mod statistics;
mod task;
mod verdict;

use std::os::fd::AsFd;

use common::failure::{self, Failure, Status};
use common::packet::icmp::{EchoOptions, EchoSocket, EchoSocketError, TOKEN_BYTES};
use common::packet::{IpFamily, random};
use common::probe::{self, ProbeSignals};
use common::typed::with_sudo;

use crate::evidence::{EchoSpec, Inspection};
use crate::network::netns::TargetNetns;
use crate::report::verdict as verdict_event;
use crate::request::{EchoConfig, EchoRequest};
use crate::resolve::destination::Destination;
use crate::resolve::{self, ContainerRoutes, UnresolvedDest};
use crate::tool::TOOL;
use report::Report;
use session::EchoSession;
use task::EchoTask;

/// Pings until a signal ends it, or enough has come.
pub fn echo(request: &EchoRequest) -> Result<Status, Failure> {
    let EchoRequest { endpoints, config } = request;
    let dests = endpoints.dests.iter().map(ToString::to_string);
    verdict_event::of_failure(config.show.json, &endpoints.target.to_string(), dests, ping(request))
}

fn ping(EchoRequest { endpoints, config }: &EchoRequest) -> Result<Status, Failure> {
    let inside = TargetNetns::find(&endpoints.target, &endpoints.find)?;
    let (resolved, net) = resolve::all(endpoints, &inside)?;
    let mut failed = Vec::new();
    let mut sessions = Vec::new();
    for (dest, resolved) in endpoints.dests.iter().zip(resolved) {
        match resolved.and_then(|to| Ok(session(to, &inside, &net, config)?)) {
            Ok(session) => sessions.push(session),
            Err(unresolved) => failed.push((dest.to_string(), unresolved)),
        }
    }
    let mut status = failed.iter().map(|(_, failed)| failed.failure.status).max().unwrap_or(Status::Yes);
    failure::report_all(TOOL, failed.iter().map(|(_, failed)| failed.failure.clone()));
    if !sessions.is_empty() {
        let mut report = Report::new(&inside.name, config);
        let signals = ProbeSignals::block()?;
        report.begins(&sessions, &net.origin)?;
        let mut task = EchoTask::new(&mut sessions, config, &mut report);
        // The deadline is that of each session, which ends at the first error too.
        probe::run(&mut task, &signals, None)?;
        task.end()?;
        let inspection = Inspection { inside: &inside, net: &net, endpoints, stop: signals.as_fd() };
        for session in &sessions {
            report.summary(session, || verdict::of(session, &inspection))?;
            status = status.max(status_of(session, config));
        }
    }
    if config.show.json {
        let print = |(dest, failed): &(String, UnresolvedDest)| {
            verdict_event::print(&inside.name, dest, None, &failed.verdict)
        };
        failed.iter().try_for_each(print)?;
    }
    Ok(status)
}

/// As ping(8): no answer at all, or with `--deadline` fewer than were asked for.
fn status_of(session: &EchoSession, config: &EchoConfig) -> Status {
    let received = session.statistics.received;
    let enough = config.deadline.and(config.count).unwrap_or(1);
    if received < enough.max(1) { Status::No } else { Status::Yes }
}

fn session(
    to: Destination,
    inside: &TargetNetns,
    net: &ContainerRoutes,
    config: &EchoConfig,
) -> Result<EchoSession, Failure> {
    let [a, b, nonce @ ..] =
        random::<{ TOKEN_BYTES + 2 }>().map_err(|errno| Failure::failed("random numbers", errno))?;
    let payload = payload(usize::from(config.payload_bytes), nonce, config.pattern.as_deref());
    if let Some(source) = net.origin.address.filter(|source| source.is_ipv4() != to.address.is_ipv4()) {
        let what = format_args!("is not of the same address family as {source}, the address of -I");
        return Err(Failure::failed(to.address, what));
    }
    if let (true, Some(router)) = (config.is_on_link_only, to.route.gateway) {
        let what = format_args!("is behind the router {router}, and with --dont-route none is used");
        return Err(Failure::failed(to.address, what));
    }
    let batch = if config.is_unlimited() { schedule::WINDOW as usize } else { 4 };
    let options = EchoOptions {
        tos: config.tos,
        mark: config.mark,
        is_on_link_only: config.is_on_link_only,
        ttl: config.ttl,
        path_mtu: config.path_mtu,
        link: net.origin.link.as_ref().map(|(link, _)| link.clone()),
        source: net.origin.address.map(|address| (address, to.scope())),
        batch: batch.max(config.preload as usize),
    };
    let family = IpFamily::of(to.address);
    let payload_bytes = usize::from(config.payload_bytes);
    let spec = EchoSpec { options: options.clone(), payload_bytes, timeout: config.timeout };
    let open = || EchoSocket::open(family, u16::from_be_bytes([a, b]), &payload, &options);
    let socket = inside.open(|| open().map_err(|error| not_opened(error, inside)))?;
    let (asks_first, neighbour_before) = net.must_ask(&to);
    let mut session = EchoSession::new(to, socket, payload, asks_first);
    (session.neighbour_before, session.spec) = (neighbour_before, spec);
    Ok(session)
}

fn not_opened(error: EchoSocketError, inside: &TargetNetns) -> Failure {
    match error {
        EchoSocketError::NotPermitted => Failure::failed(
            &inside.netns,
            format_args!(
                "permission denied: requires CAP_NET_RAW over {}, which owns it, or a group in its net.ipv4.ping_group_range",
                inside.owner()
            ),
        )
        .hint(with_sudo()),
        error => Failure::said(Status::Failed, error),
    }
}

/// The data: as ping(8) has it, but for its beginning, which tells a forged answer, or one to another program.
fn payload(length: usize, nonce: [u8; TOKEN_BYTES], pattern: Option<&[u8]>) -> Vec<u8> {
    let filling = |at: usize| pattern.map_or(at as u8, |pattern| pattern[at % pattern.len()]);
    (0..length).map(|at| nonce.get(at).copied().unwrap_or_else(|| filling(at))).collect()
}
