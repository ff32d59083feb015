//! What the OCI runtimes runc, crun and youki write of a container into its state directory. They are what
//! engines start containers with, and what people run by hand.
//!
//! | runtime | file | source |
//! |---|---|---|
//! | runc | `state.json`: `init_process_pid`, `init_process_start` | runc, `libcontainer/container.go`, `BaseState` |
//! | crun | `status`: `pid`, `process-start-time` | crun, `src/libcrun/status.c` |
//! | youki | `state.json`: `pid`, `status` | youki, `crates/libcontainer/src/container/state.rs` |
//!
//! A container that was made and not started has an `exec.fifo` beside it, on which its process waits.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use jiff::Timestamp;
use nix::unistd::Pid;
use serde::Deserialize;

use super::engine_dirs::rooted;
use super::state::{self, StatePath};
use super::{ContainerState, EngineError, EngineName, api};
use crate::process::{Process, ProcessError};

/// runc's head is 200 bytes long, and longer by as much as an ID is longer than Docker's.
const HEAD_BYTES: usize = 1024;

const CGROUPS: &str = "/sys/fs/cgroup";

/// A container as its runtime wrote it down, with what has become of its process since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RuntimeState {
    /// Its first process, if that is still there.
    pub pid: Option<Pid>,
    /// When that process started, in clock ticks since boot.
    pub start_time_ticks: Option<u64>,
    /// When the container, and with it that process, was made.
    pub created: Option<Timestamp>,
    /// What can be told from the disk and the process.
    pub state: ContainerState,
}

#[derive(Deserialize)]
struct RuntimeFile {
    #[serde(alias = "init_process_pid")]
    pid: Option<i32>,
    #[serde(alias = "init_process_start", alias = "process-start-time")]
    start_time_ticks: Option<u64>,
    created: Option<String>,
    /// Only youki's says.
    status: Option<String>,
    /// runc's, by hierarchy, the unified one under the empty name; whole paths.
    cgroup_paths: Option<BTreeMap<String, PathBuf>>,
    /// crun's, below each hierarchy's root.
    #[serde(rename = "cgroup-path")]
    cgroup_path: Option<PathBuf>,
}

/// The same file, as far as it says where the bundle is.
#[derive(Deserialize)]
struct BundleOfRuntime {
    bundle: Option<PathBuf>,
    config: Option<LabelsOfRuntime>,
}

#[derive(Deserialize)]
struct LabelsOfRuntime {
    #[serde(default)]
    labels: Vec<String>,
}

impl BundleOfRuntime {
    fn path(self) -> Option<PathBuf> {
        let labels = self.config.map_or(vec![], |config| config.labels);
        let label = || labels.iter().find_map(|label| label.strip_prefix("bundle=")).map(PathBuf::from);
        self.bundle.or_else(label).filter(|path| path.is_absolute())
    }
}

impl RuntimeFile {
    /// Whether the cgroup freezer holds its processes: pausing changes nothing in the state.
    fn is_frozen(&self) -> bool {
        let crun = self.cgroup_path.iter().flat_map(|path| {
            let path = path.strip_prefix("/").unwrap_or(path);
            ["/sys/fs/cgroup/freezer", "/sys/fs/cgroup"].map(|root| Path::new(root).join(path))
        });
        let runc = self.cgroup_paths.iter().flatten();
        let runc =
            runc.filter(|(name, _)| ["", "freezer"].contains(&name.as_str())).map(|(_, path)| path.clone());
        let says =
            |file: PathBuf, word| state::of_kernel(&file).is_some_and(|text| state::mentions(&text, word));
        // An ordinary user may have written those paths.
        let is_one = |cgroup: &PathBuf| {
            cgroup.starts_with(CGROUPS) && !cgroup.components().any(|part| part == Component::ParentDir)
        };
        crun.chain(runc).filter(is_one).any(|cgroup| {
            says(cgroup.join("cgroup.events"), "frozen 1") || says(cgroup.join("freezer.state"), "FROZEN")
        })
    }
}

/// runc's `state.json` up to the container's configuration, which is a hundred times as long.
#[derive(Deserialize)]
struct RuncHead {
    init_process_pid: i32,
    init_process_start: u64,
}

/// The PID of the first process and when it started, as the runtime that keeps its state in `directory` wrote
/// them down, whatever has become of that process: less than [`read`] tells, at a tenth of its cost.
///
/// # Errors
/// As [`read`].
pub(super) fn process(directory: &StatePath) -> Result<Option<(Pid, Option<u64>)>, EngineError> {
    let bytes = state::beginning(&directory.join("state.json"), HEAD_BYTES)?;
    if let Some(head) = head(&bytes) {
        let pid = Some(Pid::from_raw(head.init_process_pid)).filter(|pid| pid.as_raw() > 0);
        return Ok(pid.map(|pid| (pid, Some(head.init_process_start))));
    }
    let Some(found) = file(directory)? else { return Ok(None) };
    Ok(found.pid.map(|pid| (Pid::from_raw(pid), found.start_time_ticks)))
}

fn head(bytes: &[u8]) -> Option<RuncHead> {
    let end = memchr::memmem::find(bytes, b",\"config\":")?;
    serde_json::from_slice(&[&bytes[..end], b"}"].concat()).ok()
}

