//! What this tool is called, where it speaks.

pub const TOOL: &str = "netns-ping";
