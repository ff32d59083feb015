//! The name of the tool, as its messages have it.

pub const TOOL: &str = "netns-ls";
