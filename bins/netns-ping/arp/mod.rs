//! ARP and neighbour discovery: asks which host has an address, looks for duplicates, announces.

mod announce;
mod duplicate;
mod report;
mod tally;
mod target;
mod task;

use std::net::IpAddr;

use common::failure::{Failure, Status};
use common::netlink::RouteLookup;
use common::target::{Dest, DestHost};

use crate::network::holders::MacHolders;
use crate::network::neighbours::{ContainerLinks, NeighbourLink};
use crate::network::netns::TargetNetns;
use crate::report::verdict;
use crate::request::{ArpMode, ArpRequest};
use crate::resolve::destination::{AddressSource, Destination};
use crate::resolve::{self, ContainerRoutes};
use report::Report;

/// Asks the neighbours, or tells them.
pub fn arp(request: &ArpRequest) -> Result<Status, Failure> {
    let endpoints = &request.endpoints;
    let dests = endpoints.dests.iter().map(ToString::to_string);
    verdict::of_failure(request.json, &endpoints.target.to_string(), dests, ask(request))
}

fn ask(request: &ArpRequest) -> Result<Status, Failure> {
    let endpoints = &request.endpoints;
    let inside = TargetNetns::find(&endpoints.target, &endpoints.find)?;
    let holders = MacHolders::seen_from(&inside, &endpoints.find.engines);
    let (resolved, net) = resolve::all(endpoints, &inside)?;
    let resolved = endpoints.dests.iter().zip(resolved);
    let to = resolved.map(|(dest, resolved)| resolved.or_else(|why| insisted(dest, why.failure, &net)));
    let to = to.collect::<Result<Vec<Destination>, Failure>>()?;
    let links = ContainerLinks::take(&inside)?;
    match &request.mode {
        ArpMode::Ask(config) => {
            let asked = to.iter().map(|to| Ok((to.clone(), on_link(to, &links, &net)?)));
            let asked = asked.collect::<Result<_, Failure>>()?;
            task::ask(asked, &inside, *config, Report::new(&inside.name, &holders, request))
        }
        ArpMode::Duplicate { waits } => {
            let asked = to.iter().map(|to| {
                let via = match links.own(to.address) {
                    Some(index) => links.neighbour_link(index, to.address, None)?,
                    None => on_link(to, &links, &net)?,
                };
                Ok((to.clone(), via))
            });
            duplicate::look(asked.collect::<Result<_, Failure>>()?, waits, &inside, &holders, request)
        }
        ArpMode::Announce { times, interval } => {
            announce::announce(&to, (*times, *interval), &links, &inside, request)
        }
    }
}

/// With `-I` and a link an address needs no route: wrong routes may be what the user looks for.
fn insisted(dest: &Dest, why: Failure, net: &ContainerRoutes) -> Result<Destination, Failure> {
    let (Dest::Host(DestHost::Address(address, _)), Some((link, index))) = (dest, &net.origin.link) else {
        return Err(why);
    };
    let route = RouteLookup { index: Some(*index), ..RouteLookup::default() };
    let (word, link) = (dest.to_string(), link.to_string());
    Ok(Destination {
        name: word.clone(),
        word,
        address: *address,
        known: AddressSource::Typed,
        route,
        link,
        container: None,
    })
}

/// The link of `to`. An address that cannot answer is refused: ARP ends at the first router.
fn on_link(
    to: &Destination,
    links: &ContainerLinks,
    net: &ContainerRoutes,
) -> Result<NeighbourLink, Failure> {
    let (address, route) = (to.address, &to.route);
    if to.is_group() {
        return Err(Failure::failed(
            address,
            "is a multicast or broadcast address, which no single host has",
        ));
    }
    if let Some((_, index)) = &net.origin.link {
        return links.neighbour_link(*index, address, source(to, net));
    }
    if route.is_local {
        return Err(Failure::failed(
            address,
            format_args!("is an address of {} itself (--dad asks whether another host has it)", links.name),
        )
        .hint(common::hint!("netns-ping --dad {} {}", links.target, address)));
    }
    if let Some(router) = route.gateway {
        let what =
            format_args!("is behind the router {router} on {}, and only hosts on the link answer", to.link);
        return Err(Failure::failed(address, what).hint(common::hint!(
            "netns-ping --arp {} {}",
            links.target,
            router
        )));
    }
    let index = route.index.ok_or_else(|| Failure::failed(address, "no interface leads there"))?;
    links.neighbour_link(index, address, source(to, net))
}

fn source(to: &Destination, net: &ContainerRoutes) -> Option<IpAddr> {
    let wanted = net.origin.address.filter(|wanted| wanted.is_ipv4() == to.address.is_ipv4());
    // With -I the kernel names an address even where the link has none.
    wanted.or(to.route.source.filter(|_| net.origin.link.is_none()))
}
