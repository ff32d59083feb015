//! Packet filters: a table of our own in nf_tables, and the rules that let packets through other people's iptables.

mod accept;
mod listener;
mod listing;
mod mark;
mod mark_use;
mod publish;
mod rules;
mod state;
mod term;
mod wanted;

pub use accept::{AcceptRule, AllowedTraffic};
pub use listener::Listener;
pub use listing::{FORWARD, IptablesListing};
pub use mark::{LinkPassage, LinkSide, MarkBit};
pub use mark_use::{MarkUse, MarkValue};
pub use publish::{Protocol, PublishedPort};
pub use rules::{FAMILY, FilterRule, Hook, MarkedFlows, NicRules, PortClient, TABLE};
pub use state::{FilterQuery, FilterState, IptablesKind, IptablesTable, ListingError};
pub use term::AddressEnd;
pub use wanted::{NatScope, WantedRules};