/// What the runtime that keeps its state in `directory` wrote for `engine`; `None` when none keeps any there.
///
/// # Errors
/// `Unreadable`, or `File` when what is there makes no sense; as [`is_of_our_time`].
pub(super) fn read(engine: EngineName, directory: &StatePath) -> Result<Option<RuntimeState>, EngineError> {
    let Some(found) = file(directory)? else { return Ok(None) };
    let ticks = found.start_time_ticks;
    let (pid, now) = what_became_of(found.pid.map(Pid::from_raw), ticks);
    if now == ContainerState::Exited {
        is_of_our_time(engine, directory, ticks)?;
    }
    let waits = || directory.join("exec.fifo").exists();
    let told = match found.status.as_deref() {
        Some("creating" | "created") => ContainerState::Created,
        Some("paused") => ContainerState::Paused,
        Some("stopped") => ContainerState::Exited,
        _ if now == ContainerState::Running && waits() => ContainerState::Created,
        _ if now == ContainerState::Running && found.is_frozen() => ContainerState::Paused,
        _ => now,
    };
    let state = if now == ContainerState::Running { told } else { now };
    let created = found.created.as_deref().and_then(api::time);
    Ok(Some(RuntimeState { pid, start_time_ticks: ticks, created, state }))
}

/// The bundle of the container whose state a runtime keeps in `directory`: crun's `bundle`, or the label `bundle=PATH` in
/// runc's configuration. The directory itself where it does not say.
pub(super) fn bundle(directory: &StatePath) -> StatePath {
    let said = |name: &str| state::json::<BundleOfRuntime>(&directory.join(name)).ok().flatten()?.path();
    said("state.json")
        .or_else(|| said("status"))
        .map_or_else(|| directory.clone(), |path| directory.at(rooted(path)))
}

/// The file that a runtime keeps in `directory`; its numbers are positive or missing.
fn file(directory: &StatePath) -> Result<Option<RuntimeFile>, EngineError> {
    for name in ["state.json", "status"] {
        let path = directory.join(name);
        let Some(mut found) = state::json::<RuntimeFile>(&path)? else { continue };
        // Runtimes write 0 while they make, and youki leaves the number out.
        found.pid = found.pid.filter(|pid| *pid != 0);
        found.start_time_ticks = found.start_time_ticks.filter(|ticks| *ticks != 0);
        return match found.pid {
            Some(..0) => Err(state::wrong(&path, "has no valid PID")),
            _ => Ok(Some(found)),
        };
    }
    Ok(None)
}

/// The PID if that process is still there, and what a container is whose state names it. Its engine may be
/// gone, so that nobody has written down the end of it; whether the process is the container's is for
/// `find` to say.
pub(super) fn what_became_of(
    pid: Option<Pid>,
    start_time_ticks: Option<u64>,
) -> (Option<Pid>, ContainerState) {
    let Some(pid) = pid else { return (None, ContainerState::Created) };
    let started = || Process::open(pid)?.start_time_ticks();
    match (started(), start_time_ticks) {
        (Err(ProcessError::Gone(_)), _) => (None, ContainerState::Exited),
        (Ok(now), Some(then)) if now != then => (None, ContainerState::Exited),
        _ => (Some(pid), ContainerState::Running),
    }
}

/// That a process which started at `ticks`, or before, can be one of our PID namespace, or have been one, as `file` says. Tools in a container that sees the host's state, and not the host's processes, would take every container for
/// ended. The first process of a PID namespace is its oldest (pid_namespaces(7)): what is older was never in it, and where a
/// whole host is in a container its containers are younger.
///
/// # Errors
/// `EarlierProcess`.
pub(super) fn is_of_our_time(
    engine: EngineName,
    file: &StatePath,
    ticks: Option<u64>,
) -> Result<(), EngineError> {
    static OLDEST: OnceLock<Option<u64>> = OnceLock::new();
    let oldest = || Process::open(Pid::from_raw(1)).and_then(|first| first.start_time_ticks()).ok();
    match ticks.zip(*OLDEST.get_or_init(oldest)) {
        Some((ticks, oldest)) if ticks < oldest => {
            Err(EngineError::EarlierProcess { engine, file: file.as_path().to_owned() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::geteuid;

    #[test]
    fn a_state_is_understood_however_far_from_its_beginning_the_configuration_is() {
        let directory = std::env::temp_dir().join(format!("netns-toolbox-{}-head", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let pid = Pid::this();
        let ticks = Process::open(pid).unwrap().start_time_ticks().unwrap();
        for length in [64, HEAD_BYTES, 10 * HEAD_BYTES] {
            // In runc's order, which a map would not keep.
            let id = "a".repeat(length);
            let head = format!(
                r#"{{"id":"{id}","init_process_pid":{pid},"init_process_start":{ticks},"config":{{}}}}"#
            );
            std::fs::write(directory.join("state.json"), head).unwrap();
            assert_eq!(
                process(&StatePath::new(&directory, geteuid())).unwrap(),
                Some((pid, Some(ticks))),
                "{length}"
            );
        }
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
