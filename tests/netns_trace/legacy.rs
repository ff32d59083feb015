//! The rules of the older iptables, which the kernel tells of by its log alone: the setting that it takes is as it was afterwards, also
//! when the trace is killed. Observers: the setting itself, and `iptables-legacy -S`.

use std::path::Path;
use std::process::Command;

use support::run::Run;
use support::skip::{Missing, need};

use crate::evidence::traced;
use crate::inside_lab::{InsideLab, observers};

/// The loggers of IPv4 and IPv6, and what is written down of them.
const LOGGERS: &str = "cat /proc/sys/net/netfilter/nf_log/2 /proc/sys/net/netfilter/nf_log/10; \
    ls /run/netns-toolbox/trace-loggers 2>/dev/null | wc -l";

#[test]
fn the_rule_that_drops_is_seen_to_and_the_logger_is_as_before() {
    need!(observers());
    let mut lab = InsideLab::new();
    lab.set_up(
        "iptables-legacy -N LATER; iptables-legacy -A FORWARD -p tcp -j ACCEPT; iptables-legacy -A FORWARD -j LATER
        iptables-legacy -A LATER -p icmp -d 198.18.2.2 -m comment --comment 'policy 42' -j DROP
        ip6tables-legacy -P FORWARD DROP",
    )
    .unwrap();
    let before = lab.run(LOGGERS).said;
    let report = traced(&mut lab, "netns:a 198.18.2.2");
    assert_eq!((&report["verdict"], &report["cause"]), (&"lost".into(), &"filter-drop".into()), "{report}");
    assert_eq!(report["evidence"], serde_json::json!(["bpf", "netfilter", "state"]));
    assert_eq!(
        (&report["hop"]["hook"], report["not_seen"].as_array().unwrap().len()),
        (&"forward".into(), 0)
    );
    let text = "iptables-legacy filter LATER, rule 1: -d 198.18.2.2/32 -p icmp -m comment --comment \"policy 42\" -j DROP";
    assert_eq!(report["text"], text, "{report}");
    // What an --explain only supposes: here it was seen, also where the rules say nothing that could be followed.
    lab.set_up(
        "iptables-legacy -F LATER; iptables-legacy -A LATER -m statistic --mode random --probability 1 -j DROP",
    )
    .unwrap();
    let report = traced(&mut lab, "netns:a 198.18.2.2");
    assert_eq!(report["cause"], "filter-drop", "{report}");
    let fix = report["fix"][0].as_str().unwrap().to_owned();
    assert_eq!(lab.paste(&fix).status, 0, "{fix}");
    assert_eq!(lab.run("iptables-legacy -S LATER").said.trim(), "-N LATER");
    assert_eq!(traced(&mut lab, "netns:a 198.18.2.2")["verdict"], "works");
    let report = traced(&mut lab, "netns:a fd18:2::2");
    assert_eq!(
        (&report["cause"], &report["fix"][0]),
        (&"filter-policy".into(), &"ip6tables-legacy -P FORWARD ACCEPT".into())
    );
    assert_eq!(lab.run(LOGGERS).said, before);
}

#[test]
fn where_somebody_else_listens_that_is_said_and_left_alone() {
    need!(observers());
    need!(support::skip::program("tcpdump", "tcpdump"));
    let mut lab = InsideLab::new();
    lab.set_up("iptables-legacy -A FORWARD -p icmp -d 198.18.2.2 -j DROP").unwrap();
    lab.set_up("tcpdump -i nflog:0 -w /dev/null 2>/run/dump & for i in $(seq 100); do grep -q listening /run/dump && break; sleep .1; done")
        .unwrap();
    // It sets the logger itself, and leaves it so.
    let before = lab.run(LOGGERS).said;
    let report = traced(&mut lab, "netns:a 198.18.2.2");
    assert_eq!((&report["verdict"], &report["cause"]), (&"lost".into(), &"filter-drop".into()), "{report}");
    let said =
        "host: the rules of iptables-legacy are not traced (another program listens to NFLOG group 0 there)";
    assert!(report["not_seen"].to_string().contains(said), "{report}");
    lab.run("kill %tcpdump; wait %tcpdump");
    lab.set_up("iptables-legacy -t raw -A PREROUTING -p tcp -j TRACE").unwrap();
    let report = traced(&mut lab, "netns:a 198.18.2.2");
    assert!(report["not_seen"].to_string().contains("(another program traces rules there)"), "{report}");
    assert_eq!(lab.run(LOGGERS).said, before);
}

/// Each with words that do little.
const TOOLS: [&str; 7] = [
    "cpid --list",
    "nsenter-rs -t 1 -n true",
    "netns-link --list",
    "add-nic --list",
    "netns-ping -c1 netns:b 198.18.2.2",
    "netns-ls",
    "netns-trace --explain netns:a 198.18.2.2",
];

