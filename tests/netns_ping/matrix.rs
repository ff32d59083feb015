//! `--matrix`: every container to every other one, of a fake Docker's on a bridge of the lab's.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::arp::container_options;
use crate::{events, of_kind};
use support::container::{Container, Options};
use support::fake_docker;
use support::fake_engine::FakeEngine;
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::{Missing, need, program};
use support::tools;
use support::until::as_busy;

/// Containers on a bridge, 198.18.1.2 and so on, whose gateway is the lab, 198.18.1.1; and Docker, which knows them.
pub(crate) struct Scene {
    pub(crate) containers: Vec<Container>,
    _docker: Option<FakeEngine>,
    pub(crate) lab: Lab,
}

impl Scene {
    pub(crate) fn new(names: &[&str]) -> Result<Scene, Missing> {
        let lab = Lab::new()?;
        let containers: Vec<Container> =
            names.iter().map(|name| lab.container(name, container_options())).collect();
        lab.shell("ip link add br0 type bridge; ip link set br0 up; ip address add 198.18.1.1/24 dev br0")
            .run()
            .ok();
        for (number, container) in (2..).zip(&containers) {
            let pid = container.pid;
            let script = format!(
                "ip link add port{number} master br0 up type veth peer name eth0 netns {pid}
                 for words in 'link set eth0 up' 'address add 198.18.1.{number}/24 dev eth0' 'address add fd00:1::{number}/64 dev eth0 nodad' 'route add default via 198.18.1.1'
                 do nsenter -t {pid} -n ip $words; done"
            );
            lab.shell(&script).run().ok();
        }
        Ok(Scene::with(lab, containers, &[]))
    }

    /// The same whose Docker says on which networks they are: the one called so, with the addresses that they have.
    pub(crate) fn on_network(names: &[&str], network: &str) -> Result<Scene, Missing> {
        let Scene { lab, containers, _docker } = Scene::new(names)?;
        drop(_docker);
        let mut scene = Scene::with(lab, containers, &[]);
        scene.docker_says(network, |_| "running");
        Ok(scene)
    }

    /// From now on its Docker says so, and that each is in such a state.
    pub(crate) fn docker_says(&mut self, network: &str, state: impl Fn(&str) -> &'static str) {
        let of = |number: usize| {
            json!({network: {"NetworkID": network, "Gateway": "198.18.1.1", "IPPrefixLen": 24,
                "IPAddress": format!("198.18.1.{number}"), "IPv6Gateway": "", "GlobalIPv6Address": format!("fd00:1::{number}"),
                "GlobalIPv6PrefixLen": 64, "MacAddress": ""}})
        };
        let known: Vec<_> =
            (2..).zip(&self.containers).map(|(number, one)| (one, of(number), state(&one.name))).collect();
        let socket = self.lab.path("/run/docker.sock");
        // The old one listens until it is gone.
        self._docker = None;
        self._docker = Some(fake_docker::knows_networks(&known).listen(socket));
    }

    fn with(lab: Lab, containers: Vec<Container>, others: &[&Container]) -> Scene {
        let known: Vec<&Container> = containers.iter().chain(others.iter().copied()).collect();
        let docker = fake_docker::knows(&known).listen(lab.path("/run/docker.sock"));
        Scene { containers, _docker: Some(docker), lab }
    }

    #[track_caller]
    pub(crate) fn matrix(&self, words: &[&str]) -> Ran {
        // The fake engine shares a busy machine with all other tests.
        self.lab.tool("netns-ping").args(["--engine-timeout", "30s", "--matrix"]).args(words).run()
    }
}

/// The words of each line of a table.
fn rows(ran: &Ran) -> Vec<Vec<&str>> {
    ran.stdout.lines().map(|line| line.split_whitespace().collect()).collect()
}

/// Containers as a user's engine can call them: one with a usable name, one without a name, and one whose name would
/// be lines of its own, drive a terminal and be shown in another order.
const HOSTILE: [&str; 3] = ["db", "", "evil\nNAME2 docker 1\u{1b}[2J\u{202e}\u{200b}x;$(reboot)"];

fn hostile() -> Result<Scene, Missing> {
    let Scene { mut containers, lab, _docker } = Scene::new(&["db", "mail", "web"])?;
    drop(_docker);
    for (container, name) in containers.iter_mut().zip(HOSTILE) {
        container.name = name.to_owned();
    }
    Ok(Scene::with(lab, containers, &[]))
}

