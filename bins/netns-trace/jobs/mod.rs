//! What the tool does, from the request to the report.

mod explain;
mod resolve;

pub use explain::explain;
