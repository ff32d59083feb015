//! A host interface that is moved into the container, and moved back and restored.

use common::netlink::Link;
use common::target::{IfName, Mac};
use serde::{Deserialize, Serialize};

use crate::model::netns::Netns;
use crate::model::shell::{NetnsFiles, quoted};

/// The NIC: what it was on the host, and what it is in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedNic {
    /// Its name on the host.
    pub name: IfName,
    pub told_by: NicIdentity,
    pub mac: Mac,
    pub mtu_bytes: u32,
    pub is_up: bool,
    /// Its switches under /proc/sys/net that are not as a new link's are: file and value.
    pub switches: Vec<(String, String)>,
    /// Its name in the container.
    pub inside_name: IfName,
    pub inside_mac: Option<Mac>,
    pub inside_mtu_bytes: Option<u32>,
}

/// What distinguishes it from a look-alike that the container could create to receive the host's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NicIdentity {
    /// The permanent MAC address of hardware: no container can create a link that has one.
    PermanentMac(Mac),
    /// Hardware, on a kernel that does not report it (before 5.6): no container can create a link without a kind.
    Hardware(Mac),
    /// A veth end. A container can set its MAC address, and create one with any; but only the kernel says where the other end is,
    /// in the numbering of the host's namespace.
    OtherEnd {
        mac: Mac,
        index: Option<u32>,
        netnsid: Option<i32>,
        /// The index of the other end there; `None` in records of format 0.
        #[serde(default)]
        far_index: Option<u32>,
    },
}

impl MovedNic {
    /// Whether a link in the container looks like it.
    pub fn looks_like(&self, link: &Link) -> bool {
        match self.told_by {
            NicIdentity::PermanentMac(mac) => link.permanent_mac == Some(mac),
            NicIdentity::Hardware(mac) => {
                link.kind.is_none() && (link.mac == Some(mac) || link.mac == self.inside_mac)
            }
            NicIdentity::OtherEnd { far_index: Some(far), .. } => link.other_end() == Some(far),
            NicIdentity::OtherEnd { mac, far_index: None, .. } => {
                link.is_veth() && (link.mac == Some(mac) || link.mac == self.inside_mac)
            }
        }
    }

    /// The link that looks most like it: other veth ends of the container can have other ends of the same index, elsewhere.
    pub fn most_like<'a>(&self, links: &'a [Link]) -> Option<&'a Link> {
        let rank = |link: &&Link| {
            let has_mac = link.mac == Some(self.inside_mac.unwrap_or(self.mac));
            usize::from(has_mac) * 2 + usize::from(link.name.to_str() == Some(self.inside_name.as_str()))
        };
        links.iter().filter(|link| self.looks_like(link)).max_by_key(rank)
    }

    /// Whether a link of the host is it.
    pub fn matches(&self, link: &Link) -> bool {
        self.looks_like(link)
            && match self.told_by {
                NicIdentity::PermanentMac(_) | NicIdentity::Hardware(_) => true,
                NicIdentity::OtherEnd { index, netnsid, far_index, .. } => {
                    (far_index.is_some() || link.link == index) && link.link_netnsid == netnsid
                }
            }
    }

    pub(super) fn taking(&self, files: &NetnsFiles<'_>) -> String {
        let (name, inside_name) = (&self.name, &self.inside_name);
        let mut commands = vec![
            format!("ip link set {name} down"),
            format!("ip link set {name} netns {} name {inside_name}", quoted(files.inside)),
        ];
        let mtu = self.inside_mtu_bytes.map_or(String::new(), |mtu| format!(" mtu {mtu}"));
        let mac = self.inside_mac.map_or(String::new(), |mac| format!(" address {mac}"));
        if !mtu.is_empty() || !mac.is_empty() {
            commands.push(files.at(Netns::Container, format!("ip link set {inside_name}{mtu}{mac}")));
        }
        commands.join(" && ")
    }

    /// It is moved to the namespace of the shell that runs this.
    pub(super) fn giving_back(&self, files: &NetnsFiles<'_>) -> String {
        let (name, inside_name) = (&self.name, &self.inside_name);
        let mut commands = vec![
            files.at(Netns::Container, format!("ip link set {inside_name} down")),
            files.at(Netns::Container, format!("ip link set {inside_name} netns $$ name {name}")),
            format!("ip link set {name} mtu {} address {}", self.mtu_bytes, self.mac),
        ];
        let keys =
            self.switches.iter().filter_map(|(file, value)| Some((file.strip_prefix("/proc/sys/")?, value)));
        commands
            .extend(keys.map(|(key, value)| format!("sysctl -q -w {}", quoted(&format!("{key}={value}")))));
        if self.is_up {
            commands.push(format!("ip link set {name} up"));
        }
        commands.join(" && ")
    }
}
