//! Routes: RTM_GETROUTE, RTM_NEWROUTE, RTM_DELROUTE, linux/rtnetlink.h.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::errno::Errno;

use super::socket::flag;
use super::wire::{MalformedMessage, NetlinkRequest, attributes, family_of, ip, number, u32_at};
use super::{NetlinkError, Socket};
use crate::cidr::Cidr;

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
pub(super) const RTM_GETROUTE: u16 = 26;
/// struct rtmsg: family, length of destination and of source, type of service, table, protocol, scope, type, flags.
pub(super) const FIXED_BYTES: usize = 12;

pub(super) const RTA_DST: u16 = 1;
pub(super) const RTA_SRC: u16 = 2;
const RTA_OIF: u16 = 4;
pub(super) const RTA_MARK: u16 = 16;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTA_MULTIPATH: u16 = 9;
const RTA_CACHEINFO: u16 = 12;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTA_PREF: u16 = 20;

const RTAX_MTU: u16 = 2;
const RTAX_HOPLIMIT: u16 = 10;

const RTNH_F_ONLINK: u32 = 4;
/// struct rtnexthop: length, flags, weight less one, index.
const HOP_BYTES: usize = 8;
/// The route is a copy that was made for one destination, not a configured one.
const RTM_F_CLONED: u32 = 0x200;
/// RT_TABLE_MAIN
pub(super) const MAIN: u32 = 254;
/// RTN_UNICAST
pub const UNICAST: u8 = 1;
/// RTN_LOCAL
const LOCAL: u8 = 2;
const BROADCAST: u8 = 3;
/// RTN_ANYCAST
pub const ANYCAST: u8 = 4;
const MULTICAST: u8 = 5;
/// RTPROT_RA: the kernel takes and leaves such a route as a router tells it.
const FROM_A_ROUTER: u8 = 9;
/// linux/rtnetlink.h: RT_SCOPE_LINK, for what is on the link itself.
const SCOPE_LINK: u8 = 253;

/// A route, as `ip route show table all` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where it leads; a default route leads to all, `/0`.
    pub destination: Cidr,
    /// The router that is next.
    pub gateway: Option<IpAddr>,
    /// The index of the link.
    pub index: Option<u32>,
    /// The address that our own packets have.
    pub source: Option<IpAddr>,
    /// Of several the least wins.
    pub metric: u32,
    /// Which table, 254 being the main one.
    pub table: u32,
    /// What made it: rtnetlink(7), rtm_protocol.
    pub protocol: u8,
    /// How far it leads: rtnetlink(7), rtm_scope.
    pub scope: u8,
    /// RTN_*: 1 for an ordinary route.
    pub kind: u8,
    /// Whether the router is on the link whatever its address is.
    pub on_link: bool,
    /// Of a route that several links or routers share, each of them.
    pub hops: Vec<NextHop>,
    /// Whether this is all there is to it, so that one made of this would be the same.
    pub is_plain: bool,
}

/// One of several ways that a route has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextHop {
    /// The router that is next.
    pub gateway: Option<IpAddr>,
    /// The index of the link.
    pub index: u32,
    /// Its share, 1 or more.
    pub weight: u16,
}

/// How packets go to one destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RouteLookup {
    /// The index of the link.
    pub index: Option<u32>,
    /// The router that is next; `None` for what is on the link itself.
    pub gateway: Option<IpAddr>,
    /// The address that they would have.
    pub source: Option<IpAddr>,
    /// Whether they never leave: the address is one of the namespace's own.
    pub is_local: bool,
    /// Whether they are for all on the link, or for a group there.
    pub is_group: bool,
    /// The greatest packet, in bytes, where the route says so or a router has said so.
    pub mtu_bytes: Option<u32>,
    /// Whether a router has said so: the kernel remembers it for some minutes.
    pub is_mtu_learned: bool,
    /// The TTL, or hop limit, that our own packets have, where the route says so.
    pub hop_limit: Option<u8>,
}

