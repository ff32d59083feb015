//! What Podman keeps on disk: containers/storage's `containers.json` says which containers there are, conmon
//! and the runtime below `/run` say which of them run.
//!
//! What a container does, and how it ended, is in Podman's own database, which we do not read: the state is
//! told from what is there while a container runs, and exit codes only while conmon's exit file is there.
//! Formats: containers/storage `containers.go`; libpod `oci_conmon_common.go`; conmon(8).

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ffi::OsString;

use jiff::Timestamp;
use nix::unistd::{Pid, Uid};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::api_or_disk::DiskState;
use super::super::cni;
use super::super::engine_dirs::EngineDirs;
use super::super::runtime::{self, RuntimeState};
use super::super::state::{self, StatePath};
use super::super::storage::Storage;
use super::super::{
    Container, ContainerNetwork, ContainerSource, ContainerState, EngineAnswer, EngineError, EngineName,
    Proof,
};
use super::pods;
use crate::target::Name;

const ENGINE: EngineName = EngineName::Podman;

/// One user's Podman.
pub(in super::super) struct PodmanDisk {
    owner: Uid,
    dirs: EngineDirs,
    /// Once it was asked for.
    storage: OnceCell<Storage>,
    /// Which every Podman makes, wherever its storage is.
    used: StatePath,
    /// Where conmon leaves a file with the exit code until Podman has read it.
    exits: StatePath,
    /// Where runtimes keep their own state.
    runtimes: [StatePath; 2],
}

/// One entry of `containers.json`.
#[derive(Deserialize)]
struct StoredContainer {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    metadata: String,
}

/// What Podman notes in an entry. CRI-O, which may share the storage, notes its pod as well, and Buildah
/// nothing of the kind.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct StoredMetadata {
    name: String,
    image_name: Option<String>,
    #[serde(default)]
    pod_id: String,
}

/// What is known of a container's run.
#[derive(Default)]
struct RunState {
    state: Option<ContainerState>,
    pid: Option<Pid>,
    start_time_ticks: Option<u64>,
    exit_code: Option<i64>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

impl PodmanDisk {
    pub(super) fn of(dirs: &EngineDirs) -> Self {
        PodmanDisk {
            owner: dirs.owner,
            dirs: dirs.clone(),
            storage: OnceCell::new(),
            used: dirs.run.join("libpod"),
            exits: dirs.run.join(if dirs.is_system() { "libpod/exits" } else { "libpod/tmp/exits" }),
            runtimes: ["runc", "crun"].map(|runtime| dirs.run.join(runtime)),
        }
    }

    fn storage(&self) -> Result<&Storage, EngineError> {
        match self.storage.get() {
            Some(storage) => Ok(storage),
            None => Storage::of(&self.dirs).map(|storage| self.storage.get_or_init(|| storage)),
        }
    }

    /// The containers in every list that holds `needle`, and that `chosen` chooses.
    fn chosen(
        &self,
        needle: &str,
        chosen: impl Fn(&StoredContainer, &str) -> bool,
    ) -> Result<Option<EngineAnswer>, EngineError> {
        let mut found: Option<EngineAnswer> = None;
        let storage = self.storage()?;
        for driver in drivers(&storage.graph)? {
            // One without a list is of a Podman that has not made any container yet.
            let found = found.get_or_insert_default();
            let (kept, running) = (storage.graph.join(&driver), storage.run.join(&driver));
            let lists = [
                kept.join("containers.json"),
                kept.join("volatile-containers.json"),
                running.join("volatile-containers.json"),
            ];
            for list in lists {
                let entries = match entries_of(&list, needle) {
                    Ok(entries) => entries,
                    Err(doubt) => {
                        found.doubts.push(doubt);
                        continue;
                    }
                };
                for entry in entries {
                    let Some(metadata) = podmans(&entry) else { continue };
                    let name = entry.names.first().unwrap_or(&metadata.name).clone();
                    if state::is_id(&entry.id) && chosen(&entry, &name) {
                        let life = self.life(&kept.join(&entry.id), &running.join(&entry.id), &entry.id);
                        let image = metadata.image_name;
                        found.add(life.map(|life| Some(self.container(entry.id, name, image, life))));
                    }
                }
            }
        }
        Ok(found)
    }

    fn container(&self, id: String, name: String, image: Option<String>, life: RunState) -> Container {
        Container {
            engine: ENGINE,
            id,
            name,
            pid: life.pid,
            state: life.state.unwrap_or(ContainerState::Created),
            exit_code: life.exit_code,
            started_at: life.started_at,
            finished_at: life.finished_at,
            image,
            source: ContainerSource::State,
            pod: None,
            proof: Proof {
                start_time_ticks: life.start_time_ticks,
                made_at: life.started_at,
                ..Proof::word_of(self.owner)
            },
        }
    }

    /// What the container with `kept` and `running` directories is doing. Its `pidfile` outlives its process
    /// until the next boot; the runtime's state, and the pipe `ctl` on which conmon listens, do not.
    fn life(&self, kept: &StatePath, running: &StatePath, id: &str) -> Result<RunState, EngineError> {
        let (kept, running) = (kept.join("userdata"), running.join("userdata"));
        let pidfile = running.join("pidfile");
        let pid = state::number(&pidfile)?.filter(|pid| *pid > 0).map(Pid::from_raw);
        if let Some(record) = self.runtime(id)? {
            let Some(pid) = record.pid else {
                let life = self.ended(&kept, &pidfile, id)?;
                return Ok(RunState { state: life.state.or(Some(record.state)), ..life });
            };
            let started_at =
                (record.state != ContainerState::Created).then(|| state::written_at(&pidfile)).flatten();
            return Ok(RunState {
                state: Some(record.state),
                pid: Some(pid),
                start_time_ticks: record.start_time_ticks,
                started_at,
                ..RunState::default()
            });
        }
        match pid {
            // Some runtime that we do not know.
            Some(pid) if kept.join("ctl").exists() => Ok(RunState {
                state: Some(ContainerState::Running),
                pid: Some(pid),
                started_at: state::written_at(&pidfile),
                ..RunState::default()
            }),
            _ => self.ended(&kept, &pidfile, id),
        }
    }

