//! A real Docker: its own rules between networks, and published ports from outside. Observers: connections from the container and from
//! a client outside of the host, by perl and ping. Rules and networks are of these containers alone: others use the same Docker.

use serde_json::Value;
use support::run::{Ran, Run};
use support::scratch::unique;
use support::skip::{Missing, need};
use support::tools::PATIENT;
use support::world::{DockerContainer, World};

fn docker() -> Result<World, Missing> {
    let world = World::get().and_then(World::with_docker)?;
    support::skip::program("perl", "perl-base")?;
    Ok(world)
}

/// A network of Docker's, with the name of its bridge.
struct Network<'world> {
    world: &'world World,
    name: String,
}

impl Network<'_> {
    #[track_caller]
    fn new<'world>(world: &'world World, options: &[&str]) -> Network<'world> {
        let name = unique("net-");
        world.command("docker").args(["network", "create"]).args(options).arg(&name).run().ok();
        Network { world, name }
    }

    #[track_caller]
    fn bridge(&self) -> String {
        let words = ["network", "inspect", "--format", "{{.Id}}", &self.name];
        format!("br-{}", &self.world.command("docker").args(words).run().ok().text()[..12])
    }
}

impl Drop for Network<'_> {
    fn drop(&mut self) {
        self.world.command("docker").args(["network", "rm", &self.name]).run();
    }
}

/// Something of the host's that a script makes and another one takes away.
struct Undone<'world>(&'world World, String);

impl Undone<'_> {
    #[track_caller]
    fn new<'world>(world: &'world World, made: &str, undo: &str) -> Undone<'world> {
        let undone = Undone(world, undo.to_owned());
        shell(world, made).ok();
        undone
    }
}

impl Drop for Undone<'_> {
    fn drop(&mut self) {
        shell(self.0, &self.1);
    }
}

fn shell(world: &World, script: &str) -> Ran {
    world.command("sh").args(["-ec", script]).run()
}

#[track_caller]
fn traced(world: &World, words: &[&str]) -> (Value, Option<i32>) {
    let ran = world.tool("netns-trace").arg(PATIENT).arg("--json").args(words).run();
    let last = ran.stdout.lines().last().unwrap_or_default();
    let report = serde_json::from_str(last)
        .unwrap_or_else(|err| panic!("{words:?}: {err}: {}{}", ran.stdout, ran.stderr));
    (report, ran.status.and_then(|status| status.code()))
}

fn address(container: &DockerContainer<'_>) -> String {
    container.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
}

/// A container with a web server at port 80.
#[track_caller]
fn web<'world>(world: &'world World, args: &[&str]) -> DockerContainer<'world> {
    let web = world.docker_container("web", args);
    web.command("httpd").args(["-p", "80", "-h", "/"]).run().ok();
    web
}

fn pings(from: &DockerContainer<'_>, to: &str) -> bool {
    from.command("ping").args(["-c1", "-W2", to]).run().status.is_some_and(|status| status.success())
}

#[track_caller]
fn is(report: &Value, cause: &str, container: &str, hook: Option<&str>) {
    let hop = &report["hop"];
    let found = (report["cause"].as_str(), hop["container"].as_str(), hop["hook"].as_str());
    assert_eq!(found, (Some(cause), Some(container), hook), "{report:#}");
}

#[test]
fn two_networks_are_isolated_by_a_rule_of_dockers() {
    let world = need!(docker());
    let (one, other) = (Network::new(&world, &[]), Network::new(&world, &[]));
    let a = world.docker_container("a", &["--network", &one.name]);
    let b = world.docker_container("b", &["--network", &other.name]);
    let to = address(&b);
    assert!(!pings(&a, &to), "the observer");
    for way in [&["--explain"][..], &[]] {
        let (report, status) = traced(&world, &[way, &[&a.name, &to]].concat());
        is(&report, "filter-drop", "host", Some("forward"));
        assert_eq!(status, Some(1));
        let text = report["text"].as_str().unwrap();
        assert!(text.contains("DOCKER-ISOLATION") || text.contains("DOCKER"), "{report:#}");
        // The rule is Docker's own, and what people want is seldom to have it gone.
        if text.contains("DOCKER-ISOLATION") {
            assert!(report["advice"].as_str().unwrap().contains("docker network connect"), "{report:#}");
        }
    }
}

