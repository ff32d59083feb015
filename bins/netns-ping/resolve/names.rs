//! How the container looks up names: its files, and its name servers.

use std::cell::OnceCell;
use std::net::IpAddr;

use common::failure::{Failure, Status, say};
use common::find::{Purpose, find};
use common::hint::Hint;
use common::output::one_line;
use common::target::{HostName, Target};
use common::view::{CLibrary, KnownLibrary, Resolver, ViewError};

use super::destination::AddressSource;
use super::dns;
use super::dns_server::{DnsServer, Reached};
use super::files::{NameSource, NameSourceKind, ResolvConf, in_hosts, name_sources};
use super::routes::ContainerRoutes;
use crate::network::netns::TargetNetns;
use crate::request::{Families, ProbeEndpoints};
use crate::tool::TOOL;

/// The container's files, and sockets to its servers, opened when the first name is not in them.
#[derive(Debug)]
pub struct NameLookup {
    hosts: Vec<u8>,
    conf: ResolvConf,
    /// Where names are looked up, in this order.
    sources: Vec<NameSource>,
    servers: OnceCell<Vec<Reached>>,
}

impl NameLookup {
    /// Reads the files.
    pub fn read(inside: &TargetNetns, is_verbose: bool) -> Result<Self, Failure> {
        let files = match (&inside.process, &inside.link) {
            (Some(process), _) => Resolver::of_process(process),
            (None, Some(name)) => match Resolver::of_netns(name) {
                Err(ViewError::NoConfiguration(_)) => Resolver::of_host(),
                files => files,
            },
            (None, None) => Resolver::of_host(),
        };
        let files = files?;
        let KnownLibrary { library, why } =
            inside.process.as_ref().map_or(KnownLibrary::OF_HOST, KnownLibrary::of_process);
        if is_verbose {
            say(TOOL, format_args!("names are looked up as {library} does ({why})"));
        }
        // musl has no nsswitch.conf. Without a process it is the host's, whose services are the host's daemons.
        let nsswitch = match (&inside.process, library) {
            (Some(process), CLibrary::Glibc) => Resolver::nsswitch_of(process)?,
            _ => Vec::new(),
        };
        Ok(NameLookup {
            hosts: files.hosts().to_vec(),
            conf: ResolvConf::read(files.resolv_conf(), library),
            sources: name_sources(&nsswitch),
            servers: OnceCell::new(),
        })
    }

    /// All addresses of a name, of the wanted families and those that packets can leave from.
    pub fn addresses(
        &self,
        name: &HostName,
        net: &ContainerRoutes,
        inside: &TargetNetns,
        endpoints: &ProbeEndpoints,
    ) -> Result<(Vec<IpAddr>, AddressSource), Failure> {
        let from = |is_ipv4| net.origin.address.is_none_or(|source| source.is_ipv4() == is_ipv4);
        let Families { v4, v6 } = endpoints.families;
        let families = Families { v4: v4 && from(true), v6: v6 && from(false) };
        let mut failure = None;
        for source in &self.sources {
            match source.kind {
                NameSourceKind::Files => {
                    let mut here = in_hosts(&self.hosts, name.as_ascii());
                    here.retain(|address| families.has(*address));
                    if !here.is_empty() {
                        return Ok((here, AddressSource::Hosts));
                    }
                }
                NameSourceKind::Dns => match self.ask(name, families, net, inside, endpoints) {
                    Ok(found) => return Ok((found.addresses, AddressSource::Server(found.server))),
                    Err(error) => failure = Some(error),
                },
            }
            if source.is_last {
                break;
            }
        }
        let about = one_line(&name.to_string()).into_owned();
        let failure = failure.unwrap_or_else(|| {
            let what = "is not in its /etc/hosts, and its /etc/nsswitch.conf has no name server asked";
            Failure::said(Status::Failed, format_args!("{about}: {what}"))
        });
        Err(failure.hint(container_called(name, inside, endpoints)))
    }

    fn ask(
        &self,
        name: &HostName,
        families: Families,
        net: &ContainerRoutes,
        inside: &TargetNetns,
        endpoints: &ProbeEndpoints,
    ) -> Result<dns::DnsAddresses, Failure> {
        let servers = match self.servers.get() {
            Some(servers) => servers,
            None => {
                let opened = inside.open(|| Ok::<_, Failure>(self.connect(net)))?;
                self.servers.get_or_init(|| opened)
            }
        };
        let timeout = endpoints.deadline.map_or(dns::TIMEOUT, |deadline| deadline.min(dns::TIMEOUT));
        let look_up = || dns::look_up(&self.conf, servers, name.as_ascii(), families, timeout);
        inside.open(|| look_up().map_err(|error| error.about(&one_line(&name.to_string()))))
    }

    fn connect(&self, net: &ContainerRoutes) -> Vec<Reached> {
        let servers = self.conf.servers.iter().map(|(address, link)| {
            let index = link.as_ref().map_or(0, |link| net.index_of(link));
            DnsServer::connect(*address, index).map_err(|error| (*address, error))
        });
        servers.collect()
    }
}

/// The command that pings the container of that name, if an engine has one: engines tell their containers' names to few name
/// servers, and Docker's default network has none (docker/cli#4492).
fn container_called(name: &HostName, inside: &TargetNetns, endpoints: &ProbeEndpoints) -> Option<Hint> {
    let word = name.to_string();
    let target: Target = word.trim_end_matches('.').parse().ok()?;
    let found = find(&target, Purpose::Look, &endpoints.find.engines).ok()?;
    let container = found.container.filter(|container| word.trim_end_matches('.') == container.name)?;
    common::hint!("netns-ping {} {}", inside.target, container.target())
}
