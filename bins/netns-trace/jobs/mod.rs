//! What the tool does, from the request to the report.

mod explain;
mod resolve;
mod trace;

pub use explain::explain;
pub use trace::trace;