#[test]
fn an_internal_network_has_no_way_out() {
    let world = need!(docker());
    let network = Network::new(&world, &["--internal"]);
    let outside = Outside::new(&world);
    let a = world.docker_container("a", &["--network", &network.name]);
    assert!(!pings(&a, &outside.client), "the observer");
    for way in [&["--explain"][..], &[]] {
        let (report, status) = traced(&world, &[way, &[&a.name, &outside.client]].concat());
        assert_eq!(status, Some(1), "{report:#}");
        match report["cause"].as_str() {
            // Docker since 28 gives such a container no default route.
            Some("no-route") => is(&report, "no-route", &a.name, Some("route")),
            _ => {
                is(&report, "filter-drop", "host", Some("forward"));
                assert!(report["rule"].as_str().unwrap().contains(&network.bridge()), "{report:#}");
            }
        }
    }
}

#[test]
fn a_container_on_no_network_is_said_to_be_on_none() {
    let world = need!(docker());
    let a = world.docker_container("a", &["--network", "none"]);
    for way in [&["--explain"][..], &[]] {
        let (report, status) = traced(&world, &[way, &[&a.name, "192.0.2.1"]].concat());
        is(&report, "no-route", &a.name, Some("route"));
        assert_eq!(status, Some(1));
        assert!(report["text"].as_str().unwrap().contains("no interface but its loopback"), "{report:#}");
    }
}

/// Between containers of one bridge, which takes br_netfilter.
#[test]
fn without_communication_between_containers_a_rule_drops_what_is_bridged() {
    let world = need!(docker());
    let network = Network::new(&world, &["-o", "com.docker.network.bridge.enable_icc=false"]);
    let a = world.docker_container("a", &["--network", &network.name]);
    let b = world.docker_container("b", &["--network", &network.name]);
    let to = address(&b);
    if pings(&a, &to) {
        // Where dockerd could not switch it on, nothing is dropped.
        eprintln!("no br_netfilter in this world");
        return;
    }
    for way in [&["--explain"][..], &[]] {
        let (report, status) = traced(&world, &[way, &[&a.name, &to]].concat());
        is(&report, "filter-drop", "host", Some("forward"));
        assert_eq!(status, Some(1));
        let bridge = network.bridge();
        assert!(report["rule"].as_str().unwrap().contains(&format!("-i {bridge} -o {bridge}")), "{report:#}");
    }
}

#[test]
fn a_rule_of_docker_user_is_named_with_its_comment_and_live() {
    let world = need!(docker());
    let network = Network::new(&world, &[]);
    let (a, b) = (world.docker_container("a", &["--network", &network.name]), web(&world, &[]));
    let (from, to) = (address(&a), address(&b));
    let rule = format!("DOCKER-USER -s {from} -d {to} -m comment --comment 'policy 42' -j DROP");
    let _rule = Undone::new(&world, &format!("iptables -I {rule}"), &format!("iptables -D {rule}"));
    let (report, status) = traced(&world, &[&a.name, &format!("tcp:{to}:80")]);
    is(&report, "filter-drop", "host", Some("forward"));
    assert_eq!(status, Some(1));
    assert!(report["fix"][0].as_str().unwrap().starts_with("iptables -D DOCKER-USER -s "), "{report:#}");
    // What containers do by themselves is seen, too.
    let watch = world.tool("netns-trace").arg(PATIENT).args(["--drops", "--json", &a.name]).start();
    watch.wait_for_stderr("watching;");
    assert!(!pings(&a, &to), "the observer");
    watch.wait_for("\"kind\":\"drop\"");
    watch.signal_behind_nsenter(nix::sys::signal::Signal::SIGINT);
    let ran = watch.finish();
    let lines: Vec<Value> = ran.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let is_it = |line: &&Value| {
        line["from"]["container"] == a.name.as_str() && line["to"]["container"] == b.name.as_str()
    };
    let found = lines.iter().find(is_it).unwrap_or_else(|| panic!("{}{}", ran.stdout, ran.stderr));
    is(found, "filter-drop", "host", Some("forward"));
    assert!(found["rule"].as_str().unwrap().contains("policy 42"), "{found:#}");
}

