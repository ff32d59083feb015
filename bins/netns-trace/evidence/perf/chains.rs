//! Which of the packets that tracepoints tell of are the probe and its answer. A packet stays at one place of the kernel's memory
//! while it is routed, bridged and translated; a copy, and an answer, are elsewhere. Pure.

use std::collections::HashMap;
use std::time::Duration;

use crate::evidence::seen::SeenEvent;
use crate::model::{SeenPacket, TraceEvent, TraceEventKind};

/// Where a tracepoint is: also the place of its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PerfPlace {
    Sent,
    Received,
    Dropped,
}

/// What a tracepoint has told.
#[derive(Debug, Clone)]
pub(super) struct PerfEvent {
    pub(super) at: Duration,
    pub(super) thread: i32,
    pub(super) place: PerfPlace,
    /// Where the packet is in memory.
    pub(super) packet_id: u64,
    pub(super) ifname: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) function: Option<u64>,
}

/// The events of the probe, and of its answer, of all that are told in their order. The probe is the first packet that this thread
/// sends; an answer is sent by the interface that the probe, or a copy of it, came in by last.
pub(super) fn recognised(events: &[PerfEvent], thread: i32) -> Vec<SeenEvent> {
    let mut known: HashMap<u64, SeenPacket> = HashMap::new();
    let mut arrived_at: Option<&str> = None;
    let mut seen = Vec::new();
    for event in events {
        let is_sent = event.place == PerfPlace::Sent;
        let is_answer = is_sent && arrived_at.is_some() && arrived_at == event.ifname.as_deref();
        let packet = match known.get(&event.packet_id) {
            Some(packet) => *packet,
            // Dropped before it had an interface.
            None if known.is_empty() && event.thread == thread && event.place != PerfPlace::Received => {
                SeenPacket::Request
            }
            None if known.is_empty() => continue,
            None if is_answer => SeenPacket::Answer,
            // What is neither is somebody else's, or the copy of a flood: without its bytes that is not known.
            None => continue,
        };
        known.insert(event.packet_id, packet);
        if event.place == PerfPlace::Received && packet == SeenPacket::Request {
            arrived_at = event.ifname.as_deref();
        }
        if event.place == PerfPlace::Dropped {
            // Its memory is anybody's from now on. An entry stays, so that the first packet stays the first.
            known.remove(&event.packet_id);
            known.insert(0, SeenPacket::Error);
        }
        seen.push(seen_event(event, packet));
    }
    seen
}

fn seen_event(event: &PerfEvent, packet: SeenPacket) -> SeenEvent {
    let kind = match event.place {
        PerfPlace::Sent => TraceEventKind::Sent,
        PerfPlace::Received => TraceEventKind::Received { is_for_other: false },
        PerfPlace::Dropped => {
            let reason = event.reason.clone().unwrap_or_else(|| "NOT_SPECIFIED".to_owned());
            // The kernel says so itself of a packet with another host's MAC address.
            let is_for_other = reason == "OTHERHOST";
            TraceEventKind::Dropped { reason, function: None, is_for_other }
        }
    };
    let event_of_trace = TraceEvent {
        at: Some(event.at),
        packet,
        netns: None,
        index: None,
        ifname: event.ifname.clone(),
        addresses: None,
        packet_id: event.packet_id,
        kind,
    };
    SeenEvent { event: event_of_trace, function: event.function }
}

#[cfg(test)]
mod tests {
    use super::PerfPlace::{Dropped, Received, Sent};
    use super::*;

    fn event(thread: i32, place: PerfPlace, packet_id: u64, ifname: &str) -> PerfEvent {
        PerfEvent {
            at: Duration::ZERO,
            thread,
            place,
            packet_id,
            ifname: Some(ifname.to_owned()),
            reason: (place == Dropped).then(|| "OTHERHOST".to_owned()),
            function: None,
        }
    }

    #[test]
    fn a_packet_is_followed_by_where_it_is_and_answered_where_it_came_in() {
        let events = [
            event(9, Sent, 1, "other"),
            event(7, Sent, 2, "eth0"),
            event(7, Received, 2, "va"),
            event(9, Sent, 5, "eth9"),
            event(7, Sent, 2, "vb"),
            event(7, Received, 2, "eth0"),
            event(7, Sent, 3, "eth0"),
            event(7, Received, 3, "vb"),
            event(7, Dropped, 3, ""),
            event(9, Received, 3, "eth9"),
        ];
        let found: Vec<_> = recognised(&events, 7)
            .into_iter()
            .map(|seen| (seen.event.packet_id, seen.event.packet, seen.event.ifname.unwrap()))
            .collect();
        let names = |of| found.iter().filter(|one| one.1 == of).map(|one| one.2.as_str()).collect::<Vec<_>>();
        assert_eq!(names(SeenPacket::Request), ["eth0", "va", "vb", "eth0"]);
        assert_eq!(names(SeenPacket::Answer), ["eth0", "vb", ""]);
        assert!(recognised(&events, 8).is_empty());
    }
}
