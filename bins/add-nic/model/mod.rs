//! The data that all other folders use: requests, state, steps, plans and records. It does no I/O and imports nothing of the
//! tool. What serde writes of it is the journal's format.

pub mod change;
pub mod filter;
pub mod identity;
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
