//! The tool's name, for messages, and its manual.

pub const TOOL: &str = "nsenter-rs";

/// As `make docs` has made it.
pub const MANUAL: &str = include_str!("../../man/nsenter-rs.1");
