//! `--drops`: what the kernel drops is shown as it happens, on the right container, with the rule. Observers: the counters of
//! iptables and of interfaces, and bpf(2) asked by perl for programs that are left.

use std::process::Command;

use support::run::Run;
use support::skip::need;
use support::tools;

use crate::evidence::counts_programs;
use crate::inside_lab::{InsideLab, observers};

/// `watch NAME WORDS…` begins a watch that writes to /run/NAME; `unwatch NAME` ends it with SIGINT. `throw NETNS COUNT ADDRESS PORT`
/// sends so many datagrams.
const WATCH: &str = r#"
watch() {
    local name=$1; shift
    netns-trace --drops "$@" >/run/$name 2>/run/$name.err & eval "watch_$name=$!"
    for i in $(seq 600); do grep -q 'watching;' /run/$name.err && return; sleep .05; done
    cat /run/$name.err; return 1
}
unwatch() { local pid; eval "pid=\$watch_$1"; kill -INT $pid; wait $pid; }
# until_said NAME PATTERN
until_said() { for i in $(seq 600); do grep -q "$2" /run/$1 && return; sleep .05; done; echo "not said: $2"; cat /run/$1; return 1; }
throw() {
    within $1 perl -MSocket -e 'socket(S, PF_INET, SOCK_DGRAM, 0); my $to = pack_sockaddr_in($ARGV[2], inet_aton($ARGV[1]));
        for (1 .. $ARGV[0]) { send(S, "x", 0, $to) or die $! }' $2 $3 $4
}
# flood NETNS ADDRESS PORT, in the background: as many as this machine sends, until it is killed.
flood() {
    exec nsenter --net=/run/netns/$1 perl -MSocket -e 'socket(S, PF_INET, SOCK_DGRAM, 0); connect(S, pack_sockaddr_in($ARGV[1], inet_aton($ARGV[0])));
        for (;;) { send(S, "x", 0) }' $2 $3
}
"#;

pub fn lab() -> InsideLab {
    let mut lab = InsideLab::new();
    lab.set_up(WATCH).unwrap();
    lab
}

/// The lines of a watch that was ended.
#[track_caller]
pub fn lines(lab: &mut InsideLab, name: &str) -> (Vec<serde_json::Value>, serde_json::Value) {
    let said = lab.run(&format!("cat /run/{name}")).said;
    let mut all: Vec<serde_json::Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|err| panic!("{err}: {line}")))
        .collect();
    let summary = all.pop().expect("a summary");
    assert_eq!(summary["kind"], "summary", "{said}");
    assert!(all.iter().all(|line| line["kind"] == "drop"), "{said}");
    (all, summary)
}

pub fn count(lines: &[serde_json::Value], is_it: impl Fn(&serde_json::Value) -> bool) -> u64 {
    lines.iter().filter(|line| is_it(line)).map(|line| line["packets"].as_u64().unwrap()).sum()
}

/// A fault, what is sent then, and what the line has: from, hop, hook, cause.
struct DropRow {
    seed: &'static str,
    act: &'static str,
    from: &'static str,
    at: &'static str,
    hook: Option<&'static str>,
    cause: Option<&'static str>,
    /// In its short words.
    short: &'static str,
}

