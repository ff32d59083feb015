//! `--host-tools` on a real Docker: an image that is one static binary.

use support::run::{Run, RunningProgram};
use support::scratch::unique;
use support::skip::{Missing, need};
use support::tools::static_tool;
use support::world::World;

fn docker() -> Result<World, Missing> {
    World::get().and_then(World::with_docker)
}

/// A container that holds `/sleep` and nothing else, on a read-only root; removed when this is dropped.
struct Distroless<'world> {
    world: &'world World,
    name: String,
}

impl<'world> Distroless<'world> {
    fn start(world: &'world World) -> Self {
        let name = unique("distroless-");
        let script = r#"work=$(mktemp -d); cp "$(command -v busybox)" $work/sleep; tar -C $work -c sleep | docker import - $1
            rm -r $work; docker run -d --read-only --name $1 $1 /sleep infinity"#;
        world.command("sh").args(["-ec", script, "sh", &name]).run().ok();
        Distroless { world, name }
    }

    fn inspect(&self, format: &str) -> String {
        self.world
            .command("docker")
            .args(["inspect", "--format", format, &self.name])
            .run()
            .ok()
            .text()
            .to_owned()
    }
}

impl Drop for Distroless<'_> {
    fn drop(&mut self) {
        let script = "docker rm --force $1; docker rmi $1";
        let _ = self.world.command("sh").args(["-c", script, "sh", &self.name]).start().finish();
    }
}

#[test]
fn the_hosts_tools_work_in_an_image_of_one_binary() {
    let world = need!(docker());
    let nsenter = need!(static_tool("nsenter-rs"));
    let distroless = Distroless::start(&world);
    let table = || {
        world.command("cat").arg(format!("/proc/{}/mountinfo", distroless.inspect("{{.State.Pid}}"))).run()
    };
    let before = table().ok().stdout;
    let enter = |words: &[&str]| {
        let mut command = world.command(&nsenter);
        command.env("PATH", crate::PATH).args(["-t", &distroless.name, "-a", "-H"]).args(words).run().ok()
    };
    // Docker puts .dockerenv and directories for its mounts there.
    enter(&["bash", "-c", "ls / | grep sleep"]).stdout_is("sleep\n");
    let address = distroless.inspect("{{.NetworkSettings.IPAddress}}");
    assert_eq!(
        enter(&["ip", "-j", "addr", "show", "dev", "eth0"]).json()[0]["addr_info"][0]["local"],
        address
    );
    enter(&["ps", "-e", "-o", "comm="]).stdout_is("sleep\nnsenter-rs\nps\n");
    enter(&["sh", "-c", "echo $HOST_ROOT"]).stdout_is("/sys/firmware/host\n");
    enter(&["ls", "/sys/class/net"]).stdout_has("eth0");
    assert_eq!(table().ok().stdout, before);
    let diff = world.command("docker").args(["diff", &distroless.name]).run().ok();
    diff.stdout_is("");
}

#[test]
fn the_hosts_tcpdump_sees_what_reaches_the_container() {
    let world = need!(docker().and_then(|world| world.with("tcpdump")));
    let nsenter = need!(static_tool("nsenter-rs"));
    let distroless = Distroless::start(&world);
    let mut dump = world.command(&nsenter);
    dump.args([
        "-t",
        &distroless.name,
        "-a",
        "-H",
        "tcpdump",
        "-c",
        "1",
        "--immediate-mode",
        "-lni",
        "eth0",
        "icmp",
    ]);
    let dump: RunningProgram = dump.start();
    let address = distroless.inspect("{{.NetworkSettings.IPAddress}}");
    // It is told when it listens on its stderr only, so the pings come until one was seen.
    let mut ping = world.command("sh");
    let script = "while busybox ping -c 1 -W 1 $1 >/dev/null; do sleep 0.1; done";
    let pings = ping.args(["-c", script, "sh", &address]).start();
    let seen = dump.finish().ok();
    drop(pings);
    assert!(seen.stdout.contains(&format!("> {address}: ICMP echo request")), "{seen}");
}