#[test]
fn a_container_whose_name_is_none_costs_only_itself_and_shapes_no_line() {
    let scene = need!(hostile());
    scene.matrix(&["-q"]).ok().stdout_has("3 containers: 6 of 6 pairs reached");
    let drives =
        |text: &str| text.chars().any(|c| c != '\n' && (c.is_control() || "\u{202e}\u{200b}".contains(c)));
    let tools: [(&str, &[&str]); 7] = [
        ("netns-ping", &["--matrix"]),
        ("netns-ping", &["--matrix", "--json"]),
        ("cpid", &["--list"]),
        ("cpid", &["--list", "--json"]),
        ("nsenter-rs", &["--each", "*", "-n", "true"]),
        ("nsenter-rs", &["--each", "*", "--json", "-n", "echo", "x"]),
        ("netns-link", &["--all"]),
    ];
    for (tool, words) in tools {
        let ran = scene.lab.tool(tool).args(["--engine-timeout", "30s"]).args(words).run();
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!drives(&said), "{tool} {words:?}: {said:?}");
        if !words.contains(&"true") {
            assert!(ran.stdout.contains("db"), "{tool} {words:?}: {ran}");
        }
        // What is no name is shown nowhere, as JSON neither: its container is called by its ID.
        assert!(!said.contains("NAME2"), "{tool} {words:?}: {said}");
    }
    assert!(drives(HOSTILE[2]), "printed as it is, the name would");
}

#[test]
fn everybody_reaches_everybody_and_the_gateway() {
    let scene = need!(Scene::new(&["db", "mail", "web"]));
    let ran = scene.matrix(&[]).ok();
    let table = rows(&ran);
    assert_eq!(table[0], ["FROM", "GATEWAY", "1", "2", "3"], "{ran}");
    for (number, name) in (1..).zip(["db", "mail", "web"]) {
        let row = &table[number];
        assert_eq!((row[0], row[1], row[2 + number]), (number.to_string().as_str(), name, "."), "{ran}");
        assert_eq!(row.iter().skip(2).filter(|cell| cell.parse::<f64>().is_ok()).count(), 3, "{ran}");
    }
    let ran = ran.stdout_has("\n3 containers: 6 of 6 pairs reached, 3 of 3 gateways, ");
    ran.stderr_is("");
    scene.matrix(&["-q"]).ok().stdout_has("3 containers: 6 of 6 pairs reached");
}

#[test]
fn json_has_every_pair() {
    let scene = need!(Scene::new(&["db", "web"]));
    let heard = events(&scene.matrix(&["-4", "--json"]).ok());
    let replies = of_kind(&heard, "reply");
    let mut pairs: Vec<(&str, &str)> = replies
        .iter()
        .map(|reply| (reply["from"].as_str().unwrap(), reply["dest"].as_str().unwrap()))
        .collect();
    pairs.sort_unstable();
    assert_eq!(pairs, [("db", "gateway"), ("db", "web"), ("web", "db"), ("web", "gateway")]);
    assert!(replies.iter().all(|reply| reply["rtt_us"].as_f64().unwrap() > 0.0), "{heard:#?}");
    let (summary, verdict) = (of_kind(&heard, "summary")[0], heard.last().unwrap());
    assert_eq!((&verdict["event"], &verdict["cause"]), (&"verdict".into(), &Value::Null), "{verdict}");
    assert_eq!((&summary["pairs"], &summary["lost"]), (&2.into(), &0.into()), "{summary}");
}

/// The host has one table for all: ip-neighbour(8) is the observer.
#[test]
fn nobody_knows_more_neighbours_than_before() {
    let scene = need!(Scene::new(&["a", "b", "c", "d", "e", "f"]));
    let [first, second] = [&scene.containers[0], &scene.containers[1]];
    // What was there is left.
    first.ip("neighbour replace 198.18.1.3 lladdr 02:00:00:00:00:99 dev eth0 nud permanent");
    second.ip("neighbour flush all");
    scene
        .matrix(&["-W", "0.5"])
        .fails_with(1)
        .stdout_has("a -> b 198.18.1.3: no answer: packets went to the MAC 02:00:00:00:00:99, as a permanent neighbour entry says, but ");
    assert!(first.ip("neighbour show 198.18.1.3").stdout.contains("02:00:00:00:00:99 PERMANENT"));
    for container in &scene.containers[1..] {
        assert_eq!(container.ip("neighbour show to 198.18.1.0/24").stdout, "", "{}", container.name);
    }
}

