//! Where containerds keep their state: the host's own, those that come with Kubernetes distributions, and the one that Docker
//! starts for itself.
//!
//! The host's own is where it usually is, or as its process was started (`--state`, `--config`), or as `config.toml` says
//! (containerd-config.toml(5)), with the files that it imports.

use super::super::daemon::Daemon;
use super::super::engine_dirs::{EngineDirs, rooted};
use super::super::session::SocketMemory;
use super::super::settings::Settings;
use super::super::state::{self, StatePath};
use super::super::{EngineError, EngineName};

/// What drives the shims, and names the directory that their bundles are in. The layout of both is the same;
/// 1.4 deprecated the second, 2.0 removed it.
pub(in super::super) const DRIVERS: [&str; 2] =
    ["io.containerd.runtime.v2.task", "io.containerd.runtime.v1.linux"];

/// The namespace of containerd's CRI plugin.
pub(super) const KUBERNETES: &str = "k8s.io";

/// Docker's namespace in containerd.
pub(in super::super) const MOBY: &str = "moby";

/// Below `/run`: the host's own, that of k3s and RKE2, the one that Docker starts for itself, and that of k0s.
const USUAL: [&str; 4] = ["containerd", "k3s/containerd", "docker/containerd/daemon", "k0s/containerd"];
/// Canonical's MicroK8s, a snap.
const MICROK8S: &str = "/var/snap/microk8s/common/run/containerd";

/// How many files one configuration imports at most.
const MOST_IMPORTS: usize = 64;

/// Whether `namespace` is Docker's: `moby`, or `moby-UID.GID` with userns-remap.
pub(in super::super) fn is_dockers(namespace: &str) -> bool {
    namespace == MOBY || namespace.strip_prefix("moby-").is_some_and(is_user_and_group)
}

/// Whether it is what Docker calls the directory of a remapped user: `100000.100000`.
pub(in super::super) fn is_user_and_group(word: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    word.split_once('.').is_some_and(|(user, group)| is_number(user) && is_number(group))
}

/// The state directories of all containerds that there can be.
///
/// # Errors
/// A configuration that cannot be read, and a daemon of which it cannot be found out.
pub(in super::super) fn states(
    dirs: &EngineDirs,
    sockets: &SocketMemory,
) -> Result<Vec<StatePath>, EngineError> {
    let mut states: Vec<StatePath> = USUAL.map(|state| dirs.run.join(state)).into();
    if dirs.is_system() {
        states.push(dirs.run.at(rooted(MICROK8S)));
    }
    // It makes these directories when it starts, and /run is empty at boot: where they are, it keeps its state.
    let is_usual = DRIVERS.iter().any(|driver| dirs.run.join("containerd").join(driver).is_dir());
    if !is_usual {
        states.extend(state_behind(&dirs.run.join("containerd/containerd.sock"), dirs, sockets)?);
    }
    Ok(states)
}

/// The state directory of the containerd that listens on `socket`, or would; `None` where nothing says that it is not the
/// usual one.
///
/// # Errors
/// As [`states`].
pub(in super::super) fn state_behind(
    socket: &StatePath,
    dirs: &EngineDirs,
    sockets: &SocketMemory,
) -> Result<Option<StatePath>, EngineError> {
    Ok(config_behind(socket, dirs, sockets)?.state)
}

/// Where one containerd keeps things, as far as something says that it is not where it usually is.
pub(super) struct ContainerdConfig {
    /// What is gone at boot.
    pub state: Option<StatePath>,
    /// What stays.
    pub root: Option<StatePath>,
}

/// How the containerd that listens on `socket` is configured, or would be.
///
/// # Errors
/// As [`states`].
pub(super) fn config_behind(
    socket: &StatePath,
    dirs: &EngineDirs,
    sockets: &SocketMemory,
) -> Result<ContainerdConfig, EngineError> {
    let daemon = sockets.daemon(socket.as_path(), |listener| {
        Daemon::of(EngineName::Containerd, socket, "containerd", None, listener)
    });
    let line = daemon.command_line("containerd")?;
    let said = |names: &[&str]| line.as_ref().and_then(|line| line.path(names)).map(|path| dirs.run.at(path));
    let (state, root) = (said(&["--state"]), said(&["--root"]));
    if state.is_some() && root.is_some() {
        return Ok(ContainerdConfig { state, root });
    }
    let file = said(&["--config", "-c"]).unwrap_or_else(|| dirs.config.join("containerd/config.toml"));
    let mut settings = Settings::default();
    let (mut files, mut read) = (vec![file], 0);
    while let Some(file) = files.pop().filter(|_| read < MOST_IMPORTS) {
        read += 1;
        // An imported file is read after the one that names it, and outdoes it.
        files.extend(settings.read(&file, "", &["state", "root"])?);
    }
    let set = |key: &str| settings.place(key).map(|path| dirs.run.at(path));
    Ok(ContainerdConfig { state: state.or_else(|| set("state")), root: root.or_else(|| set("root")) })
}

/// Where shims have their runtime keep its state below `/run`, whatever runtime that is and wherever containerd keeps its
/// own (containerd, `cmd/containerd-shim-runc-v2/process/utils.go`); and where Docker has them do it.
pub(super) fn runtime_roots(dirs: &EngineDirs) -> [StatePath; 2] {
    ["containerd/runc", "docker/runtime-runc"].map(|root| dirs.run.join(root))
}

/// The directories of tasks that there are, each with one directory for each namespace.
///
/// # Errors
/// As [`states`].
pub(super) fn task_directories(dirs: &EngineDirs) -> Result<Vec<StatePath>, EngineError> {
    let mut there = Vec::new();
    for state in states(dirs, &SocketMemory::default())? {
        // Most of these containerds are on no host.
        if !state::is_there(&state)? {
            continue;
        }
        for directory in DRIVERS.map(|driver| state.join(driver)) {
            if state::is_there(&directory)? && !there.contains(&directory) {
                there.push(directory);
            }
        }
    }
    Ok(there)
}
