//! A trace: what is set up is read, the probe is sent and followed, and both are joined.

use common::failure::{Failure, Status};
use common::netns::Home;

use super::resolve::resolve;
use crate::evidence::rule_words;
use crate::follow::follow;
use crate::report::print;
use crate::request::TraceRequest;
use crate::state::HostState;
use crate::verdict::{SeenPlaces, deciding_drop, judged, place_by_names};
use crate::walk::walk;

/// Resolves, walks, sends, and prints what became of the packet.
///
/// # Errors
/// When TARGET or DEST mean nothing, or nothing can be sent.
pub fn trace(request: &TraceRequest) -> Result<Status, Failure> {
    let find = request.find.session();
    let state = HostState::read(&find)?;
    let home = Home::current()?;
    let resolved = resolve(request, &find, &state)?;
    let walk = walk(&state, resolved.from, resolved.dest, &resolved.probe)?;
    let mut inodes = vec![resolved.from, home.identity().inode];
    for hop in &walk.hops {
        if !inodes.contains(&hop.place.netns) {
            inodes.push(hop.place.netns);
        }
    }
    // One that has ended is on nobody's way.
    let visited: Vec<_> = inodes.into_iter().filter_map(|inode| state.netns(inode).ok()).collect();
    let way: Vec<_> = visited.iter().map(|netns| (netns.name.clone(), &netns.namespace)).collect();
    let from = state.netns(resolved.from)?;
    let mut followed = follow(&resolved.probe, &from.namespace, &way, &home, request.evidence)?;
    place_by_names(&mut followed.events, &walk.hops);
    let rule = deciding_drop(&followed.events).and_then(|(inode, decision)| {
        let netns = state.netns(inode).ok()?;
        let words = rule_words(decision, &netns.namespace, &home)?;
        let undo = state.inside(inode, words.undo.clone());
        Some((words, undo))
    });
    let places = SeenPlaces {
        who: &|inode| state.who(inode),
        ifname: &|inode, index| {
            let link = state.map.netns(inode)?.link(index)?;
            Some(link.link.name.to_string_lossy().into_owned())
        },
    };
    let report = judged(walk, &followed, rule, &places);
    print(&report, request.json)?;
    Ok(report.verdict.status())
}
