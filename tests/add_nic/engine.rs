//! Containers by name, as an engine knows them.

use crate::support::container::Options;
use crate::support::fake_docker;
use crate::support::fake_engine::{Answer, Script};
use crate::support::run::Run;
use crate::support::skip::need;
use crate::support::until::until;
use crate::{add_nic, everything, lab, reaches};

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
        .stdout_has("web        eth0  10.1.0.2/24  web-eth0   10.1.0.1/24    -   as made");
    add_nic(&lab, &["--rm", "web", "eth0"]).ok().stdout_is("web: eth0 10.1.0.2/24 removed\n");
}

#[test]
fn a_container_that_was_stopped_or_paused_is_refused() {
    let lab = need!(lab());
    let mut web = lab.container("web", Options::only(&["net"]));
    let before = everything(&lab, &[]);
    let paused = serde_json::json!({
        "Id": fake_docker::id_of("web"), "Name": "/web",
        "State": { "Status": "paused", "Running": true, "Paused": true, "Pid": web.pid },
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
