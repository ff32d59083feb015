//! Published ports: rules of iptables of both kinds, of nft, and our own `add-nic --publish`. Observers: what the server says of
//! itself, and the rules as the programs that made them list them.

use support::run::Run;
use support::skip::{Missing, need, program};

use crate::server::{Place, Town, town};

fn with(program_name: &str, package: &str) -> Result<Town, Missing> {
    program(program_name, package)?;
    town()
}

/// As Docker makes them; `-p tcp` with the match "tcp", several ports, a range that keeps its order, a redirection.
const DOCKERS: [&str; 9] = [
    "-N DOCKER",
    "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
    "-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER",
    "-A DOCKER -i br0 -j RETURN",
    "-A DOCKER ! -i br0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 198.18.0.2:80",
    "-A DOCKER -d 198.18.0.1/32 ! -i br0 -p udp -m udp --dport 5353 -j DNAT --to-destination 198.18.0.2:53",
    "-A DOCKER -p tcp -m multiport --dports 7000,7002:7004 -j DNAT --to-destination 198.18.0.3:90",
    "-A PREROUTING -p tcp --dport 3128 -m comment --comment proxy -j REDIRECT --to-ports 3129",
    "-A DOCKER -p tcp --dport 6000 -m statistic --mode random --probability 0.5 -j DNAT --to-destination 198.18.0.3:90",
];

fn iptables_of(kind: &str) {
    let town = need!(with(kind, "iptables"));
    for rule in DOCKERS {
        let mut add = town.lab.command(kind);
        let ran = add.args(["-w", "5", "-t", "nat"]).args(rule.split_whitespace()).run();
        if kind == "iptables-legacy"
            && rule.starts_with("-N")
            && ran.status.is_none_or(|status| !status.success())
        {
            let missing = Missing::ForGood("the kernel has no iptables-legacy".into());
            need!(Err::<(), _>(missing));
        }
        ran.ok();
    }
    let web = town.serve(Place::Network(&town.web), &["0.0.0.0:80", "u0.0.0.0:53"]);
    let db = town.serve(Place::Network(&town.db), &["0.0.0.0:90"]);
    let on_loopback = town.serve(Place::Host, &["127.0.0.1:3129"]);
    // The kernel gives what comes from elsewhere an address of the interface that it came by.
    town.lab.tool("cpid").arg(":3128").run().fails_with(1).stderr_has("listens on 127.0.0.1 only");
    assert!(town.line("0.0.0.0:3128/tcp").ends_with("→ host:3129 DNAT host listens on 127.0.0.1 only"));
    drop(on_loopback);
    let proxy = town.serve(Place::Host, &["0.0.0.0:3129"]);
    for (word, server) in [
        (":8080", &web),
        ("198.18.0.1:8080", &web),
        (":5353", &web),
        (":7000", &db),
        (":7003/tcp", &db),
        (":3128", &proxy),
    ] {
        assert_eq!(town.pid_at(word), server.pid, "{word}: {}", server.said());
    }
    for word in [":7001", "127.0.0.1:8080", "198.18.0.2:8080"] {
        town.lab.tool("cpid").arg(word).run().fails_with(1).stdout_is("");
    }
    // Half of the packets go elsewhere.
    town.lab.tool("cpid").arg(":6000").run().ok().stderr_has("has more conditions");
    let ends = |port: &str, ends: &str| {
        let line = town.line(port);
        assert!(line.ends_with(ends), "{line}");
    };
    ends("0.0.0.0:8080/tcp", ":80 DNAT listening on 0.0.0.0");
    ends("198.18.0.1:5353/udp", ":53 DNAT listening on 0.0.0.0");
    ends("0.0.0.0:7002-7004/tcp", ":90 DNAT listening on 0.0.0.0");
    ends("0.0.0.0:6000/tcp", ":90 DNAT (under more conditions) listening on 0.0.0.0");
    ends("0.0.0.0:3128/tcp", "→ host:3129 DNAT listening on 0.0.0.0");
    drop(web);
    ends("0.0.0.0:8080/tcp", ":80 DNAT nobody listens");
    town.lab.tool("cpid").arg(":8080").run().fails_with(1).stderr_has("although it is forwarded");
    let _loopback = town.serve(Place::Network(&town.web), &["127.0.0.1:80"]);
    ends("0.0.0.0:8080/tcp", "listens on 127.0.0.1 only");
}

#[test]
fn rules_of_iptables_nft_say_where_a_port_leads_to() {
    iptables_of("iptables-nft");
}

#[test]
fn rules_of_iptables_legacy_say_where_a_port_leads_to() {
    iptables_of("iptables-legacy");
}

