//! Acting on one step, through a socket in each namespace.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::IpAddr;

use common::failure::Failure;
use common::netlink::{Link, NetlinkError, NewAddress, NewBridge, NewRoute, NewVeth, Socket, VethEnd};
use common::target::IfName;
use nix::errno::Errno;

use crate::snapshot::{Sockets, enter};
use crate::step::{Held, Place, Step, Veth, Way, ipv6_switch};

/// RT_TABLE_MAIN
const MAIN: u32 = 254;

/// Why a step could not be done.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The kernel refused.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// There is no such link.
    #[error("{0}: there is no such link")]
    NoLink(IfName),
    /// A sysctl could not be set.
    #[error("{file}: {source}")]
    Sysctl {
        /// Its file.
        file: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The container's network could not be entered.
    #[error("{}", .0.message.as_deref().unwrap_or_default())]
    Entering(Box<Failure>),
}

impl WireError {
    fn errno(&self) -> Option<Errno> {
        match self {
            WireError::Netlink(NetlinkError::Refused { errno, .. }) => Some(*errno),
            _ => None,
        }
    }

    /// Whether it says that what was to be made is there.
    fn is_there(&self) -> bool {
        self.errno() == Some(Errno::EEXIST)
    }

    /// Whether it says that what was to go, or what was to be given back to somebody, is gone.
    fn is_gone(&self) -> bool {
        let gone = [
            Errno::ENODEV,
            Errno::EADDRNOTAVAIL,
            Errno::ESRCH,
            Errno::ENOENT,
            Errno::ENETUNREACH,
            Errno::ENETDOWN,
        ];
        matches!(self, WireError::NoLink(_)) || self.errno().is_some_and(|errno| gone.contains(&errno))
    }
}

/// The sockets, and the indices of the links that we made: a name inside is the container's to change.
#[derive(Debug)]
pub struct Wires {
    pub sockets: Sockets,
    known: BTreeMap<(Place, IfName), u32>,
}

impl Wires {
    /// With no link known yet.
    pub fn new(sockets: Sockets) -> Self {
        Wires { sockets, known: BTreeMap::new() }
    }

    /// Does the step.
    pub fn act(&mut self, step: &Step) -> Result<(), WireError> {
        match step {
            Step::AddBridge(bridge) => self.add_bridge(bridge),
            Step::DelBridge(bridge) => self.delete_bridge(bridge),
            Step::AddVeth(veth) => self.add_veth(veth),
            Step::DelVeth(veth) => self.delete_veth(veth),
            Step::DelLink { place, link } => {
                let index = self.index(*place, link)?;
                Ok(self.socket(*place)?.delete_link(index)?)
            }
            Step::SetAlias { link, alias } => {
                let index = self.index(Place::Outside, link)?;
                Ok(self.sockets.outside.set_link_alias(index, alias)?)
            }
            Step::AllowIpv6 { place, link } => self.allow_ipv6(*place, link),
            Step::AddAddress(held) => {
                let address = self.address(held)?;
                Ok(self.socket(held.place)?.add_address(&address)?)
            }
            Step::DelAddress(held) => {
                let address = self.address(held)?;
                Ok(self.socket(held.place)?.delete_address(&address)?)
            }
            Step::SetUp { place, link } => {
                let index = self.index(*place, link)?;
                Ok(self.socket(*place)?.set_link_up(index, true)?)
            }
            Step::AddRoute(way) => {
                let route = self.route(way)?;
                Ok(self.socket(Place::Inside)?.add_route(&route)?)
            }
            Step::DelRoute(way) => {
                let route = self.route(way)?;
                Ok(self.socket(Place::Inside)?.delete_route(&route)?)
            }
        }
    }

    /// Does a step that others may have done already.
    pub fn act_unless_done(&mut self, step: &Step) -> Result<(), WireError> {
        match self.act(step) {
            Err(error) if error.is_there() => Ok(()),
            other => other,
        }
    }

    /// Does a step that undoes one: what is gone, and what somebody else has in its place now, is as it should be.
    pub fn act_as_undoing(&mut self, step: &Step) -> Result<(), WireError> {
        match self.act(step) {
            Err(error) if error.is_gone() || error.is_there() => Ok(()),
            other => other,
        }
    }

    fn socket(&mut self, place: Place) -> Result<&mut Socket, WireError> {
        match place {
            Place::Outside => Ok(&mut self.sockets.outside),
            // A namespace that is gone has no links.
            Place::Inside => match &mut self.sockets.inside {
                Some((socket, _)) => Ok(socket),
                None => {
                    Err(NetlinkError::Refused { question: "link", errno: Errno::ENODEV, why: None }.into())
                }
            },
        }
    }

