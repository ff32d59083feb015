//! Addresses of one end, whichever kind of link it is.

use std::net::IpAddr;

use common::cidr::Cidr;
use common::failure::Failure;
use common::target::IfName;

use super::Basis;
use crate::step::{Held, Place, Step};

/// An address; one that is alone in its network has the other end's as its peer, which makes a route to that.
pub(super) fn held(
    place: Place,
    link: &IfName,
    cidr: Cidr,
    mut others: impl Iterator<Item = IpAddr>,
) -> Held {
    let peer = match cidr.is_host() {
        true => others.find(|other| other.is_ipv4() == cidr.address().is_ipv4()),
        false => None,
    };
    Held { place, link: link.clone(), cidr, peer }
}

/// The step that lets a new link have IPv6 addresses, where new links may not: engines switch it off in containers
/// whose own network has none.
pub(super) fn allow_ipv6(
    place: Place,
    link: &IfName,
    addresses: &[Cidr],
    basis: &Basis<'_>,
) -> Result<Option<Step>, Failure> {
    let Some(six) = addresses.iter().find(|cidr| cidr.address().is_ipv6()) else { return Ok(None) };
    let (side, whose) = match place {
        Place::Outside => (&basis.snapshot.outside, "the host"),
        Place::Inside => (&basis.snapshot.inside, basis.who()),
    };
    match side.allows_ipv6 {
        Some(true) => Ok(None),
        // A bridge that is there has what its owner wants, and the kernel will say so.
        Some(false) if side.link(link.as_str()).is_some() => Ok(None),
        Some(false) => Ok(Some(Step::AllowIpv6 { place, link: link.clone() })),
        None => Err(Failure::trouble(
            six,
            format_args!("the kernel has no IPv6, or /proc/sys of {whose} is hidden"),
        )),
    }
}
