//! Hosts as other programs set them up: Podman's netavark, pods whose ports the CNI plugin portmap publishes, a swarm of Docker's,
//! firewalld. Each in Debian 13 under systemd. Observers: what the engines say, and connections.

use std::time::Duration;

use serde_json::Value;
use support::ground::{Ground, Suite};
use support::run::{Ran, Run};
use support::skip::need;
use support::tier;
use support::tools::PATIENT;
use support::until::{until, until_some};
use support::world::World;

use crate::json;

const IMAGE: &str = "netns-toolbox/busybox";

/// A host, and what is asked of it.
struct RealHost(Ground);

impl RealHost {
    fn world(&self) -> &World {
        &self.0.world
    }

    #[track_caller]
    fn shell(&self, script: &str) -> String {
        let directory = std::path::Path::new(support::tools::tool("nsenter-rs")).parent().unwrap().display();
        let script = format!("PATH=$PATH:{directory}; {script}");
        self.world().engine("sh").args(["-ec", &script]).run_within(Duration::from_secs(120)).ok().stdout
    }

    fn netns_ls(&self, words: &[&str]) -> Ran {
        self.world().tool("netns-ls").args([PATIENT, "-q"]).args(words).run()
    }

    /// The lines of a view, with single blanks.
    #[track_caller]
    fn lines(&self, words: &[&str]) -> Vec<String> {
        let ran = self.netns_ls(words).ok();
        ran.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    /// The line of a view that begins so; the rest of it.
    #[track_caller]
    fn line(&self, words: &[&str], begins: &str) -> String {
        let lines = self.lines(words);
        let found: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix(begins)).collect();
        assert_eq!(found.len(), 1, "{begins:?} in {lines:#?}");
        found[0].trim_start().to_owned()
    }

    fn findings(&self) -> Vec<Value> {
        let map = self.netns_ls(&["--why", "--json"]).json();
        json::is_valid(&map);
        map["findings"].as_array().unwrap().clone()
    }

    #[track_caller]
    fn is_healthy(&self, when: &str) {
        let found = until_some(Duration::from_secs(10), || Some(self.findings()).filter(Vec::is_empty));
        assert!(found.is_some(), "{when}: {:#?}", self.findings());
    }

    /// The one finding, and that what it says is so: `reach` fails before its fix, and not after it.
    #[track_caller]
    fn is_named_and_fixed(&self, word: &str, part: &str, reach: impl Fn() -> bool) {
        let found =
            until_some(Duration::from_secs(10), || Some(self.findings()).filter(|all| all.len() == 1));
        let found = found.unwrap_or_else(|| panic!("not one {word}: {:#?}", self.findings()));
        assert_eq!(found[0]["what"], word, "{found:#?}");
        assert!(found[0]["text"].as_str().unwrap().contains(part), "{found:#?}");
        assert!(!reach(), "nothing is wrong: {found:#?}");
        for fix in found[0]["fix"].as_array().unwrap() {
            self.shell(fix.as_str().unwrap());
        }
        assert!(reach(), "after the fix: {found:#?}");
        self.is_healthy(word);
    }

    /// Whether a web server answers there, asked from the network of that process.
    fn answers(&self, pid: &str, place: &str) -> bool {
        // It has no page, and says so.
        let script = format!("nsenter -t {pid} -n busybox wget -T 2 -O /dev/null http://{place}/ 2>&1 || :");
        self.shell(&script).contains("404")
    }

    #[track_caller]
    fn path(&self, from: &str, to: &str, expected: &[&str]) {
        let lines = self.lines(&["--path", from, to]);
        let is_same = lines.len() == expected.len()
            && lines.iter().zip(expected).all(|(line, begins)| line.starts_with(begins));
        assert!(is_same, "{expected:#?} is to be {lines:#?}");
    }
}

