//! Engines that cannot be asked: absent, forbidden, on another host.

use std::fs;

use support::container::Options;
use support::fake_docker;
use support::lab::Lab;
use support::run::{Ran, Run};
use support::scratch::{Scratch, unique};
use support::skip::{need, program};
use support::tools;
use support::world::World;

const SOCKET: &str = "/run/docker.sock";

#[test]
fn a_daemon_that_is_absent_is_an_error_with_a_hint() {
    let lab = need!(Lab::new());
    lab.tool("cpid")
        .arg("docker:web")
        .run()
        .fails_with(2)
        .stdout_is("")
        .stderr_has("cpid: docker is not running: /run/docker.sock is not there\n")
        .stderr_has("hint: systemctl start docker\n");
}

#[test]
fn where_there_is_no_engine_of_any_kind_none_of_them_is_said_to_be_stopped() {
    let lab = need!(Lab::new());
    let none = "cpid: no container engine was found on this host (looked for docker, podman, ";
    for words in [&["web"][..], &["--list"]] {
        let said = lab.tool("cpid").args(words).run().fails_with(2).stdout_is("").stderr_has(none);
        assert!(!said.stderr.contains("systemctl"), "{said}");
    }
    // Podman has no daemon that could be stopped.
    let said = lab.tool("cpid").arg("podman:x").run().fails_with(2);
    said.stderr_is("cpid: podman has no containers on this host: /run/podman/podman.sock is not there\n");
    let said = lab.tool("cpid").arg("pod:x").run().fails_with(2);
    said.stderr_has("cpid: none of these engines was found on this host: ").stderr_has("containerd, crio");
}

#[test]
fn a_process_that_no_engine_knows_is_in_no_container_only_if_it_has_nothing_of_its_own() {
    let lab = need!(Lab::new());
    let of = |pid: i32| lab.tool("cpid").args(["--of", &pid.to_string()]).run();
    of(1).fails_with(1).stdout_is("").stderr_is("cpid: PID 1: is not in a container\n");
    let known = "no engine here knows a container that it is in";
    for (kinds, differs, in_json) in [
        (&["net"][..], "its network namespace differs", vec!["net"]),
        (&["pid", "mnt"], "its PID namespace differs", vec!["pid"]),
        (&["net", "pid", "mnt"], "its PID and network namespaces differ", vec!["pid", "net"]),
    ] {
        let web = lab.container("web", Options::only(kinds));
        let said = format!("cpid: PID {}: {known}, but {differs} from the host's\n", web.pid);
        of(web.pid).fails_with(2).stdout_is("").stderr_is(&said);
        let json = lab.tool("cpid").args(["--json", "--of", &web.pid.to_string()]).run().fails_with(2);
        assert_eq!(json.json()[0]["pid"], web.pid);
        assert_eq!(json.json()[0]["differs"], serde_json::json!(in_json));
        assert_eq!(json.json()[0]["container_id"], serde_json::Value::Null);
        json.stderr_is(&said);
    }
}

#[test]
fn a_daemon_that_died_and_left_its_socket_is_an_error_with_a_hint() {
    let lab = need!(Lab::new());
    drop(std::os::unix::net::UnixListener::bind(lab.path(SOCKET)).unwrap());
    let said = lab.tool("cpid").arg("web").run().fails_with(2);
    said.stderr_has("cpid: docker ").stderr_has(SOCKET).stderr_has("hint: ");
}

#[test]
fn a_pid_needs_no_engine() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::only(&["net"]));
    let said = format!("{}\n", web.pid);
    lab.tool("cpid").arg(format!("pid:{}", web.pid)).run().ok().stdout_is(&said);
    lab.tool("cpid").arg(web.pid.to_string()).run().ok().stdout_is(&said);
    let gone = 4_194_303;
    let error = format!("cpid: PID {gone}: no such process\n");
    lab.tool("cpid").arg(gone.to_string()).run().fails_with(1).stderr_is(&error);
}

