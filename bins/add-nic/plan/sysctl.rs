//! Which settings a plan changes, and how each is put back. Pure.

use common::failure::Failure;

use crate::model::change::{Step, Undoing};
use crate::model::netns::Place;
use crate::model::nic::Nic;
use crate::model::sysctl::{Key, Reading, Sysctl, is_same};
use crate::model::wanted::Wanted;
use crate::plan::input::Basis;
use crate::plan::sysctl_forwarding;

/// The keys that [`asked_for`] must know.
pub fn needed(wanted: &Wanted) -> Vec<Key> {
    let keys = wanted.sysctls.iter().map(|setting| setting.key.about("default"));
    keys.flat_map(|key| [key.of_new_links(), key]).collect()
}

/// The steps that set what `--sysctl` asks for, in the container.
pub fn asked_for(nic: &Nic, basis: &Basis<'_>) -> Result<Vec<(Step, Undoing)>, Failure> {
    let mut steps = Vec::new();
    for setting in &basis.wanted.sysctls {
        let key = setting.key.about(nic.name.as_str());
        if key.link() == Some(nic.name.as_str()) {
            steps.push(of_the_nic(key, &setting.value, basis)?);
        } else {
            steps.extend(changed((Place::Inside, key), &setting.value, basis)?);
        }
    }
    Ok(steps)
}

/// A setting of the NIC itself, which is yet to be: what new links start with shows that there is one.
fn of_the_nic(key: Key, value: &str, basis: &Basis<'_>) -> Result<(Step, Undoing), Failure> {
    match basis.snapshot.settings.of(Place::Inside, &key.of_new_links()) {
        Some(Reading::Fixed(_, why)) => Err(refused(&key, "cannot be written", why, Place::Inside, basis)),
        Some(Reading::Unreadable(why)) => Err(refused(&key, "cannot be read", why, Place::Inside, basis)),
        _ => Ok(of_new_link((Place::Inside, key), value, basis)),
    }
}

/// The step that changes a setting of a link which is yet to be.
pub fn of_new_link((place, key): (Place, Key), value: &str, basis: &Basis<'_>) -> (Step, Undoing) {
    (Step::SetSysctl(sysctl((place, key), value, None, basis)), Undoing::WithItsLink)
}

/// The step that changes a setting which is there already; none if it is so. What another NIC of ours has changed is this
/// one's too, and goes back with the last of them.
pub fn changed(
    (place, key): (Place, Key),
    value: &str,
    basis: &Basis<'_>,
) -> Result<Option<(Step, Undoing)>, Failure> {
    if let Some((ours, whose)) = same_of_another((place, &key), basis) {
        let (Step::SetSysctl(sysctl), _) = ours else { return Ok(None) };
        if is_same(&sysctl.value, value) {
            return Ok(Some(ours.clone()));
        }
        return Err(Failure::trouble(&key, format_args!("was set to {} for {whose}", sysctl.value))
            .hint(format_args!("add-nic --rm {whose}")));
    }
    match basis.snapshot.settings.of(place, &key) {
        Some(Reading::Is(now) | Reading::Fixed(now, _)) if is_same(now, value) => Ok(None),
        Some(Reading::Is(now)) => {
            let side = basis.snapshot.side(place);
            let along = sysctl_forwarding::along(&key, now, place, side, &basis.snapshot.settings);
            let changed = Sysctl { along, ..sysctl((place, key), value, Some(now.clone()), basis) };
            Ok(Some((Step::SetSysctl(changed.clone()), Undoing::ByTheLast(Step::ResetSysctl(changed)))))
        }
        Some(Reading::Fixed(_, why)) => Err(refused(&key, "cannot be written", why, place, basis)),
        Some(Reading::Unreadable(why)) => Err(refused(&key, "cannot be read", why, place, basis)),
        None => Err(refused(&key, "cannot be read", "nobody has looked", place, basis)),
    }
}

/// The step of another NIC of ours that changed it, and whose that is.
fn same_of_another<'a>(
    (place, key): (Place, &Key),
    basis: &'a Basis<'_>,
) -> Option<(&'a (Step, Undoing), String)> {
    let inode = inode(place, basis);
    let is_it = |step: &&(Step, Undoing)| {
        matches!(&step.0, Step::SetSysctl(other)
            if other.place == place && other.netns_inode == inode && other.key == *key)
    };
    basis.records.iter().find_map(|record| {
        let whose = || format!("{} {}", record.inside.name, record.plan.nic.name);
        record.plan.steps.iter().find(is_it).map(|step| (step, whose()))
    })
}

fn inode(place: Place, basis: &Basis<'_>) -> Option<u64> {
    match place {
        Place::Inside => Some(basis.inside.netns_inode),
        Place::Peer => basis.peer.map(|peer| peer.netns_inode),
        Place::Outside => None,
    }
}

fn sysctl((place, key): (Place, Key), value: &str, before: Option<String>, basis: &Basis<'_>) -> Sysctl {
    Sysctl { place, netns_inode: inode(place, basis), key, value: value.to_owned(), before, along: vec![] }
}

fn refused(key: &Key, what: &str, why: &str, place: Place, basis: &Basis<'_>) -> Failure {
    Failure::trouble(key, format_args!("{what} in the network of {}: {why}", basis.who_is(place)))
}
