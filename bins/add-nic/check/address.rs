//! Addresses that are no longer where we put them.

use crate::model::change::AddressSpec;
use crate::model::snapshot::NetnsState;

pub(super) fn differs(held: &AddressSpec, side: &NetnsState) -> Option<String> {
    (!has(side, held)).then(|| format!("{} is not on {}", held.cidr, held.link))
}

fn has(side: &NetnsState, held: &AddressSpec) -> bool {
    let Some(link) = side.link(held.link.as_str()) else { return false };
    side.addresses_of(link.index).any(|address| {
        address.address == held.cidr.address()
            && match held.peer {
                Some(peer) => address.peer == Some(peer),
                None => address.prefix_len == held.cidr.prefix_len(),
            }
    })
}
