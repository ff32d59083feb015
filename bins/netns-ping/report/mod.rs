//! What the reports of all jobs have in common.

pub mod event;
pub mod verdict;
mod remarks;
mod round_trips;

pub use remarks::remarks;
pub use round_trips::{FewMs, Ms, RoundTrips, micros};
