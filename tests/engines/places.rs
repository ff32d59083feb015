//! Where state is looked for: as the daemon that runs was started, then as its configuration says, then where distributions
//! and snaps keep it. Observers: real daemons started elsewhere; state written by hand where there is none.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::by_hand::{Host, docker_config, id, process};
use support::run::Run;
use support::scratch::unique;
use support::skip::need;
use support::spare_docker::SpareDocker;

/// What this process is for Docker, with these directories for its data, its exec root and containerd's state.
fn docker_runs(host: &Host, (data, exec, state): (&str, &str, &str), namespace: &str, pid: i32, ticks: u64) {
    let id = id('a');
    let config = docker_config(&id, "web", true);
    host.write(&format!("{data}/containers/{id}/config.v2.json"), format!("{config}\n"));
    host.write(&format!("{state}/io.containerd.runtime.v2.task/{namespace}/{id}/init.pid"), pid.to_string());
    let record = json!({ "init_process_pid": pid, "init_process_start": ticks });
    host.write(&format!("{exec}/runtime-runc/{namespace}/{id}/state.json"), record.to_string());
}

fn finds(host: &Host, target: &str, pid: i32) {
    host.cpid(&[target]).run().ok().stdout_is(&format!("{pid}\n")).stderr_is("");
}

/// What it is, containerd's state directory, and its configuration: files below `/etc/containerd` with their content.
type Place<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// The engines of the containers that are listed.
fn engines(host: &Host) -> Vec<String> {
    let listed = host.cpid(&["--list", "--json"]).run().ok().json();
    let engine = |one: &Value| one["engine"].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(engine).collect()
}

/// A directory that our tools take for `/`, in which nothing but the spare Docker's socket is known.
struct Elsewhere {
    root: String,
}

impl Elsewhere {
    fn of(spare: &SpareDocker) -> Elsewhere {
        let root = unique("/run/elsewhere-");
        let make = "mkdir -p \"$2/run\" \"$2/var/lib/docker/containers\" \"$2/etc\"
            ln -s /run/containerd \"$2/run/containerd\"; ln -s \"$0/run/docker.sock\" \"$2/run/docker.sock\"";
        spare.shell(make).arg(&root).run().ok();
        Elsewhere { root }
    }

    fn cpid(&self, spare: &SpareDocker, target: &str) -> Command {
        let mut cpid = spare.tool("cpid");
        cpid.env("NETNS_TOOLBOX_ROOT", &self.root).args(["--engine-timeout", "300ms", target]);
        cpid
    }
}

#[test]
fn a_docker_that_was_started_with_other_roots_is_found_by_its_command_line_when_it_hangs() {
    let spare = need!(SpareDocker::start());
    let elsewhere = Elsewhere::of(&spare);
    spare.run("web");
    spare.docker(&["create", "--name", "made", support::world::IMAGE, "true"]).ok();
    let pid = spare.pid("web");
    spare.signal("STOP");
    // The containers directory at the usual place is an old one.
    elsewhere.cpid(&spare, "docker:web").run().ok().stdout_is(&format!("{pid}\n"));
    elsewhere.cpid(&spare, "docker:made").run().fails_with(1).stderr_has("made is not running (created)");
    elsewhere.cpid(&spare, "docker:nope").run().fails_with(1).stderr_has("no such container");
    spare.shell("rm -r \"$2\"").arg(&elsewhere.root).run().ok();
}

#[test]
fn behind_systemds_socket_the_daemon_is_what_its_pid_file_names() {
    let spare = need!(SpareDocker::start());
    let elsewhere = Elsewhere::of(&spare);
    spare.run("web");
    let pid = spare.pid("web");
    // Like systemd, it listens, is called so, and leaves the answer to another process, which hangs.
    let systemd = "rm \"$2/run/docker.sock\"; cp \"$0/pid\" \"$2/run/docker.pid\"
        exec perl -MSocket -e '$0 = \"systemd\"; $| = 1; socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die $!;
            bind($s, pack_sockaddr_un(shift)) or die $!; listen($s, 9) or die $!; print \"listening\\n\"; sleep 600' \
            \"$2/run/docker.sock\"";
    let systemd = spare.shell(systemd).arg(&elsewhere.root).start();
    systemd.wait_for("listening");
    elsewhere.cpid(&spare, "docker:web").run().ok().stdout_is(&format!("{pid}\n"));
    // It names another program: where the state is cannot be known, and no "no" is certain.
    spare.shell("echo 1 >\"$2/run/docker.pid\"").arg(&elsewhere.root).run().ok();
    let said = elsewhere.cpid(&spare, "docker:web").run().fails_with(2).stdout_is("");
    said.stderr_has("where it keeps its state could not be found out");
    drop(systemd);
    spare.shell("rm -r \"$2\"").arg(&elsewhere.root).run().ok();
}

#[test]
fn snaps_docker_is_found_while_it_does_not_run() {
    let (_process, pid, ticks) = process();
    let host = Host::new();
    let (data, exec) = ("var/snap/docker/common/var-lib-docker", "run/snap.docker");
    docker_runs(&host, (data, exec, "run/snap.docker/containerd/daemon"), "moby", pid, ticks);
    finds(&host, "web", pid);
    assert_eq!(engines(&host), ["docker"]);
}