/// A table of both families, with sets, maps of addresses, maps of verdicts, and a chain that goes on elsewhere.
const NFT: &str = r#"
table inet cni {
 map pairs { type inet_service : ipv4_addr . inet_service
  elements = { 4000 : 198.18.0.2 . 80, 4001 : 198.18.0.3 . 90 }
 }
 chain x { tcp dport 4100 dnat ip to 198.18.0.2:80
 }
 chain y { meta l4proto tcp dnat ip to 198.18.0.3:90
 }
 map jumps { type inet_service : verdict
  elements = { 4100 : jump x, 4101 : goto y }
 }
 chain pre { type nat hook prerouting priority dstnat
  fib daddr type local jump ports
 }
 chain ports {
  tcp dport { 4200, 4202-4204 } dnat ip to 198.18.0.3:90
  iifname != "br0" meta l4proto tcp dnat ip to tcp dport map @pairs
  tcp dport vmap @jumps
  ip daddr 198.18.0.0/24 tcp dport 4300 dnat ip to 198.18.0.3:90
  ip saddr 192.0.2.4 tcp dport 4303 dnat ip to 198.18.0.3:90
  meta l4proto { tcp, udp } th dport 4304 dnat ip to 198.18.0.3:90
  tcp dport 4305-4307 dnat ip to 198.18.0.2:80
 }
}"#;

#[test]
fn rules_of_nft_with_sets_and_maps_say_where_a_port_leads_to() {
    let town = need!(with("nft", "nftables"));
    town.lab.command("nft").args(["-f", "-"]).run_with_input(NFT).ok();
    let web = town.serve(Place::Network(&town.web), &["0.0.0.0:80"]);
    let db = town.serve(Place::Network(&town.db), &["0.0.0.0:90", "u0.0.0.0:90"]);
    for (word, server) in [
        (":4000", &web),
        (":4001", &db),
        (":4100", &web),
        (":4101", &db),
        (":4200", &db),
        (":4203", &db),
        ("198.18.0.1:4300", &db),
        (":4304/udp", &db),
        (":4306", &web),
    ] {
        assert_eq!(town.pid_at(word), server.pid, "{word}: {}", server.said());
    }
    for word in [":4002", ":4201", ":4308", "198.18.0.2:4000"] {
        town.lab.tool("cpid").arg(word).run().fails_with(1).stdout_is("");
    }
    town.lab.tool("cpid").arg(":4303").run().ok().stderr_has("has more conditions");
    let lines = town.lines(&["--ports"]);
    assert!(!lines.iter().any(|line| line.contains("[::]:")), "nothing of it is about IPv6: {lines:#?}");
    let limited: Vec<&String> = lines.iter().filter(|line| line.contains("more conditions")).collect();
    assert!(limited.len() == 1 && limited[0].contains(":4303/tcp"), "{limited:#?}");
}

/// Of Docker 29 with its own tables: the generated pages of moby's integration/network/bridge/nftablesdoc.
const DOCKERS_NFT: &str = r#"
table ip docker-bridges {
 chain nat-prerouting-and-output {
  iifname != "br0" tcp dport 8080 counter dnat to 198.18.0.2:80 comment "DNAT"
  iifname != "br0" ip daddr 127.0.0.1 tcp dport 8081 counter dnat to 198.18.0.3:90 comment "DNAT"
 }
 chain nat-OUTPUT { type nat hook output priority -100; policy accept
  ip daddr != 127.0.0.0/8 fib daddr type local counter jump nat-prerouting-and-output
 }
 chain nat-PREROUTING { type nat hook prerouting priority -100; policy accept
  fib daddr type local counter jump nat-prerouting-and-output
 }
}"#;

#[test]
fn rules_of_docker_with_its_tables_of_nftables_say_where_a_port_leads_to() {
    let town = need!(with("nft", "nftables"));
    town.lab.command("nft").args(["-f", "-"]).run_with_input(DOCKERS_NFT).ok();
    assert!(town.line("0.0.0.0:8080/tcp").ends_with(":80 DNAT nobody listens"));
    let web = town.serve(Place::Network(&town.web), &["0.0.0.0:80"]);
    assert_eq!(town.pid_at(":8080"), web.pid);
    assert!(town.line("0.0.0.0:8080/tcp").ends_with(":80 DNAT listening on 0.0.0.0"));
    town.lab.tool("cpid").arg("127.0.0.1:8080").run().fails_with(1);
    // Nothing comes from elsewhere to 127.0.0.1, and what is sent there from here is left to the proxy.
    let lines = town.lines(&["--ports"]);
    assert!(!lines.iter().any(|line| line.contains(":8081/")), "{lines:#?}");
}

