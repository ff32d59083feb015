//! What is asked of packet filters for one NIC.

use serde::{Deserialize, Serialize};

use super::publish::PublishedPort;

/// Which traffic of a NIC leaves with the host's address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "NatWord", into = "NatWord")]
pub enum NatScope {
    /// None.
    #[default]
    Off,
    /// That which leaves by a link of a default route.
    DefaultRoute,
    /// All that leaves its networks: the only one there was, `true` in records.
    All,
}

/// As records have it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum NatWord {
    Flag(bool),
    Word(String),
}

impl From<NatWord> for NatScope {
    fn from(word: NatWord) -> Self {
        match word {
            NatWord::Flag(false) => NatScope::Off,
            NatWord::Flag(true) => NatScope::All,
            NatWord::Word(_) => NatScope::DefaultRoute,
        }
    }
}

impl From<NatScope> for NatWord {
    fn from(scope: NatScope) -> Self {
        match scope {
            NatScope::Off => NatWord::Flag(false),
            NatScope::All => NatWord::Flag(true),
            NatScope::DefaultRoute => NatWord::Word("default-route".to_owned()),
        }
    }
}

impl NatScope {
    /// Whether there is any.
    pub fn is_on(self) -> bool {
        self != NatScope::Off
    }
}

/// What packet filters are to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedRules {
    /// Internet access with the host's address.
    pub nat: NatScope,
    /// Let those on its bridge talk to each other.
    pub forward: bool,
    /// Ports of the host that lead to it.
    pub publish: Vec<PublishedPort>,
}

impl WantedRules {
    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        *self == WantedRules::default()
    }

    /// The option that asks for it, for messages.
    pub fn option(&self) -> &'static str {
        match self {
            WantedRules { nat, .. } if nat.is_on() => "--nat",
            WantedRules { publish, .. } if !publish.is_empty() => "--publish",
            _ => "--forward",
        }
    }
}
