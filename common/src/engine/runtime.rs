//! What a low-level runtime (runc, crun) keeps of one container in a directory of its own: the only place on
//! disk that tells when the first process started, and that is gone as soon as that process is cleaned up.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use nix::unistd::Pid;
use serde::Deserialize;

use super::{EngineError, State, state};

const CGROUPS: &str = "/sys/fs/cgroup";

/// A container's first process, as its runtime knows it.
#[derive(Debug)]
pub(super) struct Init {
    pub pid: Pid,
    /// In clock ticks since boot, field 22 of `/proc/PID/stat`.
    pub start_time_ticks: u64,
    /// Created, running or paused.
    pub state: State,
}

/// runc's `state.json` (libcontainer's `State`), as far as we need it.
#[derive(Deserialize)]
struct Runc {
    init_process_pid: i32,
    init_process_start: u64,
    #[serde(default)]
    cgroup_paths: HashMap<String, PathBuf>,
}

/// crun's `status` (`libcrun_container_status_s`), as far as we need it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Crun {
    pid: i32,
    process_start_time: u64,
    #[serde(default)]
    cgroup_path: Option<PathBuf>,
}

/// runc's `state.json` up to the container's configuration, which is a hundred times as long.
#[derive(Deserialize)]
struct RuncHead {
    init_process_pid: i32,
    init_process_start: u64,
}

/// The PID of the first process and when it started, of the container whose runtime uses `directory`: as
/// [`init`], but at a tenth of its cost.
///
/// # Errors
/// As [`state::json`].
pub(super) fn process(directory: &Path) -> Result<Option<(Pid, u64)>, EngineError> {
    let bytes = state::read(&directory.join("state.json"))?.unwrap_or_default();
    if let Some(head) = head(&bytes) {
        let pid = Some(Pid::from_raw(head.init_process_pid)).filter(|pid| pid.as_raw() > 0);
        return Ok(pid.map(|pid| (pid, head.init_process_start)));
    }
    Ok(init(directory)?.map(|init| (init.pid, init.start_time_ticks)))
}

fn head(bytes: &[u8]) -> Option<RuncHead> {
    let end = memchr::memmem::find(bytes, b",\"config\":")?;
    serde_json::from_slice(&[&bytes[..end], b"}"].concat()).ok()
}

/// The first process of the container whose runtime uses `directory`, such as `/run/runc/ID`; `None` when
/// no runtime has such a container.
///
/// # Errors
/// As [`state::json`].
pub(super) fn init(directory: &Path) -> Result<Option<Init>, EngineError> {
    let (pid, start_time_ticks, cgroups) =
        if let Some(runc) = state::json::<Runc>(&directory.join("state.json"))? {
            (runc.init_process_pid, runc.init_process_start, runc.freezers())
        } else if let Some(crun) = state::json::<Crun>(&directory.join("status"))? {
            (crun.pid, crun.process_start_time, crun.freezers())
        } else {
            return Ok(None);
        };
    let state = match () {
        // The first process waits on this pipe for `start`, and the runtime removes it then.
        () if directory.join("exec.fifo").exists() => State::Created,
        () if cgroups.iter().any(|cgroup| is_frozen(cgroup)) => State::Paused,
        () => State::Running,
    };
    Ok((pid > 0).then(|| Init { pid: Pid::from_raw(pid), start_time_ticks, state }))
}

impl Runc {
    /// Paths by controller; cgroup v2 has one path, under the empty name.
    fn freezers(self) -> Vec<PathBuf> {
        let wanted = |name: &str| name == "freezer" || name.is_empty();
        self.cgroup_paths.into_iter().filter(|(name, _)| wanted(name)).map(|(_, path)| path).collect()
    }
}

impl Crun {
    /// One path, below every hierarchy.
    fn freezers(self) -> Vec<PathBuf> {
        let Some(path) = self.cgroup_path else { return vec![] };
        let below = path.strip_prefix("/").unwrap_or(&path);
        [CGROUPS, "/sys/fs/cgroup/freezer"].map(|hierarchy| Path::new(hierarchy).join(below)).into()
    }
}

/// Whether the cgroup is frozen: `freezer.state` in version 1, `cgroup.freeze` in version 2
/// (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst, cgroup-v2.rst).
fn is_frozen(cgroup: &Path) -> bool {
    // An ordinary user may have written that path.
    let is_one =
        cgroup.starts_with(CGROUPS) && cgroup.components().all(|part| !matches!(part, Component::ParentDir));
    let says = |file: &str, word: &[u8]| {
        state::read(&cgroup.join(file)).ok().flatten().is_some_and(|text| text.starts_with(word))
    };
    is_one && (says("cgroup.freeze", b"1") || says("freezer.state", b"FR"))
}
