//! On a real Docker.

use support::run::Run;
use support::scratch::unique;
use support::skip::{Missing, need};
use support::world::{DockerContainer, World};

fn docker() -> Result<World, Missing> {
    World::get().and_then(World::with_docker)
}

#[test]
fn the_hosts_ip_shows_the_containers_network() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    let inspected = web.inspect("{{.NetworkSettings.IPAddress}} {{.NetworkSettings.MacAddress}}");
    let (address, mac) = inspected.split_once(' ').unwrap();
    let cpid = world.tool("cpid").arg(&web.name).run().ok();
    for target in [&web.name, &web.id[..12], cpid.text()] {
        let mut ip = world.tool("nsenter-rs");
        let shown =
            ip.args(["-t", target, "-n", "ip", "-j", "addr", "show", "dev", "eth0"]).run().ok().json();
        assert_eq!(shown[0]["addr_info"][0]["local"], address);
        assert_eq!(shown[0]["address"], mac);
    }
}

#[test]
fn all_its_namespaces_are_those_of_docker_exec() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    let show =
        ["sh", "-c", "for kind in /proc/self/ns/*; do readlink $kind; done; hostname; cat /proc/1/comm"];
    let exec = web.command(show[0]).args(&show[1..]).run().ok();
    world.tool("nsenter-rs").args(["-t", &web.name, "-a"]).args(show).run().ok().stdout_is(&exec.stdout);
}

#[test]
fn every_network_mode_can_be_entered() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    let modes = ["none", "host", &format!("container:{}", web.name)];
    for mode in modes {
        let other = world.docker_container("other", &["--network", mode]);
        let expected = other.command("readlink").arg("/proc/self/ns/net").run().ok();
        let mut enter = world.tool("nsenter-rs");
        enter.args(["-t", &other.name, "-n", "readlink", "/proc/self/ns/net"]);
        // What is done to that network is done to the host's.
        let shared =
            "nsenter-rs: the program sees the host's files, and the container uses the host's network\n";
        enter.run().ok().stdout_is(&expected.stdout).stderr_is(if mode == "host" { shared } else { "" });
    }
}

#[test]
fn a_container_that_is_paused_can_be_looked_into() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    world.command("docker").args(["pause", &web.name]).run().ok();
    let entered = world.tool("nsenter-rs").args(["-t", &web.name, "-n", "ip", "-j", "link"]).run();
    world.command("docker").args(["unpause", &web.name]).run().ok();
    assert_eq!(entered.ok().json().as_array().unwrap().len(), 2);
}

#[test]
fn a_container_that_is_not_running_is_not_entered() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    web.stop();
    let ran = world.tool("nsenter-rs").args(["-t", &web.name, "-n", "echo", "ran"]).run();
    ran.fails_with(1).stdout_is("").stderr_has(&format!("nsenter-rs: {} is not running (exited, ", web.name));
}

#[test]
fn each_of_several_is_entered_once_a_network_and_told_from_podmans() {
    let world = need!(docker().and_then(World::with_podman));
    let prefix = unique("each");
    let web = world.docker_container(&prefix, &["--network", "none"]);
    let db = world.docker_container(&prefix, &["--network", "none"]);
    let side = world.docker_container(&prefix, &["--network", &format!("container:{}", web.name)]);
    let same = Podmans::run(&world, &db.name);
    let pattern = format!("{prefix}-*");
    let netns = |of: &DockerContainer<'_>| of.command("readlink").arg("/proc/self/ns/net").run().ok().stdout;
    let first = if web.name < side.name { &web.name } else { &side.name };
    let mut expected = [
        format!("{first}: {}", netns(&web)),
        format!("docker:{}: {}", db.name, netns(&db)),
        format!("podman:{}: {}", db.name, same.netns()),
    ];
    expected.sort();
    let entered =
        world.tool("nsenter-rs").args(["--each", &pattern, "-n", "readlink", "/proc/self/ns/net"]).run();
    let mut lines: Vec<&str> = entered.stdout.split_inclusive('\n').collect();
    lines.sort_unstable();
    assert_eq!(lines, expected, "{entered}");
    let mut names = world.tool("nsenter-rs");
    let names = names.args(["--each", &format!("docker:{pattern}"), "-a", "-j1", "hostname"]).run().ok();
    let hostname = |of: &DockerContainer<'_>| of.inspect("{{.Config.Hostname}}");
    for (container, inside) in [(&web, hostname(&web)), (&db, hostname(&db)), (&side, hostname(&web))] {
        assert!(names.stdout.contains(&format!("{}: {inside}\n", container.name)), "{names}");
    }
}

/// A container of Podman's under a name that Docker has too, removed when this is dropped.
struct Podmans<'world> {
    world: &'world World,
    name: String,
}

impl Podmans<'_> {
    #[track_caller]
    fn run<'world>(world: &'world World, name: &str) -> Podmans<'world> {
        let podmans = Podmans { world, name: name.to_owned() };
        let image = "localhost/netns-toolbox/busybox";
        let run = ["run", "--detach", "--network", "none", "--name", name, image, "sleep", "infinity"];
        world.engine("podman").args(run).run().ok();
        podmans
    }

    #[track_caller]
    fn netns(&self) -> String {
        let inspect = ["inspect", "--format", "{{.State.Pid}}", &self.name];
        let pid = self.world.engine("podman").args(inspect).run().ok();
        self.world.command("readlink").arg(format!("/proc/{}/ns/net", pid.text())).run().ok().stdout
    }
}

impl Drop for Podmans<'_> {
    fn drop(&mut self) {
        drop(self.world.engine("podman").args(["rm", "--force", "--time", "0", &self.name]).run());
    }
}
