//! A watch of real engines' containers.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;

use super::wait_for_times;
use support::run::{Run, RunningProgram};
use support::scratch::unique;
use support::skip::need;
use support::spare_docker::SpareDocker;
use support::tools;
use support::until::{as_busy, until};
use support::world::World;

/// A watch of a real engine's containers, with a file of its own. Ended with the test.
struct Real {
    watch: RunningProgram,
    file: String,
}

impl Real {
    /// `shell` is the engine's, and gets the script.
    #[track_caller]
    fn start(shell: impl Fn(&str) -> Command, text: &str) -> Real {
        let file = unique("/run/nics-");
        shell(&format!("cat >{file}")).run_with_input(text).ok();
        let watch = shell(&format!("exec {} --watch {file} 2>&1", tools::tool("add-nic"))).start();
        Real { watch, file }
    }
}

fn docker(world: &World) -> impl Fn(&str) -> Command {
    |script| {
        let mut shell = world.command("sh");
        shell.args(["-ec", script]);
        shell
    }
}

#[test]
fn a_real_container_that_is_started_anew_has_its_nic_at_once() {
    let world = need!(World::get().and_then(World::with_docker));
    let web = world.docker_container("web", &[]);
    let text = format!("[[nic]]\ncontainer = '{}'\naddresses = '198.19.20.2/24'\n", web.name);
    let real = Real::start(docker(&world), &text);
    let mut times = vec![];
    for round in 1..=20 {
        wait_for_times(&real.watch, ": eth1 198.19.20.2/24, host end ", round);
        let now = Timestamp::now();
        let started: Timestamp = web.inspect("{{.State.StartedAt}}").parse().unwrap();
        // The first one was running already.
        if round > 1 {
            times.push(now.duration_since(started).as_millis());
        }
        web.command("ping").args(["-c1", "-W1", "-q", "198.19.20.1"]).run().ok();
        web.restart();
    }
    times.sort_unstable();
    let _ =
        writeln!(std::io::stderr(), "add-nic --watch: ms from the engine's start until reachable: {times:?}");
    let most = as_busy(Duration::from_secs(1)).as_millis();
    assert!(times[times.len() / 2].unsigned_abs() < most, "{times:?}");
    let said = real.watch.so_far().stdout;
    // The kernel may still have the link of the network before.
    let is_unexpected =
        |line: &&str| line.starts_with("add-nic: ") && !line.contains("removed what was left of it");
    assert_eq!(said.lines().find(is_unexpected), None, "{said}");
    // Its network is gone, but nobody has removed it.
    drop(web);
    let nics = |world: &World| world.tool("add-nic").args(["--list", "--json"]).run().ok().stdout;
    until("the interface of the removed container is gone", || !nics(&world).contains("198.19.20.2/24"));
    world.command("rm").arg(&real.file).run().ok();
}

#[test]
fn a_real_engine_that_is_killed_and_started_again_takes_no_nic_with_it() {
    let mut docker = need!(SpareDocker::start());
    docker.run("web");
    docker.run("db");
    let nic =
        |name: &str, net: u8| format!("[[nic]]\ncontainer = '{name}'\naddresses = '198.19.{net}.2/24'\n");
    let text = [nic("web", 21), nic("db", 22), nic("new", 23)].concat();
    let real = Real::start(|script| docker.shell(script), &text);
    real.watch.wait_for("web: eth0 198.19.21.2/24");
    real.watch.wait_for("db: eth0 198.19.22.2/24");
    docker.kill_daemon();
    docker.start_daemon();
    docker.run("new");
    real.watch.wait_for("new: eth0 198.19.23.2/24");
    docker.docker(&["restart", "--time", "0", "db"]).ok();
    wait_for_times(&real.watch, "db: eth0 198.19.22.2/24", 2);
    let said = real.watch.so_far().stdout;
    assert_eq!(said.matches("web: eth0").count(), 1, "{said}");
    docker.shell(&format!("ping -n -c1 -W1 198.19.21.2; : >{}", real.file)).run().ok();
    real.watch.wait_for("new: eth0 198.19.23.2/24 removed\n");
}
