//! What a picture shows: boxes, bridges, and the cables between their plugs. All text in it is safe to show. Pure data, and the
//! JSON that the page draws from.

use std::collections::BTreeMap;

use serde::Serialize;

/// A picture of the whole host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MapPicture {
    /// The namespace that the tool runs in: the right column.
    pub host: Option<NetnsBox>,
    /// All other namespaces, in the order of the left column.
    pub boxes: Vec<NetnsBox>,
    /// The bridges of all namespaces: the middle column.
    pub bridges: Vec<BridgeBox>,
    /// What is plugged into what.
    pub cables: Vec<Cable>,
    /// The rows of the picture: which boxes are beside which bridge.
    pub bands: Vec<PictureBand>,
    /// What could not be looked at, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen: Option<String>,
}

/// The number of a place that a cable can end at: each is in the picture once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct PlugId(pub u32);

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct NetnsBox {
    pub inode: u64,
    /// What it is called.
    pub title: String,
    /// What else is known of it, by its name: containers, processes, what keeps it alive.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<&'static str, Vec<String>>,
    /// What is wrong in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FindingBox>,
    /// What listens there, and what is published.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortBox>,
    /// Its interfaces that are no ports of a bridge.
    pub rows: Vec<InterfaceBox>,
}

/// A port that something listens on, or that is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortBox {
    /// `80/tcp`; with the address if it is not for all: `127.0.0.1:9000/tcp`.
    pub place: String,
    /// Where it leads to, by what, and whether something listens there.
    pub text: String,
}

/// Something that is wrong, and what fixes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct FindingBox {
    /// The interface that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ifname: Option<String>,
    pub text: String,
    /// Commands that fix it, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fix: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// An interface: a line of a box, or a port of a bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InterfaceBox {
    pub id: PlugId,
    pub ifname: String,
    pub ifindex: u32,
    /// `up`, `down`, `no-carrier`; of a port that does not forward, `blocking`.
    pub state: &'static str,
    /// Those that others can reach.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// The others: loopback's, and IPv6's link-local ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub local_addresses: Vec<String>,
    /// What a reader has to know that no cable shows: `on eth0`, `→ ? (index 9)`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    pub mtu: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Programs that see its packets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<String>,
    /// Whether only its details are of interest: a loopback interface as every namespace has it.
    #[serde(skip_serializing_if = "is_false")]
    pub is_quiet: bool,
    /// Whether packets leave the machine there: hardware, or where a default route of the host leads.
    #[serde(skip_serializing_if = "is_false")]
    pub is_way_out: bool,
}

/// A bridge, with its ports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BridgeBox {
    /// The bridge as an interface.
    pub own: InterfaceBox,
    /// The inode of its namespace.
    pub netns: u64,
    /// What that is called, if it is not the host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
    /// What is wrong with it or its ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FindingBox>,
    /// Its ports but for hardware, which has a line in its namespace's box; in the order of the boxes they lead to.
    pub ports: Vec<InterfaceBox>,
}

/// Two plugs that are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cable {
    pub from: PlugId,
    pub to: PlugId,
    pub kind: CableKind,
    /// Whether both ends carry packets.
    pub is_up: bool,
}

/// Why two plugs are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CableKind {
    /// They are a veth pair.
    Pair,
    /// The first is a port of the bridge.
    Port,
    /// The bridge, as an interface of its own namespace.
    Own,
    /// The first is stacked on the other: a macvlan, a VLAN.
    Stacked,
}

/// Boxes that are drawn beside one bridge, or beside none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PictureBand {
    /// Which bridge, by its number in the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<usize>,
    /// Which boxes, by their numbers.
    pub boxes: Vec<usize>,
    /// Whether no cable leads to any of them.
    #[serde(skip_serializing_if = "is_false")]
    pub is_unplugged: bool,
}

impl CableKind {
    /// The word for it, as styles and JSON have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            CableKind::Pair => "pair",
            CableKind::Port => "port",
            CableKind::Own => "own",
            CableKind::Stacked => "stacked",
        }
    }
}

impl InterfaceBox {
    /// Whether it carries packets.
    pub fn is_up(&self) -> bool {
        self.state == "up"
    }
}

impl MapPicture {
    /// Shows a finding where it is: at a bridge if it is about one or a port of it, else at the namespace; what is about a namespace
    /// that is not in the picture, at the host.
    pub fn add_finding(&mut self, inode: u64, finding: FindingBox) {
        let is_about = |row: &InterfaceBox| finding.ifname.as_ref() == Some(&row.ifname);
        let mut bridges = self.bridges.iter_mut().filter(|bridge| bridge.netns == inode);
        if let Some(bridge) =
            bridges.find(|bridge| is_about(&bridge.own) || bridge.ports.iter().any(is_about))
        {
            bridge.findings.push(finding);
            return;
        }
        let all = self.host.iter_mut().chain(&mut self.boxes);
        let mut all: Vec<&mut NetnsBox> = all.collect();
        let at = all.iter().position(|one| one.inode == inode).unwrap_or(0);
        if let Some(one) = all.get_mut(at) {
            one.findings.push(finding);
        }
    }

    /// Says what could not be looked at, if that is not said already.
    pub fn add_unseen(&mut self, what: &str) {
        if self.unseen.as_ref().is_some_and(|unseen| unseen.contains(what)) {
            return;
        }
        let before = self.unseen.take().map(|unseen| unseen + ", ").unwrap_or_default();
        self.unseen = Some(before + what);
    }

    /// The box of the namespace with that inode.
    pub fn netns_mut(&mut self, inode: u64) -> Option<&mut NetnsBox> {
        self.host.iter_mut().chain(&mut self.boxes).find(|one| one.inode == inode)
    }
}

impl NetnsBox {
    /// Says of the interface with that index that packets leave there.
    pub fn add_way_out(&mut self, ifindex: u32, remark: &str) {
        for row in self.rows.iter_mut().filter(|row| row.ifindex == ifindex) {
            row.is_way_out = true;
            row.remarks.push(remark.to_owned());
        }
    }

    /// What is said of a namespace whose box has no interface. Each has loopback, so one without any was not read.
    pub fn emptiness(&self) -> Option<&'static str> {
        match self.rows.is_empty() {
            true => Some("could not be read"),
            false => self.drawn().next().is_none().then_some("nothing but loopback"),
        }
    }

    /// The interfaces that are drawn.
    pub fn drawn(&self) -> impl Iterator<Item = &InterfaceBox> {
        self.rows.iter().filter(|row| !row.is_quiet)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(value: &bool) -> bool {
    !value
}
