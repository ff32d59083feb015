//! The container's links and routes: its gateway, and the route to an address.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use common::diagnose::{NoRoute, judge_no_route};
use common::failure::{Failure, Status};
use common::netlink::{Link, Neighbour, NetlinkError, Route, RouteLookup, Socket};
use common::output::one_line;
use common::target::{IfName, Name};
use common::typed::instead_of;
use nix::errno::Errno;

use super::UnresolvedDest;
use super::container::OtherContainer;
use super::destination::{AddressSource, Destination, NUD_VALID};
use crate::network::netns::TargetNetns;
use crate::request::{Families, ProbeEndpoints};

/// Where packets leave from: `-I`.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Through this link.
    pub link: Option<(IfName, u32)>,
    /// From this address.
    pub address: Option<IpAddr>,
}

/// The container's network, asked through a socket of its own.
pub struct ContainerRoutes {
    /// The container, for messages.
    name: String,
    target: String,
    socket: RefCell<Socket>,
    links: Vec<Link>,
    /// What `-I` says.
    pub origin: Origin,
    /// What `-m` says.
    mark: Option<u32>,
}

impl fmt::Debug for ContainerRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContainerRoutes({}, {:?})", self.name, self.origin)
    }
}

impl ContainerRoutes {
    pub fn take(inside: &TargetNetns, endpoints: &ProbeEndpoints) -> Result<Self, Failure> {
        let mut socket = inside.open(Socket::open)?;
        let links = socket.links()?;
        let origin = match &endpoints.source {
            Some(word) => origin(word, &links, &mut socket, &inside.name)?,
            None => Origin::default(),
        };
        let (name, target) = (inside.name.clone(), inside.target.to_string());
        Ok(ContainerRoutes {
            name,
            target,
            socket: RefCell::new(socket),
            links,
            origin,
            mark: endpoints.mark,
        })
    }

    /// The route to an address, with what `-I` says.
    pub fn route_to(&self, address: IpAddr, link: Option<u32>) -> Result<RouteLookup, NetlinkError> {
        let through = link.or(self.origin.link.as_ref().map(|(_, index)| *index));
        let from = self.origin.address.filter(|from| from.is_ipv4() == address.is_ipv4());
        self.socket.borrow_mut().marked_route_lookup(address, through, from, self.mark)
    }

    /// The name of the link with this index.
    pub fn link_name(&self, index: u32) -> String {
        let link = self.links.iter().find(|link| link.index == index);
        link.map_or_else(
            || format!("link {index}"),
            |link| one_line(&link.name.to_string_lossy()).into_owned(),
        )
    }

    /// The routes as they are now.
    pub fn routes(&self) -> Result<Vec<Route>, NetlinkError> {
        self.socket.borrow_mut().routes()
    }

    /// The index of the link with this name; 0 if there is none.
    pub fn index_of(&self, name: &str) -> u32 {
        self.links.iter().find(|link| link.name == name).map_or(0, |link| link.index)
    }

    /// What is known of a neighbour now.
    pub fn neighbour(&self, index: u32, address: IpAddr) -> Result<Option<Neighbour>, NetlinkError> {
        self.socket.borrow_mut().neighbour(index, address)
    }

    /// Whether the kernel has to ask the neighbour for its address before it can send anything there; and what it knows of it.
    pub fn must_ask(&self, to: &Destination) -> (bool, Option<Neighbour>) {
        let Some(index) = to.route.index.filter(|_| !to.route.is_local && !to.is_group()) else {
            return (false, None);
        };
        let known = self.neighbour(index, to.next_hop()).ok().flatten();
        (known.is_none_or(|neighbour| neighbour.state & NUD_VALID == 0), known)
    }

    /// A DEST whose address is known, with the route there.
    ///
    /// # Errors
    /// No route from inside; a link-local address without a link; no such link.
    pub fn destination(
        &self,
        word: String,
        name: String,
        address: IpAddr,
        link: Option<&IfName>,
        known: AddressSource,
    ) -> Result<Destination, UnresolvedDest> {
        let link = match link {
            Some(link) => Some(index(link, &self.links, &self.name)?),
            None if is_link_local(address) => Some(self.only_link(address)?),
            None => None,
        };
        let route = self.route_to(address, link).map_err(|error| self.no_route(&word, address, error))?;
        let link = route.index.map_or_else(String::new, |index| self.link_name(index));
        Ok(Destination { word, name, address, known, route, link, container: None })
    }

    /// A link-local address is one on each link; where there is only one that it could mean, it means that.
    pub fn only_link(&self, address: IpAddr) -> Result<u32, Failure> {
        if let Some((_, index)) = &self.origin.link {
            return Ok(*index);
        }
        let mut candidates = self.links.iter().filter(|link| link.is_set_up() && !link.is_loopback());
        match (candidates.next(), candidates.next()) {
            (Some(link), None) => Ok(link.index),
            (Some(link), _) => {
                let failure = Failure::failed(address, "is link-local, and several interfaces are up");
                // A hint is there to be pasted, and the container names its links as it likes.
                let link = link.name.to_str().and_then(|name| name.parse::<Name>().ok());
                Err(link.map_or(failure.clone(), |link| {
                    failure.hint(instead_of(&[&address.to_string()], &format!("{address}%{link}")))
                }))
            }
            (None, _) => Err(Failure::failed(address, "is link-local, and no interface is up")),
        }
    }

