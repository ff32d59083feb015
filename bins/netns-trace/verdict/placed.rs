//! Where the events are of a source that tells interfaces by their names alone: where the walk has these names, in their order. Pure.

use crate::model::{SeenPacket, TraceEvent, TraceHop};

/// Gives events without a namespace that of the hop that they were at.
pub fn place_by_names(events: &mut [TraceEvent], hops: &[TraceHop]) {
    for packet in [SeenPacket::Request, SeenPacket::Answer] {
        let way: Vec<&TraceHop> =
            hops.iter().filter(|hop| hop.is_answer == (packet == SeenPacket::Answer)).collect();
        let mut at = None;
        for event in events.iter_mut().filter(|event| event.packet == packet && event.netns.is_none()) {
            let from = at.unwrap_or(0);
            match &event.ifname {
                Some(name) => {
                    let is_it = |hop: &&TraceHop| hop.place.ifname.as_deref() == Some(name);
                    let Some(next) = way.iter().skip(from).position(is_it) else { continue };
                    at = Some(from + next);
                }
                // It was dropped where it was seen last.
                None if at.is_some() => {}
                None => continue,
            }
            if let Some(hop) = at.and_then(|at| way.get(at)) {
                (event.netns, event.index) = (Some(hop.place.netns), hop.index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{HopPlace, TraceEventKind};

    fn hop(netns: u64, index: u32, ifname: &str, is_answer: bool) -> TraceHop {
        let place = HopPlace { container: String::new(), netns, ifname: Some(ifname.to_owned()), hook: None };
        TraceHop { place, index: Some(index), is_answer, us: None }
    }

    fn event(packet: SeenPacket, ifname: Option<&str>) -> TraceEvent {
        TraceEvent {
            at: Some(Duration::ZERO),
            packet,
            netns: None,
            index: None,
            ifname: ifname.map(str::to_owned),
            addresses: None,
            packet_id: 1,
            kind: TraceEventKind::Sent,
        }
    }

    #[test]
    fn names_are_found_in_the_order_of_the_way() {
        let hops = [
            hop(1, 2, "eth0", false),
            hop(2, 3, "va", false),
            hop(2, 4, "vb", false),
            hop(3, 2, "eth0", false),
            hop(3, 2, "eth0", true),
            hop(2, 4, "vb", true),
        ];
        let request = |name| event(SeenPacket::Request, name);
        let mut events = [
            request(Some("eth0")),
            request(Some("va")),
            request(Some("other")),
            request(Some("vb")),
            request(Some("eth0")),
            event(SeenPacket::Answer, Some("eth0")),
            event(SeenPacket::Answer, Some("vb")),
            event(SeenPacket::Answer, None),
            event(SeenPacket::Error, Some("va")),
        ];
        place_by_names(&mut events, &hops);
        let placed = events.map(|event| event.netns.zip(event.index));
        let expected = [
            Some((1, 2)),
            Some((2, 3)),
            None,
            Some((2, 4)),
            Some((3, 2)),
            Some((3, 2)),
            Some((2, 4)),
            Some((2, 4)),
            None,
        ];
        assert_eq!(placed, expected);
    }
}
