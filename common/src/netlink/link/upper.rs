//! Making links that stand on another one: macvlan, ipvlan, VLAN.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::{
    FIXED_BYTES, IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINK, IFLA_LINKINFO,
    IFLA_MTU, IFLA_VLAN_ID,
};
use crate::netlink::socket::flag;
use crate::netlink::wire::NetlinkRequest;
use crate::netlink::{NetlinkError, Socket};
use crate::target::{IfName, Mac};

use super::change::{IFLA_NET_NS_FD, RTM_NEWLINK};

/// linux/if_link.h
const IFLA_MACVLAN_MODE: u16 = 1;
const IFLA_IPVLAN_MODE: u16 = 1;

/// What kind of link, with the kernel's number for how it is to be (linux/if_link.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpperKind {
    /// MACVLAN_MODE_*
    Macvlan(u32),
    /// IPVLAN_MODE_*
    Ipvlan(u16),
    /// The VLAN's number.
    Vlan(u16),
}

/// A link that is to be, on a link of the socket's namespace.
///
/// Kernels before 6.15 make it there and move it in the same message, so that its name must be free there as well, or it is
/// EEXIST (rtnl_newlink_create in net/core/rtnetlink.c).
#[derive(Debug, Clone, Copy)]
pub struct NewUpper<'a> {
    /// Its name.
    pub name: &'a IfName,
    /// Its address; as its kind has it if `None`.
    pub mac: Option<Mac>,
    /// The greatest packet that it carries; the parent's if `None`.
    pub mtu_bytes: Option<u32>,
    /// The index of the link below.
    pub parent: u32,
    /// The namespace that it is for; the same one if `None`.
    pub namespace: Option<BorrowedFd<'a>>,
    /// What it is.
    pub kind: UpperKind,
}

impl UpperKind {
    /// As `ip link add type` calls it.
    pub fn name(self) -> &'static str {
        match self {
            UpperKind::Macvlan(_) => "macvlan",
            UpperKind::Ipvlan(_) => "ipvlan",
            UpperKind::Vlan(_) => "vlan",
        }
    }

    fn data(self, data: NetlinkRequest) -> NetlinkRequest {
        match self {
            UpperKind::Macvlan(mode) => data.with_u32(IFLA_MACVLAN_MODE, mode),
            UpperKind::Ipvlan(mode) => data.with(IFLA_IPVLAN_MODE, &mode.to_ne_bytes()),
            UpperKind::Vlan(id) => data.with(IFLA_VLAN_ID, &id.to_ne_bytes()),
        }
    }
}

impl NewUpper<'_> {
    fn request(&self, flags: u16) -> NetlinkRequest {
        let flags = flags | flag::CREATE | flag::EXCLUSIVE;
        let mut request = NetlinkRequest::new("link", RTM_NEWLINK, flags, &[0; FIXED_BYTES])
            .with_text(IFLA_IFNAME, self.name.as_str())
            .with_u32(IFLA_LINK, self.parent);
        if let Some(namespace) = self.namespace {
            request = request.with_u32(IFLA_NET_NS_FD, namespace.as_raw_fd().cast_unsigned());
        }
        if let Some(mac) = self.mac {
            request = request.with(IFLA_ADDRESS, &mac.0);
        }
        if let Some(mtu_bytes) = self.mtu_bytes {
            request = request.with_u32(IFLA_MTU, mtu_bytes);
        }
        request.with_nested(IFLA_LINKINFO, |info| {
            info.with_text(IFLA_INFO_KIND, self.kind.name())
                .with_nested(IFLA_INFO_DATA, |data| self.kind.data(data))
        })
    }
}

impl Socket {
    /// Makes a link on another one.
    ///
    /// # Errors
    /// [`NetlinkError`]: EEXIST if the name is taken, or that VLAN is; EOPNOTSUPP where the kernel has no such links; EBUSY
    /// and EINVAL where the parent cannot carry one.
    pub fn add_upper(&mut self, upper: &NewUpper<'_>) -> Result<(), NetlinkError> {
        self.change(|flags| upper.request(flags))
    }
}