    /// Nothing is sent without a route.
    pub fn no_route(&self, word: &str, address: IpAddr, error: NetlinkError) -> UnresolvedDest {
        let about = if word == address.to_string() { word.to_owned() } else { format!("{word} ({address})") };
        let NetlinkError::Refused { errno, .. } = &error else { return Failure::from(error).into() };
        match errno {
            Errno::EINVAL if self.origin.address.is_some() => {
                let what = format_args!("cannot be reached from the address of -I: {error}");
                Failure::failed(about, what).into()
            }
            Errno::EHOSTUNREACH | Errno::EACCES | Errno::EINVAL | Errno::ENETUNREACH => {
                let otherwise = self.routes_in_words(address.is_ipv4());
                let known = self.without_route(Some(address), address.is_ipv4(), Some(*errno), otherwise);
                UnresolvedDest::of(about, judge_no_route(&known), Status::Failed)
            }
            _ => Failure::from(error).into(),
        }
    }

    /// What the judge wants to know of a destination without a route.
    fn without_route(
        &self,
        to: Option<IpAddr>,
        is_ipv4: bool,
        errno: Option<Errno>,
        otherwise: String,
    ) -> NoRoute {
        let mut socket = self.socket.borrow_mut();
        NoRoute {
            name: self.name.clone(),
            target: self.target.clone(),
            to,
            is_ipv4,
            errno,
            through: self.origin.link.as_ref().map(|(_, index)| *index),
            links: socket.links().unwrap_or_default(),
            addresses: socket.addresses().unwrap_or_default(),
            routes: socket.routes().unwrap_or_default(),
            rules: socket.rules().unwrap_or_default(),
            otherwise,
        }
    }

    /// `nginx has 172.18.0.0/16 on eth0 only`.
    fn routes_in_words(&self, ipv4: bool) -> String {
        const MOST: usize = 3;
        let routes = self.socket.borrow_mut().routes().unwrap_or_default();
        let is_one = |route: &&Route| {
            let to = route.destination.address();
            route.is_ordinary() && to.is_ipv4() == ipv4 && !is_link_local(to) && !to.is_multicast()
        };
        let mut words: Vec<String> =
            routes.iter().filter(is_one).map(|route| self.route_in_words(route)).collect();
        let family = if ipv4 { "IPv4" } else { "IPv6" };
        let more = words.len().saturating_sub(MOST);
        words.truncate(MOST);
        match (words.is_empty(), more) {
            (true, _) => format!("{} has no {family} routes", self.name),
            (false, 0) => format!("{} has only {}", self.name, words.join(", ")),
            (false, more) => format!("{} has {}, and {more} more", self.name, words.join(", ")),
        }
    }

    fn route_in_words(&self, route: &Route) -> String {
        let link = route.index.map_or_else(String::new, |index| format!(" on {}", self.link_name(index)));
        format!("{}{link}", route.destination)
    }

    /// The default gateway: of several the one with the least metric; IPv4's unless only IPv6 has one, or `-6`.
    pub fn gateway(&self, families: Families) -> Result<(IpAddr, Option<IfName>), UnresolvedDest> {
        let routes = self.socket.borrow_mut().routes().map_err(Failure::from)?;
        let is_wanted = |route: &&Route| families.has(route.destination.address());
        let through = self.origin.link.as_ref().map(|(_, index)| *index);
        let mut defaults: Vec<&Route> = routes
            .iter()
            .filter(|route| route.is_default() && route.is_ordinary())
            .filter(is_wanted)
            .filter(|route| through.is_none() || route.index == through)
            .collect();
        defaults.sort_by_key(|route| (route.destination.address().is_ipv6(), route.metric));
        let router = defaults.iter().find_map(|route| Some((route.gateway?, route.index)));
        if let Some((address, index)) = router {
            let link = index.filter(|_| is_link_local(address)).map(|index| self.link_name(index));
            return Ok((address, link.and_then(|link| link.parse().ok())));
        }
        let why = match defaults.first() {
            Some(route) => {
                format!("{}'s default route has no gateway: {}", self.name, self.route_in_words(route))
            }
            None => format!("{} has no default route", self.name),
        };
        let known = self.without_route(None, families.v4, None, why);
        Err(UnresolvedDest::of("gateway", judge_no_route(&known), Status::Failed))
    }

