//! Where on disk it shows, for each engine, that a container starts or stops.

use std::fs;
use std::path::{Path, PathBuf};

use super::EngineName;
use super::realm::Realm;

/// A directory in which, or in whose subdirectories, something appears or vanishes when a container starts
/// or stops. Neither need exist yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The top one.
    pub directory: PathBuf,
    /// How many levels of subdirectories are part of it.
    pub depth: u8,
}

/// The traces of all containers of the engine called `name` in `realm`.
pub(super) fn of(name: EngineName, realm: &Realm) -> Vec<Trace> {
    let below = |directory: &str, depth| Trace { directory: realm.run.join(directory), depth };
    match name {
        // Its socket, and TASKS/moby/ID/init.pid: the daemon's own containerd's, or the system's.
        EngineName::Docker => vec![
            below("", 0),
            below("docker", 0),
            below("docker/containerd/daemon/io.containerd.runtime.v2.task/moby", 1),
            below("containerd/io.containerd.runtime.v2.task/moby", 1),
        ],
        // Podman's socket, and ID/userdata/pidfile, where CRI-O keeps its own too.
        EngineName::Podman | EngineName::Crio => {
            let containers = if realm.is_system() { "containers/storage" } else { "containers" };
            let containers = format!("{containers}/overlay-containers");
            vec![below("podman", 0), below(&containers, 2)]
        }
        // NAMESPACE/ID/init.pid
        EngineName::Containerd | EngineName::Nerdctl => {
            vec![below("containerd/io.containerd.runtime.v2.task", 2)]
        }
        // ID/state.json, ID/status
        EngineName::Oci => ["runc", "crun", "youki"].map(|runtime| below(runtime, 1)).into(),
        EngineName::Lxc => lxc(realm),
        EngineName::Machine => vec![below("systemd/machines", 0)],
    }
}

/// LXC writes nothing down, but makes cgroups `lxc.payload.NAME`, after it listens on the container's
/// socket: beside that of PID 1 when root starts the container, else below the user's. Which hierarchies
/// there are differs; every one that is there has them.
fn lxc(realm: &Realm) -> Vec<Trace> {
    let hierarchies = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup"].map(Path::new);
    let there = |hierarchy: &&Path| hierarchy.join("cgroup.procs").is_file();
    let Some(hierarchy) = hierarchies.into_iter().find(there) else { return vec![] };
    let (group, depth) = match realm.is_system() {
        true => (group_of_init(), 0),
        // user@1000.service/app.slice/UNIT/…, or session-2.scope/…
        false => (format!("user.slice/user-{}.slice", realm.owner), 4),
    };
    vec![Trace { directory: hierarchy.join(group), depth }]
}

/// Without the scope that systemd has put itself into, as LXC takes it.
fn group_of_init() -> String {
    let groups = fs::read_to_string("/proc/1/cgroup").unwrap_or_default();
    let unified = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let path = unified.unwrap_or_default().trim_start_matches('/');
    path.trim_end_matches("init.scope").trim_end_matches('/').to_owned()
}
