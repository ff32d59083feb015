//! On a real Docker: its containers explained, and ourselves in one of them.

use support::run::{Ran, Run};
use support::scratch::Scratch;
use support::skip::{Missing, need};
use support::tools;
use support::world::World;

fn docker() -> Result<World, Missing> {
    World::get().and_then(World::with_docker)
}

#[test]
fn the_default_container_may_be_entered_and_cannot_reach_out_of_it() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    let tracer = world.docker_container("tracer", &["--cap-add", "SYS_PTRACE"]);
    let explain = |name: &str, options: &[&str]| {
        let mut explain = world.tool("nsenter-rs");
        explain.args(["-t", name, "--explain", "--json"]).args(options).arg("ls").run().ok().json()
    };
    let json = explain(&web.name, &["-n", "-p"]);
    assert_eq!((&json["permitted"], &json["exposure"]["safe"]), (&true.into(), &true.into()), "{json:#}");
    // What runs with -a is the container's own.
    let json = explain(&web.name, &["-a"]);
    assert_eq!((&json["permitted"], &json["exposure"]["safe"]), (&true.into(), &false.into()), "{json:#}");
    assert_eq!(explain(&web.name, &["-a", "--confine"])["exposure"]["safe"], true);
    assert_eq!(json["pid"], web.pid());
    for row in json["namespaces"].as_array().unwrap() {
        let kind = row["kind"].as_str().unwrap();
        let shown = web.command("readlink").arg(format!("/proc/1/ns/{kind}")).run().ok();
        assert_eq!(format!("{kind}:[{}]", row["target_inode"]), shown.text());
    }
    assert_eq!(explain(&tracer.name, &["-n", "-p"])["exposure"]["safe"], false);
}

/// Runs ours in a container of its own that Docker makes with `options`, on the file of another one's network.
fn from_a_container(world: &World, net: &str, options: &[&str], explain: &[&str]) -> Ran {
    let mut run = world.command("docker");
    run.args(["run", "--rm", "--volume", "/:/host"]).args(options);
    run.args([support::world::IMAGE, "chroot", "/host", tools::tool("nsenter-rs")]);
    run.arg(format!("--net={net}")).args(explain).args(["/bin/echo", "ran"]).run()
}

#[test]
fn in_a_container_it_is_the_capability_or_the_filter_that_is_missing() {
    let world = need!(docker());
    let web = world.docker_container("web", &["--network", "none"]);
    let net = web.inspect("{{.NetworkSettings.SandboxKey}}");
    let scratch = Scratch::new();
    let profile = scratch.path("seccomp.json");
    let filter = r#"{"names": ["setns"], "action": "SCMP_ACT_ERRNO"}"#;
    std::fs::write(&profile, format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{filter}]}}"#))
        .unwrap();
    let profile = format!("seccomp={}", profile.display());

    let plain = from_a_container(&world, &net, &[], &[]).fails_with(1).stdout_is("");
    plain
        .stderr_has("requires CAP_SYS_ADMIN over user:[")
        .stderr_has("as in a container: run it on the host");
    from_a_container(&world, &net, &[], &["--explain"])
        .fails_with(1)
        .stdout_has("the caller lacks it (uid 0)");

    let admin = ["--cap-add", "SYS_ADMIN"];
    from_a_container(&world, &net, &admin, &["--explain"]).ok();
    from_a_container(&world, &net, &admin, &[]).ok().stdout_is("ran\n");

    let filtered = [&admin[..], &["--security-opt", &profile]].concat();
    let refused = from_a_container(&world, &net, &filtered, &[]).fails_with(1).stdout_is("");
    refused.stderr_has("a seccomp filter forbids setns(2)");
    from_a_container(&world, &net, &filtered, &["--explain"])
        .ok()
        .stdout_has("?    the caller's seccomp filter");
}
