//! The forwarding tables of bridges and of vxlan links: RTM_GETNEIGH of the family AF_BRIDGE, linux/neighbour.h.

use std::net::IpAddr;

use super::wire::{MalformedMessage, NetlinkRequest, attributes, number, u32_at};
use super::{NetlinkError, Socket};
use crate::target::Mac;

const RTM_GETNEIGH: u16 = 30;
/// struct ndmsg: family, padding, index, state, flags, type.
const FIXED_BYTES: usize = 12;

const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_VLAN: u16 = 5;
const NDA_MASTER: u16 = 9;

const NUD_NOARP: u16 = 0x40;
const NUD_PERMANENT: u16 = 0x80;
const NTF_EXT_LEARNED: u8 = 0x10;

/// An entry of a forwarding table, as `bridge fdb` shows it: behind which port a station is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FdbEntry {
    /// The station's address.
    pub mac: Mac,
    /// The index of the port; of an entry of the bridge's own address the bridge itself.
    pub index: u32,
    /// The index of the bridge; nothing in a table of a vxlan link's own.
    pub bridge: Option<u32>,
    /// The VLAN, of a bridge that keeps them apart.
    pub vlan: Option<u16>,
    /// Of a vxlan link, the host behind which the station is.
    pub remote: Option<IpAddr>,
    /// How it came into the table.
    pub origin: FdbOrigin,
}

/// How an entry came into a forwarding table, and whether it goes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FdbOrigin {
    /// From a packet of that station: it expires.
    Learned,
    /// From a program that learns elsewhere, such as a routing daemon.
    External,
    /// From an administrator: it stays, wherever the station is.
    Static,
    /// The port's or the bridge's own address.
    Local,
}

impl FdbEntry {
    /// Reads the payload of an RTM_NEWNEIGH; `None` for what is in no bridge's table and in no vxlan link's: each
    /// Ethernet link has the groups that it listens to in a table of its own.
    pub(super) fn read(payload: &[u8]) -> Result<Option<Self>, MalformedMessage> {
        let index = u32_at(payload, 4).ok_or(MalformedMessage::Short)?;
        let (state, flags) = (payload.get(8..10), payload.get(10));
        let state = state.and_then(|two| two.try_into().ok()).map(u16::from_ne_bytes);
        let (state, flags) = (state.ok_or(MalformedMessage::Short)?, *flags.ok_or(MalformedMessage::Short)?);
        let (mut mac, mut bridge, mut vlan, mut remote) = (None, None, None, None);
        for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
            match attribute? {
                (NDA_LLADDR, value) => mac = value.try_into().ok().map(Mac),
                (NDA_MASTER, value) => bridge = Some(number(value)?),
                (NDA_VLAN, value) => vlan = value.first_chunk().copied().map(u16::from_ne_bytes),
                (NDA_DST, value) => remote = address(value),
                _ => {}
            }
        }
        let Some(mac) = mac.filter(|_| bridge.is_some() || remote.is_some()) else { return Ok(None) };
        let origin = match () {
            () if flags & NTF_EXT_LEARNED != 0 => FdbOrigin::External,
            () if bridge.is_some() && state & NUD_PERMANENT != 0 => FdbOrigin::Local,
            () if state & (NUD_NOARP | NUD_PERMANENT) != 0 => FdbOrigin::Static,
            () => FdbOrigin::Learned,
        };
        Ok(Some(FdbEntry { mac, index, bridge, vlan, remote, origin }))
    }
}

/// The message's family is that of bridges, so the length tells.
fn address(value: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(value).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(value).ok().map(IpAddr::from))
}

/// Asks for all entries.
pub(super) fn request(flags: u16) -> NetlinkRequest {
    let mut fixed = [0; FIXED_BYTES];
    // 7 on every Linux.
    fixed[0] = u8::try_from(libc::AF_BRIDGE).unwrap_or_default();
    NetlinkRequest::new("forwarding table", RTM_GETNEIGH, flags, &fixed)
}

impl Socket {
    /// The forwarding tables of all bridges and vxlan links of the namespace.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn forwarding_table(&mut self) -> Result<Vec<FdbEntry>, NetlinkError> {
        Ok(self.dump(request, FdbEntry::read)?.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(state: u16, flags: u8, with: impl FnOnce(NetlinkRequest) -> NetlinkRequest) -> Option<FdbEntry> {
        let [low, high] = state.to_ne_bytes();
        let fixed = [7, 0, 0, 0, 5, 0, 0, 0, low, high, flags, 0];
        let message = with(NetlinkRequest::new("entry", 28, 0, &fixed).with(NDA_LLADDR, &[2, 0, 0, 0, 0, 1]));
        let bytes = message.numbered(1);
        for length in 0..bytes.len() - 16 {
            let _ = FdbEntry::read(&bytes[16..16 + length]);
        }
        FdbEntry::read(&bytes[16..]).unwrap()
    }

    #[test]
    fn an_entry_says_behind_which_port_of_which_bridge_it_is_and_why() {
        let on_bridge = |message: NetlinkRequest| message.with_u32(NDA_MASTER, 9).with(NDA_VLAN, &[7, 0]);
        let learned = read(0x02, 0x04, on_bridge).unwrap();
        let expected = FdbEntry {
            mac: Mac([2, 0, 0, 0, 0, 1]),
            index: 5,
            bridge: Some(9),
            vlan: Some(7),
            remote: None,
            origin: FdbOrigin::Learned,
        };
        assert_eq!(learned, expected);
        let origin = |state, flags| read(state, flags, on_bridge).unwrap().origin;
        assert_eq!(origin(0x40, 0x04), FdbOrigin::Static);
        assert_eq!(origin(0x80, 0x04), FdbOrigin::Local);
        assert_eq!(origin(0x40, 0x14), FdbOrigin::External);
    }

    #[test]
    fn a_vxlan_links_entry_names_the_host_and_a_nics_groups_are_left_out() {
        let found = read(0x82, 0x02, |message| message.with(NDA_DST, &[198, 18, 0, 1])).unwrap();
        assert_eq!((found.remote, found.origin), ("198.18.0.1".parse().ok(), FdbOrigin::Static));
        assert_eq!(read(0x80, 0x02, |message| message), None);
    }
}
