//! On a real Docker, whose server for names is on 127.0.0.11 in each container's own network.

use std::collections::BTreeSet;

use support::run::Run;
use support::scratch::unique;
use support::skip::{Missing, need};
use support::tools;
use support::world::World;

/// A network of the user's own: only in such a one does Docker answer for names.
struct Network<'world> {
    world: &'world World,
    name: String,
}

impl Network<'_> {
    #[track_caller]
    fn new(world: &World) -> Network<'_> {
        let name = unique("net-");
        world.command("docker").args(["network", "create", &name]).run().ok();
        Network { world, name }
    }
}

impl Drop for Network<'_> {
    fn drop(&mut self) {
        self.world.command("docker").args(["network", "rm", &self.name]).run();
    }
}

fn docker() -> Result<World, Missing> {
    World::get().and_then(World::with_docker)
}

#[test]
fn a_container_is_found_by_name_from_another_ones_network() {
    let world = need!(docker());
    let network = Network::new(&world);
    let in_network = ["--network", network.name.as_str()];
    let web = world.docker_container("web", &in_network);
    let api = world.docker_container("api", &in_network);
    let address = api.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
    let ask = |options: &[&str], program: &[&str]| {
        let mut enter = world.tool("nsenter-rs");
        // The host's server cannot be reached from here, and is soon given up.
        enter.env("RES_OPTIONS", "timeout:1 attempts:1").args(["-t", &web.name]);
        enter.args(options).args(program).arg(&api.name).run()
    };
    ask(&["-n"], &["getent", "hosts"]).fails_with(2);
    ask(&["--dns"], &["getent", "hosts"]).ok().stdout_has(&address);
    // A resolver that is not the C library's; static, as the image's programs are.
    let theirs = web.command("nslookup").arg(&api.name).run().ok().stdout_has(&address);
    let ours = ask(&["--dns"], &["busybox", "nslookup"]).ok();
    // The answers for IPv4 and IPv6 come in any order.
    let [ours, theirs] = [&ours, &theirs].map(|ran| ran.stdout.lines().collect::<BTreeSet<_>>());
    assert_eq!(ours, theirs);
}

#[test]
fn a_program_of_the_host_sees_what_docker_exec_shows() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    let show = "cat /etc/resolv.conf /etc/hosts; ls /sys/class/net; cat /proc/1/cmdline";
    let exec = web.command("sh").args(["-c", show]).run().ok();
    // Of the host only where a view is: other tests have Docker mount other things meanwhile.
    let script = format!("grep -E ' /(etc|proc|sys)' /proc/1/mountinfo; cat /proc/{}/mountinfo", web.pid());
    let mounts = || world.command("sh").args(["-c", &script]).run().ok().stdout;
    let before = mounts();
    let ours = world.tool("nsenter-rs").args(["-t", &web.name, "--inside", "sh", "-c", show]).run();
    ours.ok().stdout_is(&exec.stdout).stderr_is("");
    assert_eq!(mounts(), before);
}

#[test]
fn the_new_mounts_take_the_place_of_the_old_ones() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    let list = |directory: &str, enter: &[&str]| {
        let awk = format!("awk '$5 ~ \"^{directory}(/|$)\" {{ print $5 }}' /proc/self/mountinfo | sort");
        let words = [enter, &["sh", "-c", &awk]].concat();
        world.command(words[0]).args(&words[1..]).run().ok().stdout
    };
    let enter = |option| [tools::tool("nsenter-rs"), "-t", &web.name, option];
    assert_eq!(list("/sys", &enter("--sys")), list("/sys", &[]));
    let before = list("/proc", &[]);
    let of_proc = before.lines().filter(|path| *path == "/proc").count();
    assert_eq!(list("/proc", &enter("--proc")), "/proc\n".repeat(of_proc));
    assert!(before.lines().count() > of_proc, "nothing below /proc that could have been kept: {before}");
}
