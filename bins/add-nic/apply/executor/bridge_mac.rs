//! The MAC address of a bridge that is not ours: it stays when a port comes, and when it changes although, because a port goes, its
//! neighbours are told at once. They would send to the previous one for half a minute.

use common::netlink::Link;
use common::packet::neighbour::Segment;

use super::{Executor, StepError};
use crate::model::change::{PinnedMac, Veth};
use crate::model::netns::Netns;

impl Executor {
    /// Sets the address that it has already; the kernel keeps one that was set.
    pub(super) fn pin_mac(&mut self, pinned: &PinnedMac) -> Result<(), StepError> {
        let index = self.index(Netns::Host, &pinned.bridge)?;
        Ok(self.sockets.host.set_link_mac(index, pinned.mac)?)
    }

    /// Deletes a veth pair. If its bridge has another MAC address then, or may have had since the pair was deleted with its
    /// container, the bridge announces its addresses.
    pub(super) fn delete_veth_and_announce(&mut self, veth: &Veth) -> Result<(), StepError> {
        let Some(name) = &veth.bridge else { return self.delete_veth(veth) };
        let host = &mut self.sockets.host;
        let (before, port) = (host.link_named(name)?, host.link_named(&veth.other.name)?);
        let deleted = self.delete_veth(veth);
        if !matches!(deleted, Ok(()) | Err(StepError::NothingToUndo)) {
            return deleted;
        }
        match self.sockets.host.link_named(name)? {
            Some(bridge) if port.is_none() || before.is_none_or(|before| before.mac != bridge.mac) => {
                self.announce_bridge(&bridge)?;
            }
            _ => {}
        }
        deleted
    }

    fn announce_bridge(&mut self, bridge: &Link) -> Result<(), StepError> {
        let held = self.sockets.host.addresses()?;
        let own = held.iter().filter(|held| held.index == bridge.index).map(|held| held.address);
        if let Some(mac) = bridge.mac.filter(|_| bridge.is_bridge() && bridge.is_set_up()) {
            // What was to be undone is undone, also if nobody could be told.
            let _ = Segment { index: bridge.index, mac }.announce(own);
        }
        Ok(())
    }
}
