//! What Docker keeps on disk: `containers/ID/config.v2.json` below its data root says what the daemon last
//! knew, containerd's `init.pid` and the runtime's own state below `/run` say which process there is now.
//!
//! Formats: moby `container/container.go`, `container/state.go`; containerd `core/runtime/v2/bundle.go`.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ffi::OsString;

use jiff::Timestamp;
use nix::unistd::{Pid, Uid};
use serde::Deserialize;

use super::super::api_or_disk::DiskState;
use super::super::endpoint::NetworkFields;
use super::super::engine_dirs::EngineDirs;
use super::super::state::{self, StatePath};
use super::super::{
    AnswerTimeout, Container, ContainerNetwork, ContainerSource, ContainerState, EngineAnswer, EngineError,
    EngineName, Proof, api, runtime,
};
use super::places::{DockerHome, DockerHomes, DockerPlaces};
use super::traces::ProcessTraces;
use crate::target::Name;

const ENGINE: EngineName = EngineName::Docker;

/// One Docker's state.
pub(in super::super) struct DockerDisk {
    owner: Uid,
    places: DockerPlaces,
    /// Once they were asked for.
    homes: OnceCell<DockerHomes>,
    /// Where runc keeps a directory for each container, unless something was configured.
    usual_runtime: StatePath,
    traces: ProcessTraces,
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

/// `config.v2.json`, as far as it tells of networks.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigNetworks {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    network_settings: Option<NetworkFields>,
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
    pub(super) fn of(dirs: &EngineDirs, limit: &AnswerTimeout) -> Self {
        DockerDisk {
            owner: dirs.owner,
            places: DockerPlaces::of(dirs, limit),
            homes: OnceCell::new(),
            usual_runtime: dirs.run.join("docker/runtime-runc/moby"),
            traces: ProcessTraces::of(dirs.owner),
        }
    }

    fn homes(&self) -> Result<&DockerHomes, EngineError> {
        match self.homes.get() {
            Some(homes) => Ok(homes),
            None => self.places.homes().map(|homes| self.homes.get_or_init(|| homes)),
        }
    }

    /// Whether there is a directory for containers at all.
    fn is_there(&self) -> Result<bool, EngineError> {
        Ok(self.homes()?.all.iter().any(|home| home.containers.is_dir()))
    }

    /// Every container that is meant, has a directory, and is chosen by its ID or, where that does not choose it, by
    /// what is in its file.
    fn chosen(
        &self,
        by_id: impl Fn(&str) -> bool,
        by_content: impl Fn(&[u8]) -> bool,
        is_meant: impl Fn(&str, &str) -> bool,
    ) -> Result<Option<EngineAnswer>, EngineError> {
        let homes = self.homes()?;
        let (mut found, mut bytes) = (EngineAnswer::default(), Vec::new());
        for (home, name) in homes.names()? {
            let Some(id) = name.to_str().filter(|id| state::is_id(id)) else { continue };
            let file = home.config(id);
            match state::read_into(&mut bytes, &file) {
                Ok(false) => {}
                // The parse is expensive, and not needed: the daemon ends a whole file with a line feed (Go's Encoder, in
                // moby `container.toDisk`). One without may have been cut off before the name.
                Ok(true) if by_id(id) || by_content(&bytes) || !bytes.ends_with(b"}\n") => {
                    let container = self.container(home, id, &file, &bytes).map(Some);
                    found.add(match container {
                        Ok(Some(other)) if !is_meant(&other.name, &other.id) => Ok(None),
                        Err(EngineError::Unrecorded { name, .. }) if !is_meant(&name, id) => Ok(None),
                        container => container,
                    });
                }
                Ok(true) => {}
                Err(doubt) => found.doubts.push(doubt),
            }
        }
        let there = !found.is_empty() || self.is_there()?;
        found.doubts.extend(homes.doubt.clone());
        Ok(there.then_some(found))
    }

