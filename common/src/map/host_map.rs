//! The host as one look saw it: every network namespace with its links, and which link is plugged into which. Pure data;
//! [`HostMap`] answers what views and findings ask of it.

use std::path::PathBuf;

use nix::unistd::{Pid, Uid};

use super::{NetnsHolder, UnseenNamespaces};
use crate::engine::Container;
use crate::netlink::{Address, Link};

/// Every network namespace of the host, as one look saw it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostMap {
    /// Our own namespace first, then those with containers, then the others; each once.
    pub namespaces: Vec<MappedNetns>,
    /// What could not be looked at: with it, what is not on the map may still be there.
    pub unseen: UnseenNamespaces,
}

/// A network namespace, with everything that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MappedNetns {
    /// The inode number of its nsfs file: `4026531840` of `net:[4026531840]`. All namespaces of a host are on one nsfs,
    /// so it says which namespace it is as long as this lives.
    pub inode: u64,
    /// Whether it is the one that the tool runs in: the host's, unless we were started in a container.
    pub is_own: bool,
    /// The user who owns the user namespace that owns it; nothing where the kernel does not tell us.
    pub owner: Option<Uid>,
    /// Where its file is mounted, `/run/netns/blue`: what people made before what engines made.
    pub names: Vec<PathBuf>,
    /// Processes that are in it, by ascending PID.
    pub processes: Vec<Pid>,
    /// What keeps it alive; never empty, but for a namespace that vanished while we looked.
    pub held_by: Vec<NetnsHolder>,
    /// The containers whose processes are in it, of every engine.
    pub containers: Vec<Container>,
    /// Its links, by ascending index: they are searched so.
    pub links: Vec<MappedLink>,
}

/// A link on the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedLink {
    /// The link as its namespace has it.
    pub link: Link,
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// Of a veth the other end; of a macvlan, ipvlan, VLAN or vxlan link the link below, often of another namespace.
    /// Nothing for a link that stands on no other.
    pub end: Option<LinkEnd>,
    /// Programs that see its packets: listed, not judged.
    pub programs: Vec<AttachedProgram>,
}

/// Where the other end of a veth, or the link below another, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LinkEnd {
    /// On the map: proven by the kernel's own number for that namespace, or by being in the same one.
    Known(LinkPlace),
    /// In a namespace that we did not see, or that cannot be told from others.
    Unseen {
        /// Its index there, where the kernel says.
        index: Option<u32>,
    },
}

/// A link of the map: which namespace, and which link in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkPlace {
    /// The namespace's inode.
    pub netns: u64,
    /// The link's index there.
    pub index: u32,
}

/// A program that the kernel runs for a link's packets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttachedProgram {
    /// Where it is attached: `xdp`, `tc ingress`, `tc egress`, `tcx ingress`, `cgroup`.
    pub hook: String,
    /// Its BPF program ID, where it is one.
    pub id: Option<u32>,
    /// Its name or kind as the kernel has it.
    pub name: Option<String>,
}

impl HostMap {
    /// The namespace with that inode.
    pub fn netns(&self, inode: u64) -> Option<&MappedNetns> {
        self.namespaces.iter().find(|netns| netns.inode == inode)
    }

    /// The namespace that the tool runs in.
    pub fn own(&self) -> Option<&MappedNetns> {
        self.namespaces.iter().find(|netns| netns.is_own)
    }

    /// The link at that place.
    pub fn link(&self, place: LinkPlace) -> Option<&MappedLink> {
        self.netns(place.netns)?.link(place.index)
    }

    /// The link that `link` is plugged into, or stands on, with its namespace.
    pub fn end_of(&self, link: &MappedLink) -> Option<(&MappedNetns, &MappedLink)> {
        let Some(LinkEnd::Known(place)) = link.end else { return None };
        let netns = self.netns(place.netns)?;
        Some((netns, netns.link(place.index)?))
    }
}

impl MappedNetns {
    /// The link with that index.
    pub fn link(&self, index: u32) -> Option<&MappedLink> {
        let at = self.links.binary_search_by_key(&index, |link| link.link.index);
        at.ok().map(|at| &self.links[at])
    }

    /// The bridge or bond that `link` is a port of.
    pub fn master_of(&self, link: &MappedLink) -> Option<&MappedLink> {
        self.link(link.link.master?)
    }

    /// The ports of the bridge or bond with that index.
    pub fn ports_of(&self, master: u32) -> impl Iterator<Item = &MappedLink> {
        self.links.iter().filter(move |link| link.link.master == Some(master))
    }
}
