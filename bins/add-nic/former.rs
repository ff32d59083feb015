//! A NIC of the same container from before it was restarted: it lives on where somebody keeps the former network, and has the
//! address still.

use common::failure::Failure;
use common::map;

use crate::journal::{Inside, Record};
use crate::wanted::Wanted;

/// Refuses an address that such a NIC has, and says who keeps the network.
pub fn refuse(records: &[Record], wanted: &Wanted, inside: &Inside) -> Result<(), Failure> {
    for record in records.iter().filter(|record| is_former(&record.inside, inside)) {
        let nic = &record.plan.nic;
        let is_wanted = |address| wanted.addresses.iter().any(|cidr| cidr.address() == address);
        let Some(taken) = nic.addresses.iter().find(|cidr| is_wanted(cidr.address())) else { continue };
        let Some((keeper, target)) = keeper(record) else { continue };
        return Err(Failure::trouble(
            taken.address(),
            format_args!(
                "is the address of {} in {} as it was before its restart: {keeper} keeps that network",
                nic.name, inside.name
            ),
        )
        .hint(format_args!("add-nic --rm {target} {}, and then this call again", nic.name)));
    }
    Ok(())
}

fn is_former(former: &Inside, inside: &Inside) -> bool {
    let id = |inside: &Inside| inside.container.as_ref().map(|owner| (owner.engine, owner.id.clone()));
    inside.container.is_some() && id(former) == id(inside) && !former.is_same_as(inside)
}

/// Who keeps the network of a record, and a TARGET for it.
fn keeper(record: &Record) -> Option<(String, String)> {
    let all = map::owners_of_mac(record.plan.nic.mac).ok()?;
    let found = all.owners.iter().find(|owner| owner.spot.identity.inode == record.inside.netns_inode)?;
    match (found.spot.name(), &found.process) {
        (Some(name), _) => Some((name.display().to_string(), name.display().to_string())),
        (None, Some(process)) => Some((format!("pid {}", process.pid()), format!("pid:{}", process.pid()))),
        (None, None) => None,
    }
}
