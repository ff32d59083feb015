//! LXC: no daemon; each running container's monitor answers on a socket of its own, and a directory with a
//! `config` in it is all there is of one that does not run.

mod monitor;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Instant;

use nix::unistd::Uid;

use super::engine_dirs::EngineDirs;
use super::state::{self, StatePath};
use super::{
    AnswerTimeout, Container, ContainerQuery, ContainerSource, ContainerState, Engine, EngineAnswer,
    EngineError, EngineName, Proof,
};
use monitor::{FirstProcess, Monitor};

const ENGINE: EngineName = EngineName::Lxc;

/// One user's LXC containers: those below one LXCPATH.
pub(super) struct Lxc {
    /// The user that they belong to.
    owner: Uid,
    /// The directory that has one for each container, or why we do not know it.
    path: Result<StatePath, EngineError>,
    limit: AnswerTimeout,
}

impl Lxc {
    /// The system's containers, then the user's own.
    pub(super) fn all(all_dirs: &[EngineDirs], limit: AnswerTimeout) -> Vec<Lxc> {
        all_dirs.iter().map(|dirs| Lxc { owner: dirs.owner, path: lxcpath(dirs), limit }).collect()
    }

    /// The container called `name`; `None` when it neither runs nor is defined.
    fn container(
        &self,
        path: &StatePath,
        name: &OsStr,
        until: Instant,
    ) -> Result<Option<Container>, EngineError> {
        let monitor = Monitor::new(path.as_path(), name, self.owner, self.limit.each(), until);
        let (state, first) = match monitor.state()? {
            Some(running) => (running, monitor.first_process()?),
            None => (ContainerState::Exited, None),
        };
        match first {
            Some(FirstProcess { pid, proof }) if has_process(state) => {
                Ok(Some(container(name, state, ContainerSource::Api, Some(pid), proof)))
            }
            _ if is_defined(&path.join(name))? => {
                let proof = Proof::word_of(self.owner);
                Ok(Some(container(name, without_process(state), ContainerSource::State, None, proof)))
            }
            _ => Ok(None),
        }
    }
}

impl Engine for Lxc {
    fn name(&self) -> EngineName {
        ENGINE
    }

    /// Names only: LXC knows no IDs, and takes no beginning of a name for the whole.
    fn find(&self, asked: &ContainerQuery<'_>) -> Result<EngineAnswer, EngineError> {
        let ContainerQuery::Name { within: None, name } = asked else { return Ok(EngineAnswer::default()) };
        let path = self.path.as_ref().map_err(Clone::clone)?;
        // Before any socket is asked: what listens on a host without LXC is not LXC.
        if !path.exists() {
            return Err(EngineError::Absent { engine: ENGINE, socket: path.as_path().to_owned() });
        }
        let until = Instant::now() + self.limit.left();
        Ok(self.container(path, OsStr::new(name.as_str()), until)?.into())
    }

    fn list(&self) -> Result<EngineAnswer, EngineError> {
        let path = self.path.as_ref().map_err(Clone::clone)?;
        if !path.exists() {
            return Err(EngineError::Absent { engine: ENGINE, socket: path.as_path().to_owned() });
        }
        let until = Instant::now() + self.limit.left();
        let mut answer = EngineAnswer::default();
        for name in state::names(path)? {
            // Other files there, such as lxc-monitord's, are not containers.
            match is_defined(&path.join(&name)) {
                Ok(false) => {}
                Ok(true) => answer.add(self.container(path, &name, until)),
                Err(doubt) => answer.doubts.push(doubt),
            }
        }
        Ok(answer)
    }
}

fn container(
    name: &OsStr,
    state: ContainerState,
    source: ContainerSource,
    pid: Option<nix::unistd::Pid>,
    proof: Proof,
) -> Container {
    let name = name.to_string_lossy().into_owned();
    Container {
        engine: ENGINE,
        // LXC has no other.
        id: name.clone(),
        name,
        pid,
        state,
        exit_code: None,
        started_at: None,
        finished_at: None,
        image: None,
        source,
        pod: None,
        proof,
    }
}

fn has_process(state: ContainerState) -> bool {
    matches!(state, ContainerState::Running | ContainerState::Paused)
}

/// A container that had just been running when its process was asked for is one that ended.
fn without_process(state: ContainerState) -> ContainerState {
    if has_process(state) { ContainerState::Exited } else { state }
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
