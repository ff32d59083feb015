//! The tool's name, for messages, and its manual.

pub const TOOL: &str = "add-nic";

/// As `make docs` has made it.
pub const MANUAL: &str = include_str!("../../man/add-nic.8");
