//! Containers that have no task: those that were made and never started, and those whose task was deleted. Only
//! containerd's database has them, and it does not say whether one has ever run: so "created" is all that is known of it.
//!
//! `ROOT/io.containerd.metadata.v1.bolt/meta.db` (containerd, `core/metadata/buckets.go`; `metadata` before 2.0): the
//! buckets `v1`, the namespace, `containers` and the ID, and in that one a bucket `labels`. Those of Kubernetes' containers
//! are CRI's (`internal/cri/labels/labels.go`); a sandbox of it without a task has ended.

use std::collections::HashMap;

use nix::unistd::geteuid;

use super::super::bolt::{self, BoltError, BoltSnapshot, BoltValue, Bucket};
use super::super::engine_dirs::{EngineDirs, rooted};
use super::super::session::SocketMemory;
use super::super::state::{self, StatePath};
use super::super::{Container, ContainerQuery, ContainerState, EngineAnswer, EngineError, EngineName, Pod};
use super::places::{KUBERNETES, config_behind, is_dockers};

const DATABASE: &str = "io.containerd.metadata.v1.bolt/meta.db";

/// Below `/var/lib`: the host's own containerd, that of k3s and RKE2, of k0s, and the one that Docker starts for itself.
const USUAL: [&str; 4] =
    ["containerd", "rancher/k3s/agent/containerd", "k0s/containerd", "docker/containerd/daemon"];
const MICROK8S: &str = "/var/snap/microk8s/common/var/lib/containerd";

/// Of a container of Kubernetes: whether it is a `sandbox` or a `container`, and which pod it is of. In their order.
const LABELS: [&str; 3] = ["io.cri-containerd.kind", "io.kubernetes.pod.name", "io.kubernetes.pod.namespace"];

/// What the database has of a container.
struct DatabaseContainer {
    id: String,
    /// `sandbox` or `container`, if it is one of Kubernetes.
    kind: Option<String>,
    pod: Option<String>,
    namespace: Option<String>,
    /// As Go's `time.MarshalBinary` writes it: a version, then seconds and nanoseconds, which are in order as bytes.
    created: Vec<u8>,
}

/// What a pod is called, and in which namespace, if that is known.
type PodKey = (String, Option<String>);

/// The containers without a task that `asked` means, or all; `has_task` tells which have one.
pub(super) fn find(
    dirs: &EngineDirs,
    asked: Option<&ContainerQuery<'_>>,
    has_task: impl Fn(&str) -> bool,
) -> EngineAnswer {
    let mut answer = EngineAnswer::default();
    for database in databases(dirs, &mut answer.doubts) {
        match bolt::read(&database, |snapshot| stored(snapshot, asked)) {
            Ok(found) => {
                let idle = found.into_iter().flatten().filter(|stored| !has_task(&stored.id));
                answer
                    .containers
                    .extend(newest(idle.collect()).into_iter().map(|stored| stored.container(dirs)));
            }
            Err(doubt) => answer.doubts.push(doubt),
        }
    }
    answer
}

/// The databases that there are. Where what is configured cannot be told, one at a usual place is it.
fn databases(dirs: &EngineDirs, doubts: &mut Vec<EngineError>) -> Vec<StatePath> {
    let mut roots: Vec<StatePath> = USUAL.map(|root| dirs.data.join(root)).into();
    if dirs.is_system() {
        roots.push(dirs.data.at(rooted(MICROK8S)));
    }
    let database = |root: StatePath| root.join(DATABASE);
    let mut databases: Vec<StatePath> = roots.into_iter().map(database).collect();
    let socket = dirs.run.join("containerd/containerd.sock");
    match config_behind(&socket, dirs, &SocketMemory::default()) {
        Ok(config) => databases.extend(config.root.map(database).filter(|other| !databases.contains(other))),
        // An ordinary user, to whom the system's is closed, has no containers in it.
        Err(doubt) => {
            let is_known = databases.iter().any(StatePath::exists) || !geteuid().is_root();
            doubts.extend(Some(doubt).filter(|_| !is_known));
        }
    }
    databases
}

