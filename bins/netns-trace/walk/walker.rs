//! Who follows the packet: where it is, what it says at the moment, and what was found on the way.

use std::collections::HashMap;

use common::diagnose::Cause;
use common::firewall::{DropPlace, PacketFlow};
use common::hint::{Hint, Verbatim};
use common::map::LinkPlace;
use common::output::one_line;

use super::packet::{FlyingPacket, NeighbourQuestion, TrackedPacket, TtlOrigin};
use crate::model::{HopHook, HopPlace, TraceHop, TraceObstacle, TraceProbe, TraceVerdict, TraceWalk};
use crate::state::HostState;

/// The first port that every program may have.
const UNPRIVILEGED: u16 = 1024;

/// Who follows the packet.
#[derive(Debug)]
pub struct Walker<'a> {
    pub state: &'a HostState,
    pub probe: &'a TraceProbe,
    /// The namespace that the probe comes from.
    pub origin: u64,
    /// The namespace that DEST is, where that is known.
    pub dest: Option<u64>,
    pub packet: FlyingPacket,
    /// The kernel chooses the probe's own port among these, the first to the last.
    pub chosen_ports: [u16; 2],
    /// What each namespace that tracks flows has made of it.
    pub tracked: Vec<TrackedPacket>,
    /// What connection tracking makes of the packet, by namespace, where that is not the usual; and of its answer.
    pub flows: HashMap<(u64, bool), PacketFlow>,
    /// The mark that the flow has in a namespace, where it has come to rules; nothing where it is not known.
    pub flow_marks: HashMap<u64, Option<u32>>,
    /// What has given the packet its TTL.
    pub ttl_by: TtlOrigin,
    pub walk: TraceWalk,
    /// What stops the packet at its sender because of what stopped one before further on: the other is named first.
    pub remembered: Option<TraceObstacle>,
    /// What asks for the MAC address of the receiver of the frame that is on its way, where it has to be asked for.
    pub question: Option<NeighbourQuestion>,
    /// Those that forwarded the probe, in their order.
    pub passed: Vec<PassedRouter>,
    /// Whether the packet may be another one than is followed: a rule of NAT, or a mark, is not known.
    pub is_unsure: bool,
    /// Whether the probe comes from outside, so that its answer is to leave this host.
    pub is_inward: bool,
}

/// A namespace that forwarded the probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassedRouter {
    pub netns: u64,
    /// The interface by which it left.
    pub out: LinkPlace,
}

/// Where a packet is after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketStep {
    /// A link has received it.
    Arrived(LinkPlace),
    /// It is for this namespace.
    Delivered(u64),
    /// It left what is on the map by this link.
    Left(LinkPlace),
    /// It cannot be followed further.
    Stopped,
}

/// Something that stops a packet, before it is said where.
#[derive(Debug, Clone)]
pub struct StopReason {
    pub cause: Cause,
    pub verdict: TraceVerdict,
    pub text: String,
    pub rule: Option<String>,
    pub filter: Option<DropPlace>,
    pub fix: Vec<Hint>,
    pub advice: Option<String>,
}

impl StopReason {
    pub fn new(cause: Cause, verdict: TraceVerdict, text: impl Into<String>) -> Self {
        StopReason {
            cause,
            verdict,
            text: text.into(),
            rule: None,
            filter: None,
            fix: Vec::new(),
            advice: None,
        }
    }

    /// With the command, where there is one.
    pub fn fixed_by(mut self, command: Option<Hint>) -> Self {
        self.fix.extend(command);
        self
    }

    pub fn advised(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// With this advice where no command helps.
    pub fn or_advised(self, advice: impl Into<String>) -> Self {
        if self.fix.is_empty() { self.advised(advice) } else { self }
    }
}

impl<'a> Walker<'a> {
    pub fn new(state: &'a HostState, origin: u64, dest: Option<u64>, probe: &'a TraceProbe) -> Self {
        let packet = FlyingPacket::of(probe);
        Walker {
            state,
            probe,
            origin,
            dest,
            packet,
            chosen_ports: chosen_ports(state, origin),
            tracked: Vec::new(),
            flows: HashMap::new(),
            flow_marks: HashMap::new(),
            ttl_by: TtlOrigin::Unknown,
            walk: TraceWalk { probe: Some(probe.protocol), ..TraceWalk::default() },
            remembered: None,
            question: None,
            passed: Vec::new(),
            is_unsure: false,
            is_inward: false,
        }
    }

