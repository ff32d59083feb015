//! From a DEST to an address and the way there, as it is seen from inside.

mod container;
mod dns;
mod files;
mod tcp;
mod view;

use std::cell::OnceCell;
use std::net::IpAddr;

use common::failure::{Failure, say};
use common::output::one_line;
use common::view::{Resolver, ViewError};

use crate::TOOL;
use crate::cli::Cli;
use crate::dest::Dest;
use crate::destination::{Destination, Known};
use crate::inside::Inside;
use container::Other;
use dns::{Kinds, Reached, Server};
use files::{ResolvConf, in_hosts};
pub use view::{Origin, Sight};

/// What was found of each DEST, in the order in which they were typed.
pub type Found = Vec<Result<Destination, Failure>>;

/// Finds what each DEST means. What is of the host (other containers, files) is looked at first, and only then the
/// container's network entered.
///
/// # Errors
/// When the network cannot be looked at at all; what is wrong with one DEST is said in its place.
pub fn all(dests: &[Dest], inside: &Inside, cli: &Cli) -> Result<(Found, Sight), Failure> {
    let others: Vec<Option<Result<Other, Failure>>> = dests
        .iter()
        .map(|dest| match dest {
            Dest::Container(target) => Some(Other::find(target, cli)),
            _ => None,
        })
        .collect();
    let needs_names = dests.iter().any(|dest| matches!(dest, Dest::Name(_)));
    let names = needs_names.then(|| Names::read(inside));
    inside.settle()?;
    let sight = Sight::take(inside, cli)?;
    let found =
        dests.iter().zip(others).map(|(dest, other)| one(dest, other, names.as_ref(), &sight, inside, cli));
    Ok((found.collect(), sight))
}

fn one(
    dest: &Dest,
    other: Option<Result<Other, Failure>>,
    names: Option<&Result<Names, Failure>>,
    sight: &Sight,
    inside: &Inside,
    cli: &Cli,
) -> Result<Destination, Failure> {
    let word = dest.to_string();
    let name = word.clone();
    match (dest, other, names) {
        (Dest::Address(address, link), ..) => {
            of_family(*address, cli)?;
            sight.destination(word, name, *address, link.as_ref(), Known::Typed)
        }
        (Dest::Gateway, ..) => {
            let (address, link) = sight.gateway(cli)?;
            sight.destination(word, name, address, link.as_ref(), Known::Gateway)
        }
        (Dest::Container(_), Some(other), _) => {
            let other = other?;
            let address = sight.nearest(&other, inside, cli)?;
            let known = Known::Container(other.target);
            sight.destination(word, other.name, address, None, known)
        }
        (Dest::Name(host), _, Some(names)) => {
            let names = names.as_ref().map_err(Clone::clone)?;
            let (addresses, known) = names.addresses(host.as_str(), sight, inside, cli)?;
            let address = sight.best(&addresses).ok_or_else(|| Failure::trouble(&word, "has no address"))?;
            if cli.find.verbose {
                let by = match &known {
                    Known::Server(server) => format!("its name server {server}"),
                    _ => "its /etc/hosts".to_owned(),
                };
                say(TOOL, format_args!("{word} is {address}, according to {by}"));
            }
            sight.destination(word, name, address, None, known)
        }
        _ => Err(Failure::trouble(word, "means many addresses, but only single addresses can be used here")),
    }
}

fn of_family(address: IpAddr, cli: &Cli) -> Result<(), Failure> {
    match (address.is_ipv4(), cli.ipv4, cli.ipv6) {
        (false, true, _) => Err(Failure::trouble(address, "is an IPv6 address, but -4 was given")),
        (true, _, true) => Err(Failure::trouble(address, "is an IPv4 address, but -6 was given")),
        _ => Ok(()),
    }
}

/// How the container looks up names: its files, and sockets to its servers, opened when the first name is not in them.
#[derive(Debug)]
struct Names {
    hosts: Vec<u8>,
    conf: ResolvConf,
    servers: OnceCell<Vec<Reached>>,
}

impl Names {
    fn read(inside: &Inside) -> Result<Self, Failure> {
        let files = match (&inside.process, &inside.link) {
            (Some(process), _) => Resolver::of_process(process),
            (None, Some(name)) => match Resolver::of_netns(name) {
                Err(ViewError::NoConfiguration(_)) => Resolver::of_host(),
                files => files,
            },
            (None, None) => Resolver::of_host(),
        };
        let files = files?;
        Ok(Names {
            hosts: files.hosts().to_vec(),
            conf: ResolvConf::read(files.resolv_conf()),
            servers: OnceCell::new(),
        })
    }

    fn addresses(
        &self,
        name: &str,
        sight: &Sight,
        inside: &Inside,
        cli: &Cli,
    ) -> Result<(Vec<IpAddr>, Known), Failure> {
        let from = |is_ipv4| sight.origin.address.is_none_or(|source| source.is_ipv4() == is_ipv4);
        let kinds = Kinds { v4: !cli.ipv6 && from(true), v6: !cli.ipv4 && from(false) };
        let wanted = |address: &IpAddr| if address.is_ipv4() { kinds.v4 } else { kinds.v6 };
        let here: Vec<IpAddr> = in_hosts(&self.hosts, name).into_iter().filter(wanted).collect();
        if !here.is_empty() {
            return Ok((here, Known::Hosts));
        }
        let servers = match self.servers.get() {
            Some(servers) => servers,
            None => {
                let opened = inside.open(|| Ok::<_, Failure>(self.connect(sight)))?;
                self.servers.get_or_init(|| opened)
            }
        };
        // Who waits for no answer longer than that waits for no name either.
        let patience = cli.deadline().map_or(dns::PATIENCE, |deadline| deadline.min(dns::PATIENCE));
        let look_up = || dns::look_up(&self.conf, servers, name, kinds, patience);
        let found = inside.open(|| look_up().map_err(|error| error.about(&one_line(name))))?;
        Ok((found.addresses, Known::Server(found.server)))
    }

    fn connect(&self, sight: &Sight) -> Vec<Reached> {
        let servers = self.conf.servers.iter().map(|(address, link)| {
            let index = link.as_ref().map_or(0, |link| sight.index_of(link));
            Server::connect(*address, index).map_err(|error| (*address, error))
        });
        servers.collect()
    }
}
