//! Rules of policy routing, in the words of ip-rule(8).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::netns::Netns;

/// A rule: packets from that address are routed by that table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRule {
    #[serde(rename = "place")]
    pub netns: Netns,
    pub source: IpAddr,
    pub table: u32,
    /// Of several the least comes first.
    pub priority: u32,
}

impl SourceRule {
    /// `verb` is `add` or `del`.
    pub(super) fn as_command(&self, verb: &str) -> String {
        let SourceRule { source, table, priority, .. } = self;
        let family = if source.is_ipv6() { " -6" } else { "" };
        format!("ip{family} rule {verb} from {source} lookup {table} priority {priority}")
    }
}
