//! What is typed: a bad name is refused before anything is touched.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::{everything, netns_link};
use support::container::Options;
use support::engine_state::{Host, id};
use support::fake_docker;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;

#[test]
fn a_bad_name_is_refused_before_anything_is_touched() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let pid = web.pid.to_string();
    let before = everything(&lab);
    let long = "a".repeat(256);
    let names: [&[u8]; 11] = [
        b"",
        b".",
        b"..",
        b"/",
        b"../web",
        b"a/b",
        b"a\nb",
        b"a\x1b[2Jb",
        b"a\x7fb",
        b"\xff",
        long.as_bytes(),
    ];
    for name in names {
        for equals in ["--as=", "--rm="] {
            let mut link = lab.tool("netns-link");
            link.env("CLICOLOR_FORCE", "1").arg(OsStr::from_bytes(&[equals.as_bytes(), name].concat()));
            if equals == "--as=" {
                link.arg(&pid);
            }
            let ran = link.run().fails_with(2).stdout_is("").stderr_has("netns-link: ");
            let harmless = ran.stderr.chars().all(|c| c == '\n' || !c.is_control());
            assert!(harmless && ran.stderr.len() < 500, "{ran}");
        }
    }
    for words in [&[&pid, "--as", "-x"][..], &[&pid, "--as=-x"], &["--rm", "-x"], &["--rm=-x"]] {
        netns_link(&lab, words).fails_with(2).stdout_is("");
    }
    assert_eq!(everything(&lab), before);
}

#[test]
fn names_that_ip_takes_are_taken() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let pid = web.pid.to_string();
    let long = "a".repeat(255);
    for name in [long.as_str(), "größer", "a b", "cni-1234", "4711", "a:b", "%n"] {
        netns_link(&lab, &[&pid, "--as", name]).ok().stdout_is(&format!("/run/netns/{name}\n"));
        lab.command("ip").args(["netns", "exec", name, "true"]).run().ok();
        netns_link(&lab, &["--rm", name]).ok();
    }
}

#[test]
fn contradictions_are_usage_errors() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let pid = web.pid.to_string();
    let before = everything(&lab);
    let lines: [&[&str]; 8] = [
        &[],
        &[""],
        &["-t"],
        &["--rm"],
        &[&pid, &pid, "--as", "web"],
        &["--rm", "--list"],
        &["--rm", "web", "--as", "web"],
        &["--as", "web"],
    ];
    for words in lines {
        netns_link(&lab, words).fails_with(2).stdout_is("").stderr_has("netns-link: ");
    }
    assert_eq!(everything(&lab), before);
}

#[test]
fn what_has_no_name_of_its_own_must_be_given_one() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let pid = web.pid.to_string();
    let refused = netns_link(&lab, &[&pid]).fails_with(2).stdout_is("");
    refused.stderr_has("has no name").stderr_has(&format!("hint: netns-link pid:{pid} --as NAME\n"));
    assert!(!lab.path("/run/netns").exists());
}

/// A pod's name and its container's are longer together than a file's name may be.
#[test]
fn a_container_whose_name_is_too_long_for_a_link_is_linked_under_another_as_the_hint_says() {
    let host = need!(Host::new());
    let web = host.lab.container("web", Options::default());
    let pod = "p".repeat(200);
    let annotations = serde_json::json!({
        "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": "c".repeat(60),
        "io.kubernetes.cri.sandbox-id": id("5a5a"), "io.kubernetes.cri.sandbox-name": pod,
        "io.kubernetes.cri.sandbox-namespace": "prod",
    });
    host.task("k8s.io", &id("3f2a"), web.pid, &annotations);
    let target = format!("pod:prod/{pod}/{}", "c".repeat(60));
    let link = |words: &[&str]| {
        let mut command = host.lab.command("env");
        command.args(["NETNS_TOOLBOX_ROOT=/run/host", support::tools::tool("netns-link")]).args(words).run()
    };
    let refused = link(&[&target]).fails_with(2).stdout_is("");
    refused.stderr_has("1 to 255 bytes").stderr_has(&format!("\nhint: netns-link {target} --as NAME\n"));
    link(&[&target, "--as", "web"]).ok();
    assert!(host.lab.path("/run/netns/web").exists());
}

#[test]
fn an_answer_about_another_container_is_not_believed_and_its_name_not_made_a_path() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let lie = serde_json::json!({
        "Id": fake_docker::id_of("web"), "Name": "/../../etc/cron.d/x",
        "State": { "Status": "running", "Running": true, "Pid": web.pid, "StartedAt": fake_docker::just_now() },
    });
    let answer = support::fake_engine::Answer::json(200, &lie.to_string());
    let script = support::fake_engine::Script::new().otherwise(answer);
    let _engine = script.listen(lab.path("/run/docker.sock"));
    let before = everything(&lab);
    for words in [&["web"][..], &["web", "--as", "web"]] {
        let refused = netns_link(&lab, words).fails_with(2).stdout_is("");
        refused.stderr_has("gave an invalid answer: a container that was not asked for");
    }
    assert_eq!(everything(&lab), before);
    // Asked for by its ID, it is called by that.
    let id = fake_docker::id_of("web");
    netns_link(&lab, &[&id]).ok();
    assert!(lab.path(format!("/run/netns/{id}")).exists());
}
