//! CRI-O's pods and containers: from their bundles, which lie where Podman's do. Which of the two made one,
//! its annotations say. Of one that has ended the bundle below `/run` may be gone, as after a boot; what stays of it has a copy of
//! its configuration beside its `state.json`, which Podman does not write (`internal/oci/container.go`, `server/container_create.go`).

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use nix::unistd::Pid;
use serde::Deserialize;

use super::cni;
use super::cri::{self, Annotations, Bundle, Bundles, Role};
use super::daemon::Daemon;
use super::engine_dirs::EngineDirs;
use super::runtime;
use super::settings::{Settings, drop_ins};
use super::state::StatePath;
use super::storage::Storage;
use super::{
    Container, ContainerNetwork, ContainerQuery, ContainerState, Engine, EngineAnswer, EngineError,
    EngineName, Proof, api, state,
};
use crate::target::Name;

const ENGINE: EngineName = EngineName::Crio;

/// Where the storage library keeps containers, below its two roots.
const CONTAINERS: &str = "overlay-containers";

/// The CRI-O of one user.
pub(super) struct Crio {
    dirs: EngineDirs,
    /// Once they were asked for.
    storage: OnceCell<Storage>,
    installed: OnceCell<bool>,
}

/// What CRI-O writes of a container's runs (`internal/oci/container.go`, `ContainerState`).
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CrioRuns {
    status: Option<String>,
    started: Option<String>,
    finished: Option<String>,
    exit_code: Option<i64>,
    init_pid: Option<i32>,
    init_start_time: Option<String>,
}

impl Crio {
    pub(super) fn new(dirs: &EngineDirs) -> Self {
        Crio { dirs: dirs.clone(), storage: OnceCell::new(), installed: OnceCell::new() }
    }

    fn socket(&self) -> StatePath {
        self.dirs.run.join("crio/crio.sock")
    }

    fn is_installed(&self) -> bool {
        let look = || self.dirs.config.join("crio").is_dir() || self.socket().exists();
        *self.installed.get_or_init(look)
    }

    /// As its process was started (crio(8): `--root`, `--runroot`, `--config`), else as `crio.conf` and its additions have it
    /// (crio.conf(5)), else as `storage.conf` has it. Where there is no CRI-O no configuration is read.
    fn storage(&self) -> Result<&Storage, EngineError> {
        if let Some(storage) = self.storage.get() {
            return Ok(storage);
        }
        let (config, socket) = (self.dirs.config.join("crio"), self.socket());
        let storage = if self.is_installed() {
            let line = Daemon::of(ENGINE, &socket, "crio", None, None).command_line("crio")?;
            let said = |names: &[&str]| line.as_ref().and_then(|line| line.path(names));
            let file = said(&["--config", "-c"]).map(|path| config.at(path));
            let mut settings = Settings::default();
            settings.read(&file.unwrap_or_else(|| config.join("crio.conf")), "crio", &["root", "runroot"])?;
            for file in drop_ins(&config.join("crio.conf.d"))? {
                settings.read(&file, "crio", &["root", "runroot"])?;
            }
            let set = Storage::of(&self.dirs)?.set_by(&settings, &self.dirs);
            let at = |path: PathBuf| self.dirs.data.at(path);
            Storage {
                graph: said(&["--root", "-r"]).map_or(set.graph, at),
                run: said(&["--runroot"]).map_or(set.run, at),
            }
        } else {
            Storage::usual(&self.dirs)
        };
        Ok(self.storage.get_or_init(|| storage))
    }

    /// Every bundle there is, Podman's among them.
    fn bundles(&self) -> Result<Bundles, EngineError> {
        let storage = self.storage()?;
        let (running, kept) = (storage.run.join(CONTAINERS), storage.graph.join(CONTAINERS));
        let is_running_there = state::is_there(&running)?;
        // Podman's are kept there too, and many: they are not looked through for an engine that is not here.
        let is_kept = self.is_installed() && state::is_there(&kept)?;
        if !is_running_there && !is_kept {
            return Err(EngineError::Absent { engine: ENGINE, socket: self.socket().as_path().to_owned() });
        }
        let bundle = |directory: &StatePath, id: &Name| Bundle {
            within: String::new(),
            directory: directory.join(id.as_str()).join("userdata"),
            id: id.to_string(),
        };
        let ids = state::usable_names(&running)?;
        let mut all: Vec<_> = ids.iter().map(|id| bundle(&running, id)).collect();
        if is_kept {
            let has_config = |one: &Bundle| one.directory.join("config.json").exists();
            all.retain(has_config);
            let known: HashSet<String> = all.iter().map(|bundle| bundle.id.clone()).collect();
            let gone = state::usable_names(&kept)?.into_iter().filter(|id| !known.contains(id.as_str()));
            let gone = gone.map(|id| bundle(&kept, &id));
            all.extend(gone.filter(|bundle| bundle.directory.join("state.json").exists()));
        }
        Ok(Bundles::new(all, role))
    }

