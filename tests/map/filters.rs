//! The packet filters of one namespace, against the programs that they belong to. Everything is in a lab's container.

use serde_json::{Value, json};

use support::container::{Container, Options};
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::{Missing, need, program};

use crate::details::printed;

/// A script in the network of a container, with the programs of the host.
fn inside(lab: &Lab, container: &Container, script: &str) -> Ran {
    let mut nsenter = lab.command("nsenter");
    nsenter.args(["--target", &container.pid.to_string(), "--net", "sh", "-ec", script]).run()
}

/// That the kernel lets a lab have such a filter.
fn works(lab: &Lab, container: &Container, script: &str) -> Result<(), Missing> {
    let ran = inside(lab, container, script);
    let missing = || Missing::ForGood(format!("no packet filter in a lab here: {}", ran.stderr.trim()));
    ran.status.is_some_and(|status| status.success()).then_some(()).ok_or_else(missing)
}

#[track_caller]
fn chain<'a>(found: &'a Value, table: &str, name: &str) -> &'a Value {
    let mut chains = found["chains"].as_array().unwrap().iter();
    let chain = chains.find(|chain| chain["table"] == table && chain["name"] == name);
    chain.unwrap_or_else(|| panic!("no {name} in {table}: {found:#}"))
}

const GUARD: &str = r#"nft -f - <<'END'
table inet guard {
    chain in {
        type filter hook input priority 5; policy drop;
        iif "lo" counter accept
        tcp dport { 22, 80 } counter accept comment "a { b"
        jump other
    }
    chain other { }
}
END"#;

#[test]
fn chains_of_nftables_have_their_hook_policy_rules_and_counters() {
    let lab = need!(Lab::new());
    need!(program("nft", "nftables"));
    let web = lab.container("web", Options::default());
    need!(works(
        &lab,
        &web,
        &GUARD.replace("chain other { }", "chain other { }\n    set none { type ipv4_addr; }")
    ));
    inside(&lab, &web, "ping -c 2 -i 0.2 -q 127.0.0.1").ok();
    let found = printed(&lab, &web, "filters");
    assert_eq!(found["not_read"], json!([]));
    let guard = chain(&found, "inet guard", "in");
    assert_eq!((&guard["program"], &guard["policy"]), (&json!("nft"), &json!("drop")));
    assert!(guard["hook"].as_str().unwrap().starts_with("hook input priority"), "{guard}");
    // The program's own words, line by line.
    let listed = inside(&lab, &web, "nft list chain inet guard in").ok();
    for rule in guard["rules"].as_array().unwrap() {
        assert!(listed.stdout.contains(rule[0].as_str().unwrap()), "{rule} in {listed}");
    }
    assert_eq!(guard["rules"].as_array().unwrap().len(), 3);
    // Two echo requests and two replies.
    assert_eq!(guard["rules"][0][1][0], 4);
    assert_eq!(guard["rules"][2][1], Value::Null);
    // It decides nothing, but that is known only of a chain that was read.
    assert_eq!(chain(&found, "inet guard", "other")["rules"], json!([]));
}

#[test]
fn chains_of_iptables_are_those_of_iptables_save_and_a_look_makes_no_table() {
    let lab = need!(Lab::new());
    need!(program("iptables", "iptables"));
    let [web, empty] = ["web", "empty"].map(|name| lab.container(name, Options::default()));
    let rules = "iptables -N EMPTY; iptables -N MINE; iptables -A MINE -p tcp --dport 80 -j ACCEPT
         iptables -P FORWARD DROP; iptables -A FORWARD -j MINE
         iptables -t nat -A POSTROUTING -s 198.18.0.0/24 -j MASQUERADE";
    need!(works(&lab, &web, rules));
    let found = printed(&lab, &web, "filters");
    assert_eq!(found["not_read"], json!([]));
    let forward = chain(&found, "filter", "FORWARD");
    assert_eq!((&forward["policy"], &forward["counter"]), (&json!("drop"), &json!([0, 0])));
    assert_eq!(chain(&found, "filter", "EMPTY")["rules"], json!([]));
    let saved = inside(&lab, &web, "iptables-save -c").ok();
    let mut rules: Vec<&str> = saved.stdout.lines().filter_map(|line| line.strip_prefix("[0:0] ")).collect();
    let chains = found["chains"].as_array().unwrap();
    let shown = chains.iter().flat_map(|chain| chain["rules"].as_array().unwrap());
    let mut shown: Vec<&str> = shown.map(|rule| rule[0].as_str().unwrap()).collect();
    rules.sort_unstable();
    shown.sort_unstable();
    assert_eq!(shown, rules);
    assert_eq!(shown.len(), 3);
    // Where there is none, none is made.
    let found = printed(&lab, &empty, "filters");
    assert_eq!((&found["chains"], &found["not_read"]), (&json!([]), &json!([])));
    let tables = "cat /proc/self/net/ip_tables_names 2>/dev/null || :; nft list tables 2>/dev/null || :";
    assert_eq!(inside(&lab, &empty, tables).ok().stdout, "");
}