#[test]
fn a_port_that_nobody_listens_at_is_said_to_be_one() {
    let world = need!(docker());
    let (a, b) = (world.docker_container("a", &[]), web(&world, &[]));
    let to = address(&b);
    let (report, _) = traced(&world, &[&a.name, &format!("tcp:{to}:80")]);
    assert_eq!(report["verdict"], "works", "{report:#}");
    let (report, status) = traced(&world, &[&a.name, &format!("tcp:{to}:81")]);
    is(&report, "nobody-listens", &b.name, Some("socket"));
    assert_eq!((&report["verdict"], status), (&"refused".into(), Some(1)), "{report:#}");
}

/// Its kernel takes connections, so that a program of others sees them as made.
#[test]
fn a_paused_container_is_not_said_to_work() {
    let world = need!(docker());
    let (a, b) = (world.docker_container("a", &[]), web(&world, &[]));
    let to = format!("tcp:{}:80", address(&b));
    world.command("docker").args(["pause", &b.name]).run().ok();
    for way in [&["--explain"][..], &[]] {
        let (report, status) = traced(&world, &[way, &[&a.name, &to]].concat());
        is(&report, "frozen", &b.name, Some("socket"));
        assert_eq!((&report["verdict"], status), (&"lost".into(), Some(1)), "{report:#}");
        assert_eq!(report["fix"], serde_json::json!([format!("docker unpause {}", b.name)]));
    }
    shell(&world, &format!("docker unpause {}", b.name)).ok();
    assert_eq!(traced(&world, &[&a.name, &to]).0["verdict"], "works");
}

/// A client outside of the host: a namespace with a cable to it.
struct Outside<'world> {
    made: Undone<'world>,
    netns: String,
    client: String,
    host: String,
}

impl Outside<'_> {
    #[track_caller]
    fn new(world: &World) -> Outside<'_> {
        let netns = unique("out-");
        // Each test has a network of its own, by the last letters of a random name.
        let number = netns.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let network = format!("198.19.{}", number % 250);
        let link = format!("o{:x}", number);
        let made = Undone::new(
            world,
            &format!(
                "ip netns add {netns}; ip link add {link} up type veth peer name eth0 netns {netns}
                ip addr add {network}.1/24 dev {link}; ip -n {netns} link set eth0 up
                ip -n {netns} addr add {network}.2/24 dev eth0; ip -n {netns} route add default via {network}.1"
            ),
            &format!("ip netns del {netns}; ip link del {link} 2>/dev/null || true"),
        );
        Outside { made, netns, client: format!("{network}.2"), host: format!("{network}.1") }
    }

    /// Whether it can connect to that port of the host.
    fn connects(&self, port: u16) -> bool {
        connects(self.made.0, &format!("ip netns exec {}", self.netns), &self.host, port)
    }
}

fn connects(world: &World, within: &str, address: &str, port: u16) -> bool {
    let script = format!(
        "exec {within} timeout 3 perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0); connect(S, pack_sockaddr_in({port}, inet_aton(\"{address}\"))) or exit 1'"
    );
    shell(world, &script).status.is_some_and(|status| status.success())
}

