//! Reads what a plan is made from: which namespaces differ, and what holds the target.

use std::path::PathBuf;

use common::failure::Failure;
use common::namespace::{self, NamespaceError, NamespaceKind};
use rustix::thread::{CapabilitySet, capabilities};

use crate::enter::lookup::{self, Lookup, ProgramSurroundings, StartDirectory};
use crate::enter::neighbours::{exposure, target_position, tracers};
use crate::enter::opened;
use crate::enter::place::{DIRECTORY, is_not_our_root};
use crate::enter::shield::Shield;
use crate::enter::source::EntrySource;
use crate::identity::cgroup::Group;
use crate::identity::confine::Confinement;
use crate::identity::fence::Fence;
use crate::identity::label::{Label, Module};
use crate::judge::refused;
use crate::plan::exposure::Dumpability;
use crate::plan::host_tools_mode::MountPowers;
use crate::plan::{Plan, Snapshot};
use crate::unreadable::UnreadableError;
use crate::wanted::{TakenFrom, Wanted};

/// What `wanted` is planned from; with it comes what will make the program undumpable, where that can be made already.
///
/// # Errors
/// Where something of the target cannot be read, or would not hold the program where it will be.
pub fn take(source: &EntrySource, wanted: &Wanted) -> Result<(Snapshot, Option<Shield>), Failure> {
    let mut snapshot = Snapshot { has_process: source.process().is_ok(), ..Snapshot::default() };
    if wanted.host_tools {
        snapshot.mount_powers = mount_powers()?;
    }
    for &kind in wanted.namespaces.keys() {
        match namespace::own_identity(kind) {
            Err(NamespaceError::Unknown { .. }) if wanted.all => continue,
            identity => snapshot.ours.insert(kind, identity?),
        };
        snapshot.theirs.insert(kind, source.identity(kind)?);
    }
    snapshot.other_root = has_other_root(source, wanted, &snapshot)?;
    if wanted.confine {
        snapshot.confinement = Some(confinement(source, &snapshot)?);
    }
    let fenced = wanted.is_fenced() && snapshot.has_process && snapshot.changes_root(wanted);
    if fenced {
        snapshot.fence = Some(fence(source, wanted, &snapshot)?);
    }
    if wanted.join_cgroup || fenced {
        snapshot.cgroups = Group::foreign(source.process()?)?;
    }
    snapshot.labels = labels(source, wanted, fenced)?;
    if !wanted.comes_near_target() {
        return Ok((snapshot, None));
    }
    // A namespace without its process, or a process that we may not look into, tells nothing.
    if fenced {
        snapshot.tracers = tracers(source)?;
    }
    let (dumpability, shield) = dumpability(source, wanted, &Plan::make(wanted, &snapshot), fenced);
    snapshot.exposure = exposure(source, wanted, &dumpability).ok();
    let reach = exposure(source, wanted, &Dumpability::UndumpableHere);
    snapshot.reaches_us = !reach.is_ok_and(|reach| reach.is_safe());
    snapshot.is_all_powerful =
        target_position(source, wanted).is_ok_and(|position| position.is_all_powerful());
    if let Dumpability::Dumpable(why) = dumpability {
        snapshot.dumpable = Some(why);
    }
    Ok((snapshot, shield))
}

/// What confines the target, where that would hold the program too.
fn confinement(source: &EntrySource, snapshot: &Snapshot) -> Result<Confinement, Failure> {
    let confinement = Confinement::of(source.process()?)?;
    confinement.must_hold_in(match snapshot.theirs.get(&NamespaceKind::User) {
        Some(joined) => *joined,
        None => namespace::own_identity(NamespaceKind::User)?,
    })?;
    Ok(confinement)
}

/// What holds a program of the host in the target's root.
fn fence(source: &EntrySource, wanted: &Wanted, snapshot: &Snapshot) -> Result<Fence, Failure> {
    let fence = Fence::around(source.process()?, wanted.added_capabilities)?;
    let ours = namespace::own_identity(NamespaceKind::User)?;
    let theirs = snapshot.theirs.get(&NamespaceKind::User).copied().unwrap_or(ours);
    fence.check_user_namespace(theirs, theirs != ours)?;
    // Without the target's mounts it is refused anyway.
    let joined = |kind| match snapshot.theirs.get(&kind) {
        // Of a PID namespace that is joined only children are.
        Some(joined) if kind != NamespaceKind::Pid || wanted.may_fork => Ok(*joined),
        _ => Ok(namespace::own_identity(kind)?),
    };
    if wanted.namespaces.contains_key(&NamespaceKind::Mnt) {
        fence.must_be_beside(joined)?;
    }
    Ok(fence)
}

