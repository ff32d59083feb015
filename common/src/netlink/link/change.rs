//! Making, setting and deleting links: RTM_NEWLINK, RTM_SETLINK, RTM_DELLINK.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::{
    FIXED_BYTES, IFLA_ADDRESS, IFLA_BR_VLAN_FILTERING, IFLA_IFALIAS, IFLA_IFNAME, IFLA_INFO_DATA,
    IFLA_INFO_KIND, IFLA_INFO_SLAVE_DATA, IFLA_INFO_SLAVE_KIND, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU,
};
use crate::netlink::socket::flag;
use crate::netlink::wire::NetlinkRequest;
use crate::netlink::{NetlinkError, Socket};
use crate::target::{IfName, Mac};

pub(super) const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_DELLINK: u16 = 17;
pub(super) const RTM_SETLINK: u16 = 19;

pub(super) const IFLA_NET_NS_FD: u16 = 28;
const IFLA_BRPORT_MODE: u16 = 4;
/// linux/veth.h
const VETH_INFO_PEER: u16 = 1;

/// One end of a veth pair that is to be.
#[derive(Debug, Clone, Copy)]
pub struct VethEnd<'a> {
    /// Its name from the first moment on.
    pub name: &'a IfName,
    /// Its address.
    pub mac: Mac,
}

/// A veth pair that is to be, in one message: each end is born in its namespace, under its name. Made here, moved and
/// renamed it takes fifteen times as long, and the name must be free here too.
#[derive(Debug, Clone, Copy)]
pub struct NewVeth<'a> {
    /// The end in the socket's namespace.
    pub here: VethEnd<'a>,
    /// The other end.
    pub there: VethEnd<'a>,
    /// The namespace of the other end.
    pub namespace: BorrowedFd<'a>,
    /// Of both ends; the kernel's 1500 if `None`.
    pub mtu_bytes: Option<u32>,
    /// The index of the bridge that the end here becomes a port of.
    pub master: Option<u32>,
}

/// A bridge that is to be.
#[derive(Debug, Clone, Copy)]
pub struct NewBridge<'a> {
    /// Its name.
    pub name: &'a IfName,
    /// Its address: one that was set stays; otherwise it changes with the ports that come and go.
    pub mac: Mac,
    /// Of the bridge; the kernel's 1500, and then always the least of its ports', if `None`.
    pub mtu_bytes: Option<u32>,
    /// Whether it keeps VLANs apart.
    pub vlan_filtering: bool,
}

impl VethEnd<'_> {
    fn attributes(&self, request: NetlinkRequest, mtu_bytes: Option<u32>) -> NetlinkRequest {
        let request = request.with_text(IFLA_IFNAME, self.name.as_str()).with(IFLA_ADDRESS, &self.mac.0);
        match mtu_bytes {
            Some(mtu_bytes) => request.with_u32(IFLA_MTU, mtu_bytes),
            None => request,
        }
    }
}

impl NewVeth<'_> {
    pub(in crate::netlink) fn request(&self, flags: u16) -> NetlinkRequest {
        let flags = flags | flag::CREATE | flag::EXCLUSIVE;
        let request = NetlinkRequest::new("veth pair", RTM_NEWLINK, flags, &[0; FIXED_BYTES]);
        let request = self.here.attributes(request, self.mtu_bytes);
        let request = match self.master {
            Some(master) => request.with_u32(IFLA_MASTER, master),
            None => request,
        };
        let namespace = self.namespace.as_raw_fd().cast_unsigned();
        // The peer's flags stay 0: set up in the same message it is ENOTCONN, for it has no other end yet.
        let peer = |request: NetlinkRequest| {
            self.there
                .attributes(request.with_fixed(&[0; FIXED_BYTES]), self.mtu_bytes)
                .with_u32(IFLA_NET_NS_FD, namespace)
        };
        request.with_nested(IFLA_LINKINFO, |info| {
            info.with_text(IFLA_INFO_KIND, "veth")
                .with_nested(IFLA_INFO_DATA, |data| data.with_nested(VETH_INFO_PEER, peer))
        })
    }
}

/// The fixed part about one link: its index, and of its flags those that are to be set or cleared.
fn about(index: u32, flags: u32, change: u32) -> Vec<u8> {
    [[0; 4], index.to_ne_bytes(), flags.to_ne_bytes(), change.to_ne_bytes()].concat()
}

impl Socket {
    /// Makes a veth pair.
    ///
    /// # Errors
    /// [`NetlinkError`]: EEXIST if either name is taken.
    pub fn add_veth(&mut self, veth: &NewVeth<'_>) -> Result<(), NetlinkError> {
        self.change(|flags| veth.request(flags))
    }

