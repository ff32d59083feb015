//! What is watched while a packet is under way: each level says what it has seen, undisturbed by others, and nothing of it is left.
//! Observers: `nft list tables`, and bpf(2) asked by perl for the programs that `/proc/PID/fdinfo` tells of.

use support::lab::Lab;
use support::run::Run;
use support::skip::need;

use crate::inside_lab::{InsideLab, in_time, observers};

/// bpf(2), enum bpf_cmd: BPF_PROG_GET_FD_BY_ID.
const GET_FD_BY_ID: u32 = 13;

/// A script that counts those of the programs in `$programs`, their IDs, that the kernel still has.
pub fn counts_programs() -> String {
    let call = format!("syscall({}, {GET_FD_BY_ID}, $id = pack('LLL', $_, 0, 0), 12)", nix::libc::SYS_bpf);
    format!("perl -e 'print scalar(grep {{ {} >= 0 }} @ARGV), \"\\n\"' $programs", call.replace('\'', "\""))
}

/// Runs it with these words; its report.
#[track_caller]
pub fn traced(lab: &mut InsideLab, words: &str) -> serde_json::Value {
    let ran = lab.run(&format!("{} netns-trace --json {words}", in_time()));
    let last = ran.said.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|err| panic!("{words}: {err}: {}", ran.said))
}

fn passed(report: &serde_json::Value, of_answer: bool) -> Vec<String> {
    let hops = report["hops"].as_array().unwrap();
    let of_it = hops.iter().filter(|hop| hop["is_answer"] == of_answer && !hop["us"].is_null());
    of_it
        .map(|hop| {
            format!("{} {}", hop["container"].as_str().unwrap(), hop["ifname"].as_str().unwrap_or("-"))
        })
        .collect()
}

#[test]
fn the_probe_is_seen_at_each_hop_of_a_router_and_of_a_bridge_with_its_time() {
    need!(observers());
    let mut lab = InsideLab::new();
    for dest in ["198.18.2.2", "fd18:2::2"] {
        let report = traced(&mut lab, &format!("netns:a {dest}"));
        assert_eq!(report["verdict"], "works", "{report}");
        assert!(report["evidence"].as_array().unwrap().contains(&"bpf".into()), "{report}");
        assert_eq!(passed(&report, false), ["netns:a eth0", "host va", "host vb", "netns:b eth0"]);
        assert_eq!(passed(&report, true), ["netns:b eth0", "host vb", "host va", "netns:a eth0"]);
        let times: Vec<u64> =
            report["hops"].as_array().unwrap().iter().filter_map(|hop| hop["us"].as_u64()).collect();
        assert!(times.len() == 8 && times.is_sorted(), "{times:?}");
    }
    let report = traced(&mut lab, "netns:c 198.18.3.3");
    assert_eq!(report["verdict"], "works", "{report}");
    let passed = passed(&report, false);
    for hop in ["netns:c eth0", "host vc", "host vd", "netns:d eth0"] {
        assert!(passed.contains(&hop.to_owned()), "{hop}: {passed:?}");
    }
}

#[test]
fn every_level_alone_says_what_it_is_and_what_it_does_not_see() {
    need!(observers());
    let mut lab = InsideLab::new();
    for probe in ["198.18.2.2", "fd18:2::2"] {
        let report = traced(&mut lab, &format!("--evidence perf netns:a {probe}"));
        assert_eq!(report["verdict"], "works", "{report}");
        assert_eq!(
            passed(&report, false),
            ["netns:a eth0", "host va", "host vb", "netns:b eth0"],
            "{report}"
        );
        assert_eq!(passed(&report, true), ["netns:b eth0", "host vb", "host va", "netns:a eth0"], "{report}");
    }
    lab.set_up("iptables -A FORWARD -p icmp -d 198.18.2.2 -m comment --comment 'policy 42' -j DROP").unwrap();
    for (level, evidence) in
        [("bpf", vec!["bpf", "netfilter", "state"]), ("perf", vec!["perf", "netfilter", "state"])]
    {
        let report = traced(&mut lab, &format!("--evidence {level} netns:a 198.18.2.2"));
        assert_eq!(
            (&report["verdict"], &report["cause"]),
            (&"lost".into(), &"filter-drop".into()),
            "{report}"
        );
        assert_eq!(report["evidence"], serde_json::json!(evidence));
        assert_eq!(report["hop"]["hook"], "forward");
        assert!(report["rule"].as_str().unwrap().contains("policy 42"), "{report}");
        assert_eq!(report["not_seen"].as_array().unwrap().is_empty(), level == "bpf", "{report}");
    }
    let report = traced(&mut lab, "--evidence state netns:a 198.18.2.2");
    assert_eq!(report["evidence"], serde_json::json!(["state"]));
    assert_eq!(report["cause"], "filter-drop", "{report}");
    assert!(!report["not_seen"].as_array().unwrap().is_empty(), "{report}");
}

