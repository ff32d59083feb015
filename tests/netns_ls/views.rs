//! The views. Observers: `ip -j -d link`, `bridge -j link`, `lsns`.

use support::container::Options;
use support::fake_docker;
use support::run::Run;
use support::skip::{need, program};

use crate::Bridged;

/// The words of each line, without those of a namespace of the machine that a lab may not look into.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.last() != Some(&"?")).collect()
}

#[test]
fn each_interface_is_listed_with_its_container_and_what_it_is_plugged_into() {
    let bridged = need!(Bridged::new(&["web", "db"]));
    let containers: Vec<_> = bridged.containers.iter().collect();
    let _docker = fake_docker::knows(&containers).listen(bridged.lab.path("/run/docker.sock"));
    bridged.lab.shell("ip netns add alone").run().ok();
    let ran = bridged.lab.tool("netns-ls").run().ok();
    let rows = rows(&ran.stdout);
    assert_eq!(
        rows[0],
        ["WHO", "INTERFACE", "ADDRESS", "PLUGGED-INTO", "BRIDGE", "STATE", "MTU", "MAC", "KIND"]
    );
    assert_eq!(rows[1][..4], ["host", "br0", "198.18.0.1/24", "-"]);
    for (name, address) in [("web", "198.18.0.2/24"), ("db", "198.18.0.3/24")] {
        let veth = format!("veth-{name}");
        let row = rows.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("{ran}"));
        assert_eq!(row[..8], [name, "eth0", address, "→", veth.as_str(), "br0", "up", "1500"], "{ran}");
    }
    assert!(rows.iter().any(|row| row[..2] == ["netns:alone", "lo"]), "no namespace is left out: {ran}");
    assert_eq!(rows.len(), 5, "neither loopback nor the host's ends: {ran}");
    let all = bridged.lab.tool("netns-ls").arg("--all").run().ok();
    assert_eq!(self::rows(&all.stdout).len(), 5 + 2 + 3, "{all}");
    let quiet = bridged.lab.tool("netns-ls").arg("-q").run().ok();
    assert_eq!(self::rows(&quiet.stdout).len(), 4, "{quiet}");
}

#[test]
fn containers_that_share_a_network_are_one_line() {
    let bridged = need!(Bridged::new(&["web"]));
    let web = &bridged.containers[0];
    let mut side = bridged.lab.command("nsenter");
    let mut side =
        side.args(["-t", &web.pid.to_string(), "-n", "sh", "-c", "echo $$; exec sleep 1000"]).start();
    let pid: i32 = side.first_line().unwrap().trim().parse().unwrap();
    let ran = bridged.lab.tool("netns-ls").args(["-q", &format!("pid:{pid}")]).run().ok();
    ran.stdout_has(" processes\n").stdout_has("198.18.0.2/24");
    side.close_stdin();
}

#[test]
fn a_namespace_in_full_has_everything_that_ip_shows() {
    let bridged = need!(Bridged::new(&["web"]));
    let web = &bridged.containers[0];
    let _docker = fake_docker::knows(&[web]).listen(bridged.lab.path("/run/docker.sock"));
    web.ip("address add 10.1.0.2/24 dev eth0");
    web.ip("address add fd00::2/64 dev eth0");
    let ran = bridged.lab.tool("netns-ls").arg("web").run().ok();
    let inode = bridged.lab.namespace(web.pid, "net");
    let inode = inode.trim_start_matches("net:[").trim_end_matches(']');
    assert!(ran.stdout.starts_with(&format!("web: network namespace {inode}\n")), "{ran}");
    let ran = ran.stdout_has("  docker container web (").stdout_has(&format!(", running, PID {}\n", web.pid));
    let ran = ran.stdout_has("  held by 2 processes\n");
    for link in web.ip("-j address").json().as_array().unwrap() {
        for part in ["ifname", "address"].map(|field| link[field].as_str().unwrap()) {
            assert!(part == "00:00:00:00:00:00" || ran.stdout.contains(part), "no {part}: {ran}");
        }
        for address in link["addr_info"].as_array().unwrap() {
            let address = format!("{}/{}", address["local"].as_str().unwrap(), address["prefixlen"]);
            assert!(ran.stdout.contains(&address), "no {address}: {ran}");
        }
    }
}

