//! On a real Docker, in a world whose network other tests use too: each has addresses of its own.

use std::net::Ipv4Addr;
use std::time::Duration;

use support::run::{Ran, Run};
use support::scratch::unique;
use support::skip::{Missing, need, program};
use support::tools::PATIENT;
use support::tools::tool;
use support::world::{DockerContainer, World};

const LONG: Duration = Duration::from_secs(120);

pub(crate) fn docker() -> Result<World, Missing> {
    World::get().and_then(World::with_docker)
}

/// One packet from inside, by the image's own ping, and a second for its answer.
#[track_caller]
pub(crate) fn pings(container: &DockerContainer<'_>, address: &str) -> Ran {
    container.command("ping").args(["-c1", "-W1", "-q", address]).run().ok()
}

/// docker0's address, and another one of its network that Docker gives to nobody for a long time.
pub(crate) fn of_docker0(world: &World, behind: u32) -> (Ipv4Addr, String) {
    let address = world.command("ip").args(["-j", "-4", "address", "show", "docker0"]).run().ok().json();
    let held = &address[0]["addr_info"][0];
    let gateway: Ipv4Addr = held["local"].as_str().unwrap().parse().unwrap();
    (gateway, format!("{}/{}", Ipv4Addr::from_bits(gateway.to_bits() + behind), held["prefixlen"]))
}

#[test]
fn a_second_nic_works_and_goes_again() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    let routes = || web.command("ip").arg("route").run().ok().stdout;
    let before = routes();
    let said = world.tool("add-nic").arg(PATIENT).args([&web.name, "198.19.1.2/24"]).run().ok();
    said.stdout_has(": eth1 198.19.1.2/24, host end ").stdout_has(" 198.19.1.1/24, reachable after ");
    pings(&web, "198.19.1.1");
    assert_ne!(routes(), before);
    world
        .tool("add-nic")
        .arg(PATIENT)
        .args([&web.name, "198.19.1.2/24"])
        .run()
        .ok()
        .stdout_has(", unchanged");
    world.tool("add-nic").arg(PATIENT).args(["--check", &web.name]).run().ok();
    world.tool("add-nic").arg(PATIENT).args(["--rm", &web.name]).run().ok();
    assert_eq!(routes(), before);
}

#[test]
fn an_address_that_docker_gave_to_somebody_is_refused_with_his_name() {
    let world = need!(docker());
    let other = world.docker_container("other", &[]);
    let alone = world.docker_container("alone", &["--network", "none"]);
    let (_, address) = of_docker0(&world, 1);
    let prefix_len = address.split('/').nth(1).unwrap();
    let taken = format!("{}/{prefix_len}", other.inspect("{{.NetworkSettings.IPAddress}}"));
    let refused = world
        .tool("add-nic")
        .arg(PATIENT)
        .args([&alone.name, &taken, "--bridge", "docker0"])
        .run()
        .fails_with(2);
    let mac = other.inspect("{{.NetworkSettings.MacAddress}}");
    refused.stderr_has(&format!("already in use by {mac} ({}) on docker0", other.name));
}

#[test]
fn a_container_that_was_restarted_gets_its_nic_again() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    let words = [&web.name, "198.19.2.2/24", "--bridge", "br-again", "--create"];
    world.tool("add-nic").arg(PATIENT).args(words).run().ok();
    web.restart();
    world.tool("add-nic").arg(PATIENT).args(words).run().ok().stdout_has("reachable after");
    pings(&web, "198.19.2.1");
    world.tool("add-nic").arg(PATIENT).args(["--rm", &web.name]).run().ok();
    world.command("ip").args(["link", "show", "br-again"]).run().fails_with(1);
}

#[test]
fn a_container_in_the_hosts_network_is_refused() {
    let world = need!(docker());
    let hosty = world.docker_container("hosty", &["--network", "host"]);
    let refused = world.tool("add-nic").arg(PATIENT).args([&hosty.name, "198.19.3.2/24"]).run().fails_with(2);
    refused
        .stderr_has("uses the host's own network")
        .stderr_has(&format!("{} 198.19.3.2/24 --host\n", hosty.name));
}

