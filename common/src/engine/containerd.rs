//! containerd, and the pods it runs for Kubernetes: from its tasks' directories. A task is a container that
//! was started and not yet cleared away; containers without one have no process, and are in containerd's
//! database only.
//!
//! Docker's containers are in the namespace `moby`, and Docker answers for them: they are left out unless
//! that namespace is named.

mod ended;

use nix::unistd::Pid;

use super::cri::{self, Annotations, Bundle, Bundles, Role};
use super::engine_dirs::EngineDirs;
use super::nerdctl::names::NerdctlNames;
use super::runtime::{self, RuntimeState};
use super::state::{self, StatePath};
use super::{Container, ContainerQuery, Engine, EngineAnswer, EngineError, EngineName, Proof};
use crate::target::Name;

const ENGINE: EngineName = EngineName::Containerd;

/// Docker's namespace in containerd.
const MOBY: &str = "moby";
/// That of its CRI plugin.
const KUBERNETES: &str = "k8s.io";

/// Where containerds keep their state below `/run`: the host's own, that of k3s, and the one that Docker
/// starts for itself where there is no other.
const ROOTS: [&str; 3] = ["containerd", "k3s/containerd", "docker/containerd/daemon"];

/// What drives the shims, and names the directory that their bundles are in. The layout of both is the same;
/// 1.4 deprecated the second, 2.0 removed it.
const DRIVERS: [&str; 2] = ["io.containerd.runtime.v2.task", "io.containerd.runtime.v1.linux"];

/// Where shims have their runtime keep its state below `/run`, whatever runtime that is (containerd,
/// `cmd/containerd-shim-runc-v2/process/utils.go`); and where Docker has them do it.
const RUNTIME_ROOTS: [&str; 2] = ["containerd/runc", "docker/runtime-runc"];

/// The containerd of one user.
pub(super) struct Containerd {
    dirs: EngineDirs,
}

impl Containerd {
    pub(super) fn new(dirs: &EngineDirs) -> Self {
        Containerd { dirs: dirs.clone() }
    }

    /// Its tasks: those in the namespace `within`, or all but Docker's.
    fn bundles(&self, within: Option<&str>) -> Result<Bundles, EngineError> {
        let mut all = Vec::new();
        for directory in self.directories()? {
            for namespace in state::words(&directory)? {
                let wanted = within.map_or(namespace.as_str() != MOBY, |within| namespace.as_str() == within);
                if !wanted {
                    continue;
                }
                let directory = directory.join(namespace.as_str());
                all.extend(state::words(&directory)?.into_iter().map(|id| Bundle {
                    within: namespace.to_string(),
                    directory: directory.join(id.as_str()),
                    id: id.to_string(),
                }));
            }
        }
        Ok(Bundles::new(all, role))
    }

    /// The directories of namespaces that there are.
    fn directories(&self) -> Result<Vec<StatePath>, EngineError> {
        let drivers = |root| DRIVERS.map(|driver| self.dirs.run.join(root).join(driver));
        let mut there = Vec::new();
        for directory in ROOTS.into_iter().flat_map(drivers) {
            if state::is_there(&directory)? {
                there.push(directory);
            }
        }
        let socket = self.dirs.run.join("containerd/containerd.sock");
        match there.is_empty() && !socket.exists() {
            true => Err(EngineError::Absent { engine: ENGINE, socket: socket.as_path().to_owned() }),
            false => Ok(there),
        }
    }

    /// The container of one task; `None` when it was cleared away since.
    pub(super) fn of_id(&self, within: &str, id: &str) -> Result<Option<Container>, EngineError> {
        for directory in self.directories()? {
            let directory = directory.join(within).join(id);
            if directory.exists() {
                let bundle = Bundle { within: within.to_owned(), id: id.to_owned(), directory };
                let alone = Bundles::new(vec![bundle.clone()], role);
                return self.container(&alone, &bundle, alone.role(&bundle).ok().flatten().as_ref());
            }
        }
        Ok(None)
    }

    fn container(
        &self,
        bundles: &Bundles,
        bundle: &Bundle,
        role: Option<&Role>,
    ) -> Result<Option<Container>, EngineError> {
        let written = state::number(&bundle.directory.join("init.pid"))?.filter(|pid| *pid > 0);
        if written.is_none() && !bundle.directory.exists() {
            return Ok(None);
        }
        let pid = written.map(Pid::from_raw);
        let record = self.record(bundle)?;
        // What the runtime knows is newer: a restored container, for one, has another process.
        let (pid, now) = match &record {
            Some(record) => (record.pid, record.state),
            None => runtime::what_became_of(pid, None),
        };
        let made_at = match &record {
            Some(record) => record.created,
            None => state::written_at(&bundle.directory.join("init.pid")),
        };
        let pod = role.and_then(|role| bundles.pod(bundle, role));
        let of_pod = pod.as_ref().filter(|pod| pod.is_sandbox).map(|pod| pod.name.clone());
        let name = role.and_then(|role| role.container.clone()).or(of_pod);
        Ok(Some(Container {
            name: name.unwrap_or_else(|| bundle.id.clone()),
            pid,
            state: now,
            started_at: made_at,
            image: role.and_then(|role| role.image.clone()),
            pod,
            proof: Proof {
                start_time_ticks: record.and_then(|record| record.start_time_ticks),
                made_at,
                ..Proof::word_of(self.dirs.owner)
            },
            ..Container::unknown(ENGINE, &bundle.id, self.dirs.owner)
        }))
    }

