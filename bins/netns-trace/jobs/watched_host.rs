//! What `--drops` knows of the host, read again from time to time, and what that says of a packet that was dropped.

use std::cell::Cell;
use std::time::{Duration, Instant};

use common::failure::Failure;

use crate::model::{DropEnd, DropKind, DropReport, HopPlace};
use crate::report::packet_words;
use crate::request::DropsRequest;
use crate::state::HostState;
use crate::tool::TOOL;
use crate::verdict::is_normal;
use crate::walk::{drop_cause, drop_end, hook_of, is_for_station};

/// The host is read again for a group that is new, if that is so long ago; and no more than a fifth of the time, but at least so often.
const FRESH: Duration = Duration::from_millis(200);
const READ_SHARE: u32 = 5;
const OLD: Duration = Duration::from_secs(10);

/// What is known of the host, and since when.
pub struct WatchedHost<'a> {
    request: &'a DropsRequest,
    pub state: HostState,
    read: Instant,
    /// What it took, with what was read of single namespaces since.
    took: Cell<Duration>,
    /// The inodes of the containers that were asked for.
    targets: Vec<u64>,
}

impl<'a> WatchedHost<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// When a TARGET does not exist, or not even our own network can be read.
    pub fn read(request: &'a DropsRequest) -> Result<Self, Failure> {
        let begun = Instant::now();
        let find = request.find.session();
        let mut targets = Vec::new();
        for target in &request.targets {
            targets.push(find.find(TOOL, target)?.into_netns()?.identity().inode);
        }
        let state = HostState::read(&find)?;
        Ok(WatchedHost { request, state, read: Instant::now(), took: Cell::new(begun.elapsed()), targets })
    }

    /// Reads it again, if that is due. What cannot be read now stays as it was: a container may be about to restart.
    pub fn refresh(&mut self) {
        if self.read.elapsed() < (self.took.get() * READ_SHARE).clamp(FRESH, OLD) {
            return;
        }
        match WatchedHost::read(self.request) {
            Ok(fresh) => *self = fresh,
            Err(_) => {
                if let Ok(state) = HostState::read(&self.request.find.session()) {
                    self.state = state;
                }
                self.read = Instant::now();
            }
        }
    }

    /// Whether its namespace and its interfaces are known.
    pub fn knows(&self, kind: &DropKind) -> bool {
        let Some(netns) = kind.netns else { return true };
        self.state.map.netns(netns).is_some_and(|netns| {
            kind.index.into_iter().chain(kind.out).all(|index| netns.link(index).is_some())
        })
    }

    /// Whether it is one that working networks have all the time.
    pub fn is_normal(&self, kind: &DropKind) -> bool {
        let packet = kind.packet;
        let end = packet.map(|packet| drop_end(&self.state, kind, packet.destination, None));
        let is_own = end.is_some_and(|end| end.netns == kind.netns && end.netns.is_some());
        let mac = packet.and_then(|packet| packet.mac);
        is_normal(kind, is_own, mac.is_some_and(|mac| is_for_station(&self.state, kind, mac)))
    }

    /// What is shown of it; nothing if it is of no container that was asked for.
    pub fn report(&self, kind: &DropKind) -> Option<DropReport> {
        let ends = kind.packet.map(|packet| {
            let [from, to] = packet.content.ports();
            let end = |address, port| drop_end(&self.state, kind, address, port);
            [end(packet.source, from), end(packet.destination, to)]
        });
        let is_wanted = |netns: Option<u64>| netns.is_some_and(|netns| self.targets.contains(&netns));
        // In a network that is not on the map any address may be anybody's.
        let is_known = kind.netns.is_none_or(|netns| self.state.map.netns(netns).is_some());
        let is_of_end = |end: &DropEnd| {
            // Whose address it is may not be certain.
            is_wanted(end.netns)
                || end.netns.is_none()
                    && is_known
                    && self.targets.iter().any(|netns| self.has(*netns, end.address))
        };
        let is_shown = self.request.targets.is_empty()
            || is_wanted(kind.netns)
            || ends.as_ref().is_some_and(|ends| ends.iter().any(is_of_end));
        if !is_shown {
            return None;
        }
        let hop = kind.netns.map(|netns| HopPlace {
            container: self.state.who(netns),
            netns,
            ifname: kind.index.or(kind.out).and_then(|index| {
                let link = self.state.map.netns(netns)?.link(index)?;
                Some(link.link.name.to_string_lossy().into_owned())
            }),
            hook: hook_of(kind),
        });
        let words = kind.packet.map(|packet| packet_words(packet.content, packet.destination.is_ipv6()));
        // The rules of a namespace are read when they are asked for first.
        let begun = Instant::now();
        let cause = drop_cause(&self.state, kind);
        self.took.set(self.took.get() + begun.elapsed());
        Some(DropReport::of(kind, ends, words, hop, cause))
    }

    fn has(&self, netns: u64, address: std::net::IpAddr) -> bool {
        let links = self.state.map.netns(netns).map(|netns| netns.links.as_slice()).unwrap_or_default();
        links.iter().flat_map(|link| &link.addresses).any(|own| own.address == address)
    }
}
