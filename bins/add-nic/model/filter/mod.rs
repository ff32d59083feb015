//! Packet filters: a table of our own in nf_tables, and the rules that let packets through other people's iptables.

mod accept;
mod listener;
mod listing;
mod publish;
mod rules;
mod state;
mod term;
mod wanted;

pub use accept::{Accept, Passing};
pub use listener::Listener;
pub use listing::{FORWARD, Listing};
pub use publish::{Protocol, Published};
pub use rules::{Client, FAMILY, Hook, Rule, Rules, TABLE};
pub use state::{FilterQuery, FilterState, Kind, Table};
pub use term::AddressEnd;
pub use wanted::WantedRules;