impl RouteLookup {
    pub(super) fn read(payload: &[u8]) -> Result<Self, MalformedMessage> {
        let (family, kind) = (payload.first(), payload.get(7));
        let (family, kind) = (*family.ok_or(MalformedMessage::Short)?, *kind.ok_or(MalformedMessage::Short)?);
        let is_group = matches!(kind, BROADCAST | MULTICAST);
        let mut found = RouteLookup { is_local: kind == LOCAL, is_group, ..RouteLookup::default() };
        for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
            match attribute? {
                (RTA_OIF, value) => found.index = Some(number(value)?),
                (RTA_GATEWAY, value) => found.gateway = ip(family, value),
                (RTA_VIA, value) => found.gateway = via(value),
                (RTA_PREFSRC, value) => found.source = ip(family, value),
                (RTA_METRICS, value) => {
                    found.mtu_bytes = metric(value, RTAX_MTU)?;
                    found.hop_limit =
                        metric(value, RTAX_HOPLIMIT)?.and_then(|limit| u8::try_from(limit).ok());
                }
                (RTA_CACHEINFO, value) => found.is_mtu_learned = expires(value),
                _ => {}
            }
        }
        found.is_mtu_learned &= found.mtu_bytes.is_some();
        Ok(found)
    }
}

/// One of the metrics of a route, where it has it.
fn metric(metrics: &[u8], wanted: u16) -> Result<Option<u32>, MalformedMessage> {
    for attribute in attributes(metrics) {
        let (kind, value) = attribute?;
        if kind == wanted {
            return Ok(Some(number(value)?).filter(|metric| *metric != 0));
        }
    }
    Ok(None)
}

/// Whether what was looked up is remembered for some time only: the third number of struct rta_cacheinfo.
fn expires(cache: &[u8]) -> bool {
    cache.get(8..12).is_some_and(|expires| expires != [0; 4])
}

/// struct rtvia: the family of the router's address, which may be another one (RFC 5549), and the address.
fn via(value: &[u8]) -> Option<IpAddr> {
    let family = u16::from_ne_bytes(value.get(..2)?.try_into().ok()?);
    ip(u8::try_from(family).ok()?, value.get(2..)?)
}

/// A route that is to be, or to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewRoute {
    /// Where it leads.
    pub destination: Cidr,
    /// The router that is next; on the link itself if `None`.
    pub gateway: Option<IpAddr>,
    /// The index of the link.
    pub index: u32,
    /// The address that our own packets have.
    pub source: Option<IpAddr>,
    /// Of several the least wins; 0 is the kernel's choice (IPv4 0, IPv6 1024).
    pub metric: u32,
    /// Which table.
    pub table: u32,
    /// What makes it: rtnetlink(7), rtm_protocol.
    pub protocol: u8,
    /// How far it leads; `None`: as far as one such leads.
    pub scope: Option<u8>,
    /// RTN_*: 1 for an ordinary route.
    pub kind: u8,
    /// Whether the router is on the link whatever its address is.
    pub on_link: bool,
}

/// rtnetlink(7), RTPROT_BOOT: who made it does not say what it is.
const BOOT: u8 = 3;

impl Route {
    /// One that `ip route add` makes of a destination and a link. For planned routes and tests, which set what they need.
    pub fn plain(destination: Cidr, index: u32) -> Self {
        Route {
            destination,
            gateway: None,
            index: Some(index),
            source: None,
            metric: 0,
            table: MAIN,
            protocol: BOOT,
            scope: 0,
            kind: UNICAST,
            on_link: false,
            hops: Vec::new(),
            is_plain: true,
        }
    }

    /// Whether it leads to everywhere.
    pub fn is_default(&self) -> bool {
        self.destination.prefix_len() == 0
    }

    /// Whether it is an ordinary one of the main table.
    pub fn is_ordinary(&self) -> bool {
        self.table == MAIN && self.is_unicast()
    }

    /// Whether packets go to another host: it neither refuses them nor delivers them here.
    pub fn is_unicast(&self) -> bool {
        self.kind == UNICAST
    }

