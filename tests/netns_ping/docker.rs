//! On a real Docker: its own names, its own networks.

use serde_json::Value;

use crate::{events, of_kind};
use support::run::{Ran, Run};
use support::scratch::unique;
use support::skip::{Missing, need};
use support::spare_docker::SpareDocker;
use support::tools::PATIENT;
use support::world::{IMAGE, World};

fn docker() -> Result<World, Missing> {
    World::get().and_then(World::with_docker)
}

/// A network of the user's own: only in such a one does Docker answer for names.
struct Network<'world>(&'world World, String);

impl Network<'_> {
    #[track_caller]
    fn new(world: &World) -> Network<'_> {
        let name = unique("net-");
        world.command("docker").args(["network", "create", &name]).run().ok();
        Network(world, name)
    }
}

impl Drop for Network<'_> {
    fn drop(&mut self) {
        self.0.command("docker").args(["network", "rm", &self.1]).run();
    }
}

#[track_caller]
fn ping(world: &World, words: &[&str]) -> Ran {
    world.tool("netns-ping").arg(PATIENT).args(words).run()
}

#[test]
fn a_container_is_pinged_by_the_name_that_dockers_own_server_knows() {
    let world = need!(docker());
    let network = Network::new(&world);
    let of_network = ["--network", network.1.as_str()];
    let web = world.docker_container("web", &of_network);
    let db = world.docker_container("db", &of_network);
    let address = db.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
    let ran = ping(&world, &[&web.name, &db.name, "-c2", "-i0.1", "-v"]).ok();
    let ran = ran.stdout_has(&format!("PING {} ({address}) 56(84) bytes of data.\n", db.name));
    ran.stdout_has("2 packets transmitted, 2 received, 0% packet loss")
        .stderr_has("according to its name server 127.0.0.11\n");
    let ran = ping(&world, &[&web.name, &format!("docker:{}", db.name), "gateway", "-c1"]).ok();
    ran.stdout_has(&format!("PING {0} (docker:{0}, {address} on eth0) 56(84) bytes of data.\n", db.name));
}

/// The name server at 127.0.0.11 is the daemon itself, and is as silent as that is.
#[test]
fn a_container_of_a_docker_that_hangs_is_offered_and_pinged() {
    let spare = need!(SpareDocker::start());
    let [network, web, db] = ["net-", "web-", "db-"].map(unique);
    spare.docker(&["network", "create", &network]).ok();
    for name in [&web, &db] {
        let words = ["run", "--detach", "--network", &network, "--name", name, IMAGE, "sleep", "infinity"];
        spare.docker(&words).ok();
    }
    let ping = |words: &[&str]| spare.tool("netns-ping").args(words).run();
    ping(&[PATIENT, &web, &db, "-c1"]).ok().stdout_has(&format!("PING {db} ("));
    spare.signal("STOP");
    let ran = ping(&[&web, &db, "-c1"]).fails_with(2);
    let ran = ran.stderr_has("127.0.0.11 does not answer within ");
    ran.stderr_has(&format!("hint: netns-ping {web} docker:{db}\n"));
    let ran = ping(&[&web, &format!("docker:{db}"), "-c1"]).ok();
    ran.stdout_has(&format!("PING {db} (docker:{db}, "));
    // There is no such container, and so no such hint.
    let ran = ping(&[&web, "nobody", "-c1"]).fails_with(2);
    assert!(!ran.stderr.contains("hint:"), "{ran}");
    spare.signal("CONT");
    ping(&[PATIENT, &web, &db, "-c1"]).ok();
}

#[test]
fn what_two_networks_apart_cannot_reach_is_told_from_inside() {
    let world = need!(docker());
    let network = Network::new(&world);
    let web = world.docker_container("web", &["--network", &network.1]);
    let alone = world.docker_container("alone", &["--network", "none"]);
    let ran = ping(&world, &[&web.name, &format!("docker:{}", alone.name), "-c1"]).fails_with(2);
    ran.stderr_has(": has no address that can be reached from outside");
    let ran = ping(&world, &[&alone.name, &format!("docker:{}", web.name), "-c1"]).fails_with(2);
    ran.stderr_has(&format!("): no route from inside: {} has no IPv4 routes", alone.name));
    ping(&world, &[&alone.name, "gateway"])
        .fails_with(2)
        .stderr_has(&format!("gateway: {} has no default route", alone.name));
    alone.stop();
    ping(&world, &[&alone.name, "127.0.0.1"])
        .fails_with(1)
        .stderr_has(&format!("hint: docker start {}", alone.name));
}

