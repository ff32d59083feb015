//! Addresses of one end, whichever kind of link it is.

use std::net::{IpAddr, Ipv6Addr};

use common::cidr::Cidr;
use common::failure::Failure;
use common::target::{IfName, Mac};

use crate::model::change::{AddressSpec, PlanStep, Undo};
use crate::model::netns::Netns;
use crate::model::nic::Nic;
use crate::plan::input::PlanInput;

/// An address. A /32 or /128 gets the other end's address as its peer, which creates a route to it.
pub(super) fn address_spec(
    netns: Netns,
    link: &IfName,
    cidr: Cidr,
    mut others: impl Iterator<Item = IpAddr>,
) -> AddressSpec {
    let peer = match cidr.is_host() {
        true => others.find(|other| other.is_ipv4() == cidr.address().is_ipv4()),
        false => None,
    };
    AddressSpec { netns, link: link.clone(), cidr, peer, given: None }
}

/// The step that lets a new link have IPv6 addresses, where new links may not: engines switch it off in containers
/// whose own network has none.
pub(super) fn allow_ipv6(
    netns: Netns,
    link: &IfName,
    addresses: &[Cidr],
    input: &PlanInput<'_>,
) -> Result<Option<PlanStep>, Failure> {
    let Some(six) = addresses.iter().find(|cidr| cidr.address().is_ipv6()) else { return Ok(None) };
    let (side, whose) = (input.snapshot.side(netns), input.name_of(netns));
    match side.allows_ipv6 {
        Some(true) => Ok(None),
        // A bridge that is there has what its owner wants, and the kernel will say so.
        Some(false) if side.link(link.as_str()).is_some() => Ok(None),
        Some(false) => Ok(Some(PlanStep::AllowIpv6 { netns, link: link.clone() })),
        None => Err(Failure::failed(
            six,
            format_args!("the kernel has no IPv6, or /proc/sys of {whose} is hidden"),
        )),
    }
}

/// The steps that put a link to use that is in the container already: IPv6 allowed, up, its addresses. They go with their link.
pub(super) fn put_to_use(nic: &Nic, input: &PlanInput<'_>) -> Result<Vec<(PlanStep, Undo)>, Failure> {
    let allowed = allow_ipv6(Netns::Container, &nic.name, &nic.addresses, input)?;
    let up = PlanStep::SetUp { netns: Netns::Container, link: nic.name.clone() };
    let addresses = nic.addresses.iter().map(|cidr| {
        PlanStep::AddAddress(address_spec(Netns::Container, &nic.name, *cidr, std::iter::empty()))
    });
    Ok(allowed.into_iter().chain([up]).chain(addresses).map(|step| (step, Undo::WithItsLink)).collect())
}

/// The link-local address of a new link that has other IPv6 addresses, to be added before the link is up. The kernel would add
/// the same one, but with one or two seconds of duplicate address detection. Until that ends, it cannot resolve neighbours for
/// forwarded packets: traffic that is routed over the link would wait as long (ndisc_send_ns in net/ipv6/ndisc.c).
pub(super) fn link_local(netns: Netns, link: &IfName, mac: Mac, addresses: &[Cidr]) -> Option<PlanStep> {
    addresses.iter().find(|cidr| cidr.address().is_ipv6())?;
    let cidr = Cidr::new(eui64(mac).into(), 64)?;
    Some(PlanStep::AddAddress(AddressSpec { netns, link: link.clone(), cidr, peer: None, given: None }))
}

/// RFC 4291, appendix A: the bit of local administration the other way round, and ff:fe in the middle.
fn eui64(Mac([a, b, c, d, e, f]): Mac) -> Ipv6Addr {
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}
