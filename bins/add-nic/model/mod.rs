//! What the other rooms talk about, as data: what is wanted, what there is, what will be changed, and the record of it. It
//! touches nothing and imports nothing of the tool. What serde writes of it is the journal's format.

pub mod change;
pub mod filter;
pub mod netns;
pub mod nic;
pub mod plan;
pub mod record;
#[cfg(test)]
mod record_format;
pub mod request;
pub mod shell;
pub mod snapshot;
pub mod sysctl;
pub mod view;
pub mod wanted;
