//! The TARGETs that are seen on the wire: `ip:`, `mac:` and `veth:`. One owner is found; of several each is named.

use super::found::{FoundTarget, HeldTarget, Purpose};
use super::network_error::{Candidate, NetworkError};
use crate::engine::caller_of_sudo;
use crate::map::{self, OwnerNetns, Owners};
use crate::target::Target;

/// The owner of the address, or of the other end, that `target` names; TARGETs of other kinds have none. To act upon, a
/// network of a stranger has to be named: with the address of a container that has just stopped it is not that container.
pub(super) fn find(target: &Target, purpose: Purpose) -> Result<FoundTarget, Box<NetworkError>> {
    let owners = match target {
        Target::Ip(address) => map::owners_of_ip(address),
        Target::Mac(mac) => map::owners_of_mac(*mac),
        Target::Veth(name) => map::owners_of_peer(name),
        _ => Ok(Owners::default()),
    };
    let Owners { mut owners, more, unseen } = owners.map_err(NetworkError::from)?;
    let is_claim = matches!(target, Target::Ip(_) | Target::Mac(_));
    let target = target.clone();
    if is_claim && purpose == Purpose::Act && owners.iter().any(is_strangers) {
        let candidates = owners.iter().map(Candidate::of).collect();
        return Err(NetworkError::OfStrangers { target, candidates, more }.into());
    }
    match owners.pop() {
        None => Err(NetworkError::NoOwner { target, unseen }.into()),
        Some(owner) if owners.is_empty() && unseen.is_empty() => {
            let stranger = owner.stranger.filter(|_| is_claim && is_strangers(&owner));
            Ok(FoundTarget { stranger, ..FoundTarget::alone(place(owner)) })
        }
        Some(last) => {
            owners.push(last);
            let candidates = owners.iter().map(Candidate::of).collect();
            Err(NetworkError::NotAlone { target, candidates, more, unseen }.into())
        }
    }
}

/// Whether it belongs to a user who has nothing to do with this call.
fn is_strangers(owner: &OwnerNetns) -> bool {
    owner.stranger.is_some() && owner.stranger != caller_of_sudo()
}

fn place(owner: OwnerNetns) -> HeldTarget {
    match owner.process {
        Some(process) => HeldTarget::Both { process, netns: owner.namespace },
        None => HeldTarget::Netns(owner.namespace),
    }
}
