//! Follows the packet through what is set up, there and back: the hops, and at each what stops it.

mod at_drop;
mod bridge;
mod counted;
mod deliver;
mod drop_rule;
mod fib;
mod filter;
mod frame;
mod input;
mod inward;
mod leave;
mod neighbour;
mod output;
mod packet;
mod question;
mod routes;
mod segment;
mod silent;
mod ttl;
mod walker;

pub use at_drop::{drop_cause, drop_end, hook_of, is_for_station};
use common::failure::Failure;
pub use counted::counted;
pub use filter::advised;
pub use inward::walk_in;

use crate::model::{ProbeProtocol, TraceProbe, TraceWalk};
use crate::state::HostState;
use walker::{PacketStep, Walker};

/// So many namespaces a packet goes through at most.
const MOST_STEPS: usize = 32;

/// Follows the probe from the namespace with that inode.
///
/// # Errors
/// When that namespace cannot be read.
pub fn walk(
    state: &HostState,
    from: u64,
    dest: Option<u64>,
    probe: &TraceProbe,
) -> Result<TraceWalk, Failure> {
    state.netns(from)?;
    let mut walker = Walker::new(state, from, dest, probe);
    if let Some(there) = walker.journey(from) {
        walker.walk.delivered_to = Some(there);
        let is_taken = walker.taken(there);
        // A datagram asks for no answer.
        if is_taken && !matches!(probe.protocol, ProbeProtocol::Udp(_)) {
            walker.packet = walker.packet.answer();
            let back = walker.journey(there);
            match back {
                Some(netns) if netns == from => walker.recognised(from),
                Some(_) => walker.doubt("the answer leads to another namespace".to_owned()),
                None => {}
            }
        }
    }
    walker.walk.obstacles.extend(walker.remembered);
    Ok(walker.walk)
}

impl Walker<'_> {
    /// Takes the packet from the namespace that sends it to where it is delivered.
    fn journey(&mut self, from: u64) -> Option<u64> {
        let step = self.send(from);
        self.follow_from(step)
    }

    /// The same from any step on.
    pub fn follow_from(&mut self, step: PacketStep) -> Option<u64> {
        let mut step = step;
        for _ in 0..MOST_STEPS {
            match step {
                PacketStep::Arrived(place) => step = self.receive(place),
                PacketStep::Delivered(netns) => return Some(netns),
                PacketStep::Left(place) => {
                    if !self.packet.is_answer {
                        self.walk.leaves_by = Some(self.link_name(place));
                    } else if !self.is_inward {
                        self.doubt(format!("the answer leaves this host by {}", self.at(place)));
                    }
                    return None;
                }
                PacketStep::Stopped => return None,
            }
        }
        self.doubt("the packet goes round in a circle of routers".to_owned());
        None
    }
}
