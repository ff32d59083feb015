//! nerdctl's names for containerd's containers (nerdctl, `docs/dir.md`): below `/var/lib/nerdctl/ADDRHASH`,
//! the file `names/NAMESPACE/NAME` holds the ID, and the directory `containers/NAMESPACE/ID` is there for
//! each container, with a process or without.

pub(super) mod names;

use std::collections::HashMap;

use serde::Deserialize;

use super::cni;
use super::containerd::Containerd;
use super::engine_dirs::EngineDirs;
use super::state::{self, StatePath};
use super::{
    Container, ContainerNetwork, ContainerQuery, ContainerState, Engine, EngineAnswer, EngineError,
    EngineName, api,
};
use names::{NerdctlNames, id_of, names_in};

const ENGINE: EngineName = EngineName::Nerdctl;

/// nerdctl's containers of one user.
pub(super) struct Nerdctl {
    dirs: EngineDirs,
    names: NerdctlNames,
}

impl Nerdctl {
    pub(super) fn new(dirs: &EngineDirs) -> Self {
        Nerdctl { dirs: dirs.clone(), names: NerdctlNames::of(dirs) }
    }

    fn stores(&self) -> Result<Vec<StatePath>, EngineError> {
        match self.names.stores()? {
            none if none.is_empty() => {
                Err(EngineError::Absent { engine: ENGINE, socket: self.names.data.as_path().to_owned() })
            }
            stores => Ok(stores),
        }
    }

    fn container(
        &self,
        store: &StatePath,
        within: &str,
        id: &str,
        name: String,
    ) -> Result<Container, EngineError> {
        let task = match Containerd::new(&self.dirs).of_id(within, id) {
            Err(EngineError::Absent { .. }) => None,
            task => task?,
        };
        let container = task.unwrap_or_else(|| self.without_task(store, within, id));
        Ok(Container { engine: ENGINE, name, ..container })
    }

    /// One that has no process: whether it ever had one, nerdctl's hooks wrote down.
    fn without_task(&self, store: &StatePath, within: &str, id: &str) -> Container {
        let file = store.join("containers").join(within).join(id).join("lifecycle.json");
        let lifecycle = state::json::<Lifecycle>(&file).ok().flatten().unwrap_or_default();
        let started_at = lifecycle.started_at.as_deref().and_then(api::time);
        let state = if started_at.is_some() { ContainerState::Exited } else { ContainerState::Created };
        Container { state, started_at, ..Container::unknown(ENGINE, id, self.dirs.owner) }
    }
}

/// nerdctl, `pkg/ocihook/state/state.go`.
#[derive(Default, Deserialize)]
struct Lifecycle {
    started_at: Option<String>,
}

impl Engine for Nerdctl {
    fn name(&self) -> EngineName {
        ENGINE
    }

    fn networks(&self, ids: &[&str]) -> Result<HashMap<String, Vec<ContainerNetwork>>, EngineError> {
        cni::networks(&self.dirs.data, ids)
    }

    fn find(&self, asked: &ContainerQuery<'_>) -> Result<EngineAnswer, EngineError> {
        let stores = self.stores()?;
        let ContainerQuery::Name { within, name } = asked else { return Ok(EngineAnswer::default()) };
        let mut answer = EngineAnswer::default();
        for store in stores {
            let namespaces = state::usable_names(&store.join("names"))?;
            for namespace in namespaces.iter().filter(|one| within.is_none_or(|within| within == *one)) {
                let namespace = namespace.as_str();
                if let Some(id) = id_of(&store.join("names").join(namespace), name)? {
                    answer.add(self.container(&store, namespace, &id, name.to_string()).map(Some));
                }
                let ids = state::usable_names(&store.join("containers").join(namespace))?;
                for id in ids.iter().filter(|id| id.as_str().starts_with(name.as_str())) {
                    let container = self.container(&store, namespace, id.as_str(), id.to_string());
                    answer.add(container.map(|container| Some(self.names.adorn(namespace, container))));
                }
            }
        }
        Ok(answer)
    }

    fn list(&self) -> Result<EngineAnswer, EngineError> {
        let mut answer = EngineAnswer::default();
        for store in self.stores()? {
            for within in state::usable_names(&store.join("names"))? {
                for (name, id) in names_in(&store, within.as_str())? {
                    answer.add(self.container(&store, within.as_str(), &id, name).map(Some));
                }
            }
        }
        Ok(answer)
    }
}
