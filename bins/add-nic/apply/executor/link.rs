//! Makes links, and deletes those that we made and no others.

use std::ffi::OsStr;

use common::failure::say;
use common::hint;
use common::netlink::{Link, NetlinkError, NewBridge, NewVeth, PortVlan, VethEnd};
use common::output::one_line;
use nix::errno::Errno;

use super::{Executor, StepError};
use crate::model::change::{AccessPort, BridgeSpec, Veth};
use crate::model::netns::Netns;
use crate::plan::bridge::NO_VLAN_FILTERING;
use crate::read::sockets::Sockets;
use crate::tool::TOOL;

impl Executor {
    pub(super) fn add_bridge(&mut self, bridge: &BridgeSpec) -> Result<(), StepError> {
        let BridgeSpec { name, mac, mtu_bytes, vlan_filtering } = bridge;
        let order = NewBridge { name, mac: *mac, mtu_bytes: *mtu_bytes, vlan_filtering: *vlan_filtering };
        self.sockets.host.add_bridge(&order).map_err(|error| match error {
            NetlinkError::Refused { errno: errno @ (Errno::EOPNOTSUPP | Errno::EINVAL), .. }
                if *vlan_filtering =>
            {
                StepError::Explained { text: NO_VLAN_FILTERING.to_owned(), errno }
            }
            error => error.into(),
        })?;
        let index = self.index(Netns::Host, name)?;
        Ok(self.sockets.host.set_link_up(index, true)?)
    }

    /// Into that VLAN, and out of the one that every port is in.
    pub(super) fn set_access_port(&mut self, port: &AccessPort) -> Result<(), StepError> {
        let index = self.index(Netns::Host, &port.link)?;
        let vlan = |id| PortVlan { index, id, is_pvid: true, is_untagged: true };
        let host = &mut self.sockets.host;
        host.add_port_vlan(vlan(port.vlan))?;
        match port.not_in {
            Some(old) => {
                Ok(host.delete_port_vlan(PortVlan { is_pvid: false, is_untagged: false, ..vlan(old) })?)
            }
            None => Ok(()),
        }
    }

    /// Only the one that we created, and only if it has no ports.
    pub(super) fn delete_bridge(&mut self, bridge: &BridgeSpec) -> Result<(), StepError> {
        let links = self.sockets.host.links()?;
        // By its MAC address, which is random: it may have been renamed, and another one may have its name.
        let ours = |link: &&Link| link.is_bridge() && link.mac == Some(bridge.mac);
        let stays = |name: &OsStr, why: &str| {
            let name = name.to_string_lossy();
            let command = hint!("ip link del {}", name);
            let command = command.map_or_else(String::new, |it| format!("; if nobody needs it: {}", &*it));
            say(TOOL, format_args!("{}: not deleted: {why}{command}", one_line(&name)));
            Err(StepError::NothingToUndo)
        };
        let Some(found) = links.iter().find(ours) else {
            let same_name = links.iter().find(|link| link.is_bridge() && *link.name == *bridge.name.as_str());
            return same_name.map_or(Err(StepError::NothingToUndo), |other| {
                stays(&other.name, "its MAC address is not the one that it was created with")
            });
        };
        if let Some(port) = links.iter().find(|link| link.master == Some(found.index)) {
            return stays(
                &found.name,
                &format!("{} is attached to it", one_line(&port.name.to_string_lossy())),
            );
        }
        Ok(self.sockets.host.delete_link(found.index)?)
    }

    pub(super) fn add_veth(&mut self, veth: &Veth) -> Result<(), StepError> {
        let master = match &veth.bridge {
            Some(bridge) => Some(self.index(Netns::Host, bridge)?),
            None => None,
        };
        let Sockets { host, inside, peer, .. } = &mut self.sockets;
        let socket = match veth.other_netns {
            Netns::Peer => peer.as_mut().map(|(socket, _)| socket),
            _ => Some(host),
        };
        let (Some(socket), Some((_, namespace))) = (socket, inside) else {
            return Err(StepError::gone("veth pair"));
        };
        let here = VethEnd { name: &veth.other.name, mac: veth.other.mac };
        let there = VethEnd { name: &veth.inside.name, mac: veth.inside.mac };
        let order = NewVeth::between(here, there, namespace);
        socket.add_veth(&NewVeth { mtu_bytes: veth.mtu_bytes, master, ..order })?;
        // The index inside comes from the other end, not from a name that the container can change.
        let made = socket.link_named(here.name)?.filter(|link| link.mac == Some(here.mac));
        let made = made.ok_or_else(|| StepError::NoLink(here.name.clone()))?;
        let other = made.other_end().ok_or_else(|| StepError::NoLink(there.name.clone()))?;
        self.known.insert((veth.other_netns, here.name.clone()), made.index);
        self.known.insert((Netns::Container, there.name.clone()), other);
        Ok(())
    }

    /// By what identifies it: it may have been renamed, or another link may have its name. If the other end is in a container,
    /// which may have changed it or exited, the end in the first container identifies it too.
    pub(super) fn delete_veth(&mut self, veth: &Veth) -> Result<(), StepError> {
        type IsEnd = fn(&Veth, &Link) -> bool;
        let inside = (Netns::Container, &veth.inside.name, Veth::is_inside_end as IsEnd);
        let ends = std::iter::once((veth.other_netns, &veth.other.name, Veth::is_other_end as IsEnd));
        for (netns, name, is_end) in ends.chain((veth.other_netns == Netns::Peer).then_some(inside)) {
            let Some(socket) = self.sockets.socket(netns) else { continue };
            let found = match socket.link_named(name)?.filter(|link| is_end(veth, link)) {
                Some(link) => Some(link),
                None => socket.links()?.into_iter().find(|link| is_end(veth, link)),
            };
            if let Some(link) = found {
                return Ok(socket.delete_link(link.index)?);
            }
        }
        Err(StepError::NothingToUndo)
    }
}
