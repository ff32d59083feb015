//! A row for each port that something listens on, or that is forwarded: what is there, where it leads to, and who waits at the
//! end. Pure, from a [`PortsSnapshot`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use super::forwards::ForwardedPort;
use super::nat_rule::NatHook;
use super::{NetnsPorts, PortsSnapshot, SocketHolder};
use crate::cidr::Cidr;
use crate::netlink::ListeningSocket;
use crate::target::Transport;

/// Where packets have to be sent to for a row to be about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortPlace {
    /// TCP or UDP.
    pub transport: Transport,
    /// The addresses; unspecified, as a host, for all of its family.
    pub network: Cidr,
    /// The ports; one, but of a rule for several.
    pub ports: RangeInclusive<u16>,
    /// The only interface, by its name.
    pub interface: Option<String>,
}

/// One port of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRow<'a> {
    /// The namespace that it is a port of.
    pub netns: &'a NetnsPorts,
    /// Which port.
    pub place: PortPlace,
    /// Sockets of that namespace that wait right there.
    pub sockets: Vec<&'a ListeningSocket>,
    /// The rule that forwards it: the first of those for packets from elsewhere, if there is one.
    pub forward: Option<&'a ForwardedPort>,
    /// Whether packets from elsewhere are forwarded, and whether those of the namespace's own programs are.
    pub hooks: [bool; 2],
    /// Proxies of Docker's among those that listen there.
    pub proxies: Vec<&'a SocketHolder>,
    /// Where it leads to, if it does not end here.
    pub end: Option<ForwardEnd<'a>>,
}

/// Where a forwarded port leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardEnd<'a> {
    /// The address; nothing where it stays as it was.
    pub address: Option<IpAddr>,
    /// The port; nothing where it is one of several.
    pub port: Option<u16>,
    /// The namespace that has the address.
    pub netns: EndNetns<'a>,
    /// Who waits there.
    pub waiting: EndState<'a>,
}

/// The namespace that has an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndNetns<'a> {
    /// This one, and no other that we saw.
    Found(&'a NetnsPorts),
    /// Several have it: which one is meant is not known.
    Several(Vec<&'a NetnsPorts>),
    /// None that we saw.
    NotHere,
}

/// Who waits where a forwarded port leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndState<'a> {
    /// These sockets.
    Listening(Vec<&'a ListeningSocket>),
    /// None that packets to the address would come to, but these wait at the port for other addresses.
    ElsewhereOnly(Vec<&'a ListeningSocket>),
    /// Nobody.
    Nobody,
    /// It is not known, and why.
    Unknown(&'static str),
}

impl<'a> PortRow<'a> {
    /// Where the first proxy of Docker's hands connections on to, if one listens there.
    pub(super) fn proxy_end(&self, snapshot: &'a PortsSnapshot) -> Option<ForwardEnd<'a>> {
        let proxy = self.proxies.first()?.proxy?;
        let (address, port) = (proxy.container_address, Some(proxy.container_port));
        Some(resolve(snapshot, self.netns, address, port, self.place.transport))
    }

    /// Whether a rule of this row forwards packets to that address and port.
    pub(super) fn forwards_to(&self, address: IpAddr, port: u16) -> bool {
        let is_this = |forward: &&ForwardedPort| PortPlace::of_forward(forward) == self.place;
        let takes = |forward: &ForwardedPort| {
            forward.takes(address, port) && (!forward.to_local || self.netns.has_address(address))
        };
        self.netns.forwards.iter().filter(is_this).any(takes)
    }

    /// Whether rules or a proxy lead it elsewhere.
    pub fn is_published(&self) -> bool {
        self.end.is_some()
    }
}

/// All rows: our own namespace's first, then in the order of the snapshot; in each by port.
pub fn rows(snapshot: &PortsSnapshot) -> Vec<PortRow<'_>> {
    let mut namespaces: Vec<&NetnsPorts> = snapshot.namespaces.iter().collect();
    namespaces.sort_by_key(|netns| !netns.is_own);
    namespaces.into_iter().flat_map(|netns| rows_of(snapshot, netns)).collect()
}

/// The rows of one namespace. A rule for an address that is no own one of the namespace's is left out: it balances or redirects
/// what only passes through, and publishes nothing.
pub fn rows_of<'a>(snapshot: &'a PortsSnapshot, netns: &'a NetnsPorts) -> Vec<PortRow<'a>> {
    rows_with(snapshot, netns, |forward| netns.is_about_own(forward))
}

/// The same, with those rules that are `wanted`.
pub(super) fn rows_with<'a>(
    snapshot: &'a PortsSnapshot,
    netns: &'a NetnsPorts,
    wanted: impl Fn(&ForwardedPort) -> bool,
) -> Vec<PortRow<'a>> {
    let mut rows: Vec<PortRow<'a>> = Vec::new();
    for forward in netns.forwards.iter().filter(|forward| wanted(forward)) {
        add_forward(&mut rows, netns, forward);
    }
    for socket in &netns.sockets {
        add_socket(&mut rows, netns, socket);
    }
    for row in &mut rows {
        let holders = row.sockets.iter().flat_map(|socket| snapshot.holders.of(socket.inode));
        row.proxies = holders.filter(|holder| row.place.is_proxied_by(holder)).collect();
        row.proxies.dedup();
        row.end = end(snapshot, row, None);
    }
    rows.sort_by_key(|row| row.place.order());
    rows
}

fn add_forward<'a>(rows: &mut Vec<PortRow<'a>>, netns: &'a NetnsPorts, forward: &'a ForwardedPort) {
    let place = PortPlace::of_forward(forward);
    let hook = usize::from(forward.hook == NatHook::Output);
    match rows.iter_mut().find(|row| row.place == place) {
        Some(row) => row.hooks[hook] = true,
        None => {
            let mut hooks = [false; 2];
            hooks[hook] = true;
            let (sockets, proxies) = (vec![], vec![]);
            rows.push(PortRow { netns, place, sockets, forward: Some(forward), hooks, proxies, end: None });
        }
    }
}

