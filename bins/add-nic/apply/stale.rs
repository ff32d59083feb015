//! NICs in stale networks, which their containers have left. While something keeps such a network, it answers for its
//! addresses; and the kernel deletes an unused one only after a while.

use common::cidr::Cidr;
use common::cli::FindConfig;
use common::failure::Failure;
use common::map::{self, MapEntry};

use crate::model::nic::OtherEnd;
use crate::model::record::{ContainerNetns, NicRecord};
use crate::model::wanted::Wanted;
use crate::read::container::has_lost_its_network;
use crate::read::owner::{NetnsOwner, describe_owner};

/// Whether `record` conflicts with a NIC that is wanted in the network `inside`, and its own network cannot be entered any
/// more.
pub fn is_over(record: &NicRecord, wanted: &Wanted, inside: &ContainerNetns) -> bool {
    is_in_the_way(record, wanted, inside) && has_lost_its_network(record)
}

/// Refuses an address that such a network has, and names what keeps the network.
pub fn refuse(
    records: &[NicRecord],
    wanted: &Wanted,
    inside: &ContainerNetns,
    find: FindConfig,
) -> Result<(), Failure> {
    for record in records.iter().filter(|record| is_in_the_way(record, wanted, inside)) {
        let (Some(address), Some(spot)) = (shared(record, wanted), spot(&record.inside)) else { continue };
        // An address of a running container is reported by the plan.
        if spot.tenant().is_none() {
            let NetnsOwner { name, hint } = describe_owner(&spot, find);
            let what = format_args!("already in use by {} ({name})", record.plan.nic.mac);
            return Err(Failure::failed(address.address(), what).hint(hint));
        }
    }
    Ok(())
}

/// It is of the same container, which was restarted since; or it has a wanted address, or a veth pair with the same
/// network.
fn is_in_the_way(record: &NicRecord, wanted: &Wanted, inside: &ContainerNetns) -> bool {
    let name =
        |inside: &ContainerNetns| inside.container.as_ref().map(|owner| (owner.engine, owner.name.clone()));
    let is_same_container = name(inside).is_some() && name(&record.inside) == name(inside);
    let nic = &record.plan.nic;
    let is_same_network = |cidr: &Cidr| nic.addresses.iter().any(|has| has.network() == cidr.network());
    let is_cable = matches!(nic.other_end, OtherEnd::Host(_));
    !record.inside.is_same_as(inside)
        && (is_same_container
            || shared(record, wanted).is_some()
            || (is_cable && wanted.addresses.iter().any(is_same_network)))
}

/// An address that both have.
fn shared<'a>(record: &NicRecord, wanted: &'a Wanted) -> Option<&'a Cidr> {
    let has = |cidr: &&Cidr| record.plan.nic.addresses.iter().any(|has| has.address() == cidr.address());
    wanted.addresses.iter().find(has)
}

/// The map's entry for a network of a record.
fn spot(inside: &ContainerNetns) -> Option<MapEntry> {
    let is_it = |spot: &MapEntry| spot.identity.inode == inside.netns_inode;
    let spots = map::walk(|visit| Ok(is_it(visit.entry).then(|| visit.entry.clone())));
    spots.ok()?.seen.into_iter().next()
}
