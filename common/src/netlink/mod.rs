//! A netlink route socket that belongs to one network namespace: what it can be asked, and told to change. Links,
//! addresses, routes, rules, neighbours, and by which number that namespace knows another one.
//!
//! The codec is our own: an attribute that is not needed is skipped, so a newer kernel cannot make a whole dump
//! unreadable. Why, and what would change that: docs/decisions/netlink-codec.md.
//!
//! Sources: [rtnetlink(7)](https://man7.org/linux/man-pages/man7/rtnetlink.7.html), linux/netlink.h,
//! linux/rtnetlink.h, and <https://docs.kernel.org/userspace-api/netlink/intro.html>.

mod address;
mod chain_rule;
mod connected;
mod conntrack;
mod error;
mod events;
mod fdb;
mod inet_socket;
mod input_route;
mod ipsec;
mod link;
mod listener;
mod listening;
mod neighbour;
mod netfilter;
mod nft_data;
mod nft_rule;
mod nft_set;
mod nft_trace;
mod nft_trace_table;
mod nsid;
mod packet_log;
mod route;
mod rule;
mod socket;
#[cfg(test)]
mod tests;
mod traffic;
mod wire;

pub use address::{Address, AddressAttributes, NewAddress};
pub use chain_rule::ChainRule;
pub use connected::busiest_destination;
pub use conntrack::{FlowTuple, TrackedFlow};
pub use error::NetlinkError;
pub use events::ChangeListener;
pub use fdb::{FdbEntry, FdbOrigin};
pub use inet_socket::{InetSocket, inet_sockets};
pub use ipsec::{IpsecDirection, IpsecPolicy, IpsecState, IpsecTables, IpsecTemplate, IpsecTransform};
pub use link::{
    Link, NewBridge, NewUpper, NewVeth, OperState, PortFloods, PortState, PortVlan, UpperKind, VethEnd,
    VlanFiltering,
};
pub use listener::{AbstractListener, abstract_listeners, owner_of_abstract};
pub use listening::{ListeningSocket, SocketKinds, listening, listening_sockets};
pub use neighbour::Neighbour;
pub use netfilter::{Chain, Netfilter, TableFamily};
pub use nft_data::NftVerdict;
pub use nft_rule::{NftCompare, NftExpression, NftRegister, NftRule, XtPart};
pub use nft_set::NftElement;
pub use nft_trace::{NftTraceEvent, NftTraceVerdict, NftTracer};
pub use nft_trace_table::{NftCondition, TracedPackets};
pub use packet_log::{LoggedPacket, PacketLog};
pub use route::{ANYCAST, NewRoute, NextHop, Route, RouteLookup, UNICAST, usual_scope};
pub use rule::{NewRule, Rule, RuleConditions, RuleLink};
pub use socket::Socket;
pub use traffic::{QueueDiscipline, TrafficDirection, TrafficFilter};