#[test]
fn a_pid_with_the_inode_of_another_process_is_refused() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::only(&["net"]));
    let ran = lab.tool("cpid").arg(format!("{}:1", web.pid)).run();
    // Before Linux 6.9 the kernel has no such inodes, and we must not guess.
    let status = if ran.stderr.contains("Linux 6.9") { 2 } else { 1 };
    ran.fails_with(status).stdout_is("");
}

#[test]
fn a_socket_that_is_not_ours_to_use_says_which_group_to_join() {
    let lab = need!(Lab::with_users());
    need!(program("setpriv", "util-linux"));
    need!(lab.user_namespace());
    let web = lab.container("web", Options::only(&["net"]));
    let _engine = fake_docker::knows(&[&web]).listen(lab.path(SOCKET));
    let cpid = for_everybody(&lab);
    lab.shell(&format!("chown 0:1 {SOCKET}; chmod 660 {SOCKET}")).run().ok();
    let group = lab.command("stat").args(["--format", "%G", SOCKET]).run().ok().text().to_owned();
    let as_user = |groups: &str| {
        let mut command = lab.command("setpriv");
        command.args(["--reuid=1000", "--regid=1000", groups, &cpid, "web"]);
        command.run()
    };
    as_user("--clear-groups")
        .fails_with(2)
        .stdout_is("")
        .stderr_has(SOCKET)
        .stderr_has(&format!("{SOCKET}, which the group {group} has\nhint: sudo cpid web\nwithout root: "));
    // What is said of the group is true.
    as_user("--groups=1").ok().stdout_is(&format!("{}\n", web.pid));
}

#[test]
fn a_socket_in_a_directory_that_is_closed_to_us_is_not_called_absent() {
    let lab = need!(Lab::with_users());
    need!(program("setpriv", "util-linux"));
    need!(lab.user_namespace());
    fs::create_dir(lab.path("/run/private")).unwrap();
    let _engine = fake_docker::knows(&[]).listen(lab.path("/run/private/docker.sock"));
    let cpid = for_everybody(&lab);
    lab.shell("chmod 700 /run/private").run().ok();
    let mut command = lab.command("setpriv");
    command.args(["--reuid=1000", "--regid=1000", "--clear-groups", &cpid, "web"]);
    command.env("DOCKER_HOST", "unix:///run/private/docker.sock");
    command
        .run()
        .fails_with(2)
        .stderr_has("permi")
        .stderr_has("hint: use sudo, with the same command line\n");
}

#[test]
fn docker_host_says_where_docker_is() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::only(&["net"]));
    let dir = Scratch::new();
    let engine = fake_docker::knows(&[&web]).listen_by(lab.command("perl"), dir.path("sock"));
    let ask = |address: &str| lab.tool("cpid").arg("web").env("DOCKER_HOST", address).run();
    ask(&engine.url()).ok().stdout_is(&format!("{}\n", web.pid));
    ask("").fails_with(2).stderr_has("no container engine was found on this host (looked for docker, ");
    ask("unix:///nowhere").fails_with(2).stderr_has("/nowhere is not there");
    for remote in ["ssh://admin@example.org", "tcp://192.0.2.1:2375"] {
        ask(remote).fails_with(2).stdout_is("").stderr_has(&format!("docker is on another host: {remote}\n"));
    }
    // A forgotten scheme is not another host.
    ask("/run/docker.sock").fails_with(2).stderr_has("DOCKER_HOST").stderr_has("unix:///run/docker.sock");
}