#[test]
fn hosts_of_other_programs_are_shown_as_they_are_and_have_no_finding_that_is_not_one() {
    if !tier::is_all() {
        return;
    }
    need!(World::get());
    let engines = ["containerd", "cri", "docker", "podman", "firewalld"];
    let host = RealHost(need!(Ground::start(&Suite::named("trixie"), &engines)));
    host.shell("systemctl stop firewalld");
    netavark(&host);
    portmap(&host);
    swarm(&host);
    firewalld(&host);
}

/// Podman 5: tables of nft, ports that its conmon keeps.
fn netavark(host: &RealHost) {
    let run = |name: &str, options: &str, at: &str| {
        let image = format!("localhost/{IMAGE}");
        host.shell(&format!("podman run -d --name {name} {options} {image} busybox httpd -f -p {at}"));
        host.shell(&format!("podman inspect -f '{{{{.State.Pid}}}}' {name}")).trim().to_owned()
    };
    host.shell("podman network create extra");
    let web = run("pweb", "-p 18080:80", "80");
    let db = run("pdb", "--network extra -p 127.0.0.1:15432:5432", "5432");
    let other = run("pother", "--network extra -p 15353:53/udp", "80");
    let address = |name: &str| {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        host.shell(&format!("podman inspect -f '{format}' {name}")).trim().to_owned()
    };
    let [of_web, of_db, of_other] = ["pweb", "pdb", "pother"].map(address);
    // Docker, which is there too, has FORWARD drop all; br_netfilter has it drop what is bridged.
    let place = format!("{of_db}:5432");
    host.is_named_and_fixed("bridge-filtered", "host: podman1: ", || host.answers(&other, &place));
    assert!(host.answers("1", &format!("{of_web}:80")) && host.answers("1", "127.0.0.1:18080"));
    assert!(host.answers(&web, &format!("{of_web}:80")) && host.answers(&db, &place));

    let ports = ["--ports"];
    let published = host.line(&ports, "host 0.0.0.0:18080/tcp");
    assert!(published.starts_with("→ pweb:80 DNAT listening on ::, conmon "), "{published}");
    let on_loopback = host.line(&ports, "host 127.0.0.1:15432/tcp");
    assert!(on_loopback.starts_with("→ pdb:5432 DNAT (from itself only) listening on ::"), "{on_loopback}");
    let udp = host.line(&ports, "host 0.0.0.0:15353/udp");
    assert!(udp.starts_with("→ pother:53 DNAT nobody listens"), "{udp}");
    host.line(&ports, "pweb [::]:80/tcp - busybox ");
    let bridges: Vec<String> =
        host.lines(&["--bridges"]).into_iter().filter(|line| line.starts_with("podman")).collect();
    assert_eq!(bridges.len(), 3, "{bridges:#?}");
    for (bridge, who, address) in
        [("podman0", "pweb", &of_web), ("podman1", "pdb", &of_db), ("podman1", "pother", &of_other)]
    {
        let part = format!(" forwarding {who} eth0 {address}/24 no host");
        let is_it = |line: &&String| line.starts_with(bridge) && line.ends_with(&part);
        assert_eq!(bridges.iter().filter(is_it).count(), 1, "{part}: {bridges:#?}");
    }
    let line = host.line(&[&of_web], "pweb eth0 ");
    assert!(line.starts_with(&format!("{of_web}/24 → veth")) && line.contains(" podman0 up "), "{line}");
    host.path(
        "pweb",
        "pdb",
        &["pweb eth0 ", "host veth", "host podman0 ", "host podman1 ", "host veth", "pdb eth0 "],
    );
    host.path("pdb", "pother", &["pdb eth0 ", "host veth", "host podman1 ", "host veth", "pother eth0 "]);
    host.shell("podman rm -f -t 0 pweb pdb pother; podman network rm extra");
    host.is_healthy("after Podman's containers");
}

