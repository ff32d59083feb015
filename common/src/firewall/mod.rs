//! The packet filters of a network namespace as their own programs write them: nftables' by `nft`, those of iptables by the
//! program whose they are. They are looked at only: nothing here makes the kernel load or make a table.

mod chain;
mod fate;
mod firewalld;
mod ipsec;
mod iptables_save;
mod listing;
mod named_set;
mod nft_ruleset;
mod unread;

pub use chain::{FilterChain, FilterProgram, PacketCount, WrittenRule};
pub use fate::{
    ARP_REPLY, ARP_REQUEST, ChainHook, DropPlace, FilterPacket, HookFamily, HookRun, NetnsFilters,
    PacketFate, PacketFlow, PacketProtocol, PacketTranslation, iptables_words,
};
pub use firewalld::{is_firewalld, trusted_by_firewalld};
pub use ipsec::{IpsecDrop, IpsecFate};
pub use listing::FilterListing;
pub use named_set::NamedSet;
pub use unread::UnreadFilter;
