//! A packet that comes in from outside, for a port that is published: to a container by DNAT, or to a proxy, which connects to the
//! container itself.

use common::diagnose::Cause;
use common::failure::Failure;
use common::map::LinkPlace;
use common::ports::{SocketHolder, SocketHolders};
use common::target::Transport;

use super::packet::FlyingPacket;
use super::walker::{PacketStep, StopReason, Walker};
use crate::model::{HopHook, ProbeProtocol, PublishedBy, TraceProbe, TraceVerdict, TraceWalk};
use crate::state::HostState;

/// Of no namespace: the sender is not on this host.
const OUTSIDE: u64 = 0;

/// Follows the probe from the interface of the host by which it comes in, and its answer back; by what it is led to the container.
///
/// # Errors
/// When the host's own namespace cannot be read.
pub fn walk_in(
    state: &HostState,
    place: LinkPlace,
    dest: u64,
    probe: &TraceProbe,
) -> Result<(TraceWalk, Option<PublishedBy>), Failure> {
    state.netns(place.netns)?;
    let mut walker = Walker::new(state, OUTSIDE, Some(dest), probe);
    walker.is_inward = true;
    walker.ingress(place);
    let there = walker.follow_from(PacketStep::Arrived(place));
    let by = walker.published(place.netns, dest, there);
    walker.walk.obstacles.extend(walker.remembered);
    Ok((walker.walk, by))
}

impl Walker<'_> {
    /// By what the packet was led to where it came to; what is wrong with that is noted.
    fn published(&mut self, host: u64, dest: u64, there: Option<u64>) -> Option<PublishedBy> {
        let is_dnat = self.packet.is_dnat;
        let to = (self.packet.destination, self.packet.port);
        let by_dnat = || Some(PublishedBy::Dnat { address: to.0, port: to.1 });
        match there {
            Some(netns) if netns == dest => {
                self.walk.delivered_to = Some(netns);
                self.taken_and_answered(netns);
                if is_dnat { by_dnat() } else { None }
            }
            Some(netns) if netns == host && !is_dnat => self.by_proxy(host, dest),
            Some(netns) => {
                let text = format!("the port leads to {}, not to {}", self.who(netns), self.who(dest));
                self.not_published(netns, text);
                if is_dnat { by_dnat() } else { None }
            }
            None if is_dnat => {
                self.gone(host);
                by_dnat()
            }
            None => None,
        }
    }

    fn taken_and_answered(&mut self, netns: u64) {
        if self.taken(netns) && !matches!(self.packet.protocol, ProbeProtocol::Udp(_)) {
            self.packet = self.packet.answer();
            let step = self.send(netns);
            self.follow_from(step);
        }
    }

    /// A rule leads to an address that nobody has: the silence there is only what comes of it.
    fn gone(&mut self, host: u64) {
        let address = self.packet.destination;
        if self.owner_of(address).is_some() {
            return;
        }
        let text =
            format!("{}: DNAT leads to {address}, which no container of this host has", self.who(host));
        let reason = StopReason::new(Cause::DnatGone, TraceVerdict::Unreachable, text).advised(
            "the container has another address now, or is gone: restart it, or delete the rule that is left of it",
        );
        self.walk.obstacles.retain(|found| !matches!(found.cause, Cause::NeighbourSilent | Cause::NoRoute));
        let place = self.place(host, None, Some(HopHook::Prerouting));
        self.stop(place, reason);
    }

    /// No rule leads further: a program of the host listens there, or none.
    fn by_proxy(&mut self, host: u64, dest: u64) -> Option<PublishedBy> {
        let transport = match self.packet.protocol {
            ProbeProtocol::Udp(_) => Transport::Udp,
            _ => Transport::Tcp,
        };
        let port = self.packet.port?;
        let found = self.state.listeners(host, transport, port).unwrap_or_default();
        let address = self.packet.destination;
        let Some(socket) = found.iter().find(|socket| socket.has(address)) else {
            self.taken(host);
            self.explain_unpublished(dest);
            return None;
        };
        let holders = SocketHolders::look(&std::collections::HashSet::from([socket.inode])).ok();
        let holder = holders.and_then(|holders| holders.of(socket.inode).first().cloned());
        let Some(proxy) = holder.as_ref().and_then(|holder| holder.proxy) else {
            let program = holder.as_ref().map_or_else(|| "a program".to_owned(), SocketHolder::shown);
            let text = format!(
                "{}: {program} listens at {} port {port} itself; nothing leads from there to {}",
                self.who(host),
                transport.as_str(),
                self.who(dest)
            );
            self.not_published(host, text);
            return None;
        };
        let by = PublishedBy::DockerProxy {
            pid: holder.map_or(0, |holder| holder.pid.as_raw()),
            address: proxy.container_address,
            port: proxy.container_port,
        };
        let protocol = match transport {
            Transport::Tcp => ProbeProtocol::Tcp(proxy.container_port),
            Transport::Udp => ProbeProtocol::Udp(proxy.container_port),
        };
        // It is another connection from here on, the host's own.
        self.packet = FlyingPacket {
            destination: proxy.container_address,
            protocol,
            port: Some(proxy.container_port),
            source_port: None,
            is_answer: false,
            ..FlyingPacket::of(self.probe)
        };
        let step = self.send(host);
        match self.follow_from(step) {
            Some(netns) if netns == dest => {
                self.walk.delivered_to = Some(netns);
                self.taken_and_answered(netns);
            }
            Some(netns) => {
                let text = format!("docker-proxy connects to {}, not to {}", self.who(netns), self.who(dest));
                self.not_published(netns, text);
            }
            None => self.gone(host),
        }
        Some(by)
    }

    /// Nobody listens on the host because nothing is published there.
    fn explain_unpublished(&mut self, dest: u64) {
        let who = self.who(dest);
        let Some(last) = self.walk.obstacles.last_mut() else { return };
        if last.cause == Cause::NobodyListens {
            last.cause = Cause::NotPublished;
            last.text = format!("{}, and no rule leads to {who}", last.text);
            last.advice = Some(format!("publish the port when {who} is made: docker run -p, or DNAT"));
        } else if last.cause == Cause::ListensOnLoopbackOnly {
            last.advice = Some("publish it on another address than 127.0.0.1".to_owned());
        }
    }

    fn not_published(&mut self, netns: u64, text: String) {
        let reason = StopReason::new(Cause::NotPublished, TraceVerdict::Refused, text)
            .advised("look at what is published: netns-ls --ports");
        let place = self.place(netns, None, Some(HopHook::Socket));
        self.stop(place, reason);
    }
}
