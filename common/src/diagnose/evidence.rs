//! What is known of a probe that was not answered: plain data, recorded by whoever sent it.

use std::net::IpAddr;

use nix::errno::Errno;

use crate::netlink::{Address, IpsecTables, Link, ListeningSocket, Neighbour, RouteLookup};
use crate::packet::icmp::IcmpError;
use crate::target::{DestPort, Mac};

/// NUD_FAILED and NUD_INCOMPLETE of linux/neighbour.h: the kernel has asked, and has no answer.
pub(super) const NUD_UNRESOLVED: u16 = 0x20 | 0x01;

/// What is known. What was not looked at is `None`, or empty.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// What to call the container.
    pub name: String,
    /// The TARGET that means it, for commands.
    pub target: String,
    /// Where the probe went.
    pub to: IpAddr,
    /// What kind of probe it was.
    pub probe: ProbeKind,
    /// The route that it took.
    pub route: RouteLookup,
    /// The name of the link of that route.
    pub link_name: String,
    /// Whether only what comes in by that link is taken: `-I`.
    pub is_bound_to_link: bool,
    /// What to call the destination.
    pub dest_name: String,
    /// The TARGET that means the destination, where it is a container.
    pub dest_target: Option<String>,
    /// The MAC addresses of the destination's links, where it is a container of this host.
    pub dest_macs: Option<Vec<Mac>>,
    /// How many probes were answered.
    pub answered: u64,
    /// How many were not, in time.
    pub lost: u64,
    /// Why our own kernel refused to send the last one, and the MTU that it named.
    pub not_sent: Option<(Errno, Option<u32>)>,
    /// The last ICMP error that came back for it.
    pub icmp_error: Option<IcmpError>,
    /// How many probes a port refused: a TCP reset, or ICMP port unreachable of the destination itself.
    pub refused: u64,
    /// What was seen of such a probe in the network of this host that has the destination's address.
    pub there: Option<DestSight>,
    /// How many answers came with a wrong checksum, or without the data of the request.
    pub corrupted: u64,
    /// What the kernel knew of the next hop before anything was sent.
    pub neighbour_before: Option<Neighbour>,
    /// What it knows of all neighbours now; the next hop's entry is among them.
    pub neighbours: Option<Vec<Neighbour>>,
    /// Whether somebody answers for the next hop now.
    pub asked: NeighbourAnswer,
    /// The links now.
    pub links: Option<Vec<Link>>,
    /// The addresses now.
    pub addresses: Option<Vec<Address>>,
    /// Why there is no route to the destination now; `None` if there is one, or it was not looked up.
    pub route_error: Option<Errno>,
    /// The other end of the link's veth pair, where it was looked for: in which netns it is (a TARGET; `None` for the host), and its name.
    pub peer: Option<(Option<String>, String)>,
    /// The same probe once more, with taps on all links.
    pub again: Option<WatchedProbe>,
    /// A small probe, where that was a large one.
    pub small: Option<WatchedProbe>,
    /// Which sizes pass.
    pub sizes: Option<SizeSearch>,
    /// Which hooks of the container's netfilter have rules, or a policy that drops, for this family.
    pub hooks: Option<Vec<FilterHook>>,
    /// What IPsec is set to do in the container.
    pub ipsec: Option<IpsecTables>,
    /// How full the connection tracking table is.
    pub conntrack: Option<Conntrack>,
    /// Whether the container ignores pings: net.ipv4.icmp_echo_ignore_all and its IPv6 brother.
    pub ignores_echo: Option<bool>,
    /// What has become of the container that is probed from.
    pub target_state: TargetState,
    /// What has become of the container that is probed.
    pub dest_state: DestState,
    /// What the host saw of the probe.
    pub host: Option<HostSight>,
}

/// What kind of probe it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeKind {
    /// ICMP echo with so many bytes in the whole IP packet.
    Echo {
        /// With the IP header.
        packet_bytes: usize,
    },
    /// A TCP connection, or a UDP datagram.
    Port(DestPort),
}

/// Whether somebody answers for an address now: asked by unicast, then by broadcast.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum NeighbourAnswer {
    /// There is no ARP on the link, or we may not ask.
    #[default]
    NotAsked,
    /// Nobody answered.
    Silent,
    /// These answered, in the order in which they did.
    Answered(Vec<Mac>),
}

/// A probe, watched by packet sockets on all links of the container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchedProbe {
    /// Why the kernel refused to send it.
    pub not_sent: Option<Errno>,
    /// Whether it was answered as it should.
    pub is_answered: bool,
    /// Whether an answer came to the socket that is none: with a wrong checksum, or without the data of the request.
    pub is_corrupted: bool,
    /// The last ICMP error of another host about it that came to the socket.
    pub error: Option<IcmpError>,
    /// What was seen of it.
    pub seen: Vec<TappedPacket>,
    /// Whether there were taps at all: it takes CAP_NET_RAW.
    pub has_taps: bool,
    /// How many packets reverse path filtering dropped meanwhile.
    pub rp_filtered: Option<u64>,
}

