//! The names that nerdctl gives containerd's containers: the file `names/NAMESPACE/NAME` holds the ID.

use std::collections::HashMap;

use super::super::engine_dirs::EngineDirs;
use super::super::state::{self, StatePath};
use super::super::{Container, EngineError, EngineName};
use crate::target::Name;

/// nerdctl's names for one user.
pub(in super::super) struct NerdctlNames {
    pub(super) data: StatePath,
}

impl NerdctlNames {
    pub(in super::super) fn of(dirs: &EngineDirs) -> Self {
        NerdctlNames { data: dirs.data.join("nerdctl") }
    }

    /// The name of every container, by its namespace and ID.
    ///
    /// # Errors
    /// Of a directory that cannot be read; a file that holds no ID names nothing.
    pub(in super::super) fn all(&self) -> Result<HashMap<(String, String), String>, EngineError> {
        let mut names = HashMap::new();
        for store in self.stores()? {
            for within in state::usable_names(&store.join("names"))? {
                for (name, id) in names_in(&store, within.as_str())? {
                    names.insert((within.to_string(), id), name);
                }
            }
        }
        Ok(names)
    }

    /// The container as nerdctl's own, under the name it has there, if it has one that can be read.
    pub(in super::super) fn adorn(&self, within: &str, container: Container) -> Container {
        let names = self.stores().into_iter().flatten().flat_map(|store| names_in(&store, within));
        match names.flatten().find(|(_, id)| *id == container.id) {
            Some((name, _)) => Container { engine: EngineName::Nerdctl, name, ..container },
            None => container,
        }
    }

    /// One for each containerd, named after its address.
    pub(super) fn stores(&self) -> Result<Vec<StatePath>, EngineError> {
        Ok(state::usable_names(&self.data)?.iter().map(|hash| self.data.join(hash.as_str())).collect())
    }
}

pub(super) fn names_in(store: &StatePath, within: &str) -> Result<Vec<(String, String)>, EngineError> {
    let directory = store.join("names").join(within);
    let named = |name: Name| Some((name.to_string(), id_of(&directory, &name).ok()??));
    Ok(state::usable_names(&directory)?.into_iter().filter_map(named).collect())
}

/// The container that has the name.
pub(super) fn id_of(directory: &StatePath, name: &Name) -> Result<Option<String>, EngineError> {
    let file = directory.join(name.as_str());
    let Some(bytes) = state::read(&file)? else { return Ok(None) };
    let id = String::from_utf8_lossy(&bytes);
    match id.trim() {
        // nerdctl itself has left such files behind (its issue 3351), and takes the name for free.
        "" => Ok(None),
        id => match id.parse::<Name>() {
            Ok(id) => Ok(Some(id.to_string())),
            Err(_) => Err(state::wrong(&file, "holds no container ID")),
        },
    }
}
