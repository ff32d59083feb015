//! Filters that only may have dropped a packet, once it is lost: those that count, and have not counted since, did not.

use std::collections::BTreeMap;

use common::firewall::NetnsFilters;

use super::filter::undone;
use crate::model::TraceWalk;
use crate::state::HostState;

/// Looks again at the counters of the filters that the walk has found.
pub fn counted(state: &HostState, walk: &mut TraceWalk) {
    let mut now: BTreeMap<u64, Option<NetnsFilters>> = BTreeMap::new();
    for suspect in &mut walk.suspects {
        let netns = suspect.place.netns;
        let Some((place, before)) = suspect.filter.as_ref().and_then(|place| Some((place, place.counter?)))
        else {
            continue;
        };
        let read = || state.netns(netns).ok().and_then(|visited| visited.filters_now());
        let Some(filters) = now.entry(netns).or_insert_with(read) else { continue };
        let Some(after) = filters.counter(place) else { continue };
        let has_risen = after.packets > before.packets;
        suspect.is_counted = Some(has_risen);
        if has_risen {
            suspect.text += " (its counter rose meanwhile)";
            suspect.fix.extend(undone(state, netns, place));
        }
    }
}
