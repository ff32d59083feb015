//! Where a packet's parts are in this kernel's memory, and what it calls its reasons to drop one.

use std::collections::HashMap;

use super::types::{KernelTypeTable, MemberPlace};

/// The structs that programs look into, and what they look with.
const WANTED: [&str; 9] =
    ["sk_buff", "net_device", "net", "ns_common", "sock", "sock_common", "dst_entry", CAST, NUMBERS];
/// The function that gives an address a type, so that it is read without a call: Linux 6.2. And a struct that begins with a
/// number of eight bytes: whatever is cast to it can be read.
const CAST: &str = "bpf_rdonly_cast";
const NUMBERS: &str = "timespec64";
/// Enums with reasons are called so: skb_drop_reason, and those of subsystems.
const REASONS: &str = "_drop_reason";
const REASON_PREFIX: &str = "SKB_DROP_REASON_";

/// Byte offsets of what is read of a packet and its interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PacketLayout {
    pub(super) protocol: u32,
    pub(super) network_header: u32,
    pub(super) head: u32,
    pub(super) data: u32,
    pub(super) device: u32,
    pub(super) route: u32,
    pub(super) socket: u32,
    pub(super) kind: MemberPlace,
    pub(super) link_header: u32,
    pub(super) mark: u32,
    pub(super) bytes: u32,
    /// Its flow, and of which state it is there; nothing in a kernel without connection tracking.
    pub(super) flow: Option<u32>,
    /// Of struct net_device.
    pub(super) index: u32,
    pub(super) netns_of_device: u32,
    /// Of struct dst_entry, a route.
    pub(super) device_of_route: u32,
    /// Of struct sock.
    pub(super) netns_of_socket: u32,
    /// Of struct net, a namespace.
    pub(super) inode: u32,
    /// How memory is read without a call; nothing where it takes a call.
    pub(super) cast: Option<TypeCast>,
}

/// The kernel's numbers of what it takes to read memory without a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TypeCast {
    /// The function.
    pub(super) function: u32,
    /// The type of a packet's description.
    pub(super) packet: u32,
    /// A type that is eight bytes.
    pub(super) bytes: u32,
}

/// What the kernel tells of itself.
#[derive(Debug)]
pub(super) struct KernelFacts {
    pub(super) layout: PacketLayout,
    /// Words for the numbers of reasons.
    pub(super) reasons: HashMap<u32, String>,
}

impl KernelFacts {
    /// Reads them from the kernel's own types; else what it lacks.
    pub(super) fn read(types: &[u8]) -> Result<Self, &'static str> {
        let table = KernelTypeTable::read(types, &WANTED, REASONS).ok_or("types that can be read")?;
        let place = |of, name| table.member(of, name).ok_or(name);
        let offset = |of, name| place(of, name).map(|place| place.offset);
        let cast = table.number(CAST).zip(table.number("sk_buff")).zip(table.number(NUMBERS));
        let cast = cast.map(|((function, packet), bytes)| TypeCast { function, packet, bytes });
        let layout = PacketLayout {
            cast,
            protocol: offset("sk_buff", "protocol")?,
            network_header: offset("sk_buff", "network_header")?,
            head: offset("sk_buff", "head")?,
            data: offset("sk_buff", "data")?,
            device: offset("sk_buff", "dev")?,
            route: offset("sk_buff", "_skb_refdst")?,
            socket: offset("sk_buff", "sk")?,
            kind: place("sk_buff", "pkt_type")?,
            link_header: offset("sk_buff", "mac_header")?,
            mark: offset("sk_buff", "mark")?,
            bytes: offset("sk_buff", "len")?,
            flow: offset("sk_buff", "_nfct").ok(),
            index: offset("net_device", "ifindex")?,
            netns_of_device: offset("net_device", "nd_net")?,
            device_of_route: offset("dst_entry", "dev")?,
            netns_of_socket: offset("sock", "__sk_common")? + offset("sock_common", "skc_net")?,
            inode: offset("net", "ns")? + offset("ns_common", "inum")?,
        };
        let shortened = |name: String| name.strip_prefix(REASON_PREFIX).unwrap_or(&name).to_owned();
        let reasons = table.enumerators().into_iter();
        Ok(KernelFacts { layout, reasons: reasons.map(|(value, name)| (value, shortened(name))).collect() })
    }

    /// The kernel's number for a reason.
    pub(super) fn number_of(&self, word: &str) -> Option<u32> {
        self.reasons.iter().find(|(_, name)| *name == word).map(|(number, _)| *number)
    }

    /// The kernel's word for a reason.
    pub(super) fn reason(&self, number: u32) -> String {
        self.reasons.get(&number).cloned().unwrap_or_else(|| format!("reason {number}"))
    }
}
