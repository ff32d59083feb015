//! The names of DESTs, as the container looks them up.

use std::net::IpAddr;

use common::dns::{self, Families, NameNetwork, NameOrigin};
use common::failure::{Failure, say};
use common::find::{Purpose, find};
use common::hint::Hint;
use common::target::{HostName, Target};

use super::destination::AddressSource;
use super::routes::ContainerRoutes;
use crate::network::netns::TargetNetns;
use crate::request::ProbeEndpoints;
use crate::tool::TOOL;

/// The container's files, and its name servers.
#[derive(Debug)]
pub struct DestNames(dns::NameLookup);

/// The container's network, for the questions to its servers.
struct ServersNetwork<'a> {
    inside: &'a TargetNetns,
    net: &'a ContainerRoutes,
}

impl NameNetwork for ServersNetwork<'_> {
    fn inside<T>(&self, what: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        self.inside.open(what)
    }

    fn index_of(&self, name: &str) -> u32 {
        self.net.index_of(name)
    }
}

impl DestNames {
    /// Reads the files.
    pub fn read(inside: &TargetNetns, is_verbose: bool) -> Result<Self, Failure> {
        let origin = NameOrigin { process: inside.process.as_ref(), link: inside.link.as_ref() };
        let names = dns::NameLookup::read(origin)?;
        if is_verbose {
            let (library, why) = (names.library.library, &names.library.why);
            say(TOOL, format_args!("names are looked up as {library} does ({why})"));
        }
        Ok(DestNames(names))
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
        let network = ServersNetwork { inside, net };
        match self.0.addresses(name, families, &network, endpoints.deadline) {
            Ok(found) => {
                let known = found.server.map_or(AddressSource::Hosts, AddressSource::Server);
                Ok((found.addresses, known))
            }
            Err(failure) => Err(failure.hint(container_called(name, inside, endpoints))),
        }
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
