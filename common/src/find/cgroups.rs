//! Control groups: engines name a container's after its ID.

use std::sync::OnceLock;

use nix::unistd::Pid;

use crate::process::{CgroupPath, Process, ProcessError};

/// Where we were when this was first asked.
pub(super) fn own_cgroups() -> &'static [String] {
    static OWN: OnceLock<Vec<String>> = OnceLock::new();
    OWN.get_or_init(|| Process::open(Pid::this()).and_then(|own| own.cgroups()).unwrap_or_default())
}

/// Engines name a container's cgroup after its ID. A process whose cgroups carry IDs, none of them this one,
/// is not the container's. One whose cgroups carry no ID at all proves nothing: an engine may run without
/// cgroups, as rootless ones do. IDs that our own cgroups carry say where we are, and not where it is; they are looked for
/// only where they can matter.
pub(super) fn cgroups_allow<'a>(
    cgroups: &[CgroupPath],
    ours: impl FnOnce() -> &'a [String],
    id: &str,
) -> bool {
    let theirs = || cgroups.iter().flat_map(|group| container_ids(&group.path));
    if !is_container_id(id) || theirs().all(|found| found == id) {
        return true;
    }
    let ours: Vec<&str> = ours().iter().flat_map(|path| container_ids(path)).collect();
    let mut foreign = theirs().filter(|found| !ours.contains(found)).peekable();
    foreign.peek().is_none() || foreign.any(|found| found == id)
}

/// The container IDs in the process's cgroup paths, innermost first, without those that our own carry.
pub(crate) fn foreign_ids(process: &Process) -> Result<Vec<String>, ProcessError> {
    Ok(foreign_ids_of(&process.cgroups()?))
}

/// The same, in the cgroup paths of a process.
pub(super) fn foreign_ids_of(theirs: &[String]) -> Vec<String> {
    let ours: Vec<&str> = own_cgroups().iter().flat_map(|path| container_ids(path)).collect();
    let mut ids: Vec<String> = Vec::new();
    for path in theirs {
        let foreign = container_ids(path).filter(|id| !ours.contains(id)).map(str::to_owned);
        let new: Vec<String> = foreign.filter(|id| !ids.contains(id)).collect();
        ids.extend(new.into_iter().rev());
    }
    ids
}

/// Whether two processes are in the same cgroup called after `id`, or somewhere below it: the directory is one and the same,
/// up to the word that holds the ID.
pub(super) fn stand_together(ones: &[String], others: &[String], id: &str) -> bool {
    let places =
        |paths: &[String]| -> Vec<String> { paths.iter().filter_map(|path| up_to(path, id)).collect() };
    let theirs = places(others);
    places(ones).iter().any(|place| theirs.contains(place))
}

/// The beginning of a cgroup path, with the first part that holds `id`.
pub(super) fn up_to(path: &str, id: &str) -> Option<String> {
    let mut place = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        place = format!("{place}/{part}");
        if container_ids(part).any(|found| found == id) {
            return Some(place);
        }
    }
    None
}

/// Everything in a cgroup path that looks like a container's ID: `/docker/ID`, `docker-ID.scope`,
/// `crio-ID`, `libpod-ID/container`.
fn container_ids(path: &str) -> impl Iterator<Item = &str> {
    path.split(['/', '-', '.', ':']).filter(|word| is_container_id(word))
}

pub(super) fn is_container_id(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f2a9c0d3f2a9c0d3f2a9c0d3f2a9c0d3f2a9c0d3f2a9c0d3f2a9c0d3f2a9c0d";

    fn allowed_from(ours: &[&str], theirs: &[&str], id: &str) -> bool {
        let group = |&path: &&str| CgroupPath { controllers: Vec::new(), path: path.to_owned() };
        let theirs: Vec<_> = theirs.iter().map(group).collect();
        let ours: Vec<_> = ours.iter().map(|&path| path.to_owned()).collect();
        cgroups_allow(&theirs, || &ours, id)
    }

    fn allowed(paths: &[&str]) -> bool {
        allowed_from(&[], paths, ID)
    }

    #[test]
    fn a_cgroup_of_this_container_is_believed_however_the_engine_spells_it() {
        assert!(allowed(&[&format!("/docker/{ID}")]));
        assert!(allowed(&["/", &format!("/system.slice/docker-{ID}.scope")]));
        assert!(allowed(&[&format!("/machine.slice/libpod-{ID}.scope/container")]));
        assert!(allowed(&[&format!("/kubepods/besteffort/pod-1/crio-{ID}")]));
        assert!(allowed(&[&format!(
            "/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{ID}"
        )]));
    }

    #[test]
    fn a_cgroup_of_that_name_elsewhere_is_another_one() {
        let paths = |path: String| [path];
        let init = paths(format!("/docker/{ID}/init.scope"));
        assert!(stand_together(&paths(format!("/docker/{ID}")), &init, ID));
        assert!(stand_together(&paths(format!("/docker/{ID}/app")), &init, ID));
        for elsewhere in ["/user.slice/user-1000.slice", "/docker/x/docker", "", "/docker/docker"] {
            assert!(!stand_together(&paths(format!("{elsewhere}/{ID}")), &init, ID), "{elsewhere}");
        }
        let scope = paths(format!("/system.slice/docker-{ID}.scope"));
        assert!(stand_together(&scope, &scope, ID));
        assert!(!stand_together(&paths(format!("/system.slice/docker-{ID}.slice")), &scope, ID));
        assert!(!stand_together(&paths("/".to_owned()), &paths("/".to_owned()), ID));
    }

    #[test]
    fn a_cgroup_of_another_container_is_not_believed() {
        assert!(!allowed(&["/", &format!("/docker/{}", ID.replace('3', "4"))]));
    }

    #[test]
    fn cgroups_without_any_id_prove_nothing() {
        assert!(allowed(&["/", "/user.slice/user-1000.slice/session-2.scope"]));
    }

    #[test]
    fn a_container_inside_a_container_is_its_own() {
        assert!(allowed(&[&format!("/docker/{}/docker/{ID}", ID.replace('3', "4"))]));
    }

    #[test]
    fn when_we_run_in_a_container_ourselves_its_id_proves_nothing() {
        let outer = format!("/docker/{}", ID.replace('3', "4"));
        assert!(allowed_from(&[&outer], &[&outer], ID));
        assert!(!allowed_from(&[&outer], &[&format!("{outer}/docker/{}", ID.replace('3', "5"))], ID));
    }

    #[test]
    fn an_id_that_is_a_name_is_not_looked_for() {
        assert!(allowed_from(&[], &[&format!("/docker/{ID}")], "my-runc-container"));
    }
}
