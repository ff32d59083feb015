//! The tool's name, for messages, and its manual.

pub const TOOL: &str = "netns-ping";

/// As `make docs` has made it.
pub const MANUAL: &str = include_str!("../../man/netns-ping.1");
