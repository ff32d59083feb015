//! Links that are made: what they are, and the commands that make them.

use common::netlink::Link;
use common::target::{IfName, Mac};
use serde::{Deserialize, Serialize};

use crate::model::netns::Netns;
use crate::model::shell::{NetnsFiles, quoted};

/// A bridge that we create. Its MAC address distinguishes it from a later one of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeSpec {
    pub name: IfName,
    pub mac: Mac,
    pub mtu_bytes: Option<u32>,
    /// Whether it keeps VLANs apart.
    pub vlan_filtering: bool,
}

/// The MAC address of a bridge that somebody else created. Until one is set, the kernel gives it the lowest of its ports'
/// (br_stp_recalculate_bridge_id in net/bridge/br_stp_if.c), and neighbours lose a gateway that changes its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedMac {
    pub bridge: IfName,
    pub mac: Mac,
}

/// A bridge's port that is in one VLAN only, untagged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessPort {
    pub link: IfName,
    pub vlan: u16,
    /// The default VLAN of the bridge, which it is removed from.
    pub not_in: Option<u16>,
}

impl AccessPort {
    pub(super) fn as_command(&self) -> String {
        let AccessPort { link, vlan, not_in } = self;
        let add = format!("bridge vlan add dev {link} vid {vlan} pvid untagged");
        not_in.map_or(add.clone(), |old| format!("{add} && bridge vlan del dev {link} vid {old}"))
    }
}

/// A veth pair. Each end is identified by two of three: its index, its MAC address, and the index of its other end. Of the end on the
/// host no container can change the first two; root of the host can change the second. Until the indices are recorded it is the MAC
/// address alone, which is random. See [`crate::check::is_there`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Veth {
    pub inside: VethEndSpec,
    pub other: VethEndSpec,
    #[serde(rename = "other_place")]
    pub other_netns: Netns,
    pub mtu_bytes: Option<u32>,
    /// The bridge that the other end is a port of.
    pub bridge: Option<IfName>,
    /// Known once it was created.
    #[serde(default)]
    pub indices: Option<VethIndices>,
}

/// The index of each end, in its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VethIndices {
    pub inside: u32,
    pub other: u32,
}

/// One end of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VethEndSpec {
    pub name: IfName,
    pub mac: Mac,
}

/// The file that says whether a link may have IPv6 addresses.
pub fn ipv6_switch(link: &str) -> String {
    format!("/proc/sys/net/ipv6/conf/{link}/disable_ipv6")
}

/// `indices` are its own and that of its other end.
fn is_end(link: &Link, mac: Mac, indices: Option<(u32, u32)>) -> bool {
    let has_mac = link.mac == Some(mac);
    link.is_veth()
        && match indices {
            None => has_mac,
            Some((own, far)) => {
                let [has_index, has_far] = [link.index == own, link.other_end() == Some(far)];
                (has_index && has_far) || (has_mac && (has_index || has_far))
            }
        }
}

impl BridgeSpec {
    pub(super) fn as_command(&self) -> String {
        let BridgeSpec { name, mac, mtu_bytes, vlan_filtering } = self;
        let filtering = if *vlan_filtering { " vlan_filtering 1" } else { "" };
        format!("ip link add {name} address {mac}{} up type bridge{filtering}", mtu(*mtu_bytes))
    }
}

impl Veth {
    /// Whether a link is the end that is in the container.
    pub fn is_inside_end(&self, link: &Link) -> bool {
        let indices = self.indices.map(|VethIndices { inside, other }| (inside, other));
        is_end(link, self.inside.mac, indices)
    }

    /// Whether a link is the other end, in its namespace.
    pub fn is_other_end(&self, link: &Link) -> bool {
        let indices = self.indices.map(|VethIndices { inside, other }| (other, inside));
        is_end(link, self.other.mac, indices)
    }

    pub(super) fn as_command(&self, files: &NetnsFiles<'_>) -> String {
        let mtu = mtu(self.mtu_bytes);
        let master = self.bridge.as_ref().map_or(String::new(), |bridge| format!(" master {bridge}"));
        let (here, there) = (&self.other, &self.inside);
        let add = format!(
            "ip link add {} address {}{mtu}{master} type veth peer name {} address {}{mtu} netns {}",
            here.name,
            here.mac,
            there.name,
            there.mac,
            quoted(files.inside)
        );
        files.at(self.other_netns, add)
    }
}

pub(super) fn mtu(bytes: Option<u32>) -> String {
    bytes.map_or(String::new(), |bytes| format!(" mtu {bytes}"))
}
