//! Real daemons that keep their things where nobody expects them, or that run where their PIDs are not ours. Observers: what
//! each of them says itself.

use std::process::Command;

use crate::containerd::containerd;
use support::run::{Run, RunningProgram};
use support::scratch::unique;
use support::skip::need;
use support::spare_docker::SpareDocker;
use support::tools;
use support::world::World;

const LIMIT: &str = "--engine-timeout=300ms";

/// A container of a Docker that hangs has its right PID, and its process that owner; what is stopped or unknown is so too.
fn holds_while_it_hangs(spare: &SpareDocker) {
    let (web, made) = (unique("web-"), unique("made-"));
    spare.run(&web);
    spare.docker(&["create", "--name", &made, support::world::IMAGE, "true"]).ok();
    let pid = spare.pid(&web);
    let cpid = |words: &[&str]| spare.tool_beside_another("cpid").arg(LIMIT).args(words).run();
    for hangs in [false, true] {
        if hangs {
            spare.signal("STOP");
        }
        cpid(&[&format!("docker:{web}")]).ok().stdout_is(&format!("{pid}\n"));
        cpid(&["--of", &pid]).ok().stdout_is(&format!("docker:{web}\n"));
        let not_running = cpid(&[&format!("docker:{made}")]).fails_with(1);
        not_running.stderr_has(&format!("{made} is not running (created)"));
        // Its own process says where its state is.
        cpid(&["docker:nope"]).fails_with(1).stderr_has("no such container");
        let listed = cpid(&["--list", "--json", "--engine", "docker"]).ok().json();
        let row = listed.as_array().unwrap().iter().find(|row| row["name"] == *web).cloned().unwrap();
        assert_eq!(row["pid"].to_string(), pid, "{row}");
    }
    spare.signal("CONT");
}