    /// The index of a link; one that we made keeps it, whatever it is called by now.
    pub fn index(&mut self, place: Place, name: &IfName) -> Result<u32, WireError> {
        let key = (place, name.clone());
        if let Some(index) = self.known.get(&key) {
            return Ok(*index);
        }
        let link = self.socket(place)?.link_named(name)?.ok_or_else(|| WireError::NoLink(name.clone()))?;
        self.known.insert(key, link.index);
        Ok(link.index)
    }

    /// A link as it is now; `None` if it is gone.
    pub fn look(&mut self, place: Place, name: &IfName) -> Result<Option<Link>, WireError> {
        let index = self.index(place, name)?;
        Ok(self.socket(place)?.link(index)?)
    }

    /// The index of the link through which that side would send to `address`.
    pub fn way_to(&mut self, place: Place, address: IpAddr) -> Result<Option<u32>, WireError> {
        Ok(self.socket(place)?.way_to(address)?)
    }

    fn add_bridge(&mut self, bridge: &crate::step::NewBridge) -> Result<(), WireError> {
        let order = NewBridge { name: &bridge.name, mac: bridge.mac, mtu_bytes: bridge.mtu_bytes };
        self.sockets.outside.add_bridge(&order)?;
        let index = self.index(Place::Outside, &bridge.name)?;
        Ok(self.sockets.outside.set_link_up(index, true)?)
    }

    /// Only the one we made, and not as long as anything is plugged into it.
    fn delete_bridge(&mut self, bridge: &crate::step::NewBridge) -> Result<(), WireError> {
        let links = self.sockets.outside.links()?;
        let ours = |link: &&Link| {
            link.is_bridge()
                && link.mac == Some(bridge.mac)
                && link.name.to_str() == Some(bridge.name.as_str())
        };
        let Some(found) = links.iter().find(ours) else { return Ok(()) };
        if links.iter().any(|link| link.master == Some(found.index)) {
            return Ok(());
        }
        Ok(self.sockets.outside.delete_link(found.index)?)
    }

    fn add_veth(&mut self, veth: &Veth) -> Result<(), WireError> {
        let master = match &veth.bridge {
            Some(bridge) => Some(self.index(Place::Outside, bridge)?),
            None => None,
        };
        let Sockets { outside, inside: Some((_, namespace)), .. } = &mut self.sockets else {
            return Err(
                NetlinkError::Refused { question: "veth pair", errno: Errno::ENODEV, why: None }.into()
            );
        };
        let here = VethEnd { name: &veth.outside.name, mac: veth.outside.mac };
        let there = VethEnd { name: &veth.inside.name, mac: veth.inside.mac };
        let order = NewVeth::between(here, there, namespace);
        outside.add_veth(&NewVeth { mtu_bytes: veth.mtu_bytes, master, ..order })?;
        // The index inside is what the end outside says, not what the container calls by that name.
        let made = outside.link_named(here.name)?.filter(|link| link.mac == Some(here.mac));
        let made = made.ok_or_else(|| WireError::NoLink(here.name.clone()))?;
        let other = made.other_end().ok_or_else(|| WireError::NoLink(there.name.clone()))?;
        self.known.insert((Place::Outside, here.name.clone()), made.index);
        self.known.insert((Place::Inside, there.name.clone()), other);
        Ok(())
    }

    /// By its address: somebody may have renamed it, or made another of that name.
    fn delete_veth(&mut self, veth: &Veth) -> Result<(), WireError> {
        let ours = |link: &Link| link.is_veth() && link.mac == Some(veth.outside.mac);
        let outside = &mut self.sockets.outside;
        let found = match outside.link_named(&veth.outside.name)?.filter(ours) {
            Some(link) => Some(link),
            None => outside.links()?.into_iter().find(ours),
        };
        let Some(link) = found else { return Ok(()) };
        Ok(outside.delete_link(link.index)?)
    }

    fn allow_ipv6(&mut self, place: Place, link: &IfName) -> Result<(), WireError> {
        let file = ipv6_switch(link.as_str());
        let write = || OpenOptions::new().write(true).open(&file).and_then(|mut file| file.write_all(b"0\n"));
        let written = match (place, &self.sockets.inside) {
            (Place::Inside, Some((_, namespace))) => enter(&self.sockets.home, namespace, write)
                .map_err(|failure| WireError::Entering(Box::new(failure)))?,
            _ => write(),
        };
        written.map_err(|source| WireError::Sysctl { file, source })
    }

    fn address(&mut self, held: &Held) -> Result<NewAddress, WireError> {
        let index = self.index(held.place, &held.link)?;
        Ok(NewAddress { index, cidr: held.cidr, peer: held.peer })
    }

    fn route(&mut self, way: &Way) -> Result<NewRoute, WireError> {
        Ok(NewRoute {
            destination: way.to,
            gateway: way.via,
            index: self.index(Place::Inside, &way.link)?,
            source: way.source,
            metric: way.metric,
            table: MAIN,
            protocol: way.protocol,
            scope: way.scope,
            on_link: way.on_link,
        })
    }
}
