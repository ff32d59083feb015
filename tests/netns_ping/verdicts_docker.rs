//! What becomes of containers while they are pinged, and a host that drops between them: on a real Docker. Observers: `docker pause`,
//! `kill` and `restart`, and the rules that Docker itself has set.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::events;
use support::run::{Ran, Run, RunningProgram};
use support::scratch::unique;
use support::skip::{Missing, need};
use support::tools::PATIENT;
use support::world::{DockerContainer, World};

fn docker() -> Result<World, Missing> {
    World::get().and_then(World::with_docker)
}

/// Pings from one to the other until it is stopped.
fn pinging(world: &World, from: &DockerContainer<'_>, to: &DockerContainer<'_>) -> RunningProgram {
    let dest = format!("docker:{}", to.name);
    let mut ping = world.tool("netns-ping");
    let running = ping.arg(PATIENT).args([&from.name, &dest, "--json", "-i0.1", "-W0.5", "-c1000"]).start();
    running.wait_for(r#""reply""#);
    running
}

/// Stops it once more packets were sent, or refused, than before.
#[track_caller]
fn stopped(running: RunningProgram) -> Value {
    let events = |running: &RunningProgram| running.so_far().stdout.lines().count();
    let before = events(&running);
    support::until::until("more happens", || events(&running) > before + 4);
    running.signal_behind_nsenter(Signal::SIGINT);
    verdict(&running.finish())
}

#[track_caller]
fn verdict(ran: &Ran) -> Value {
    let last = events(ran).pop().unwrap_or_else(|| panic!("{ran}"));
    assert_eq!(last["event"], "verdict", "{ran}");
    last
}

#[track_caller]
fn once(world: &World, words: &[&str]) -> Value {
    verdict(&world.tool("netns-ping").arg(PATIENT).args(["--json", "-c1", "-W1"]).args(words).run())
}

#[test]
fn a_container_that_is_paused_answers_and_is_called_frozen() {
    let world = need!(docker());
    let (web, db) = (world.docker_container("web", &[]), world.docker_container("db", &[]));
    let dest = format!("docker:{}", db.name);
    assert_eq!(once(&world, &[&web.name, &dest])["cause"], Value::Null);
    world.command("docker").args(["pause", &db.name]).run().ok();
    let said = once(&world, &[&web.name, &dest]);
    world.command("docker").args(["unpause", &db.name]).run().ok();
    assert_eq!(said["cause"], "frozen", "{said}");
    assert_eq!(said["fix"][0], format!("docker unpause {}", db.name), "{said}");
    assert_eq!(once(&world, &[&web.name, &dest])["cause"], Value::Null);
}

#[test]
fn a_container_that_ends_while_it_is_pinged_is_told_from_one_that_is_pinged_from() {
    let world = need!(docker());
    let (web, db) = (world.docker_container("web", &[]), world.docker_container("db", &[]));
    let running = pinging(&world, &web, &db);
    world.command("docker").args(["kill", &db.name]).run().ok();
    let said = stopped(running);
    assert_eq!(said["cause"], "dest-ended", "{said}");
    let db = world.docker_container("db", &[]);
    let running = pinging(&world, &web, &db);
    world.command("docker").args(["kill", &web.name]).run().ok();
    let said = stopped(running);
    assert_eq!(said["cause"], "target-ended", "{said}");
}

#[test]
fn a_container_that_is_restarted_while_it_is_pinged_from_is_called_that() {
    let world = need!(docker());
    let (web, db) = (world.docker_container("web", &[]), world.docker_container("db", &[]));
    let running = pinging(&world, &web, &db);
    web.restart();
    let said = stopped(running);
    assert_eq!(said["cause"], "target-restarted", "{said}");
    let again = said["fix"][0].as_str().unwrap_or_default();
    assert!(again.starts_with("netns-ping "), "{said}");
    assert_eq!(once(&world, &[&web.name, &format!("docker:{}", db.name)])["cause"], Value::Null);
}

#[test]
fn an_interface_of_the_other_container_that_is_down_is_named_with_what_sets_it_up() {
    let world = need!(docker());
    let (web, db) = (world.docker_container("web", &[]), world.docker_container("db", &[]));
    let running = pinging(&world, &web, &db);
    let pid = db.pid().to_string();
    world.command("nsenter").args(["-t", &pid, "-n", "ip", "link", "set", "eth0", "down"]).run().ok();
    let said = stopped(running);
    assert_eq!(said["cause"], "dest-link-down", "{said}");
    assert!(said["fix"][0].as_str().unwrap().ends_with(" -n ip link set eth0 up"), "{said}");
    let said = once(&world, &[&web.name, &format!("docker:{}", db.name)]);
    assert_eq!(said["cause"], "dest-link-down", "it was down before: {said}");
}

/// Docker itself drops what goes from one of its networks to another: DOCKER-ISOLATION, in the host's FORWARD.
#[test]
fn a_host_that_drops_between_two_networks_is_named() {
    let world = need!(docker());
    let network = unique("net-");
    world.command("docker").args(["network", "create", &network]).run().ok();
    let web = world.docker_container("web", &[]);
    let db = world.docker_container("db", &["--network", &network]);
    let address = db.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
    let said = once(&world, &[&web.name, &address]);
    drop(db);
    world.command("docker").args(["network", "rm", &network]).run().ok();
    assert_eq!(said["cause"], "host-drops", "{said}");
    assert!(said["text"].as_str().unwrap().contains("this host received the packet on veth"), "{said}");
}

/// The host's own INPUT, of its address on the container's network.
#[test]
fn a_host_that_drops_what_is_for_itself_is_named() {
    let world = need!(docker());
    need!(support::skip::program("nft", "nftables"));
    let web = world.docker_container("web", &[]);
    let own = web.inspect("{{.NetworkSettings.IPAddress}}");
    let table = unique("t").replace('-', "_");
    let rules = format!(
        "table ip {table} {{\nchain c {{\ntype filter hook input priority -5;\nip saddr {own} icmp type echo-request drop\n}}\n}}"
    );
    world.command("nft").arg(rules).run().ok();
    let said = once(&world, &[&web.name, "gateway"]);
    world.command("nft").args(["delete", "table", "ip", &table]).run().ok();
    assert_eq!(said["cause"], "host-drops", "{said}");
    assert_eq!(once(&world, &[&web.name, "gateway"])["cause"], Value::Null);
}
