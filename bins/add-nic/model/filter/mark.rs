//! The bit of a packet's mark that ties rules in other programs' chains to our links.
//!
//! A rule of iptables knows a link by its name only, and stays when the link is deleted: a new link of that name would be
//! accepted too. So the rules that accept a NIC's packets ask for this bit as well. The NIC's own chain sets it, right before
//! the chains of iptables, on what comes from or goes to the link with the index that the NIC was added with; and another
//! clears it right after them. What other rules say of a packet must not depend on it: see `mark_use`.

use common::target::IfName;
use serde::{Deserialize, Serialize};

/// One bit of a packet's mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MarkBit(pub u32);

/// Which way a packet passes a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkSide {
    /// It came from there.
    In,
    /// It goes there.
    Out,
}

/// A link, told by its index once the rule is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkPassage {
    pub side: LinkSide,
    pub link: IfName,
}

impl MarkBit {
    /// Bits that are outside of the masks of kube-proxy and the CNI plugins (0xe000), Cilium (0xf00), Tailscale (0xff0000) and
    /// Calico (0xffff0000): the first that suits is taken.
    pub const CANDIDATES: [MarkBit; 5] =
        [MarkBit(0x1000), MarkBit(0x80), MarkBit(0x40), MarkBit(0x20), MarkBit(0x10)];

    /// For `-m mark --mark`, as iptables prints it.
    pub fn matched(self) -> String {
        format!("{:#x}/{:#x}", self.0, self.0)
    }
}
