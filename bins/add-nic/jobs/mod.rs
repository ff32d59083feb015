//! What a call can ask for: to add a NIC, to remove one, and to list or check what there is.

pub mod add;
pub mod list;
pub mod remove;