    /// What a namespace is called, for a sentence.
    pub fn who(&self, netns: u64) -> String {
        one_line(&self.state.who(netns)).into_owned()
    }

    /// The name of a link, as it came.
    pub fn link_name(&self, place: LinkPlace) -> String {
        let link = self.state.map.link(place);
        link.map_or_else(
            || format!("link {}", place.index),
            |link| link.link.name.to_string_lossy().into_owned(),
        )
    }

    /// The same for a sentence.
    pub fn shown(&self, place: LinkPlace) -> String {
        one_line(&self.link_name(place)).into_owned()
    }

    /// `web: eth0`, for a sentence.
    pub fn at(&self, place: LinkPlace) -> String {
        format!("{}: {}", self.who(place.netns), self.shown(place))
    }

    /// The name of a link for a command, where it is text.
    pub fn pasted(&self, place: LinkPlace) -> Option<&'a str> {
        self.state.map.link(place)?.link.name.to_str()
    }

    /// A place in a namespace.
    pub fn place(&self, netns: u64, link: Option<LinkPlace>, hook: Option<HopHook>) -> HopPlace {
        HopPlace {
            container: self.state.who(netns),
            netns,
            ifname: link.map(|place| self.link_name(place)),
            hook,
        }
    }

    /// The place of a link.
    pub fn link_place(&self, place: LinkPlace, hook: Option<HopHook>) -> HopPlace {
        self.place(place.netns, Some(place), hook)
    }

    /// The packet comes by here.
    pub fn pass(&mut self, place: LinkPlace) {
        let hop = TraceHop {
            place: self.link_place(place, None),
            index: Some(place.index),
            is_answer: self.packet.is_answer,
            us: None,
        };
        let is_known = self.walk.hops.last().is_some_and(|last| {
            last.place == hop.place && last.is_answer == hop.is_answer && last.index == hop.index
        });
        if !is_known {
            self.walk.hops.push(hop);
        }
    }

    /// Something certainly stops it here, if it is the packet that is followed.
    pub fn stop(&mut self, place: HopPlace, reason: StopReason) {
        let obstacle = self.obstacle(place, reason);
        match self.is_unsure {
            true => self.walk.suspects.push(obstacle),
            false => self.walk.obstacles.push(obstacle),
        }
    }

    /// From here on it may be another packet.
    pub fn unsure(&mut self, what: String) {
        self.doubt(what);
        self.is_unsure = true;
    }

    /// Something stops it here that an obstacle further on has left.
    pub fn stop_last(&mut self, place: HopPlace, reason: StopReason) {
        self.remembered = Some(self.obstacle(place, reason));
    }

    /// Something may stop it here.
    pub fn suspect(&mut self, place: HopPlace, reason: StopReason) {
        let obstacle = self.obstacle(place, reason);
        self.walk.suspects.push(obstacle);
    }

    /// Something could not be followed.
    pub fn doubt(&mut self, what: String) {
        if !self.walk.doubts.contains(&what) {
            self.walk.doubts.push(what);
        }
    }

    fn obstacle(&self, place: HopPlace, reason: StopReason) -> TraceObstacle {
        let StopReason { cause, verdict, text, rule, filter, fix, advice } = reason;
        let is_answer = self.packet.is_answer;
        // Whatever a router or a firewall says to the answer's sender, the probe's sender hears nothing.
        let verdict = if is_answer { TraceVerdict::Lost } else { verdict };
        let text = if is_answer { format!("{text} (on the answer's way)") } else { text };
        TraceObstacle {
            after: self.walk.hops.len(),
            place,
            is_answer,
            cause,
            verdict,
            text,
            rule,
            filter,
            is_counted: None,
            fix,
            advice,
        }
    }

    /// A command in a namespace.
    pub fn inside(&self, netns: u64, command: Option<Hint>) -> Option<Hint> {
        self.state.inside(netns, command)
    }

    /// `ip`, or `ip -6`.
    pub fn ip(&self) -> Verbatim {
        Verbatim(if self.packet.is_six() { "ip -6" } else { "ip" })
    }
}

/// Of the sender's own range, and of that of NAT, which takes another port where the first is in use: any that is not privileged.
fn chosen_ports(state: &HostState, origin: u64) -> [u16; 2] {
    let range = state.setting(origin, "ipv4/ip_local_port_range").unwrap_or_default();
    let least = range.split_whitespace().next().and_then(|least| least.parse().ok());
    [least.unwrap_or(UNPRIVILEGED).min(UNPRIVILEGED), u16::MAX]
}
