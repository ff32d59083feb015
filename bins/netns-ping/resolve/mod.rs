//! From a DEST to an address and the route there, as the container sees them.

mod container;
pub mod destination;
mod names;
mod routes;
mod unresolved;

use std::net::IpAddr;
use std::rc::Rc;

use common::diagnose::Cause;
use common::failure::{Failure, say};
use common::target::{Dest, DestHost};

use crate::network::netns::TargetNetns;
use crate::request::{Families, ProbeEndpoints};
use crate::tool::TOOL;
use container::OtherContainer;
use destination::{AddressSource, Destination};
use names::DestNames;
pub use routes::{ContainerRoutes, Origin};
pub use unresolved::UnresolvedDest;

/// What was found of each DEST, in the order in which they were typed.
pub type ResolvedDests = Vec<Result<Destination, UnresolvedDest>>;

/// Finds what each DEST means. What is of the host (other containers, files) is looked at first, and only then the
/// container's network entered.
///
/// # Errors
/// When the network cannot be looked at at all; what is wrong with one DEST is said in its place.
pub fn all(
    endpoints: &ProbeEndpoints,
    inside: &TargetNetns,
) -> Result<(ResolvedDests, ContainerRoutes), Failure> {
    let other = |dest: &Dest| match dest.host() {
        Some(DestHost::Container(target)) => Some(OtherContainer::find(target, &endpoints.find)),
        _ => None,
    };
    let others: Vec<_> = endpoints.dests.iter().map(other).collect();
    let needs_names = endpoints.dests.iter().any(|dest| matches!(dest.host(), Some(DestHost::Name(_))));
    let names = needs_names.then(|| DestNames::read(inside, endpoints.find.verbose));
    inside.settle()?;
    let net = ContainerRoutes::take(inside, endpoints)?;
    let resolver = DestResolver { names, net: &net, inside, endpoints };
    let dests = endpoints.dests.iter().zip(others);
    Ok((dests.map(|(dest, other)| resolver.resolve(dest, other)).collect(), net))
}

/// All that it takes to find what a DEST means.
struct DestResolver<'a> {
    names: Option<Result<DestNames, Failure>>,
    net: &'a ContainerRoutes,
    inside: &'a TargetNetns,
    endpoints: &'a ProbeEndpoints,
}

impl DestResolver<'_> {
    fn resolve(
        &self,
        dest: &Dest,
        other: Option<Result<OtherContainer, Failure>>,
    ) -> Result<Destination, UnresolvedDest> {
        let DestResolver { names, net, inside, endpoints } = self;
        let word = dest.to_string();
        let name = dest.host().map_or_else(|| word.clone(), ToString::to_string);
        match (dest.host(), other, names) {
            (Some(DestHost::Address(address, link)), ..) => {
                of_family(*address, endpoints.families)?;
                net.destination(word, name, *address, link.as_ref(), AddressSource::Typed)
            }
            (Some(DestHost::Gateway), ..) => {
                let (address, link) = net.gateway(endpoints.families)?;
                net.destination(word, name, address, link.as_ref(), AddressSource::Gateway)
            }
            (Some(DestHost::Container(_)), Some(other), _) => {
                let other = other?;
                let address = net.nearest(&other, endpoints.families)?;
                let known = AddressSource::Container(other.dest.target.clone());
                let to = net.destination(word, other.dest.name.clone(), address, None, known)?;
                Ok(Destination { container: Some(Rc::new(other.dest)), ..to })
            }
            (Some(DestHost::Name(host)), _, Some(names)) => {
                let unnamed = |failure| UnresolvedDest::because(Cause::Name, failure);
                let names = names.as_ref().map_err(|failure| unnamed(failure.clone()))?;
                let (addresses, known) = names.addresses(host, net, inside, endpoints).map_err(unnamed)?;
                let address =
                    net.best(&addresses).ok_or_else(|| unnamed(Failure::failed(&word, "has no address")))?;
                if endpoints.find.verbose {
                    let by = match &known {
                        AddressSource::Server(server) => format!("its name server {server}"),
                        _ => "its /etc/hosts".to_owned(),
                    };
                    say(TOOL, format_args!("{word} is {address}, according to {by}"));
                }
                net.destination(word, name, address, None, known)
            }
            _ => {
                Err(Failure::failed(word, "means many addresses, but only single addresses can be used here")
                    .into())
            }
        }
    }
}

fn of_family(address: IpAddr, families: Families) -> Result<(), Failure> {
    match address {
        _ if families.has(address) => Ok(()),
        IpAddr::V6(_) => Err(Failure::failed(address, "is an IPv6 address, but -4 was given")),
        IpAddr::V4(_) => Err(Failure::failed(address, "is an IPv4 address, but -6 was given")),
    }
}