const ROWS: [DropRow; 12] = [
    DropRow {
        seed: "iptables -A FORWARD -p udp -m comment --comment 'policy 42' -j DROP",
        act: "throw a 3 198.18.2.2 99",
        from: "netns:a",
        at: "host",
        hook: Some("forward"),
        cause: Some("filter-drop"),
        short: "host forward: FORWARD \"policy 42\" (×3)",
    },
    DropRow {
        seed: "ip netns exec b iptables -A INPUT -p udp --dport 90 -j DROP",
        act: "throw a 1 198.18.2.2 90",
        from: "netns:a",
        at: "netns:b",
        hook: Some("input"),
        cause: Some("filter-drop"),
        short: "netns:b input: INPUT rule 1",
    },
    DropRow {
        seed: "ip netns exec a iptables -P OUTPUT DROP",
        act: "throw a 1 198.18.2.2 91",
        from: "netns:a",
        at: "netns:a",
        hook: Some("output"),
        cause: Some("filter-policy"),
        short: "netns:a output: OUTPUT policy",
    },
    // Which packets a random number drops is not known from the rules: two of them may have.
    DropRow {
        seed: "chains host; nft add rule inet q f udp dport 92 numgen random mod 2 0 drop; nft add rule inet q f udp dport 92 drop",
        act: "throw a 1 198.18.2.2 92",
        from: "netns:a",
        at: "host",
        hook: Some("forward"),
        cause: None,
        short: "host forward: one of 2 rules; which is not certain",
    },
    DropRow {
        seed: "true",
        act: "throw a 1 198.18.2.2 93",
        from: "netns:a",
        at: "netns:b",
        hook: None,
        cause: Some("nobody-listens"),
        short: "nobody listens at udp port 93",
    },
    DropRow {
        seed: "sysctl -qw net.ipv4.conf.va.rp_filter=1; ip route add 198.18.1.2/32 dev vb",
        act: "throw a 1 198.18.2.2 94",
        from: "netns:a",
        at: "host",
        hook: None,
        cause: Some("rp-filter"),
        short: "rp_filter",
    },
    DropRow {
        seed: "sysctl -qw net.ipv4.ip_forward=0",
        act: "throw a 1 198.18.2.2 95",
        from: "netns:a",
        at: "host",
        hook: None,
        cause: Some("forwarding-off"),
        short: "does not forward IPv4",
    },
    DropRow {
        seed: "ip route add blackhole 198.18.2.2",
        act: "throw a 1 198.18.2.2 96",
        from: "netns:a",
        at: "host",
        hook: None,
        cause: Some("route-blackhole"),
        short: "blackhole",
    },
    DropRow {
        seed: "ip netns exec a sysctl -qw net.ipv4.ip_default_ttl=1",
        act: "throw a 1 198.18.2.2 87",
        from: "netns:a",
        at: "host",
        hook: None,
        cause: Some("ttl-expired"),
        short: "va: the packet has a TTL of 1 and cannot be forwarded",
    },
    DropRow {
        seed: "tc qdisc add dev va clsact; tc filter add dev va ingress bpf da bytecode '1,6 0 0 2'",
        act: "throw a 1 198.18.2.2 97",
        from: "netns:a",
        at: "host",
        hook: None,
        cause: Some("tc-drop"),
        short: "host va: ",
    },
    DropRow {
        seed: "sysctl -qw net.bridge.bridge-nf-call-iptables=1; iptables -P FORWARD DROP",
        act: "throw c 1 198.18.3.3 98",
        from: "netns:c",
        at: "host",
        hook: Some("forward"),
        cause: Some("filter-policy"),
        short: "host forward: FORWARD policy",
    },
    DropRow {
        seed: "ip neigh replace 198.18.2.2 lladdr 02:de:ad:00:00:01 dev vb nud permanent",
        act: "throw a 1 198.18.2.2 88",
        from: "netns:a",
        at: "netns:b",
        hook: None,
        cause: Some("neighbour-wrong-mac"),
        short: "",
    },
];

