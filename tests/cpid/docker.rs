//! On a real Docker: what is running, and what to say of what is not.

use support::run::{Ran, Run};
use support::scratch::unique;
use support::skip::{Missing, need};
use support::tools;
use support::until::until;
use support::world::World;

fn docker() -> Result<World, Missing> {
    World::get().and_then(World::with_docker)
}

fn cpid(world: &World, targets: &[&str]) -> Ran {
    world.tool("cpid").args(tools::patience(targets)).args(targets).run()
}

#[test]
fn a_container_is_found_by_name_by_id_and_by_prefix() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    let expected = format!("{}\n", web.inspect("{{.State.Pid}}"));
    for target in [&web.name, &web.id, &web.id[..12], &format!("docker:{}", web.id)] {
        cpid(&world, &[target]).ok().stdout_is(&expected).stderr_is("");
    }
}

#[test]
fn a_container_that_is_renamed_all_the_time_is_found_or_has_another_name_and_is_never_in_doubt() {
    let world = need!(docker());
    let (web, other) = (world.docker_container("web", &[]), unique("renamed-"));
    // The new name is looked up as often as the old one, and calls go on as long as renames do.
    let script = r#"
        (for _ in $(seq 40); do docker rename "$1" "$2"; docker rename "$2" "$1"; done; echo over) >"$3" 2>&1 &
        while kill -0 $! 2>/dev/null; do "$0" --engine-timeout 10s "docker:$1" 2>&1; echo "status $?"; done
        cat "$3"; rm "$3""#;
    let log = format!("/tmp/{other}");
    let said =
        world.command("sh").args(["-c", script, tools::tool("cpid"), &web.name, &other, &log]).run().ok();
    let (pid, statuses) =
        (web.pid().to_string(), said.stdout.lines().filter(|line| line.starts_with("status ")));
    let statuses: Vec<&str> = statuses.collect();
    assert!(said.stdout.ends_with("over\n") && statuses.contains(&"status 0"), "{said}");
    assert!(statuses.iter().all(|status| ["status 0", "status 1"].contains(status)), "{said}");
    let is_pid = |line: &&str| line.parse::<u32>().is_ok();
    assert!(said.stdout.lines().filter(is_pid).all(|line| line == pid), "{said}");
}

#[test]
fn every_network_mode_has_the_pid_that_docker_inspect_shows() {
    let world = need!(docker());
    let web = world.docker_container("bridge", &["--network", "bridge"]);
    let none = world.docker_container("none", &["--network", "none"]);
    let host = world.docker_container("host", &["--network", "host"]);
    let side = world.docker_container("side", &["--network", &format!("container:{}", web.name)]);
    let containers = [&side, &host, &none, &web];
    let names = containers.map(|container| container.name.as_str());
    let pids = containers.map(|container| container.inspect("{{.State.Pid}}\n"));
    cpid(&world, &names).ok().stdout_is(&format!("{}\n", pids.map(|pid| pid.trim().to_owned()).join("\n")));
}

#[test]
fn the_list_has_what_runs_and_with_all_what_has_ended() {
    let world = need!(docker());
    let (web, ended) = (world.docker_container("web", &[]), world.docker_container("ended", &[]));
    ended.stop();
    let row = |list: &Ran, name: &str| {
        let rows = list.stdout.lines().map(|line| line.split_whitespace().map(str::to_owned).collect());
        rows.into_iter().find(|row: &Vec<String>| row[0] == name)
    };
    let running = cpid(&world, &["--list", "--engine", "docker"]).ok();
    assert_eq!(row(&running, &web.name).map(|row| row[3].clone()), Some(web.pid().to_string()), "{running}");
    assert_eq!(row(&running, &ended.name), None, "{running}");
    let all = cpid(&world, &["--list", "--all", "--engine", "docker"]).ok();
    assert_eq!(row(&all, &ended.name).map(|row| row[3..5].join(" ")), Some("- exited".to_owned()), "{all}");
}

#[test]
fn a_container_that_has_ended_says_how_and_when() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    web.stop();
    let code = web.inspect("{{.State.ExitCode}}");
    let said = cpid(&world, &[&web.name]).fails_with(1).stdout_is("");
    let expected = format!("cpid: {} is not running (exited, code {code}, ", web.name);
    let when = said.stderr.strip_prefix(&expected).unwrap_or_else(|| panic!("not {expected:?} in {said}"));
    assert!(when.starts_with("just now)\n") || when.contains("ago)\n"), "{said}");
    said.stderr_has(&format!("hint: docker start {}\n", web.name));

    // The hint is a command that works.
    world.command("docker").args(["start", &web.name]).run().ok();
    cpid(&world, &[&web.name]).ok().stdout_is(&format!("{}\n", web.inspect("{{.State.Pid}}")));
}

#[test]
fn a_container_that_never_ran_is_not_running() {
    let world = need!(docker());
    let made = Created::new(&world);
    cpid(&world, &[&made.names[0]])
        .fails_with(1)
        .stdout_is("")
        .stderr_has(&format!("cpid: {} is not running (created)\n", made.names[0]));
}

#[test]
fn a_container_that_is_paused_has_a_pid() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    world.command("docker").args(["pause", &web.name]).run().ok();
    cpid(&world, &[&web.name]).ok().stdout_is(&format!("{}\n", web.inspect("{{.State.Pid}}")));
    world.command("docker").args(["unpause", &web.name]).run().ok();
}

