//! An engine that speaks Docker's API and keeps its state on disk: the API is asked first and, where that
//! does not answer as it should, the disk is read.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::os::fd::OwnedFd;

use nix::unistd::Pid;

use super::api::{Api, SentInspect};
use super::{
    Container, ContainerNetwork, ContainerQuery, ContainerSource, Engine, EngineAnswer, EngineError,
    EngineName,
};
use crate::target::Name;

/// What an engine keeps on disk.
pub(super) trait DiskState {
    /// All containers of that name or ID, and all whose ID begins with it; `None` when there is no state of
    /// this engine at all.
    fn find(&self, name: &Name) -> Result<Option<EngineAnswer>, EngineError>;

    /// The container that holds the namespaces of the pod called so; `None` when there are no pods of this engine at all.
    fn pod(&self, pod: &Name) -> Result<Option<EngineAnswer>, EngineError> {
        let _ = pod;
        Ok(None)
    }

    /// All containers; `None` when there is no state of this engine at all.
    fn list(&self) -> Result<Option<EngineAnswer>, EngineError>;

    /// The container with this ID as the API would describe it; `None` when it is not there, or the disk
    /// does not tell all that the API does.
    fn as_inspected(&self, id: &str) -> Result<Option<Container>, EngineError>;

    /// The networks that the containers with these IDs are on; nothing of one of which the disk does not tell.
    fn networks(&self, ids: &[&str]) -> Result<HashMap<String, Vec<ContainerNetwork>>, EngineError>;

    /// The first process of the container with this ID and when it started, as its runtime wrote them down, if it keeps that
    /// where it usually does.
    fn first_process(&self, id: &str) -> Option<(Pid, u64)>;

    /// Whether containers of this engine may still run although its daemon does not.
    fn may_run_alone(&self) -> bool;

    /// Whether it can have run nothing since the host's start.
    fn is_unused(&self) -> bool;
}

/// Such an engine, not yet asked anything.
pub(super) struct ApiOrDisk<D> {
    engine: EngineName,
    /// Where its API is, or why we do not know.
    api: Result<Api, EngineError>,
    /// Its state, where we know which state belongs to that API: not to one that the user has chosen.
    disk: Option<D>,
    /// A request that was sent, or why it could not be.
    sent: RefCell<Option<Result<SentInspect, EngineError>>>,
    /// Looked at before anything is sent: a socket of systemd's starts the engine, which then makes its directories.
    is_unused: OnceCell<bool>,
}

impl<D: DiskState> Engine for ApiOrDisk<D> {
    fn name(&self) -> EngineName {
        self.engine
    }

    fn send(&self, asked: &ContainerQuery<'_>) -> bool {
        let (ContainerQuery::Name { within: None, name }, Ok(api)) = (asked, &self.api) else { return false };
        self.is_unused();
        let sent = api.send_inspect(name.as_str());
        let is_sent = sent.is_ok();
        self.sent.replace(Some(sent));
        is_sent
    }

    fn find(&self, asked: &ContainerQuery<'_>) -> Result<EngineAnswer, EngineError> {
        match asked {
            ContainerQuery::Name { within: None, name } => {
                self.or_disk(|api| self.find_by_api(api, name), |disk| disk.find(name))
            }
            // No namespaces of Kubernetes, and containers are found by their own names. What a pod is called is on disk.
            ContainerQuery::Pod { namespace: None, pod, container: None } => self.pod(pod),
            _ => Ok(EngineAnswer::default()),
        }
    }

    fn list(&self) -> Result<EngineAnswer, EngineError> {
        self.or_disk(|api| self.list_from_api(api), DiskState::list)
    }

    /// From the API's list alone: what it does not tell, each container would have to be asked for.
    fn running_names(&self) -> Result<Vec<Container>, EngineError> {
        let listed = self.or_disk(|api| Ok(api.running()?.into()), DiskState::list)?;
        let runs =
            |container: &Container| container.pid.is_some() || container.source == ContainerSource::Api;
        Ok(listed.containers.into_iter().filter(runs).collect())
    }

    fn events(&self) -> Option<OwnedFd> {
        self.api.as_ref().ok()?.events()
    }

    /// The disk has them as the API does, and costs less. One request tells what it lacks, for all of them.
    fn networks(&self, ids: &[&str]) -> Result<HashMap<String, Vec<ContainerNetwork>>, EngineError> {
        let of_disk = self.disk.as_ref().map(|disk| disk.networks(ids)).unwrap_or(Ok(HashMap::new()));
        let mut networks = of_disk.clone().unwrap_or_default();
        if ids.iter().all(|id| networks.contains_key(*id)) {
            return Ok(networks);
        }
        match (self.api.as_ref().map_err(Clone::clone).and_then(Api::networks), of_disk) {
            (Ok(told), _) => {
                networks.extend(told.into_iter().filter(|(id, _)| ids.contains(&id.as_str())));
                Ok(networks)
            }
            // Podman serves its API only where somebody asked for that.
            (Err(error), Ok(_)) if error.is_absence() => Ok(networks),
            (Err(_), Err(error)) | (Err(error), Ok(_)) => Err(error),
        }
    }

    fn gives_default_route(&self, network: &str) -> Option<bool> {
        self.api.as_ref().ok()?.is_internal(network).ok().map(|is_internal| !is_internal)
    }
}

impl<D: DiskState> ApiOrDisk<D> {
    pub(super) fn new(engine: EngineName, api: Result<Api, EngineError>, disk: Option<D>) -> Self {
        ApiOrDisk { engine, api, disk, sent: RefCell::default(), is_unused: OnceCell::new() }
    }

