//! Which obstacle of the walk stopped the packet: the first one behind the last hop at which it was seen, and of those that only may
//! stop it the one that the kernel's reason fits. Pure.

use common::diagnose::Cause;

use crate::model::{SeenPacket, TraceEvent, TraceEventKind, TraceHop, TraceObstacle, TraceWalk};

/// The kernel's reasons that leave a few causes only: enum skb_drop_reason of net/dropreason-core.h.
const REASONS: [(&str, &[Cause]); 11] = [
    ("NETFILTER_DROP", &[Cause::FilterDrop, Cause::FilterPolicy, Cause::FilterReject, Cause::RouteLocalnet]),
    ("TC_INGRESS", &[Cause::TcDrop, Cause::FilterDrop]),
    ("TC_EGRESS", &[Cause::TcDrop, Cause::FilterDrop]),
    ("XDP", &[Cause::TcDrop]),
    ("QDISC_DROP", &[Cause::QdiscDrop]),
    ("XFRM_POLICY", &[Cause::XfrmPolicy]),
    ("SOCKET_RCVBUFF", &[Cause::ReceiveBufferFull]),
    ("IP_RPFILTER", &[Cause::RpFilter, Cause::MartianSource]),
    ("PKT_TOO_BIG", &[Cause::Mtu]),
    ("IPV6DISABLED", &[Cause::Ipv6Disabled]),
    ("IP_INHDR", &[Cause::TtlExpired]),
];

/// What the events say of how far the packet came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenProgress {
    /// So many hops of the walk were passed.
    pub passed: usize,
    /// The kernel's reason for its last drop, and in which namespace; not of a copy.
    pub reason: Option<(String, Option<u64>)>,
    /// Whether it was told from others by where it was in memory, where another packet can have been after it.
    pub is_by_place: bool,
}

/// Behind these nothing is ever seen: what was seen there was another packet.
const CUT: [Cause; 3] = [Cause::LinkDown, Cause::NoCarrier, Cause::DestLinkDown];

impl SeenProgress {
    /// How far the packet, or its answer, came on the way that the walk knows.
    pub fn of(hops: &[TraceHop], events: &[TraceEvent], is_by_place: bool) -> Self {
        // Where a frame for another MAC address ends, it has not arrived.
        let ends_elsewhere = |event: &TraceEvent| {
            let is_end = |other: &TraceEvent| {
                other.netns == event.netns
                    && matches!(other.kind, TraceEventKind::Dropped { is_for_other: true, .. })
            };
            events.iter().any(is_end)
        };
        let is_passage = |event: &&TraceEvent| match event.kind {
            _ if event.packet == SeenPacket::Error => false,
            TraceEventKind::Sent | TraceEventKind::Received { is_for_other: false } => true,
            TraceEventKind::Received { is_for_other: true } => !ends_elsewhere(event),
            _ => false,
        };
        let at = |event: &TraceEvent| {
            hops.iter().rposition(|hop| {
                Some(hop.place.netns) == event.netns
                    && hop.index == event.index
                    && hop.is_answer == (event.packet == SeenPacket::Answer)
            })
        };
        let passed = events.iter().filter(is_passage).filter_map(at).map(|at| at + 1).max().unwrap_or(0);
        let reason = events.iter().rev().find_map(|event| match &event.kind {
            TraceEventKind::Dropped { reason, is_for_other: false, .. }
                if event.packet != SeenPacket::Error =>
            {
                Some((reason.clone(), event.netns))
            }
            _ => None,
        });
        SeenProgress { passed, reason, is_by_place }
    }

    /// What stopped it.
    pub fn obstacle<'a>(&self, walk: &'a TraceWalk) -> Option<&'a TraceObstacle> {
        // Who gets the packet in another's place is no less wrong where it was seen to arrive.
        let is_behind = |obstacle: &&TraceObstacle| {
            let is_elsewhere = matches!(obstacle.cause, Cause::NeighbourOtherHost | Cause::NeighbourWrongMac);
            let is_cut = self.is_by_place && CUT.contains(&obstacle.cause);
            obstacle.after >= self.passed || is_elsewhere || is_cut
        };
        let fits = |obstacle: &&TraceObstacle| self.fits(obstacle);
        let certain = || walk.obstacles.iter().filter(is_behind);
        // One that counts has counted the packet that it dropped.
        let is_possible =
            |obstacle: &&TraceObstacle| is_behind(obstacle) && obstacle.is_counted != Some(false);
        let possible = || walk.suspects.iter().filter(is_possible);
        let has_counted = || only(possible().filter(|obstacle| obstacle.is_counted == Some(true)));
        match self.has_reason() {
            true => certain()
                .find(fits)
                .or_else(|| has_counted().filter(fits))
                .or_else(|| possible().find(fits))
                .or_else(|| certain().next()),
            false => certain().next().or_else(has_counted).or_else(|| only(possible())),
        }
    }

    /// What a filter that was seen to drop it is in the walk.
    pub fn filter_of<'a>(&self, walk: &'a TraceWalk, netns: u64) -> Option<&'a TraceObstacle> {
        let is_it = |obstacle: &&TraceObstacle| {
            let causes = [Cause::FilterDrop, Cause::FilterPolicy, Cause::FilterReject];
            obstacle.place.netns == netns && causes.contains(&obstacle.cause)
        };
        walk.obstacles.iter().find(is_it).or_else(|| only(walk.suspects.iter().filter(is_it)))
    }

    /// Whether the reason says something.
    fn has_reason(&self) -> bool {
        let known = |reason: &String| REASONS.iter().any(|(word, _)| word == reason);
        self.reason.as_ref().is_some_and(|(reason, _)| known(reason))
    }

    fn fits(&self, obstacle: &TraceObstacle) -> bool {
        let Some((reason, netns)) = &self.reason else { return false };
        let causes = REASONS.iter().find(|(word, _)| word == reason).map(|(_, causes)| *causes);
        causes.is_some_and(|causes| causes.contains(&obstacle.cause))
            && netns.is_none_or(|netns| netns == obstacle.place.netns)
    }
}

