//! How the container looks up names: its files, and its name servers.

use std::cell::OnceCell;
use std::net::IpAddr;

use common::failure::Failure;
use common::output::one_line;
use common::view::{Resolver, ViewError};

use super::destination::AddressSource;
use super::dns::{self, DnsServer, Reached};
use super::files::{ResolvConf, in_hosts};
use super::routes::ContainerRoutes;
use crate::network::netns::TargetNetns;
use crate::request::{Families, ProbeEndpoints};

/// The container's files, and sockets to its servers, opened when the first name is not in them.
#[derive(Debug)]
pub struct NameLookup {
    hosts: Vec<u8>,
    conf: ResolvConf,
    servers: OnceCell<Vec<Reached>>,
}

impl NameLookup {
    /// Reads the files.
    pub fn read(inside: &TargetNetns) -> Result<Self, Failure> {
        let files = match (&inside.process, &inside.link) {
            (Some(process), _) => Resolver::of_process(process),
            (None, Some(name)) => match Resolver::of_netns(name) {
                Err(ViewError::NoConfiguration(_)) => Resolver::of_host(),
                files => files,
            },
            (None, None) => Resolver::of_host(),
        };
        let files = files?;
        Ok(NameLookup {
            hosts: files.hosts().to_vec(),
            conf: ResolvConf::read(files.resolv_conf()),
            servers: OnceCell::new(),
        })
    }

    /// All addresses of a name, of the wanted families and those that packets can leave from.
    pub fn addresses(
        &self,
        name: &str,
        net: &ContainerRoutes,
        inside: &TargetNetns,
        endpoints: &ProbeEndpoints,
    ) -> Result<(Vec<IpAddr>, AddressSource), Failure> {
        let from = |is_ipv4| net.origin.address.is_none_or(|source| source.is_ipv4() == is_ipv4);
        let Families { v4, v6 } = endpoints.families;
        let families = Families { v4: v4 && from(true), v6: v6 && from(false) };
        let mut here = in_hosts(&self.hosts, name);
        here.retain(|address| families.has(*address));
        if !here.is_empty() {
            return Ok((here, AddressSource::Hosts));
        }
        let servers = match self.servers.get() {
            Some(servers) => servers,
            None => {
                let opened = inside.open(|| Ok::<_, Failure>(self.connect(net)))?;
                self.servers.get_or_init(|| opened)
            }
        };
        let timeout = endpoints.deadline.map_or(dns::TIMEOUT, |deadline| deadline.min(dns::TIMEOUT));
        let look_up = || dns::look_up(&self.conf, servers, name, families, timeout);
        let found = inside.open(|| look_up().map_err(|error| error.about(&one_line(name))))?;
        Ok((found.addresses, AddressSource::Server(found.server)))
    }

    fn connect(&self, net: &ContainerRoutes) -> Vec<Reached> {
        let servers = self.conf.servers.iter().map(|(address, link)| {
            let index = link.as_ref().map_or(0, |link| net.index_of(link));
            DnsServer::connect(*address, index).map_err(|error| (*address, error))
        });
        servers.collect()
    }
}
