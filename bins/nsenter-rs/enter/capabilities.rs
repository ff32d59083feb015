//! The program's capabilities: what is taken away from it, and what it keeps when it is not root.
//!
//! Which of them survive an exec is decided by the rules of capabilities(7), "Transformation of capabilities during
//! execve": root has the bounding set and the inheritable one afterwards, all others the ambient one.

use common::failure::Failure;
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities,
};

use crate::identity::confine::Confinement;
use crate::judge::refused;
use crate::judge::rules::Capability;

/// Drops from the bounding set what is not in `kept`. Needs CAP_SETPCAP, and so comes before another user ID.
pub fn bound_to(kept: CapabilitySet) -> Result<(), Failure> {
    let refused = |errno| refused::inside("capability bounding set", Capability::SetPcap, nix(errno));
    for capability in singles(!kept.bits()) {
        match capability_is_in_bounding_set(capability) {
            Ok(true) => remove_capability_from_bounding_set(capability).map_err(refused)?,
            Ok(false) => {}
            // The kernel knows no such capability, and none after it.
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(refused(errno)),
        }
    }
    Ok(())
}

/// Has another user ID, which comes next, leave the permitted set as it is.
pub fn outlive_setuid() -> Result<(), Failure> {
    set_keep_capabilities(true).map_err(|errno| as_failure("PR_SET_KEEPCAPS", errno))
}

/// Takes on what of the target's capabilities is ours to take. Comes after the user ID.
pub fn confine_to(target: &Confinement) -> Result<(), Failure> {
    let ours = capabilities(None).map_err(|errno| as_failure("capabilities", errno))?;
    let permitted = ours.permitted & target.permitted;
    let inheritable = (ours.inheritable | ours.permitted) & target.inheritable;
    set(CapabilitySets { permitted, effective: permitted, inheritable })?;
    make_ambient(target.ambient & permitted & inheritable)
}

/// Leaves of what is permitted only `kept`, and nothing that a program of another user than root would have.
pub fn hold_to(kept: CapabilitySet) -> Result<(), Failure> {
    let ours = capabilities(None).map_err(|errno| as_failure("capabilities", errno))?;
    let permitted = ours.permitted & kept;
    clear_ambient_capability_set().map_err(|errno| as_failure("ambient capabilities", errno))?;
    set(CapabilitySets { permitted, effective: permitted, inheritable: CapabilitySet::empty() })
}

/// Makes all that is permitted ambient, so that a program that is not root's has it too.
pub fn keep() -> Result<(), Failure> {
    let CapabilitySets { permitted, .. } =
        capabilities(None).map_err(|errno| as_failure("capabilities", errno))?;
    set(CapabilitySets { permitted, effective: permitted, inheritable: permitted })?;
    make_ambient(permitted)
}

fn set(sets: CapabilitySets) -> Result<(), Failure> {
    set_capabilities(None, sets).map_err(|errno| as_failure("capabilities", errno))
}

fn make_ambient(ambient: CapabilitySet) -> Result<(), Failure> {
    let refused = |errno| as_failure("ambient capabilities", errno);
    clear_ambient_capability_set().map_err(refused)?;
    singles(ambient.bits())
        .try_for_each(|capability| configure_capability_in_ambient_set(capability, true).map_err(refused))
}

/// Each capability of a set by itself, those too that this program has no name for.
fn singles(bits: u64) -> impl Iterator<Item = CapabilitySet> {
    (0..u64::BITS).map(|bit| 1 << bit).filter(move |bit| bits & bit != 0).map(CapabilitySet::from_bits_retain)
}

fn as_failure(what: &str, errno: Errno) -> Failure {
    Failure::failed(what, nix(errno).desc())
}

fn nix(errno: Errno) -> nix::errno::Errno {
    nix::errno::Errno::from_raw(errno.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_without_a_name_is_one_too() {
        let all: Vec<u64> = singles(1 << 63 | 0b101).map(|single| single.bits()).collect();
        assert_eq!(all, [1, 4, 1 << 63]);
    }
}
