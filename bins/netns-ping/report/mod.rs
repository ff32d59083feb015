//! What the reports of all jobs have in common.

pub mod event;
mod remarks;
mod round_trips;
pub mod verdict;

pub use remarks::remarks;
pub use round_trips::{FewMs, Ms, RoundTrips, micros};