fn add_socket<'a>(rows: &mut Vec<PortRow<'a>>, netns: &'a NetnsPorts, socket: &'a ListeningSocket) {
    let place = PortPlace::of_socket(socket, netns);
    match rows.iter_mut().find(|row| row.place == place) {
        Some(row) => row.sockets.push(socket),
        None => {
            let sockets = vec![socket];
            rows.push(PortRow {
                netns,
                place,
                sockets,
                forward: None,
                hooks: [false; 2],
                proxies: vec![],
                end: None,
            });
        }
    }
}

/// Where the row leads to, by its rule or else by a proxy; where it has several ports, of all or of the one that is `asked`.
pub(super) fn end<'a>(
    snapshot: &'a PortsSnapshot,
    row: &PortRow<'a>,
    asked: Option<u16>,
) -> Option<ForwardEnd<'a>> {
    let is_one = row.place.ports.end() == row.place.ports.start();
    let asked = asked.or(Some(*row.place.ports.start()).filter(|_| is_one));
    if let Some(forward) = row.forward {
        let port = match asked {
            Some(asked) => forward.new_port_of(asked),
            None => forward.new_port.filter(|_| forward.new_last_port.is_none()),
        };
        let address = forward.new_address;
        return Some(match address.filter(|_| !forward.is_redirect) {
            Some(address) => resolve(snapshot, row.netns, address, port, row.place.transport),
            None => {
                let waiting = match at_any(row.netns, row.place.transport, port, &row.place) {
                    // What comes from elsewhere gets an address of the interface that it came by.
                    EndState::Listening(sockets) if row.hooks[0] && are_of_loopback(&sockets) => {
                        EndState::ElsewhereOnly(sockets)
                    }
                    waiting => waiting,
                };
                ForwardEnd { address: None, port, netns: EndNetns::Found(row.netns), waiting }
            }
        });
    }
    row.proxy_end(snapshot)
}

/// The namespace that has `address`, seen from `from`, and who waits at the port there.
fn resolve<'a>(
    snapshot: &'a PortsSnapshot,
    from: &'a NetnsPorts,
    address: IpAddr,
    port: Option<u16>,
    transport: Transport,
) -> ForwardEnd<'a> {
    let netns = match snapshot.with_address(from, address).as_slice() {
        [] => EndNetns::NotHere,
        [one] => EndNetns::Found(one),
        several => EndNetns::Several(several.to_vec()),
    };
    let waiting = match (&netns, port) {
        (EndNetns::Found(netns), Some(port)) => {
            waiting(netns, (address, port), transport, netns.inode != from.inode)
        }
        (EndNetns::Found(_), None) => EndState::Unknown("it goes to one of several ports"),
        (EndNetns::Several(_), _) => EndState::Unknown("several networks have the address"),
        (EndNetns::NotHere, _) if snapshot.unseen.is_empty() => {
            EndState::Unknown("no network here has the address")
        }
        (EndNetns::NotHere, _) => EndState::Unknown("no network that could be looked at has the address"),
    };
    ForwardEnd { address: Some(address), port, netns, waiting }
}