/// A packet that a tap saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TappedPacket {
    /// Which way.
    pub passage: Passage,
    /// The index of the link.
    pub index: u32,
    /// The link's name.
    pub link: String,
    /// Whether the kernel's IP layer got it too: what tc and ingress hooks drop comes before that.
    pub reached_ip: bool,
    /// Why the kernel would refuse it by its routes and rp_filter, where it was asked.
    pub input_route: Option<Errno>,
}

/// What a seen packet was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// The request, on its way out.
    RequestOut,
    /// The request, coming in: on `lo`, or on a link of the host.
    RequestIn,
    /// The answer, coming in.
    AnswerIn,
    /// The answer, on its way out: on a link of the host.
    AnswerOut,
    /// An ICMP error about the request, coming in.
    ErrorIn(IcmpError),
}

/// What sizes of IP packets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeSearch {
    /// The largest that was answered.
    pub passes: usize,
    /// The smallest that was not.
    pub fails: usize,
}

/// A hook of netfilter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FilterHook {
    /// Before routing.
    Prerouting,
    /// For packets to the container itself.
    Input,
    /// For packets that pass through.
    Forward,
    /// For packets of the container itself.
    Output,
    /// After routing.
    Postrouting,
    /// At a link, before IP.
    Ingress,
    /// At a link, after IP.
    Egress,
}

/// A connection tracking table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conntrack {
    /// How many entries it has.
    pub count: u64,
    /// How many it may have.
    pub max: u64,
}

/// What has become of the container that is probed from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TargetState {
    /// It runs, or has no process.
    #[default]
    Alive,
    /// Its process has ended.
    Ended,
    /// It has ended, and runs again with another network.
    Restarted,
}

/// What has become of the container that is probed, where DEST is one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DestState {
    /// DEST is none, or nothing is wrong with it.
    #[default]
    Fine,
    /// Its process has ended.
    Ended {
        /// What to call it.
        name: String,
    },
    /// The link that has the address is down.
    LinkDown {
        /// What to call it.
        name: String,
        /// The TARGET that means it.
        target: String,
        /// The link's name.
        link: String,
    },
    /// No link of it has the address any more.
    AddressGone {
        /// What to call it.
        name: String,
        /// The TARGET that means it.
        target: String,
    },
    /// It is paused.
    Frozen {
        /// What to call it.
        name: String,
        /// What makes it run again.
        fix: Option<crate::hint::Hint>,
    },
}

/// What the host, in whose network the other end of the container's link is, saw of a probe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSight {
    /// In the order in which it was seen.
    pub seen: Vec<TappedPacket>,
    /// Whether the host itself has the destination's address.
    pub is_dest: bool,
    /// Which hooks of the host's netfilter have rules, or a policy that drops.
    pub hooks: Option<Vec<FilterHook>>,
    /// What IPsec is set to do on the host.
    pub ipsec: Option<IpsecTables>,
}

/// What was seen of a probe of a port in a network of this host that has the destination's address. Another host may have
/// that address too: what is there counts only where the probe arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DestSight {
    /// Whether it arrived there, and was for the kernel there: not to be passed on, by NAT or otherwise.
    pub has_arrived: bool,
    /// Whether an answer to it left from there.
    pub has_answered: bool,
    /// All sockets that wait at the port there, at whatever address.
    pub listening: Option<Vec<ListeningSocket>>,
}

impl Evidence {
    /// A probe from the container called `name`, of which nothing else is known.
    pub fn new(name: &str, target: &str, to: IpAddr, route: RouteLookup, link_name: &str) -> Self {
        let (name, target, link_name) = (name.to_owned(), target.to_owned(), link_name.to_owned());
        Evidence {
            name,
            target,
            to,
            probe: ProbeKind::Echo { packet_bytes: 84 },
            route,
            link_name,
            is_bound_to_link: false,
            dest_name: to.to_string(),
            dest_target: None,
            dest_macs: None,
            answered: 0,
            lost: 0,
            not_sent: None,
            icmp_error: None,
            refused: 0,
            there: None,
            corrupted: 0,
            neighbour_before: None,
            neighbours: None,
            asked: NeighbourAnswer::NotAsked,
            links: None,
            addresses: None,
            route_error: None,
            peer: None,
            again: None,
            small: None,
            sizes: None,
            hooks: None,
            ipsec: None,
            conntrack: None,
            ignores_echo: None,
            target_state: TargetState::Alive,
            dest_state: DestState::Fine,
            host: None,
        }
    }

    /// The neighbour that packets are given to: the router, or the destination itself.
    pub fn next_hop(&self) -> IpAddr {
        self.route.gateway.unwrap_or(self.to)
    }

    /// The link of the route, as it is now.
    pub fn link(&self) -> Option<&Link> {
        self.links.as_ref()?.iter().find(|link| Some(link.index) == self.route.index)
    }

    /// What the kernel knows of the next hop now.
    pub fn neighbour(&self) -> Option<&Neighbour> {
        let hop = self.next_hop();
        let is_it = |known: &&Neighbour| known.address == hop && Some(known.index) == self.route.index;
        self.neighbours.as_ref()?.iter().find(is_it)
    }
}