#[test]
fn after_a_sigkill_the_next_call_of_any_tool_puts_the_logger_back() {
    need!(observers());
    let mut lab = InsideLab::new();
    // The probe is not answered, and not dropped, so the tool waits as long as it does at most.
    lab.set_up(
        "iptables-legacy -A FORWARD -p icmp -j ACCEPT; within b sysctl -qw net.ipv4.icmp_echo_ignore_all=1",
    )
    .unwrap();
    let before = lab.run(LOGGERS).said;
    let killed = lab.run(
        "for attempt in $(seq 20); do
            netns-trace netns:a 198.18.2.2 >/dev/null & traced=$!
            until grep -q nfnetlink_log /proc/sys/net/netfilter/nf_log/2; do [ -d /proc/$traced ] || break; done
            kill -KILL $traced 2>/dev/null; wait $traced
            [ $? = 137 ] && break
        done 2>/dev/null
        cat /proc/sys/net/netfilter/nf_log/2 /proc/sys/net/netfilter/nf_log/10
        cp -r /run/netns-toolbox/trace-loggers /run/kept; ls /run/kept | wc -l",
    );
    assert_eq!(killed.said, "nfnetlink_log\nnfnetlink_log\n1\n");
    for tool in TOOLS {
        let ran = lab.run(&format!("{tool} >/dev/null; {LOGGERS}"));
        let tool_name = tool.split(' ').next().unwrap();
        assert!(
            ran.said.starts_with(&format!("{tool_name}: net.netfilter.nf_log of net:[")),
            "{tool}: {}",
            ran.said
        );
        assert!(ran.said.ends_with(&before), "{tool}: {}", ran.said);
        lab.set_up("cp -r /run/kept /run/netns-toolbox/trace-loggers; for f in 2 10; do echo nfnetlink_log >/proc/sys/net/netfilter/nf_log/$f; done")
            .unwrap();
    }
    // What somebody has set meanwhile is theirs, and a namespace that is gone has nothing to put back.
    lab.set_up("for f in 2 10; do echo NONE >/proc/sys/net/netfilter/nf_log/$f; done").unwrap();
    let ran = lab.run(&format!("cpid --list >/dev/null 2>&1; {LOGGERS}"));
    assert_eq!(ran.said, "NONE\nNONE\n0\n");
    // A trace that is still at work is left alone.
    let ran = lab.run(&format!(
        "for f in 2 10; do echo nf_log_ipv4 >/proc/sys/net/netfilter/nf_log/2; echo nf_log_ipv6 >/proc/sys/net/netfilter/nf_log/10; done
        netns-trace netns:a 198.18.2.2 >/dev/null & traced=$!
        until grep -q nfnetlink_log /proc/sys/net/netfilter/nf_log/2; do [ -d /proc/$traced ] || break; done
        kill -STOP $traced; cpid --list >/dev/null 2>&1; {LOGGERS}; kill -CONT $traced; wait $traced; {LOGGERS}"
    ));
    assert_eq!(ran.said, format!("nfnetlink_log\nnfnetlink_log\n1\n{before}"));
}

/// Where the program is: unpacked, where it is not installed.
fn arptables_legacy() -> Result<String, Missing> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup/packages");
    let found = Command::new(script).arg("arptables-legacy:arptables").run();
    match found.status {
        Some(status) if status.success() => Ok(format!("{}/usr/sbin", found.stdout.trim())),
        _ => Err(Missing::Fixable(format!("arptables-legacy (package arptables): {}", found.stderr))),
    }
}

/// It is asked for ARP alone, so that nothing else is in doubt. Observer: ping.
#[test]
fn rules_of_arptables_legacy_are_said_not_to_be_read_where_arp_is_needed() {
    need!(observers());
    let directory = need!(arptables_legacy());
    let mut lab = InsideLab::new();
    lab.set_up(&format!("PATH=$PATH:{directory}")).unwrap();
    let explain = "timeout 60 netns-trace --explain netns:a 198.18.2.2";
    let ping = "within a ping -nqc1 -W1 198.18.2.2 >/dev/null";
    lab.set_up(
        "within b arptables-legacy -A INPUT -j DROP; ip neigh flush dev vb; ip -n b neigh flush dev eth0",
    )
    .unwrap();
    assert_ne!(lab.run(ping).status, 0, "the observer");
    let ran = lab.run(explain);
    assert_eq!(ran.status, 2, "{}", ran.said);
    assert!(
        ran.said.contains("netns:b: arptables-legacy has rules for ARP, which are not read"),
        "{}",
        ran.said
    );
    let ran = lab.run("timeout 60 netns-trace netns:a 198.18.2.2");
    assert_eq!(ran.status, 1, "{}", ran.said);
    // A list of its filters lacks them; nothing that is judged of the host asks for them.
    let ran = lab.run("netns-ls -q --fw netns:b");
    assert!(
        ran.said.contains("packet filters: arptables-legacy has rules for ARP, which are not read"),
        "{}",
        ran.said
    );
    let ran = lab.run("netns-ls --why");
    assert!(!ran.said.contains("arptables"), "{}", ran.said);
    // Whose address is known needs no ARP.
    lab.set_up(
        "ip neigh replace 198.18.2.2 lladdr $(mac b eth0) dev vb nud permanent
        ip -n b neigh replace 198.18.2.1 lladdr $(ip -o link show vb | grep -o 'link/ether [^ ]*' | cut -d' ' -f2) dev eth0 nud permanent",
    )
    .unwrap();
    assert_eq!(lab.run(ping).status, 0, "the observer");
    let ran = lab.run(explain);
    assert_eq!(ran.status, 0, "{}", ran.said);
}
