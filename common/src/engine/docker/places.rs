//! Where a Docker daemon keeps things: as the daemon that runs was started, else as `daemon.json` says, else where they
//! usually are. Snap's Docker is started with flags, and its places are known for when it does not run.
//!
//! Flags and keys: moby `cmd/dockerd/config.go`, `daemon/config/config.go`. With `userns-remap` everything is in a
//! directory `UID.GID` below the data root, and in the containerd namespace `moby-UID.GID` (moby
//! `daemon/daemon_unix.go`), or in `moby` as without it (seen with 20.10).

use std::ffi::OsString;
use std::path::PathBuf;

use nix::unistd::Pid;
use serde::Deserialize;

use super::super::daemon::{Daemon, DaemonCommand};
use super::super::engine_dirs::{EngineDirs, rooted};
use super::super::session::SocketMemory;
use super::super::state::{self, StatePath};
use super::super::{AnswerTimeout, EngineError, EngineName, containerd, runtime};

const ENGINE: EngineName = EngineName::Docker;

/// Where containerd keeps bundles, a directory for each namespace.
const BUNDLES: &str = "io.containerd.runtime.v2.task";

/// Where to look for what a daemon keeps; nothing was looked for yet.
pub(super) struct DockerPlaces {
    dirs: EngineDirs,
    sockets: SocketMemory,
}

/// `daemon.json`, as far as it says where things are; `graph` is the data root's name before 17.05.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct DaemonConfig {
    #[serde(alias = "graph")]
    data_root: Option<PathBuf>,
    exec_root: Option<PathBuf>,
    userns_remap: Option<String>,
    containerd: Option<PathBuf>,
    containerd_namespace: Option<String>,
}

/// The directories of daemons that one `docker.sock` can be of.
pub(super) struct DockerHomes {
    pub all: Vec<DockerHome>,
    /// Whether the daemon that they are of was seen to run, so that it has written down the end of each container.
    pub is_running: bool,
    /// Why there may be others.
    pub doubt: Option<EngineError>,
}

/// The directories of one daemon.
pub(super) struct DockerHome {
    /// One directory for each container, named after its ID.
    pub containers: StatePath,
    /// Bundles: containerd's, Docker's own one or the system's.
    pub bundles: Vec<StatePath>,
    /// What the runtimes that Docker uses keep, such as `runtime-runc`: one directory for each container.
    runtimes: Vec<StatePath>,
}

/// Where the daemon of `dirs` listens.
pub(super) fn socket_of(dirs: &EngineDirs) -> PathBuf {
    dirs.run.as_path().join("docker.sock")
}

impl DockerPlaces {
    pub(super) fn of(dirs: &EngineDirs, limit: &AnswerTimeout) -> Self {
        DockerPlaces { dirs: dirs.clone(), sockets: limit.sockets.clone() }
    }

    /// # Errors
    /// A configuration that cannot be read.
    pub(super) fn homes(&self) -> Result<DockerHomes, EngineError> {
        let (socket, pid_file) = (self.dirs.run.at(socket_of(&self.dirs)), self.dirs.run.join("docker.pid"));
        let daemon = self.sockets.daemon(socket.as_path(), |listener| {
            Daemon::of(ENGINE, &socket, "dockerd", Some(&pid_file), listener)
        });
        let (line, doubt) = match daemon {
            Daemon::Absent => (None, None),
            Daemon::Process(line) if line.is_of("dockerd") => (Some(line), None),
            Daemon::Process(_) => (None, Some(EngineError::unlocated(ENGINE, socket.as_path()))),
            Daemon::Unknown(doubt) => (None, Some(doubt)),
        };
        let mut all =
            self.homes_of(&self.dirs.data.join("docker"), &self.dirs.run.join("docker"), line.as_deref())?;
        if line.is_none() && self.dirs.is_system() {
            let at = |path: &str| self.dirs.data.at(rooted(path));
            let (data, run) = (at("/var/snap/docker/common/var-lib-docker"), at("/run/snap.docker"));
            if data.is_dir() {
                all.extend(self.homes_of(&data, &run, None)?);
            }
        }
        Ok(DockerHomes { all, is_running: line.is_some(), doubt })
    }

