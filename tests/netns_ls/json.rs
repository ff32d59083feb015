//! `--json`, `--diff`. Observers: `ip -j -d link`, and the JSON Schema.

use std::fs;

use serde_json::Value;
use support::fake_docker;
use support::run::Run;
use support::skip::need;

use crate::{Bridged, schema};

pub fn is_valid(map: &Value) {
    let schema: Value = serde_json::from_str(include_str!("../../docs/netns-ls.schema.json")).unwrap();
    let wrong = schema::wrong(&schema, map);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn netns<'a>(map: &'a Value, name: &str) -> &'a Value {
    let all = map["namespaces"].as_array().unwrap();
    all.iter().find(|netns| netns["name"] == name).unwrap_or_else(|| panic!("no {name}: {map:#}"))
}

#[test]
fn the_json_is_what_its_schema_says_and_what_ip_says() {
    let bridged = need!(Bridged::new(&["web", "db"]));
    let [web, db] = bridged.containers.as_slice() else { panic!() };
    let _docker = fake_docker::knows(&[web, db]).listen(bridged.lab.path("/run/docker.sock"));
    bridged.lab.shell("ip link add br-empty type bridge").run().ok();
    let map = bridged.lab.tool("netns-ls").args(["--json", "-q"]).run().ok().json();
    is_valid(&map);
    assert_eq!(map["namespaces"][0]["name"], "host");
    assert_eq!(map["bridges"].as_array().unwrap().len(), 2);
    for container in [web, db] {
        let name = container.name.as_str();
        let netns = netns(&map, name);
        assert_eq!(netns["containers"][0]["name"], name);
        assert!(netns["processes"].as_array().unwrap().contains(&container.pid.into()));
        let links = netns["links"].as_array().unwrap();
        let said = container.ip("-j -d link").json();
        assert_eq!(links.len(), said.as_array().unwrap().len());
        for (ours, theirs) in links.iter().zip(said.as_array().unwrap()) {
            assert_eq!(ours["ifname"], theirs["ifname"]);
            assert_eq!(ours["ifindex"], theirs["ifindex"]);
            assert_eq!(ours["mtu"], theirs["mtu"]);
            assert_eq!(ours["mac"], theirs["address"]);
            let kind = theirs["linkinfo"].get("info_kind").cloned().unwrap_or(Value::Null);
            assert_eq!(ours["kind"], kind);
        }
        let eth0 = links.iter().find(|link| link["ifname"] == "eth0").unwrap();
        assert_eq!(eth0["peer"]["netns_inode"], map["namespaces"][0]["inode"]);
        assert_eq!(eth0["peer"]["ifname"], format!("veth-{name}"));
        assert_eq!(eth0["state"], "up");
    }
}

#[test]
fn a_word_leaves_the_namespaces_that_it_means() {
    let bridged = need!(Bridged::new(&["web", "db"]));
    let pid = bridged.containers[0].pid;
    let map = bridged.lab.tool("netns-ls").args(["--json", "-q", &format!("pid:{pid}")]).run().ok().json();
    is_valid(&map);
    assert_eq!(map["namespaces"].as_array().unwrap().len(), 1);
    let map = bridged.lab.tool("netns-ls").args(["--json", "-q", "198.18.0.3"]).run().ok().json();
    let processes = map["namespaces"][0]["processes"].as_array().unwrap();
    assert!(processes.contains(&bridged.containers[1].pid.into()), "{map:#}");
}