    /// One without a process: `config.json` is written for the first run.
    fn ended(&self, kept: &StatePath, pidfile: &StatePath, id: &str) -> Result<RunState, EngineError> {
        if !kept.join("config.json").exists() {
            return Ok(RunState::default());
        }
        let exit = self.exits.join(id);
        let exit_code = state::number(&exit)?.map(i64::from);
        Ok(RunState {
            state: Some(ContainerState::Exited),
            exit_code,
            finished_at: exit_code.and_then(|_| state::written_at(&exit)),
            started_at: state::written_at(pidfile),
            ..RunState::default()
        })
    }

    fn runtime(&self, id: &str) -> Result<Option<RuntimeState>, EngineError> {
        for runtime in &self.runtimes {
            if let Some(record) = runtime::read(ENGINE, &runtime.join(id))? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}

impl DiskState for PodmanDisk {
    fn find(&self, name: &Name) -> Result<Option<EngineAnswer>, EngineError> {
        let name = name.as_str();
        // No byte of a name is ever escaped in JSON: what is not in the file is not in the list.
        let found = self.chosen(name, |entry, called| called == name || entry.id.starts_with(name))?;
        Ok(found.map(|found| found.certain_if_exact(name)))
    }

    fn list(&self) -> Result<Option<EngineAnswer>, EngineError> {
        self.chosen("", |_, _| true)
    }

    fn pod(&self, pod: &Name) -> Result<Option<EngineAnswer>, EngineError> {
        let storage = self.storage()?;
        let Some(ids) = pods::ids(&storage.graph, pod)? else { return Ok(None) };
        let mut answer = EngineAnswer::default();
        let drivers = drivers(&storage.graph)?;
        for id in &ids {
            let name = pods::infra_name(id);
            let mut found = self.chosen(&name, |_, called| called == name)?.unwrap_or_default();
            if found.containers.is_empty() {
                let is_infra = |entry: &StoredContainer, _: &str| {
                    let kept = drivers.iter().map(|driver| storage.graph.join(driver).join(&entry.id));
                    kept.into_iter().any(|kept| pods::is_infra(&kept.join("userdata"), id))
                };
                found = self.chosen("", is_infra)?.unwrap_or_default();
            }
            // Made with --infra=false, so that each of its containers has namespaces of its own.
            if found.containers.is_empty() {
                let is_member = pods::members(&storage.graph, id)?;
                found = self.chosen("", |entry, called| is_member(&entry.id, called))?.unwrap_or_default();
                let some_run = found.containers.iter().any(|one| one.pid.is_some());
                found.containers.retain(|one| one.pid.is_some() || !some_run);
            }
            answer.containers.extend(found.containers);
            answer.doubts.extend(found.doubts);
        }
        Ok(Some(answer))
    }

    /// The database has more than we read.
    fn as_inspected(&self, _id: &str) -> Result<Option<Container>, EngineError> {
        Ok(None)
    }

    /// Those that CNI has made. What Netavark has made is in Podman's database, which only the API tells.
    fn networks(&self, ids: &[&str]) -> Result<HashMap<String, Vec<ContainerNetwork>>, EngineError> {
        cni::networks(&self.dirs.data, ids)
    }

    fn first_process(&self, id: &str) -> Option<(Pid, u64)> {
        let records = self.runtimes.iter().filter(|_| state::is_id(id)).map(|runtime| runtime.join(id));
        let (pid, ticks) = records.filter_map(|record| runtime::process(&record).ok().flatten()).next()?;
        Some((pid, ticks?))
    }

    /// They always do, and whatever is known of them is on disk.
    fn may_run_alone(&self) -> bool {
        false
    }

    fn is_unused(&self) -> bool {
        !self.used.exists() && !Storage::usual(&self.dirs).run.exists()
    }
}

/// The graph driver's name is in the directories': overlay-containers, vfs-containers.
fn drivers(graph: &StatePath) -> Result<Vec<OsString>, EngineError> {
    let mut names = state::names(graph)?;
    names.retain(|name| name.as_encoded_bytes().ends_with(b"-containers"));
    Ok(names)
}

/// The entries of one list; none if it is not there, or does not hold `needle` anywhere.
fn entries_of(list: &StatePath, needle: &str) -> Result<Vec<StoredContainer>, EngineError> {
    let Some(bytes) = state::read(list)? else { return Ok(vec![]) };
    // The library takes an empty file for an empty list (containers/storage `containers.go`, `loadContainersJSON`).
    if bytes.trim_ascii().is_empty() {
        return Ok(vec![]);
    }
    // A list that was cut off may have held it.
    if !state::mentions(&bytes, needle) && serde_json::from_slice::<IgnoredAny>(&bytes).is_ok() {
        return Ok(vec![]);
    }
    serde_json::from_slice(&bytes).map_err(|error| state::wrong(list, error))
}

fn podmans(entry: &StoredContainer) -> Option<StoredMetadata> {
    let metadata: StoredMetadata = serde_json::from_str(&entry.metadata).ok()?;
    metadata.pod_id.is_empty().then_some(metadata)
}
