//! `--matrix` compared with what the engine says: where a container is not on a network as it should be. Observers: the
//! faults, which `ip` and `nft` make.

use serde_json::Value;

use crate::matrix::Scene;
use crate::{events, of_kind};
use support::run::{Ran, Run};
use support::skip::need;
use support::world::World;

/// Three of them, on a network that Docker calls `lab`.
fn three() -> Result<Scene, support::skip::Missing> {
    Scene::on_network(&["db", "mail", "web"], "lab")
}

/// A script in the network of `mail`.
fn in_mail(scene: &Scene, script: &str) {
    let pid = scene.containers[1].pid.to_string();
    scene.lab.command("nsenter").args(["-t", &pid, "-n", "sh", "-ec", script]).run().ok();
}

#[track_caller]
fn lines_have(ran: &Ran, lines: &[&str]) {
    for line in lines {
        assert!(ran.stdout.lines().any(|said| said == *line), "no line {line:?} in {ran}");
    }
}

#[test]
fn a_network_as_the_engine_set_it_up_has_no_fault_in_both_families() {
    let scene = need!(three());
    let ran = scene.matrix(&[]).ok();
    ran.stderr_is("").stdout_has("\n3 containers: 6 of 6 pairs reached, 3 of 3 gateways, 0.");
    let heard = events(&scene.matrix(&["--json"]).ok());
    let replies = of_kind(&heard, "reply");
    let addresses: Vec<&str> = replies.iter().map(|reply| reply["address"].as_str().unwrap()).collect();
    assert_eq!(
        addresses.iter().filter(|address| address.starts_with("fd00:1::")).count(),
        6,
        "{addresses:?}"
    );
    assert!(replies.iter().filter(|reply| reply["to"] == "container").all(|reply| reply["network"] == "lab"));
    let summary = of_kind(&heard, "summary")[0];
    assert_eq!((&summary["probes"], &summary["faults"]), (&15.into(), &0.into()), "{summary}");
}

#[test]
fn an_interface_that_is_down_fails_each_pair_with_that_reason() {
    let scene = need!(three());
    in_mail(&scene, "ip link set eth0 down");
    let ran = scene.matrix(&["-4"]).fails_with(1);
    lines_have(
        &ran,
        &[
            "mail: eth0 is down (network lab)",
            "db -> mail 198.18.1.3: at mail: eth0 is down",
            "mail -> gateway 198.18.1.1: eth0 is down",
            "mail -> db 198.18.1.2: eth0 is down",
            "mail -> web 198.18.1.4: eth0 is down",
            "web -> mail 198.18.1.3: at mail: eth0 is down",
        ],
    );
    let failed: Vec<&str> =
        ran.stdout.lines().filter_map(|line| line.split_once(" -> ").map(|(from, _)| from)).collect();
    assert!(failed.is_sorted(), "in the order of the containers: {ran}");
    let ran = ran.stdout_has("3 containers: 2 of 6 pairs reached, 2 of 3 gateways, 1 fault, ");
    ran.stderr_is("hint: nsenter-rs -t docker:mail -n ip link set eth0 up\n");
}

#[test]
fn an_address_that_is_gone_or_of_another_network_is_a_fault() {
    let scene = need!(three());
    in_mail(&scene, "ip -4 address flush dev eth0");
    let ran = scene.matrix(&["-4"]).fails_with(1);
    lines_have(&ran, &["mail: eth0 lacks 198.18.1.3/24, which docker gave it (network lab)"]);
    in_mail(&scene, "ip address add 198.18.77.3/24 dev eth0");
    let ran = scene.matrix(&["-4"]).fails_with(1);
    let fault = "eth0 has 198.18.77.3/24 instead of 198.18.1.3/24, which docker gave it";
    lines_have(
        &ran,
        &[&format!("mail: {fault} (network lab)"), &format!("web -> mail 198.18.1.3: at mail: {fault}")],
    );
    let ran = ran.stdout_has("3 containers: 2 of 6 pairs reached, 2 of 3 gateways, 1 fault, ");
    ran.stderr_has("hint: nsenter-rs -t docker:mail -n ip address add 198.18.1.3/24 dev eth0 && ");
    let heard = events(&scene.matrix(&["-4", "--json"]).fails_with(1));
    let [fault] = of_kind(&heard, "fault")[..] else { panic!("{heard:#?}") };
    assert_eq!((&fault["from"], &fault["cause"]), (&"mail".into(), &"address-gone".into()));
    let verdict = heard.last().unwrap();
    assert_eq!(
        (&verdict["event"], &verdict["cause"]),
        (&"verdict".into(), &"address-gone".into()),
        "{verdict}"
    );
    assert!(
        verdict["fix"][0].as_str().unwrap().ends_with("ip address add 198.18.1.3/24 dev eth0"),
        "{verdict}"
    );
    assert!(
        verdict["text"].as_str().unwrap().starts_with("5 of 9 probes failed; mail -> gateway: "),
        "{verdict}"
    );
    let causes: Vec<&Value> = of_kind(&heard, "error").iter().map(|error| &error["cause"]).collect();
    assert_eq!(
        causes,
        ["dest-address-gone", "address-gone", "address-gone", "address-gone", "dest-address-gone"],
        "{heard:#?}"
    );
}

