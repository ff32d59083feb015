//! The tool's name in messages.

pub const TOOL: &str = "netns-link";