#[test]
fn the_network_that_a_container_had_before_is_refused_by_the_name_of_its_link() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    let words = [&web.name, "198.19.4.2/24", "--bridge", "br-pinned", "--create"];
    world.tool("netns-link").arg(PATIENT).arg(&web.name).run().ok();
    world.tool("add-nic").arg(PATIENT).args(words).run().ok();
    web.restart();
    let refused = world.tool("add-nic").arg(PATIENT).args(words).run().fails_with(2);
    refused
        .stderr_has(&format!(
            "(the network namespace that /run/netns/{0} keeps, from before {0} was restarted)",
            web.name
        ))
        .stderr_has("hint: netns-link --refresh");
    // The one link, because other tests have links of their own.
    world.tool("netns-link").arg(PATIENT).args(["--force", &web.name]).run().ok();
    world.tool("add-nic").arg(PATIENT).args(words).run().ok();
    pings(&web, "198.19.4.1");
    world.tool("add-nic").arg(PATIENT).args(["--rm", &web.name]).run().ok();
    world.tool("netns-link").arg(PATIENT).args(["--rm", &web.name]).run().ok();
}

#[test]
fn a_container_that_is_stopped_or_paused_is_one_clear_error_and_nothing_is_left() {
    let world = need!(docker());
    let web = world.docker_container("web", &[]);
    let add = || world.tool("add-nic").arg(PATIENT).args([&web.name, "198.19.5.2/24"]).run();
    world.command("docker").args(["pause", &web.name]).run().ok();
    add()
        .fails_with(1)
        .stdout_is("")
        .stderr_has("is paused")
        .stderr_has(&format!("hint: docker unpause {}", web.name));
    world.command("docker").args(["unpause", &web.name]).run().ok();
    assert!(!web.command("ip").args(["-o", "link"]).run().ok().stdout.contains("eth1"));
    web.stop();
    add()
        .fails_with(1)
        .stdout_is("")
        .stderr_has("is not running")
        .stderr_has(&format!("hint: docker start {}", web.name));
    let host = world.command("ip").args(["-o", "address"]).run().ok();
    assert!(!host.stdout.contains("198.19.5."), "{host}");
}

/// The FORWARD policy that Docker sets where it switched forwarding on itself, and bridge netfilter as hosts with
/// Kubernetes, or any old Docker, have it.
pub(crate) fn with_dockers_filters(world: World) -> Result<World, Missing> {
    program("nft", "nftables")?;
    let rules = world.command("iptables").args(["-S", "FORWARD"]).run();
    if !rules.stdout.contains("-j DOCKER-USER") {
        return Err(Missing::ForGood("this Docker does without iptables".into()));
    }
    Ok(world)
}

/// A Docker of its own, in a network of its own, that can be stopped and started again without anybody else's noticing.
/// `$name` is what everything of it is called.
const DOCKER_AGAIN: &str = r#"
    ip link set lo up; mkdir -p /run/$name
    start() {
        dockerd --host unix:///run/$name/sock --data-root /run/$name/data --exec-root /run/$name/exec --pidfile /run/$name/pid \
            --storage-driver vfs --exec-opt native.cgroupdriver=cgroupfs --bip 198.18.99.1/24 >>/run/$name/log 2>&1 & daemon=$!
        until docker --host unix:///run/$name/sock version >/dev/null 2>&1; do kill -0 $daemon; sleep 0.1; done
    }
    stop() { kill $daemon; wait $daemon || :; }
    start; before=$(iptables -S)
    ip netns add $name
    trap 'stop; ip netns del $name; rm -rf /run/$name' EXIT
    "$tool" netns:$name 198.19.13.2/24 --gateway 198.19.13.1 --nat=all --publish 18082:80
    stop; "$tool" --check netns:$name
    start; "$tool" --check netns:$name
    ip netns exec $name ping -c1 -W1 -q 198.18.99.1
    iptables -F DOCKER-USER; ! "$tool" --check netns:$name; iptables -A DOCKER-USER -j RETURN
    "$tool" --rm netns:$name
    iptables-save >/dev/null; [ "$(iptables -S)" = "$before" ]"#;

#[test]
fn rules_survive_a_restart_of_docker_and_those_that_somebody_flushed_are_missed() {
    let world = need!(docker().and_then(with_dockers_filters));
    let script = format!("name={} tool={}\n{DOCKER_AGAIN}", unique("again"), tool("add-nic"));
    let again =
        world.command("unshare").args(["--net", "--mount", "sh", "-ec", &script]).run_within(LONG).ok();
    again.stdout_has("its rule in iptables-nft's DOCKER-USER is gone");
}