#[test]
fn a_default_route_that_is_gone_is_a_fault_unless_the_network_is_internal() {
    let mut scene = need!(three());
    in_mail(&scene, "ip route del default");
    let ran = scene.matrix(&["-4"]).fails_with(1);
    let fault = "no default route, although docker gave it 198.18.1.1";
    lines_have(
        &ran,
        &[&format!("mail: {fault} (network lab)"), &format!("mail -> gateway 198.18.1.1: {fault}")],
    );
    ran.stdout_has("3 containers: 6 of 6 pairs reached, 2 of 3 gateways, 1 fault, ");
    // Alone, no other container's route proves that the network brings one: Docker is asked.
    scene
        .matrix(&["mail", "-4"])
        .fails_with(1)
        .stdout_has("1 containers: 0 of 0 pairs reached, 0 of 1 gateways, 1 fault, ");
    for container in &scene.containers {
        scene.lab.shell(&format!("nsenter -t {} -n ip route flush default || :", container.pid)).run().ok();
    }
    scene.docker_says("internal", |_| "running");
    scene.matrix(&["-4"]).ok().stdout_has("3 containers: 6 of 6 pairs reached, 0 of 0 gateways, 0.");
}

#[test]
fn one_that_is_off_the_bridge_does_not_answer_arp() {
    let scene = need!(three());
    scene.lab.shell("ip link set port3 nomaster").run().ok();
    let ran = scene.matrix(&["-4", "-W", "0.4"]).fails_with(1);
    lines_have(
        &ran,
        &[
            "db -> mail 198.18.1.3: no answer: 198.18.1.3 does not answer ARP on eth0",
            "mail -> db 198.18.1.2: no answer: 198.18.1.2 does not answer ARP on eth0",
        ],
    );
    ran.stdout_has("3 containers: 2 of 6 pairs reached, 2 of 3 gateways, ");
}

#[test]
fn one_that_drops_pings_of_one_family_is_said_to_answer_arp() {
    let scene = need!(three());
    for (key, says) in [
        ("ipv4/icmp_echo_ignore_all", ") answers ARP on eth0, but not pings: a firewall there?\n"),
        (
            "ipv6/icmp/echo_ignore_all",
            ") answers neighbour solicitation on eth0, but not pings: a firewall there?\n",
        ),
    ] {
        in_mail(&scene, &format!("echo 1 >/proc/sys/net/{key}"));
        let ran = scene.matrix(&["-W", "0.4"]).fails_with(1).stdout_has("db -> mail ").stdout_has(says);
        ran.stdout_has("3 containers: 4 of 6 pairs reached, ");
        in_mail(&scene, &format!("echo 0 >/proc/sys/net/{key}"));
    }
    scene.matrix(&[]).ok();
}

#[test]
fn a_frozen_container_is_called_frozen() {
    let mut scene = need!(three());
    scene.docker_says("lab", |name| if name == "web" { "paused" } else { "running" });
    let ran = scene.matrix(&[]).ok();
    lines_have(&ran, &["web: is frozen: its kernel answers pings, its programs do not run"]);
    let heard = events(&scene.matrix(&["--json"]).ok());
    assert_eq!(of_kind(&heard, "summary")[0]["frozen"], serde_json::json!(["web"]));
}

#[test]
fn a_container_that_ends_meanwhile_is_said_to_have_ended() {
    let mut scene = need!(three());
    scene.lab.shell("ip link set port4 nomaster").run().ok();
    let mut matrix = scene.lab.tool("netns-ping");
    let matrix = matrix.args(["--engine-timeout", "30s", "--matrix", "-4", "-c1", "-W3", "--json"]).start();
    matrix.wait_for("\"event\":\"reply\"");
    scene.containers[2].stop();
    let ran = matrix.finish().fails_with(1);
    assert!(ran.stdout.contains("web has ended meanwhile"), "{ran}");
}

/// On a real Docker: its API, and its state on disk while the daemon is stopped.
#[test]
fn a_real_dockers_networks_are_compared() {
    let world = need!(World::get().and_then(World::with_docker));
    let network = support::scratch::unique("mx-");
    world.command("docker").args(["network", "create", &network]).run().ok();
    let [one, two] = ["mx", "mx"].map(|name| world.docker_container(name, &["--network", &network]));
    let matrix = || {
        let mut ping = world.tool("netns-ping");
        ping.args([support::tools::PATIENT, "--matrix", "mx-*"]).run()
    };
    matrix().ok().stdout_has("2 of 2 pairs reached, 2 of 2 gateways");
    let pid = two.pid().to_string();
    world.command("nsenter").args(["-t", &pid, "-n", "ip", "link", "set", "eth0", "down"]).run().ok();
    let ran = matrix().fails_with(1).stdout_has(&format!("{}: eth0 is down (network {network})\n", two.name));
    ran.stdout_has(": 0 of 2 pairs reached, 1 of 2 gateways, 1 fault, ");
    drop((one, two));
    world.command("docker").args(["network", "rm", &network]).run().ok();
}