    /// With `usual_data` and `usual_run` for a data root and an exec root of which neither the command line nor the configuration
    /// says anything.
    fn homes_of(
        &self,
        usual_data: &StatePath,
        usual_run: &StatePath,
        line: Option<&DaemonCommand>,
    ) -> Result<Vec<DockerHome>, EngineError> {
        let said = |names: &[&str]| line.and_then(|line| line.path(names)).map(|path| usual_data.at(path));
        let file = said(&["--config-file"]).unwrap_or_else(|| self.dirs.config.join("docker/daemon.json"));
        let config = state::json::<DaemonConfig>(&file)?.unwrap_or_default();
        let written = |path: Option<PathBuf>| path.map(|path| usual_data.at(rooted(path)));
        let data = said(&["--data-root", "--graph", "-g"]).or_else(|| written(config.data_root));
        let data = data.unwrap_or_else(|| usual_data.clone());
        let run = said(&["--exec-root"]).or_else(|| written(config.exec_root));
        let run = run.unwrap_or_else(|| usual_run.clone());
        let value = |name: &str| line.and_then(|line| line.option(&[name])?.to_str().map(str::to_owned));
        let namespace = value("--containerd-namespace").or(config.containerd_namespace);
        let namespace = namespace.unwrap_or_else(|| containerd::MOBY.to_owned());
        let remap = value("--userns-remap").or(config.userns_remap).filter(|remap| !remap.is_empty());
        let mut states = vec![run.join("containerd/daemon")];
        match said(&["--containerd"]).or_else(|| written(config.containerd)) {
            Some(socket) => {
                // Nothing says that it is not the usual one: the service of Debian and Docker names the usual socket.
                let state = containerd::state_behind(&socket, &self.dirs, &self.sockets)?;
                states.push(state.unwrap_or_else(|| self.dirs.run.join("containerd")));
            }
            None => states.extend(containerd::states(&self.dirs, &self.sockets)?),
        }
        let home = |data: &StatePath, namespaces: &[&str]| {
            let in_all = namespaces.iter().flat_map(|name| states.iter().map(move |state| (state, name)));
            let bundles = in_all.map(|(state, name)| state.join(BUNDLES).join(name)).collect();
            let runtimes =
                namespaces.iter().map(|name| runtimes(&run, name)).collect::<Result<Vec<_>, _>>()?;
            let runtimes = runtimes.into_iter().flatten().collect();
            Ok(DockerHome { containers: data.join("containers"), bundles, runtimes })
        };
        if remap.is_none() {
            return Ok(vec![home(&data, &[&namespace])?]);
        }
        let names = state::names(&data)?;
        let remapped =
            names.iter().filter_map(|name| name.to_str()).filter(|name| containerd::is_user_and_group(name));
        let of_user = |name: &str| home(&data.join(name), &[&format!("{namespace}-{name}"), &namespace]);
        remapped.map(of_user).collect()
    }
}

impl DockerHomes {
    /// Every name in a directory for containers, with the home that it is in.
    pub(super) fn names(&self) -> Result<Vec<(&DockerHome, OsString)>, EngineError> {
        let mut names = Vec::new();
        for home in &self.all {
            names.extend(state::names(&home.containers)?.into_iter().map(|name| (home, name)));
        }
        Ok(names)
    }
}

impl DockerHome {
    pub(super) fn config(&self, id: &str) -> StatePath {
        self.containers.join(id).join("config.v2.json")
    }

    /// The first process and, where the runtime says so, when it started. containerd removes the bundle, and
    /// the runtime its state, when that process has ended: without a bundle there is none, whatever the
    /// daemon wrote last.
    pub(super) fn first_process(&self, id: &str) -> Result<Option<(Pid, Option<u64>)>, EngineError> {
        for bundles in &self.bundles {
            let Some(pid) = state::number(&bundles.join(id).join("init.pid"))?.filter(|pid| *pid > 0) else {
                continue;
            };
            // The bundle's number is older than the runtime's while the container starts again.
            return Ok(Some(match self.runtime(id)? {
                Some(first) => first,
                None => (Pid::from_raw(pid), None),
            }));
        }
        Ok(None)
    }

    fn runtime(&self, id: &str) -> Result<Option<(Pid, Option<u64>)>, EngineError> {
        for runtime in &self.runtimes {
            if let Some(process) = runtime::process(&runtime.join(id))? {
                return Ok(Some(process));
            }
        }
        Ok(None)
    }
}

fn runtimes(exec_root: &StatePath, namespace: &str) -> Result<Vec<StatePath>, EngineError> {
    let mut names = state::names(exec_root)?;
    names.retain(|name| name.as_encoded_bytes().starts_with(b"runtime-"));
    Ok(names.iter().map(|name| exec_root.join(name).join(namespace)).collect())
}
