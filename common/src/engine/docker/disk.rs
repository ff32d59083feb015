//! What Docker keeps on disk: `containers/ID/config.v2.json` below its data root says what the daemon last
//! knew, containerd's `init.pid` and the runtime's own state below `/run` say which process there is now.
//!
//! Formats: moby `container/container.go`, `container/state.go`; containerd `core/runtime/v2/bundle.go`.

use std::cell::OnceCell;
use std::ffi::OsString;

use jiff::Timestamp;
use nix::unistd::Uid;
use serde::Deserialize;

use super::super::api_or_disk::DiskState;
use super::super::engine_dirs::EngineDirs;
use super::super::state::{self, StatePath};
use super::super::{
    Container, ContainerSource, ContainerState, EngineAnswer, EngineError, EngineName, Proof, api, runtime,
};
use super::places::{DockerHome, DockerHomes, DockerPlaces};
use crate::target::Name;

const ENGINE: EngineName = EngineName::Docker;

/// One Docker's state.
pub(in super::super) struct DockerDisk {
    owner: Uid,
    places: DockerPlaces,
    /// Once they were asked for.
    homes: OnceCell<DockerHomes>,
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
        DockerDisk { owner: dirs.owner, places: DockerPlaces::of(dirs), homes: OnceCell::new() }
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

    /// Every container that has a directory and is chosen by its ID or, where that does not choose it, by
    /// what is in its file.
    fn chosen(
        &self,
        by_id: impl Fn(&str) -> bool,
        by_content: impl Fn(&[u8]) -> bool,
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
                    found.add(self.container(home, id, &file, &bytes).map(Some));
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
        let init = if config.state.running { home.first_process(id)? } else { None };
        if let Some((_, ticks)) = init {
            runtime::is_of_our_time(ENGINE, file, ticks)?;
        }
        let (known, has_process) = (config.state.known(), init.is_some());
        // The daemon died, and could not write down how this run ended.
        let ended_unseen = matches!(known, ContainerState::Running | ContainerState::Paused) && !has_process;
        // A daemon that only hangs would have written it down before: what it keeps of the process is where we do not look.
        if ended_unseen && self.homes()?.is_running {
            return Err(state::wrong(file, "says that the container runs, and its process was not found"));
        }
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
            let doubts = self.homes()?.doubt.clone().filter(|_| found.is_none());
            let there = found.is_some() || self.is_there()?;
            let answer = EngineAnswer { doubts: doubts.into_iter().collect(), ..found.into() };
            return Ok(there.then_some(answer));
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
        for home in &self.homes()?.all {
            let file = home.config(id);
            if let Some(bytes) = state::read(&file)? {
                return self.container(home, id, &file, &bytes).map(Some);
            }
        }
        Ok(None)
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

fn is_meant(name: &str, hit: &Container) -> bool {
    hit.name == name || hit.id.starts_with(name)
}
