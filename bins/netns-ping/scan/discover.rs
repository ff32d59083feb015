//! An IPv6 network on a link, of which there are too many addresses to ask for each: all nodes are asked to answer, and
//! then for what they, and the containers of this host, may have in that network.
//!
//! A node answers the request of each of our addresses with the one of its own that fits best (RFC 6724), so of several in
//! one network one is seen. That its link-local one ends like another is usual (RFC 4291, appendix A); engines that number
//! containers do otherwise, so theirs are looked up.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::cidr::Cidr;
use common::failure::Failure;
use common::packet::neighbour::NeighbourSocket;
use common::packet::wait_for;
use nix::errno::Errno;

use super::results::ScanResults;
use super::socket::NO_ADDRESS;
use crate::network::neighbours::{ContainerLinks, NeighbourLink};

/// After each request, if nothing answers; answers come within milliseconds.
const TIMEOUT: Duration = Duration::from_millis(100);
const SILENCE: Duration = Duration::from_millis(20);
/// After each request, though answers never end.
const LONGEST: Duration = Duration::from_millis(300);
/// However many addresses answer, at most this many are taken as nodes.
const MOST: usize = 1 << 16;

/// Which addresses may be in the network, for each to be asked for.
pub fn candidates(
    socket: &mut NeighbourSocket,
    (via, network): (&NeighbourLink, &Cidr),
    (links, ident, tries): (&ContainerLinks, u16, u32),
    results: &mut ScanResults,
) -> Result<BTreeSet<IpAddr>, Failure> {
    let mut candidates = BTreeSet::new();
    let own: Vec<Ipv6Addr> =
        links.addresses.iter().filter(|own| own.index == via.index).filter_map(ipv6).collect();
    for _ in 0..tries {
        for source in &own {
            match socket.send(&[(NO_ADDRESS, via.sender.to_all_nodes(*source, ident))]) {
                Ok(_) | Err(Errno::EAGAIN | Errno::ENOBUFS) => {}
                Err(errno) => return Err(Failure::failed(&via.link, errno.desc())),
            }
        }
        let began = Instant::now();
        let mut until = began + TIMEOUT;
        loop {
            let mut heard = Vec::new();
            let _ = socket.receive(|one| heard.push(one));
            if !heard.is_empty() {
                until = (Instant::now() + SILENCE).min(began + LONGEST);
            }
            for one in heard {
                let claim = match one.claim {
                    Ok(claim) => claim,
                    Err(why) => {
                        results.invalid(why);
                        continue;
                    }
                };
                if candidates.len() < MOST {
                    candidates.extend(Some(claim.address).filter(|address| network.contains(*address)));
                    candidates.extend(like(claim.address, network));
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let _ = wait_for([socket.as_fd()], until);
        }
    }
    Ok(candidates)
}

fn ipv6(own: &common::netlink::Address) -> Option<Ipv6Addr> {
    match own.address {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    }
}

/// The address that ends as a link-local one does, in a network of the usual length.
fn like(address: IpAddr, network: &Cidr) -> Option<IpAddr> {
    let (IpAddr::V6(address), IpAddr::V6(prefix)) = (address, network.network().address()) else {
        return None;
    };
    let candidate = Ipv6Addr::from_bits(prefix.to_bits() | (address.to_bits() & u128::from(u64::MAX)));
    (network.prefix_len() == 64 && address.is_unicast_link_local()).then_some(candidate.into())
}