    /// `None` for a container that is Podman's, or gone.
    fn container(
        &self,
        bundles: &Bundles,
        bundle: &Bundle,
        role: Option<&Role>,
    ) -> Result<Option<Container>, EngineError> {
        let Some(role) = role else { return Ok(None) };
        let pidfile = bundle.directory.join("pidfile");
        let pid = state::number(&pidfile)?.filter(|pid| *pid > 0).map(Pid::from_raw);
        let file = self.storage()?.graph.join(CONTAINERS).join(&bundle.id).join("userdata/state.json");
        let runs = state::json::<CrioRuns>(&file)?.unwrap_or_default();
        let ticks = runs.init_start_time.as_deref().and_then(|ticks| ticks.parse().ok());
        let ticks = ticks.filter(|_| runs.init_pid.map(Pid::from_raw) == pid);
        let (pid, now) = runtime::what_became_of(pid, ticks);
        let has_written_its_end = runs.status.as_deref() == Some("stopped");
        if now == ContainerState::Exited && !has_written_its_end {
            runtime::is_of_our_time(ENGINE, &file, ticks)?;
        }
        let now = match runs.status.as_deref() {
            Some("created") if now == ContainerState::Running => ContainerState::Created,
            Some("paused") if now == ContainerState::Running => ContainerState::Paused,
            Some("stopped") if pid.is_none() => ContainerState::Exited,
            // Its bundle may be where we do not look. A sandbox may do without a process.
            Some("running" | "paused") if now == ContainerState::Created && !role.is_sandbox => {
                return Err(state::wrong(
                    &file,
                    "says that the container runs, and its process was not found",
                ));
            }
            _ => now,
        };
        let pod = bundles.pod(bundle, role);
        let of_pod = pod.as_ref().filter(|_| role.is_sandbox).map(|pod| pod.name.clone());
        Ok(Some(Container {
            name: role.container.clone().or(of_pod).unwrap_or_else(|| bundle.id.clone()),
            pid,
            exit_code: runs.exit_code.filter(|_| now == ContainerState::Exited),
            started_at: runs.started.as_deref().and_then(api::time),
            finished_at: runs.finished.as_deref().and_then(api::time),
            image: role.image.clone(),
            pod,
            state: now,
            proof: Proof {
                start_time_ticks: ticks,
                made_at: state::written_at(&pidfile),
                ..Proof::word_of(self.dirs.owner)
            },
            ..Container::unknown(ENGINE, &bundle.id, self.dirs.owner)
        }))
    }
}

impl Engine for Crio {
    fn name(&self) -> EngineName {
        ENGINE
    }

    fn networks(&self, ids: &[&str]) -> Result<HashMap<String, Vec<ContainerNetwork>>, EngineError> {
        cni::networks(&self.dirs.data, ids)
    }

    fn find(&self, asked: &ContainerQuery<'_>) -> Result<EngineAnswer, EngineError> {
        let bundles = self.bundles()?;
        let make = |bundle: &Bundle, role: Option<&Role>| self.container(&bundles, bundle, role);
        let (namespace, pod, container) = match *asked {
            ContainerQuery::Name { within: None, name } => {
                return Ok(cri::latest(bundles.named(name).containers(make)));
            }
            ContainerQuery::Name { .. } => return Ok(EngineAnswer::default()),
            ContainerQuery::Pod { namespace, pod, container } => (namespace, pod, container),
        };
        let mut found = cri::latest(bundles.in_pod(namespace, pod, container).containers(make));
        if container.is_some() {
            return Ok(found);
        }
        for sandbox in found.containers.iter_mut().filter(|sandbox| sandbox.pid.is_none()) {
            let inside = bundles.inhabitants(&sandbox.id).containers(make);
            match cri::stand_in(inside.containers) {
                Some(container) => *sandbox = container,
                None => found.doubts.extend(inside.doubts),
            }
        }
        Ok(EngineAnswer { containers: cri::one_way_in(found.containers), ..found })
    }

    fn list(&self) -> Result<EngineAnswer, EngineError> {
        let bundles = self.bundles()?;
        let mut answer = EngineAnswer::default();
        for bundle in &bundles.all {
            // What cannot be read is as likely Podman's, which tells of it.
            let Ok(Some(role)) = bundles.role(bundle) else { continue };
            answer.add(self.container(&bundles, bundle, Some(&role)));
        }
        Ok(answer)
    }
}

/// CRI-O's annotations (`internal/annotations`, before `pkg/annotations`). Only sandboxes have the pod's name
/// and namespace; a container has its name in the metadata that the kubelet sent, and its pod's in labels.
fn role(annotations: &Annotations) -> Option<Role> {
    let of =
        |key: &str| annotations.get(&format!("io.kubernetes.cri-o.{key}")).filter(|text| !text.is_empty());
    // Podman writes some of these annotations too, for runtimes that make a virtual machine of a pod's sandbox.
    let is_podmans = annotations.get("io.container.manager").is_some_and(|manager| manager == "libpod");
    if is_podmans || of("Name").is_none() {
        return None;
    }
    let is_sandbox = of("ContainerType")? == "sandbox";
    let inside = |key: &str| -> Annotations {
        let object = of(key).and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
        let pairs = object.as_ref().and_then(serde_json::Value::as_object).into_iter().flatten();
        pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    let (metadata, labels) = (inside("Metadata"), inside("Labels"));
    let label = |key: &str| labels.get(&format!("io.kubernetes.{key}")).cloned();
    let container =
        || of("ContainerName").or_else(|| metadata.get("name")).cloned().or_else(|| label("container.name"));
    Some(Role {
        is_sandbox,
        container: (!is_sandbox).then(container).flatten(),
        sandbox_id: of("SandboxID").cloned(),
        pod: of("KubeName").cloned().or_else(|| label("pod.name")),
        namespace: of("Namespace").cloned().or_else(|| label("pod.namespace")),
        image: of("ImageName").or_else(|| of("Image")).cloned(),
    })
}
