//! The VLANs of a bridge's ports, as `bridge vlan` shows and sets them: linux/if_bridge.h.

use super::change::{RTM_DELLINK, RTM_SETLINK};
use super::{FIXED_BYTES, IFLA_EXT_MASK, RTM_GETLINK};
use crate::netlink::socket::flag;
use crate::netlink::wire::{MalformedMessage, NetlinkRequest, attributes, u32_at};
use crate::netlink::{NetlinkError, Socket};

const IFLA_AF_SPEC: u16 = 26;
const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
const BRIDGE_VLAN_INFO_PVID: u16 = 1 << 1;
const BRIDGE_VLAN_INFO_UNTAGGED: u16 = 1 << 2;
/// linux/rtnetlink.h
const RTEXT_FILTER_BRVLAN: u32 = 1 << 1;

/// A VLAN that a port is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortVlan {
    /// The port's index.
    pub index: u32,
    /// The VLAN.
    pub id: u16,
    /// Whether what comes in without a tag is in this one.
    pub is_pvid: bool,
    /// Whether what goes out has no tag.
    pub is_untagged: bool,
}

impl PortVlan {
    /// The VLANs in the payload of an RTM_NEWLINK about one port.
    fn read(payload: &[u8]) -> Result<Vec<Self>, MalformedMessage> {
        let index = u32_at(payload, 4).ok_or(MalformedMessage::Short)?;
        let mut vlans = Vec::new();
        for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
            let (IFLA_AF_SPEC, nested) = attribute? else { continue };
            for info in attributes(nested) {
                if let (IFLA_BRIDGE_VLAN_INFO, &[a, b, c, d]) = info? {
                    let (flags, id) = (u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]));
                    let has = |flag| flags & flag != 0;
                    let (is_pvid, is_untagged) = (has(BRIDGE_VLAN_INFO_PVID), has(BRIDGE_VLAN_INFO_UNTAGGED));
                    vlans.push(PortVlan { index, id, is_pvid, is_untagged });
                }
            }
        }
        Ok(vlans)
    }

    fn request(self, kind: u16, flags: u16) -> NetlinkRequest {
        let index = self.index.to_ne_bytes();
        let fixed = [&[libc::AF_BRIDGE as u8, 0, 0, 0], &index[..], &[0; 8]].concat();
        let pvid = if self.is_pvid { BRIDGE_VLAN_INFO_PVID } else { 0 };
        let untagged = if self.is_untagged { BRIDGE_VLAN_INFO_UNTAGGED } else { 0 };
        let info = [(pvid | untagged).to_ne_bytes(), self.id.to_ne_bytes()].concat();
        NetlinkRequest::new("VLAN of a port", kind, flags, &fixed)
            .with_nested(IFLA_AF_SPEC, |spec| spec.with(IFLA_BRIDGE_VLAN_INFO, &info))
    }
}

impl Socket {
    /// The VLANs of all ports of bridges.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn port_vlans(&mut self) -> Result<Vec<PortVlan>, NetlinkError> {
        let request = |flags| {
            let mut fixed = [0; FIXED_BYTES];
            fixed[0] = libc::AF_BRIDGE as u8;
            NetlinkRequest::new("VLANs of ports", RTM_GETLINK, flags, &fixed)
                .with_u32(IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN)
        };
        Ok(self.dump(request, PortVlan::read)?.concat())
    }

    /// Puts a port into a VLAN.
    ///
    /// # Errors
    /// [`NetlinkError`]: EOPNOTSUPP where the kernel's bridges have no VLANs.
    pub fn add_port_vlan(&mut self, vlan: PortVlan) -> Result<(), NetlinkError> {
        self.change(|flags| vlan.request(RTM_SETLINK, flags | flag::CREATE))
    }

    /// Takes a port out of a VLAN.
    ///
    /// # Errors
    /// [`NetlinkError`]: ENOENT if it is in no such.
    pub fn delete_port_vlan(&mut self, vlan: PortVlan) -> Result<(), NetlinkError> {
        self.change(|flags| vlan.request(RTM_DELLINK, flags))
    }
}
