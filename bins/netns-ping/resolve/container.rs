//! Another container as a DEST: its addresses, which are read in its own network.

use std::net::IpAddr;

use common::cli::FindSession;
use common::diagnose::Verdict;
use common::engine::{Container, ContainerState};
use common::failure::{Failure, Status};
use common::netlink::{Link, NetlinkError, Socket};
use common::netns::Home;
use common::target::Target;

use super::UnresolvedDest;
use super::destination::ContainerDest;
use crate::tool::TOOL;

/// Another container.
#[derive(Debug)]
pub struct OtherContainer {
    /// It, with its network.
    pub dest: ContainerDest,
}

impl OtherContainer {
    /// Finds it, and holds its network.
    pub fn find(target: &Target, find: &FindSession) -> Result<Self, Failure> {
        let found = find.find(TOOL, target)?;
        let (name, target) = match &found.container {
            Some(container) => (container.name.clone(), container.target()),
            None => (target.to_string(), target.to_string()),
        };
        let paused = found.container.as_ref().filter(|it| it.state == ContainerState::Paused);
        let paused = paused.map(Container::unpause_hint);
        let (process, netns) = found.into_both()?;
        Ok(OtherContainer { dest: ContainerDest { name, target, netns, process, paused } })
    }

    /// All that others could reach it by: on links that are up, in the order of these.
    ///
    /// # Errors
    /// Its network cannot be read, or all that it has is on links that are down.
    pub fn addresses(&self) -> Result<Vec<IpAddr>, UnresolvedDest> {
        let read = || {
            let mut socket = Socket::open()?;
            Ok::<_, NetlinkError>((socket.links()?, socket.addresses()?))
        };
        let ContainerDest { name, target, netns, .. } = &self.dest;
        let entered = Home::current().map_err(Failure::from)?.inside(netns, read);
        let entered = entered.map_err(|errno| {
            let why = errno.desc();
            Failure::failed(name, format_args!("{netns} cannot be entered: {why}"))
        })?;
        let (links, addresses) = entered.map_err(Failure::from)?;
        let of_others = addresses.iter().filter(|own| is_for_others(&own.address));
        let link_of = |index: u32| links.iter().find(|link| link.index == index);
        let (up, down): (Vec<_>, Vec<_>) =
            of_others.partition(|own| link_of(own.index).is_some_and(Link::is_set_up));
        if let (true, Some(first)) = (up.is_empty(), down.first()) {
            let link = link_of(first.index)
                .map_or_else(String::new, |link| link.name.to_string_lossy().into_owned());
            let verdict = Verdict::dest_link_down(name, target, &link);
            return Err(UnresolvedDest::of(target, verdict, Status::Failed));
        }
        Ok(up.into_iter().map(|own| own.address).collect())
    }
}

fn is_for_others(address: &IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !address.is_loopback() && !is_link_local
}
