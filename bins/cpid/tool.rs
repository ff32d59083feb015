//! The tool's name, for messages, and its manual.

pub const TOOL: &str = "cpid";

/// As `make docs` has made it.
pub const MANUAL: &str = include_str!("../../man/cpid.1");
