//! The tool's name, for messages.

pub const TOOL: &str = "netns-trace";
