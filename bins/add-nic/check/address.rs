//! Missing addresses.

use crate::model::change::AddressSpec;
use crate::model::snapshot::NetnsState;

pub(super) fn differs(spec: &AddressSpec, side: &NetnsState) -> Option<String> {
    (!has(side, spec)).then(|| format!("{} is not on {}", spec.cidr, spec.link))
}

fn has(side: &NetnsState, spec: &AddressSpec) -> bool {
    let Some(link) = side.link(spec.link.as_str()) else { return false };
    side.addresses_of(link.index).any(|address| {
        address.address == spec.cidr.address()
            && match spec.peer {
                Some(peer) => address.peer == Some(peer),
                None => address.prefix_len == spec.cidr.prefix_len(),
            }
    })
}
