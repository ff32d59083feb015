//! Neighbours: RTM_GETNEIGH, linux/neighbour.h.

use std::net::IpAddr;

use nix::errno::Errno;

use super::wire::{MalformedMessage, NetlinkRequest, attributes, family_of, ip, u32_at};
use super::{NetlinkError, Socket};
use crate::target::Mac;

const RTM_DELNEIGH: u16 = 29;
const RTM_GETNEIGH: u16 = 30;
/// struct ndmsg: family, padding, index, state, flags, type.
const FIXED_BYTES: usize = 12;

const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;

/// A neighbour on a link, as `ip neighbour` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// The index of the link.
    pub index: u32,
    /// Its address.
    pub address: IpAddr,
    /// Its link-layer address, once it is known.
    pub mac: Option<Mac>,
    /// NUD_*: 2 reachable, 4 stale, 0x20 failed, and others.
    pub state: u16,
}

impl Neighbour {
    /// Reads the payload of an RTM_NEWNEIGH; `None` for what is no neighbour of IPv4 or IPv6.
    pub(super) fn read(payload: &[u8]) -> Result<Option<Self>, MalformedMessage> {
        let family = *payload.first().ok_or(MalformedMessage::Short)?;
        let (index, state) = (u32_at(payload, 4), payload.get(8..10).and_then(|two| two.try_into().ok()));
        let (index, state) = (index.ok_or(MalformedMessage::Short)?, state.ok_or(MalformedMessage::Short)?);
        let (mut address, mut mac) = (None, None);
        for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
            match attribute? {
                (NDA_DST, value) => address = ip(family, value),
                (NDA_LLADDR, value) => mac = value.try_into().ok().map(Mac),
                _ => {}
            }
        }
        Ok(address.map(|address| Neighbour { index, address, mac, state: u16::from_ne_bytes(state) }))
    }
}

/// Asks for all neighbours.
pub(super) fn request(flags: u16) -> NetlinkRequest {
    NetlinkRequest::new("neighbours", RTM_GETNEIGH, flags, &[0; FIXED_BYTES])
}

impl Socket {
    /// What the namespace knows of the neighbour with this address on the link of this index; `None` if nothing.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn neighbour(&mut self, index: u32, address: IpAddr) -> Result<Option<Neighbour>, NetlinkError> {
        let mut fixed = [0; FIXED_BYTES];
        fixed[0] = family_of(address);
        fixed[4..8].copy_from_slice(&index.to_ne_bytes());
        let request =
            |flags| NetlinkRequest::new("neighbour", RTM_GETNEIGH, flags, &fixed).with_ip(NDA_DST, address);
        match self.one(request, Neighbour::read) {
            Err(NetlinkError::Refused { errno: Errno::ENOENT, .. }) => Ok(None),
            // One alone can be asked for since Linux 5.0.
            Err(NetlinkError::Refused { errno: Errno::EOPNOTSUPP | Errno::EINVAL, .. }) => {
                let all = self.neighbours()?;
                Ok(all.into_iter().find(|one| one.index == index && one.address == address))
            }
            found => found,
        }
    }

    /// All IPv4 and IPv6 neighbours that the namespace knows of.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn neighbours(&mut self) -> Result<Vec<Neighbour>, NetlinkError> {
        Ok(self.dump(request, Neighbour::read)?.into_iter().flatten().collect())
    }

    /// Forgets a neighbour.
    ///
    /// # Errors
    /// [`NetlinkError`]: ENOENT if it is not known; EPERM without CAP_NET_ADMIN over the user namespace of the network.
    pub fn delete_neighbour(&mut self, index: u32, address: IpAddr) -> Result<(), NetlinkError> {
        let mut fixed = [0; FIXED_BYTES];
        fixed[0] = family_of(address);
        fixed[4..8].copy_from_slice(&index.to_ne_bytes());
        self.change(|flags| {
            NetlinkRequest::new("neighbour", RTM_DELNEIGH, flags, &fixed).with_ip(NDA_DST, address)
        })
    }
}
