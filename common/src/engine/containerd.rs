//! containerd, and the pods it runs for Kubernetes: from its tasks' directories. A task is a container that
//! was started and not yet cleared away; containers without one have no process, and are in containerd's
//! database only, which is read where nobody else has the container that is looked for.
//!
//! Docker's containers are in the namespace `moby`, and Docker answers for them: they are left out unless
//! that namespace is named.

mod ended;
mod idle;
mod places;

use std::collections::{HashMap, HashSet};

use nix::unistd::Pid;

use super::cni;
use super::cri::{self, Annotations, Bundle, Bundles, Role};
use super::daemon::Daemon;
use super::engine_dirs::EngineDirs;
use super::nerdctl::names::NerdctlNames;
use super::runtime::{self, RuntimeState};
use super::state::{self, StatePath};
use super::{
    Container, ContainerNetwork, ContainerQuery, Engine, EngineAnswer, EngineError, EngineName, Proof,
};
use crate::target::Name;
pub(super) use places::{DRIVERS, MOBY, is_dockers, is_user_and_group, state_behind, states};
use places::{KUBERNETES, runtime_roots, task_directories};

const ENGINE: EngineName = EngineName::Containerd;

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
        let wanted = |namespace: &Name| match within {
            Some(within) => namespace.as_str() == within,
            None => !is_dockers(namespace.as_str()),
        };
        for directory in self.directories()? {
            for namespace in state::usable_names(&directory)?.into_iter().filter(wanted) {
                let directory = directory.join(namespace.as_str());
                all.extend(state::usable_names(&directory)?.into_iter().map(|id| Bundle {
                    within: namespace.to_string(),
                    directory: directory.join(id.as_str()),
                    id: id.to_string(),
                }));
            }
        }
        self.add_those_of_runtimes(&mut all, wanted)?;
        Ok(Bundles::new(all, role))
    }

    /// A task whose state is where we did not look is known to its runtime all the same.
    fn add_those_of_runtimes(
        &self,
        all: &mut Vec<Bundle>,
        wanted: impl Fn(&Name) -> bool,
    ) -> Result<(), EngineError> {
        let mut more = Vec::new();
        let known: HashSet<(&str, &str)> =
            all.iter().map(|one| (one.within.as_str(), one.id.as_str())).collect();
        for root in runtime_roots(&self.dirs) {
            for namespace in state::usable_names(&root)?.into_iter().filter(&wanted) {
                let directory = root.join(namespace.as_str());
                for id in state::usable_names(&directory)? {
                    if !known.contains(&(namespace.as_str(), id.as_str())) {
                        let directory = runtime::bundle(&directory.join(id.as_str()));
                        more.push(Bundle { within: namespace.to_string(), id: id.to_string(), directory });
                    }
                }
            }
        }
        all.extend(more);
        Ok(())
    }

    /// The directories of namespaces that there are.
    fn directories(&self) -> Result<Vec<StatePath>, EngineError> {
        let there = task_directories(&self.dirs)?;
        let socket = self.dirs.run.join("containerd/containerd.sock");
        let has_runtime = || runtime_roots(&self.dirs)[0].is_dir();
        match there.is_empty() && !socket.exists() && !has_runtime() {
            true => Err(EngineError::Absent { engine: ENGINE, socket: socket.as_path().to_owned() }),
            false => Ok(there),
        }
    }

    /// The container of one task; `None` when it was cleared away since.
    pub(super) fn of_id(&self, within: &str, id: &str) -> Result<Option<Container>, EngineError> {
        let mut bundles = self.directories()?.into_iter().map(|tasks| tasks.join(within).join(id));
        let records = runtime_roots(&self.dirs).map(|root| root.join(within).join(id)).into_iter();
        let of_record = |record: StatePath| record.is_dir().then(|| runtime::bundle(&record));
        let bundle = bundles.find(StatePath::is_dir).or_else(|| records.filter_map(of_record).next());
        let Some(directory) = bundle else { return Ok(None) };
        let bundle = Bundle { within: within.to_owned(), id: id.to_owned(), directory };
        let alone = Bundles::new(vec![bundle.clone()], role);
        self.container(&alone, &bundle, alone.role(&bundle).ok().flatten().as_ref())
    }

    fn container(
        &self,
        bundles: &Bundles,
        bundle: &Bundle,
        role: Option<&Role>,
    ) -> Result<Option<Container>, EngineError> {
        let written = state::number(&bundle.directory.join("init.pid"))?.filter(|pid| *pid > 0);
        let record = self.record(bundle)?;
        if written.is_none() && record.is_none() && !bundle.directory.exists() {
            return Ok(None);
        }
        let pid = written.map(Pid::from_raw);
        // What the runtime knows is newer: a restored container, for one, has another process.
        let (pid, now) = match &record {
            Some(record) => (record.pid, record.state),
            None => runtime::what_became_of(pid, None),
        };
        // It has ended, or has another number here.
        if pid.is_none() && written.is_some() {
            self.has_our_pids()?;
        }
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

    /// # Errors
    /// Where what listens on the socket is in another PID namespace.
    fn has_our_pids(&self) -> Result<(), EngineError> {
        let socket = self.dirs.run.join("containerd/containerd.sock");
        match Daemon::of(ENGINE, &socket, "containerd", None, None) {
            Daemon::Unknown(error @ (EngineError::OtherPidNamespace { .. } | EngineError::NoProc { .. })) => {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    fn record(&self, bundle: &Bundle) -> Result<Option<RuntimeState>, EngineError> {
        for root in runtime_roots(&self.dirs) {
            let directory = root.join(&bundle.within).join(&bundle.id);
            if let Some(record) = runtime::read(ENGINE, &directory)? {
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
        let mut ended = cri::latest(ended::find(&self.dirs, Some(asked), has_task));
        ended.doubts.extend(found.doubts);
        ended
    }
}

impl Engine for Containerd {
    fn name(&self) -> EngineName {
        ENGINE
    }

    fn networks(&self, ids: &[&str]) -> Result<HashMap<String, Vec<ContainerNetwork>>, EngineError> {
        cni::networks(&self.dirs.data, ids)
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

    fn find_idle(&self, asked: Option<&ContainerQuery<'_>>) -> Result<EngineAnswer, EngineError> {
        let within = match asked {
            Some(ContainerQuery::Name { within, .. }) => within.map(Name::as_str),
            _ => None,
        };
        let tasks = match self.bundles(within) {
            Ok(bundles) => bundles.all,
            Err(absent) if absent.is_absence() => vec![],
            Err(error) => return Err(error),
        };
        let with_task: HashSet<&str> = tasks.iter().map(|bundle| bundle.id.as_str()).collect();
        Ok(idle::find(&self.dirs, asked, |id| with_task.contains(id)))
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
        let with_task: HashSet<&str> = bundles.all.iter().map(|bundle| bundle.id.as_str()).collect();
        let ended = ended::find(&self.dirs, None, |id| with_task.contains(id));
        answer.containers.extend(ended.containers);
        answer.doubts.extend(ended.doubts);
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
