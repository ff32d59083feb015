//! LXC: no daemon; each running container's monitor answers on a socket of its own, and a directory with a
//! `config` in it is all there is of one that does not run.

mod cgroup;
mod monitor;
mod running;
mod sockets;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::unistd::Uid;

use super::engine_dirs::EngineDirs;
use super::incus;
use super::state::{self, StatePath};
use super::{AnswerTimeout, ContainerQuery, Engine, EngineAnswer, EngineError, EngineName};

pub(super) use cgroup::group_of_host;
pub(super) use running::{LxcPlace, MonitorQuery};

const ENGINE: EngineName = EngineName::Lxc;

/// One user's LXC containers: those below one LXCPATH, and those that run elsewhere.
pub(super) struct Lxc {
    /// The user that they belong to.
    owner: Uid,
    /// The directory that has one for each container, or why we do not know it.
    path: Result<StatePath, EngineError>,
    /// Those of other engines.
    taken: Vec<PathBuf>,
    limit: AnswerTimeout,
}

impl Lxc {
    /// The system's containers, then the user's own.
    pub(super) fn all(all_dirs: &[EngineDirs], limit: &AnswerTimeout) -> Vec<Lxc> {
        let of_dirs = |dirs: &EngineDirs| Lxc {
            owner: dirs.owner,
            path: lxcpath(dirs),
            taken: incus::directories(dirs).map(|path| path.as_path().to_owned()).collect(),
            limit: limit.clone(),
        };
        all_dirs.iter().map(of_dirs).collect()
    }

    /// The containers of that name, or all; those of names that other files there have are none.
    fn containers(&self, called: Option<&OsStr>) -> Result<EngineAnswer, EngineError> {
        let path = self.path.as_ref().map_err(Clone::clone)?;
        let mut answer = EngineAnswer::default();
        let names = match called {
            // Before any socket is asked: what listens there on a host without LXC is not LXC.
            _ if !path.exists() => None,
            Some(name) => Some(vec![name.to_owned()]),
            None => Some(defined(path, &mut answer.doubts)?),
        };
        let elsewhere = sockets::elsewhere(self.owner, called, path, &self.taken);
        if names.is_none() && elsewhere.is_empty() {
            return Err(EngineError::Absent { engine: ENGINE, socket: path.as_path().to_owned() });
        }
        let here = |name| LxcPlace { path: path.as_path().to_owned(), name };
        let places = names.into_iter().flatten().map(here).chain(elsewhere).collect();
        let query = MonitorQuery { engine: ENGINE, owner: self.owner, limit: self.limit.clone() };
        for (place, running) in query.ask(places) {
            let id = self.id_of(&place);
            let directory = path.at(place.path.join(&place.name));
            answer.add_running(&query, (&id, &place.name.to_string_lossy()), running, || {
                is_defined(&directory)
            });
        }
        Ok(answer)
    }

    /// LXC has no IDs. Two containers have one name if they are of two LXCPATHs.
    fn id_of(&self, place: &LxcPlace) -> String {
        let is_here = self.path.as_ref().is_ok_and(|path| path.as_path() == place.path);
        let whole = if is_here { PathBuf::from(&place.name) } else { place.path.join(&place.name) };
        whole.to_string_lossy().into_owned()
    }
}

impl Engine for Lxc {
    fn name(&self) -> EngineName {
        ENGINE
    }

    /// Names only: LXC knows no IDs, and takes no beginning of a name for the whole.
    fn find(&self, asked: &ContainerQuery<'_>) -> Result<EngineAnswer, EngineError> {
        let ContainerQuery::Name { within: None, name } = asked else { return Ok(EngineAnswer::default()) };
        self.containers(Some(OsStr::new(name.as_str())))
    }

    fn list(&self) -> Result<EngineAnswer, EngineError> {
        self.containers(None)
    }
}

/// Whether a container called so is defined below the LXCPATH of `dirs`, as far as we may know.
pub(super) fn has_defined(dirs: &EngineDirs, name: &str) -> bool {
    lxcpath(dirs).and_then(|path| is_defined(&path.join(name))).unwrap_or(false)
}

/// The names of the containers that are defined below `path`. Other files there, such as lxc-monitord's, are not
/// containers; nor is what we may not look into without a doubt.
fn defined(path: &StatePath, doubts: &mut Vec<EngineError>) -> Result<Vec<OsString>, EngineError> {
    let mut names = state::names(path)?;
    names.retain(|name| {
        is_defined(&path.join(name)).unwrap_or_else(|doubt| {
            doubts.push(doubt);
            false
        })
    });
    Ok(names)
}

/// Whether the directory is a container's.
fn is_defined(directory: &StatePath) -> Result<bool, EngineError> {
    match state::has_file(&directory.join("config")) {
        // A name that is too long, or a link that leads round in a circle, is no container's.
        Err(EngineError::File { .. }) => Ok(false),
        defined => defined,
    }
}

/// `lxc.lxcpath` of lxc.conf in lxc.system.conf(5), or what LXC is built with.
fn lxcpath(dirs: &EngineDirs) -> Result<StatePath, EngineError> {
    let config = state::read(&dirs.config.join("lxc/lxc.conf"))?.unwrap_or_default();
    let configured = config.split(|byte| *byte == b'\n').find_map(value_of_lxcpath);
    Ok(configured.map_or_else(|| dirs.data.join("lxc"), |path| dirs.data.at(PathBuf::from(path))))
}

/// From a line `lxc.lxcpath = /path/`, the path without slashes at its end: LXC takes it so, letter for
/// letter, into the name of its sockets.
fn value_of_lxcpath(line: &[u8]) -> Option<&OsStr> {
    let value = line.trim_ascii().strip_prefix(b"lxc.lxcpath")?.trim_ascii_start().strip_prefix(b"=")?;
    let mut value = value.trim_ascii();
    while let Some(shorter) = value.strip_suffix(b"/") {
        value = shorter;
    }
    (!value.is_empty()).then(|| OsStr::from_bytes(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_read_as_lxc_reads_it() {
        let value =
            |line: &str| value_of_lxcpath(line.as_bytes()).map(|path| path.to_str().unwrap().to_owned());
        assert_eq!(value("lxc.lxcpath = /srv/lxc/"), Some("/srv/lxc".to_owned()));
        assert_eq!(value(" \tlxc.lxcpath=/srv/lxc"), Some("/srv/lxc".to_owned()));
        for nothing in ["# lxc.lxcpath = /srv", "lxc.lxcpath =", "lxc.lxcpathology = /x", "lxc.lxcpath", ""] {
            assert_eq!(value(nothing), None, "{nothing:?}");
        }
    }
}
