//! The moments before the program has started: what a container that may trace can take hold of then.

use std::process::Stdio;

use super::built;
use crate::PATH;
use support::run::Run;
use support::skip::{Missing, need};
use support::tools::static_tool;
use support::until::until;
use support::world::World;

fn docker() -> Result<World, Missing> {
    World::get().and_then(World::with_docker)
}

/// Often enough that a loop on another processor sees one of them before it has become the program.
const RUNS: usize = 40;

#[test]
fn a_container_that_may_trace_finds_no_process_with_more_power_than_its_own_and_nothing_of_the_host() {
    let world = need!(docker());
    let ours = need!(static_tool("nsenter-rs"));
    let window = &need!(built()).window;
    let container = world.docker_container("window", &["--cap-add", "SYS_PTRACE"]);
    let pid = container.pid().to_string();
    let copy = "cp $2 /proc/$1/root/window";
    world.command("sh").args(["-ec", copy, "sh", &pid]).arg(window).run().ok();
    let watched = |enter: &dyn Fn()| {
        let mut watch = world.command("docker");
        let mut watch = watch.args(["exec", "-i", &container.name, "/window"]).start_with(Stdio::piped());
        watch.wait_for("ready");
        (0..RUNS).for_each(|_| enter());
        watch.wait_for("looked");
        watch.say("\n");
        watch.wait_for("end");
        watch.finish().ok().stdout
    };
    let found = watched(&|| {
        let mut enter = world.command(&ours);
        enter.env("PATH", PATH).args(["-t", &pid, "-a", "-H", "true"]).run().ok();
    });
    assert_eq!(found, "ready\nlooked\nend\n");
    // What is not protected is seen: on a busy machine not by every watch.
    until("the watch sees all of nsenter", || {
        let naive = watched(&|| {
            world.command("nsenter").args(["-t", &pid, "-p", "true"]).run().ok();
        });
        naive.contains("all ") && naive.contains("wrote nsenter")
    });
}
