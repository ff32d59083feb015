//! What became of the packet.

use common::failure::Status;
use serde::Serialize;

/// What became of the packet, or with `--explain` is to be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TraceVerdict {
    /// The answer came.
    Works,
    /// Nothing is set up that stops it. Nothing was sent.
    Passes,
    /// It reached the socket, and no answer is due.
    Delivered,
    /// It, or the answer, was dropped.
    Lost,
    /// The destination or a firewall refused it.
    Refused,
    /// A router, or the sender's own kernel, has no way there.
    Unreachable,
    /// It left this host, and nothing came back.
    LeftHost,
    /// It could not be found out.
    CannotTell,
}

impl TraceVerdict {
    /// Its word, as in `--json`.
    pub const fn word(self) -> &'static str {
        match self {
            TraceVerdict::Works => "works",
            TraceVerdict::Passes => "passes",
            TraceVerdict::Delivered => "delivered",
            TraceVerdict::Lost => "lost",
            TraceVerdict::Refused => "refused",
            TraceVerdict::Unreachable => "unreachable",
            TraceVerdict::LeftHost => "left-host",
            TraceVerdict::CannotTell => "cannot-tell",
        }
    }

    /// The exit status.
    pub const fn status(self) -> Status {
        match self {
            TraceVerdict::Works | TraceVerdict::Passes | TraceVerdict::Delivered => Status::Yes,
            TraceVerdict::Lost
            | TraceVerdict::Refused
            | TraceVerdict::Unreachable
            | TraceVerdict::LeftHost => Status::No,
            TraceVerdict::CannotTell => Status::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_the_one_of_json() {
        let all = [
            TraceVerdict::Works,
            TraceVerdict::Passes,
            TraceVerdict::Delivered,
            TraceVerdict::Lost,
            TraceVerdict::Refused,
            TraceVerdict::Unreachable,
            TraceVerdict::LeftHost,
            TraceVerdict::CannotTell,
        ];
        for verdict in all {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.word());
        }
    }
}
