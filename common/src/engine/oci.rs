//! OCI runtimes without an engine that we know: runc, crun and youki, driven by hand or by something else.
//! A container's ID is its only name, and that of its state directory.

use super::engine_dirs::EngineDirs;
use super::state::{self, StatePath};
use super::{
    Container, ContainerQuery, ContainerState, Engine, EngineAnswer, EngineError, EngineName, Proof, runtime,
};

const ENGINE: EngineName = EngineName::Oci;

/// The runtimes that keep their state in `/run/NAME`, or `$XDG_RUNTIME_DIR/NAME` for an ordinary user.
const RUNTIMES: [&str; 3] = ["runc", "crun", "youki"];

/// The runtimes of one user.
pub(super) struct Oci {
    dirs: EngineDirs,
}

impl Oci {
    pub(super) fn new(dirs: &EngineDirs) -> Self {
        Oci { dirs: dirs.clone() }
    }

    /// The directories of containers that there are.
    fn roots(&self) -> Result<Vec<StatePath>, EngineError> {
        let mut roots: Vec<StatePath> = RUNTIMES.map(|name| self.dirs.run.join(name)).into();
        if self.dirs.is_system() {
            // crun follows XDG_RUNTIME_DIR even when root has logged in.
            roots.push(self.dirs.run.join("user/0/crun"));
        }
        let mut there = Vec::new();
        for root in roots {
            if state::is_there(&root)? {
                there.push(root);
            }
        }
        match there.is_empty() {
            true => Err(EngineError::Absent { engine: ENGINE, socket: self.dirs.run.as_path().join("runc") }),
            false => Ok(there),
        }
    }

    /// `None` when there is no state of a container in that directory, or none any more.
    fn container(&self, directory: &StatePath, id: &str) -> Result<Option<Container>, EngineError> {
        let Some(record) = runtime::read(ENGINE, directory)? else { return Ok(None) };
        Ok(Some(Container {
            pid: record.pid,
            state: record.state,
            started_at: record.created.filter(|_| record.state != ContainerState::Created),
            proof: Proof {
                start_time_ticks: record.start_time_ticks,
                made_at: record.created,
                ..Proof::word_of(self.dirs.owner)
            },
            ..Container::unknown(ENGINE, id, self.dirs.owner)
        }))
    }
}

impl Engine for Oci {
    fn name(&self) -> EngineName {
        ENGINE
    }

    fn find(&self, asked: &ContainerQuery<'_>) -> Result<EngineAnswer, EngineError> {
        let roots = self.roots()?;
        let ContainerQuery::Name { within: None, .. } = asked else { return Ok(EngineAnswer::default()) };
        let mut answer = EngineAnswer::default();
        for root in roots {
            for id in state::usable_names(&root)?.iter().filter(|id| asked.means(id.as_str(), id.as_str())) {
                answer.add(self.container(&root.join(id.as_str()), id.as_str()));
            }
        }
        Ok(answer)
    }

    fn list(&self) -> Result<EngineAnswer, EngineError> {
        let mut answer = EngineAnswer::default();
        for root in self.roots()? {
            for id in state::usable_names(&root)? {
                answer.add(self.container(&root.join(id.as_str()), id.as_str()));
            }
        }
        Ok(answer)
    }
}