#[test]
fn what_a_container_measures_is_what_its_own_ping_does() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    let gateway = web.inspect("{{.NetworkSettings.Gateway}}");
    let theirs = web.command("ping").args(["-c3", "-q", &gateway]).run().ok();
    theirs.stdout_has("3 packets transmitted, 3 packets received, 0% packet loss");
    let heard = events(&ping(&world, &[&web.name, "gateway", "-c3", "-i0.1", "--json"]).ok());
    let replies: Vec<&Value> = of_kind(&heard, "reply");
    assert!(replies.len() == 3 && replies.iter().all(|reply| reply["by"] == gateway.as_str()), "{heard:#?}");
    // Of the container, as it is called, and not as a number.
    assert!(heard.iter().all(|event| event["from"] == web.name.as_str()));
}

/// docker0's network, of which the test's containers are a few.
fn docker0(world: &World) -> String {
    let route = world.command("ip").args(["-j", "route", "show", "dev", "docker0"]).run().ok().json();
    route[0]["dst"].as_str().unwrap().to_owned()
}

#[test]
fn neighbours_are_called_as_docker_calls_them() {
    let world = need!(docker());
    let [web, db] = ["web", "db"].map(|name| world.docker_container(name, &[]));
    let side = world.docker_container("side", &["--network", &format!("container:{}", db.name)]);
    let address = db.inspect("{{.NetworkSettings.IPAddress}}");
    let mac = db.inspect("{{.NetworkSettings.MacAddress}}");
    let ran = ping(&world, &["--arp", "-c1", &web.name, &address]).ok();
    ran.stdout_has(&format!("Unicast reply from {address} [{}]  0.", mac.to_uppercase()))
        .stdout_has(&format!("ms  {} + {} eth0 (veth", db.name, side.name));
    let ran = ping(&world, &["--arp", "-c1", "--json", &web.name, &address]).ok();
    let heard = events(&ran);
    let holder = &of_kind(&heard, "reply")[0]["holders"][0];
    assert_eq!(holder["container"]["id"], db.id.as_str(), "{holder}");
    let ran = ping(&world, &["--dad", &web.name, &address]).fails_with(1);
    ran.stdout_has(&format!("{address}: {mac} ({} + {} eth0 (veth", db.name, side.name));
    let ran = ping(&world, &[&web.name, &docker0(&world)]).ok();
    let ran = ran.stdout_has(&format!(" ms  {} + {} eth0 (veth", db.name, side.name));
    ran.stdout_has(" ms  this host docker0\n");
}

#[test]
fn containers_of_two_networks_are_all_in_one_matrix() {
    let world = need!(docker());
    let network = Network::new(&world);
    let prefix = unique("mx");
    let named = |name: &str, args: &[&str]| world.docker_container(&format!("{prefix}-{name}"), args);
    let [a, b] = ["a", "b"].map(|name| named(name, &[]));
    let c = named("c", &["--network", &network.1]);
    let both = named("d", &["--network", &network.1]);
    world.command("docker").args(["network", "connect", "bridge", &both.name]).run().ok();
    let pattern = format!("{prefix}-*");
    let heard = events(&ping(&world, &["--matrix", &pattern, "--json"]).ok());
    let to = |from: &str| {
        let replies = of_kind(&heard, "reply").into_iter().filter(|reply| reply["from"] == from);
        let mut names: Vec<String> =
            replies.map(|reply| reply["dest"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let sorted = |names: &[&str]| {
        let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(to(&a.name), sorted(&[&b.name, &both.name, "gateway"]));
    assert_eq!(to(&c.name), sorted(&[&both.name, "gateway"]));
    assert_eq!(to(&both.name), sorted(&[&a.name, &b.name, &c.name, "gateway"]));
    ping(&world, &["--matrix", &pattern])
        .ok()
        .stdout_has("4 containers: 8 of 8 pairs reached, 4 of 4 gateways");
}