#[test]
fn the_context_that_dockers_own_client_made_says_where_docker_is() {
    let world = need!(World::get().and_then(World::with_docker));
    let web = world.docker_container("web", &[]);
    let config = Scratch::new();
    let docker = |args: &[&str]| {
        world.command("docker").args(args).env("DOCKER_CONFIG", config.as_ref()).run().ok();
    };
    let [here, there] = [unique("here-"), unique("there-")];
    docker(&["context", "create", &here, "--docker", "host=unix:///run/docker.sock"]);
    docker(&["context", "create", &there, "--docker", "host=tcp://192.0.2.1:2375"]);
    let ask = |context: &str| {
        let mut cpid = world.tool("cpid");
        cpid.arg(&web.name).env("DOCKER_CONFIG", config.as_ref()).env("DOCKER_CONTEXT", context).run()
    };
    let found = format!("{}\n", web.pid());
    for local in ["", "default", &here] {
        ask(local).ok().stdout_is(&found);
    }
    ask(&there).fails_with(2).stderr_has("docker is on another host: tcp://192.0.2.1:2375");
    ask("nowhere").fails_with(2).stderr_has("has no context named nowhere");
    docker(&["context", "use", &there]);
    ask("").fails_with(2).stderr_has("docker is on another host");
    ask("default").ok().stdout_is(&found);
    fs::write(config.path("config.json"), "{").unwrap();
    ask("").fails_with(2).stderr_has("config.json");
}

#[test]
fn an_engine_that_this_version_cannot_ask_is_not_said_to_have_answered() {
    let lab = need!(Lab::new());
    let said = lab.tool("cpid").arg("lxc:web").run().fails_with(2);
    assert!(!said.stderr.contains("no such container"), "{said}");
}

#[test]
fn a_pod_is_asked_of_those_who_know_of_pods() {
    let lab = need!(Lab::new());
    let _engine = fake_docker::knows(&[]).listen(lab.path(SOCKET));
    fs::create_dir_all(lab.path("/run/containerd/io.containerd.runtime.v2.task/k8s.io")).unwrap();
    lab.tool("cpid").arg("pod:web").run().fails_with(1).stderr_has("(asked: containerd)\n");
}

#[test]
fn whose_a_process_is_cannot_be_denied_when_an_engine_could_not_be_asked() {
    let lab = need!(Lab::with_users());
    need!(program("setpriv", "util-linux"));
    need!(lab.user_namespace());
    let web = lab.container("web", Options::only(&["net"]));
    let _engine = fake_docker::knows(&[&web]).listen(lab.path(SOCKET));
    let (cpid, pid) = (for_everybody(&lab), web.pid.to_string());
    let as_user = || {
        let mut command = lab.command("setpriv");
        command.args(["--reuid=1000", "--regid=1000", "--clear-groups", &cpid, "--of", &pid]);
        command.run()
    };
    lab.shell(&format!("chmod 666 {SOCKET}")).run().ok();
    as_user().ok().stdout_is("docker:web\n");
    lab.shell(&format!("chmod 600 {SOCKET}")).run().ok();
    as_user().fails_with(2).stdout_is("").stderr_has("docker: no permission for /run/docker.sock");
}

#[test]
fn a_user_whom_docker_answers_is_not_told_what_only_root_may_read() {
    let lab = need!(Lab::with_users());
    need!(program("setpriv", "util-linux"));
    need!(lab.user_namespace());
    let web = lab.container("web", Options::only(&["net"]));
    let _engine = fake_docker::knows(&[&web]).listen(lab.path(SOCKET));
    let closed = "/run/containerd/io.containerd.runtime.v2.task";
    let dockers = "/run/docker/containerd/daemon/io.containerd.runtime.v2.task";
    lab.shell(&format!("chmod 666 {SOCKET}; mkdir -p {closed} {dockers}; chmod 700 {closed} {dockers}"))
        .run()
        .ok();
    let cpid = |words: &[&str]| as_user(&lab, "cpid", words);
    cpid(&["--list"]).ok().stdout_has("web").stderr_is("");
    cpid(&["web"]).ok().stdout_is(&format!("{}\n", web.pid)).stderr_is("");
    let unknown = cpid(&["ngnix"]).fails_with(1).stderr_has("cpid: ngnix: no such container (asked: docker");
    assert!(!unknown.stderr.contains("permission"), "{unknown}");
    // It is named once, for those who want to know.
    for word in ["--list", "ngnix"] {
        let said = cpid(&["-v", word]);
        assert_eq!(said.stderr.matches(&format!("{closed}: permission denied")).count(), 1, "{said}");
    }
}

