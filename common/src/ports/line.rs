//! A line for each port, as data for JSON and as words for people: each says only what was seen.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::rows::{EndNetns, EndState, ForwardEnd, PortRow};
use super::{PortNames, PortsSnapshot, SocketHolder, rows};
use crate::netlink::ListeningSocket;
use crate::output::one_line;
use crate::target::Transport;

/// One port of one network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortLine {
    /// The namespace that it is a port of.
    pub netns_inode: u64,
    /// What that is called: `host`, its containers, its name.
    pub netns: String,
    /// The containers in it.
    pub containers: Vec<String>,
    /// `tcp` or `udp`.
    pub transport: &'static str,
    /// The address to send to; `0.0.0.0` or `::` for all of its family, with a length for a network.
    pub address: String,
    /// The port, or the first of several.
    pub port: u16,
    /// The last of several; null of one.
    pub last_port: Option<u16>,
    /// The only interface that it is received from; null for all.
    pub interface: Option<String>,
    /// The rule that forwards it; null without one.
    pub dnat: Option<DnatLine>,
    /// Docker's proxies that listen there.
    pub proxies: Vec<ListenerProcess>,
    /// Where it leads to; null if it ends here.
    pub to: Option<PortEndLine>,
    /// Whether something waits at the end; null where that is not known.
    pub is_listening: Option<bool>,
    /// The addresses that it waits at.
    pub listens_on: Vec<String>,
    /// What waits there: every process that has one of the sockets, the oldest first.
    pub processes: Vec<ListenerProcess>,
    /// TCP: connections that wait to be accepted, of the fullest socket; null of UDP.
    pub queued: Option<u32>,
    /// TCP: how many may wait; null of UDP.
    pub backlog: Option<u32>,
    /// The same for people.
    pub state: String,
}

/// A rule that forwards a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DnatLine {
    /// Where it is: `ip nat`.
    pub table: String,
    /// Whether it is for packets that come from elsewhere.
    pub from_elsewhere: bool,
    /// Whether it is for what programs of the namespace itself send.
    pub from_itself: bool,
    /// Whether it asks for more than the address and the port: then some packets are not forwarded.
    pub is_limited: bool,
}

/// Where a port leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortEndLine {
    /// The new address; null where it is the namespace's own.
    pub address: Option<IpAddr>,
    /// The new port; null where it is one of several.
    pub port: Option<u16>,
    /// The namespace that has the address; null where none has it, or several.
    pub netns_inode: Option<u64>,
    /// What that is called; null likewise.
    pub netns: Option<String>,
}

/// A process that has a listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListenerProcess {
    /// Its PID.
    pub pid: i32,
    /// What it calls itself.
    pub name: String,
    /// The container that it is in; null for none, and where that is not known.
    pub container: Option<String>,
    /// Its own network namespace, which need not be its socket's.
    pub netns_inode: Option<u64>,
}

/// A line for each port of all namespaces: our own namespace's first, then containers' and then others' by name, as on the map; in
/// each by port. Inodes would be in another order after each restart.
pub fn lines(snapshot: &PortsSnapshot, names: &PortNames) -> Vec<PortLine> {
    let mut rows = rows(snapshot);
    rows.sort_by(|one, other| names.order(one.netns).cmp(&names.order(other.netns)));
    rows.iter().map(|row| PortLine::of(row, snapshot, names)).collect()
}

