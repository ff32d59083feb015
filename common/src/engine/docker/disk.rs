//! What Docker keeps on disk: `containers/ID/config.v2.json` below its data root says what the daemon last
//! knew, containerd's `init.pid` and the runtime's own state below `/run` say which process there is now.
//!
//! Formats: moby `container/container.go`, `container/state.go`; containerd `core/runtime/v2/bundle.go`.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::path::PathBuf;

use jiff::Timestamp;
use nix::unistd::{Pid, Uid};
use serde::Deserialize;

use super::super::api_or_disk::DiskState;
use super::super::engine_dirs::{EngineDirs, rooted};
use super::super::runtime;
use super::super::state::{self, StatePath};
use super::super::{
    Container, ContainerSource, ContainerState, EngineAnswer, EngineError, EngineName, Proof, api,
};
use crate::target::Name;

const ENGINE: EngineName = EngineName::Docker;

/// Where containerd keeps a bundle for each of Docker's running containers.
const BUNDLES: &str = "io.containerd.runtime.v2.task/moby";

/// One Docker's state.
pub(in super::super) struct DockerDisk {
    owner: Uid,
    run: StatePath,
    config: StatePath,
    data: StatePath,
    /// Once they were asked for.
    dirs: OnceCell<DockerDirs>,
}

/// `daemon.json`, as far as it says where things are; `graph` is the data root's name before 17.05.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct DaemonConfig {
    #[serde(alias = "graph")]
    data_root: Option<PathBuf>,
    exec_root: Option<PathBuf>,
}

/// The directories of one daemon.
struct DockerDirs {
    /// One directory for each container, named after its ID.
    containers: StatePath,
    /// Bundles: containerd's, Docker's own one or the system's.
    bundles: [StatePath; 2],
    /// What the runtimes that Docker uses keep, such as `runtime-runc`: one directory for each container.
    runtimes: Vec<StatePath>,
}