/// The one that there is; of several nothing, for it may be any of them.
fn only<'a>(mut found: impl Iterator<Item = &'a TraceObstacle>) -> Option<&'a TraceObstacle> {
    let first = found.next()?;
    let mut others = found.filter(|other| (other.cause, &other.text) != (first.cause, &first.text));
    others.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{HopPlace, TraceVerdict};

    fn hop(netns: u64, index: u32) -> TraceHop {
        let place = HopPlace {
            container: format!("n{netns}"),
            netns,
            ifname: Some(format!("eth{index}")),
            hook: None,
        };
        TraceHop { place, index: Some(index), is_answer: false, us: None }
    }

    fn obstacle(after: usize, netns: u64, cause: Cause) -> TraceObstacle {
        TraceObstacle {
            after,
            place: hop(netns, 2).place,
            is_answer: false,
            cause,
            verdict: TraceVerdict::Lost,
            text: cause.word().to_owned(),
            rule: None,
            filter: None,
            is_counted: None,
            fix: Vec::new(),
            advice: None,
        }
    }

    fn event(netns: u64, index: u32, kind: TraceEventKind) -> TraceEvent {
        TraceEvent {
            at: Some(Duration::from_micros(1)),
            packet: SeenPacket::Request,
            netns: Some(netns),
            index: Some(index),
            ifname: None,
            addresses: None,
            packet_id: 1,
            kind,
        }
    }

    fn walk(obstacles: Vec<TraceObstacle>, suspects: Vec<TraceObstacle>) -> TraceWalk {
        let hops = vec![hop(1, 2), hop(2, 2), hop(2, 3), hop(3, 2)];
        TraceWalk { hops, obstacles, suspects, ..TraceWalk::default() }
    }

    fn cause(walk: &TraceWalk, events: &[TraceEvent]) -> Option<Cause> {
        SeenProgress::of(&walk.hops, events, false).obstacle(walk).map(|obstacle| obstacle.cause)
    }

    fn dropped(reason: &str, is_for_other: bool) -> TraceEventKind {
        TraceEventKind::Dropped { reason: reason.to_owned(), function: None, is_for_other }
    }

    #[test]
    fn what_the_packet_was_seen_behind_did_not_stop_it() {
        let both =
            walk(vec![obstacle(1, 1, Cause::RpFilter), obstacle(3, 2, Cause::NeighbourSilent)], vec![]);
        assert_eq!(cause(&both, &[]), Some(Cause::RpFilter));
        let sent = [event(1, 2, TraceEventKind::Sent), event(2, 3, TraceEventKind::Sent)];
        assert_eq!(cause(&both, &sent), Some(Cause::NeighbourSilent));
        assert_eq!(cause(&both, &[event(3, 2, TraceEventKind::Received { is_for_other: false })]), None);
    }

    #[test]
    fn another_packet_in_the_same_place_in_memory_has_not_passed_an_interface_that_is_down() {
        let both = walk(vec![obstacle(3, 3, Cause::DestLinkDown), obstacle(4, 3, Cause::LinkDown)], vec![]);
        let other = [event(3, 2, TraceEventKind::Received { is_for_other: false })];
        let cause = |is_by_place| {
            let progress = SeenProgress::of(&both.hops, &other, is_by_place);
            progress.obstacle(&both).map(|found| found.cause)
        };
        assert_eq!(cause(true), Some(Cause::DestLinkDown));
        assert_eq!(cause(false), Some(Cause::LinkDown));
    }

    #[test]
    fn a_reason_chooses_among_what_only_may_stop_it() {
        let all = walk(vec![], vec![obstacle(2, 2, Cause::TcDrop), obstacle(3, 2, Cause::QdiscDrop)]);
        assert_eq!(cause(&all, &[event(2, 3, dropped("QDISC_DROP", false))]), Some(Cause::QdiscDrop));
        assert_eq!(cause(&all, &[event(2, 2, dropped("TC_INGRESS", false))]), Some(Cause::TcDrop));
        assert_eq!(cause(&all, &[]), None, "it may be either");
        let one = walk(vec![], vec![obstacle(2, 2, Cause::TcDrop)]);
        assert_eq!(cause(&one, &[]), Some(Cause::TcDrop));
    }

    #[test]
    fn a_frame_for_another_mac_address_has_not_arrived() {
        let wrong = walk(vec![obstacle(3, 2, Cause::NeighbourWrongMac)], vec![]);
        let events = [
            event(3, 2, TraceEventKind::Received { is_for_other: true }),
            event(3, 2, dropped("OTHERHOST", true)),
        ];
        assert_eq!(cause(&wrong, &events), Some(Cause::NeighbourWrongMac));
    }

    #[test]
    fn the_drop_of_a_copy_is_no_reason() {
        let progress = SeenProgress::of(&[], &[event(5, 2, dropped("OTHERHOST", true))], false);
        assert_eq!(progress.reason, None);
    }
}
