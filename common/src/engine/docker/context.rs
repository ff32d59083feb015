//! Which Docker daemon the user chose: as the docker client reads it from the environment and its contexts.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::super::state::{self, StatePath};
use super::super::{EngineError, EngineName};

/// The address that the user chose in place of the default one.
pub(super) fn chosen() -> Result<Option<String>, EngineError> {
    match env::var("DOCKER_HOST") {
        Ok(address) if !address.is_empty() => Ok(Some(address)),
        _ => context_address(),
    }
}

/// The socket that an address on this host means.
pub(super) fn local(address: String) -> Result<PathBuf, EngineError> {
    match address.split_once("://") {
        Some(("unix", path)) => Ok(PathBuf::from(path)),
        Some(_) => Err(EngineError::Remote { engine: EngineName::Docker, address }),
        None => Err(EngineError::Address { engine: EngineName::Docker, address }),
    }
}

/// The address in the docker client's chosen context, when that is not the default one: `$DOCKER_CONTEXT`,
/// else `currentContext` in `config.json`; each context is a directory with a `meta.json`
/// (docs.docker.com/engine/manage-resources/contexts).
fn context_address() -> Result<Option<String>, EngineError> {
    let home =
        || env::var_os("HOME").filter(|home| is_ours(home)).map(|home| Path::new(&home).join(".docker"));
    let Some(directory) = env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(home) else {
        return Ok(None);
    };
    let directory = StatePath::new(directory, geteuid());
    let chosen = match env::var("DOCKER_CONTEXT") {
        Ok(name) if !name.is_empty() => Some(name),
        _ => own_or_none(state::json::<serde_json::Value>(&directory.join("config.json")))?
            .and_then(|config| config.get("currentContext")?.as_str().map(str::to_owned)),
    };
    let Some(chosen) = chosen.filter(|name| !name.is_empty() && name != "default") else { return Ok(None) };
    let contexts = directory.join("contexts/meta");
    for entry in own_or_none(state::names(&contexts).map(Some))?.unwrap_or_default() {
        let meta = contexts.join(entry).join("meta.json");
        let Some(meta) = own_or_none(state::json::<serde_json::Value>(&meta))? else { continue };
        if meta["Name"] == *chosen {
            return Ok(meta["Endpoints"]["docker"]["Host"].as_str().map(str::to_owned));
        }
    }
    Err(state::wrong(&contexts, format_args!("has no context named {chosen}")))
}

/// Whether a home is not another user's, as under a sudo that keeps HOME: links in there can lead to files of root with any
/// content, such as those below `/proc/PID` of a process that may not be traced.
fn is_ours(home: &OsStr) -> bool {
    state::is_there(&StatePath::new(home, geteuid())).unwrap_or(false)
}

/// A file that is another user's chooses nothing for us, as under sudo with HOME kept: nobody but root says which
/// daemon speaks for root.
fn own_or_none<T>(read: Result<Option<T>, EngineError>) -> Result<Option<T>, EngineError> {
    match read {
        Err(EngineError::Unreadable { .. } | EngineError::Foreign { .. }) => Ok(None),
        read => read,
    }
}
