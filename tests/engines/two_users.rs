//! A host with engines of root's and of an ordinary user's.

use std::os::unix::fs::chown;
use std::process::{Command, Stdio};

use nix::unistd::geteuid;
use serde_json::json;

use crate::by_hand::{Host, docker_config};
use support::fake_engine::{Answer, FakeEngine, Script};
use support::run::{Ran, Run, RunningProgram};
use support::skip::{Missing, program};
use support::tools;

/// `nobody`, whom every host has.
pub const USER: u32 = 65534;

pub const DOCKER: &str = "docker.sock";
pub const PODMAN: &str = "podman/podman.sock";

/// A host with engines of root's and of a user's, who has a process in a user namespace of the user's own.
pub struct Scene {
    pub host: Host,
    pub users: RunningProgram,
}

impl Scene {
    pub fn new() -> Result<Scene, Missing> {
        Scene::on(Host::new())
    }

    /// One that has an engine which never answers.
    pub fn with_silent_engine() -> Result<Scene, Missing> {
        Scene::on(Host::with_silent_engine())
    }

    fn on(host: Host) -> Result<Scene, Missing> {
        let why = || Missing::Fixable("two users are needed: run the tests as root".into());
        geteuid().is_root().then_some(()).ok_or_else(why)?;
        program("setpriv", "util-linux")?;
        let mut setpriv = tools::in_clean_environment(Command::new("setpriv"));
        setpriv.args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups"]);
        setpriv.args(["unshare", "--user", "--map-root-user", "--net", "sh", "-c", "echo ready; read -r _"]);
        let users = setpriv.current_dir("/").start_with(Stdio::piped());
        if !users.says("ready\n") {
            return Err(Missing::Fixable(format!("no user namespace for a user: {}", users.so_far().stderr)));
        }
        for directory in ["run/podman", &format!("run/user/{USER}/podman")] {
            host.directory(directory);
        }
        Ok(Scene { host, users })
    }

    /// The user's engine at this socket of the user's.
    pub fn users_engine(&self, socket: &str, script: Script) -> FakeEngine {
        let socket = self.host.path(&format!("run/user/{USER}/{socket}"));
        let engine = script.listen(&socket);
        chown(&socket, Some(USER), Some(USER)).unwrap();
        engine
    }

    pub fn roots_engine(&self, socket: &str, script: Script) -> FakeEngine {
        script.listen(self.host.path(&format!("run/{socket}")))
    }

    /// `cpid ARGS` of root, as that user's sudo starts it.
    pub fn sudo_cpid(&self, args: &[&str]) -> Ran {
        self.host.cpid(args).env("SUDO_UID", USER.to_string()).run()
    }

    pub fn users_pid(&self) -> String {
        format!("{}\n", self.users.pid())
    }
}

/// An engine that knows one container.
pub fn knows(id: &str, name: &str, pid: i32) -> Script {
    let mut web = docker_config(id, name, true);
    web["Id"] = id.into();
    web["State"]["Pid"] = pid.into();
    web["State"]["Status"] = "running".into();
    let list = json!([{ "Id": id, "State": "running" }]).to_string();
    [name, id].iter().fold(knows_nobody().on("/containers/json", Answer::json(200, &list)), |script, word| {
        script.on(&format!("/containers/{word}/json"), Answer::json(200, &web.to_string()))
    })
}

pub fn knows_nobody() -> Script {
    Script::new()
        .on("/containers/json", Answer::json(200, "[]"))
        .otherwise(Answer::json(404, r#"{"message":"No such container"}"#))
}