/// Of netavark, as its test/250-bridge-nftables.bats lists them, and of CNI's portmap (plugins/meta/portmap/portmap_nftables.go):
/// 8080 leads to the web server, 8083 of one address to the other one.
const PODMANS: [(&str, &str); 2] = [
    (
        "netavark",
        r#"table inet netavark {
 chain NETAVARK-HOSTPORT-SETMARK { meta mark set meta mark | 0x00002000
 }
 chain nv_web_dnat {
  ip saddr 198.18.0.0/24 tcp dport 8080 jump NETAVARK-HOSTPORT-SETMARK
  ip saddr 127.0.0.1 tcp dport 8080 jump NETAVARK-HOSTPORT-SETMARK
  tcp dport 8080 ct mark set meta mark | 0x00001000 dnat ip to 198.18.0.2:80
 }
 chain nv_db_dnat {
  ip saddr 198.18.0.0/24 ip daddr 198.18.0.1 tcp dport 8083 jump NETAVARK-HOSTPORT-SETMARK
  ip daddr 198.18.0.1 tcp dport 8083 ct mark set meta mark | 0x00001000 dnat ip to 198.18.0.3:90
 }
 chain NETAVARK-HOSTPORT-DNAT {
  tcp dport 8080 jump nv_web_dnat
  ip daddr 198.18.0.1 tcp dport 8083 jump nv_db_dnat
 }
 chain PREROUTING { type nat hook prerouting priority dstnat; policy accept
  fib daddr type local jump NETAVARK-HOSTPORT-DNAT
 }
 chain OUTPUT { type nat hook output priority -100; policy accept
  fib daddr type local jump NETAVARK-HOSTPORT-DNAT
 }
}"#,
    ),
    (
        "portmap",
        r#"table ip cni_hostport {
 chain hostip_hostports {
  ip daddr 198.18.0.1 ip protocol tcp th dport 8083 dnat ip addr . port to 198.18.0.3 . 90 comment "icee6giejonei6so"
 }
 chain hostports {
  ip protocol tcp th dport 8080 dnat ip addr . port to 198.18.0.2 . 80 comment "icee6giejonei6so"
 }
 chain prerouting { type nat hook prerouting priority -100
  jump hostip_hostports
  fib daddr type local jump hostports
 }
 chain output { type nat hook output priority -100
  jump hostip_hostports
  fib daddr type local jump hostports
 }
 chain masquerading { type nat hook postrouting priority 100
  ip saddr 198.18.0.2 ip daddr 198.18.0.2 masquerade comment "icee6giejonei6so"
 }
}"#,
    ),
];

#[test]
fn rules_of_netavark_and_of_cni_say_where_a_port_leads_to() {
    for (name, rules) in PODMANS {
        let town = need!(with("nft", "nftables"));
        town.lab.command("nft").args(["-f", "-"]).run_with_input(rules).ok();
        let web = town.serve(Place::Network(&town.web), &["0.0.0.0:80"]);
        let db = town.serve(Place::Network(&town.db), &["0.0.0.0:90"]);
        assert_eq!((town.pid_at(":8080"), town.pid_at("198.18.0.1:8083")), (web.pid, db.pid), "{name}");
        for (place, end) in
            [("0.0.0.0:8080/tcp", ":80 DNAT listening"), ("198.18.0.1:8083/tcp", ":90 DNAT listening")]
        {
            let line = town.line(place);
            assert!(line.contains(end), "{name}: {line}");
        }
    }
}

#[test]
fn a_stale_rule_behind_the_one_that_counts_is_no_second_answer() {
    let town = need!(with("nft", "nftables"));
    let rules = "table ip t { chain c { type nat hook prerouting priority -100; tcp dport 8080 dnat to 198.18.0.2:80\n\
                 tcp dport 8080 dnat to 198.18.0.9:80\n }\n }";
    town.lab.command("nft").args(["-f", "-"]).run_with_input(rules).ok();
    let web = town.serve(Place::Network(&town.web), &["0.0.0.0:80"]);
    assert_eq!(town.pid_at(":8080"), web.pid);
    // And where the first leads to nobody that we know, that is not certain.
    town.lab.command("nft").args(["flush", "chain", "ip", "t", "c"]).run().ok();
    let rule = ["add", "rule", "ip", "t", "c", "tcp", "dport", "8080", "dnat", "to", "192.0.2.77:80"];
    town.lab.command("nft").args(rule).run().ok();
    town.lab.tool("cpid").arg(":8080").run().fails_with(2).stderr_has("no network here has the address");
}

#[test]
fn what_add_nic_publishes_is_told_as_published() {
    let town = need!(with("nft", "nftables"));
    let pid = town.db.pid.to_string();
    town.lab.tool("add-nic").args([&pid, "10.1.0.2/24", "--publish", "8080:80"]).run().ok();
    let server = town.serve(Place::Network(&town.db), &["0.0.0.0:80"]);
    assert_eq!(town.pid_at(":8080"), server.pid);
    let line = town.line("0.0.0.0:8080/tcp");
    assert!(line.ends_with(":80 DNAT listening on 0.0.0.0"), "{line}");
    town.lab.tool("add-nic").args(["--rm", &pid]).run().ok();
    town.lab.tool("cpid").arg(":8080").run().fails_with(1);
}
