//! `--mtu`: the largest packets that pass, by pings that no router may split, from inside the container and from inside DEST.

use std::net::IpAddr;

use common::diagnose::Cause;
use common::failure::{Failure, Status};
use common::netns::Home;
use nix::errno::Errno;

use super::resolve::resolve;
use super::trace::{TracedProbe, trace_probe};
use crate::model::{
    EvidenceLevel, MtuReport, MtuWay, ProbeProtocol, SeenPacket, TraceEventKind, TraceProbe, TraceReport,
};
use crate::probe::ProbeAnswer;
use crate::report::{print, print_mtu};
use crate::request::TraceRequest;
use crate::state::HostState;

/// What every path carries: an IPv4 host must take 576 bytes, and links less; this is enough for a token and all headers.
const SMALL: u16 = 128;
/// Sizes that tunnels and overlays leave: tried before all between are.
const USUAL: [u16; 8] = [1500, 1492, 1480, 1450, 1420, 1400, 1300, 1280];

/// Measures, and prints it.
///
/// # Errors
/// When TARGET or DEST mean nothing, or nothing can be sent.
pub fn mtu(request: &TraceRequest) -> Result<Status, Failure> {
    let find = request.find.session();
    let state = HostState::read(&find)?;
    let home = Home::current()?;
    let resolved = resolve(request, &find, &state)?;
    let measured = MtuMeasure { state: &state, home: &home, only: request.evidence };
    let probe = &resolved.probe;
    let (there, small) = measured.way(resolved.from, resolved.dest, probe)?;
    if there.bytes.is_none() && !request.json {
        // Not the size is what is wrong.
        print(&small.report, false)?;
        return Ok(small.report.verdict.status());
    }
    let mut report = MtuReport { schema: 1, there, back: None, not_measured: None };
    match small.walk_delivered_to.filter(|netns| *netns != resolved.from) {
        Some(netns) if report.there.bytes.is_some() => {
            let back = TraceProbe {
                source: probe.destination,
                destination: probe.source,
                scope: None,
                is_bound: false,
                ..probe.clone()
            };
            let (way, _) = measured.way(netns, Some(resolved.from), &back)?;
            if way.bytes.is_some() {
                report.back = Some(way);
            } else {
                let (who, to) = (state.who(netns), probe.source);
                report.not_measured = Some(format!("pings from {who} to {to} are not answered"));
            }
        }
        Some(_) => {}
        None => report.not_measured = Some("DEST is not on this host".to_owned()),
    }
    print_mtu(&report, request.json)?;
    let is_wrong = |way: &MtuWay| way.bytes.is_none() || way.is_black_hole();
    Ok(if is_wrong(&report.there) || report.back.as_ref().is_some_and(is_wrong) {
        Status::No
    } else {
        Status::Yes
    })
}

/// What of a trace is asked for here.
struct SizedTrace {
    report: TraceReport,
    walk_delivered_to: Option<u64>,
    outcome: SizeOutcome,
    /// The MTU of the interface that is too small, as far as what is set up says.
    known: Option<u16>,
}

/// What became of a packet of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SizeOutcome {
    Passes,
    /// Somebody says that it is too large, and perhaps what is not.
    TooBig(Option<u16>),
    Lost,
}

struct MtuMeasure<'a> {
    state: &'a HostState,
    home: &'a Home,
    only: Option<EvidenceLevel>,
}

impl MtuMeasure<'_> {
    /// The largest size from one namespace to an address, and what became of the small one.
    fn way(&self, from: u64, dest: Option<u64>, probe: &TraceProbe) -> Result<(MtuWay, SizedTrace), Failure> {
        let (first, first_bytes) = self.first(from, probe.destination)?;
        let mut way = MtuWay { bytes: None, first, first_bytes, is_told: None, limit: None };
        let small = self.sized(from, dest, probe, SMALL.min(first_bytes))?;
        if small.outcome != SizeOutcome::Passes {
            way.limit = Some(small.report.clone());
            return Ok((way, small));
        }
        let mut search = PathMtuSearch { passes: SMALL.min(first_bytes), fails: None, hint: None };
        let mut is_told = false;
        while let Some(size) = search.next(first_bytes) {
            let traced = self.sized(from, dest, probe, size)?;
            is_told |= matches!(traced.outcome, SizeOutcome::TooBig(_));
            search.hint = traced.known.or(search.hint);
            if search.learn(size, traced.outcome) {
                way.limit = Some(traced.report);
            }
        }
        way.bytes = Some(search.passes);
        way.is_told = way.limit.is_some().then_some(is_told);
        Ok((way, small))
    }

    /// The interface by which it leaves, in words, and its MTU.
    fn first(&self, from: u64, to: IpAddr) -> Result<(String, u16), Failure> {
        let route = self.state.netns(from)?.route_out(to, None, None, None).ok();
        let index = route.and_then(|route| route.index);
        let link = index.and_then(|index| self.state.map.netns(from)?.link(index));
        let Some(link) = link else { return Ok((self.state.who(from), 1500)) };
        let name = format!("{} {}", self.state.who(from), link.link.name.to_string_lossy());
        Ok((name, u16::try_from(link.link.mtu_bytes).unwrap_or(u16::MAX)))
    }

    /// The MTU of the interface that a trace says is too small.
    fn known(&self, report: &TraceReport) -> Option<u16> {
        let hop = report.hop.as_ref().filter(|_| report.cause == Some(Cause::Mtu))?;
        let links = &self.state.map.netns(hop.netns)?.links;
        let name = hop.ifname.as_deref()?;
        let link = links.iter().find(|link| link.link.name == name)?;
        u16::try_from(link.link.mtu_bytes).ok()
    }

    /// A packet of that size. One that was lost without a word is sent again: any packet can be.
    fn sized(
        &self,
        from: u64,
        dest: Option<u64>,
        probe: &TraceProbe,
        bytes: u16,
    ) -> Result<SizedTrace, Failure> {
        let probe = TraceProbe {
            protocol: ProbeProtocol::Echo,
            packet_bytes: bytes,
            dont_fragment: true,
            ignores_known_mtu: true,
            ..probe.clone()
        };
        let once = || {
            let traced = trace_probe(self.state, self.home, from, dest, &probe, self.only)?;
            let known = self.known(&traced.report);
            Ok(sized(traced, known))
        };
        match once()? {
            lost if lost.outcome == SizeOutcome::Lost => once(),
            other => Ok(other),
        }
    }
}