    /// Makes a bridge.
    ///
    /// # Errors
    /// [`NetlinkError`]: EEXIST if the name is taken.
    pub fn add_bridge(&mut self, bridge: &NewBridge<'_>) -> Result<(), NetlinkError> {
        self.change(|flags| {
            let flags = flags | flag::CREATE | flag::EXCLUSIVE;
            let request = NetlinkRequest::new("bridge", RTM_NEWLINK, flags, &[0; FIXED_BYTES])
                .with_text(IFLA_IFNAME, bridge.name.as_str())
                .with(IFLA_ADDRESS, &bridge.mac.0);
            let request = match bridge.mtu_bytes {
                Some(mtu_bytes) => request.with_u32(IFLA_MTU, mtu_bytes),
                None => request,
            };
            request.with_nested(IFLA_LINKINFO, |info| {
                let info = info.with_text(IFLA_INFO_KIND, "bridge");
                match bridge.vlan_filtering {
                    true => info.with_nested(IFLA_INFO_DATA, |data| data.with(IFLA_BR_VLAN_FILTERING, &[1])),
                    false => info,
                }
            })
        })
    }

    /// Deletes the link of that index; of a veth pair both ends.
    ///
    /// # Errors
    /// [`NetlinkError`]: ENODEV if there is none.
    pub fn delete_link(&mut self, index: u32) -> Result<(), NetlinkError> {
        self.change(|flags| NetlinkRequest::new("link", RTM_DELLINK, flags, &about(index, 0, 0)))
    }

    /// Sets a link up or down.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn set_link_up(&mut self, index: u32, up: bool) -> Result<(), NetlinkError> {
        let bit = libc::IFF_UP.cast_unsigned();
        let flags_of_link = if up { bit } else { 0 };
        self.change(|flags| {
            NetlinkRequest::new("link", RTM_SETLINK, flags, &about(index, flags_of_link, bit))
        })
    }

    /// Sets the greatest packet that a link carries.
    ///
    /// # Errors
    /// [`NetlinkError`]: EINVAL, with the reason, for one that the link cannot carry.
    pub fn set_link_mtu(&mut self, index: u32, mtu_bytes: u32) -> Result<(), NetlinkError> {
        self.set_link(index, |request| request.with_u32(IFLA_MTU, mtu_bytes))
    }

    /// Gives a link another address.
    ///
    /// # Errors
    /// [`NetlinkError`]: EADDRNOTAVAIL for one that is a group's.
    pub fn set_link_mac(&mut self, index: u32, mac: Mac) -> Result<(), NetlinkError> {
        self.set_link(index, |request| request.with(IFLA_ADDRESS, &mac.0))
    }

    /// Makes a link a port of the bridge of index `master`, or of none.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn set_link_master(&mut self, index: u32, master: Option<u32>) -> Result<(), NetlinkError> {
        self.set_link(index, |request| request.with_u32(IFLA_MASTER, master.unwrap_or(0)))
    }

    /// Lets a bridge send back through a port of it what came in there, or not.
    ///
    /// # Errors
    /// [`NetlinkError`]: EINVAL for what is no port of a bridge.
    pub fn set_bridge_port_hairpin(&mut self, index: u32, on: bool) -> Result<(), NetlinkError> {
        // Only an order that could also make a link is asked about the kind of its master (rtnl_newlink in rtnetlink.c).
        self.change(|flags| {
            NetlinkRequest::new("bridge port", RTM_NEWLINK, flags, &about(index, 0, 0)).with_nested(
                IFLA_LINKINFO,
                |info| {
                    info.with_text(IFLA_INFO_SLAVE_KIND, "bridge").with_nested(IFLA_INFO_SLAVE_DATA, |data| {
                        data.with(IFLA_BRPORT_MODE, &[u8::from(on)])
                    })
                },
            )
        })
    }

    /// Moves a link to another namespace, where it has that name from the first moment on. It goes down, and loses its
    /// addresses and routes.
    ///
    /// # Errors
    /// [`NetlinkError`]: EEXIST if both that name and its own are taken there; EINVAL for one that cannot leave its
    /// namespace.
    pub fn move_link(&mut self, index: u32, there: &impl AsFd, name: &IfName) -> Result<(), NetlinkError> {
        let namespace = there.as_fd().as_raw_fd().cast_unsigned();
        self.set_link(index, |request| {
            request.with_u32(IFLA_NET_NS_FD, namespace).with_text(IFLA_IFNAME, name.as_str())
        })
    }

    /// Gives a link another name.
    ///
    /// # Errors
    /// [`NetlinkError`]: EEXIST if it is taken; before Linux 6.3 EBUSY while the link is up.
    pub fn set_link_name(&mut self, index: u32, name: &IfName) -> Result<(), NetlinkError> {
        self.set_link(index, |request| request.with_text(IFLA_IFNAME, name.as_str()))
    }

    /// Writes something about a link, at most 255 bytes. In the message that makes a link it is ignored.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn set_link_alias(&mut self, index: u32, alias: &str) -> Result<(), NetlinkError> {
        self.set_link(index, |request| request.with(IFLA_IFALIAS, alias.as_bytes()))
    }

    fn set_link(
        &mut self,
        index: u32,
        set: impl FnOnce(NetlinkRequest) -> NetlinkRequest,
    ) -> Result<(), NetlinkError> {
        self.change(|flags| set(NetlinkRequest::new("link", RTM_SETLINK, flags, &about(index, 0, 0))))
    }
}

impl<'a> NewVeth<'a> {
    /// A pair without anything that may be left out.
    pub fn between(here: VethEnd<'a>, there: VethEnd<'a>, namespace: &'a impl AsFd) -> Self {
        NewVeth { here, there, namespace: namespace.as_fd(), mtu_bytes: None, master: None }
    }
}
