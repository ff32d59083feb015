//! The rest of one namespace's stack, for who asks for it: routes, rules, neighbours, forwarding tables, packet filters. Each
//! part is read only where it is wanted.

use nix::errno::Errno;

use super::programs::of_links;
use super::{LinkProgram, MapError};
use crate::firewall::{FilterChain, FilterListing, UnreadFilter};
use crate::namespace::Namespace;
use crate::netlink::{FdbEntry, InetSocket, Neighbour, NetlinkError, Route, Rule, Socket, inet_sockets};
use crate::netns::Home;

/// What is wanted of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WantedDetails {
    /// Its routes.
    pub routes: bool,
    /// Its rules of policy routing.
    pub rules: bool,
    /// Its neighbours.
    pub neighbours: bool,
    /// The forwarding tables of its bridges and vxlan links.
    pub fdb: bool,
    /// Programs attached to its links, and queueing disciplines.
    pub programs: bool,
    /// Its sockets of TCP and UDP.
    pub sockets: bool,
    /// Its packet filters. They take programs of the host: milliseconds where the rest takes microseconds.
    pub firewall: bool,
}

/// What packet filters are called among what is not known.
const FILTERS: &str = "packet filters";

/// What a namespace has besides its links. A part that nobody wanted, or that could not be read, is nothing: not empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetnsDetails {
    /// The routes of all tables, those of IPv4 first: by table, then as the kernel has them.
    pub routes: Option<Vec<Route>>,
    /// The rules of policy routing, IPv4's first, in the order in which they are asked.
    pub rules: Option<Vec<Rule>>,
    /// Its neighbours: ARP's and ND's tables.
    pub neighbours: Option<Vec<Neighbour>>,
    /// What its bridges and vxlan links know of who is where.
    pub fdb: Option<Vec<FdbEntry>>,
    /// What is attached to its links: XDP, traffic control, BPF; and disciplines that are not the kernel's default.
    pub programs: Option<Vec<LinkProgram>>,
    /// Its sockets of TCP and UDP, in all states.
    pub sockets: Option<Vec<InetSocket>>,
    /// The chains of nftables and iptables, with counters.
    pub firewall: Option<Vec<FilterChain>>,
    /// Wanted parts that could not be read, or not whole: which, and why.
    pub not_read: Vec<(&'static str, String)>,
    /// Programs that may have packet filters of their own there, which nothing reads.
    pub unread: Vec<UnreadFilter>,
}

impl NetnsDetails {
    /// All that was wanted and is not known: which, and why.
    pub fn unknown(&self) -> impl Iterator<Item = (&'static str, String)> {
        let unread = self.unread.iter().map(|unread| (FILTERS, unread.to_string()));
        self.not_read.iter().cloned().chain(unread)
    }
}

impl WantedDetails {
    /// Everything.
    pub const ALL: Self = WantedDetails {
        routes: true,
        rules: true,
        neighbours: true,
        fdb: true,
        programs: true,
        sockets: true,
        firewall: true,
    };
}

/// Reads what is wanted of `namespace`.
///
/// # Errors
/// When it cannot be entered, or asked at all; what a part of it says is in [`NetnsDetails::not_read`].
pub fn details(namespace: &Namespace, wanted: WantedDetails) -> Result<NetnsDetails, MapError> {
    let home = Home::current()?;
    let mut socket = home.inside(namespace, Socket::open).map_err(not_entered)??;
    let mut details = NetnsDetails::default();
    let mut part = Part { socket: &mut socket, not_read: &mut details.not_read };
    details.routes = part.read(wanted.routes, "routes", Socket::routes);
    details.rules = part.read(wanted.rules, "rules", Socket::rules);
    details.neighbours = part.read(wanted.neighbours, "neighbours", Socket::neighbours);
    details.fdb = part.read(wanted.fdb, "forwarding tables", Socket::forwarding_table);
    if let Some(routes) = &mut details.routes {
        routes.sort_by_key(|route| (route.destination.address().is_ipv6(), route.table));
    }
    if let Some(rules) = &mut details.rules {
        rules.sort_by_key(|rule| (!rule.is_ipv4, rule.priority));
    }
    if wanted.programs {
        match home.inside(namespace, || of_links(&mut socket)).map_err(not_entered)? {
            Ok((programs, refused)) => {
                details.programs = Some(programs);
                details.not_read.extend(refused.into_iter().map(|why| ("programs", why)));
            }
            Err(error) => details.not_read.push(("programs", error.to_string())),
        }
    }
    if wanted.sockets {
        match home.inside(namespace, inet_sockets).map_err(not_entered)? {
            Ok(sockets) => details.sockets = Some(sockets),
            Err(error) => details.not_read.push(("sockets", error.to_string())),
        }
    }
    if wanted.firewall {
        let listing = home.inside(namespace, FilterListing::read).map_err(not_entered)?;
        details.firewall = Some(listing.chains);
        details.not_read.extend(listing.not_read.into_iter().map(|why| (FILTERS, why)));
        details.unread = listing.unread;
    }
    Ok(details)
}

struct Part<'a> {
    socket: &'a mut Socket,
    not_read: &'a mut Vec<(&'static str, String)>,
}

impl Part<'_> {
    fn read<T>(
        &mut self,
        is_wanted: bool,
        what: &'static str,
        read: impl FnOnce(&mut Socket) -> Result<Vec<T>, NetlinkError>,
    ) -> Option<Vec<T>> {
        if !is_wanted {
            return None;
        }
        read(self.socket).map_err(|error| self.not_read.push((what, error.to_string()))).ok()
    }
}

fn not_entered(errno: Errno) -> MapError {
    let action = "enter the network namespace";
    NetlinkError::Socket { action, source: errno.into() }.into()
}
