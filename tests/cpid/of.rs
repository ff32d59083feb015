//! `--of`, on a real Docker: what a process's control group is called proves nothing by itself.

use support::run::{Ran, Run};
use support::scratch::unique;
use support::skip::{Missing, need, program};
use support::tools::PATIENT;
use support::world::World;

fn docker() -> Result<World, Missing> {
    program("setpriv", "util-linux")?;
    World::get().and_then(World::with_docker)
}

fn of(world: &World, pid: &str) -> Ran {
    world.tool("cpid").args([PATIENT, "--of", pid]).run()
}

#[test]
fn a_users_control_group_that_is_called_after_a_container_is_not_in_it() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    let (_user, pid) = world.in_users_group(&web.id);
    // Whoever believes the name is misled.
    let groups = world.command("cat").arg(format!("/proc/{pid}/cgroup")).run().ok();
    assert!(groups.stdout.contains(&web.id), "{groups}");
    let said = of(&world, &pid).fails_with(1).stdout_is("");
    said.stderr_is(&format!(
        "cpid: PID {pid}: its control group is named after docker:{}, but it is not a process of that container\n",
        web.name
    ));
    of(&world, &web.pid().to_string()).ok().stdout_is(&format!("docker:{}\n", web.name));
}

#[test]
fn a_control_group_of_a_container_that_no_engine_knows_is_said_and_not_that_there_is_none() {
    let world = need!(docker());
    let id = "3f2a9c0d".repeat(8);
    let (_user, pid) = world.in_users_group(&id);
    let said = format!(
        "cpid: PID {pid}: is in a control group named after container 3f2a9c0d3f2a, which no engine here knows\n"
    );
    of(&world, &pid).fails_with(2).stdout_is("").stderr_is(&said);
    let json =
        world.tool("cpid").args([PATIENT, "--json", "--of", &pid]).run().fails_with(2).stderr_is(&said);
    assert_eq!(json.json()[0]["container_id"], id);
}

#[test]
fn while_an_engine_is_silent_it_is_named_and_so_is_the_container_of_the_control_group() {
    let world = need!(docker());
    let id = "3f2a9c0e".repeat(8);
    let (_user, pid) = world.in_users_group(&id);
    let socket = format!("/run/{}", unique("silent-"));
    let listen = r#"use Socket; $| = 1; socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die $!;
        bind($s, pack_sockaddr_un($ARGV[0])) or die $!; listen($s, 9) or die $!; print "listening\n"; sleep 600"#;
    let silent = world.command("perl").args(["-e", listen, &socket]).start();
    silent.wait_for("listening");
    let ask = |more: &[&str]| {
        let mut cpid = world.tool("cpid");
        cpid.args(["--engine-timeout=300ms", "--of", &pid]).args(more);
        cpid.env("DOCKER_HOST", format!("unix://{socket}")).run().fails_with(2)
    };
    let said = ask(&[]).stdout_is("").stderr_has("docker did not answer").stderr_has("hint: ");
    said.stderr_has(
        "is in a control group named after container 3f2a9c0e3f2a, which no engine that answered knows",
    );
    assert_eq!(ask(&["--json"]).json()[0]["container_id"], id);
    world.command("rm").arg(&socket).run().ok();
}

#[test]
fn whatever_was_sent_into_a_container_is_in_it_with_a_pid_namespace_and_without() {
    let world = need!(docker());
    let containers = [world.docker_container("own", &[]), world.docker_container("host", &["--pid", "host"])];
    for web in &containers {
        world.command("docker").args(["exec", "--detach", &web.id, "sleep", "4242"]).run().ok();
        let top = world.command("docker").args(["top", &web.id, "-o", "pid,args"]).run().ok();
        let row =
            top.stdout.lines().find(|row| row.ends_with("sleep 4242")).map(str::trim).map(str::to_owned);
        let row = row.unwrap_or_else(|| panic!("nothing was sent: {top}"));
        let pid = row.split_whitespace().next().unwrap();
        assert_ne!(pid, web.pid().to_string());
        of(&world, pid).ok().stdout_is(&format!("docker:{}\n", web.name));
    }
}
