//! Addresses, and the commands that give and take them.

use std::net::IpAddr;

use common::cidr::Cidr;
use common::netlink::{AddressAttributes, NewAddress};
use common::target::IfName;
use serde::{Deserialize, Serialize};

use crate::model::netns::Netns;
use crate::model::shell::quoted;

/// An address that a link has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressSpec {
    #[serde(rename = "place")]
    pub netns: Netns,
    pub link: IfName,
    pub cidr: Cidr,
    /// The other end's, where that is in no network with it.
    pub peer: Option<IpAddr>,
    /// How it was given before; as is usual if `None`.
    pub given: Option<AddressAttributes>,
}

impl AddressSpec {
    pub(super) fn adding(&self) -> String {
        let usual = NewAddress::usual(0, self.cidr, self.peer).given;
        let given = self.given.as_ref().unwrap_or(&usual);
        let mut words = format!("ip address add {}", self.words());
        if let Some(label) = &given.label {
            words += &format!(" label {}", quoted(label));
        }
        if given.scope != 0 {
            words += &format!(" scope {}", given.scope);
        }
        if given.no_dad {
            words += " nodad";
        }
        words
    }

    pub(super) fn deleting(&self) -> String {
        format!("ip address del {}", self.words())
    }

    fn words(&self) -> String {
        let (link, address) = (&self.link, self.cidr.address());
        let broadcast = match &self.given {
            Some(given) => given.broadcast,
            None if self.peer.is_some() => None,
            None => self.cidr.broadcast(),
        };
        let broadcast = broadcast.map_or(String::new(), |all| format!(" broadcast {all}"));
        match self.peer {
            Some(peer) => format!("{address} peer {}{broadcast} dev {link}", Cidr::host(peer)),
            None => format!("{}{broadcast} dev {link}", self.cidr),
        }
    }
}
