//! Makes links on links of the host, in the container, and deletes them.

use std::os::fd::AsFd;

use common::netlink::{Link, NetlinkError, NewUpper};
use nix::errno::Errno;

use super::{Executor, StepError};
use crate::model::change::{MacvlanMode, StackedKind, StackedLink};
use crate::model::netns::Netns;

impl Executor {
    pub(super) fn add_stacked_link(&mut self, stacked: &StackedLink) -> Result<(), StepError> {
        let parent = self.index(Netns::Host, &stacked.parent)?;
        let namespace = match (stacked.netns, &self.sockets.inside) {
            (Netns::Host, _) => None,
            (_, Some((_, namespace))) => Some(namespace.as_fd()),
            (_, None) => return Err(StepError::gone("link")),
        };
        let order = NewUpper {
            name: &stacked.name,
            mac: stacked.mac,
            mtu_bytes: stacked.mtu_bytes,
            parent,
            namespace,
            kind: stacked.on.kernels(),
        };
        let host = &mut self.sockets.host;
        let added = match (host.add_upper(&order), &stacked.passing_name) {
            (Err(NetlinkError::Refused { errno: Errno::EEXIST, .. }), Some(passing)) => {
                host.add_upper(&NewUpper { name: passing, ..order })
            }
            (other, _) => other,
        };
        added.map_err(|error| explained(error, stacked))?;
        let socket = self.socket(stacked.netns)?;
        let made = socket.links()?.into_iter().find(|link| stacked.matches(link));
        let made = made.ok_or_else(|| StepError::NoLink(stacked.name.clone()))?;
        if made.name.to_str() != Some(stacked.name.as_str()) {
            socket.set_link_name(made.index, &stacked.name)?;
        }
        self.known.insert((stacked.netns, stacked.name.clone()), made.index);
        Ok(())
    }

    /// One on the host is kept while another link is stacked on it.
    pub(super) fn delete_stacked_link(&mut self, stacked: &StackedLink) -> Result<(), StepError> {
        let socket = self.socket(stacked.netns)?;
        let links = socket.links()?;
        let is_it = |link: &&Link| stacked.matches(link);
        let Some(found) = links.iter().find(is_it) else { return Err(StepError::NothingToUndo) };
        let stands_on_it = |link: &Link| link.link == Some(found.index) && link.link_netnsid.is_none();
        if stacked.netns == Netns::Host && links.iter().any(stands_on_it) {
            return Err(StepError::NothingToUndo);
        }
        Ok(socket.delete_link(found.index)?)
    }
}

/// Explains an errno, where the kernel says nothing more.
fn explained(error: NetlinkError, stacked: &StackedLink) -> StepError {
    let NetlinkError::Refused { errno, .. } = &error else { return error.into() };
    let (parent, kind) = (&stacked.parent, stacked.on.kind());
    let text = match (errno, stacked.on) {
        (Errno::EOPNOTSUPP, on) => {
            let option = match on {
                StackedKind::Macvlan(_) => "CONFIG_MACVLAN",
                StackedKind::Ipvlan(_) => "CONFIG_IPVLAN",
                StackedKind::Vlan(_) => "CONFIG_VLAN_8021Q",
            };
            format!("the kernel has no {kind} links ({option})")
        }
        (Errno::EBUSY, StackedKind::Macvlan(_) | StackedKind::Ipvlan(_)) => {
            format!(
                "{parent} already carries another kind of interface and cannot carry {}",
                stacked.on.one()
            )
        }
        (Errno::EINVAL, StackedKind::Macvlan(MacvlanMode::Passthru)) => {
            format!("{parent} already has a macvlan, or cannot carry one: passthru must be the only one")
        }
        (Errno::EINVAL, StackedKind::Macvlan(_)) => {
            format!("{parent} has a macvlan in mode passthru, or cannot carry one")
        }
        (Errno::EEXIST, StackedKind::Vlan(id)) => {
            format!("{} already exists, or {parent} has VLAN {id} in another namespace", stacked.name)
        }
        _ => return error.into(),
    };
    StepError::Explained { text, errno: *errno }
}
