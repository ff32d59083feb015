//! Links: RTM_GETLINK, linux/if_link.h; `change` is how they are made, set and deleted.

mod change;
mod port_vlan;
mod upper;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;

use super::traffic::xdp;
use super::wire::{MalformedMessage, NetlinkRequest, attributes, number, u32_at, until_nul};
use super::{NetlinkError, Socket};
use crate::target::{IfName, Mac};
pub use change::{NewBridge, NewVeth, VethEnd};
pub use port_vlan::PortVlan;
pub use upper::{NewUpper, UpperKind};

const RTM_GETLINK: u16 = 18;
/// struct ifinfomsg: family, padding, type, index, flags, change.
const FIXED_BYTES: usize = 16;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const IFLA_BR_STP_STATE: u16 = 5;
pub(super) const IFLA_BR_VLAN_FILTERING: u16 = 7;
const IFLA_BR_VLAN_DEFAULT_PVID: u16 = 39;
const IFLA_BRPORT_STATE: u16 = 1;
const IFLA_BRPORT_UNICAST_FLOOD: u16 = 9;
const IFLA_BRPORT_MCAST_FLOOD: u16 = 27;
const IFLA_BRPORT_BCAST_FLOOD: u16 = 30;
const IFLA_BRPORT_ISOLATED: u16 = 33;
const IFLA_GROUP: u16 = 27;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_PERM_ADDRESS: u16 = 54;
const IFLA_TARGET_NETNSID: u16 = 46;
const IFLA_VLAN_ID: u16 = 1;
const IFLA_VXLAN_LINK: u16 = 3;
const IFLA_VXLAN_PORT: u16 = 15;
const IFLA_GENEVE_PORT: u16 = 5;
const IFLA_VRF_TABLE: u16 = 1;

/// Leave out the counters, which are a third of each answer (linux/rtnetlink.h).
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;

/// A link, as `ip -d link` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// Its name there: at most 15 bytes, of any kind but `/`, white space and NUL.
    pub name: OsString,
    /// Its address, if that has the six bytes of Ethernet's.
    pub mac: Option<Mac>,
    /// The permanent address of the hardware, which cannot be changed (Linux 5.6).
    pub permanent_mac: Option<Mac>,
    /// What made it: `veth`, `bridge`, `macvlan`; nothing for hardware and loopback.
    pub kind: Option<String>,
    /// The greatest packet that it carries.
    pub mtu_bytes: u32,
    /// IFF_*, netdevice(7).
    pub flags: u32,
    /// Whether it can carry packets.
    pub operstate: OperState,
    /// The index of the bridge, bond or VRF that it is a port of.
    pub master: Option<u32>,
    /// Of a bridge's port, whether the bridge forwards through it.
    pub port_state: Option<PortState>,
    /// Of a bridge's port, whether it sends nothing to other ports that are isolated.
    pub is_isolated: bool,
    /// Of a bridge's port, what reaches it of packets whose place the bridge does not know.
    pub floods: PortFloods,
    /// Whether it is a bridge that waits to learn of other bridges before it forwards (IEEE 802.1D).
    pub spanning_tree: bool,
    /// Of a bridge whether it keeps VLANs apart, and in which one a port is that nobody put into any (0: in none); nothing where
    /// the kernel's bridges cannot.
    pub vlan_filtering: Option<VlanFiltering>,
    /// Of a VLAN's link, the VLAN.
    pub vlan: Option<u16>,
    /// Of a vxlan or geneve link the UDP port at which the kernel itself listens for it.
    pub tunnel_port: Option<u16>,
    /// Of a VRF, the routing table of all that is bound to it or to one of its ports.
    pub vrf_table: Option<u32>,
    /// Its alias, `ip link set alias`; a container can forge those of its own links.
    pub alias: Option<String>,
    /// Its group, 0 by default.
    pub group: u32,
    /// IFLA_LINK: of a veth the index of the other end, of a VLAN or macvlan that of the link below. The kernel
    /// leaves it out when that index is the link's own; [`Link::other_end`] knows. Of a vxlan link IFLA_VXLAN_LINK, for
    /// its IFLA_LINK is always its own index.
    pub link: Option<u32>,
    /// The namespace that `link` is an index of, as this namespace numbers it; this one itself when there is none.
    pub link_netnsid: Option<i32>,
}