    fn is_unused(&self) -> bool {
        *self.is_unused.get_or_init(|| self.disk.as_ref().is_some_and(DiskState::is_unused))
    }

    fn pod(&self, pod: &Name) -> Result<EngineAnswer, EngineError> {
        let found = self.disk.as_ref().map(|disk| disk.pod(pod)).transpose()?.flatten();
        found.ok_or_else(|| match &self.api {
            Ok(api) => EngineError::Absent { engine: self.engine, socket: api.socket().to_owned() },
            Err(error) => error.clone(),
        })
    }

    fn or_disk(
        &self,
        api: impl FnOnce(&Api) -> Result<EngineAnswer, EngineError>,
        disk: impl FnOnce(&D) -> Result<Option<EngineAnswer>, EngineError>,
    ) -> Result<EngineAnswer, EngineError> {
        let is_unused = self.is_unused();
        let error = match self.api.as_ref().map_err(Clone::clone).and_then(api) {
            Ok(answer) => return Ok(EngineAnswer { source: ContainerSource::Api, ..answer }),
            Err(error) => self.without_a_shadow(error, is_unused),
        };
        // The same numbers are on disk.
        if let EngineError::OtherPidNamespace { .. } | EngineError::NoProc { .. } = error {
            return Err(error);
        }
        match (self.disk.as_ref().map(disk), error) {
            (Some(Ok(Some(mut answer))), error) => {
                for doubt in &mut answer.doubts {
                    if let EngineError::Unlocated { why, .. } = doubt {
                        *why = Some(Box::new(error.clone()));
                    }
                }
                Ok(EngineAnswer { api_error: Some(error), ..answer })
            }
            // It is here, and we have no permission: that does not mean that there is no such container.
            (Some(Err(unreadable)), error) if error.is_absence() => Err(unreadable),
            // The user has chosen this engine: that others have no such container is no answer.
            (None, EngineError::Absent { engine, socket }) => Err(EngineError::Missing { engine, socket }),
            (None, EngineError::RootsAlone { engine, socket }) => {
                Err(EngineError::NotPermitted { engine, socket, group: None })
            }
            (_, error) => Err(error),
        }
    }

    /// A socket that an engine has left behind, or that systemd keeps for one that nobody uses, is on many hosts: nothing
    /// can be hidden behind it.
    fn without_a_shadow(&self, error: EngineError, is_unused: bool) -> EngineError {
        match (error, &self.disk) {
            (EngineError::Dead { engine, socket }, Some(disk)) if !disk.may_run_alone() => {
                EngineError::Stale { engine, socket }
            }
            (EngineError::Slow { engine, socket, timeout }, Some(_)) if is_unused => {
                EngineError::Unused { engine, socket, timeout }
            }
            (error, _) => error,
        }
    }

    fn find_by_api(&self, api: &Api, name: &Name) -> Result<EngineAnswer, EngineError> {
        let inspected = match self.sent.take() {
            Some(sent) => sent.and_then(|sent| api.inspected(name.as_str(), sent)),
            None => api.inspect(name.as_str()),
        };
        match known(inspected) {
            // An ID prefix that several have: 500 in Docker 20.10, 400 in later ones, in changing words.
            Err(refused @ EngineError::Refused { .. }) => {
                match api.list(name.as_str()).unwrap_or_default().as_slice() {
                    [] | [_] => Err(refused),
                    several => {
                        let inspected = several.iter().map(|listed| known(api.inspect(&listed.id)));
                        Ok(inspected
                            .collect::<Result<Vec<_>, _>>()?
                            .into_iter()
                            .flatten()
                            .collect::<Vec<_>>()
                            .into())
                    }
                }
            }
            result => Ok(result?.map(|container| self.with_start_time(container)).into()),
        }
    }

    /// With what its runtime knows of the process that the API tells: when it started, which no later process of that PID has.
    /// Two small files cost less than all other proofs, however many containers there are.
    fn with_start_time(&self, mut container: Container) -> Container {
        let first = self.disk.as_ref().filter(|_| container.pid.is_some());
        let first = first.and_then(|disk| disk.first_process(&container.id));
        let same = first.filter(|(pid, _)| Some(*pid) == container.pid);
        container.proof.start_time_ticks = same.map(|(_, ticks)| ticks);
        container
    }

    /// The list tells which containers there are, and what they do; the rest is on disk, at a tenth of the
    /// cost of inspecting each. Where both disagree, one is older: then the engine is asked. What it says of one container and
    /// nobody understands is a doubt about that one, if the disk does not know it either.
    fn list_from_api(&self, api: &Api) -> Result<EngineAnswer, EngineError> {
        let mut answer = EngineAnswer::default();
        for listed in api.list("")? {
            let from_disk = self.disk.as_ref().and_then(|disk| disk.as_inspected(&listed.id).ok().flatten());
            let agrees = |container: &Container| Some(container.state) == listed.state;
            let found = match from_disk {
                Some(container) if agrees(&container) => {
                    Some(Container { source: ContainerSource::Api, ..container })
                }
                // One that is removed meanwhile was not there.
                from_disk => match (known(api.inspect(&listed.id)), from_disk) {
                    (Err(EngineError::Nonsense { .. }), Some(container)) => Some(container),
                    (Err(doubt @ EngineError::Nonsense { .. }), None) => {
                        answer.doubts.push(doubt);
                        None
                    }
                    (inspected, _) => inspected?,
                },
            };
            answer.containers.extend(found);
        }
        Ok(answer)
    }
}

fn known(result: Result<Container, EngineError>) -> Result<Option<Container>, EngineError> {
    match result {
        Ok(container) => Ok(Some(container)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