    fn record(&self, bundle: &Bundle) -> Result<Option<RuntimeState>, EngineError> {
        for root in RUNTIME_ROOTS {
            let directory = self.dirs.run.join(root).join(&bundle.within).join(&bundle.id);
            if let Some(record) = runtime::read(&directory)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    fn in_pod(
        &self,
        namespace: Option<&Name>,
        pod: &Name,
        container: Option<&Name>,
    ) -> Result<EngineAnswer, EngineError> {
        let bundles = self.bundles(None)?;
        let meant = bundles.in_pod(namespace, pod, container);
        let found = cri::latest(meant.containers(|bundle, role| self.container(&bundles, bundle, role)));
        Ok(self.or_ended(found, &ContainerQuery::Pod { namespace, pod, container }, &bundles))
    }

    /// Where no container has a task that was asked for: one that has ended may be meant.
    fn or_ended(&self, found: EngineAnswer, asked: &ContainerQuery<'_>, bundles: &Bundles) -> EngineAnswer {
        if !found.containers.is_empty() {
            return found;
        }
        let has_task = |id: &str| bundles.all.iter().any(|bundle| bundle.id == id);
        let mut ended = cri::latest(ended::find(&self.dirs, asked, has_task));
        ended.doubts.extend(found.doubts);
        ended
    }
}

impl Engine for Containerd {
    fn name(&self) -> EngineName {
        ENGINE
    }

    fn find(&self, asked: &ContainerQuery<'_>) -> Result<EngineAnswer, EngineError> {
        let (within, name) = match asked {
            ContainerQuery::Name { within, name } => (within.map(Name::as_str), name),
            ContainerQuery::Pod { namespace, pod, container } => {
                return self.in_pod(*namespace, pod, *container);
            }
        };
        let bundles = self.bundles(within)?;
        let names = NerdctlNames::of(&self.dirs);
        let meant = bundles.named(name);
        let found = meant.containers(|bundle, role| {
            let container = self.container(&bundles, bundle, role)?;
            Ok(container.map(|container| names.adorn(&bundle.within, container)))
        });
        let found = cri::latest(found);
        // No other has this whole ID.
        let found = if state::is_id(name.as_str()) { found.certain_if_exact(name.as_str()) } else { found };
        Ok(if within.is_none_or(|within| within == KUBERNETES) {
            self.or_ended(found, asked, &bundles)
        } else {
            found
        })
    }

    fn list(&self) -> Result<EngineAnswer, EngineError> {
        let bundles = self.bundles(None)?;
        // A container whose name cannot be read is there under its ID.
        let names = NerdctlNames::of(&self.dirs).all().unwrap_or_default();
        let named = |container: Container, bundle: &Bundle| match names
            .get(&(bundle.within.clone(), bundle.id.clone()))
        {
            Some(name) => Container { engine: EngineName::Nerdctl, name: name.clone(), ..container },
            None => container,
        };
        let mut answer = EngineAnswer::default();
        for bundle in &bundles.all {
            // Its annotations only adorn it.
            let role = bundles.role(bundle).ok().flatten();
            let made = self.container(&bundles, bundle, role.as_ref());
            answer.add(made.map(|made| made.map(|container| named(container, bundle))));
        }
        Ok(answer)
    }
}

/// containerd's annotations (`internal/cri/annotations/annotations.go`; `pkg/cri/annotations` before 2.0).
/// Since 1.5 a container's own tell its pod; those of 1.4 tell its name and whose sandbox it shares.
fn role(annotations: &Annotations) -> Option<Role> {
    let of = |key: &str| annotations.get(&format!("io.kubernetes.cri.{key}")).cloned();
    let is_sandbox = of("container-type")? == "sandbox";
    Some(Role {
        is_sandbox,
        container: of("container-name").filter(|_| !is_sandbox),
        sandbox_id: of("sandbox-id"),
        pod: of("sandbox-name"),
        namespace: of("sandbox-namespace"),
        image: of("image-name").or_else(|| of("podsandbox.image-name")),
    })
}