    /// Reads the payload of an RTM_NEWROUTE; `None` for one of a family that is neither IPv4 nor IPv6, and for one
    /// that nobody configured.
    pub(super) fn read(payload: &[u8]) -> Result<Option<Self>, MalformedMessage> {
        let &[family, prefix_len, source_len, tos, table, protocol, scope, kind, ..] = payload else {
            return Err(MalformedMessage::Short);
        };
        let flags = u32_at(payload, 8).ok_or(MalformedMessage::Short)?;
        let unspecified: IpAddr = match i32::from(family) {
            libc::AF_INET => Ipv4Addr::UNSPECIFIED.into(),
            libc::AF_INET6 => Ipv6Addr::UNSPECIFIED.into(),
            _ => return Ok(None),
        };
        let (mut destination, mut is_plain) = (unspecified, source_len == 0 && tos == 0 && kind == UNICAST);
        is_plain &= protocol != FROM_A_ROUTER;
        let mut hops = Vec::new();
        let (mut gateway, mut index, mut source, mut metric, mut table) =
            (None, None, None, 0, u32::from(table));
        for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
            match attribute? {
                (RTA_DST, value) => destination = ip(family, value).ok_or(MalformedMessage::Short)?,
                (RTA_GATEWAY, value) => gateway = ip(family, value),
                (RTA_OIF, value) => index = Some(number(value)?),
                (RTA_PREFSRC, value) => source = ip(family, value),
                (RTA_PRIORITY, value) => metric = number(value)?,
                (RTA_TABLE, value) => table = number(value)?,
                // Statistics, and a preference that is medium unless a router said otherwise.
                (RTA_CACHEINFO, _) | (RTA_PREF, [0, ..]) => {}
                (RTA_MULTIPATH, value) => {
                    is_plain = false;
                    hops = next_hops(family, value)?;
                }
                _ => is_plain = false,
            }
        }
        if flags & RTM_F_CLONED != 0 {
            return Ok(None);
        }
        let destination = Cidr::new(destination, prefix_len).ok_or(MalformedMessage::Short)?;
        is_plain &= index.is_some();
        let on_link = flags & RTNH_F_ONLINK != 0;
        Ok(Some(Route {
            destination,
            gateway,
            index,
            source,
            metric,
            table,
            protocol,
            scope,
            kind,
            on_link,
            hops,
            is_plain,
        }))
    }
}

