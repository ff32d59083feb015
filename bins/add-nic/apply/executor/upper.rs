//! Makes links on links of the host, in the container, and deletes them.

use std::os::fd::AsFd;

use common::netlink::{Link, NetlinkError, NewUpper};
use nix::errno::Errno;

use super::{WireError, Wires};
use crate::model::change::{MacvlanMode, On, Upper};
use crate::model::netns::Place;

impl Wires {
    pub(super) fn add_upper(&mut self, upper: &Upper) -> Result<(), WireError> {
        let parent = self.index(Place::Outside, &upper.parent)?;
        let namespace = match (upper.place, &self.sockets.inside) {
            (Place::Outside, _) => None,
            (_, Some((_, namespace))) => Some(namespace.as_fd()),
            (_, None) => return Err(WireError::gone("link")),
        };
        let order = NewUpper {
            name: &upper.name,
            mac: upper.mac,
            mtu_bytes: upper.mtu_bytes,
            parent,
            namespace,
            kind: upper.on.kernels(),
        };
        let outside = &mut self.sockets.outside;
        let added = match (outside.add_upper(&order), &upper.passing_name) {
            (Err(NetlinkError::Refused { errno: Errno::EEXIST, .. }), Some(passing)) => {
                outside.add_upper(&NewUpper { name: passing, ..order })
            }
            (other, _) => other,
        };
        added.map_err(|error| in_words(error, upper))?;
        let socket = self.socket(upper.place)?;
        let made = socket.links()?.into_iter().find(|link| upper.is(link));
        let made = made.ok_or_else(|| WireError::NoLink(upper.name.clone()))?;
        if made.name.to_str() != Some(upper.name.as_str()) {
            socket.set_link_name(made.index, &upper.name)?;
        }
        self.known.insert((upper.place, upper.name.clone()), made.index);
        Ok(())
    }

    /// One on the host stays for as long as somebody there has a link on it.
    pub(super) fn delete_upper(&mut self, upper: &Upper) -> Result<(), WireError> {
        let socket = self.socket(upper.place)?;
        let links = socket.links()?;
        let Some(found) = links.iter().find(|link| upper.is(link)) else { return Ok(()) };
        let stands_on_it = |link: &Link| link.link == Some(found.index) && link.link_netnsid.is_none();
        if upper.place == Place::Outside && links.iter().any(stands_on_it) {
            return Ok(());
        }
        Ok(socket.delete_link(found.index)?)
    }
}

/// What the kernel means by its number, where that is all it says.
fn in_words(error: NetlinkError, upper: &Upper) -> WireError {
    let NetlinkError::Refused { errno, .. } = &error else { return error.into() };
    let (parent, kind) = (&upper.parent, upper.on.kind());
    let words = match (errno, upper.on) {
        (Errno::EOPNOTSUPP, on) => {
            let option = match on {
                On::Macvlan(_) => "CONFIG_MACVLAN",
                On::Ipvlan(_) => "CONFIG_IPVLAN",
                On::Vlan(_) => "CONFIG_VLAN_8021Q",
            };
            format!("the kernel has no {kind} links ({option})")
        }
        (Errno::EBUSY, On::Macvlan(_) | On::Ipvlan(_)) => {
            format!("{parent} carries something else already, and cannot carry a {kind} too")
        }
        (Errno::EINVAL, On::Macvlan(MacvlanMode::Passthru)) => {
            format!("{parent} has another macvlan already, or cannot carry one: passthru wants it for itself")
        }
        (Errno::EINVAL, On::Macvlan(_)) => {
            format!("{parent} has a macvlan in mode passthru, or cannot carry one")
        }
        (Errno::EEXIST, On::Vlan(id)) => {
            format!("{} is taken, or {parent} has VLAN {id} in another namespace", upper.name)
        }
        _ => return error.into(),
    };
    WireError::InWords { words, errno: *errno }
}