impl PortLine {
    /// The row, with names.
    pub fn of(row: &PortRow<'_>, snapshot: &PortsSnapshot, names: &PortNames) -> Self {
        let place = &row.place;
        let final_sockets = row.final_sockets();
        let listed = |holder: &SocketHolder| ListenerProcess::of(holder, names);
        let mut holders: Vec<&SocketHolder> = Vec::new();
        for holder in final_sockets.iter().flat_map(|socket| snapshot.holders.of(socket.inode)) {
            if !holders.iter().any(|known| known.pid == holder.pid) {
                holders.push(holder);
            }
        }
        holders.sort_by_key(|holder| (holder.started_ticks, holder.pid));
        let fullest = final_sockets
            .iter()
            .filter(|socket| socket.transport == Transport::Tcp)
            .max_by_key(|socket| i64::from(socket.queued) - i64::from(socket.most_queued));
        let mut listens_on: Vec<String> = Vec::new();
        for socket in &final_sockets {
            let address = socket.address.ip().to_string();
            if !listens_on.contains(&address) {
                listens_on.push(address);
            }
        }
        let last = *place.ports.end();
        PortLine {
            netns_inode: row.netns.inode,
            netns: names.label(row.netns),
            containers: names.of_netns(row.netns.inode).to_vec(),
            transport: place.transport.as_str(),
            address: if place.network.is_host() {
                place.network.address().to_string()
            } else {
                place.network.to_string()
            },
            port: *place.ports.start(),
            last_port: Some(last).filter(|last| last != place.ports.start()),
            interface: place.interface.clone(),
            dnat: row.forward.map(|forward| DnatLine {
                table: forward.table.clone(),
                from_elsewhere: row.hooks[0],
                from_itself: row.hooks[1],
                is_limited: forward.is_limited,
            }),
            proxies: row.proxies.iter().map(|holder| listed(holder)).collect(),
            to: row.end.as_ref().map(|end| PortEndLine::of(end, names)),
            is_listening: row.is_listening(),
            listens_on,
            processes: holders.into_iter().map(listed).collect(),
            queued: fullest.map(|socket| socket.queued),
            backlog: fullest.map(|socket| socket.most_queued),
            state: state(row, snapshot, names),
        }
    }

    /// The port as people write it: `0.0.0.0:8080/tcp`, `[::]:80/tcp`, `127.0.0.53%lo:53/udp`.
    pub fn place(&self) -> String {
        let zone = self.interface.as_deref().map_or(String::new(), |name| format!("%{}", one_line(name)));
        let address = match self.address.contains(':') {
            true => format!("[{}{zone}]", self.address),
            false => format!("{}{zone}", self.address),
        };
        let last = self.last_port.map_or(String::new(), |last| format!("-{last}"));
        format!("{address}:{}{last}/{}", self.port, self.transport)
    }

    /// Where it leads to, as people write it: `web:80`; nothing where it ends here.
    pub fn leads_to(&self) -> Option<String> {
        let to = self.to.as_ref()?;
        let port = to.port.map_or("(several ports)".to_owned(), |port| port.to_string());
        let at = match (&to.netns, to.address) {
            (Some(netns), Some(address)) if *netns == self.netns => bracketed(address),
            (Some(netns), _) => one_line(netns).into_owned(),
            (None, Some(address)) => bracketed(address),
            (None, None) => one_line(&self.netns).into_owned(),
        };
        Some(format!("{at}:{port}"))
    }

    /// By what it is forwarded, or which programs wait there: `DNAT, docker-proxy 435`, `nginx 812`.
    pub fn by(&self) -> String {
        let mut parts = Vec::new();
        if let Some(dnat) = &self.dnat {
            parts.push(match (dnat.is_limited, dnat.from_elsewhere, dnat.from_itself) {
                (true, ..) => "DNAT (under more conditions)".to_owned(),
                (false, true, _) => "DNAT".to_owned(),
                (false, false, _) => "DNAT (from itself only)".to_owned(),
            });
        }
        parts.extend(self.proxies.iter().map(|proxy| self.shown(proxy)));
        if parts.is_empty() {
            parts.extend(self.processes.first().map(|oldest| self.shown(oldest)));
            match self.processes.len() {
                0 | 1 => {}
                more => parts.push(format!("{} more", more - 1)),
            }
        }
        parts.join(", ")
    }

    /// A process, with its container where that is not what the namespace is called.
    fn shown(&self, process: &ListenerProcess) -> String {
        let shown = format!("{} {}", one_line(&process.name), process.pid);
        let is_elsewhere = process.netns_inode.is_some_and(|netns| netns != self.netns_inode);
        match &process.container {
            Some(container) if self.containers.as_slice() != [container.clone()] => {
                format!("{shown} of {}", one_line(container))
            }
            None if is_elsewhere => format!("{shown} of another network"),
            _ => shown,
        }
    }
}

impl ListenerProcess {
    fn of(holder: &SocketHolder, names: &PortNames) -> Self {
        let container = names.of_process(holder).map(str::to_owned);
        ListenerProcess {
            pid: holder.pid.as_raw(),
            name: holder.name.clone(),
            container,
            netns_inode: holder.netns,
        }
    }
}