#[test]
fn remapped_users_have_a_directory_and_a_namespace_of_their_own() {
    let (_process, pid, ticks) = process();
    let host = Host::new();
    host.write("etc/docker/daemon.json", r#"{"userns-remap": "default"}"#);
    let places = ("var/lib/docker/100000.100000", "run/docker", "run/containerd");
    docker_runs(&host, places, "moby-100000.100000", pid, ticks);
    // What was there before the users were remapped is not what runs.
    let old = docker_config(&id('b'), "web", false).to_string();
    host.write(&format!("var/lib/docker/containers/{}/config.v2.json", id('b')), format!("{old}\n"));
    finds(&host, "web", pid);
    assert_eq!(engines(&host), ["docker"]);
    host.cpid(&["--of", &pid.to_string()]).run().ok().stdout_is("docker:web\n");
}

#[test]
fn containerd_is_found_wherever_its_state_is() {
    let (_process, pid, ticks) = process();
    let record =
        json!({ "init_process_pid": pid, "init_process_start": ticks, "created": "2024-01-01T00:00:00Z" });
    let config: [Place<'_>; 6] = [
        ("k3s", "run/k3s/containerd", &[]),
        ("k0s", "run/k0s/containerd", &[]),
        ("MicroK8s", "var/snap/microk8s/common/run/containerd", &[]),
        ("config.toml", "srv/one", &[("config.toml", "version = 2\nstate = \"/srv/one\"\n[plugins]\n")]),
        (
            "imports",
            "srv/two",
            &[("config.toml", "imports = [\"conf.d/*.toml\"]\n"), ("conf.d/a.toml", "state = '/srv/two'")],
        ),
        ("runc alone", "srv/unknown", &[]),
    ];
    for (what, state, files) in config {
        let host = Host::new();
        for (file, content) in files {
            host.write(&format!("etc/containerd/{file}"), content);
        }
        host.write(&format!("{state}/io.containerd.runtime.v2.task/k8s.io/web/init.pid"), pid.to_string());
        host.write("run/containerd/runc/k8s.io/web/state.json", record.to_string());
        eprintln!("{what}");
        finds(&host, "web", pid);
        finds(&host, "containerd:k8s.io/web", pid);
        assert_eq!(engines(&host), ["containerd"], "{what}");
        fs::remove_dir_all(host.path("run/containerd")).unwrap();
        if what != "runc alone" {
            finds(&host, "web", pid);
        }
    }
    let host = Host::new();
    host.write("etc/containerd/config.toml", "state = ");
    host.directory("run/containerd");
    host.cpid(&["containerd:web"]).run().fails_with(2).stderr_has("config.toml");
}

#[test]
fn a_pid_file_that_is_older_than_the_process_is_of_another_one() {
    let (_process, pid, _) = process();
    let host = Host::new();
    let file = "run/containerd/io.containerd.runtime.v2.task/default/web/init.pid";
    host.write(file, pid.to_string());
    finds(&host, "web", pid);
    // The PID was used again, and the runtime's state, which would say so, is gone.
    let touched = Command::new("touch").args(["-d", "1 hour ago"]).arg(host.path(file)).status();
    assert!(touched.unwrap().success());
    let said = host.cpid(&["web"]).run().fails_with(2).stdout_is("");
    said.stderr_has(&format!("PID {pid}, but nothing shows that"));
}

#[test]
fn podman_is_found_where_storage_conf_says() {
    let (_process, pid, ticks) = process();
    let written = [
        ("etc/containers/storage.conf", "[storage]\ngraphroot = \"/srv/pods\"\nrunroot = \"/srv/run\"\n"),
        (
            "usr/share/containers/storage.conf",
            "[storage]\ndriver = \"vfs\"\ngraphroot = '/srv/pods'\nrunroot = '/srv/run'\n",
        ),
        (
            "etc/containers/storage.conf.d/10-moved.conf",
            "[storage]\ngraphroot = \"/srv/pods\"\nrunroot = \"/srv/run\"\n",
        ),
    ];
    let metadata = json!({ "image-name": "busybox", "image-id": "", "name": "web", "created-at": 1 });
    let list = json!([{ "id": id('a'), "names": ["web"], "metadata": metadata.to_string() }]);
    for (file, content) in written {
        let host = Host::new();
        host.write(file, content);
        host.write("srv/pods/vfs-containers/containers.json", list.to_string());
        let status = json!({ "pid": pid, "process-start-time": ticks, "bundle": "/x" });
        host.write(&format!("run/crun/{}/status", id('a')), status.to_string());
        finds(&host, "podman:web", pid);
        // Without the runtime's state, its process is told from what is below the run root.
        fs::remove_dir_all(host.path("run/crun")).unwrap();
        host.write(&format!("srv/run/vfs-containers/{}/userdata/pidfile", id('a')), pid.to_string());
        host.write(&format!("srv/pods/vfs-containers/{}/userdata/ctl", id('a')), "");
        finds(&host, "podman:web", pid);
    }
}

#[test]
fn crio_is_found_where_its_configuration_says() {
    let (_process, pid, _) = process();
    let host = Host::new();
    host.write("etc/crio/crio.conf", "[crio]\nroot = \"/srv/old\"\n");
    host.write(
        "etc/crio/crio.conf.d/10-moved.conf",
        "[crio]\nroot = \"/srv/root\"\nrunroot = \"/srv/run\"\n",
    );
    let bundle = format!("srv/run/overlay-containers/{}/userdata", id('a'));
    let annotations = json!({
        "io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri-o.KubeName": "web",
        "io.kubernetes.cri-o.Name": "k8s_app_web_prod_0",
        "io.kubernetes.cri-o.Metadata": json!({ "name": "app", "attempt": 0 }).to_string(),
        "io.kubernetes.cri-o.SandboxID": id('b'), "io.container.manager": "cri-o",
    });
    let config = json!({ "ociVersion": "1.1.0", "annotations": annotations });
    host.write(&format!("{bundle}/config.json"), config.to_string());
    host.write(&format!("{bundle}/pidfile"), pid.to_string());
    finds(&host, "crio:app", pid);
}