#[test]
fn after_a_sigkill_in_the_middle_nothing_is_left() {
    need!(observers());
    let mut lab = InsideLab::new();
    // The probe is not answered, and not dropped, so the tool waits as long as it does at most.
    lab.set_up(
        "iptables -A INPUT -p icmp -j ACCEPT; ip netns exec b iptables -A INPUT -p icmp -j ACCEPT
        ip netns exec b sysctl -qw net.ipv4.icmp_echo_ignore_all=1",
    )
    .unwrap();
    let count = counts_programs();
    // It is stopped as soon as its tables are seen; on a busy machine it can have ended before, and another one is started.
    let ran = lab.run(&format!(
        "for attempt in $(seq 20); do
            netns-trace --evidence bpf netns:a 198.18.2.2 >/dev/null & traced=$!
            until ip netns exec b nft list tables | grep -q netns-trace; do [ -d /proc/$traced ] || break; done
            kill -STOP $traced 2>/dev/null
            programs=$(sed -n 's/^prog_id:[^0-9]*//p' /proc/$traced/fdinfo/* 2>/dev/null | sort -u)
            [ $(echo $programs | wc -w) = 3 ] && nft list tables | grep -q netns-trace-$traced && break
            kill -CONT $traced 2>/dev/null; wait $traced
        done
        nft list tables | grep -c netns-trace; ip netns exec b nft list tables | grep -c netns-trace
        {count}
        kill -KILL $traced; wait $traced; echo killed by $(($? - 128))
        {{ nft list tables; ip netns exec b nft list tables; ip netns exec a nft list tables; }} | grep -c netns-trace
        # The kernel frees a program when nobody runs it any more.
        for wait in $(seq 100); do [ $({count}) = 0 ] && break; sleep .1; done
        {count}"
    ));
    let lines: Vec<&str> = ran.said.lines().filter(|line| !line.contains("Killed")).collect();
    assert_eq!(lines, ["1", "1", "3", "killed by 9", "0", "0"], "{}", ran.said);
}

#[test]
fn a_rule_of_a_bridge_and_a_rule_of_ip6tables_are_named() {
    need!(observers());
    let mut lab = InsideLab::new();
    lab.set_up("ip6tables -A FORWARD -p icmpv6 --icmpv6-type echo-request -d fd18:2::2 -j DROP").unwrap();
    let report = traced(&mut lab, "netns:a fd18:2::2");
    assert_eq!(report["cause"], "filter-drop", "{report}");
    assert!(report["fix"][0].as_str().unwrap().starts_with("ip6tables -D FORWARD "), "{report}");
    lab.set_up("nft 'add table bridge q; add chain bridge q f { type filter hook forward priority 0; }'")
        .unwrap();
    lab.set_up("nft add rule bridge q f ip protocol icmp counter drop").unwrap();
    let report = traced(&mut lab, "netns:c 198.18.3.3");
    assert_eq!(report["cause"], "filter-drop", "{report}");
    let fix = report["fix"][0].as_str().unwrap().to_owned();
    assert!(fix.starts_with("nft delete rule bridge q f handle "), "{report}");
    assert_eq!(lab.paste(&fix).status, 0);
    assert_eq!(traced(&mut lab, "netns:c 198.18.3.3")["verdict"], "works");
}

/// Which packets a random number drops is not known from the rules.
#[test]
fn of_rules_that_may_have_dropped_it_the_one_that_counted_it_did() {
    need!(observers());
    let mut lab = InsideLab::new();
    let rule = |name: &str, share: &str| {
        format!(
            "iptables -A FORWARD -d 198.18.2.2 -m statistic --mode random --probability {share} -m comment --comment {name} -j DROP"
        )
    };
    lab.set_up(&format!("{}; {}; {}", rule("never", "0.0"), rule("always", "1.0"), rule("later", "1.0")))
        .unwrap();
    let report = traced(&mut lab, "--evidence state netns:a 198.18.2.2");
    assert_eq!((&report["verdict"], &report["cause"]), (&"lost".into(), &"filter-drop".into()), "{report}");
    let text = report["text"].as_str().unwrap();
    assert!(text.contains("--comment always") && text.ends_with("(its counter rose meanwhile)"), "{report}");
    let fix = report["fix"][0].as_str().unwrap();
    assert!(fix.starts_with("iptables -D FORWARD ") && fix.contains("always"), "{report}");
    // Of rules that have not counted none did: it was lost elsewhere.
    lab.set_up("iptables -F FORWARD; ip netns exec b sysctl -qw net.ipv4.conf.all.rp_filter=0").unwrap();
    lab.set_up(&format!(
        "{}; chains b; within b nft add rule inet q i ip protocol icmp ct count over 0 drop",
        rule("never", "0.0")
    ))
    .unwrap();
    let report = traced(&mut lab, "--evidence state netns:a 198.18.2.2");
    assert_eq!(report["hop"]["container"], "netns:b", "{report}");
}

/// Two traces, `perf record` and `nft monitor trace` at once: each sees its own.
#[test]
fn traces_do_not_disturb_each_other_nor_those_of_other_programs() {
    need!(observers());
    need!(support::skip::program("perf", "linux-perf"));
    let mut lab = InsideLab::new();
    lab.set_up(
        "iptables -A FORWARD -p icmp -d 198.18.2.2 -m comment --comment first -j DROP
        iptables -A FORWARD -p tcp -d 198.18.5.2 -m comment --comment second -j DROP
        nft 'add table ip u; add chain ip u p { type filter hook prerouting priority -400; }; add rule ip u p ip protocol icmp meta nftrace set 1'
        stdbuf -oL nft monitor trace >/run/monitor & monitor=$!
        perf record -q -a -e skb:kfree_skb -o /run/perf.data >/run/perf.said 2>&1 & perf=$!
        for i in $(seq 100); do [ -s /run/perf.data ] && break; sleep .1; done",
    )
    .unwrap();
    let ran = lab.run(
        "for i in 1 2 3; do
            netns-trace --json netns:a 198.18.2.2 >/run/one.$i & one=$!
            netns-trace --json netns:c tcp:198.18.5.2:80 >/run/two.$i & two=$!
            wait $one $two
        done
        plain a 198.18.2.2; sleep .3; kill -INT $perf; wait $perf; kill $monitor
        nft list tables | grep -c netns-trace
        perf script -i /run/perf.data 2>/dev/null | grep -c NETFILTER_DROP
        perf report -i /run/perf.data --stats 2>/dev/null | grep -c 'LOST events: *[1-9]'
        grep -c 'ip filter FORWARD rule' /run/monitor; nft list chain ip u p | grep -c nftrace",
    );
    let lines: Vec<&str> = ran.said.lines().rev().take(5).collect();
    let counts: Vec<u32> = lines.iter().rev().map(|line| line.parse().unwrap_or(u32::MAX)).collect();
    let [tables, drops, lost, told, rule] = counts[..] else { panic!("{}", ran.said) };
    assert_eq!((tables, lost, rule), (0, 0, 1), "{}", ran.said);
    // Three probes, and the SYNs of three others, with those that were sent again.
    assert!(drops >= 7 && told >= 4, "perf saw {drops} drops, nft {told}: {}", ran.said);
    for (name, comment, passed_by) in [("one", "first", "va"), ("two", "second", "br0")] {
        for round in 1..=3 {
            let said = lab.run(&format!("cat /run/{name}.{round}")).said;
            let report: serde_json::Value = serde_json::from_str(said.trim()).unwrap();
            assert!(report["rule"].as_str().unwrap_or_default().contains(comment), "{report}");
            let passed = passed(&report, false);
            assert!(passed.contains(&format!("host {passed_by}")), "{report}");
            assert!(
                !passed.iter().any(|hop| hop.starts_with("netns:") && !hop.ends_with("eth0")),
                "{report}"
            );
        }
    }
}

/// bpf(2), enum bpf_cmd: BPF_ENABLE_STATS, as long as its descriptor is open.
const ENABLE_STATS: u32 = 32;

/// By the kernel's own statistics; the best of several rounds, for this machine may be busy.
#[test]
fn another_packet_costs_no_more_than_a_hundred_nanoseconds() {
    need!(observers());
    let mut lab = InsideLab::new();
    let stats = format!(
        "\\$kind = pack('L', 0); syscall({}, {ENABLE_STATS}, \\$kind, 4) >= 0 or die",
        nix::libc::SYS_bpf
    );
    lab.set_up(&format!(
        "within b sysctl -qw net.ipv4.icmp_echo_ignore_all=1
        perl -e \"{stats}; \\$| = 1; print 1; sleep 120\" >/run/stats & for i in $(seq 100); do [ -s /run/stats ] && break; sleep .1; done
        [ -s /run/stats ]"
    ))
    .unwrap();
    let mut least = f64::INFINITY;
    for _ in 0..10 {
        let ran = lab.run(
            "programs() { # Three, and the links that attach them. It starts no program itself: the trace ends soon.
                local file key value; n=0
                for file in /proc/$traced/fdinfo/*; do while read -r key value; do [ \"$key\" = prog_id: ] && n=$((n + 1)); done <$file; done
                [ $n = 6 ]
            } 2>/dev/null
            for attempt in $(seq 20); do
                netns-trace netns:a 198.18.2.2 >/dev/null & traced=$!
                until programs || [ ! -d /proc/$traced ]; do :; done
                kill -STOP $traced 2>/dev/null && programs && break
                kill -CONT $traced 2>/dev/null; wait $traced
            done
            cost() { cat $(grep -l prog_id /proc/$traced/fdinfo/*) | awk '/^run_time_ns/ { ns += $2 } /^run_cnt/ { n += $2 } END { print ns, n }'; }
            before=$(cost); within c ping -qfc 20000 198.18.3.3 >/dev/null; after=$(cost)
            echo $before $after; kill -CONT $traced; wait $traced",
        );
        let numbers: Vec<f64> = ran.said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [ns_before, before, ns_after, after] = numbers[..] else { panic!("{}", ran.said) };
        assert!(after - before > 50_000.0, "the programs did not run: {}", ran.said);
        least = least.min((ns_after - ns_before) / (after - before));
        if least <= 100.0 {
            break;
        }
    }
    println!("run time of a program of ours per packet of others: {least:.0} ns");
    assert!(least <= 100.0, "{least} ns");
}

/// Root of a user namespace may look into its own networks, and not into the kernel.
#[test]
fn without_the_right_to_bpf_and_perf_both_are_said_and_the_rest_is_used() {
    let lab = need!(Lab::new());
    lab.shell(
        "mkdir -p /run/netns; ip netns add a; ip link add va up type veth peer name eth0 netns a
        ip addr add 198.18.1.1/24 dev va; ip -n a link set eth0 up; ip -n a addr add 198.18.1.2/24 dev eth0",
    )
    .run()
    .ok();
    let ran = lab.tool("netns-trace").args(["--json", "netns:a", "198.18.1.1"]).run().ok();
    let report: serde_json::Value = serde_json::from_str(ran.stdout.trim()).unwrap();
    assert_eq!((&report["verdict"], &report["evidence"]), (&"works".into(), &serde_json::json!(["state"])));
    let not_seen = report["not_seen"].to_string();
    assert!(
        not_seen.contains("BPF could not be used") && not_seen.contains("perf could not be used"),
        "{report}"
    );
}