/// A bridge's VLANs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VlanFiltering {
    /// Whether it keeps them apart.
    pub is_on: bool,
    /// In which one a port is that nobody put into any; 0 is none.
    pub default_vlan: u16,
}

/// Of which packets a port of a bridge gets those that are for all, or for nobody knows whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortFloods {
    /// Those to a MAC address that the bridge has not learned.
    pub unicast: bool,
    /// Those to a group.
    pub multicast: bool,
    /// Those to all.
    pub broadcast: bool,
}

impl Default for PortFloods {
    /// All of them, as a port is made.
    fn default() -> Self {
        PortFloods { unicast: true, multicast: true, broadcast: true }
    }
}

/// RFC 2863's ifOperStatus, as linux/if.h has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperState {
    /// The driver does not say.
    Unknown,
    /// Hardware that was pulled out.
    NotPresent,
    /// Down.
    Down,
    /// Something below it is down; the other end of a veth, too.
    LowerLayerDown,
    /// In a test mode.
    Testing,
    /// Waits for something, such as 802.1X.
    Dormant,
    /// Carries packets.
    Up,
}

/// linux/if_bridge.h, BR_STATE_*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortState {
    /// Carries nothing: the port, or the bridge, is down.
    Disabled,
    /// On its way to forwarding, with the spanning tree protocol.
    Waiting,
    /// Carries packets.
    Forwarding,
    /// Another way leads there.
    Blocking,
}

impl From<u8> for PortState {
    fn from(number: u8) -> Self {
        match number {
            1 | 2 => PortState::Waiting,
            3 => PortState::Forwarding,
            4 => PortState::Blocking,
            _ => PortState::Disabled,
        }
    }
}

impl From<u8> for OperState {
    fn from(number: u8) -> Self {
        match number {
            1 => OperState::NotPresent,
            2 => OperState::Down,
            3 => OperState::LowerLayerDown,
            4 => OperState::Testing,
            5 => OperState::Dormant,
            6 => OperState::Up,
            _ => OperState::Unknown,
        }
    }
}

impl Link {
    /// One of which only the index is known: without a name, of no kind, down. For planned links and tests, which set what they need.
    pub fn plain(index: u32) -> Self {
        Link {
            index,
            name: OsString::new(),
            mac: None,
            permanent_mac: None,
            kind: None,
            mtu_bytes: 0,
            flags: 0,
            operstate: OperState::Unknown,
            master: None,
            port_state: None,
            is_isolated: false,
            floods: PortFloods::default(),
            spanning_tree: false,
            vlan_filtering: None,
            vlan: None,
            tunnel_port: None,
            vrf_table: None,
            alias: None,
            group: 0,
            link: None,
            link_netnsid: None,
        }
    }

    /// Whether it is to carry packets: what `ip link set up` sets.
    pub fn is_set_up(&self) -> bool {
        self.flags & libc::IFF_UP.cast_unsigned() != 0
    }

    /// Whether something is plugged into it; not known of a link that is down.
    pub fn has_carrier(&self) -> bool {
        self.flags & libc::IFF_LOWER_UP.cast_unsigned() != 0
    }

    /// Whether what is sent there comes back.
    pub fn is_loopback(&self) -> bool {
        self.flags & libc::IFF_LOOPBACK.cast_unsigned() != 0
    }

    /// Whether it is a bridge.
    pub fn is_bridge(&self) -> bool {
        self.kind.as_deref() == Some("bridge")
    }

    /// Whether it is one end of a veth pair.
    pub fn is_veth(&self) -> bool {
        self.kind.as_deref() == Some("veth")
    }

    /// The index of a veth's other end in that one's namespace. An index that is the link's own is left out
    /// by the kernel (rtnl_fill_link_ifindex in net/core/rtnetlink.c).
    pub fn other_end(&self) -> Option<u32> {
        self.is_veth().then(|| self.link.unwrap_or(self.index))
    }

