//! A NIC as one of its containers sees it: a cable between two has two views.

use common::cidr::Cidr;
use common::target::{IfName, Mac};

use crate::model::nic::OtherEnd;
use crate::model::record::{Inside, Record};
use crate::model::wanted::Which;

/// A NIC, seen from the container that it is in.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub record: &'a Record,
    pub here: End<'a>,
    /// The other end, where that is another container's.
    pub peer: Option<End<'a>>,
}

/// A container's end.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    pub container: &'a Inside,
    pub name: &'a IfName,
    pub mac: Mac,
    pub addresses: &'a [Cidr],
}

impl<'a> View<'a> {
    /// From the container that it was asked for.
    pub fn near(record: &'a Record) -> Self {
        let nic = &record.plan.nic;
        let (name, mac, addresses) = (&nic.name, nic.mac, &nic.addresses);
        let here = End { container: &record.inside, name, mac, addresses };
        let peer = match (&nic.other_end, &record.peer) {
            (OtherEnd::Peer(port), Some(container)) => {
                Some(End { container, name: &port.name, mac: port.mac, addresses: &port.addresses })
            }
            _ => None,
        };
        View { record, here, peer }
    }

    /// From each container that has an end of it.
    pub fn all(record: &'a Record) -> impl Iterator<Item = Self> {
        let near = View::near(record);
        let far = near.peer.map(|peer| View { record, here: peer, peer: Some(near.here) });
        std::iter::once(near).chain(far)
    }

    /// From that container, or from the first if there is none.
    pub fn from(record: &'a Record, inside: Option<&Inside>) -> Self {
        let mut all = View::all(record);
        let seen = inside.and_then(|inside| all.find(|view| view.here.container.is_same_as(inside)));
        seen.unwrap_or(View::near(record))
    }

    /// Whether `which` names it.
    pub fn is(&self, which: &Which) -> bool {
        match which {
            Which::Name(name) => {
                self.here.name == name || self.record.plan.nic.other_end.host_name() == Some(name)
            }
            Which::Address(address) => self.here.addresses.iter().any(|cidr| cidr.address() == *address),
        }
    }

    /// Whether it is the view of the container that the NIC was asked for: default routes are that one's.
    pub fn is_near(&self) -> bool {
        std::ptr::eq(self.here.container, &raw const self.record.inside)
    }
}
