//! Another container as a DEST: its addresses, which are read in its own network.

use std::net::IpAddr;

use common::cli::FindSession;
use common::failure::Failure;
use common::namespace::Namespace;
use common::netlink::{NetlinkError, Socket};
use common::netns::Home;
use common::target::Target;

use crate::tool::TOOL;

/// Another container.
#[derive(Debug)]
pub struct OtherContainer {
    /// Its name, or the TARGET.
    pub name: String,
    /// The TARGET that means it.
    pub target: String,
    netns: Namespace,
}

impl OtherContainer {
    /// Finds it, and holds its network.
    pub fn find(target: &Target, find: &FindSession) -> Result<Self, Failure> {
        let found = find.find(TOOL, target)?;
        let (name, target) = match &found.container {
            Some(container) => (container.name.clone(), container.target()),
            None => (target.to_string(), target.to_string()),
        };
        Ok(OtherContainer { name, target, netns: found.into_netns()? })
    }

    /// All that others could reach it by: on links that are up, in the order of these.
    pub fn addresses(&self) -> Result<Vec<IpAddr>, Failure> {
        let read = || {
            let mut socket = Socket::open()?;
            let up: Vec<u32> =
                socket.links()?.iter().filter(|link| link.is_set_up()).map(|link| link.index).collect();
            let addresses = socket.addresses()?.into_iter().filter(|address| up.contains(&address.index));
            Ok::<_, NetlinkError>(addresses.map(|address| address.address).filter(is_for_others).collect())
        };
        let entered = Home::current()?.inside(&self.netns, read);
        let entered = entered.map_err(|errno| {
            let why = errno.desc();
            Failure::failed(&self.name, format_args!("{} cannot be entered: {why}", self.netns))
        })?;
        Ok(entered?)
    }
}

fn is_for_others(address: &IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !address.is_loopback() && !is_link_local
}