fn waiting<'a>(
    netns: &'a NetnsPorts,
    (address, port): (IpAddr, u16),
    transport: Transport,
    is_from_elsewhere: bool,
) -> EndState<'a> {
    let again = |forward: &&ForwardedPort| {
        forward.hook == NatHook::Prerouting && forward.transport == transport && forward.takes(address, port)
    };
    if is_from_elsewhere && netns.forwards.iter().any(|forward| again(&forward)) {
        return EndState::Unknown("rules there forward it again");
    }
    let there = netns.at_port(transport, port);
    let (here, others): (Vec<_>, Vec<_>) = there.partition(|socket| socket.has(address));
    match (here.is_empty(), others.is_empty()) {
        (false, _) => EndState::Listening(here),
        (true, false) => EndState::ElsewhereOnly(others),
        (true, true) if netns.balanced.iter().any(|one| one.may_take(transport, address, port)) => {
            EndState::Unknown("IPVS balances what comes there")
        }
        (true, true) => EndState::Nobody,
    }
}

/// Of a rule that keeps the address, or takes the namespace's own: whoever waits at the port.
fn at_any<'a>(
    netns: &'a NetnsPorts,
    transport: Transport,
    port: Option<u16>,
    place: &PortPlace,
) -> EndState<'a> {
    let Some(port) = port else { return EndState::Unknown("it goes to one of several ports") };
    let is_of_family = |socket: &&ListeningSocket| {
        let own = socket.address.ip();
        own.is_ipv6() == place.network.address().is_ipv6()
            || (own.is_unspecified() && own.is_ipv6() && socket.v6only != Some(true))
    };
    let there: Vec<_> = netns.at_port(transport, port).filter(is_of_family).collect();
    if there.is_empty() { EndState::Nobody } else { EndState::Listening(there) }
}

fn are_of_loopback(sockets: &[&ListeningSocket]) -> bool {
    sockets.iter().all(|socket| socket.address.ip().to_canonical().is_loopback())
}

impl NetnsPorts {
    /// Its sockets that wait at the port, at whatever address.
    pub fn at_port(&self, transport: Transport, port: u16) -> impl Iterator<Item = &ListeningSocket> {
        let is_there =
            move |socket: &&ListeningSocket| socket.transport == transport && socket.address.port() == port;
        self.sockets.iter().filter(is_there)
    }

    /// Whether it has the address; every one has those of loopback.
    pub fn has_address(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.addresses.iter().flatten().any(|own| *own == address)
    }

    fn is_about_own(&self, forward: &ForwardedPort) -> bool {
        forward.network.is_none_or(|network| !network.is_host() || self.has_address(network.address()))
    }
}

impl PortsSnapshot {
    /// The namespaces that have `address`, as `from` sees it: itself, if it is one of them.
    pub fn with_address(&self, from: &NetnsPorts, address: IpAddr) -> Vec<&NetnsPorts> {
        let itself = |netns: &&NetnsPorts| netns.inode == from.inode;
        if from.has_address(address) {
            return self.namespaces.iter().filter(itself).collect();
        }
        self.namespaces.iter().filter(|netns| netns.has_address(address)).collect()
    }
}

impl PortPlace {
    fn of_forward(forward: &ForwardedPort) -> Self {
        let all: IpAddr =
            if forward.is_six { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let network = forward.network.unwrap_or(Cidr::host(all));
        PortPlace { transport: forward.transport, network, ports: forward.ports.clone(), interface: None }
    }

    fn of_socket(socket: &ListeningSocket, netns: &NetnsPorts) -> Self {
        let port = socket.address.port();
        let name = |index: u32| netns.interfaces.get(&index).cloned().unwrap_or_else(|| format!("if{index}"));
        PortPlace {
            transport: socket.transport,
            network: Cidr::host(socket.address.ip()),
            ports: port..=port,
            interface: socket.interface.map(name),
        }
    }

    fn is_proxied_by(&self, holder: &SocketHolder) -> bool {
        holder.proxy.is_some_and(|proxy| {
            proxy.transport == self.transport && self.ports == (proxy.host_port..=proxy.host_port)
        })
    }

    fn order(&self) -> impl Ord + use<> {
        let address = self.network.address();
        (*self.ports.start(), self.transport == Transport::Udp, address.is_ipv6(), address, *self.ports.end())
    }
}
