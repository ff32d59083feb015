//! Follows the packet through what is set up, there and back: the hops, and at each what stops it.

use common::failure::Failure;
use common::map::MappedLink;

use crate::model::{HopHook, HopPlace, TraceHop, TraceObstacle, TraceProbe};
use crate::state::HostState;

/// The way, as far as it could be followed.
#[derive(Debug, Default)]
pub struct TraceWalk {
    /// Where the packet comes by, and then its answer.
    pub hops: Vec<TraceHop>,
    /// What stops it, in the order of the way: the first one does so now, the others when that is mended.
    pub obstacles: Vec<TraceObstacle>,
    /// What may stop it, or could not be followed, a sentence each.
    pub doubts: Vec<String>,
}

/// Follows the probe from the namespace with that inode.
///
/// # Errors
/// When that namespace cannot be read.
pub fn walk(state: &HostState, from: u64, probe: &TraceProbe) -> Result<TraceWalk, Failure> {
    let mut walk = TraceWalk::default();
    let netns = state.mapped(from)?;
    let source = probe.is_bound.then_some(probe.source);
    let route = state.netns(from)?.route_out(probe.destination, source, None, probe.scope)?;
    let link = route.index.and_then(|index| netns.link(index));
    walk.hops.push(hop(state, from, link, None));
    walk.doubts.push("what is beyond the first interface was not followed".to_owned());
    Ok(walk)
}

fn hop(state: &HostState, netns: u64, link: Option<&MappedLink>, hook: Option<HopHook>) -> TraceHop {
    TraceHop {
        place: HopPlace {
            container: state.who(netns),
            netns,
            ifname: link.map(|link| link.link.name.to_string_lossy().into_owned()),
            hook,
        },
        index: link.map(|link| link.link.index),
        is_answer: false,
        us: None,
    }
}