    /// The address of another container that is nearest: on a network of ours rather than beyond a router.
    pub fn nearest(&self, other: &OtherContainer, families: Families) -> Result<IpAddr, UnresolvedDest> {
        let about = &other.dest.target;
        let mut reached: Vec<(IpAddr, RouteLookup)> = Vec::new();
        let mut refused = None;
        for address in other.addresses()?.into_iter().filter(|address| families.has(*address)) {
            match self.route_to(address, None) {
                Ok(route) => reached.push((address, route)),
                Err(error) => refused = refused.or(Some((address, error))),
            }
        }
        reached.sort_by_key(|(address, route)| (route.gateway.is_some(), address.is_ipv6()));
        match (reached.first(), refused) {
            (Some((address, _)), _) => Ok(*address),
            (None, Some((address, error))) => Err(self.no_route(&about.to_string(), address, error)),
            (None, None) => {
                Err(Failure::failed(about, "has no address that can be reached from outside").into())
            }
        }
    }

    /// Of a name's addresses the one that programs would take: see [`rank`].
    pub fn best(&self, addresses: &[IpAddr]) -> Option<IpAddr> {
        let ranked = addresses.iter().enumerate();
        let ranked = ranked.map(|(at, address)| {
            let route = self.route_to(*address, None).ok();
            (Reverse(rank(*address, route.as_ref())), at, *address)
        });
        ranked.min().map(|(_, _, address)| address)
    }
}

/// What of RFC 6724 matters between one address and another: a route there at all (rule 1), an address of ours of the
/// same kind to come from (rules 2 and 5), and IPv6 before IPv4 before the unique local addresses of IPv6 (rule 6).
fn rank(address: IpAddr, route: Option<&RouteLookup>) -> u8 {
    let Some(route) = route else { return 0 };
    let is_unique_local = |address: Ipv6Addr| address.segments()[0] & 0xfe00 == 0xfc00;
    match (address, route.source) {
        (IpAddr::V4(_), _) => 3,
        (IpAddr::V6(to), Some(IpAddr::V6(from))) => {
            let same_kind = is_unique_local(to) == is_unique_local(from) && !from.is_unicast_link_local();
            match (same_kind, is_unique_local(to)) {
                (true, false) => 4,
                (true, true) => 2,
                (false, _) => 1,
            }
        }
        (IpAddr::V6(_), _) => 1,
    }
}

fn origin(word: &str, links: &[Link], socket: &mut Socket, name: &str) -> Result<Origin, Failure> {
    let about = || format!("-I {}", common::output::quotable(word));
    let (address, link) = word.split_once('%').map_or((word, None), |(address, link)| (address, Some(link)));
    let Ok(address) = address.parse::<IpAddr>() else {
        let link: IfName = word.parse().map_err(|error| Failure::failed(about(), error))?;
        let index = index(&link, links, name)?;
        return Ok(Origin { link: Some((link, index)), address: None });
    };
    let link: Option<IfName> =
        link.map(str::parse).transpose().map_err(|error| Failure::failed(about(), error))?;
    let link = link.map(|link| index(&link, links, name).map(|index| (link, index))).transpose()?;
    let is_ours = |index: u32| link.as_ref().is_none_or(|(_, of)| *of == index);
    let addresses = socket.addresses()?;
    if !addresses.iter().any(|ours| ours.address == address && is_ours(ours.index)) {
        let ours: Vec<String> = addresses
            .iter()
            .filter(|ours| ours.address.is_ipv4() == address.is_ipv4() && !ours.address.is_loopback())
            .map(|ours| ours.address.to_string())
            .collect();
        let has = if ours.is_empty() { "none of that family".to_owned() } else { ours.join(", ") };
        return Err(Failure::failed(
            about(),
            format_args!("{name} does not have this address; it has {has}"),
        ));
    }
    Ok(Origin { link, address: Some(address) })
}

fn index(link: &IfName, links: &[Link], name: &str) -> Result<u32, Failure> {
    let found = links.iter().find(|known| known.name == link.as_str());
    found.map(|link| link.index).ok_or_else(|| {
        let names: Vec<_> =
            links.iter().map(|link| one_line(&link.name.to_string_lossy()).into_owned()).collect();
        Failure::failed(
            link,
            format_args!("{name} does not have this interface; it has {}", names.join(", ")),
        )
    })
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local() || is_link_multicast(v6))
}

fn is_link_multicast(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xff0f == 0xff02
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_families_the_one_that_programs_take_comes_first() {
        let route = |source: &str| RouteLookup {
            index: Some(2),
            gateway: None,
            source: source.parse().ok(),
            ..RouteLookup::default()
        };
        let rank = |to: &str, from: &str| rank(to.parse().unwrap(), Some(&route(from)));
        let v4 = rank("10.1.0.1", "10.1.0.2");
        assert!(rank("2001:db8::1", "2001:db8::2") > v4);
        assert!(rank("fd00::1", "fd00::2") < v4, "what Docker's own networks have");
        assert!(rank("2001:db8::1", "fd00::2") < v4, "the world is not reached from there");
        assert!(super::rank("10.1.0.1".parse().unwrap(), None) < rank("fd00::1", "fd00::2"));
    }
}
