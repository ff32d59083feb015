//! Which settings a plan changes, and how each is restored. Pure.

use common::failure::Failure;

use crate::model::change::{PlanStep, Undo};
use crate::model::netns::Netns;
use crate::model::nic::Nic;
use crate::model::sysctl::{SysctlChange, SysctlKey, SysctlReading, is_same};
use crate::model::wanted::Wanted;
use crate::plan::input::PlanInput;
use crate::plan::sysctl_forwarding;

/// The keys that [`asked_for`] must know.
pub fn needed(wanted: &Wanted) -> Vec<SysctlKey> {
    let keys = wanted.sysctls.iter().map(|setting| setting.key.about("default"));
    keys.flat_map(|key| [key.of_new_links(), key]).collect()
}

/// The steps that set what `--sysctl` asks for, in the container.
pub fn asked_for(nic: &Nic, input: &PlanInput<'_>) -> Result<Vec<(PlanStep, Undo)>, Failure> {
    let mut steps = Vec::new();
    for setting in &input.wanted.sysctls {
        let key = setting.key.about(nic.name.as_str());
        if key.link() == Some(nic.name.as_str()) {
            steps.push(of_the_nic(key, &setting.value, input)?);
        } else {
            steps.extend(changed((Netns::Container, key), &setting.value, input)?);
        }
    }
    Ok(steps)
}

/// A setting of the NIC itself, which is yet to be: what new links start with shows that there is one.
fn of_the_nic(key: SysctlKey, value: &str, input: &PlanInput<'_>) -> Result<(PlanStep, Undo), Failure> {
    match input.snapshot.settings.get(Netns::Container, &key.of_new_links()) {
        Some(SysctlReading::Fixed(_, why)) => {
            Err(refused(&key, "cannot be written", why, Netns::Container, input))
        }
        Some(SysctlReading::Unreadable(why)) => {
            Err(refused(&key, "cannot be read", why, Netns::Container, input))
        }
        _ => Ok(of_new_link((Netns::Container, key), value, input)),
    }
}

/// The step that changes a setting of a link which is yet to be.
pub fn of_new_link((netns, key): (Netns, SysctlKey), value: &str, input: &PlanInput<'_>) -> (PlanStep, Undo) {
    (PlanStep::SetSysctl(sysctl((netns, key), value, None, input)), Undo::WithItsLink)
}

/// The step that changes a setting which is there already; none if it is so. What another NIC of ours has changed is this
/// one's too, and goes back with the last of them.
pub fn changed(
    (netns, key): (Netns, SysctlKey),
    value: &str,
    input: &PlanInput<'_>,
) -> Result<Option<(PlanStep, Undo)>, Failure> {
    if let Some((ours, whose)) = same_of_another((netns, &key), input) {
        let (PlanStep::SetSysctl(sysctl), _) = ours else { return Ok(None) };
        if is_same(&sysctl.value, value) {
            return Ok(Some(ours.clone()));
        }
        return Err(Failure::failed(&key, format_args!("already set to {} for {whose}", sysctl.value))
            .hint(common::hint!("add-nic --rm {}", whose)));
    }
    match input.snapshot.settings.get(netns, &key) {
        Some(SysctlReading::Is(now) | SysctlReading::Fixed(now, _)) if is_same(now, value) => Ok(None),
        Some(SysctlReading::Is(now)) => {
            let side = input.snapshot.side(netns);
            let along = sysctl_forwarding::along(&key, now, netns, side, &input.snapshot.settings);
            let changed = SysctlChange { along, ..sysctl((netns, key), value, Some(now.clone()), input) };
            Ok(Some((PlanStep::SetSysctl(changed.clone()), Undo::WhenUnused(PlanStep::ResetSysctl(changed)))))
        }
        Some(SysctlReading::Fixed(_, why)) => Err(refused(&key, "cannot be written", why, netns, input)),
        Some(SysctlReading::Unreadable(why)) => Err(refused(&key, "cannot be read", why, netns, input)),
        None => Err(refused(&key, "cannot be read", "not read", netns, input)),
    }
}

/// The step of another NIC of ours that changed it, and whose that is.
fn same_of_another<'a>(
    (netns, key): (Netns, &SysctlKey),
    input: &'a PlanInput<'_>,
) -> Option<(&'a (PlanStep, Undo), String)> {
    let inode = inode(netns, input);
    let is_it = |step: &&(PlanStep, Undo)| {
        matches!(&step.0, PlanStep::SetSysctl(other)
            if other.netns == netns && other.netns_inode == inode && other.key == *key)
    };
    input.records.iter().find_map(|record| {
        let whose = || format!("{} {}", record.inside.name, record.plan.nic.name);
        record.plan.steps.iter().find(is_it).map(|step| (step, whose()))
    })
}

fn inode(netns: Netns, input: &PlanInput<'_>) -> Option<u64> {
    match netns {
        Netns::Container => Some(input.inside.netns_inode),
        Netns::Peer => input.peer.map(|peer| peer.netns_inode),
        Netns::Host => None,
    }
}

fn sysctl(
    (netns, key): (Netns, SysctlKey),
    value: &str,
    before: Option<String>,
    input: &PlanInput<'_>,
) -> SysctlChange {
    SysctlChange {
        netns,
        netns_inode: inode(netns, input),
        key,
        value: value.to_owned(),
        before,
        along: vec![],
        witness: None,
    }
}

fn refused(key: &SysctlKey, what: &str, why: &str, netns: Netns, input: &PlanInput<'_>) -> Failure {
    Failure::failed(key, format_args!("{what} in the network of {}: {why}", input.name_of(netns)))
}
