//! ICMP echo, to each of a few destinations.

mod course;
mod flight;
mod happened;
mod json;
mod lines;
mod manner;
mod pace;
mod report;
mod run;
pub mod statistics;
mod verdict;

use common::failure::{self, Failure, Status};
use common::packet::icmp::{EchoSocket, Family, IcmpError, Options, Stamps, TOKEN_BYTES};
use common::packet::random;

use crate::TOOL;
use crate::cli::Cli;
use crate::destination::Destination;
use crate::inside::Inside;
use crate::resolve::{self, Sight};
use crate::signals::Signals;
use crate::wanted::From;
use course::{Course, Setup};
use manner::Manner;
use report::Report;

/// Pings until it is told to stop, or has what it wants.
pub fn echo(from: &From, cli: &Cli) -> Result<Status, Failure> {
    let manner = Manner::of(cli)?;
    let inside = Inside::find(&from.target, cli)?;
    let (found, sight) = resolve::all(&from.dests, &inside, cli)?;
    let mut troubles = Vec::new();
    let mut courses = Vec::new();
    for found in found {
        match found.and_then(|to| course(to, &inside, &sight, &manner)) {
            Ok(course) => courses.push(course),
            Err(failure) => troubles.push(failure),
        }
    }
    let mut status = troubles.iter().map(|failure| failure.status).max().unwrap_or(Status::Yes);
    failure::report_all(TOOL, troubles);
    if courses.is_empty() {
        return Ok(status);
    }
    let signals = Signals::keep()?;
    let mut report = Report::new(&inside.name, manner.show);
    report.begins(&courses, &manner, &sight.origin)?;
    run::run(&mut courses, &manner, &signals, &mut report)?;
    for course in &courses {
        report.summary(course, verdict::of(course, &sight, &inside))?;
        status = status.max(status_of(course, &manner));
    }
    Ok(status)
}

/// As ping(8): no answer at all, or with `--deadline` fewer than were asked for.
fn status_of(course: &Course, manner: &Manner) -> Status {
    let received = course.statistics.received;
    let enough = manner.deadline.and(manner.count).unwrap_or(1);
    if received < enough.max(1) { Status::No } else { Status::Yes }
}

fn course(to: Destination, inside: &Inside, sight: &Sight, manner: &Manner) -> Result<Course, Failure> {
    let [a, b, nonce @ ..] =
        random::<{ TOKEN_BYTES + 2 }>().map_err(|errno| Failure::trouble("random numbers", errno))?;
    let payload = payload(usize::from(manner.payload_bytes), nonce);
    // In a flood of which nobody sees the single packets the kernel would be busy with stamps for half of its time.
    let is_seen = manner.show.json || !(manner.show.quiet || manner.show.flood);
    let stamps = if manner.is_unlimited() && !is_seen { Stamps::Some } else { Stamps::Each };
    if let Some(source) = sight.origin.address.filter(|source| source.is_ipv4() != to.address.is_ipv4()) {
        let what = format_args!("is not of the same address family as {source}, the address of -I");
        return Err(Failure::trouble(to.address, what));
    }
    let options = Options {
        ttl: manner.ttl,
        path_mtu: manner.path_mtu,
        link: sight.origin.link.as_ref().map(|(link, _)| link.clone()),
        source: sight.origin.address.map(|address| (address, to.scope())),
        stamps,
        no_ttl: manner.show.quiet && !manner.show.json,
        batch: if manner.is_unlimited() { pace::WINDOW as usize } else { 4 },
    };
    let family = Family::of(to.address);
    let open = || EchoSocket::open(family, u16::from_be_bytes([a, b]), &payload, &options);
    let socket = inside.open(|| open().map_err(|error| not_opened(error, inside)))?;
    let asks_first = sight.must_ask(&to);
    Ok(Course::new(Setup { to, socket, payload, stamps, asks_first }, manner))
}

fn not_opened(error: IcmpError, inside: &Inside) -> Failure {
    match error {
        IcmpError::NotPermitted => Failure::trouble(
            &inside.netns,
            format_args!(
                "permission denied: requires CAP_NET_RAW over {}, which owns it, or a group in its net.ipv4.ping_group_range",
                inside.owner()
            ),
        )
        .hint("run it as root"),
        error => Failure::said(Status::Trouble, error),
    }
}

/// What is sent along: as ping(8) has it, but for its beginning, by which an answer that is not to us, or was made up,
/// is told.
fn payload(length: usize, nonce: [u8; TOKEN_BYTES]) -> Vec<u8> {
    (0..length).map(|at| nonce.get(at).copied().unwrap_or(at as u8)).collect()
}