#[test]
fn bridges_are_shown_with_the_container_at_each_port() {
    let bridged = need!(Bridged::new(&["web", "db"]));
    let containers: Vec<_> = bridged.containers.iter().collect();
    let _docker = fake_docker::knows(&containers).listen(bridged.lab.path("/run/docker.sock"));
    bridged.lab.shell("ip link add br-empty type bridge stp_state 1").run().ok();
    let ran = bridged.lab.tool("netns-ls").args(["-q", "--bridges"]).run().ok();
    let rows = rows(&ran.stdout);
    assert_eq!(rows.len(), 3, "{ran}");
    for port in bridged.lab.command("bridge").args(["-j", "link"]).run().ok().json().as_array().unwrap() {
        let ifname = port["ifname"].as_str().unwrap();
        let row = rows.iter().find(|row| row[1] == ifname).unwrap_or_else(|| panic!("no {ifname}: {ran}"));
        assert_eq!(row[0], port["master"].as_str().unwrap());
        assert_eq!(row[2], port["state"].as_str().unwrap());
        assert_eq!(row[3..5], [ifname.strip_prefix("veth-").unwrap(), "eth0"]);
    }
    assert!(rows.iter().any(|row| *row == ["br-empty", "-", "-", "-", "-", "-", "yes", "host"]), "{ran}");
}

#[test]
fn the_way_between_two_containers_is_every_veth_and_bridge_on_it() {
    let bridged = need!(Bridged::new(&["web", "db", "far"]));
    let [web, db, far] = bridged.containers.as_slice() else { panic!() };
    let path = |from: &str, to: &str| bridged.lab.tool("netns-ls").args(["-q", "--path", from, to]).run();
    let words = |pid: i32| format!("pid:{pid}");
    let ran = path(&words(web.pid), &words(db.pid)).ok();
    let shown: Vec<Vec<&str>> = rows(&ran.stdout);
    let interfaces: Vec<&str> = ran
        .stdout
        .lines()
        .flat_map(|line| {
            line.split_whitespace().find(|word| ["eth0", "veth-web", "br0", "veth-db"].contains(word))
        })
        .collect();
    assert_eq!(interfaces, ["eth0", "veth-web", "br0", "veth-db", "eth0"], "{ran}");
    assert!(
        shown[0].ends_with(&["veth", "pair", "with"]) && shown[2].ends_with(&["has", "the", "port"]),
        "{ran}"
    );
    assert!(!ran.stdout.contains("routes"), "{ran}");
    // Not on the bridge any more: only by routing.
    bridged.lab.shell("ip link set veth-far nomaster; ip address add 198.18.9.1/24 dev veth-far").run().ok();
    path(&words(web.pid), &words(far.pid)).ok().stdout_has("routes to");
    let routed = ["--path", &words(web.pid), &words(far.pid)];
    let ran = bridged.lab.tool("netns-ls").args(routed).run().ok();
    ran.stderr_has("netns-ls: whether host routes this, and its filters let it pass, was not looked at\n");
    // Plugged into nothing.
    let alone = bridged.lab.container("alone", Options::only(&["net"]));
    path(&words(web.pid), &words(alone.pid))
        .fails_with(1)
        .stdout_is("")
        .stderr_has("has no interface but loopback");
    alone.ip("link add dead type bridge");
    let ran = path(&words(web.pid), &words(alone.pid)).stdout_is("");
    match ran.stderr.contains("not everything was looked at") {
        true => ran.fails_with(2),
        false => ran.fails_with(1).stderr_has("no veth pair, bridge or router leads there"),
    };
}