#[test]
fn a_docker_with_another_configuration_file_is_found_where_that_says() {
    let prepare = r#"mkdir "$0/srv"; printf '{ "data-root": "%s/srv/data", "exec-root": "%s/srv/exec" }' "$0" "$0" >"$0/srv/d.json""#;
    let spare = need!(SpareDocker::start_as(prepare, r#"--config-file "$0/srv/d.json""#));
    holds_while_it_hangs(&spare);
}

#[test]
fn a_docker_that_remaps_users_is_found_below_their_directory() {
    // Which range a user has is said by the host's files.
    let prepare = "for file in /etc/subuid /etc/subgid; do
        grep -qs ^daemon: $file || echo daemon:300000:65536 >>$file; done";
    let flags = r#"--userns-remap daemon --data-root "$0/srv/data" --exec-root "$0/srv/exec""#;
    let spare = need!(SpareDocker::start_as(prepare, flags));
    holds_while_it_hangs(&spare);
}

#[test]
fn what_a_hung_docker_runs_by_its_files_is_not_said_to_have_ended_where_its_process_is_not_found() {
    let spare = need!(SpareDocker::start());
    let web = unique("web-");
    spare.run(&web);
    let id = spare.docker(&["inspect", "--format", "{{.Id}}", &web]).ok().text().to_owned();
    spare.signal("STOP");
    // As where containerd keeps its state is known to nobody.
    let hidden =
        "exec unshare --mount sh -ec 'mount -t tmpfs none /run/containerd/io.containerd.runtime.v2.task
        mount --bind \"$0\" /run/docker.sock; exec \"$@\"' \"$0/run/docker.sock\" \"${@:2}\"";
    for target in [&web, &format!("docker:{web}"), &id] {
        let mut cpid = spare.shell(hidden);
        cpid.env_remove("NETNS_TOOLBOX_ROOT").args([tools::tool("cpid"), LIMIT, target]);
        let said = cpid.run().fails_with(2).stdout_is("");
        said.stderr_has("cannot tell which process is its first: ");
    }
    spare.signal("CONT");
}

/// A second containerd, which has a task. Dropped, both end.
struct SpareContainerd {
    world: World,
    root: String,
    _daemon: RunningProgram,
}

impl SpareContainerd {
    #[track_caller]
    fn start(world: World, config: &str, flags: &str) -> Self {
        let root = unique("/run/containerd-");
        let config = format!("version = 2\nroot = \"{root}/root\"\n{}\n", config.replace("$0", &root));
        let daemon = format!(
            r#"mkdir "$0"; printf %s "$1" >"$0/config.toml"; echo $$ >"$0/daemon.pid"
            exec containerd --config "$0/config.toml" --address "$0/sock" {flags} >"$0/log" 2>&1"#
        );
        let daemon = world.engine("bash").args(["-ec", &daemon, &root, &config]).start();
        let run = r#"until ctr -a "$0/sock" version >/dev/null 2>&1; do sleep 0.05; done
            mkdir "$0/rootfs"; cp -a /var/lib/netns-toolbox/rootfs/. "$0/rootfs"
            ctr -a "$0/sock" run --detach --rootfs "$0/rootfs" "${0##*/}-web" /bin/sleep infinity"#;
        world.engine("bash").args(["-ec", run, &root]).run().ok();
        SpareContainerd { world, root, _daemon: daemon }
    }

    #[track_caller]
    fn signal(&self, signal: &str) {
        let script = r#"kill "-$1" $(cat "$0/daemon.pid")"#;
        self.world.command("bash").args(["-ec", script, &self.root, signal]).run().ok();
    }

    fn id(&self) -> String {
        format!("{}-web", self.root.trim_start_matches("/run/"))
    }

    #[track_caller]
    fn pid(&self) -> String {
        let mut list = self.world.command("ctr");
        let listed = list.args(["-a", &format!("{}/sock", self.root), "task", "list"]).run().ok();
        let row = listed.stdout.lines().nth(1).unwrap_or_else(|| panic!("no task: {listed}"));
        row.split_whitespace().nth(1).unwrap().to_owned()
    }

    /// `cpid` on a host of which this is the containerd: the world's own is hidden, with what shims have their runtimes write.
    fn alone(&self, words: &[&str]) -> Command {
        let mounted = r#"mount -t tmpfs none /run/containerd; touch /run/containerd/containerd.sock
            mount --bind "$0/sock" /run/containerd/containerd.sock; exec "$@""#;
        let mut cpid = self.world.command("unshare");
        cpid.args(["--mount", "bash", "-ec", mounted, &self.root, tools::tool("cpid"), LIMIT]).args(words);
        cpid
    }
}

impl Drop for SpareContainerd {
    fn drop(&mut self) {
        let end = r#"kill -CONT $(cat "$0/daemon.pid") || true
            for end in "task delete --force" "container delete"; do
                timeout 20 ctr -a "$0/sock" $end "${0##*/}-web" >/dev/null 2>&1 || true
            done
            kill -KILL $(cat "$0/daemon.pid") || true
            awk -v at="$0/" 'index($2, at) == 1 { print $2 }' /proc/mounts | tac | xargs -r umount -l; rm -rf "$0""#;
        let _ = self.world.command("bash").args(["-ec", end, &self.root]).start().ends();
    }
}

/// Its task is found, listed and owned, beside the world's own containerd and alone, while it answers and while it hangs.
fn is_found(spare: &SpareContainerd) {
    let (id, pid) = (spare.id(), spare.pid());
    let beside = |words: &[&str]| {
        let mut cpid = spare.world.tool("cpid");
        cpid.arg(LIMIT).args(words);
        cpid
    };
    for hangs in [false, true] {
        if hangs {
            spare.signal("STOP");
        }
        for cpid in [&beside as &dyn Fn(&[&str]) -> Command, &|words| spare.alone(words)] {
            cpid(&[&format!("containerd:{id}")]).run().ok().stdout_is(&format!("{pid}\n"));
            cpid(&[&format!("containerd:default/{id}")]).run().ok().stdout_is(&format!("{pid}\n"));
            let listed = cpid(&["--list", "--json", "--engine", "containerd"]).run().ok().json();
            let row = listed.as_array().unwrap().iter().find(|row| row["id"] == *id).cloned();
            assert_eq!(row.unwrap()["pid"].to_string(), pid);
            cpid(&["--of", &pid]).run().ok().stdout_is(&format!("containerd:{id}\n"));
        }
    }
    spare.signal("CONT");
}

#[test]
fn a_containerd_that_was_started_with_another_state_directory_is_found() {
    let world = need!(containerd());
    is_found(&SpareContainerd::start(world, "", r#"--state "$0/state""#));
}

#[test]
fn a_containerd_whose_configuration_has_another_state_directory_is_found() {
    let world = need!(containerd());
    is_found(&SpareContainerd::start(world, "state = \"$0/state\"", ""));
}

/// A Docker in PID, network and mount namespaces of its own, as one in a container is, that has a container `inner`.
struct NestedDocker {
    world: World,
    root: String,
    daemon: RunningProgram,
}

impl NestedDocker {
    #[track_caller]
    fn start(world: World) -> Self {
        let root = unique("/run/nested-");
        // Without the world's containerd it starts one of its own, in its own namespaces.
        let daemon = r#"mkdir "$0"; exec unshare --net --mount --pid --fork --kill-child --mount-proc bash -ec '
            mount -t tmpfs none /run/containerd
            exec dockerd --host unix://$0/sock --data-root "$0/data" --exec-root "$0/exec" --pidfile "$0/pid" \
                --bridge none --iptables=false --ip-masq=false --exec-opt native.cgroupdriver=cgroupfs \
                --cgroup-parent "${0##*/}" >"$0/log" 2>&1' "$0""#;
        let daemon = world.engine("bash").args(["-ec", daemon, &root]).start();
        let run = r#"export DOCKER_HOST=unix://$0/sock
            until docker version >/dev/null 2>&1; do sleep 0.05; done
            tar -c -C /var/lib/netns-toolbox/rootfs . | docker import - image >/dev/null
            docker run --detach --network none --name inner image sleep infinity"#;
        world.engine("bash").args(["-ec", run, &root]).run().ok();
        NestedDocker { world, root, daemon }
    }

    fn cpid(&self, words: &[&str]) -> Command {
        let mut cpid = self.world.tool("cpid");
        cpid.args(words).env("DOCKER_HOST", format!("unix://{}/sock", self.root));
        cpid
    }
}

impl Drop for NestedDocker {
    fn drop(&mut self) {
        self.daemon.signal_behind_nsenter_if_there(nix::sys::signal::Signal::SIGKILL);
        let _ = self.daemon.ends();
        let end = r#"awk -v at="$0/" 'index($2, at) == 1 { print $2 }' /proc/mounts | tac | xargs -r umount -l; rm -rf "$0""#;
        let _ = self.world.command("bash").args(["-ec", end, &self.root]).start().ends();
    }
}

#[test]
fn the_pids_of_a_real_docker_in_a_container_are_not_believed_on_the_host() {
    let nested = NestedDocker::start(need!(World::get().and_then(World::with_docker)));
    let said = "docker's containers are in another PID namespace";
    for words in [["inner"].as_slice(), &["docker:inner"], &["--list", "--engine", "docker"]] {
        nested.cpid(words).run().fails_with(2).stderr_has(said).stderr_has("hint: run it where");
    }
    // Nor by a bind mount of its socket at the place of the host's.
    let mounted = "mount --bind \"$0/sock\" /run/docker.sock; exec \"$@\"";
    let mut host = nested.world.command("unshare");
    host.args(["--mount", "bash", "-ec", mounted, &nested.root, tools::tool("cpid"), "docker:inner"]);
    let refused = host.run().fails_with(2).stdout_is("").stderr_has(said);
    // Where the hint leads, it is right.
    let hint = refused.stderr.split_once("hint: run it where that engine runs: ").unwrap().1;
    let way = hint.trim().split(' ').collect::<Vec<_>>();
    let address = format!("unix://{}/sock", nested.root);
    let mut there = nested.world.command(way[0]);
    there.args(&way[1..]).arg(tools::tool("cpid")).arg("docker:inner").env("DOCKER_HOST", &address);
    let mut own = nested.world.command("docker");
    own.args(["-H", &address, "inspect", "--format", "{{.State.Pid}}", "inner"]);
    there.run().ok().stdout_is(&format!("{}\n", own.run().ok().text()));
}