#[test]
fn a_way_and_bridges_and_a_tree_are_in_the_same_object() {
    let bridged = need!(Bridged::new(&["web", "db"]));
    let [web, db] = bridged.containers.as_slice() else { panic!() };
    let _docker = fake_docker::knows(&[web, db]).listen(bridged.lab.path("/run/docker.sock"));
    bridged.lab.shell("ip netns add blue").run().ok();
    let path =
        |from: &str, to: &str| bridged.lab.tool("netns-ls").args(["-q", "--json", "--path", from, to]).run();
    let map = path("web", "db").ok().json();
    is_valid(&map);
    let hops = map["path"].as_array().unwrap().iter();
    let hops = hops
        .map(|hop| [&hop["netns"], &hop["ifname"], &hop["next"]].map(|part| part.as_str().unwrap_or("-")));
    let expected = [
        ["web", "eth0", "peer"],
        ["host", "veth-web", "master"],
        ["host", "br0", "port"],
        ["host", "veth-db", "peer"],
        ["db", "eth0", "-"],
    ];
    assert_eq!(hops.collect::<Vec<_>>(), expected);
    assert_eq!(map["path"][0]["addresses"][0], "198.18.0.2/24");
    let names: Vec<&Value> =
        map["namespaces"].as_array().unwrap().iter().map(|netns| &netns["name"]).collect();
    assert_eq!(names, ["host", "db", "web"], "those on the way");
    // No way: an answer, too.
    let map = path("web", "netns:blue").fails_with(1);
    map.stderr_has("netns-ls: netns:blue: has no interface but loopback");
    bridged.lab.shell("ip -n blue link add d0 type bridge").run().ok();
    let ran = path("web", "netns:blue");
    let map = ran.json();
    is_valid(&map);
    // What was not looked at may be a way: then it is not known.
    let (status, expected) =
        if map["unseen"].is_null() { (1, Value::Array(vec![])) } else { (2, Value::Null) };
    assert_eq!(ran.fails_with(status).json()["path"], expected);
    // The others say a part of what is there anyway.
    let whole = bridged.lab.tool("netns-ls").args(["-q", "--json"]).run().ok().json();
    assert_eq!(whole["path"], Value::Null);
    for view in ["--bridges", "--tree"] {
        let map = bridged.lab.tool("netns-ls").args(["-q", "--json", view]).run().ok().json();
        is_valid(&map);
        assert_eq!(map["bridges"], whole["bridges"], "{view}");
        assert_eq!(map["bridges"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn ports_as_json_are_what_the_schema_says() {
    let bridged = need!(Bridged::new(&["web"]));
    need!(support::skip::program("python3", "python3"));
    need!(support::skip::program("iptables", "iptables"));
    let web = &bridged.containers[0];
    let _docker = fake_docker::knows(&[web]).listen(bridged.lab.path("/run/docker.sock"));
    let script = "import socket, time; s = socket.create_server(('198.18.0.2', 80)); \
                  u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('0.0.0.0', 53)); \
                  u.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'lo'); print('ready', flush=True); time.sleep(600)";
    let pid = web.pid.to_string();
    let serves = bridged.lab.command("nsenter").args(["-t", &pid, "-n", "python3", "-c", script]).start();
    serves.wait_for("ready");
    let rule = "iptables -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 198.18.0.2:80
                iptables -t nat -A PREROUTING -p tcp --dport 8081:8085 -j DNAT --to-destination 198.18.0.2";
    bridged.lab.shell(rule).run().ok();
    for words in [&[][..], &["web"], &[":8080"], &["198.18.0.2:80"]] {
        let map =
            bridged.lab.tool("netns-ls").args(["-q", "--json", "--ports"]).args(words).run().ok().json();
        is_valid(&map);
        let ports = map["ports"].as_array().unwrap();
        assert!(!ports.is_empty(), "{words:?}: {map:#}");
    }
    let map = bridged.lab.tool("netns-ls").args(["-q", "--json", "--ports"]).run().ok().json();
    let ports = map["ports"].as_array().unwrap();
    let of = |port: u16| {
        ports.iter().find(|one| one["port"] == port).unwrap_or_else(|| panic!("no {port}: {ports:#?}"))
    };
    assert_eq!(of(8080)["to"]["netns"], "web");
    assert_eq!((&of(8080)["is_listening"], &of(8081)["last_port"]), (&true.into(), &8085.into()));
    assert_eq!((&of(53)["interface"], &of(53)["backlog"]), (&"lo".into(), &Value::Null));
    assert_eq!(of(80)["processes"][0]["name"], "python3");
}

#[test]
fn what_changed_since_a_map_was_written_is_printed_and_nothing_else() {
    let bridged = need!(Bridged::new(&["web", "db"]));
    let [web, db] = bridged.containers.as_slice() else { panic!() };
    let _docker = fake_docker::knows(&[web, db]).listen(bridged.lab.path("/run/docker.sock"));
    let lab = &bridged.lab;
    let script = |options: &str| {
        let mut tool = lab.tool("netns-ls");
        tool.args(options.split(' '));
        tool
    };
    let old = script("--json -q").run().ok().stdout;
    fs::write(lab.path("/run/old.json"), &old).unwrap();
    script("-q --diff /run/old.json").run().ok().stdout_is("");
    web.ip("address add 10.1.0.2/24 dev eth0");
    web.ip("address del 198.18.0.2/24 dev eth0");
    db.ip("link set eth0 mtu 1400");
    lab.shell("ip link set veth-db nomaster; ip netns add blue").run().ok();
    let ran = script("-q --diff /run/old.json").run().fails_with(1);
    for line in [
        "web: eth0 10.1.0.2/24 added",
        "web: eth0 198.18.0.2/24 removed",
        "db: eth0 MTU 1400 (was 1500)",
        "host: veth-db master none (was br0)",
    ] {
        assert!(ran.stdout.lines().any(|one| one == line), "no {line:?}: {ran}");
    }
    assert!(ran.stdout.lines().any(|line| line.starts_with("netns:blue: network namespace ")), "{ran}");
    let ran = script("-q --json --diff -").run_with_input(&old).fails_with(1);
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["field"] == "address" && line["value"] == "10.1.0.2/24"), "{ran}");
}

#[test]
fn a_file_that_is_no_map_is_an_error_that_says_why_and_how_to_make_one() {
    let bridged = need!(Bridged::new(&[]));
    let diff = |text: &str| bridged.lab.tool("netns-ls").args(["--diff", "-"]).run_with_input(text);
    let map = bridged.lab.tool("netns-ls").args(["-q", "--json"]).run().ok().stdout;
    for (text, why) in [
        ("", "it is empty"),
        ("[]", "it has no schema"),
        ("7", "it has no schema"),
        (r#"{"namespaces":[]}"#, "it has no schema"),
        (r#"{"schema":"x","namespaces":[]}"#, r#"its schema is "x", and not "netns-ls/1""#),
        (
            r#"{"schema":"netns-ls/1","namespaces":7}"#,
            "a field is missing or of another type, at line 1 column 37",
        ),
        (r#"{"schema":"netns-ls/1"}"#, "a field is missing or of another type, at line 1 column 23"),
        ("\u{7f}ELF", "no JSON, at line 1 column 1"),
        (&map[..map.len() / 2], "it ends in the middle, at line "),
        (&map.replace("\"links\"", "\"lynx\""), "a field is missing or of another type, at line "),
        (&r#"{"a":"#.repeat(1 << 16), "it ends in the middle, at line 1"),
    ] {
        let ran = diff(text).fails_with(2).stdout_is("").stderr_has("hint: netns-ls --json >map.json");
        let ran = ran.stderr_has(&format!("standard input: is not what netns-ls --json prints: {why}"));
        // What only a reader of the source knows.
        assert!(!ran.stderr.contains("Saved") && !ran.stderr.contains("struct"), "{ran}");
    }
    let ran = bridged.lab.tool("netns-ls").args(["--diff", "/run/nowhere"]).run();
    ran.fails_with(2).stderr_has("netns-ls: /run/nowhere: No such file");
    let ran = bridged.lab.tool("netns-ls").args(["--diff", "/run"]).run();
    ran.fails_with(2).stderr_has("netns-ls: /run: Is a directory");
}

#[test]
fn a_file_without_an_end_is_given_up_at_a_limit() {
    let bridged = need!(Bridged::new(&[]));
    let tool = support::tools::tool("netns-ls");
    // A GiB of address space is enough for the file and what is made of it.
    let script = format!("ulimit -v 1048576; yes '                ' | {tool} --diff -");
    let ran = bridged.lab.shell(&script).run().fails_with(2).stdout_is("");
    ran.stderr_has("standard input: is not what netns-ls --json prints: larger than 256 MiB");
    let ran = bridged.lab.tool("netns-ls").args(["--diff", "/dev/zero"]).run().fails_with(2);
    ran.stderr_has("netns-ls: /dev/zero: is not what netns-ls --json prints: larger than 256 MiB");
}
