//! Names that come from inside: nothing of them drives a terminal, in any view. Observer: the bytes themselves.

use common::output::is_harmful;
use support::fake_engine::{Answer, Script};
use support::run::Run;
use support::skip::need;
use support::tools;

use crate::{Bridged, json};

/// An escape sequence, a bell, a byte that is no UTF-8, and a mark that turns text around.
const IFNAME: &str = r"$(printf 'e\033[2J\a\377\342\200\256x')";

#[test]
fn names_of_interfaces_processes_mounts_and_aliases_drive_no_terminal() {
    let bridged = need!(Bridged::new(&["web"]));
    let web = &bridged.containers[0];
    let script = format!(
        r#"n={IFNAME}
        nsenter -t {pid} -n ip link add name "$n" type veth peer name far netns 1
        nsenter -t {pid} -n ip link set dev "$n" alias "$(printf 'a\033]0;x\007\302\233')" up
        nsenter -t {pid} -n ip address add 10.6.6.6/24 dev "$n"
        ip link add name "$(printf 'b\033[1m')" type bridge
        m="$(printf 'm\033[3m\n\302\233%056d' 0)"
        mkdir -p /run/netns; touch "/run/netns/$m"; mount --bind /proc/{pid}/ns/net "/run/netns/$m"
        touch "/run/netns/$(printf 's\033[7m\n%060d' 0)"; ip link set far up
        nsenter -t {pid} -n sh -ec 'ip neighbour add 10.6.6.9 lladdr 02:00:00:00:06:09 dev "$0" nud permanent
            ip route add 10.66.0.0/16 dev "$0"; ip rule add iif "$0" lookup 100; tc qdisc add dev "$0" clsact
            ip link add "$(printf "i\033[1m")" type bridge; ip link add p1 type veth peer name p2
            ip link set p1 master "$(printf "i\033[1m")"; ip link set "$0" mtu 1400' "$n""#,
        pid = web.pid
    );
    bridged.lab.shell(&script).run().ok();
    let command = r#"cp "$(command -v sleep)" "/run/$(printf 'p\033[31m\n')"; exec unshare -n "/run/$(printf 'p\033[31m\n')" 1000"#;
    let odd = bridged.lab.shell(command).start();
    let serve = r#"cp "$(command -v perl)" "/run/$(printf 's\033[32m')"
        exec nsenter -t $0 -n "/run/$(printf 's\033[32m')" -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Listen => 1, LocalPort => 70) or die; $| = 1; print "ready\n"; sleep 1000'"#;
    let server = bridged.lab.shell(serve).arg(web.pid.to_string()).start();
    server.wait_for("ready");
    support::until::until("the odd process is there", || {
        bridged.lab.tool("netns-ls").args(["-q", "--all"]).run().stdout.contains("(p\\u{1b}[31m")
    });
    let old = bridged.lab.tool("netns-ls").args(["-q", "--json"]).run().ok();
    std::fs::write(bridged.lab.path("/run/old.json"), &old.stdout).unwrap();
    bridged.lab.shell("ip address add 10.7.7.7/24 dev far").run().ok();
    bridged
        .lab
        .shell(
            &format!(r#"nsenter -t {} -n ip link set dev {IFNAME} mtu 1300"#, web.pid)
                .replace("dev $(", "dev \"$(")
                .replace("') mtu", "')\" mtu"),
        )
        .run()
        .ok();
    let pid = format!("pid:{}", web.pid);
    for options in [
        &["--all"][..],
        &["--json"],
        &["--bridges"],
        &["--tree"],
        &["--namespaces"],
        &["--namespaces", "--json"],
        &[&pid],
        &["10.6.6.6"],
        &["far"],
        &["--path", &pid, "far"],
        &["--diff", "/run/old.json"],
        &["--diff", "/run/old.json", "--json"],
        &["--ports"],
        &["--sockets"],
        &["--neigh"],
        &["--routes"],
        &["--rules"],
        &["--fdb"],
        &["--programs"],
        &["--routes", "--neigh", "--fdb", "--programs", "--sockets", "--json"],
        &["--why"],
        &["--why", "--json"],
        &["--graph", "svg"],
        &["--graph", "dot"],
        &["--html"],
    ] {
        let ran = bridged.lab.tool("netns-ls").args(options).run();
        for text in [&ran.stdout, &ran.stderr] {
            assert!(!text.chars().any(is_harmful), "{options:?}: {ran:?}");
        }
        assert!(!ran.stdout.is_empty(), "{options:?}: {ran}");
    }
    let ran = bridged.lab.tool("netns-ls").args(["-q", "10.6.6.6"]).run().ok();
    assert!(ran.stdout.contains("e\\u{1b}[2J\\u{7}"), "{ran}");
    assert_eq!(ran.stdout.lines().count(), 1, "a line feed in a name makes no line: {ran}");
    // Each of them is there, spelled out.
    for (options, part) in [
        ("--ports", "s\\u{1b}[32m"),
        ("--sockets", "s\\u{1b}[32m"),
        ("--neigh", "e\\u{1b}[2J"),
        ("--routes", "e\\u{1b}[2J"),
        ("--fdb", "i\\u{1b}[1m"),
        ("--programs", "e\\u{1b}[2J"),
        ("--why", "e\\u{1b}[2J"),
    ] {
        let ran = bridged.lab.tool("netns-ls").args(["-q", options]).run();
        assert!(ran.stdout.contains(part), "{options}: no {part}: {ran}");
    }
    drop((odd, server));
}

/// As an engine can call a container: 64 bytes of markup, or of what a terminal obeys.
const NAMES: [&str; 3] = [
    "<script>alert(1)</script><img src=x onerror=alert(2)>&quot;'{{MAP}}",
    "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}gnp.exe\u{0}\n\r<b>x</b> $(id) `id` ;id",
    "\"];x[label=\"{<i>|}\" URL=\"javascript:alert(3)\"];//--><![CDATA[]]>'",
];

#[test]
fn names_and_labels_that_engines_give_are_text_in_no_view_but_their_ids_are() {
    let host = need!(support::engine_state::Host::new());
    let processes: Vec<_> = (0..6).map(|at| host.process(&format!("p{at}"))).collect();
    let bridge = "ip link add br0 type bridge; ip link set br0 up";
    host.lab.shell(bridge).run().ok();
    for (at, process) in processes.iter().enumerate() {
        let script = "ip link add v$0 type veth peer name eth0 netns $1; ip link set v$0 master br0 up";
        host.lab.shell(script).args([at.to_string(), process.pid.to_string()]).run().ok();
    }
    let (mut ids, mut listed, mut docker) = (Vec::new(), Vec::new(), Script::new());
    // What Docker answers, and what an orchestrator wrote into annotations.
    for (at, name) in NAMES.iter().enumerate() {
        let id = support::engine_state::id(&format!("d{at}0c"));
        let labels = serde_json::json!({"com.docker.compose.service": name, *name: name});
        let networks = serde_json::json!({ *name: {} });
        listed.push(serde_json::json!({
            "Id": id, "Names": [format!("/{name}")], "Image": name, "State": "running", "Status": name, "Labels": labels,
            "NetworkSettings": {"Networks": networks},
        }));
        let inspected = serde_json::json!({
            "Id": id, "Name": format!("/{name}"), "Config": {"Image": name, "Labels": labels, "Hostname": name},
            "State": {
                "Status": "running", "Running": true, "Paused": false, "Restarting": false, "Dead": false, "ExitCode": 0,
                "Pid": processes[at].pid, "StartedAt": support::fake_docker::just_now(), "FinishedAt": "0001-01-01T00:00:00Z",
            },
            "NetworkSettings": {"Networks": networks},
        });
        for asked in [&id, &id[..12]] {
            let answer = Answer::json(200, &inspected.to_string());
            docker = docker.on(&format!("/containers/{asked}/json"), answer);
        }
        ids.push(id[..12].to_owned());
        let pod = &processes[at + NAMES.len()];
        let id = support::engine_state::id(&format!("5a{at}"));
        let sandbox = serde_json::json!({
            "io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": id,
            "io.kubernetes.cri.sandbox-name": name, "io.kubernetes.cri.sandbox-namespace": name, "io.kubernetes.cri.container-name": name,
        });
        host.task("k8s.io", &id, pod.pid, &sandbox);
        ids.push(id[..12].to_owned());
    }
    let listed = Answer::json(200, &serde_json::Value::from(listed).to_string());
    let docker = docker.on("/containers/json", listed).otherwise(Answer::json(404, r#"{"message":"<b>x"}"#));
    std::fs::create_dir_all(host.path("/run")).unwrap();
    let _docker = docker.listen(host.path("/run/docker.sock"));
    let first = format!("docker:{}", ids[0]);
    let views: [&[&str]; 14] = [
        &["--all"],
        &["--json"],
        &["--tree"],
        &["--bridges"],
        &["--bridges", "--json"],
        &["--namespaces"],
        &["--ports"],
        &["--neigh"],
        &["--sockets"],
        &["--why"],
        &["--graph", "svg"],
        &["--graph", "dot"],
        &["--html"],
        &[&first],
    ];
    for options in views {
        let mut tool = host.lab.command("env");
        let ran = tool
            .args(["NETNS_TOOLBOX_ROOT=/run/host", tools::tool("netns-ls"), tools::PATIENT])
            .args(options)
            .run();
        for text in [&ran.stdout, &ran.stderr] {
            assert!(!text.chars().any(is_harmful), "{options:?}: {ran:?}");
            // JSON has the image as it is called, as data; so has the page, in JSON without a `<`.
            for markup in ["<script>alert", "<img src=x", "<b>x", "<i>|", "];x[label", "javascript:", "$(id)"]
            {
                let is_data = options.contains(&"--json") || (options == ["--html"] && !markup.contains('<'));
                assert!(is_data || !text.contains(markup), "{options:?}: {markup}: {ran}");
            }
        }
        if options.contains(&"--json") {
            let map = ran.json();
            json::is_valid(&map);
            let all = map["namespaces"].as_array().unwrap();
            for container in all.iter().flat_map(|netns| netns["containers"].as_array().unwrap()) {
                assert_eq!(container["name"], container["id"]);
            }
        }
        // Not because nothing was there to be shown.
        let is_about_ports = ["--ports", "--sockets", "--neigh", "--why"].contains(&options[0]);
        let missing: Vec<&String> = ids.iter().filter(|id| !ran.stdout.contains(&id[..12])).collect();
        let are_expected = if options.len() == 1 && options[0] == first {
            missing.len() < ids.len()
        } else {
            missing.is_empty()
        };
        assert!(is_about_ports || are_expected, "{options:?}: no {missing:?}: {ran}");
    }
}
