//! A host's root directory with engine state in it that was made by hand: for what no engine would write.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use support::fake_docker::just_now;
use support::run::{Run, RunningProgram};
use support::scratch::Scratch;
use support::tools;
use support::until::as_busy;

/// How long an engine has on a host where each that is asked answers: longer than a busy machine needs.
const PATIENT: Duration = Duration::from_secs(10);
/// And where one never answers, on an idle machine: each call waits that long.
const IMPATIENT: Duration = Duration::from_millis(300);

pub(crate) struct Host {
    root: Scratch,
    engine_timeout: Duration,
}

impl Host {
    pub(crate) fn new() -> Host {
        Host { root: Scratch::new(), engine_timeout: PATIENT }
    }

    /// One that has an engine which never answers: the others still have time to answer if the machine is busy.
    pub(crate) fn with_silent_engine() -> Host {
        Host { engine_timeout: as_busy(IMPATIENT).min(PATIENT / 4), ..Host::new() }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path(path.trim_start_matches('/'))
    }

    /// Writes a file, and makes the directories above it.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.path(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    pub(crate) fn directory(&self, path: &str) -> PathBuf {
        let directory = self.path(path);
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    pub(crate) fn link(&self, from: &str, to: impl AsRef<Path>) {
        symlink(to, self.path(from)).unwrap();
    }

    /// `cpid ARGS` for which this is the host. What is not about the time limit does not depend on it: ARGS can have another.
    pub(crate) fn cpid(&self, args: &[&str]) -> Command {
        let mut cpid = tools::in_clean_environment(Command::new(tools::tool("cpid")));
        cpid.env("NETNS_TOOLBOX_ROOT", self.root.as_ref());
        if !args.contains(&"--engine-timeout") {
            cpid.arg(format!("--engine-timeout={}ms", self.engine_timeout.as_millis()));
        }
        cpid.args(args);
        cpid
    }

    /// Docker's state of a container that runs as `pid` since `ticks`.
    pub(crate) fn docker_runs(&self, id: &str, name: &str, pid: i32, ticks: u64) {
        self.docker_config(id, &docker_config(id, name, true).to_string());
        let bundle = "run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby";
        self.write(&format!("{bundle}/{id}/init.pid"), pid.to_string());
        let state = json!({ "init_process_pid": pid, "init_process_start": ticks });
        self.write(&format!("run/docker/runtime-runc/moby/{id}/state.json"), state.to_string());
    }

    pub(crate) fn docker_config(&self, id: &str, content: &str) {
        self.write(&format!("var/lib/docker/containers/{id}/config.v2.json"), content);
    }
}

/// What `config.v2.json` holds, as far as anybody here reads it.
pub(crate) fn docker_config(id: &str, name: &str, running: bool) -> Value {
    json!({
        "ID": id,
        "Name": format!("/{name}"),
        "Config": { "Image": "busybox" },
        "State": {
            "Running": running, "Paused": false, "Restarting": false, "OOMKilled": false,
            "RemovalInProgress": false, "Dead": false, "Pid": 0, "ExitCode": 0, "Error": "",
            "StartedAt": just_now(), "FinishedAt": "0001-01-01T00:00:00Z",
            "Health": null,
        },
    })
}

/// 64 digits.
pub(crate) fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// A process that can be anybody's first, and when it started.
pub(crate) fn process() -> (RunningProgram, i32, u64) {
    let sleep =
        Command::new("sh").args(["-c", "echo ready; read -r _"]).start_with(std::process::Stdio::piped());
    sleep.wait_for("ready");
    let stat = fs::read_to_string(format!("/proc/{}/stat", sleep.pid())).unwrap();
    let ticks = stat.rsplit_once(") ").unwrap().1.split(' ').nth(22 - 3).unwrap().parse().unwrap();
    let pid = sleep.pid();
    (sleep, pid, ticks)
}
