//! Containers by name, as an engine knows them.

use std::os::unix::fs::PermissionsExt;

use crate::{add_nic, everything, lab, reaches};
use support::container::Options;
use support::fake_docker;
use support::fake_engine::{Answer, Script};
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::until::until;

#[test]
fn a_container_is_known_by_its_name() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let _engine = fake_docker::knows(&[&web]).listen(lab.path("/run/docker.sock"));
    let said = add_nic(&lab, &["web", "10.1.0.2/24"]).ok();
    assert!(
        said.stdout.starts_with("web: eth0 10.1.0.2/24, host end web-eth0 10.1.0.1/24, reachable after "),
        "{said}"
    );
    reaches(&lab, "10.1.0.2");
    add_nic(&lab, &["--list"])
        .ok()
        .stdout_has("web        eth0  10.1.0.2/24  web-eth0  10.1.0.1/24     -   ok");
    add_nic(&lab, &["--rm", "web", "eth0"]).ok().stdout_is("web: eth0 10.1.0.2/24 removed\n");
}

#[test]
fn a_container_that_was_stopped_or_paused_is_refused() {
    let lab = need!(lab());
    let mut web = lab.container("web", Options::only(&["net"]));
    let before = everything(&lab, &[]);
    let paused = serde_json::json!({
        "Id": fake_docker::id_of("web"), "Name": "/web",
        "State": { "Status": "paused", "Running": true, "Paused": true, "Pid": web.pid, "StartedAt": fake_docker::just_now() },
    });
    let script = Script::new().otherwise(Answer::json(200, &paused.to_string()));
    let engine = script.listen(lab.path("/run/docker.sock"));
    let refused = add_nic(&lab, &["web", "10.1.0.2/24"]).fails_with(1);
    refused.stderr_has("is paused").stderr_has("hint: docker unpause web");
    drop(engine);
    web.stop();
    let _engine = fake_docker::knows(&[&web]).listen(lab.path("/run/docker.sock"));
    add_nic(&lab, &["web", "10.1.0.2/24"]).fails_with(1).stderr_has("docker start web");
    assert_eq!(everything(&lab, &[]), before);
    add_nic(&lab, &["--rm", "web"]).ok();
}

/// What a shell does with the line `hint: …` of `said`, where `docker` is a program that shows its words.
fn pasted(lab: &Lab, line: &str) -> String {
    let docker = lab.path("/stubs/docker");
    std::fs::create_dir_all(docker.parent().unwrap()).unwrap();
    std::fs::write(&docker, "#!/bin/sh\nprintf '[%s]' \"$@\"\n").unwrap();
    std::fs::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).unwrap();
    let shell = std::process::Command::new("/bin/sh")
        .args(["-c", line])
        .env("PATH", docker.parent().unwrap())
        .output();
    String::from_utf8(shell.unwrap().stdout).unwrap()
}

#[test]
fn a_hint_is_no_command_of_the_container_that_it_names() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let id = fake_docker::id_of("web");
    for name in [
        "p;$(printf x)",
        "p`printf x`",
        "p'$(printf x)'",
        "p && printf x",
        "*",
        "p\nprintf x",
        "p\u{1b}[2J",
        "p\u{202e}x",
        "--host=tcp://192.0.2.1",
    ] {
        let paused = serde_json::json!({
            "Id": id, "Name": format!("/{name}"),
            "State": { "Status": "paused", "Running": true, "Paused": true, "Pid": web.pid, "StartedAt": fake_docker::just_now() },
        });
        let script = Script::new().otherwise(Answer::json(200, &paused.to_string()));
        let _engine = script.listen(lab.path("/run/docker.sock"));
        let refused = add_nic(&lab, &[&id, "10.1.0.2/24"]).fails_with(1);
        assert_eq!(refused.stderr.lines().count(), 2, "no line of the name's: {refused}");
        let hint = refused.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap();
        assert_eq!(pasted(&lab, hint), format!("[unpause][{id}]"), "{hint}");
    }
}

#[test]
fn a_container_that_was_restarted_gets_a_nic_of_its_own() {
    let lab = need!(lab());
    let mut web = lab.container("web", Options::only(&["net"]));
    let engine = fake_docker::knows(&[&web]).listen(lab.path("/run/docker.sock"));
    add_nic(&lab, &["web", "10.1.0.2/24"]).ok();
    drop(engine);
    web.restart();
    // The kernel takes its time to end a namespace.
    let is_there = || lab.command("ip").args(["link", "show", "web-eth0"]).run().status.unwrap().success();
    until("web-eth0 is gone", || !is_there());
    let _engine = fake_docker::knows(&[&web]).listen(lab.path("/run/docker.sock"));
    add_nic(&lab, &["web", "10.1.0.2/24"]).ok();
    reaches(&lab, "10.1.0.2");
    assert_eq!(add_nic(&lab, &["--list", "--json"]).ok().json().as_array().unwrap().len(), 1);
}
