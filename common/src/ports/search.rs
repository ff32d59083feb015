//! Who listens at a port: which rows are meant by what was typed, and the sockets at their ends. Pure.

use std::net::IpAddr;

use nix::unistd::Pid;

use super::rows::{EndNetns, EndState, ForwardEnd, PortRow, end, rows_of, rows_with};
use super::{NetnsPorts, PortsSnapshot, SocketHolder};
use crate::netlink::ListeningSocket;
use crate::target::SocketPlace;

/// The first process of all, which hands sockets to services and keeps them open: systemd.socket(5).
const INIT: Pid = Pid::from_raw(1);

/// A socket at the end of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct FinalSocket<'a> {
    /// The namespace that it is in.
    pub netns: &'a NetnsPorts,
    pub socket: &'a ListeningSocket,
}

/// What a search found.
#[derive(Debug, Default)]
pub(super) struct PortSearch<'a> {
    /// The sockets that wait.
    pub sockets: Vec<FinalSocket<'a>>,
    /// The rows that fit: what an error lists.
    pub rows: Vec<PortRow<'a>>,
    /// Rows of the same port in the same namespaces, but for other addresses.
    pub elsewhere: Vec<PortRow<'a>>,
    /// Whether a rule that forwards asks for more than the address and the port.
    pub is_limited: bool,
    /// Why some lead nowhere that is known.
    pub unknown: Vec<&'static str>,
}

/// The processes that have what was found.
#[derive(Debug)]
pub(super) enum PortHolders<'a> {
    /// One: the process, and one of the sockets that it has.
    One(&'a SocketHolder, FinalSocket<'a>),
    /// Several that do not share all of the sockets.
    Several,
    /// Of some sockets no process is known.
    Hidden,
}

/// What is meant by `place`: without an address a port of our own namespace, and of any other one only where that has
/// none; with one, a port of the namespaces that have the address.
pub(super) fn search<'a>(snapshot: &'a PortsSnapshot, place: &SocketPlace) -> PortSearch<'a> {
    let (own, others): (Vec<_>, Vec<_>) = snapshot.namespaces.iter().partition(|netns| netns.is_own);
    let in_all = |namespaces: &[&'a NetnsPorts]| {
        let mut found = PortSearch::default();
        namespaces.iter().for_each(|netns| found.look_in(snapshot, netns, place));
        found
    };
    match place.address {
        None => {
            let found = in_all(&own);
            if found.rows.is_empty() { in_all(&others) } else { found }
        }
        Some(address) if address.is_loopback() || address.is_unspecified() => in_all(&own),
        Some(address) => {
            let has_it = |netns: &&&NetnsPorts| netns.is_own || netns.has_address(address);
            in_all(&own.iter().chain(&others).filter(has_it).copied().collect::<Vec<_>>())
        }
    }
}

impl<'a> PortSearch<'a> {
    fn look_in(&mut self, snapshot: &'a PortsSnapshot, netns: &'a NetnsPorts, place: &SocketPlace) {
        let is_asked = |address: IpAddr| netns.has_address(address) || address.is_unspecified();
        // Packets to an address of somebody else's pass through, and rules may forward them all the same.
        let is_own = place.address.is_none_or(is_asked);
        let mut rows = match place.address {
            None => rows_of(snapshot, netns),
            Some(_) => rows_with(snapshot, netns, |_| true),
        };
        rows.retain(|row| row.is_at_port(place) && (is_own || row.forward.is_some()));
        let (mut rows, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.is_at_address(place));
        if is_own {
            self.elsewhere.extend(others);
        }
        let forwarded = |row: &PortRow<'_>| match place.address {
            None => row.forward.is_some(),
            Some(address) => row.forwards_to(address, place.port),
        };
        let is_taken = |row: &PortRow<'_>| forwarded(row) && row.forward.is_some_and(|rule| !rule.is_limited);
        // A rule comes before any socket: who is asked for an address gets what that address leads to.
        if place.address.is_some() && rows.iter().any(is_taken) {
            rows.retain(forwarded);
        }
        for row in rows {
            let is_forwarded = forwarded(&row);
            self.add(snapshot, row, is_forwarded, place);
        }
    }

    fn add(
        &mut self,
        snapshot: &'a PortsSnapshot,
        row: PortRow<'a>,
        is_forwarded: bool,
        place: &SocketPlace,
    ) {
        let end = if is_forwarded { end(snapshot, &row, Some(place.port)) } else { row.proxy_end(snapshot) };
        self.is_limited |= is_forwarded && row.forward.is_some_and(|rule| rule.is_limited);
        if let Some(end) = &end {
            self.add_end(end, row.netns);
        }
        // Without an address, what listens behind a rule's back is found by programs of the host itself.
        let ends_here = end.is_none() || (is_forwarded && place.address.is_none() && row.proxies.is_empty());
        if ends_here {
            self.sockets.extend(row.sockets.iter().map(|socket| FinalSocket { netns: row.netns, socket }));
        }
        self.rows.push(row);
    }

    fn add_end(&mut self, end: &ForwardEnd<'a>, from: &'a NetnsPorts) {
        let netns = match &end.netns {
            EndNetns::Found(netns) => netns,
            _ => from,
        };
        match &end.waiting {
            EndState::Listening(sockets) => {
                self.sockets.extend(sockets.iter().map(|socket| FinalSocket { netns, socket }));
            }
            EndState::Unknown(why) => self.unknown.push(why),
            EndState::ElsewhereOnly(_) | EndState::Nobody => {}
        }
    }

    /// Who has the sockets: the oldest process that has all of them, as one that starts others has.
    pub(super) fn holders(&self, snapshot: &'a PortsSnapshot) -> PortHolders<'a> {
        let of_each: Vec<(FinalSocket<'a>, Vec<&SocketHolder>)> =
            self.sockets.iter().map(|found| (*found, holders_of(snapshot, found.socket))).collect();
        if of_each.iter().any(|(_, holders)| holders.is_empty()) {
            return PortHolders::Hidden;
        }
        let Some(((first, candidates), others)) = of_each.split_first() else { return PortHolders::Several };
        let has_all = |one: &&&SocketHolder| {
            others.iter().all(|(_, holders)| holders.iter().any(|other| other.pid == one.pid))
        };
        match candidates.iter().find(has_all) {
            Some(oldest) => PortHolders::One(oldest, *first),
            None => PortHolders::Several,
        }
    }
}

/// Those that have the socket, the oldest first; the first process of all only where it is alone.
fn holders_of<'a>(snapshot: &'a PortsSnapshot, socket: &ListeningSocket) -> Vec<&'a SocketHolder> {
    let all = snapshot.holders.of(socket.inode);
    let others: Vec<&SocketHolder> = all.iter().filter(|holder| holder.pid != INIT).collect();
    if others.is_empty() { all.iter().collect() } else { others }
}

impl PortRow<'_> {
    /// Whether it is about the port that was typed.
    fn is_at_port(&self, place: &SocketPlace) -> bool {
        self.place.ports.contains(&place.port)
            && place.transport.is_none_or(|transport| transport == self.place.transport)
    }

    /// Whether it is about the address that was typed.
    fn is_at_address(&self, place: &SocketPlace) -> bool {
        match place.address {
            None => true,
            Some(address) if address.is_unspecified() => {
                self.place.network.is_host() && self.place.network.address() == address
            }
            Some(address) => {
                self.forwards_to(address, place.port)
                    || (self.netns.has_address(address)
                        && self.sockets.iter().any(|socket| socket.has(address)))
            }
        }
    }
}
