//! Routes, in the words of ip-route(8).

use std::net::IpAddr;

use common::cidr::Cidr;
use common::target::IfName;
use serde::{Deserialize, Serialize};

use crate::model::netns::Netns;

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteSpec {
    #[serde(rename = "place")]
    pub netns: Netns,
    /// Of which table.
    pub table: u32,
    pub to: Cidr,
    pub via: Option<IpAddr>,
    pub link: IfName,
    pub source: Option<IpAddr>,
    /// 0 is the kernel's default: 0 for IPv4, 1024 for IPv6.
    pub metric: u32,
    /// rtnetlink(7), rtm_protocol: 3 is what was made at boot, or by hand.
    pub protocol: u8,
    /// rtnetlink(7), rtm_scope; `None`: as far as one such leads.
    pub scope: Option<u8>,
    pub on_link: bool,
}

/// RTPROT_BOOT: what `ip route add` gives to a route.
pub const BY_HAND: u8 = 3;
/// RT_TABLE_MAIN
pub const MAIN: u32 = 254;

impl RouteSpec {
    /// As ip-route(8) takes it.
    pub(super) fn words(&self) -> String {
        let mut words = match (self.to.prefix_len(), self.to.address()) {
            (0, IpAddr::V4(_)) => "default".to_owned(),
            (0, IpAddr::V6(_)) => "::/0".to_owned(),
            _ => self.to.to_string(),
        };
        if let Some(via) = self.via {
            words += &format!(" via {via}");
        }
        words += &format!(" dev {}", self.link);
        if self.table != MAIN {
            words += &format!(" table {}", self.table);
        }
        if let Some(source) = self.source {
            words += &format!(" src {source}");
        }
        if self.metric > 0 {
            words += &format!(" metric {}", self.metric);
        }
        if self.protocol != BY_HAND {
            words += &format!(" proto {}", self.protocol);
        }
        if let (Some(scope), IpAddr::V4(_)) = (self.scope, self.to.address()) {
            words += &format!(" scope {scope}");
        }
        if self.on_link {
            words += " onlink";
        }
        words
    }
}