/// Pods of containerd's CRI plugin.
fn portmap(host: &RealHost) {
    host.0.engine("cri", "publish").ok();
    let pid = |pod: &str| {
        let ran = host.world().tool("cpid").args([PATIENT, &format!("pod:prod/{pod}/server")]).run().ok();
        ran.text().to_owned()
    };
    let (web, db) = (pid("web"), pid("db"));
    let address = |pid: &str| {
        let script = format!("nsenter -t {pid} -n ip -o -4 address show dev eth0");
        host.shell(&script).split_whitespace().nth(3).unwrap().split('/').next().unwrap().to_owned()
    };
    let (of_web, of_db) = (address(&web), address(&db));
    let place = format!("{of_web}:80");
    host.is_named_and_fixed("bridge-filtered", "host: cni0: ", || host.answers(&db, &place));
    assert!(host.answers("1", "198.18.64.1:99"));
    assert_eq!(host.line(&["--ports"], "host 0.0.0.0:99/tcp"), "→ prod/web:80 DNAT listening on ::");
    host.line(&["--ports"], "prod/web [::]:80/tcp - busybox ");
    let of_cni0: Vec<String> =
        host.lines(&["--bridges"]).into_iter().filter(|line| line.starts_with("cni0 ")).collect();
    assert_eq!(of_cni0.len(), 2, "{of_cni0:#?}");
    for (who, address) in [("prod/web", &of_web), ("prod/db", &of_db)] {
        let part = format!(" forwarding {who} eth0 {address}/24 no host");
        assert!(of_cni0.iter().any(|line| line.ends_with(&part)), "{part}: {of_cni0:#?}");
    }
    host.path(
        "pod:prod/web",
        "pod:prod/db",
        &["prod/web eth0 ", "host veth", "host cni0 ", "host veth", "prod/db eth0 "],
    );
}

