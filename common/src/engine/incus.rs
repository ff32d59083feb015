//! Incus and LXD: both run system containers by LXC's library, so that each running container's monitor is asked, and no
//! daemon. Their directories of containers have an entry for each, whether it runs or not, in the project `default` called
//! `NAME`, in others `PROJECT_NAME` (`internal/server/project/project.go` of Incus, `lxd/project/project.go`). Neither an instance
//! nor a project has a `_` in its name. Virtual machines are in another directory.

use std::ffi::OsString;
use std::path::Path;

use nix::unistd::Uid;

use super::engine_dirs::{EngineDirs, rooted};
use super::lxc::{LxcPlace, MonitorQuery};
use super::state::{self, StatePath};
use super::{AnswerTimeout, ContainerQuery, Engine, EngineAnswer, EngineError, EngineName};
use crate::target::Name;

/// Below `/var/lib` (`INCUS_DIR` and `LXD_DIR` are for tests of theirs), and of LXD's snap.
const INCUS: &str = "incus";
const LXD: &str = "lxd";
const SNAP: &str = "/var/snap/lxd/common/lxd";

/// The project that is not in the names of its instances.
const DEFAULT_PROJECT: &str = "default";

/// One of the two.
pub(super) struct Incus {
    engine: EngineName,
    owner: Uid,
    /// Where it may keep its files.
    homes: Vec<StatePath>,
    limit: AnswerTimeout,
}

/// What an engine calls one instance.
#[derive(Debug, PartialEq, Eq)]
struct Instance<'a> {
    project: &'a str,
    name: &'a str,
}

impl Incus {
    /// Both are daemons of root's.
    pub(super) fn all(engine: EngineName, all_dirs: &[EngineDirs], limit: &AnswerTimeout) -> Vec<Incus> {
        let of_system = all_dirs.iter().filter(|dirs| dirs.is_system());
        of_system
            .map(|dirs| Incus { engine, owner: dirs.owner, homes: homes(engine, dirs), limit: limit.clone() })
            .collect()
    }

    /// The containers that are `wanted`.
    fn containers(&self, wanted: impl Fn(&str) -> bool) -> Result<EngineAnswer, EngineError> {
        let there: Vec<_> = self.homes.iter().filter(|home| home.is_dir()).collect();
        if there.is_empty() {
            let socket = self.homes.iter().map(|home| home.as_path().join("unix.socket")).next();
            return Err(EngineError::Absent { engine: self.engine, socket: socket.unwrap_or_default() });
        }
        let mut answer = EngineAnswer::default();
        for home in there {
            let directory = home.join("containers");
            let names = state::names(&directory)?.into_iter().filter_map(|name| name.into_string().ok());
            let places =
                names.filter(|name| wanted(name)).map(|name| place(directory.as_path(), name)).collect();
            let query = MonitorQuery { engine: self.engine, owner: self.owner, limit: self.limit.clone() };
            for (place, running) in query.ask(places) {
                let id = place.name.to_string_lossy();
                answer.add_running(&query, (&id, Instance::of(&id).name), running, || Ok(true));
            }
        }
        Ok(answer)
    }
}

fn place(directory: &Path, name: String) -> LxcPlace {
    LxcPlace { path: directory.to_owned(), name: OsString::from(name) }
}

impl Engine for Incus {
    fn name(&self) -> EngineName {
        self.engine
    }

    /// An instance by its name, of the project that is named or of any; or by what LXC calls it.
    fn find(&self, asked: &ContainerQuery<'_>) -> Result<EngineAnswer, EngineError> {
        let ContainerQuery::Name { within, name } = asked else { return Ok(EngineAnswer::default()) };
        let project = within.map(Name::as_str);
        let is_meant = |id: &str| {
            let instance = Instance::of(id);
            let is_called_so = instance.name == name.as_str() || id == name.as_str();
            is_called_so && project.is_none_or(|project| project == instance.project)
        };
        self.containers(is_meant)
    }

    fn list(&self) -> Result<EngineAnswer, EngineError> {
        self.containers(|_| true)
    }
}

impl<'a> Instance<'a> {
    /// From what LXC calls it.
    fn of(id: &'a str) -> Self {
        let (project, name) = id.split_once('_').unwrap_or((DEFAULT_PROJECT, id));
        Instance { project, name }
    }
}

fn homes(engine: EngineName, dirs: &EngineDirs) -> Vec<StatePath> {
    match engine {
        EngineName::Incus => vec![dirs.data.join(INCUS)],
        _ => vec![dirs.data.join(LXD), dirs.data.at(rooted(SNAP))],
    }
}

/// The LXCPATHs of both.
pub(super) fn directories(dirs: &EngineDirs) -> impl Iterator<Item = StatePath> {
    let homes = [EngineName::Incus, EngineName::Lxd].map(|engine| homes(engine, dirs));
    homes.into_iter().flatten().map(|home| home.join("containers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_a_part_of_the_name_that_lxc_has() {
        assert_eq!(Instance::of("web"), Instance { project: "default", name: "web" });
        assert_eq!(Instance::of("prod_web-1"), Instance { project: "prod", name: "web-1" });
    }
}
