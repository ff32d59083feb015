//! How a container looks up names: its files, and its name servers.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::time::Duration;

use super::Families;
use super::dns_server::{DnsServer, ReachedServer};
use super::files::{NameSource, NameSourceKind, ResolvConf, in_hosts, name_sources};
use super::question;
use crate::failure::{Failure, Status};
use crate::output::one_line;
use crate::process::Process;
use crate::target::{HostName, LinkName};
use crate::view::{CLibrary, KnownLibrary, Resolver, ViewError};

/// Whose files say how names are looked up.
#[derive(Debug, Clone, Copy)]
pub struct NameOrigin<'a> {
    /// The process in whose root they are.
    pub process: Option<&'a Process>,
    /// The name under `/run/netns`, for which `/etc/netns` may have such files.
    pub link: Option<&'a LinkName>,
}

/// The network from which name servers are asked.
pub trait NameNetwork {
    /// Does `what` in that network.
    ///
    /// # Errors
    /// When it cannot be entered; and what `what` says.
    fn inside<T>(&self, what: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure>;

    /// The index of the link with this name there; 0 if there is none.
    fn index_of(&self, name: &str) -> u32;
}

/// The addresses of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAnswer {
    /// All of the wanted families.
    pub addresses: Vec<IpAddr>,
    /// The name server that said so; nothing where `/etc/hosts` has them.
    pub server: Option<IpAddr>,
}

/// The container's files, and sockets to its servers, opened when the first name is not in them.
#[derive(Debug)]
pub struct NameLookup {
    hosts: Vec<u8>,
    conf: ResolvConf,
    /// Where names are looked up, in this order.
    sources: Vec<NameSource>,
    servers: OnceCell<Vec<ReachedServer>>,
    /// As which C library names are looked up, and why that one.
    pub library: KnownLibrary,
}

impl NameLookup {
    /// Reads the files.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(origin: NameOrigin<'_>) -> Result<Self, ViewError> {
        let files = match (origin.process, origin.link) {
            (Some(process), _) => Resolver::of_process(process),
            (None, Some(name)) => match Resolver::of_netns(name) {
                Err(ViewError::NoConfiguration(_)) => Resolver::of_host(),
                files => files,
            },
            (None, None) => Resolver::of_host(),
        };
        let files = files?;
        let known = origin.process.map_or(KnownLibrary::OF_HOST, KnownLibrary::of_process);
        // musl has no nsswitch.conf. Without a process it is the host's, whose services are the host's daemons.
        let nsswitch = match (origin.process, known.library) {
            (Some(process), CLibrary::Glibc) => Resolver::nsswitch_of(process)?,
            _ => Vec::new(),
        };
        Ok(NameLookup {
            hosts: files.hosts().to_vec(),
            conf: ResolvConf::read(files.resolv_conf(), known.library),
            sources: name_sources(&nsswitch),
            servers: OnceCell::new(),
            library: known,
        })
    }

    /// All addresses of a name, of the wanted families. It takes no longer than `deadline`, nor than 20 seconds.
    ///
    /// # Errors
    /// Why there are none.
    pub fn addresses(
        &self,
        name: &HostName,
        families: Families,
        network: &impl NameNetwork,
        deadline: Option<Duration>,
    ) -> Result<NameAnswer, Failure> {
        let mut failure = None;
        for source in &self.sources {
            match source.kind {
                NameSourceKind::Files => {
                    let mut here = in_hosts(&self.hosts, name.as_ascii());
                    here.retain(|address| families.has(*address));
                    if !here.is_empty() {
                        return Ok(NameAnswer { addresses: here, server: None });
                    }
                }
                NameSourceKind::Dns => match self.ask(name, families, network, deadline) {
                    Ok(found) => return Ok(found),
                    Err(error) => failure = Some(error),
                },
            }
            if source.is_last {
                break;
            }
        }
        let about = one_line(&name.to_string()).into_owned();
        Err(failure.unwrap_or_else(|| {
            let what = "is not in its /etc/hosts, and its /etc/nsswitch.conf has no name server asked";
            Failure::said(Status::Failed, format_args!("{about}: {what}"))
        }))
    }

    fn ask(
        &self,
        name: &HostName,
        families: Families,
        network: &impl NameNetwork,
        deadline: Option<Duration>,
    ) -> Result<NameAnswer, Failure> {
        let servers = match self.servers.get() {
            Some(servers) => servers,
            None => {
                let opened = network.inside(|| Ok(self.connect(network)))?;
                self.servers.get_or_init(|| opened)
            }
        };
        let timeout = deadline.map_or(question::TIMEOUT, |deadline| deadline.min(question::TIMEOUT));
        let look_up = || question::look_up(&self.conf, servers, name.as_ascii(), families, timeout);
        let found =
            network.inside(|| look_up().map_err(|error| error.about(&one_line(&name.to_string()))))?;
        Ok(NameAnswer { addresses: found.addresses, server: Some(found.server) })
    }

    fn connect(&self, network: &impl NameNetwork) -> Vec<ReachedServer> {
        let servers = self.conf.servers.iter().map(|(address, link)| {
            let index = link.as_ref().map_or(0, |link| network.index_of(link));
            DnsServer::connect(*address, index).map_err(|error| (*address, error))
        });
        servers.collect()
    }
}
