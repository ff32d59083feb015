//! Names as a container resolves them: its files, and its name servers, asked from its own network as its C library asks.

mod dns_at_once;
mod dns_error;
mod dns_message;
mod dns_server;
mod families;
mod files;
mod lookup;
mod question;
mod tcp;

pub use families::Families;
pub use lookup::{NameAnswer, NameLookup, NameNetwork, NameOrigin};
