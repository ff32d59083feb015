//! Steps as a shell takes them.

pub use common::output::quoted;

use crate::model::netns::Netns;

/// Files of the namespaces, through which commands reach them.
#[derive(Debug, Clone, Copy)]
pub struct NetnsFiles<'a> {
    pub inside: &'a str,
    /// Where there is none, no step is about it.
    pub peer: Option<&'a str>,
}

impl NetnsFiles<'_> {
    /// The command, run in that netns.
    pub fn at(&self, netns: Netns, command: String) -> String {
        match netns {
            Netns::Host => command,
            Netns::Container => format!("nsenter --net={} {command}", quoted(self.inside)),
            Netns::Peer => format!("nsenter --net={} {command}", quoted(self.peer.unwrap_or_default())),
        }
    }
}
