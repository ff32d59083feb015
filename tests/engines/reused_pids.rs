//! PIDs that other processes have by now: no look-up ends with one of those, however often that happens while it goes on,
//! and whoever they belong to.

use std::fs;

use serde_json::json;

use support::engine_state::{Host, id};
use support::fake_docker;
use support::run::Run;
use support::scratch::unique;
use support::skip::{Missing, need, program};
use support::tier;
use support::tools::PATIENT;
use support::until::until;
use support::world::World;

/// Starts one process after the other with PID $1, each as soon as the one before has ended, $2 times.
const STORM: &str = "
    done=0
    while [ $done -lt $2 ]; do
        echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid
        sleep 100 & now=$!
        if [ $now = $1 ]; then done=$((done + 1)); fi
        kill $now; wait $now || :
    done
    echo over";

#[test]
fn no_look_up_during_a_storm_of_reuses_ends_with_the_pid() {
    let host = need!(Host::new());
    let mut web = host.process("web");
    let pid = web.pid;
    need!(may_choose_pids(&host));
    let (kept, moved) = (id("a"), id("b"));
    for task in [&kept, &moved] {
        host.task("default", task, pid, &json!({}));
    }
    // The runtime of the second keeps its state where nobody looks.
    host.runc_record(&format!("/run/containerd/runc/default/{kept}"), pid, host.start_time(pid));
    let _docker = fake_docker::knows(&[&web]).listen(host.path("/run/docker.sock"));
    let targets = ["web", &kept, &moved];
    for target in targets {
        host.cpid(&[target]).run().ok().stdout_is(&format!("{pid}\n"));
    }
    // What starts within that time cannot be told from what the engine has started, by time alone.
    until("the container is older than clocks are wrong", || {
        let uptime = fs::read_to_string(host.lab.path("/proc/uptime")).unwrap();
        let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        uptime * 100.0 > host.start_time(pid) as f64 + 300.0
    });
    web.stop();
    let reuses = if tier::is_all() { 10_000 } else { 300 };
    let (mut looked_up, mut seen_alive) = (0, 0);
    // On a busy machine a whole storm may be over between two look-ups.
    for _ in 0..20 {
        let mut storm = host.lab.shell(STORM);
        let storm = storm.args(["storm", &pid.to_string(), &reuses.to_string()]).start();
        while !storm.so_far().stdout.contains("over") {
            for target in targets {
                let said = host.cpid(&[target]).run();
                let status = said.status.and_then(|status| status.code());
                assert!(said.stdout.is_empty() && matches!(status, Some(1 | 2)), "{target}: {said}");
                seen_alive += u32::from(said.stderr.contains("nothing shows that"));
                looked_up += 1;
            }
            let listed = host.cpid(&["--list", "--json"]).run();
            assert_eq!(listed.json().as_array().map(Vec::len), Some(0), "{listed}");
        }
        if seen_alive > 0 {
            break;
        }
    }
    println!(
        "{looked_up} look-ups, {seen_alive} while another process had the PID, {reuses} reuses in each storm"
    );
    // The storm was one: others had the PID while it was looked up.
    assert!(looked_up > 0 && seen_alive > 0, "{seen_alive} of {looked_up}");
}

/// Whether root of a lab says which PID is next, by `/proc/sys/kernel/ns_last_pid` (CONFIG_CHECKPOINT_RESTORE).
fn may_choose_pids(host: &Host) -> Result<(), Missing> {
    let chosen = "echo 20000 >/proc/sys/kernel/ns_last_pid; sh -c 'echo $$'";
    let said = host.lab.shell(chosen).run();
    match said.stdout.trim().parse::<u32>() {
        Ok(20_001..20_100) => Ok(()),
        _ => Err(Missing::ForGood(format!("PIDs cannot be chosen: {said}"))),
    }
}

#[test]
fn a_users_process_with_the_pid_is_not_the_containers_whatever_the_user_calls_its_control_group() {
    let world = need!(World::get());
    need!(program("setpriv", "util-linux"));
    let id = unique("").bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let id = format!("{id:0<64.64}");
    let (_user, pid) = world.in_users_group(&id);
    // What containerd leaves of a container that was killed with its shim; it had the PID a day ago.
    let task = format!("/run/containerd/io.containerd.runtime.v2.task/default/{id}");
    let state =
        "mkdir -p $0; printf %s $1 >$0/init.pid; echo {} >$0/config.json; touch -d yesterday $0/init.pid";
    world.command("sh").args(["-ec", state, &task, &pid]).run().ok();
    let said = world.tool("cpid").args([PATIENT, &id]).run();
    let listed = world.tool("cpid").args([PATIENT, "--list", "--json"]).run();
    world.command("rm").args(["-r", &task]).run().ok();
    said.fails_with(2).stdout_is("").stderr_has("nothing shows that");
    assert!(!listed.stdout.contains(&id), "{listed}");
}
