//! Packet filters: a table of our own in nf_tables, and the rules that let packets through other people's iptables.

mod accept;
mod listener;
mod listing;
mod publish;
mod rules;
mod state;
mod term;
mod wanted;

pub use accept::{AcceptRule, AllowedTraffic};
pub use listener::Listener;
pub use listing::{FORWARD, IptablesListing};
pub use publish::{Protocol, PublishedPort};
pub use rules::{FAMILY, FilterRule, Hook, NicRules, PortClient, TABLE};
pub use state::{FilterQuery, FilterState, IptablesKind, IptablesTable, ListingError};
pub use term::AddressEnd;
pub use wanted::{NatScope, WantedRules};