impl PortEndLine {
    fn of(end: &ForwardEnd<'_>, names: &PortNames) -> Self {
        let netns = match &end.netns {
            EndNetns::Found(netns) => Some(*netns),
            EndNetns::Several(_) | EndNetns::NotHere => None,
        };
        PortEndLine {
            address: end.address,
            port: end.port,
            netns_inode: netns.map(|netns| netns.inode),
            netns: netns.map(|netns| names.label(netns)),
        }
    }
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

impl<'a> PortRow<'a> {
    /// The sockets at the end: where it leads to, or right here.
    pub fn final_sockets(&self) -> Vec<&'a ListeningSocket> {
        match &self.end {
            None => self.sockets.clone(),
            Some(ForwardEnd { waiting: EndState::Listening(sockets), .. }) => sockets.clone(),
            Some(ForwardEnd { waiting: EndState::ElsewhereOnly(sockets), .. }) => sockets.clone(),
            Some(_) => vec![],
        }
    }

    /// Whether something waits at the end; `None` where that is not known.
    pub fn is_listening(&self) -> Option<bool> {
        match self.end.as_ref().map(|end| &end.waiting) {
            None | Some(EndState::Listening(_)) => Some(true),
            Some(EndState::ElsewhereOnly(_) | EndState::Nobody) => Some(false),
            Some(EndState::Unknown(_)) => None,
        }
    }
}

/// What there is to say of the end, and of its queue.
fn state(row: &PortRow<'_>, snapshot: &PortsSnapshot, names: &PortNames) -> String {
    let mut said = match &row.end {
        None => nobody_known(row, snapshot).unwrap_or_else(|| "listening".to_owned()),
        Some(end) => {
            let there = match &end.netns {
                EndNetns::Found(netns) => one_line(&names.label(netns)).into_owned(),
                EndNetns::Several(_) | EndNetns::NotHere => "it".to_owned(),
            };
            match &end.waiting {
                EndState::Listening(sockets) => format!("listening on {}", addresses(sockets)),
                EndState::ElsewhereOnly(sockets) => format!("{there} listens on {} only", addresses(sockets)),
                EndState::Nobody => "nobody listens".to_owned(),
                EndState::Unknown(why) => (*why).to_owned(),
            }
        }
    };
    if let Some(queue) = row.final_sockets().into_iter().find_map(queue) {
        said += &format!(", {queue}");
    }
    let own = row.sockets.iter().flat_map(|socket| snapshot.holders.of(socket.inode));
    let beside = own.filter(|holder| !row.proxies.iter().any(|proxy| proxy.pid == holder.pid));
    if row.forward.is_some()
        && row.proxies.is_empty()
        && let Some(holder) = beside.min_by_key(|holder| holder.started_ticks)
    {
        said += &format!(", {} listens here too", holder.shown());
    }
    said
}

/// Where no process is known to have the socket, that.
fn nobody_known(row: &PortRow<'_>, snapshot: &PortsSnapshot) -> Option<String> {
    let is_known = row.sockets.iter().any(|socket| !snapshot.holders.of(socket.inode).is_empty());
    if is_known {
        return None;
    }
    let is_udp = row.place.transport == Transport::Udp;
    let tunnel = row.netns.tunnels.get(row.place.ports.start()).filter(|_| is_udp);
    Some(match (tunnel, snapshot.holders.hidden) {
        (Some(tunnel), _) => format!("listening, by the kernel for {}", one_line(tunnel)),
        (None, 0) => "listening, by the kernel or in another PID namespace".to_owned(),
        (None, hidden) => format!("listening, in one of {hidden} processes that we may not look into"),
    })
}

/// A queue of connections that has as many as were asked for, or more.
fn queue(socket: &ListeningSocket) -> Option<String> {
    let (queued, most) = (socket.queued, socket.most_queued);
    match socket.transport {
        Transport::Tcp if socket.is_queue_full() => Some(format!("accept queue full: {queued} of {most}")),
        Transport::Tcp if queued > 0 && queued == most => Some(format!("accept queue {queued} of {most}")),
        _ => None,
    }
}

fn addresses(sockets: &[&ListeningSocket]) -> String {
    let mut shown: Vec<String> = Vec::new();
    for address in
        sockets.iter().map(|socket| socket.address).map(|address: SocketAddr| address.ip().to_string())
    {
        if !shown.contains(&address) {
            shown.push(address);
        }
    }
    shown.join(" and ")
}
