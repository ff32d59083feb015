//! A host whose engines left their state and nothing else: directories written by hand in a lab.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::container::{Container, Options};
use crate::lab::Lab;
use crate::run::{Ran, Run};
use crate::skip::Missing;

/// Where the host begins, as the lab sees it.
const ROOT: &str = "/run/host";

/// A lab with state directories below `/run/host`.
pub struct Host {
    /// In which our tools take `/run/host` for `/`.
    pub lab: Lab,
}

impl Host {
    /// A host without any engine's state.
    pub fn new() -> Result<Host, Missing> {
        Ok(Host { lab: Lab::new()? })
    }

    /// Where a test finds the host's `path`.
    pub fn path(&self, path: &str) -> PathBuf {
        self.lab.path(ROOT).join(path.trim_start_matches('/'))
    }

    /// Writes a file of the host, and the directories that it is in.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.path(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    /// Writes a file of the host that is JSON.
    pub fn json(&self, path: &str, content: &Value) {
        self.write(path, content.to_string());
    }

    /// A process that could be a container's.
    #[track_caller]
    pub fn process(&self, name: &str) -> Container {
        self.lab.container(name, Options::only(&["net"]))
    }

    /// Field 22 of `/proc/PID/stat`.
    pub fn start_time(&self, pid: i32) -> u64 {
        let stat = fs::read_to_string(self.lab.path(format!("/proc/{pid}/stat"))).unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(22 - 3).unwrap().parse().unwrap()
    }

    /// cpid on that host.
    pub fn cpid(&self, arguments: &[&str]) -> Command {
        self.cpid_with("LC_ALL=C", arguments)
    }

    /// cpid with something more in its environment: `SUDO_UID=65534`.
    pub fn cpid_with(&self, variable: &str, arguments: &[&str]) -> Command {
        let mut command = self.lab.command("env");
        command.arg(format!("NETNS_TOOLBOX_ROOT={ROOT}")).arg(variable);
        command.arg(Path::new(crate::tools::tool("cpid")));
        // What is not about the time limit does not depend on it.
        if !arguments.contains(&"--engine-timeout") {
            command.arg("--engine-timeout=10s");
        }
        command.args(arguments);
        command
    }

    /// cpid says that PID and nothing else.
    #[track_caller]
    pub fn finds(&self, target: &str, container: &Container) {
        self.cpid(&[target]).run().ok().stdout_is(&format!("{}\n", container.pid)).stderr_is("");
    }

    /// cpid says that there is no such container.
    #[track_caller]
    pub fn finds_nothing(&self, target: &str) -> Ran {
        self.cpid(&[target]).run().fails_with(1).stdout_is("").stderr_has("no such container")
    }

    /// The one object that cpid has of `target`.
    #[track_caller]
    pub fn object(&self, target: &str) -> Value {
        self.cpid(&["--json", target]).run().ok().json()[0].clone()
    }

    /// The names in `cpid --list -a`, each with its engine.
    #[track_caller]
    pub fn listed(&self) -> Vec<String> {
        let listed = self.cpid(&["--list", "-a", "--json"]).run().ok().json();
        let word = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
        let listed = listed.as_array().unwrap().iter();
        listed.map(|entry| format!("{}:{}", word(entry, "engine"), word(entry, "name"))).collect()
    }

    /// A task of containerd, with a `config.json` of these annotations.
    pub fn task(&self, namespace: &str, id: &str, pid: i32, annotations: &Value) {
        let task = format!("/run/containerd/io.containerd.runtime.v2.task/{namespace}/{id}");
        self.write(&format!("{task}/init.pid"), pid.to_string());
        self.json(&format!("{task}/config.json"), &config(annotations));
    }

    /// What runc keeps for containerd of a task.
    pub fn runc_record(&self, directory: &str, pid: i32, start_time: u64) {
        let id = Path::new(directory).file_name().unwrap().to_str().unwrap();
        self.json(
            &format!("{directory}/state.json"),
            &json!({
                "id": id, "init_process_pid": pid, "init_process_start": start_time,
                "created": "2024-01-01T00:00:00.123456789Z", "config": { "labels": ["bundle=/run/b1"] },
            }),
        );
    }
}

/// An OCI configuration as engines write it, as far as it matters who reads it.
pub fn config(annotations: &Value) -> Value {
    json!({ "ociVersion": "1.1.0", "process": { "args": ["sleep"] }, "annotations": annotations, "linux": {} })
}

/// 64 hexadecimal digits that begin with these.
pub fn id(prefix: &str) -> String {
    format!("{prefix:0<64}")
}