fn stored(
    snapshot: &BoltSnapshot<'_>,
    asked: Option<&ContainerQuery<'_>>,
) -> Result<Vec<DatabaseContainer>, BoltError> {
    let Some(all) = snapshot.bucket(&snapshot.root(), b"v1")? else { return Ok(vec![]) };
    let (within, prefix) = match asked {
        Some(ContainerQuery::Name { within, name }) => (within.map(|within| within.as_str()), name.as_str()),
        Some(ContainerQuery::Pod { .. }) => (Some(KUBERNETES), ""),
        None => (None, ""),
    };
    let mut found = Vec::new();
    // Beside the namespaces there is the key `version`, which is no bucket.
    for (namespace, inside) in snapshot.entries(&all, within.unwrap_or_default().as_bytes())? {
        let namespace = String::from_utf8_lossy(&namespace).into_owned();
        if !within.map_or(!is_dockers(&namespace), |within| within == namespace) {
            continue;
        }
        let BoltValue::Bucket(inside) = inside else { continue };
        let Some(containers) = snapshot.bucket(&inside, b"containers")? else { continue };
        for (id, container) in snapshot.entries(&containers, prefix.as_bytes())? {
            let BoltValue::Bucket(container) = container else { continue };
            let one = DatabaseContainer::of(snapshot, &id, &container)?;
            if asked.is_none_or(|asked| one.is_meant(asked)) {
                found.push(one);
            }
            if found.len() > state::MOST_ENTRIES {
                return Err(BoltError::TooLarge);
            }
        }
    }
    Ok(found)
}

/// Of each pod the last sandbox: Kubernetes makes a pod's sandbox again, and the old one stays for a while.
fn newest(mut stored: Vec<DatabaseContainer>) -> Vec<DatabaseContainer> {
    let mut last: HashMap<PodKey, Vec<u8>> = HashMap::new();
    for (pod, one) in stored.iter().filter_map(|one| Some((one.pod_key()?, one))) {
        let created = last.entry(pod).or_default();
        *created = std::mem::take(created).max(one.created.clone());
    }
    stored.retain(|one| one.pod_key().is_none_or(|pod| last.get(&pod) == Some(&one.created)));
    stored
}

impl DatabaseContainer {
    fn of(snapshot: &BoltSnapshot<'_>, id: &[u8], container: &Bucket) -> Result<Self, BoltError> {
        let bytes = |value: Option<BoltValue>| match value {
            Some(BoltValue::Bytes(bytes)) => Some(bytes),
            _ => None,
        };
        let [created, labels] = snapshot.get_all(container, [b"createdat", b"labels"])?;
        let labels = match labels {
            Some(BoltValue::Bucket(labels)) => snapshot.get_all(&labels, LABELS.map(str::as_bytes))?,
            _ => [const { None }; LABELS.len()],
        };
        let text = |value| bytes(value).map(|value| String::from_utf8_lossy(&value).into_owned());
        let [kind, pod, namespace] = labels.map(text);
        let id = String::from_utf8_lossy(id).into_owned();
        Ok(DatabaseContainer { id, kind, pod, namespace, created: bytes(created).unwrap_or_default() })
    }

    fn pod_key(&self) -> Option<PodKey> {
        Some((self.pod.clone()?, self.namespace.clone()))
    }

    fn is_sandbox(&self) -> bool {
        self.kind.as_deref() == Some("sandbox")
    }

    fn is_meant(&self, asked: &ContainerQuery<'_>) -> bool {
        match asked {
            // What CRI's plugin has written down of its containers says more (`ended`).
            ContainerQuery::Name { name, .. } => {
                self.id.starts_with(name.as_str()) && self.kind.as_deref() != Some("container")
            }
            ContainerQuery::Pod { namespace, pod, container: None } => {
                self.is_sandbox()
                    && self.pod.as_deref() == Some(pod.as_str())
                    && namespace.is_none_or(|namespace| self.namespace.as_deref() == Some(namespace.as_str()))
            }
            ContainerQuery::Pod { container: Some(_), .. } => false,
        }
    }

    fn container(self, dirs: &EngineDirs) -> Container {
        let is_sandbox = self.is_sandbox();
        let pod = self.pod.filter(|_| is_sandbox);
        Container {
            name: pod.as_ref().unwrap_or(&self.id).clone(),
            state: if is_sandbox { ContainerState::Exited } else { ContainerState::Created },
            pod: pod.map(|name| Pod { namespace: self.namespace.unwrap_or_default(), name, is_sandbox }),
            ..Container::unknown(EngineName::Containerd, &self.id, dirs.owner)
        }
    }
}