/// A swarm of one: its overlay networks are in namespaces of their own, which no process is in.
fn swarm(host: &RealHost) {
    host.shell(&format!(
        "ip address add 198.18.200.1/32 dev lo; docker swarm init --advertise-addr 198.18.200.1
         docker network create -d overlay over
         docker service create -d --name svc --replicas 2 --network over -p 8088:80 {IMAGE} busybox httpd -f -p 80"
    ));
    let tasks = || {
        let names = host.shell("docker ps --filter name=svc --format '{{.Names}}'");
        names.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    until("both tasks listen", || {
        let ports = host.lines(&["--ports"]);
        let is_there =
            |task: &String| ports.iter().any(|line| line.starts_with(&format!("{task} [::]:80/tcp ")));
        tasks().len() == 2 && tasks().iter().all(is_there)
    });
    host.is_healthy("a swarm");
    let tasks = tasks();
    let bridges = host.lines(&["--bridges"]);
    let at_gateway = |who: &str| {
        let of_it = |line: &&String| {
            line.starts_with("docker_gwbridge ") && line.contains(&format!(" forwarding {who} "))
        };
        bridges.iter().filter(of_it).count()
    };
    for who in ["/run/docker/netns/ingress_sbox", &tasks[0], &tasks[1]] {
        assert_eq!(at_gateway(who), 1, "{who}: {bridges:#?}");
    }
    // The overlay's own bridge and vxlan link, in Docker's namespaces.
    let of_overlays: Vec<&String> =
        bridges.iter().filter(|line| line.starts_with("br0 vxlan0 forwarding ")).collect();
    assert_eq!(of_overlays.len(), 2, "of ingress and over: {bridges:#?}");
    assert!(of_overlays.iter().all(|line| line.contains(" /run/docker/netns/1-")), "{of_overlays:#?}");
    let way = host.lines(&["--path", &tasks[0], &tasks[1]]);
    assert_eq!(way.len(), 5, "{way:#?}");
    assert!(way[1..4].iter().all(|line| line.starts_with("/run/docker/netns/1-")), "{way:#?}");

    // What dockerd writes where the kernel has IPVS: libnetwork/service_linux.go of moby.
    if !std::path::Path::new("/proc/net/ip_vs").exists() {
        let sandbox = "$(nsenter --net=/run/docker/netns/ingress_sbox ip -o -4 address show dev eth1 | tr '/' ' ' | cut -d' ' -f7)";
        host.shell(&format!(
            "iptables -t nat -N DOCKER-INGRESS; iptables -t nat -A DOCKER-INGRESS -p tcp --dport 8088 -j DNAT --to-destination {sandbox}:8088
             iptables -t nat -A DOCKER-INGRESS -j RETURN
             for chain in PREROUTING OUTPUT; do iptables -t nat -I $chain -m addrtype --dst-type LOCAL -j DOCKER-INGRESS; done
             iptables -t nat -I POSTROUTING -m addrtype --src-type LOCAL -o docker_gwbridge -j MASQUERADE
             iptables -N DOCKER-INGRESS; iptables -I FORWARD -j DOCKER-INGRESS
             iptables -A DOCKER-INGRESS -p tcp --dport 8088 -j ACCEPT
             iptables -A DOCKER-INGRESS -p tcp --sport 8088 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
             iptables -A DOCKER-INGRESS -j RETURN"
        ));
    }
    let published = host.line(&["--ports"], "host 0.0.0.0:8088/tcp");
    let state =
        if std::path::Path::new("/proc/net/ip_vs").exists() { "IPVS balances" } else { "nobody listens" };
    let expected = format!("→ /run/docker/netns/ingress_sbox:8088 DNAT {state}");
    assert!(published.starts_with(&expected), "{published}");
    host.is_healthy("a published service of a swarm");
    host.shell(
        "docker swarm leave --force >/dev/null
         for table in nat filter; do
            iptables-save -t $table | grep -v -e DOCKER-INGRESS -e docker_gwbridge | iptables-restore -T $table
         done",
    );
    until("the tasks have ended", || host.shell("docker ps -q --filter name=svc").is_empty());
}

/// firewalld's tables, which no other program may change.
fn firewalld(host: &RealHost) {
    host.shell("systemctl start firewalld");
    let server = format!("{IMAGE} busybox httpd -f -p 80");
    host.shell(&format!(
        "docker run -d --name dweb -p 8080:80 {server}; docker run -d --name dbeside {server}"
    ));
    let pid =
        |name: &str| host.shell(&format!("docker inspect -f '{{{{.State.Pid}}}}' {name}")).trim().to_owned();
    let [web, beside] = ["dweb", "dbeside"].map(pid);
    // Docker was there first, and has not told it of its bridge: docker-proxy is not reached from there.
    host.is_named_and_fixed(
        "input-drops",
        "docker0: a rule of filter_INPUT (nft, table inet firewalld)",
        || host.answers(&beside, "198.18.0.1:8080"),
    );
    assert!(host.answers(&web, "198.18.0.1:8080"));
    let published = host.line(&["--ports"], "host 0.0.0.0:8080/tcp");
    assert!(published.starts_with("→ dweb:80 DNAT, docker-proxy "), "{published}");
    // netavark puts its networks into a zone, and so does Docker if it starts later.
    host.shell(&format!("podman run -d --name pweb -p 18080:80 localhost/{server}"));
    host.is_healthy("Podman's network in firewalld's zone");
    host.line(&["--ports"], "host 0.0.0.0:18080/tcp");
    host.shell("systemctl restart docker; docker network create own; docker start dweb dbeside");
    host.shell(&format!("docker run -d --name down --network own {server}"));
    host.is_healthy("Docker's networks in firewalld's zone");
    host.path(
        "dweb",
        "pweb",
        &["dweb eth0 ", "host veth", "host docker0 ", "host podman0 ", "host veth", "pweb eth0 "],
    );
    host.shell("docker rm -f dweb dbeside down; docker network rm own; podman rm -f -t 0 pweb");
}
