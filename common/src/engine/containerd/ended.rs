//! Containers of Kubernetes that have ended. containerd keeps no task of them; its CRI plugin keeps a `status` file of each
//! until Kubernetes removes the container (`internal/cri/store/container/status.go`; `pkg/cri/store` before 2.0). Names are
//! in containerd's database only, and in those of the links that the kubelet makes to logs, `POD_NAMESPACE_CONTAINER-ID.log`
//! (`pkg/kubelet/kuberuntime/legacy.go` of Kubernetes).

use jiff::Timestamp;
use nix::unistd::geteuid;
use serde::Deserialize;

use super::super::engine_dirs::{EngineDirs, rooted};
use super::super::state::{self, StatePath};
use super::super::{Container, ContainerQuery, ContainerState, EngineAnswer, EngineError, EngineName, Pod};

/// Where containerds keep what stays: the host's own and that of k3s.
const ROOTS: [&str; 2] = ["containerd", "rancher/k3s/agent/containerd"];

const LOGS: &str = "/var/log/containers";

/// What the plugin writes of a container; times are nanoseconds since 1970, 0 is never.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CriStatus {
    #[serde(default)]
    started_at: i64,
    #[serde(default)]
    finished_at: i64,
    #[serde(default)]
    exit_code: i64,
}

/// Whose log a link is.
#[derive(Debug, PartialEq, Eq)]
struct ContainerLog<'a> {
    pod: &'a str,
    namespace: &'a str,
    container: &'a str,
    id: &'a str,
}

/// The containers of Kubernetes that `asked` means, or all, and that have no task; `has_task` tells which have.
pub(super) fn find(
    dirs: &EngineDirs,
    asked: Option<&ContainerQuery<'_>>,
    has_task: impl Fn(&str) -> bool,
) -> EngineAnswer {
    let mut answer = EngineAnswer::default();
    let roots = ROOTS.map(|root| dirs.data.join(root).join("io.containerd.grpc.v1.cri/containers"));
    let logs = if dirs.is_system() { names(&dirs.data.at(rooted(LOGS)), &mut answer) } else { vec![] };
    let logs: Vec<_> = logs.iter().filter_map(|link| ContainerLog::of(link)).collect();
    for root in roots.iter().filter(|root| root.is_dir()) {
        for id in names(root, &mut answer).iter().filter(|id| state::is_id(id) && !has_task(id)) {
            let log = logs.iter().find(|log| log.id == *id);
            if asked.is_none_or(|asked| is_meant(asked, id, log)) {
                answer.add(ended(dirs, &root.join(id), id, log));
            }
        }
    }
    answer
}

/// The names in a directory. An ordinary user, to whom most are closed, has no containers of Kubernetes in them.
fn names(directory: &StatePath, answer: &mut EngineAnswer) -> Vec<String> {
    match state::names(directory) {
        Ok(names) => names.into_iter().filter_map(|name| name.into_string().ok()).collect(),
        Err(doubt) => {
            answer.doubts.extend(Some(doubt).filter(|_| geteuid().is_root()));
            vec![]
        }
    }
}

fn is_meant(asked: &ContainerQuery<'_>, id: &str, log: Option<&ContainerLog<'_>>) -> bool {
    match asked {
        ContainerQuery::Name { .. } => asked.means(log.map_or(id, |log| log.container), id),
        ContainerQuery::Pod { namespace, pod, container: Some(container) } => log.is_some_and(|log| {
            log.pod == pod.as_str()
                && log.container == container.as_str()
                && namespace.is_none_or(|namespace| namespace.as_str() == log.namespace)
        }),
        // A sandbox has a status of another form.
        ContainerQuery::Pod { container: None, .. } => false,
    }
}

fn ended(
    dirs: &EngineDirs,
    directory: &StatePath,
    id: &str,
    log: Option<&ContainerLog<'_>>,
) -> Result<Option<Container>, EngineError> {
    let file = directory.join("status");
    let Some(status) = state::json::<CriStatus>(&file)? else { return Ok(None) };
    let time =
        |nanoseconds: i64| Timestamp::from_nanosecond(nanoseconds.into()).ok().filter(|_| nanoseconds > 0);
    let (state, exit_code) = match (status.started_at, status.finished_at) {
        (0, 0) => (ContainerState::Created, None),
        // Its task may be where we do not look.
        (_, 0) => {
            return Err(state::wrong(&file, "says that the container runs, and no task of it was found"));
        }
        _ => (ContainerState::Exited, Some(status.exit_code)),
    };
    let pod = |log: &ContainerLog<'_>| Pod {
        namespace: log.namespace.to_owned(),
        name: log.pod.to_owned(),
        is_sandbox: false,
    };
    Ok(Some(Container {
        name: log.map_or(id, |log| log.container).to_owned(),
        state,
        exit_code,
        started_at: time(status.started_at),
        finished_at: time(status.finished_at),
        pod: log.map(pod),
        ..Container::unknown(EngineName::Containerd, id, dirs.owner)
    }))
}

impl<'a> ContainerLog<'a> {
    /// From the name of a link. No name of Kubernetes has a `_`.
    fn of(link: &'a str) -> Option<Self> {
        let (name, id) = link.strip_suffix(".log")?.rsplit_once('-')?;
        let mut parts = name.split('_');
        let (pod, namespace, container) = (parts.next()?, parts.next()?, parts.next()?);
        (parts.next().is_none() && state::is_id(id)).then_some(ContainerLog { pod, namespace, container, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_a_log_tells_the_names_of_a_container() {
        let id = "3f2a".repeat(16);
        let link = format!("web-1_prod_my-app-{id}.log");
        let log = ContainerLog { pod: "web-1", namespace: "prod", container: "my-app", id: &id };
        assert_eq!(ContainerLog::of(&link), Some(log));
        for other in ["web_prod_app.log", "web_prod_app-3f2a.log", &link[..20], &format!("app-{id}.log"), ""]
        {
            assert_eq!(ContainerLog::of(other), None, "{other}");
        }
    }
}
