//! On a real Docker: what people run has no finding, and faults of published ports are named. Observers: what Docker and the
//! kernel do after the fix.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use support::run::Run;
use support::skip::need;
use support::tools::{PATIENT, tool};
use support::until::until_some;
use support::world::{DockerContainer, World};

use super::code;

/// All tests here are about one world, and one of them is about all that is in it.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shell(world: &World, script: &str) -> String {
    let directory = std::path::Path::new(tool("nsenter-rs")).parent().unwrap().display();
    world.command("sh").args(["-ec", &format!("PATH=$PATH:{directory}; {script}")]).run().ok().stdout
}

fn findings(world: &World) -> Vec<Value> {
    let ran = world.tool("netns-ls").args([PATIENT, "--why", "--json"]).run();
    ran.json()["findings"].as_array().unwrap().clone()
}

/// The findings are this one alone; its commands.
#[track_caller]
fn only(world: &World, word: &str, part: &str) -> Vec<String> {
    let found = findings(world);
    assert_eq!(found.len(), 1, "{word}: {found:#?}");
    assert_eq!(found[0]["what"], word, "{found:#?}");
    assert!(found[0]["text"].as_str().unwrap().contains(part), "{found:#?}");
    found[0]["fix"].as_array().unwrap().iter().map(|fix| fix.as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn none(world: &World, when: &str) {
    let found = until_some(Duration::from_secs(10), || Some(findings(world)).filter(Vec::is_empty));
    assert!(found.is_some(), "{when}: {:#?}", findings(world));
}

fn serve(world: &World, web: &DockerContainer<'_>, at: &str) {
    world.command("docker").args(["exec", "-d", &web.id, "busybox", "httpd", "-f", "-p", at]).run().ok();
    let is_there = || {
        let ran = world.command("docker").args(["exec", &web.id, "busybox", "netstat", "-tln"]).run();
        ran.stdout.contains(&format!(":{} ", at.rsplit(':').next().unwrap())).then_some(())
    };
    assert!(until_some(Duration::from_secs(10), is_there).is_some(), "nobody listens on {at}");
}

#[test]
fn containers_of_docker_as_people_run_them_have_no_finding() {
    let _alone = alone();
    let world = need!(World::get().and_then(World::with_docker));
    let docker = |words: &[&str]| world.command("docker").args(words).run().ok();
    for network in ["own", "inner", "apart"] {
        world.command("docker").args(["network", "rm", network]).run();
    }
    docker(&["network", "create", "own"]);
    docker(&["network", "create", "--internal", "inner"]);
    docker(&["network", "create", "-o", "com.docker.network.bridge.enable_icc=false", "apart"]);
    let web = world.docker_container("web", &["-p", "8080:80", "-p", "127.0.0.1:8090:80"]);
    serve(&world, &web, "80");
    let containers = [
        world.docker_container("paused", &[]),
        world.docker_container("plain", &[]),
        world.docker_container("none", &["--network", "none"]),
        world.docker_container("host", &["--network", "host"]),
        world.docker_container("side", &["--network", &format!("container:{}", web.name)]),
        world.docker_container("own1", &["--network", "own"]),
        world.docker_container("own2", &["--network", "own"]),
        world.docker_container("inner1", &["--network", "inner"]),
        world.docker_container("inner2", &["--network", "inner"]),
        world.docker_container("apart1", &["--network", "apart"]),
        world.docker_container("apart2", &["--network", "apart"]),
    ];
    docker(&["pause", &containers[0].name]);
    let ran = world.tool("netns-ls").args([PATIENT, "--why"]).run();
    docker(&["unpause", &containers[0].name]);
    drop((containers, web));
    for network in ["own", "inner", "apart"] {
        docker(&["network", "rm", network]);
    }
    assert_eq!((code(&ran), ran.stdout.as_str()), (Some(0), "no findings\n"), "{ran}");
}

#[test]
fn published_ports_without_a_listener_and_without_their_proxy() {
    let _alone = alone();
    let world = need!(World::get().and_then(World::with_docker));
    let web = world.docker_container("web", &["-p", "8181:80", "-p", "8182:81"]);
    serve(&world, &web, "81");
    only(&world, "nobody-listens", &format!("port 0.0.0.0:8181/tcp leads to {}, where nobody", web.name));
    serve(&world, &web, "127.0.0.1:80");
    only(&world, "listens-on-loopback-only", "listens at port 80 on 127.0.0.1 only");
    serve(&world, &web, &format!("{}:80", web.inspect("{{.NetworkSettings.IPAddress}}")));
    none(&world, "after it listens");
    // Of this world alone: others may have the same ports.
    shell(
        &world,
        "kill $(ss -Hltnp sport = :8182 | grep '0.0.0.0:8182' | grep -o 'pid=[0-9]*' | cut -d= -f2)",
    );
    let fix = only(&world, "proxy-missing", "no docker-proxy listens on 0.0.0.0:8182/tcp");
    assert_eq!(fix, [format!("docker restart {}", web.name)]);
}

#[test]
fn filters_of_the_host_that_drop_what_containers_send() {
    let _alone = alone();
    let world = need!(World::get().and_then(World::with_docker));
    let web = world.docker_container("web", &["-p", "8280:80"]);
    serve(&world, &web, "80");
    none(&world, "before");
    // What ufw makes of a host.
    shell(
        &world,
        "iptables -A INPUT -i lo -j ACCEPT; iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; iptables -P INPUT DROP",
    );
    let fix = only(&world, "input-drops", "docker0: the policy of INPUT");
    let connect = "busybox nc -w 3 198.18.0.1 8280 </dev/null >/dev/null 2>&1 && echo yes || echo no";
    let reach = format!("docker exec {} sh -c '{connect}'", web.id);
    let before = shell(&world, &reach);
    fix.iter().for_each(|fix| drop(shell(&world, fix)));
    none(&world, "after INPUT accepts it");
    let after = shell(&world, &reach);
    shell(&world, "iptables -P INPUT ACCEPT; iptables -F INPUT");
    assert_eq!((before.as_str(), after.as_str()), ("no\n", "yes\n"));
    // A bridge of another owner, which Docker's policy of FORWARD is not meant for.
    shell(
        &world,
        "ip link add lab0 type bridge; ip address add 198.18.7.1/24 dev lab0; ip link set lab0 up
         for at in 2 3; do
           ip netns add lab$at; ip link add lab-v$at type veth peer name eth0 netns lab$at
           ip link set lab-v$at master lab0 up; ip -n lab$at address add 198.18.7.$at/24 dev eth0; ip -n lab$at link set eth0 up
         done
         echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables",
    );
    let pings = "ip netns exec lab2 ping -c1 -W1 198.18.7.3 >/dev/null && echo yes || echo no";
    let before = shell(&world, pings);
    let fix = only(&world, "bridge-filtered", "lab0: the policy of FORWARD");
    assert!(fix[0].contains("-I DOCKER-USER "), "{fix:?}");
    fix.iter().for_each(|fix| drop(shell(&world, fix)));
    none(&world, "after FORWARD accepts it");
    let after = shell(&world, pings);
    shell(
        &world,
        "iptables -D DOCKER-USER -i lab0 -o lab0 -j ACCEPT; ip link del lab0; ip netns del lab2; ip netns del lab3",
    );
    assert_eq!((before.as_str(), after.as_str()), ("no\n", "yes\n"));
}

#[test]
fn what_docker_gave_a_container_and_what_was_taken_away() {
    let _alone = alone();
    let world = need!(World::get().and_then(World::with_docker));
    let web = world.docker_container("web", &[]);
    shell(&world, &format!("nsenter -t {} -n ip route del default", web.pid()));
    let fix = only(&world, "no-route", &format!("{}: eth0", web.name));
    fix.iter().for_each(|fix| drop(shell(&world, fix)));
    none(&world, "after the route is there");
    shell(&world, "iptables -t nat -A DOCKER -p tcp --dport 8385 -j DNAT --to-destination 198.18.0.200:80");
    let fix = only(&world, "published-to-nobody", "is forwarded to 198.18.0.200");
    fix.iter().for_each(|fix| drop(shell(&world, fix)));
    none(&world, "after the rule is gone");
}