#[track_caller]
fn published(web: &DockerContainer<'_>) -> u16 {
    let port = web.inspect(r#"{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}"#);
    port.parse().expect("a port")
}

#[test]
fn a_published_port_is_followed_from_outside_and_a_drop_on_its_way_is_named() {
    let world = need!(docker());
    let web = web(&world, &["-p", "0:80"]);
    let (port, outside) = (published(&web), Outside::new(&world));
    let number = port.to_string();
    assert!(outside.connects(port), "the observer");
    let words = ["--reverse", &web.name, &number, "--from", &outside.client];
    let (report, status) = traced(&world, &words);
    assert_eq!((&report["verdict"], status), (&"passes".into(), Some(0)), "{report:#}");
    let to = address(&web);
    assert_eq!(
        report["published_by"],
        serde_json::json!({"kind": "dnat", "address": to, "port": 80}),
        "{report:#}"
    );
    let rule = format!("DOCKER-USER -d {to} -j DROP");
    let _rule = Undone::new(&world, &format!("iptables -I {rule}"), &format!("iptables -D {rule}"));
    assert!(!outside.connects(port), "the observer");
    // On the host docker-proxy takes it: that it connects proves nothing of the container.
    assert!(connects(&world, "", "127.0.0.1", port), "the observer");
    let (report, status) = traced(&world, &words);
    is(&report, "filter-drop", "host", Some("forward"));
    assert_eq!(status, Some(1));
    assert!(report["rule"].as_str().unwrap().contains("-A DOCKER-USER "), "{report:#}");
}

#[test]
fn a_port_that_is_published_on_loopback_only_or_not_at_all_is_said_to_be() {
    let world = need!(docker());
    let web = web(&world, &["-p", "127.0.0.1:0:80"]);
    let (port, outside) = (published(&web), Outside::new(&world));
    assert!(!outside.connects(port), "the observer");
    let (report, status) =
        traced(&world, &["--reverse", &web.name, &port.to_string(), "--from", &outside.client]);
    is(&report, "listens-on-loopback-only", "host", Some("socket"));
    assert_eq!(status, Some(1));
    let (report, _) = traced(&world, &["--reverse", &web.name, "9", "--from", &outside.client]);
    is(&report, "not-published", "host", Some("socket"));
}

/// From another container of the bridge: Docker's DNAT leaves that out, and its proxy takes it, unless a rule of the host drops what
/// containers send to the host itself (moby#27817).
/// That it answers says nothing of the container.
#[test]
fn that_a_proxy_answers_is_said_to_be_no_more() {
    let world = need!(docker());
    let network = Network::new(&world, &[]);
    let (a, web) = (world.docker_container("a", &["--network", &network.name]), web(&world, &["-p", "0:80"]));
    let to = format!("tcp:gateway:{}", published(&web));
    let (report, status) = traced(&world, &[&a.name, &to]);
    assert_eq!((&report["verdict"], status), (&"works".into(), Some(0)), "{report:#}");
    let said = format!(
        "docker-proxy answers, a program of the host, and then connects to {}:80 itself",
        address(&web)
    );
    assert!(report["advice"].as_str().unwrap().starts_with(&said), "{report:#}");
}

#[test]
fn between_containers_a_published_port_is_the_proxys() {
    let world = need!(docker());
    let network = Network::new(&world, &[]);
    let web = web(&world, &["-p", "0:80", "--network", &network.name]);
    let other = world.docker_container("other", &["--network", &network.name]);
    let (port, client) = (published(&web), address(&other));
    let number = port.to_string();
    let words = ["--reverse", &web.name, &number, "--from", &client];
    let (report, status) = traced(&world, &words);
    assert_eq!((&report["verdict"], status), (&"passes".into(), Some(0)), "{report:#}");
    assert_eq!(report["published_by"]["kind"], "docker-proxy", "{report:#}");
    assert!(report["published_by"]["pid"].as_i64().unwrap() > 1, "{report:#}");
    let bridge = network.bridge();
    let rule = format!("INPUT -i {bridge} -p tcp --dport {port} -j DROP");
    let _rule = Undone::new(&world, &format!("iptables -I {rule}"), &format!("iptables -D {rule}"));
    let (report, status) = traced(&world, &words);
    is(&report, "filter-drop", "host", Some("input"));
    assert_eq!(status, Some(1));
}

#[test]
fn a_container_that_is_down_publishes_nothing_and_is_said_to_be_down() {
    let world = need!(docker());
    let web = web(&world, &["-p", "0:80"]);
    let port = published(&web);
    web.stop();
    let ran = world
        .tool("netns-trace")
        .arg(PATIENT)
        .args(["--reverse", &web.name, &port.to_string(), "--from", "198.19.251.2"])
        .run();
    let ran = ran.fails_with(1);
    assert!(ran.stderr.contains("exited") || ran.stderr.contains("not running"), "{}", ran.stderr);
}