#[test]
fn who_is_not_reached_is_named() {
    let scene = need!(Scene::new(&["db", "mail", "web"]));
    scene.lab.shell("ip link set port3 down").run().ok();
    let ran = scene.matrix(&["-W", "0.2"]).fails_with(1);
    for lost in ["db -> mail 198.18.1.3: ", "mail -> db 198.18.1.2: ", "mail -> gateway 198.18.1.1: "] {
        assert!(ran.stdout.contains(lost), "no {lost:?} in {ran}");
    }
    ran.stdout_has("3 containers: 2 of 6 pairs reached, 2 of 3 gateways");
    scene.matrix(&["[dw]*"]).ok().stdout_has("2 containers: 2 of 2 pairs reached, 2 of 2 gateways");
}

#[test]
fn two_without_a_network_in_common_are_no_failure() {
    let scene = need!(Scene::new(&["db", "web"]));
    scene.containers[1].ip("address flush dev eth0");
    let ran = scene.matrix(&[]).ok();
    assert_eq!(rows(&ran)[1][3..], [".", "-"], "{ran}");
    assert_eq!(rows(&ran)[2], ["2", "web", "-", "-", "."], "{ran}");
    ran.stdout_has("2 containers: 0 of 0 pairs reached, 1 of 1 gateways");
}

#[test]
fn those_that_share_a_network_are_one_and_the_hosts_is_one_too() {
    let Scene { lab, containers, _docker } = need!(Scene::new(&["web"]));
    drop(_docker);
    std::fs::remove_file(lab.path("/run/docker.sock")).unwrap_or_default();
    let [one, two] = ["host-1", "host-2"].map(|name| lab.container(name, Options::only(&["mnt", "pid"])));
    let scene = Scene::with(lab, containers, &[&one, &two]);
    let ran = scene.matrix(&["-v"]).ok();
    let table = rows(&ran);
    assert_eq!(table[1][..4], ["1", "host-1", "+1", "-"], "{ran}");
    assert_eq!(table[2][..2], ["2", "web"], "{ran}");
    let ran = ran.stderr_has("netns-ping: host-1: shares its network namespace with host-2\n");
    ran.stdout_has("3 containers: 2 of 2 pairs reached, 1 of 1 gateways");
}

#[test]
fn a_pattern_that_fits_nobody_is_said() {
    let scene = need!(Scene::new(&["web"]));
    let ran = scene.matrix(&["db-*"]).fails_with(1);
    ran.stderr_is("netns-ping: db-*: no running container matches\nhint: cpid --list\n");
    scene
        .matrix(&["{a,b}"])
        .fails_with(2)
        .stderr_has("netns-ping: {a,b}: '{' cannot be in a container's name");
}

/// As behind Docker's FORWARD chain: ARP is answered, and nothing else.
#[test]
fn a_matrix_in_which_nobody_answers_ends_within_seconds() {
    let names: Vec<String> = (0..16).map(|number| format!("c{number}")).collect();
    let scene = need!(Scene::new(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    for container in &scene.containers {
        let drop = "echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all";
        scene.lab.shell(&format!("nsenter -t {} -n sh -c '{drop}'", container.pid)).run().ok();
    }
    let ran = scene.matrix(&["-q"]).fails_with(1);
    let ran = ran.stdout_has("16 containers: 0 of 240 pairs reached, 16 of 16 gateways, ");
    assert!(
        ran.took < as_busy(Duration::from_secs(3)),
        "one by one it would take a second for each 128: {ran}"
    );
}

/// As many requests are due at once as several threads share; each pair is told once.
#[test]
fn many_pairs_are_reached_with_threads_and_where_there_are_none() {
    need!(program("strace", "strace"));
    let names: Vec<String> = (0..10).map(|number| format!("c{number}")).collect();
    let scene = need!(Scene::new(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    let words = ["--engine-timeout", "30s", "--matrix", "-4", "-W", "20", "--json"];
    let threadless = ["-f", "-qq", "-o", "/dev/null", "-e", "inject=clone,clone3:error=EAGAIN"];
    let mut refused = scene.lab.command("strace");
    refused.args(threadless).arg(tools::tool("netns-ping")).args(words);
    let mut usual = scene.lab.tool("netns-ping");
    usual.args(words);
    for command in [&mut usual, &mut refused] {
        let ran = command.run().ok().stderr_is("");
        let heard = events(&ran);
        let replies = of_kind(&heard, "reply");
        let pairs: HashSet<(&str, &str)> = replies
            .iter()
            .map(|reply| (reply["from"].as_str().unwrap(), reply["dest"].as_str().unwrap()))
            .collect();
        assert_eq!((replies.len(), pairs.len()), (100, 100), "each to the others and to the gateway: {ran}");
    }
}