/// Whether -m means another root in the mount namespace that is ours already.
fn has_other_root(source: &EntrySource, wanted: &Wanted, snapshot: &Snapshot) -> Result<bool, Failure> {
    let mounts = [&snapshot.ours, &snapshot.theirs].map(|of| of.get(&NamespaceKind::Mnt));
    let is_ours = mounts[0].is_some() && mounts[0] == mounts[1];
    if !is_ours || wanted.namespaces.get(&NamespaceKind::Mnt) != Some(&TakenFrom::Target) {
        return Ok(false);
    }
    let process = source.process()?;
    let root = process.open_file("root", DIRECTORY);
    Ok(is_not_our_root(&root.map_err(|error| refused::reading(process, error))?))
}

/// What becomes of the program by `draft`, which needs not know it yet, and what makes it undumpable.
fn dumpability(
    source: &EntrySource,
    wanted: &Wanted,
    draft: &Plan,
    fenced: bool,
) -> (Dumpability, Option<Shield>) {
    if draft.changes_root() {
        let confined = wanted.confine;
        let dumpability = match draft.host_tools {
            Some(_) if fenced => Dumpability::Undumpable,
            Some(_) => Dumpability::Dumpable("--trust-target".to_owned()),
            None => Dumpability::OfThatRoot { confined },
        };
        return (dumpability, None);
    }
    if !draft.joins(NamespaceKind::Pid) {
        return (Dumpability::Undumpable, None);
    }
    match shield_for(source, wanted, draft) {
        Ok(shield) => (Dumpability::Undumpable, shield),
        Err(error) => (Dumpability::Dumpable(error.to_string()), None),
    }
}

/// None where it is only to be foreseen.
fn shield_for(
    source: &EntrySource,
    wanted: &Wanted,
    draft: &Plan,
) -> Result<Option<Shield>, UnreadableError> {
    let inside = ProgramSurroundings::on_the_host(
        working_directory(source, draft),
        opened::environment(draft, source).ok().flatten(),
    );
    let program = match lookup::look_up(wanted, draft, &inside) {
        Lookup::Found(file) => match &inside.directory {
            StartDirectory::Inside(directory) => std::path::absolute(directory.join(file)).ok(),
            _ => std::path::absolute(file).ok(),
        },
        // Nothing will run, or it cannot be known.
        Lookup::Unknown | Lookup::Missing(_) => None,
    };
    let arguments = wanted.program.get(1..).unwrap_or_default();
    let path = lookup::path(&inside);
    if wanted.explains {
        let joins_user = draft.joins(NamespaceKind::User);
        return Shield::foresee(program.as_deref(), arguments, &path, joins_user).map(|()| None);
    }
    let opened;
    let user = match source.named(NamespaceKind::User) {
        _ if !draft.joins(NamespaceKind::User) => None,
        Some(named) => Some(named),
        None => {
            let process = source.process().map_err(|_| UnreadableError::NotPermitted)?;
            opened = process.namespace(NamespaceKind::User).map_err(|_| UnreadableError::NotPermitted)?;
            Some(&opened)
        }
    };
    Shield::prepare(program.as_deref(), arguments, &path, user).map(Some)
}

fn working_directory(source: &EntrySource, draft: &Plan) -> Option<PathBuf> {
    match (&draft.wdns, &draft.wd) {
        (_, Some(TakenFrom::Named(directory))) => std::path::absolute(directory).ok(),
        (_, Some(TakenFrom::Target)) => {
            std::fs::read_link(format!("/proc/{}/cwd", source.process().ok()?.pid())).ok()
        }
        (Some(directory), None) => std::path::absolute(directory).ok(),
        (None, None) => std::env::current_dir().ok(),
    }
}

/// The labels that the program is to have.
fn labels(source: &EntrySource, wanted: &Wanted, fenced: bool) -> Result<Vec<Label>, Failure> {
    let asked = [
        (Module::AppArmor, wanted.confine || fenced),
        (Module::SELinux, wanted.follow_context || wanted.confine || fenced),
    ];
    let obeyed = asked.into_iter().filter(|(module, asked)| *asked && module.is_on());
    let labels = obeyed.map(|(module, _)| Label::of(source.process()?, module));
    labels.filter_map(Result::transpose).collect()
}

/// Whether we could take the host's mounts along.
fn mount_powers() -> Result<MountPowers, Failure> {
    let ours = capabilities(None).map_err(|errno| Failure::failed("capabilities", errno))?;
    Ok(MountPowers {
        may_mount: ours.effective.contains(CapabilitySet::SYS_ADMIN),
        has_mount_setattr: common::sys::has_mount_setattr(),
    })
}