#[test]
fn without_rights_every_tool_says_one_line_and_the_command_that_has_them() {
    let lab = need!(Lab::with_users());
    need!(program("setpriv", "util-linux"));
    need!(lab.user_namespace());
    let web = ["web-1", "web-2"].map(|name| lab.container(name, Options::only(&["net"])));
    let _engine = fake_docker::knows(&web.each_ref()).listen(lab.path(SOCKET));
    lab.shell(&format!("chmod 600 {SOCKET}; mkdir -m 700 /run/netns-toolbox")).run().ok();
    let everything = [
        ("cpid", "--list"),
        ("cpid", "web-1"),
        ("nsenter-rs", "--each web-* -n true"),
        ("netns-ping", "--matrix web-*"),
        ("netns-link", "--all"),
        ("add-nic", "--list"),
    ];
    for (tool, words) in everything {
        let words: Vec<&str> = words.split(' ').collect();
        let said = as_user(&lab, tool, &words);
        let quoted = words.join(" ").replace("web-*", "'web-*'");
        let hint = format!("\nhint: sudo {tool} {quoted}\n");
        assert!(said.stderr.contains(&hint) && said.stderr.lines().count() == 3, "{said}");
        assert!(said.stderr.lines().next_back().unwrap().starts_with("without root: "), "{said}");
        said.fails_with(if tool == "nsenter-rs" { 1 } else { 2 });
    }
    // Docker answers, and to make a link takes root all the same: it is said once.
    lab.shell(&format!("chmod 666 {SOCKET}")).run().ok();
    let said = as_user(&lab, "netns-link", &["--all"]).fails_with(2).stdout_is("");
    assert_eq!(said.stderr.lines().count(), 3, "{said}");
    said.stderr_has("permission denied").stderr_has("\nhint: sudo netns-link --all\n");
}

#[test]
fn where_only_root_may_read_an_engines_state_every_tool_names_the_engine_and_the_way_out() {
    let lab = need!(Lab::with_users());
    need!(program("setpriv", "util-linux"));
    need!(lab.user_namespace());
    let closed = "/run/containerd/io.containerd.runtime.v2.task";
    lab.shell(&format!("mkdir -p {closed}; chmod 700 {closed}; mkdir -m 700 /run/netns-toolbox")).run().ok();
    let everything = [
        ("cpid", "--list"),
        ("cpid", "web-1"),
        ("cpid", "containerd:web-1"),
        ("nsenter-rs", "--each web-* -n true"),
        ("nsenter-rs", "--each containerd:web-* -n true"),
        ("nsenter-rs", "--each pod:web-* -n true"),
        ("nsenter-rs", "-t web-1 -n true"),
        ("netns-ping", "--matrix pod:web-*"),
        ("netns-link", "--all"),
    ];
    for (tool, words) in everything {
        let words: Vec<&str> = words.split(' ').collect();
        let said = as_user(&lab, tool, &words);
        // Of nsenter-rs a failure of its own is 1, as util-linux has it; everywhere else "cannot tell" is 2.
        let said = said.fails_with(if tool == "nsenter-rs" { 1 } else { 2 }).stdout_is("");
        let said = said.stderr_has(&format!("containerd could not be asked: {closed}: permission denied"));
        assert!(!said.stderr.contains("no running container") && !said.stderr.contains("podman"), "{said}");
        said.stderr_has("\nhint: sudo ");
    }
}

fn as_user(lab: &Lab, tool: &str, words: &[&str]) -> Ran {
    let mut command = lab.command("setpriv");
    command
        .args(["--reuid=1000", "--regid=1000", "--clear-groups", &copy_for_everybody(lab, tool)])
        .args(words);
    command.run()
}

fn for_everybody(lab: &Lab) -> String {
    copy_for_everybody(lab, "cpid")
}

/// A copy of a tool that every user can reach: the build may be in somebody's closed home.
fn copy_for_everybody(lab: &Lab, tool: &str) -> String {
    let copy = format!("/run/{tool}");
    // By a process of its own: a descriptor of ours would be open for writing in whatever another test starts meanwhile, and
    // such a program cannot be run.
    lab.command("install").args(["-m", "755", tools::tool(tool), &copy]).run().ok();
    copy
}