    fn container(
        &self,
        home: &DockerHome,
        id: &str,
        file: &StatePath,
        bytes: &[u8],
    ) -> Result<Container, EngineError> {
        let config: ContainerConfig =
            serde_json::from_slice(bytes).map_err(|error| state::wrong(file, error))?;
        if config.id != id {
            return Err(state::wrong(file, "is another container's"));
        }
        let name = config.name.trim_start_matches('/').to_owned();
        let init = if config.state.running { home.first_process(id)? } else { None };
        if let Some((_, ticks)) = init {
            runtime::is_of_our_time(ENGINE, file, ticks)?;
        }
        let (known, has_process) = (config.state.known(), init.is_some());
        // The daemon died, and could not write down how this run ended; or it records processes where we do not look.
        let ended_unseen = matches!(known, ContainerState::Running | ContainerState::Paused) && !has_process;
        if ended_unseen && !self.has_certainly_ended(id)? {
            return Err(EngineError::Unrecorded { engine: ENGINE, name, file: file.as_path().to_owned() });
        }
        let state = if ended_unseen { ContainerState::Exited } else { known };
        let started_at = api::time(&config.state.started_at);
        Ok(Container {
            engine: ENGINE,
            id: config.id,
            name,
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

impl DockerDisk {
    /// Whether a container that has no bundle has ended. While a daemon hangs, its bundles stay, and one that does not would have
    /// written down the end. The processes of a daemon in another PID namespace are not all here.
    fn has_certainly_ended(&self, id: &str) -> Result<bool, EngineError> {
        let homes = self.homes()?;
        Ok(!homes.is_running && homes.doubt.is_none() && self.traces.certainly_lack(id))
    }
}

impl DiskState for DockerDisk {
    fn find(&self, name: &Name) -> Result<Option<EngineAnswer>, EngineError> {
        let (name, homes) = (name.as_str(), self.homes()?);
        let found = if state::is_id(name) {
            let mut found = EngineAnswer::default();
            found.add(self.as_inspected(name));
            found.doubts.extend(homes.doubt.clone());
            (!found.is_empty() || self.is_there()?).then_some(found)
        } else {
            // No byte of a name is ever escaped in JSON. Anything may hold these bytes, so it is compared again.
            let needle = format!("\"/{name}\"");
            let by_content = |bytes: &[u8]| state::mentions(bytes, &needle);
            let is_meant = |called: &str, id: &str| called == name || id.starts_with(name);
            self.chosen(|id| id.starts_with(name), by_content, is_meant)?
        };
        Ok(found.map(|found| {
            // In another daemon's directory, which is no longer used, the same name says nothing of this one's container.
            let runs = found.containers.iter().any(|hit| hit.pid.is_some());
            let is_certain = homes.doubt.is_none() || runs;
            if is_certain { found.certain_if_exact(name) } else { found }
        }))
    }

    fn list(&self) -> Result<Option<EngineAnswer>, EngineError> {
        self.chosen(|_| true, |_| true, |_, _| true)
    }

    fn as_inspected(&self, id: &str) -> Result<Option<Container>, EngineError> {
        if !state::is_id(id) {
            return Ok(None);
        }
        for home in &self.homes()?.all {
            let file = home.config(id);
            if let Some(bytes) = state::read(&file)? {
                return self.container(home, id, &file, &bytes).map(Some);
            }
        }
        Ok(None)
    }

    /// The daemon writes the file after each change of a network (moby `daemon/container_operations.go`, `ConnectToNetwork`).
    fn networks(&self, ids: &[&str]) -> Result<HashMap<String, Vec<ContainerNetwork>>, EngineError> {
        let mut networks = HashMap::new();
        for id in ids.iter().filter(|id| state::is_id(id)) {
            for home in &self.homes()?.all {
                let file = home.config(id);
                let Some(config) = state::json::<ConfigNetworks>(&file)? else { continue };
                if config.id != *id {
                    return Err(state::wrong(&file, "is another container's"));
                }
                let Some(settings) = config.network_settings else { continue };
                networks.insert(config.id, settings.into_networks());
                break;
            }
        }
        Ok(networks)
    }

    fn first_process(&self, id: &str) -> Option<(Pid, u64)> {
        let record = state::is_id(id).then(|| self.usual_runtime.join(id))?;
        let (pid, ticks) = runtime::process(&record).ok()??;
        Some((pid, ticks?))
    }

    /// A daemon that was killed leaves them running, and so does one with `live-restore`. Those of the data root that
    /// we know are found there.
    fn may_run_alone(&self) -> bool {
        let Ok(homes) = self.homes() else { return true };
        let unknown = |id: &OsString| !homes.all.iter().any(|home| home.containers.join(id).exists());
        let runs = |bundles: &StatePath| state::names(bundles).map_or(true, |ids| ids.iter().any(unknown));
        homes.all.iter().flat_map(|home| &home.bundles).any(runs)
    }

    /// The daemon is always there, if it is anywhere.
    fn is_unused(&self) -> bool {
        false
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

fn time_unless(unknown: bool, text: &str) -> Option<Timestamp> {
    if unknown { None } else { api::time(text) }
}