/// The nexthops of RTA_MULTIPATH: each is a header of its own with attributes behind it.
fn next_hops(family: u8, mut rest: &[u8]) -> Result<Vec<NextHop>, MalformedMessage> {
    let mut hops = Vec::new();
    while !rest.is_empty() {
        let length = rest.first_chunk().map(|two| usize::from(u16::from_ne_bytes(*two)));
        let length = length.filter(|length| *length >= HOP_BYTES).ok_or(MalformedMessage::Short)?;
        let hop = rest.get(..length).ok_or(MalformedMessage::Short)?;
        let mut gateway = None;
        for attribute in attributes(&hop[HOP_BYTES..]) {
            match attribute? {
                (RTA_GATEWAY, value) => gateway = ip(family, value),
                (RTA_VIA, value) => gateway = via(value),
                _ => {}
            }
        }
        let index = u32_at(hop, 4).ok_or(MalformedMessage::Short)?;
        hops.push(NextHop { gateway, index, weight: u16::from(hop[3]) + 1 });
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(hops)
}

/// The scope of a route without one: as in ip-route(8). IPv6 has no scopes.
pub fn usual_scope(destination: Cidr, gateway: Option<IpAddr>) -> u8 {
    if gateway.is_some() || destination.address().is_ipv6() { 0 } else { SCOPE_LINK }
}

impl NewRoute {
    fn request(&self, kind: u16, flags: u16) -> NetlinkRequest {
        let family = family_of(self.destination.address());
        let table = u8::try_from(self.table).unwrap_or(0);
        let scope = self.scope.unwrap_or(usual_scope(self.destination, self.gateway));
        let flags_of_route = if self.on_link { RTNH_F_ONLINK } else { 0 };
        let fixed = [family, self.destination.prefix_len(), 0, 0, table, self.protocol, scope, self.kind];
        let fixed = [&fixed[..], &flags_of_route.to_ne_bytes()].concat();
        let mut request = NetlinkRequest::new("route", kind, flags, &fixed)
            .with_u32(RTA_OIF, self.index)
            .with_u32(RTA_TABLE, self.table);
        if self.destination.prefix_len() > 0 {
            request = request.with_ip(RTA_DST, self.destination.address());
        }
        if let Some(gateway) = self.gateway {
            request = request.with_ip(RTA_GATEWAY, gateway);
        }
        if let Some(source) = self.source {
            request = request.with_ip(RTA_PREFSRC, source);
        }
        if self.metric > 0 {
            request = request.with_u32(RTA_PRIORITY, self.metric);
        }
        request
    }
}

/// Asks for all routes of all tables.
pub(super) fn request(flags: u16) -> NetlinkRequest {
    NetlinkRequest::new("routes", RTM_GETROUTE, flags, &[0; FIXED_BYTES])
}

impl Socket {
    /// All IPv4 and IPv6 routes of the namespace.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn routes(&mut self) -> Result<Vec<Route>, NetlinkError> {
        Ok(self.dump(request, Route::read)?.into_iter().flatten().collect())
    }

    /// The index of the link through which the namespace would send to `address`; `None` if it has no route.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn link_to(&mut self, address: IpAddr) -> Result<Option<u32>, NetlinkError> {
        self.index_of(address, None)
    }

    /// The same for packets from `source`, an address of the namespace's own.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn link_from(&mut self, source: IpAddr, address: IpAddr) -> Result<Option<u32>, NetlinkError> {
        self.index_of(address, Some(source))
    }

    fn index_of(&mut self, address: IpAddr, from: Option<IpAddr>) -> Result<Option<u32>, NetlinkError> {
        match self.route_lookup(address, None, from) {
            Ok(found) => Ok(found.index),
            Err(NetlinkError::Refused { errno: Errno::ENETUNREACH | Errno::EHOSTUNREACH, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How the namespace would send to `address`, through the link of that index and from that address where they are
    /// given: what `ip route get` says.
    ///
    /// # Errors
    /// [`NetlinkError`]: `Refused` with ENETUNREACH if it has no route; with EHOSTUNREACH, EACCES or EINVAL where a
    /// route says unreachable, prohibit or blackhole.
    pub fn route_lookup(
        &mut self,
        address: IpAddr,
        through: Option<u32>,
        from: Option<IpAddr>,
    ) -> Result<RouteLookup, NetlinkError> {
        self.marked_route_lookup(address, through, from, None)
    }

    /// The same for packets with a firewall mark, which routing rules may ask for.
    ///
    /// # Errors
    /// As [`route_lookup`](Socket::route_lookup).
    pub fn marked_route_lookup(
        &mut self,
        address: IpAddr,
        through: Option<u32>,
        from: Option<IpAddr>,
        mark: Option<u32>,
    ) -> Result<RouteLookup, NetlinkError> {
        let request = |flags| {
            let source_len = from.map_or(0, |from| Cidr::host(from).prefix_len());
            let mut fixed = [0; FIXED_BYTES];
            fixed[..3].copy_from_slice(&[family_of(address), Cidr::host(address).prefix_len(), source_len]);
            let mut request =
                NetlinkRequest::new("route lookup", RTM_GETROUTE, flags, &fixed).with_ip(RTA_DST, address);
            if let Some(from) = from {
                request = request.with_ip(RTA_SRC, from);
            }
            if let Some(through) = through {
                request = request.with_u32(RTA_OIF, through);
            }
            if let Some(mark) = mark {
                request = request.with_u32(RTA_MARK, mark);
            }
            request
        };
        self.one(request, RouteLookup::read)
    }

    /// Makes a route.
    ///
    /// # Errors
    /// [`NetlinkError`]: EEXIST if there is one with that destination and metric.
    pub fn add_route(&mut self, route: &NewRoute) -> Result<(), NetlinkError> {
        self.change(|flags| route.request(RTM_NEWROUTE, flags | flag::CREATE | flag::EXCLUSIVE))
    }

    /// Deletes a route.
    ///
    /// # Errors
    /// [`NetlinkError`]: ESRCH if there is none such.
    pub fn delete_route(&mut self, route: &NewRoute) -> Result<(), NetlinkError> {
        self.change(|flags| route.request(RTM_DELROUTE, flags))
    }
}