#[test]
fn each_drop_is_told_with_its_hop_its_hook_and_its_cause() {
    need!(observers());
    let failed = crate::inside_lab::walk_all(&ROWS, |row| {
        let mut lab = lab();
        lab.set_up("within a ping -nqc1 -W2 198.18.2.2; within c ping -nqc1 -W2 198.18.3.3").unwrap();
        lab.set_up(row.seed).unwrap();
        let ran = lab.run(&format!(
            "watch text && watch json --json || exit 1; {}; until_said json '\"kind\":\"drop\"'; unwatch text; unwatch json",
            row.act
        ));
        let text = lab.run("cat /run/text").said;
        let said = lab.run("cat /run/json").said;
        let drops: Vec<serde_json::Value> =
            said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let is_it = |line: &serde_json::Value| {
            line["kind"] == "drop"
                && line["from"]["container"] == row.from
                && line["hop"]["container"] == row.at
                && line["hop"]["hook"].as_str() == row.hook
                && line["cause"].as_str() == row.cause
        };
        let is_told = text.lines().any(|line| line.contains(row.short));
        (!drops.iter().any(is_it) || !is_told)
            .then(|| format!("{}: status {} {}\n{text}{said}", row.seed, ran.status, ran.said))
    });
    let failed: Vec<String> = failed.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn a_working_network_shows_nothing_and_says_how_much_was_left_out() {
    need!(observers());
    let mut lab = lab();
    let ran = lab.run(
        "serve b tcp 80; watch quiet --json
        for i in 1 2 3; do plain a tcp:198.18.2.2:80 && plain a 198.18.2.2 && plain c 198.18.3.3 && plain a fd18:2::2 || echo broken; done
        bridge fdb flush dev vd 2>/dev/null; within c ping -nqc3 -i .2 198.18.3.3 >/dev/null
        sleep 1; unwatch quiet",
    );
    assert!(!ran.said.contains("broken"), "{}", ran.said);
    let (all, summary) = lines(&mut lab, "quiet");
    // Other labs are seen, too; their namespaces have no names here.
    let is_ours = |line: &serde_json::Value| {
        !line["hop"]["container"].as_str().is_some_and(|who| who.starts_with("net:["))
    };
    assert_eq!(count(&all, is_ours), 0, "{all:#?}");
    assert!(summary["normal_packets"].as_u64().unwrap() > 0, "{summary}");
}

#[test]
fn a_container_that_is_made_meanwhile_has_its_name() {
    need!(observers());
    let mut lab = lab();
    let ran = lab.run(
        "watch late --json; sleep .5
        ip netns add late; ip netns exec late ip link set lo up; cable late 9
        ip netns exec late iptables -A OUTPUT -p udp -j DROP
        throw late 1 198.18.2.2 99; throw late 1 198.18.2.2 99; until_said late 9.*99; sleep 1; unwatch late",
    );
    let (all, _) = lines(&mut lab, "late");
    let is_it = |line: &serde_json::Value| {
        line["from"]["container"] == "netns:late" && line["hop"]["hook"] == "output"
    };
    assert_eq!(count(&all, is_it), 2, "{}{all:#?}", ran.said);
}

#[test]
fn by_perf_the_reason_is_told_and_that_no_more_is_seen() {
    need!(observers());
    let mut lab = lab();
    lab.set_up("iptables -A FORWARD -p udp -j DROP").unwrap();
    lab.run(
        "watch perf --json --evidence perf; throw a 5 198.18.2.2 99; until_said perf NETFILTER_DROP; unwatch perf",
    );
    let (all, summary) = lines(&mut lab, "perf");
    let is_it = |line: &serde_json::Value| {
        line["reason"] == "NETFILTER_DROP" && line["function"].is_string() && line["hop"].is_null()
    };
    assert!(count(&all, is_it) >= 5, "{all:#?}");
    assert_eq!(summary["evidence"], "perf");
    assert!(summary["not_seen"].to_string().contains("neither packets nor namespaces"), "{summary}");
}

#[test]
fn after_a_sigkill_no_program_is_left() {
    need!(observers());
    let mut lab = lab();
    let count = counts_programs();
    let ran = lab.run(&format!(
        "watch killed
        programs=$(sed -n 's/^prog_id:[^0-9]*//p' /proc/$watch_killed/fdinfo/* 2>/dev/null | sort -u)
        {count}
        kill -KILL $watch_killed; wait $watch_killed
        for wait in $(seq 100); do [ $({count}) = 0 ] && break; sleep .1; done
        {count}"
    ));
    let lines: Vec<&str> = ran.said.lines().filter(|line| !line.contains("Killed")).collect();
    assert_eq!(lines, ["1", "0"], "{}", ran.said);
}

/// Events of perf belong to descriptors. What could stay is a setting of tracefs.
#[test]
fn after_a_sigkill_of_one_by_perf_nothing_is_left() {
    need!(observers());
    let mut lab = lab();
    let settings = "cd /sys/kernel/tracing && cat events/skb/kfree_skb/enable events/skb/kfree_skb/filter events/enable set_event | sort | uniq -c; ls instances; cd /";
    let before = lab.run(settings).said;
    let ran = lab.run(
        "watch killed --evidence perf
        ls -l /proc/$watch_killed/fd | grep -c perf_event
        kill -KILL $watch_killed; wait $watch_killed
        for wait in $(seq 100); do [ -d /proc/$watch_killed ] || break; sleep .1; done
        ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c perf_event",
    );
    let lines: Vec<&str> = ran.said.lines().filter(|line| !line.contains("Killed")).collect();
    let [held, left] = lines[..] else { panic!("{}", ran.said) };
    assert!(held.parse::<u32>().unwrap() > 0, "{}", ran.said);
    assert_eq!(left, "0", "{}", ran.said);
    assert_eq!(lab.run(settings).said, before);
}

#[test]
fn it_ends_after_its_time_and_of_a_target_that_is_none_at_once() {
    need!(observers());
    let mut lab = lab();
    let ran = lab.run("timeout 60 netns-trace --drops --for 200ms netns:a");
    assert_eq!(ran.status, 0, "{}", ran.said);
    assert!(ran.said.contains(" dropped packets in "), "{}", ran.said);
    let ran = lab.run("timeout 60 netns-trace --drops netns:nope");
    assert_eq!(ran.status, 1, "{}", ran.said);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (words, expected) in [
        (&["--for", "1s", "netns:a", "10.0.0.1"][..], "--drops"),
        (&["--drops", "--explain"], "cannot be used with"),
        (
            &["--drops", "--evidence", "state"],
            "--evidence: state alone does not say what is dropped: bpf or perf does",
        ),
        (
            &["--drops", "--evidence", "perf", "netns:a"],
            "--evidence: perf sees no containers: use it without a TARGET",
        ),
        (&["--drops", "--for", "5"], "300ms, 2s, 1m"),
    ] {
        let ran = Command::new(tools::tool("netns-trace")).args(words).run();
        ran.fails_with(2).stderr_has(expected);
    }
}
