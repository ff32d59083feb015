//! Routes, rules, neighbours, forwarding tables and packet filters. Observers: ip, bridge and iptables themselves.

use support::fake_docker;
use support::run::Run;
use support::skip::{need, program};

use crate::{Bridged, json};

#[test]
fn a_container_in_full_has_its_routes_rules_and_neighbours() {
    let bridged = need!(Bridged::new(&["web", "db"]));
    let [web, db] = bridged.containers.as_slice() else { panic!() };
    let _docker = fake_docker::knows(&[web, db]).listen(bridged.lab.path("/run/docker.sock"));
    web.ip("route add default via 198.18.0.1");
    web.ip("route add blackhole 10.66.0.0/16");
    web.ip("rule add from 198.18.0.2 table 77");
    let mac = db.ip("-j link show eth0").json()[0]["address"].as_str().unwrap().to_owned();
    web.ip(&format!("neighbour add 198.18.0.3 lladdr {mac} dev eth0 nud permanent"));
    let ran = bridged.lab.tool("netns-ls").arg("web").run().ok();
    let words: Vec<String> =
        ran.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "default 198.18.0.1 eth0 - 0 main boot",
        "blackhole 10.66.0.0/16 - - - 0 main boot",
        "198.18.0.0/24 - eth0 198.18.0.2 0 main kernel",
        &format!("eth0 198.18.0.3 {mac} permanent db"),
    ] {
        assert!(words.iter().any(|one| one == line), "no {line:?}: {ran}");
    }
    assert!(words.iter().any(|line| line.ends_with("IPv4 from 198.18.0.2/32 lookup 77")), "{ran}");
    let only = bridged.lab.tool("netns-ls").args(["-q", "--routes", "web"]).run().ok();
    assert_eq!(only.stdout.lines().filter(|line| line.starts_with("default ")).count(), 1, "{only}");
    assert!(!only.stdout.contains("permanent"), "{only}");
}

#[test]
fn of_all_namespaces_each_row_says_whose_it_is() {
    let bridged = need!(Bridged::new(&["web", "db"]));
    let containers: Vec<_> = bridged.containers.iter().collect();
    let _docker = fake_docker::knows(&containers).listen(bridged.lab.path("/run/docker.sock"));
    let ran = bridged.lab.tool("netns-ls").args(["-q", "--routes"]).run().ok();
    let routes: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    for (who, source) in [("host", "198.18.0.1"), ("web", "198.18.0.2"), ("db", "198.18.0.3")] {
        assert!(
            routes.iter().any(|row| row[..2] == [who, "198.18.0.0/24"] && row[4] == source),
            "{who}: {ran}"
        );
    }
    let ran = bridged.lab.tool("netns-ls").args(["-q", "--fdb"]).run().ok();
    for port in bridged.lab.command("bridge").args(["-j", "fdb"]).run().ok().json().as_array().unwrap() {
        if port["master"] == "br0" {
            let mac = port["mac"].as_str().unwrap();
            assert!(
                ran.stdout.lines().any(|line| line.starts_with("host ") && line.contains(mac)),
                "{mac}: {ran}"
            );
        }
    }
    let options = ["-q", "--json", "--routes", "--rules", "--neigh", "--fdb"];
    let map = bridged.lab.tool("netns-ls").args(options).run().ok().json();
    json::is_valid(&map);
    assert!(
        map["namespaces"][0]["details"]["routes"].is_array()
            && map["namespaces"][0]["details"]["firewall"].is_null()
    );
}

#[test]
fn packet_filters_are_shown_as_iptables_writes_them() {
    let bridged = need!(Bridged::new(&["web"]));
    need!(program("iptables", "iptables"));
    let web = &bridged.containers[0];
    let _docker = fake_docker::knows(&[web]).listen(bridged.lab.path("/run/docker.sock"));
    let mut add = bridged.lab.command("nsenter");
    let rule = [
        "-A",
        "INPUT",
        "-p",
        "tcp",
        "-m",
        "tcp",
        "--dport",
        "81",
        "-m",
        "comment",
        "--comment",
        "no 81",
        "-j",
        "DROP",
    ];
    let added = add.args(["-t", &web.pid.to_string(), "-n", "iptables-nft"]).args(rule).run();
    if !added.status.unwrap().success() {
        // A lab on a kernel without nf_tables for it.
        return;
    }
    let expected = "-A INPUT -p tcp -m tcp --dport 81 -m comment --comment \"no 81\" -j DROP";
    for options in [&["web"][..], &["--fw", "web"], &["--fw"]] {
        let ran = bridged.lab.tool("netns-ls").arg("-q").args(options).run();
        assert!(ran.stdout.contains(expected), "{options:?}: {ran}");
        assert!(ran.stdout.contains("iptables-nft filter INPUT"), "{options:?}: {ran}");
    }
    for option in ["--fw", "--programs"] {
        let map = bridged.lab.tool("netns-ls").args(["-q", "--json", option, "web"]).run().json();
        json::is_valid(&map);
    }
}