fn sized(traced: TracedProbe, known: Option<u16>) -> SizedTrace {
    let TracedProbe { report, followed, delivered_to } = traced;
    // What comes to the other end has passed, whatever becomes of the answer, which is as large.
    let arrives = followed.events.iter().any(|event| {
        event.packet == SeenPacket::Answer
            && event.netns.is_some()
            && event.netns == delivered_to
            && matches!(event.kind, TraceEventKind::Sent)
    });
    let outcome = match (followed.sent, followed.answer) {
        (Err(Errno::EMSGSIZE), _) => SizeOutcome::TooBig(None),
        (_, Some(ProbeAnswer::Reply(_))) => SizeOutcome::Passes,
        _ if arrives => SizeOutcome::Passes,
        (_, Some(ProbeAnswer::Failed(Errno::EMSGSIZE))) => SizeOutcome::TooBig(None),
        (_, Some(ProbeAnswer::Error(error))) => match (error.by, error.kind, error.code) {
            // RFC 1191, RFC 4443; or the sender's own kernel.
            (Some(IpAddr::V4(_)), 3, 4) | (Some(IpAddr::V6(_)), 2, _) => {
                SizeOutcome::TooBig(u16::try_from(error.info).ok().filter(|mtu| *mtu > 0))
            }
            _ if error.errno == Errno::EMSGSIZE as i32 => SizeOutcome::TooBig(None),
            _ => SizeOutcome::Lost,
        },
        _ => SizeOutcome::Lost,
    };
    SizedTrace { report, walk_delivered_to: delivered_to, outcome, known }
}

/// Which size is tried next. Pure.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PathMtuSearch {
    passes: u16,
    fails: Option<u16>,
    /// What somebody, or what is set up, says that passes.
    hint: Option<u16>,
}

impl PathMtuSearch {
    /// The next size; nothing when it is known.
    fn next(&self, most: u16) -> Option<u16> {
        let Some(fails) = self.fails else { return (self.passes < most).then_some(most) };
        if fails - self.passes <= 1 {
            return None;
        }
        let is_between = |size: &u16| self.passes < *size && *size < fails;
        if let Some(hint) = self.hint {
            // What passes, and then that no more does; a cable lets the header of a VLAN pass beside its MTU.
            let sizes = [0, 1, 4, 5].map(|more| hint.saturating_add(more));
            if let Some(size) = sizes.into_iter().find(is_between) {
                return Some(size);
            }
        }
        let after = self.passes.saturating_add(1);
        if USUAL.contains(&self.passes) && is_between(&after) {
            return Some(after);
        }
        let usual = USUAL.into_iter().find(is_between);
        Some(usual.unwrap_or(self.passes + (fails - self.passes) / 2))
    }

    /// What came of a size. Whether it is the smallest so far that does not pass.
    fn learn(&mut self, size: u16, outcome: SizeOutcome) -> bool {
        match outcome {
            SizeOutcome::Passes => {
                self.passes = self.passes.max(size);
                false
            }
            SizeOutcome::TooBig(mtu) => {
                self.hint = mtu.filter(|mtu| *mtu < size).or(self.hint);
                self.fails = Some(size);
                true
            }
            SizeOutcome::Lost => {
                self.fails = Some(size);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many packets it takes to find `real`, and what is found.
    fn found(real: u16, tells: bool) -> (u16, usize) {
        let mut search = PathMtuSearch { passes: SMALL, fails: None, hint: None };
        let mut count = 0;
        while let Some(size) = search.next(1500) {
            count += 1;
            let too_big = if tells { SizeOutcome::TooBig(Some(real)) } else { SizeOutcome::Lost };
            search.learn(size, if size <= real { SizeOutcome::Passes } else { too_big });
            assert!(count < 40, "{search:?}");
        }
        (search.passes, count)
    }

    #[test]
    fn every_size_is_found_and_quickly_where_it_is_told() {
        for real in SMALL..=1500 {
            let (told, count) = found(real, true);
            assert_eq!(told, real);
            assert!(count <= 3, "{real}: {count}");
            let (silent, count) = found(real, false);
            assert_eq!(silent, real);
            assert!(count <= 20, "{real}: {count}");
        }
    }

    #[test]
    fn who_lies_about_the_size_does_not_stop_it() {
        let mut search = PathMtuSearch { passes: SMALL, fails: None, hint: None };
        for _ in 0..40 {
            let Some(size) = search.next(1500) else { break };
            search.learn(
                size,
                if size <= 1000 { SizeOutcome::Passes } else { SizeOutcome::TooBig(Some(1499)) },
            );
        }
        assert_eq!((search.passes, search.next(1500)), (1000, None));
    }
}
