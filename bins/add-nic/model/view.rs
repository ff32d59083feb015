//! A NIC as one of its containers sees it: a veth pair between two containers has two views.

use common::cidr::Cidr;
use common::target::{IfName, Mac};

use crate::model::nic::OtherEnd;
use crate::model::record::{ContainerNetns, NicRecord};
use crate::model::wanted::NicSelector;

/// A NIC, seen from the container that it is in.
#[derive(Debug, Clone, Copy)]
pub struct NicView<'a> {
    pub record: &'a NicRecord,
    pub here: NicEnd<'a>,
    /// The other end, where that is another container's.
    pub peer: Option<NicEnd<'a>>,
}

/// A container's end.
#[derive(Debug, Clone, Copy)]
pub struct NicEnd<'a> {
    pub container: &'a ContainerNetns,
    pub name: &'a IfName,
    pub mac: Mac,
    pub addresses: &'a [Cidr],
}

impl<'a> NicView<'a> {
    /// From the container that it was requested for.
    pub fn from_first(record: &'a NicRecord) -> Self {
        let nic = &record.plan.nic;
        let (name, mac, addresses) = (&nic.name, nic.mac, &nic.addresses);
        let here = NicEnd { container: &record.inside, name, mac, addresses };
        let peer = match (&nic.other_end, &record.peer) {
            (OtherEnd::Peer(port), Some(container)) => {
                Some(NicEnd { container, name: &port.name, mac: port.mac, addresses: &port.addresses })
            }
            _ => None,
        };
        NicView { record, here, peer }
    }

    /// From each container that has an end of it.
    pub fn all(record: &'a NicRecord) -> impl Iterator<Item = Self> {
        let near = NicView::from_first(record);
        let far = near.peer.map(|peer| NicView { record, here: peer, peer: Some(near.here) });
        std::iter::once(near).chain(far)
    }

    /// From that container, or from the first if there is none.
    pub fn seen_from(record: &'a NicRecord, inside: Option<&ContainerNetns>) -> Self {
        let mut all = NicView::all(record);
        let seen = inside.and_then(|inside| all.find(|view| view.here.container.is_same_as(inside)));
        seen.unwrap_or(NicView::from_first(record))
    }

    /// Whether `which` names it.
    pub fn matches(&self, which: &NicSelector) -> bool {
        match which {
            NicSelector::Name(name) => {
                self.here.name == name || self.record.plan.nic.other_end.host_name() == Some(name)
            }
            NicSelector::Address(address) => {
                self.here.addresses.iter().any(|cidr| cidr.address() == *address)
            }
        }
    }

    /// Whether it is the view of the container that the NIC was requested for, which has the default routes.
    pub fn is_first(&self) -> bool {
        std::ptr::eq(self.here.container, &raw const self.record.inside)
    }
}
