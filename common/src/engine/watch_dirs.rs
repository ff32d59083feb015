//! Where on disk it shows, for each engine, that a container starts or stops.

use std::path::{Path, PathBuf};

use super::EngineName;
use super::engine_dirs::EngineDirs;

/// A directory in which, or in whose subdirectories, something appears or vanishes when a container starts
/// or stops. Neither need exist yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchDir {
    /// The top one.
    pub directory: PathBuf,
    /// How many levels of subdirectories are part of it.
    pub depth: u8,
}

/// The traces of all containers of the engine called `name` in `dirs`.
pub(super) fn of(name: EngineName, dirs: &EngineDirs) -> Vec<WatchDir> {
    let below = |directory: &str, depth| WatchDir { directory: dirs.run.as_path().join(directory), depth };
    // ID/state.json or ID/status, and ID/exec.fifo while a container is made and not started.
    let runtimes = || ["runc", "crun", "youki", "user/0/crun"].map(|runtime| below(runtime, 1));
    match name {
        // Its socket, TASKS/moby/ID/init.pid of its own containerd or the system's, and what runc has of it.
        EngineName::Docker => vec![
            below("", 0),
            below("docker", 0),
            below("docker/containerd/daemon/io.containerd.runtime.v2.task/moby", 1),
            below("docker/runtime-runc/moby", 1),
            below("containerd/io.containerd.runtime.v2.task/moby", 1),
        ],
        EngineName::Podman => [vec![below("podman", 0)], storage(dirs), runtimes().into()].concat(),
        EngineName::Crio => [storage(dirs), runtimes().into()].concat(),
        // NAMESPACE/ID/init.pid, and what runc has of it: the system's, and the one that Docker runs.
        EngineName::Containerd | EngineName::Nerdctl => [
            "containerd/io.containerd.runtime.v2.task",
            "containerd/io.containerd.runtime.v1.linux",
            "containerd/runc",
            "docker/containerd/daemon/io.containerd.runtime.v2.task",
            "docker/runtime-runc",
        ]
        .map(|tasks| below(tasks, 2))
        .into(),
        EngineName::Oci => runtimes().into(),
        EngineName::Lxc => lxc(dirs),
        // Daemons of root's.
        EngineName::Incus | EngineName::Lxd if dirs.is_system() => lxc(dirs),
        EngineName::Incus | EngineName::Lxd => vec![],
        EngineName::Machine => vec![below("systemd/machines", 0)],
    }
}

/// containers/storage, which is Podman's and CRI-O's: ID/userdata/pidfile in what is gone at boot, and more
/// in what stays.
fn storage(dirs: &EngineDirs) -> Vec<WatchDir> {
    let running = if dirs.is_system() { "containers/storage" } else { "containers" };
    let directories = [dirs.run.join(running), dirs.data.join("containers/storage")];
    directories
        .map(|storage| WatchDir { directory: storage.as_path().join("overlay-containers"), depth: 2 })
        .into()
}

/// LXC writes nothing down, but makes cgroups `lxc.payload.NAME`, after it listens on the container's
/// socket: beside that of PID 1 when root starts the container, else below the user's. Which hierarchies
/// there are differs; every one that is there has them.
fn lxc(dirs: &EngineDirs) -> Vec<WatchDir> {
    if dirs.is_system() {
        return super::lxc::group_of_host()
            .map(|directory| WatchDir { directory, depth: 0 })
            .into_iter()
            .collect();
    }
    let hierarchies = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup"].map(Path::new);
    let there = |hierarchy: &&Path| hierarchy.join("cgroup.procs").is_file();
    let Some(hierarchy) = hierarchies.into_iter().find(there) else { return vec![] };
    // user@1000.service/app.slice/UNIT/…, or session-2.scope/…
    vec![WatchDir { directory: hierarchy.join(format!("user.slice/user-{}.slice", dirs.owner)), depth: 4 }]
}