/// All rules of the world, without what other tests count and add meanwhile.
fn rules(world: &World) -> Vec<String> {
    let read = world
        .command("sh")
        .args(["-c", "iptables -S; iptables-save -t filter >/dev/null && iptables -S -t nat"])
        .run()
        .ok();
    let mine = |line: &&str| !line.contains("netns-toolbox:");
    read.stdout.lines().filter(mine).map(str::to_owned).collect()
}

#[test]
fn containers_on_a_bridge_reach_each_other_past_dockers_rules_with_forward() {
    let world = need!(docker().and_then(with_dockers_filters));
    let [a, b] = ["a", "b"].map(|name| world.docker_container(name, &["--network", "none"]));
    let before = rules(&world);
    assert!(before.contains(&"-P FORWARD DROP".to_owned()), "{before:?}");
    let plug = |container: &DockerContainer<'_>, words: &[&str]| {
        world.tool("add-nic").arg(PATIENT).arg(&container.name).args(words).run().ok()
    };
    plug(&a, &["198.19.11.2/24", "--bridge", "br-forward", "--create"]);
    let warned = plug(&b, &["198.19.11.3/24", "--bridge", "br-forward"]);
    if world.command("cat").arg("/proc/sys/net/bridge/bridge-nf-call-iptables").run().stdout == "1\n" {
        warned.stderr_has("--forward");
        a.command("ping").args(["-c1", "-W1", "-q", "198.19.11.3"]).run().fails_with(1);
    }
    world.tool("add-nic").arg(PATIENT).args(["--rm", &b.name]).run().ok();
    plug(&b, &["198.19.11.3/24", "--bridge", "br-forward", "--forward"]);
    pings(&a, "198.19.11.3");
    pings(&b, "198.19.11.2");
    for container in [&b, &a] {
        world.tool("add-nic").arg(PATIENT).args(["--rm", &container.name]).run().ok();
    }
    assert_eq!(rules(&world), before);
}

#[test]
fn a_second_nic_of_a_container_serves_a_port_of_the_host_and_leads_out() {
    let world = need!(docker().and_then(with_dockers_filters));
    let web = world.docker_container("web", &["--network", "none"]);
    let before = rules(&world);
    // A fake outside, which knows no way back.
    let outside = format!("{}-out", &web.name[web.name.len() - 8..]);
    world
        .command("sh")
        .args([
            "-ec",
            &format!(
                "ip netns add {outside}; ip link add {outside} up type veth peer name eth0 netns {outside}
         ip address add 203.0.113.1/24 dev {outside}; ip -n {outside} address add 203.0.113.9/24 dev eth0
         ip -n {outside} link set eth0 up"
            ),
        ])
        .run()
        .ok();
    let words = ["198.19.12.2/24", "--gateway", "198.19.12.1", "--nat=all", "--publish", "18080:80"];
    world.tool("add-nic").arg(PATIENT).arg(&web.name).args(words).run().ok();
    pings(&web, "203.0.113.9");
    web.command("sh")
        .args(["-c", "mkdir -p /www; echo hello >/www/index.html; httpd -p 80 -h /www"])
        .run()
        .ok();
    let curl = |world: &World, url: &str, inside: &[&str]| {
        let mut words = inside.to_vec();
        words.extend(["curl", "-sS", "--max-time", "5", url]);
        world.command(words[0]).args(&words[1..]).run().ok().stdout_is("hello\n");
    };
    curl(&world, "http://203.0.113.1:18080/", &["ip", "netns", "exec", &outside]);
    curl(&world, "http://127.0.0.1:18080/", &[]);
    curl(&world, "http://198.19.12.2/", &[]);
    world.tool("add-nic").arg(PATIENT).args(["--check", &web.name]).run().ok();
    world.command("sh").args(["-c", "iptables -S && iptables-save"]).run().ok();
    world.tool("add-nic").arg(PATIENT).args(["--rm", &web.name]).run().ok();
    assert_eq!(rules(&world), before);
    world.command("ip").args(["netns", "del", &outside]).run().ok();
}