#[test]
fn the_tree_has_every_namespace_once_below_what_it_is_plugged_into() {
    let bridged = need!(Bridged::new(&["web", "db"]));
    let [web, db] = bridged.containers.as_slice() else { panic!() };
    let _docker = fake_docker::knows(&[web, db]).listen(bridged.lab.path("/run/docker.sock"));
    // One more cable from one container to the other, and a namespace without any.
    bridged
        .lab
        .shell(&format!(
            "ip link add name x1 netns {} type veth peer name x2 netns {}; ip netns add alone",
            web.pid, db.pid
        ))
        .run()
        .ok();
    let ran = bridged.lab.tool("netns-ls").arg("--tree").run().ok();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let expected = [
        "host",
        "└─ br0 198.18.0.1/24",
        "   ├─ veth-web → web eth0 198.18.0.2/24",
        "   │  └─ x1 → db x2",
        "   │     └─ eth0 198.18.0.3/24 → host veth-db",
        "netns:alone",
        "└─ nothing but loopback",
    ];
    assert_eq!(lines[..expected.len()], expected, "{ran}");
    // A namespace of the machine that a lab may not look into.
    let others = &lines[expected.len()..];
    assert!(others.is_empty() || (others.len() == 2 && others[1] == "└─ could not be looked at"), "{ran}");
}

#[test]
fn namespaces_of_all_kinds_are_those_of_lsns() {
    let bridged = need!(Bridged::new(&[]));
    need!(program("lsns", "util-linux"));
    let web = bridged.lab.container("web", Options::default());
    let _docker = fake_docker::knows(&[&web]).listen(bridged.lab.path("/run/docker.sock"));
    let said = bridged.lab.command("lsns").args(["-J", "-o", "NS,TYPE,NPROCS"]).run().ok().json();
    let ran = bridged.lab.tool("netns-ls").args(["-q", "--namespaces"]).run().ok();
    let rows = rows(&ran.stdout);
    for theirs in said["namespaces"].as_array().unwrap() {
        let (kind, inode) = (theirs["type"].as_str().unwrap(), theirs["ns"].to_string());
        let inode = inode.trim_matches('"');
        let row = rows.iter().find(|row| row[..2] == [kind, inode]);
        assert!(row.is_some(), "no {kind} {inode}: {ran}");
    }
    let webs: Vec<&str> = rows.iter().filter(|row| row.last() == Some(&"web")).map(|row| row[0]).collect();
    assert_eq!(webs, ["cgroup", "ipc", "uts", "net", "pid", "mnt"], "{ran}");
    let json = bridged.lab.tool("netns-ls").args(["-q", "--namespaces", "--json"]).run().ok().json();
    assert_eq!(json.as_array().unwrap().len(), rows.len());
}

#[test]
fn without_power_the_rest_is_shown_and_one_line_says_what_is_missing() {
    let bridged = need!(Bridged::new(&["web"]));
    let tool = support::tools::tool("netns-ls");
    let mut weak = bridged.lab.command("setpriv");
    weak.args(["--bounding-set", "-all", "--inh-caps", "-all", "--ambient-caps", "-all", tool]);
    let ran = weak.run().ok().stdout_has("198.18.0.1/24");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
    ran.stderr_has("netns-ls: not looked at: ").stderr_has("CAP_");
}

#[test]
fn of_a_namespace_that_cannot_be_looked_at_no_way_is_denied() {
    let bridged = need!(Bridged::new(&["web"]));
    bridged.lab.shell("ip netns add far").run().ok();
    let tool = support::tools::tool("netns-ls");
    let mut weak = bridged.lab.command("setpriv");
    weak.args(["--bounding-set", "-all", "--inh-caps", "-all", "--ambient-caps", "-all", tool]);
    let ran = weak.args(["-q", "--path", "netns:far", "198.18.0.1"]).run();
    ran.fails_with(2).stdout_is("").stderr_has("far: its network namespace could not be looked at");
}

#[test]
fn a_closed_pipe_is_success() {
    let bridged = need!(Bridged::new(&["web"]));
    let tool = support::tools::tool("netns-ls");
    bridged.lab.shell(&format!("{tool} --json -q | head -c 1 >/dev/null; exit 0")).run().ok().stderr_is("");
    let script = format!("set -o pipefail 2>/dev/null || exit 0; {tool} --all | true");
    bridged.lab.command("bash").args(["-c", &script]).run().ok().stderr_is("");
}
