//! Under sudo, engines of the user who called it are asked too. What they say gets no name under `/run/netns` unless it is
//! asked for by name, and no link of root's follows it.

use std::os::unix::fs::chown;
use std::process::Stdio;

use serde_json::json;

use crate::everything;
use support::container::Options;
use support::fake_docker::{self, id_of};
use support::fake_engine::{Answer, FakeEngine, Script};
use support::lab::Lab;
use support::run::{Ran, Run, RunningProgram};
use support::skip::{Missing, need, program};
use support::tools;

/// `nobody`, whom every host has.
const USER: u32 = 65534;

struct Scene {
    lab: Lab,
    /// The user's process, in user and network namespaces of its own.
    users: RunningProgram,
    pid: i32,
}

impl Scene {
    fn new() -> Result<Scene, Missing> {
        program("setpriv", "util-linux")?;
        let lab = Lab::with_users()?;
        lab.user_namespace()?;
        let mut setpriv = lab.command("setpriv");
        setpriv.args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups"]);
        setpriv.args(["unshare", "--user", "--map-root-user", "--net", "sh", "-c", "echo at $$; read -r _"]);
        let users = setpriv.start_with(Stdio::piped());
        let line = users.first_line().unwrap_or_else(|| panic!("no process: {}", users.so_far()));
        let pid = line.strip_prefix("at ").and_then(|pid| pid.parse().ok()).expect("at PID");
        lab.shell(&format!("mkdir -p /run/user/{USER}")).run().ok();
        Ok(Scene { lab, users, pid })
    }

    /// The user's Docker claims that the container of root's called `name` is a process of the user's.
    fn claims(&self, name: &str) -> FakeEngine {
        let id = id_of(name);
        let inspected = json!({
            "Id": id, "Name": format!("/{name}"),
            "State": { "Status": "running", "Running": true, "Pid": self.pid, "ExitCode": 0,
                "StartedAt": fake_docker::just_now(), "FinishedAt": "0001-01-01T00:00:00Z" },
        })
        .to_string();
        let mut script = Script::new()
            .on("/containers/json", Answer::json(200, &json!([{ "Id": id, "State": "running" }]).to_string()))
            .otherwise(Answer::json(404, r#"{"message":"No such container"}"#));
        for word in [name, id.as_str()] {
            script = script.on(&format!("/containers/{word}/json"), Answer::json(200, &inspected));
        }
        let socket = self.lab.path(format!("/run/user/{USER}/docker.sock"));
        let engine = script.listen(&socket);
        chown(&socket, Some(USER), Some(USER)).unwrap();
        engine
    }

    fn sudo(&self, arguments: &[&str]) -> Ran {
        let mut link = self.lab.tool("netns-link");
        link.env("SUDO_UID", USER.to_string()).args(tools::patience(arguments)).args(arguments).run()
    }

    fn linked(&self, name: &str) -> String {
        self.lab.shell(&format!("stat -Lc 'net:[%i]' /run/netns/{name}")).run().ok().text().to_owned()
    }
}

#[test]
fn all_does_not_link_what_only_a_user_claims() {
    let scene = need!(Scene::new());
    let db = scene.lab.container("db", Options::only(&["net"]));
    let _root = fake_docker::knows(&[&db]).listen(scene.lab.path("/run/docker.sock"));
    let theirs = scene.claims("web");
    scene.sudo(&["--all"]).ok().stdout_is("/run/netns/db\n");
    assert!(theirs.requests().is_empty(), "the user was asked: {:?}", theirs.requests());
    assert_eq!(scene.linked("db"), scene.lab.namespace(db.pid, "net"));
    // By its name it is.
    scene.sudo(&["web"]).ok().stdout_is("/run/netns/web\n");
    assert_eq!(scene.linked("web"), scene.lab.namespace(scene.pid, "net"));
    scene.sudo(&["--check"]).ok();
    drop(scene.users);
}

#[test]
fn a_users_container_does_not_take_the_place_of_a_link_of_roots() {
    let scene = need!(Scene::new());
    let _root = fake_docker::knows(&[]).listen(scene.lab.path("/run/docker.sock"));
    let _theirs = scene.claims("blue");
    let enter = || {
        let mut enter = scene.lab.tool("nsenter-rs");
        enter
            .env("SUDO_UID", USER.to_string())
            .args(["-t", "blue", "-n", "readlink", "/proc/self/ns/net"])
            .run()
    };
    enter().ok().stdout_is(&format!("{}\n", scene.lab.namespace(scene.pid, "net")));
    scene.lab.shell("ip netns add blue").run().ok();
    enter().ok().stdout_is(&format!("{}\n", scene.linked("blue")));
}

#[test]
fn a_link_to_roots_container_does_not_follow_a_users_claim_to_be_that_container() {
    let scene = need!(Scene::new());
    let mut web = scene.lab.container("web", Options::only(&["net"]));
    let root = fake_docker::knows(&[&web]).listen(scene.lab.path("/run/docker.sock"));
    scene.sudo(&["web"]).ok();
    let before = scene.linked("web");
    let _theirs = scene.claims("web");
    scene.sudo(&["--check"]).ok();
    drop(root);
    // The container is gone, and root's Docker knows it no more: its ID is free for whoever likes to have it.
    let pid = web.pid;
    web.stop();
    let _root = fake_docker::knows(&[]).listen(scene.lab.path("/run/docker.sock"));
    let untouched = everything(&scene.lab);
    scene.sudo(&["--refresh"]);
    assert_eq!(scene.linked("web"), before);
    assert_ne!(
        scene.linked("web"),
        scene.lab.namespace(scene.pid, "net"),
        "PID {pid}'s link follows the user"
    );
    assert_eq!(everything(&scene.lab), untouched);
    scene.sudo(&["--check"]).fails_with(1).stdout_has("pinned");
}