#[test]
fn where_there_is_nothing_to_list_a_line_says_so() {
    let lab = need!(support::lab::Lab::new());
    lab.shell("ip netns add blue").run().ok();
    for (options, said) in [
        (&["--routes", "netns:blue"][..], "no routes"),
        (&["--neigh", "netns:blue"], "no neighbours"),
        (&["--fdb", "netns:blue"], "no forwarding entries"),
        (&["--bridges"], "no bridges"),
        (&["--ports", "netns:blue"], "no ports"),
    ] {
        let ran = lab.tool("netns-ls").args(options).run().ok().stdout_is("");
        assert!(ran.stderr.lines().any(|line| line == format!("netns-ls: {said}")), "{options:?}: {ran}");
        let ran = lab.tool("netns-ls").arg("-q").args(options).run().ok().stdout_is("");
        assert_eq!(ran.stderr, "", "{options:?}");
    }
    // Two at once: what is there is shown, and of the other it is said.
    let ran = lab.tool("netns-ls").args(["--rules", "--fdb", "netns:blue"]).run().ok();
    ran.stdout_has("lookup local").stderr_has("netns-ls: no forwarding entries\n");
}

#[test]
fn sockets_are_those_of_ss_with_the_processes_that_have_them() {
    let bridged = need!(Bridged::new(&["web"]));
    need!(program("python3", "python3"));
    need!(program("ss", "iproute2"));
    let web = &bridged.containers[0];
    let _docker = fake_docker::knows(&[web]).listen(bridged.lab.path("/run/docker.sock"));
    let script = "import socket, time
tcp = socket.create_server(('198.18.0.2', 80), backlog=7)
client = socket.create_connection(('198.18.0.2', 80))
server = tcp.accept()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(('127.0.0.1', 53))
udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'lo')
six = socket.create_server(('::', 81), family=socket.AF_INET6)
client.send(b'unread')
time.sleep(0.1)
print('ready', flush=True); time.sleep(600)";
    let pid = web.pid.to_string();
    let serves = bridged.lab.command("nsenter").args(["-t", &pid, "-n", "python3", "-c", script]).start();
    serves.wait_for("ready");
    let ran = bridged.lab.tool("netns-ls").args(["-q", "--sockets", "web"]).run().ok();
    let words: Vec<String> =
        ran.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let has = |start: &str, end: &str| words.iter().any(|line| line.starts_with(start) && line.contains(end));
    assert!(has("tcp listening 198.18.0.2:80 - 0 7 python3 ", ""), "{ran}");
    assert!(has("tcp listening [::]:81 - 0 128 python3 ", ""), "{ran}");
    assert!(has("tcp established 198.18.0.2:80 198.18.0.2:", " 6 0 python3 "), "{ran}");
    assert!(has("udp unconnected 127.0.0.1%lo:53 - 0 0 python3 ", ""), "{ran}");
    // As many as ss(8) counts.
    let mut ss = bridged.lab.command("nsenter");
    let counted = ss.args(["-t", &pid, "-n", "ss", "-Hatun"]).run().ok();
    assert_eq!(words.len(), counted.stdout.lines().count(), "{ran} {counted}");
    let map = bridged.lab.tool("netns-ls").args(["-q", "--json", "--sockets", "web"]).run().ok().json();
    json::is_valid(&map);
    let sockets = map["namespaces"][0]["details"]["sockets"].as_array().unwrap();
    assert_eq!(sockets.len(), words.len());
    let listens = sockets.iter().find(|one| one["port"] == 80 && one["state"] == "listening").unwrap();
    assert_eq!((&listens["send_queue"], &listens["processes"][0]["name"]), (&7.into(), &"python3".into()));
    // Of all namespaces, each row says whose it is.
    let ran = bridged.lab.tool("netns-ls").args(["-q", "--sockets"]).run().ok();
    assert!(
        ran.stdout.lines().any(|line| line.starts_with("web ") && line.contains("198.18.0.2:80")),
        "{ran}"
    );
}
