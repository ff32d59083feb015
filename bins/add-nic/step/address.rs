//! Addresses, and the commands that give and take them.

use std::net::IpAddr;

use common::cidr::Cidr;
use common::target::IfName;
use serde::{Deserialize, Serialize};

use super::Place;

/// An address that a link has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub place: Place,
    pub link: IfName,
    pub cidr: Cidr,
    /// The other end's, where that is in no network with it.
    pub peer: Option<IpAddr>,
}

impl Held {
    pub(super) fn adding(&self) -> String {
        let no_dad = if self.cidr.address().is_ipv6() { " nodad" } else { "" };
        format!("ip address add {}{no_dad}", self.words())
    }

    pub(super) fn deleting(&self) -> String {
        format!("ip address del {}", self.words())
    }

    fn words(&self) -> String {
        match self.peer {
            Some(peer) => format!("{} peer {} dev {}", self.cidr.address(), Cidr::host(peer), self.link),
            None => {
                let broadcast =
                    self.cidr.broadcast().map_or(String::new(), |all| format!(" broadcast {all}"));
                format!("{}{broadcast} dev {}", self.cidr, self.link)
            }
        }
    }
}
