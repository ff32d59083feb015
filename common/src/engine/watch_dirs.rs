//! Where on disk it shows, for each engine, that a container starts or stops.

use std::path::{Path, PathBuf};

use super::EngineName;
use super::containerd;
use super::engine_dirs::EngineDirs;
use super::session::SocketMemory;
use super::state::StatePath;
use super::storage::Storage;

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
        // NAMESPACE/ID/init.pid, and what runc has of it.
        EngineName::Containerd | EngineName::Nerdctl => {
            let mut watched = vec![below("containerd/runc", 2), below("docker/runtime-runc", 2)];
            for state in containerd::states(dirs, &SocketMemory::default()).unwrap_or_default() {
                watched.extend(containerd::DRIVERS.map(|driver| within(&state.join(driver), 2)));
            }
            watched
        }
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
    let storage = Storage::of(dirs).unwrap_or_else(|_| Storage::usual(dirs));
    [storage.run, storage.graph].map(|storage| within(&storage.join("overlay-containers"), 2)).into()
}

fn within(directory: &StatePath, depth: u8) -> WatchDir {
    WatchDir { directory: directory.as_path().to_owned(), depth }
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
