//! Docker: through its API or, where that does not answer, its state on disk.

use std::env;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::api::Api;
use super::realm::Realm;
use super::{Asked, Container, Engine, EngineError, EngineName, state};

const ENGINE: EngineName = EngineName::Docker;

/// A Docker daemon, not yet asked anything.
pub(super) struct Docker {
    /// Where its API is, or why we do not know.
    api: Result<Api, EngineError>,
}

impl Docker {
    /// The daemon that the docker client would ask, which `$DOCKER_HOST` or its context names; where neither
    /// does, the system's and the user's own rootless one.
    pub(super) fn all(realms: &[Realm], timeout: Duration) -> Vec<Docker> {
        let api = |socket| Api::new(ENGINE, socket, timeout);
        match chosen() {
            Ok(None) => {
                let sockets = realms.iter().map(|realm| realm.run.join("docker.sock"));
                sockets.map(|socket| Docker { api: Ok(api(socket)) }).collect()
            }
            Ok(Some(address)) => vec![Docker { api: local(address).map(api) }],
            Err(error) => vec![Docker { api: Err(error) }],
        }
    }
}

impl Engine for Docker {
    fn name(&self) -> EngineName {
        ENGINE
    }

    fn find(&self, asked: &Asked<'_>) -> Result<Vec<Container>, EngineError> {
        let Asked::Name { within: None, name } = asked else { return Ok(vec![]) };
        let api = self.api.as_ref().map_err(Clone::clone)?;
        match api.inspect(name.as_str()) {
            Ok(container) => Ok(vec![container]),
            Err(error) if error.is_not_found() => Ok(vec![]),
            // An ID prefix that several have: 500 in Docker 20.10, 400 in later ones, in changing words.
            Err(refused @ EngineError::Refused { .. }) => match all_with(api, name.as_str()) {
                Ok(hits) if !hits.is_empty() => Ok(hits),
                _ => Err(refused),
            },
            Err(error) => Err(error),
        }
    }

    fn list(&self) -> Result<Vec<Container>, EngineError> {
        let api = self.api.as_ref().map_err(Clone::clone)?;
        all_with(api, "")
    }

    fn events(&self) -> Option<OwnedFd> {
        self.api.as_ref().ok()?.events()
    }
}

/// All containers, running or not, whose ID begins with `prefix`.
fn all_with(api: &Api, prefix: &str) -> Result<Vec<Container>, EngineError> {
    let inspected = api.ids(prefix)?.into_iter().map(|id| api.inspect(&id));
    // One may be removed between the two questions.
    inspected.filter(|answer| !matches!(answer, Err(error) if error.is_not_found())).collect()
}

/// The address that the user chose in place of the default one.
fn chosen() -> Result<Option<String>, EngineError> {
    match env::var("DOCKER_HOST") {
        Ok(address) if !address.is_empty() => Ok(Some(address)),
        _ => context_address(),
    }
}

fn local(address: String) -> Result<PathBuf, EngineError> {
    match address.split_once("://") {
        Some(("unix", path)) => Ok(PathBuf::from(path)),
        Some(_) => Err(EngineError::Remote { engine: ENGINE, address }),
        None => Err(EngineError::Address { engine: ENGINE, address }),
    }
}

/// The address in the docker client's chosen context, when that is not the default one: `$DOCKER_CONTEXT`,
/// else `currentContext` in `config.json`; each context is a directory with a `meta.json`
/// (docs.docker.com/engine/manage-resources/contexts).
fn context_address() -> Result<Option<String>, EngineError> {
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".docker"));
    let Some(directory) = env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(home) else {
        return Ok(None);
    };
    let chosen = match env::var("DOCKER_CONTEXT") {
        Ok(name) if !name.is_empty() => Some(name),
        _ => state::json::<serde_json::Value>(&directory.join("config.json"))?
            .and_then(|config| config.get("currentContext")?.as_str().map(str::to_owned)),
    };
    let Some(chosen) = chosen.filter(|name| !name.is_empty() && name != "default") else { return Ok(None) };
    let contexts = directory.join("contexts/meta");
    for entry in state::names(&contexts)? {
        let meta = contexts.join(entry).join("meta.json");
        let Some(meta) = state::json::<serde_json::Value>(&meta)? else { continue };
        if meta["Name"] == *chosen {
            return Ok(meta["Endpoints"]["docker"]["Host"].as_str().map(str::to_owned));
        }
    }
    Err(state::wrong(&contexts, format_args!("has no context named {chosen}")))
}