#[test]
fn a_container_between_two_runs_says_so() {
    let world = need!(docker());
    let mut died = world.command("sh");
    // Docker waits twice as long before each new run: after the fourth there is most of a second to look.
    died.args(["-c", "docker events --since 0 --filter event=die --filter container=$0 | head -n 4"]);
    let name = unique("again-");
    let died = died.arg(&name).start();
    let mut run = world.command("docker");
    run.args(["run", "--detach", "--restart", "always", "--name", &name, "netns-toolbox/busybox", "false"]);
    let made = Created { world: &world, names: vec![name.clone()] };
    run.run().ok();
    died.finish().ok();
    // For a moment after the event Docker still calls it running.
    let status = ["inspect", "--format", "{{.State.Status}}", &name];
    let restarts = || world.command("docker").args(status).run().ok().text() == "restarting";
    until("Docker calls it restarting", restarts);
    let said = cpid(&world, &[&name]).fails_with(1);
    said.stderr_has(&format!("cpid: {name} is not running (restarting"));
    drop(made);
}

#[test]
fn a_container_that_is_not_there_is_an_answer_that_names_who_was_asked() {
    let world = need!(docker());
    let name = unique("nope-");
    cpid(&world, &[&name])
        .fails_with(1)
        .stdout_is("")
        .stderr_has(&format!("cpid: {name}: no such container (asked: docker"));
}

#[test]
fn of_several_those_that_are_found_are_printed_in_order() {
    let world = need!(docker());
    let (one, two) = (world.docker_container("one", &[]), world.docker_container("two", &[]));
    let [first, second] = [&two, &one].map(|container| container.inspect("{{.State.Pid}}"));
    cpid(&world, &[&two.name, "no-such-container", &one.name])
        .fails_with(1)
        .stdout_is(&format!("{first}\n{second}\n"))
        .stderr_has("cpid: no-such-container: no such container");
    cpid(&world, &[&one.name, "pid:1", &one.id]).ok().stdout_is(&format!("{second}\n1\n{second}\n"));
}

#[test]
fn a_prefix_of_several_ids_is_an_error_that_lists_them() {
    let world = need!(docker());
    let mut made = Created::new(&world);
    // Among seventeen hexadecimal numbers two begin with the same digit.
    let (digit, two) = loop {
        let ids = made.ids();
        let of = |digit| ids.iter().filter(move |id| id.starts_with(digit)).take(2).collect::<Vec<_>>();
        if let Some((digit, two)) = "0123456789abcdef".chars().find_map(|digit| match of(digit)[..] {
            [one, two] => Some((digit, [one.clone(), two.clone()])),
            _ => None,
        }) {
            break (digit, two);
        }
        made.one_more();
    };
    // A bare digit would be a PID.
    let said = cpid(&world, &[&format!("docker:{digit}")]).fails_with(2).stdout_is("");
    for id in two {
        said.clone().stderr_has(&format!("  {} docker ", &id[..12])).stderr_has("(created)");
    }
    said.stderr_has("hint: ");
}

#[test]
fn a_name_goes_before_an_id_that_begins_like_it() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    let mut made = Created::new(&world);
    let name = web.id[..6].to_owned();
    world.command("docker").args(["rename", &made.names[0], &name]).run().ok();
    made.names[0] = name;
    let digits = made.names[0].bytes().all(|byte| byte.is_ascii_digit());
    let target = format!("{}{}", if digits { "docker:" } else { "" }, made.names[0]);
    cpid(&world, &[&target]).fails_with(1).stderr_has("is not running (created)");
}

/// Containers that were made and never started, gone when this is dropped.
struct Created<'world> {
    world: &'world World,
    names: Vec<String>,
}

impl<'world> Created<'world> {
    fn new(world: &'world World) -> Self {
        let mut created = Created { world, names: Vec::new() };
        created.one_more();
        created
    }

    fn one_more(&mut self) {
        self.names.push(unique("made-"));
        let mut create = self.world.command("docker");
        create.args(["create", "--name", &self.names[self.names.len() - 1], "netns-toolbox/busybox", "true"]);
        create.run().ok();
    }

    fn ids(&self) -> Vec<String> {
        let mut inspect = self.world.command("docker");
        inspect.args(["inspect", "--format", "{{.Id}}"]).args(&self.names);
        inspect.run().ok().stdout.lines().map(str::to_owned).collect()
    }
}

impl Drop for Created<'_> {
    fn drop(&mut self) {
        let removed = self.world.command("docker").args(["rm", "--force"]).args(&self.names).run();
        assert!(
            std::thread::panicking() || removed.status.is_some_and(|status| status.success()),
            "{removed}"
        );
    }
}

#[test]
fn a_docker_that_the_user_names_and_that_is_not_there_is_not_an_empty_one() {
    // The world's other engines answer that they have no such container, which is none of the user's business.
    let world = need!(World::get().and_then(World::with_docker));
    let ran = world.tool("cpid").arg(unique("nope-")).env("DOCKER_HOST", "unix:///run/nowhere.sock").run();
    ran.fails_with(2)
        .stdout_is("")
        .stderr_has("/run/nowhere.sock is not there (DOCKER_HOST or the docker context)");
}
