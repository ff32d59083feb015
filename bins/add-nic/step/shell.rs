//! Steps as a shell takes them.

pub use common::output::quoted;

use super::Place;

/// Files of the namespaces, through which commands reach them.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    pub inside: &'a str,
    /// Where there is none, no step is about it.
    pub peer: Option<&'a str>,
}

impl Files<'_> {
    /// The command, run in that place.
    pub fn at(&self, place: Place, command: String) -> String {
        match place {
            Place::Outside => command,
            Place::Inside => format!("nsenter --net={} {command}", quoted(self.inside)),
            Place::Peer => format!("nsenter --net={} {command}", quoted(self.peer.unwrap_or_default())),
        }
    }
}
