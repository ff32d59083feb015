//! What ties firewall rules to a link: a route that the kernel deletes with it, and that the rules look up.
//!
//! The address that a rule of NAT is about can be another link's an hour later, and nothing in nf_tables goes with a link. A
//! route does, whatever deletes the link. So each NIC with rules has a route of type anycast in the table `local`, to an address
//! that nobody has, through its own link on the host; and a rule first asks of which type that address is (`fib`, nft(8)), which
//! is `anycast` as long as the link is there.
//!
//! An IPv4 route of scope host stays while its link is down (fib_sync_down_dev in net/ipv4/fib_semantics.c). An IPv6 route never
//! does, and neither do the link's own IPv6 addresses (fib6_ifdown in net/ipv6/route.c).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use common::cidr::Cidr;
use common::target::IfName;
use serde::{Deserialize, Serialize};

/// RT_TABLE_LOCAL: the only one in which `fib` looks up types.
pub const LOCAL: u32 = 255;
/// RT_SCOPE_HOST, linux/rtnetlink.h
const SCOPE_HOST: u8 = 254;

/// One such route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkAnchor {
    /// The link of the host that is deleted with the NIC: its end of the pair, also where that is the port of a bridge.
    pub link: IfName,
    pub address: IpAddr,
}

/// The addresses of a NIC's anchors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchorAddresses {
    pub ipv4: Ipv4Addr,
    pub ipv6: Ipv6Addr,
}

impl AnchorAddresses {
    /// Those of the NIC with this random number: addresses that no host has. 240.0.0.0/4 is reserved (RFC 1112), and what is
    /// sent to 100::/64 is discarded (RFC 6666).
    pub fn of(id: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = id;
        let pair = |high, low| u16::from_be_bytes([high, low]);
        AnchorAddresses {
            ipv4: Ipv4Addr::new(240 + a % 15, b, c, d),
            ipv6: Ipv6Addr::new(0x100, 0, 0, 0, 0, pair(a, b), pair(c, d), pair(e, f & !3)),
        }
    }

    /// That of one family.
    pub fn of_family(&self, six: bool) -> IpAddr {
        if six { self.ipv6.into() } else { self.ipv4.into() }
    }
}

impl LinkAnchor {
    /// What the route leads to. Of IPv6 routes, the kernel calls the first address of a network anycast, if the network has more than
    /// two (ipv6_anycast_destination in include/net/ip6_route.h), and not a route that was added as one.
    pub fn network(&self) -> Cidr {
        let whole = Cidr::host(self.address);
        if self.address.is_ipv6() { Cidr::new(self.address, 126).unwrap_or(whole) } else { whole }
    }

    /// The scope of the route; IPv6 has none.
    pub fn scope(&self) -> Option<u8> {
        self.address.is_ipv4().then_some(SCOPE_HOST)
    }

    /// The command that deletes it.
    pub fn deleting(&self) -> String {
        let family = if self.address.is_ipv6() { "ip -6" } else { "ip" };
        format!("{family} route del anycast {} dev {} table local", self.network(), self.link)
    }

    /// The command that adds it.
    pub fn as_command(&self) -> String {
        let link = &self.link;
        match self.address {
            IpAddr::V4(address) => {
                format!("ip route add anycast {address} dev {link} table local scope host")
            }
            IpAddr::V6(_) => format!("ip -6 route add anycast {} dev {link} table local", self.network()),
        }
    }
}
