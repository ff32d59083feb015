//! Whose files and directories count: state and settings speak for root only where they are root's.

use std::os::unix::fs::{chown, symlink};
use std::path::Path;

use serde_json::json;

use crate::by_hand::{id, process};
use crate::two_users::{DOCKER, Scene, USER, knows};
use support::run::Run;
use support::skip::need;

#[test]
fn a_users_directories_do_not_lead_to_what_is_roots() {
    let scene = need!(Scene::new());
    let (_process, roots, ticks) = process();
    let run = format!("run/user/{USER}");
    let state = json!({ "init_process_pid": roots, "init_process_start": ticks }).to_string();
    scene.host.write("srv/runc/web/state.json", &state);
    scene.host.directory(&format!("{run}/runc"));
    symlink(scene.host.path("srv/runc/web"), scene.host.path(&format!("{run}/runc/web"))).unwrap();
    for path in ["", "/runc"] {
        chown(scene.host.path(&format!("{run}{path}")), Some(USER), None).unwrap();
    }
    let said = scene.sudo_cpid(&["-v", "oci:web"]).fails_with(1).stdout_is("");
    said.stderr_has("state.json: belongs to root, not to user 65534");
    // Nor does a socket of the user's that is a link to another one of root's.
    let _roots = knows(&id('a'), "other", roots).listen(scene.host.path("srv/other.sock"));
    let link = scene.host.path(&format!("{run}/{DOCKER}"));
    symlink(scene.host.path("srv/other.sock"), link).unwrap();
    let said = scene.sudo_cpid(&["docker:other"]).fails_with(2).stdout_is("");
    said.stderr_has("which is not in a user namespace of that user");
}

#[test]
fn state_that_is_not_roots_does_not_speak_for_root() {
    let scene = need!(Scene::new());
    let (_process, pid, ticks) = process();
    let host = &scene.host;
    host.docker_runs(&id('a'), "web", pid, ticks);
    let runc = json!({ "init_process_pid": pid, "init_process_start": ticks }).to_string();
    host.write("run/runc/db/state.json", runc);
    host.write("run/systemd/machines/box", format!("NAME=box\nCLASS=container\nLEADER={pid}\n"));
    let containers = [
        ("docker:web", format!("var/lib/docker/containers/{}/config.v2.json", id('a'))),
        ("oci:db", "run/runc/db/state.json".to_owned()),
        ("machine:box", "run/systemd/machines/box".to_owned()),
    ];
    let given = |file: &Path, to: u32| chown(file, Some(to), None).unwrap();
    for (target, file) in &containers {
        host.cpid(&[target]).run().ok().stdout_is(&format!("{pid}\n"));
        let file = host.path(file);
        given(&file, USER);
        let said = host.cpid(&[target]).run().fails_with(2).stdout_is("");
        said.stderr_has(&format!("{}: belongs to user {USER}, not to root", file.display()));
        given(&file, 0);
    }
    // Nor do the names in a directory that is another's.
    given(&host.path("run/runc"), USER);
    host.cpid(&["oci:db"]).run().fails_with(2).stdout_is("").stderr_has("run/runc: belongs to user 65534");
}

#[test]
fn a_docker_context_that_is_not_roots_chooses_no_engine_for_root() {
    let scene = need!(Scene::new());
    let (_process, roots, _) = process();
    let _theirs = scene.users_engine(DOCKER, knows(&id('b'), "web", scene.users.pid()));
    let _roots = scene.roots_engine(DOCKER, knows(&id('a'), "web", roots));
    let socket = scene.host.path(&format!("run/user/{USER}/{DOCKER}"));
    let meta = json!({ "Name": "mine", "Endpoints": { "docker": { "Host": format!("unix://{}", socket.display()) } } });
    scene.host.write("home/.docker/contexts/meta/x/meta.json", meta.to_string());
    scene.host.write("home/.docker/config.json", r#"{ "currentContext": "mine" }"#);
    let ask = || scene.host.cpid(&["web"]).env("HOME", scene.host.path("home")).run();
    // As root's own choice it counts.
    ask().ok().stdout_is(&scene.users_pid());
    let is_given = |path: &str, user: u32| chown(scene.host.path(path), Some(user), None).unwrap();
    is_given("home/.docker/config.json", USER);
    ask().ok().stdout_is(&format!("{roots}\n"));
    // Nor do files of root in a user's home: links of the user's can lead to any of them.
    is_given("home/.docker/config.json", 0);
    is_given("home", USER);
    ask().ok().stdout_is(&format!("{roots}\n"));
}