    /// Reads the payload of an RTM_NEWLINK.
    pub(super) fn read(payload: &[u8]) -> Result<Self, MalformedMessage> {
        let (index, flags) = (u32_at(payload, 4), u32_at(payload, 8));
        let (index, flags) = (index.ok_or(MalformedMessage::Short)?, flags.ok_or(MalformedMessage::Short)?);
        let mut link = Link { flags, ..Link::plain(index) };
        let mut below = None;
        for attribute in attributes(payload.get(FIXED_BYTES..).ok_or(MalformedMessage::Short)?) {
            let (kind, value) = attribute?;
            match kind {
                IFLA_ADDRESS => link.mac = value.try_into().ok().map(Mac),
                IFLA_PERM_ADDRESS => link.permanent_mac = value.try_into().ok().map(Mac),
                IFLA_IFNAME => link.name = OsString::from_vec(until_nul(value).to_owned()),
                IFLA_MTU => link.mtu_bytes = number(value)?,
                IFLA_LINK => link.link = Some(number(value)?),
                IFLA_MASTER => link.master = Some(number(value)?),
                IFLA_OPERSTATE => {
                    link.operstate = OperState::from(*value.first().ok_or(MalformedMessage::Short)?)
                }
                IFLA_IFALIAS => link.alias = Some(text(value)),
                IFLA_LINKINFO => below = link.read_info(value)?,
                IFLA_GROUP => link.group = number(value)?,
                IFLA_LINK_NETNSID => link.link_netnsid = Some(number(value)?.cast_signed()),
                _ => {}
            }
        }
        if link.kind.as_deref() == Some("vxlan") {
            link.link = below;
        }
        if link.name.is_empty() { Err(MalformedMessage::Missing("name")) } else { Ok(link) }
    }

    /// IFLA_LINKINFO: the kinds come before the data, whose meaning depends on them. Returns the index of the link below a
    /// vxlan link.
    fn read_info(&mut self, nested: &[u8]) -> Result<Option<u32>, MalformedMessage> {
        let (mut port_of_bridge, mut below) = (false, None);
        for attribute in attributes(nested) {
            match attribute? {
                (IFLA_INFO_KIND, name) => self.kind = Some(text(name)),
                (IFLA_INFO_SLAVE_KIND, name) => port_of_bridge = until_nul(name) == b"bridge",
                (IFLA_INFO_DATA, data) if self.is_bridge() => {
                    self.spanning_tree = byte_in(data, IFLA_BR_STP_STATE)?.is_some_and(|state| state != 0);
                    let default_vlan = bytes_in(data, IFLA_BR_VLAN_DEFAULT_PVID)?.map(u16::from_ne_bytes);
                    self.vlan_filtering = byte_in(data, IFLA_BR_VLAN_FILTERING)?
                        .zip(default_vlan)
                        .map(|(is_on, default_vlan)| VlanFiltering { is_on: is_on != 0, default_vlan });
                }
                (IFLA_INFO_DATA, data) if self.kind.as_deref() == Some("vlan") => {
                    self.vlan = bytes_in(data, IFLA_VLAN_ID)?.map(u16::from_ne_bytes);
                }
                (IFLA_INFO_DATA, data) if self.kind.as_deref() == Some("vxlan") => {
                    below = bytes_in(data, IFLA_VXLAN_LINK)?.map(u32::from_ne_bytes);
                    self.tunnel_port = bytes_in(data, IFLA_VXLAN_PORT)?.map(u16::from_be_bytes);
                }
                (IFLA_INFO_DATA, data) if self.kind.as_deref() == Some("geneve") => {
                    self.tunnel_port = bytes_in(data, IFLA_GENEVE_PORT)?.map(u16::from_be_bytes);
                }
                (IFLA_INFO_DATA, data) if self.kind.as_deref() == Some("vrf") => {
                    self.vrf_table = bytes_in(data, IFLA_VRF_TABLE)?.map(u32::from_ne_bytes);
                }
                (IFLA_INFO_SLAVE_DATA, data) if port_of_bridge => {
                    self.port_state = byte_in(data, IFLA_BRPORT_STATE)?.map(PortState::from);
                    self.is_isolated =
                        byte_in(data, IFLA_BRPORT_ISOLATED)?.is_some_and(|isolated| isolated != 0);
                    let is_on = |wanted| Ok(byte_in(data, wanted)?.is_none_or(|value| value != 0));
                    self.floods = PortFloods {
                        unicast: is_on(IFLA_BRPORT_UNICAST_FLOOD)?,
                        multicast: is_on(IFLA_BRPORT_MCAST_FLOOD)?,
                        broadcast: is_on(IFLA_BRPORT_BCAST_FLOOD)?,
                    };
                }
                _ => {}
            }
        }
        Ok(below)
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(until_nul(value)).into_owned()
}

fn byte_in(nested: &[u8], wanted: u16) -> Result<Option<u8>, MalformedMessage> {
    Ok(bytes_in(nested, wanted)?.map(|[byte]| byte))
}

/// The first bytes of the attribute of that kind inside a nested one.
fn bytes_in<const N: usize>(nested: &[u8], wanted: u16) -> Result<Option<[u8; N]>, MalformedMessage> {
    for attribute in attributes(nested) {
        let (kind, value) = attribute?;
        if kind == wanted {
            return Ok(value.first_chunk().copied());
        }
    }
    Ok(None)
}

/// Asks for all links.
pub(super) fn request(flags: u16) -> NetlinkRequest {
    NetlinkRequest::new("links", RTM_GETLINK, flags, &[0; FIXED_BYTES])
        .with_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
}

impl Socket {
    /// All links of the namespace, in the order of their indices or close to it.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn links(&mut self) -> Result<Vec<Link>, NetlinkError> {
        self.dump(request, Link::read)
    }

