//! A hop: where a packet is at one moment of its way.

use serde::Serialize;

/// What of the kernel has the packet at a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HopHook {
    /// The routing of what the namespace itself sends.
    Route,
    /// The neighbour table: whose MAC address it is sent to.
    Neighbour,
    /// Netfilter's hooks, and the routing between them.
    Output,
    Prerouting,
    Input,
    Forward,
    Postrouting,
    /// Traffic control and XDP, where it comes in.
    Ingress,
    /// Traffic control, where it goes out.
    Egress,
    /// A bridge, from port to port.
    Bridge,
    /// The socket that it is for.
    Socket,
}

impl HopHook {
    /// Its word in a sentence.
    pub const fn word(self) -> &'static str {
        match self {
            HopHook::Route => "routing",
            HopHook::Neighbour => "neighbour table",
            HopHook::Output => "output hook",
            HopHook::Prerouting => "prerouting hook",
            HopHook::Input => "input hook",
            HopHook::Forward => "forward hook",
            HopHook::Postrouting => "postrouting hook",
            HopHook::Ingress => "ingress",
            HopHook::Egress => "egress",
            HopHook::Bridge => "bridge",
            HopHook::Socket => "socket",
        }
    }
}

/// Where a hop is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HopPlace {
    /// What people call the namespace, as it came: `web`, `host`, `netns:blue`.
    pub container: String,
    /// The inode of the namespace.
    pub netns: u64,
    /// The interface, as it came.
    pub ifname: Option<String>,
    /// What of the kernel has the packet there; nothing where it only passes an interface.
    pub hook: Option<HopHook>,
}

/// One step of the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceHop {
    /// Where it is.
    #[serde(flatten)]
    pub place: HopPlace,
    /// The index of the interface.
    #[serde(skip)]
    pub index: Option<u32>,
    /// Whether it is a step of the answer.
    pub is_answer: bool,
    /// When the packet was seen there: microseconds after it left; nothing where it was not seen, or nothing was sent.
    pub us: Option<u64>,
}
