//! A trace: what is set up is read, the probe is sent and followed, and both are joined.

use std::net::IpAddr;

use common::failure::{Failure, Status};
use common::netns::Home;
use nix::errno::Errno;

use super::resolve::resolve;
use crate::evidence::rule_words;
use crate::follow::{FollowedProbe, follow};
use crate::model::{EvidenceLevel, TraceProbe, TraceReport};
use crate::probe::ProbeAnswer;
use crate::report::print;
use crate::request::TraceRequest;
use crate::state::HostState;
use crate::verdict::{SeenPlaces, deciding_drop, judged, place_by_names};
use crate::walk::{counted, walk};

/// Resolves, walks, sends, and prints what became of the packet.
///
/// # Errors
/// When TARGET or DEST mean nothing, or nothing can be sent.
pub fn trace(request: &TraceRequest) -> Result<Status, Failure> {
    let find = request.find.session();
    let state = HostState::read(&find)?;
    let home = Home::current()?;
    let resolved = resolve(request, &find, &state)?;
    let traced = trace_probe(&state, &home, resolved.from, resolved.dest, &resolved.probe, request.evidence)?;
    print(&traced.report, request.json)?;
    Ok(traced.report.verdict.status())
}

/// What came of one probe.
#[derive(Debug)]
pub struct TracedProbe {
    /// What is said of it.
    pub report: TraceReport,
    /// What was seen of it.
    pub followed: FollowedProbe,
    /// The namespace that has the destination's address.
    pub delivered_to: Option<u64>,
}

/// Walks, sends, and joins both.
///
/// # Errors
/// When nothing can be sent.
pub fn trace_probe(
    state: &HostState,
    home: &Home,
    origin: u64,
    dest: Option<u64>,
    probe: &TraceProbe,
    only: Option<EvidenceLevel>,
) -> Result<TracedProbe, Failure> {
    let mut walk = walk(state, origin, dest, probe)?;
    let delivered_to = walk.delivered_to;
    let mut inodes = Vec::new();
    for inode in
        [origin, home.identity().inode].into_iter().chain(walk.hops.iter().map(|hop| hop.place.netns))
    {
        if !inodes.contains(&inode) {
            inodes.push(inode);
        }
    }
    // One that has ended is on nobody's way.
    let visited: Vec<_> = inodes.into_iter().filter_map(|inode| state.netns(inode).ok()).collect();
    let way: Vec<_> = visited.iter().map(|netns| (netns.name.clone(), &netns.namespace)).collect();
    let from = state.netns(origin)?;
    let followed = || follow(probe, &from.namespace, &way, home, only);
    let mut followed = match followed()? {
        first if walk.obstacles.is_empty() && is_of_a_neighbour(&first) => followed()?,
        first => first,
    };
    place_by_names(&mut followed.events, &walk.hops);
    if deciding_drop(&followed.events).is_none() && !matches!(followed.answer, Some(ProbeAnswer::Reply(_))) {
        counted(state, &mut walk);
    }
    let ifname = |inode, index| {
        let link = state.map.netns(inode)?.link(index)?;
        Some(link.link.name.to_string_lossy().into_owned())
    };
    let rule = deciding_drop(&followed.events).and_then(|(inode, decision)| {
        let netns = state.netns(inode).ok()?;
        let words = rule_words(decision, &netns.namespace, home)?;
        let from = decision.interfaces.0.and_then(|index| ifname(inode, index));
        let undo = state.undone(inode, &words.table, from.as_deref(), words.undo.clone());
        Some((words, undo))
    });
    let places = SeenPlaces { who: &|inode| state.who(inode), ifname: &ifname };
    let report = judged(walk, &followed, rule, &places);
    Ok(TracedProbe { report, followed, delivered_to })
}

/// Whether a neighbour was not found. Who asked for it a moment ago has given up only now; where nothing is in the way any more,
/// the next packet makes the kernel ask again.
fn is_of_a_neighbour(followed: &FollowedProbe) -> bool {
    match &followed.answer {
        Some(ProbeAnswer::Error(error)) => match error.by {
            // RFC 792: host unreachable; RFC 4443: address unreachable.
            Some(IpAddr::V4(_)) => (error.kind, error.code) == (3, 1),
            Some(IpAddr::V6(_)) => (error.kind, error.code) == (1, 3),
            None => false,
        },
        Some(ProbeAnswer::Failed(errno)) => *errno == Errno::EHOSTUNREACH,
        _ => false,
    }
}