/// `config.v2.json`, as far as we need it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerConfig {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    state: ConfigState,
    config: Option<ImageConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImageConfig {
    image: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigState {
    running: bool,
    paused: bool,
    restarting: bool,
    #[serde(default)]
    removal_in_progress: bool,
    #[serde(default)]
    dead: bool,
    exit_code: i64,
    started_at: String,
    finished_at: String,
}

impl DockerDisk {
    pub(super) fn of(dirs: &EngineDirs) -> Self {
        DockerDisk {
            owner: dirs.owner,
            run: dirs.run.clone(),
            config: dirs.config.join("docker/daemon.json"),
            data: dirs.data.join("docker"),
            dirs: OnceCell::new(),
        }
    }

    fn dirs(&self) -> Result<&DockerDirs, EngineError> {
        match self.dirs.get() {
            Some(dirs) => Ok(dirs),
            None => self.read_dirs().map(|dirs| self.dirs.get_or_init(|| dirs)),
        }
    }

    fn read_dirs(&self) -> Result<DockerDirs, EngineError> {
        let config = state::json::<DaemonConfig>(&self.config)?.unwrap_or_default();
        let elsewhere = |path: PathBuf| self.config.at(rooted(path));
        let exec_root = config.exec_root.map_or_else(|| self.run.join("docker"), elsewhere);
        Ok(DockerDirs {
            containers: config.data_root.map_or_else(|| self.data.clone(), elsewhere).join("containers"),
            bundles: [
                exec_root.join("containerd/daemon").join(BUNDLES),
                self.run.join("containerd").join(BUNDLES),
            ],
            runtimes: runtimes(&exec_root)?,
        })
    }

    /// Every container that has a directory and is chosen by its ID or, where that does not choose it, by
    /// what is in its file.
    fn chosen(
        &self,
        by_id: impl Fn(&str) -> bool,
        by_content: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<EngineAnswer>, EngineError> {
        let dirs = self.dirs()?;
        let (mut found, mut bytes) = (EngineAnswer::default(), Vec::new());
        for name in state::names(&dirs.containers)? {
            let Some(id) = name.to_str().filter(|id| state::is_id(id)) else { continue };
            let file = dirs.config(id);
            match state::read_into(&mut bytes, &file) {
                Ok(false) => {}
                // The parse is expensive, and not needed: the daemon ends a whole file with a line feed (Go's Encoder, in
                // moby `container.toDisk`). One without may have been cut off before the name.
                Ok(true) if by_id(id) || by_content(&bytes) || !bytes.ends_with(b"}\n") => {
                    found.add(self.container(dirs, id, &file, &bytes).map(Some));
                }
                Ok(true) => {}
                Err(doubt) => found.doubts.push(doubt),
            }
        }
        Ok((!found.is_empty() || dirs.containers.is_dir()).then_some(found))
    }

    fn container(
        &self,
        dirs: &DockerDirs,
        id: &str,
        file: &StatePath,
        bytes: &[u8],
    ) -> Result<Container, EngineError> {
        let config: ContainerConfig =
            serde_json::from_slice(bytes).map_err(|error| state::wrong(file, error))?;
        if config.id != id {
            return Err(state::wrong(file, "is another container's"));
        }
        let init = if config.state.running { dirs.first_process(id)? } else { None };
        let (known, has_process) = (config.state.known(), init.is_some());
        // The daemon died, and could not write down how this run ended.
        let ended_unseen = matches!(known, ContainerState::Running | ContainerState::Paused) && !has_process;
        let state = if ended_unseen { ContainerState::Exited } else { known };
        let started_at = api::time(&config.state.started_at);
        Ok(Container {
            engine: ENGINE,
            id: config.id,
            name: config.name.trim_start_matches('/').to_owned(),
            pid: init.as_ref().map(|(pid, _)| *pid),
            exit_code: Some(config.state.exit_code).filter(|_| state.has_ended() && !ended_unseen),
            started_at,
            finished_at: time_unless(ended_unseen || !state.has_ended(), &config.state.finished_at),
            image: config.config.and_then(|config| config.image),
            source: ContainerSource::State,
            pod: None,
            proof: Proof {
                start_time_ticks: init.and_then(|(_, ticks)| ticks),
                made_at: started_at,
                ..Proof::word_of(self.owner)
            },
            state,
        })
    }
}

impl DiskState for DockerDisk {
    fn find(&self, name: &Name) -> Result<Option<EngineAnswer>, EngineError> {
        let name = name.as_str();
        if state::is_id(name) {
            let found = self.as_inspected(name)?;
            return Ok((found.is_some() || self.dirs()?.containers.is_dir()).then(|| found.into()));
        }
        // No byte of a name is ever escaped in JSON. Anything may hold these bytes, so it is compared again.
        let needle = format!("\"/{name}\"");
        let found = self.chosen(|id| id.starts_with(name), |bytes| state::mentions(bytes, &needle))?;
        Ok(found.map(|mut found| {
            found.containers.retain(|hit| is_meant(name, hit));
            found.certain_if_exact(name)
        }))
    }

    fn list(&self) -> Result<Option<EngineAnswer>, EngineError> {
        self.chosen(|_| true, |_| true)
    }

    fn as_inspected(&self, id: &str) -> Result<Option<Container>, EngineError> {
        if !state::is_id(id) {
            return Ok(None);
        }
        let dirs = self.dirs()?;
        let file = dirs.config(id);
        let Some(bytes) = state::read(&file)? else { return Ok(None) };
        self.container(dirs, id, &file, &bytes).map(Some)
    }

    /// A daemon that was killed leaves them running, and so does one with `live-restore`. Those of the data root that
    /// we know are found there.
    fn may_run_alone(&self) -> bool {
        let Ok(dirs) = self.dirs() else { return true };
        let unknown = |id: &OsString| !dirs.containers.join(id).exists();
        dirs.bundles.iter().any(|bundles| state::names(bundles).map_or(true, |ids| ids.iter().any(unknown)))
    }

    /// The daemon is always there, if it is anywhere.
    fn is_unused(&self) -> bool {
        false
    }
}

impl DockerDirs {
    fn config(&self, id: &str) -> StatePath {
        self.containers.join(id).join("config.v2.json")
    }

    /// The first process and, where the runtime says so, when it started. containerd removes the bundle, and
    /// the runtime its state, when that process has ended: without a bundle there is none, whatever the
    /// daemon wrote last.
    fn first_process(&self, id: &str) -> Result<Option<(Pid, Option<u64>)>, EngineError> {
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

impl ConfigState {
    /// In the order in which the daemon asks itself (moby `ContainerState.StateString`).
    fn known(&self) -> ContainerState {
        match self {
            ConfigState { running: true, paused: true, .. } => ContainerState::Paused,
            ConfigState { running: true, restarting: true, .. } => ContainerState::Restarting,
            ConfigState { running: true, .. } => ContainerState::Running,
            ConfigState { removal_in_progress: true, .. } | ConfigState { dead: true, .. } => {
                ContainerState::Dead
            }
            never if api::time(&never.started_at).is_none() => ContainerState::Created,
            _ => ContainerState::Exited,
        }
    }
}

fn runtimes(exec_root: &StatePath) -> Result<Vec<StatePath>, EngineError> {
    let mut names = state::names(exec_root)?;
    names.retain(|name| name.as_encoded_bytes().starts_with(b"runtime-"));
    Ok(names.iter().map(|name| exec_root.join(name).join("moby")).collect())
}

fn time_unless(unknown: bool, text: &str) -> Option<Timestamp> {
    if unknown { None } else { api::time(text) }
}

fn is_meant(name: &str, hit: &Container) -> bool {
    hit.name == name || hit.id.starts_with(name)
}
