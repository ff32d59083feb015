//! ARP and neighbour discovery: who has an address, whether anybody has, and that we have.

mod announce;
mod ask;
mod duplicate;
mod report;
mod tally;

pub use report::{micros, remarks};

use std::net::IpAddr;

use common::failure::{Failure, Status};
use common::netlink::RouteLookup;

use crate::cli::Cli;
use crate::dest::Dest;
use crate::destination::{Destination, Known};
use crate::holder::Holders;
use crate::inside::Inside;
use crate::neighbourhood::{Neighbourhood, Scene};
use crate::resolve::{self, Sight};
use crate::wanted::{Arp, From};

/// Asks the neighbours, or tells them.
pub fn arp(arp: Arp, from: &From, cli: &Cli) -> Result<Status, Failure> {
    let inside = Inside::find(&from.target, cli)?;
    let holders = Holders::new(inside.netns.identity(), cli.find.engine_timeout);
    if !inside.is_open_to_us() {
        holders.look();
    }
    let (found, sight) = resolve::all(&from.dests, &inside, cli)?;
    let to =
        from.dests.iter().zip(found).map(|(dest, found)| found.or_else(|why| insisted(dest, why, &sight)));
    let to = to.collect::<Result<Vec<Destination>, Failure>>()?;
    let scene = Scene::take(&inside)?;
    match arp {
        Arp::WhoHas => {
            let asked = to.iter().map(|to| Ok((to.clone(), on_link(to, &scene, &sight)?)));
            ask::ask(asked.collect::<Result<_, Failure>>()?, &inside, &holders, cli)
        }
        Arp::Duplicate => {
            let asked = to.iter().map(|to| {
                let hood = match scene.own(to.address) {
                    Some(index) => scene.neighbourhood(index, to.address, None)?,
                    None => on_link(to, &scene, &sight)?,
                };
                Ok((to.clone(), hood))
            });
            duplicate::look(asked.collect::<Result<_, Failure>>()?, &inside, &holders, cli)
        }
        Arp::Announce => announce::announce(&to, &scene, &inside, cli),
    }
}

/// With `-I` and a link an address needs no route: wrong ones may be what somebody is after.
fn insisted(dest: &Dest, why: Failure, sight: &Sight) -> Result<Destination, Failure> {
    let (Dest::Address(address, _), Some((link, index))) = (dest, &sight.origin.link) else {
        return Err(why);
    };
    let way =
        RouteLookup { index: Some(*index), gateway: None, source: None, is_local: false, is_group: false };
    let (word, link) = (dest.to_string(), link.to_string());
    Ok(Destination { name: word.clone(), word, address: *address, known: Known::Typed, way, link })
}

/// Where the neighbours of `to` are. Nobody is asked in vain: ARP ends at the first router.
fn on_link(to: &Destination, scene: &Scene, sight: &Sight) -> Result<Neighbourhood, Failure> {
    let (address, way) = (to.address, &to.way);
    if let Some((_, index)) = &sight.origin.link {
        return scene.neighbourhood(*index, address, source(to, sight));
    }
    if way.is_local {
        return Err(Failure::trouble(address, format_args!("is an address of {} itself", scene.name)).hint(
            common::hint!("netns-ping --dad {} {} checks whether another host has it", scene.target, address),
        ));
    }
    if let Some(router) = way.gateway {
        let what =
            format_args!("is behind the router {router} on {}, and only hosts on the link answer", to.link);
        return Err(Failure::trouble(address, what).hint(common::hint!(
            "netns-ping --arp {} {}",
            scene.target,
            router
        )));
    }
    if address.is_multicast() || address == IpAddr::from([255; 4]) {
        return Err(Failure::trouble(
            address,
            "is a multicast or broadcast address, which no single host has",
        ));
    }
    let index = way.index.ok_or_else(|| Failure::trouble(address, "no interface leads there"))?;
    scene.neighbourhood(index, address, source(to, sight))
}

fn source(to: &Destination, sight: &Sight) -> Option<IpAddr> {
    let wanted = sight.origin.address.filter(|wanted| wanted.is_ipv4() == to.address.is_ipv4());
    // With -I the kernel names an address even where the link has none.
    wanted.or(to.way.source.filter(|_| sight.origin.link.is_none()))
}
