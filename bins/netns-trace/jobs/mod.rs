//! What the tool does, from the request to the report.

mod drops;
mod explain;
mod mtu;
mod resolve;
mod reverse;
mod trace;
mod watched_host;

pub use drops::drops;
pub use explain::explain;
pub use mtu::mtu;
pub use reverse::reverse;
pub use trace::trace;