    /// The same, each with the IDs of its XDP programs, which are mostly none.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn links_with_xdp(&mut self) -> Result<Vec<(Link, Vec<u32>)>, NetlinkError> {
        self.dump(request, |payload| Ok((Link::read(payload)?, xdp(payload)?)))
    }

    /// The link of that index, or `None`.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn link(&mut self, index: u32) -> Result<Option<Link>, NetlinkError> {
        let fixed = [[0; 4], index.to_ne_bytes(), [0; 4], [0; 4]].concat();
        self.one_link(|flags| NetlinkRequest::new("link", RTM_GETLINK, flags, &fixed))
    }

    /// The link of that name, or `None`.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn link_named(&mut self, name: &IfName) -> Result<Option<Link>, NetlinkError> {
        self.one_link(|flags| {
            NetlinkRequest::new("link", RTM_GETLINK, flags, &[0; FIXED_BYTES])
                .with_text(IFLA_IFNAME, name.as_str())
        })
    }

    /// The link of that index in the namespace that this one knows by the number `nsid`, or `None`; in its
    /// [`Link::link_netnsid`] it is this namespace that numbers. Linux 4.20.
    ///
    /// # Errors
    /// [`NetlinkError`]: EACCES without CAP_NET_ADMIN over the user namespace that owns it, EINVAL where no namespace has
    /// that number.
    pub fn link_of(&mut self, nsid: i32, index: u32) -> Result<Option<Link>, NetlinkError> {
        let fixed = [[0; 4], index.to_ne_bytes(), [0; 4], [0; 4]].concat();
        self.one_link(|flags| {
            NetlinkRequest::new("link", RTM_GETLINK, flags, &fixed)
                .with_u32(IFLA_TARGET_NETNSID, nsid.cast_unsigned())
        })
    }

    fn one_link(&mut self, request: impl Fn(u16) -> NetlinkRequest) -> Result<Option<Link>, NetlinkError> {
        let asked =
            self.one(|flags| request(flags).with_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS), Link::read);
        match asked {
            Err(NetlinkError::Refused { errno: Errno::ENODEV, .. }) => Ok(None),
            other => other.map(Some),
        }
    }
}
