//! What makes no sense, or has no way to follow: a right verdict, or one clear line. Observers: the command line itself, and the lab.

use std::process::Command;

use support::run::Run;
use support::skip::need;
use support::tools;

use crate::inside_lab::{InsideLab, observers};

#[test]
fn what_means_many_addresses_is_refused() {
    for dest in ["10.1.0.0/24", "10.1.0.5-10.1.0.9"] {
        let ran = Command::new(tools::tool("netns-trace")).args(["--explain", "pid:1", dest]).run();
        ran.fails_with(2).stderr_has("means many addresses");
    }
}

#[test]
fn a_word_that_is_missing_is_named() {
    let ran = Command::new(tools::tool("netns-trace")).arg("netns:a").run().fails_with(2);
    ran.stderr_has("a trace needs a TARGET and a DEST: where a packet comes from, and where it goes");
}

/// Each with what is said, in one line, and the exit status.
#[test]
fn what_has_no_way_to_follow_is_said_in_one_line() {
    need!(observers());
    let mut lab = InsideLab::new();
    for (words, expected, status) in [
        (
            "netns:a netns:a",
            "netns:a: has the network namespace of the TARGET itself: no packet leaves it",
            1,
        ),
        ("netns:a 198.18.1.2", "198.18.1.2: is an address of netns:a itself: no packet leaves it", 2),
        (
            "netns:a 198.18.1.255",
            "198.18.1.255: is an address of many: a packet to one host can be followed",
            2,
        ),
        ("netns:a 255.255.255.255", "255.255.255.255: is an address of many", 2),
        ("netns:a 224.0.0.1", "224.0.0.1: is an address of many", 2),
        ("netns:a 198.18.2.2 --from 198.18.9.9", "--from: 198.18.9.9 is no address of netns:a", 2),
        ("-6 netns:a 198.18.2.2", "198.18.2.2: is an IPv4 address, and the other family was asked for", 2),
        ("netns:nope 198.18.2.2", "nope", 1),
    ] {
        for explain in ["--explain", ""] {
            let ran = lab.run(&format!("timeout 20 netns-trace {explain} {words}"));
            assert_eq!(ran.status, status, "{explain} {words}: {}", ran.said);
            assert!(ran.said.contains(expected), "{explain} {words}: {}", ran.said);
            assert!(ran.said.lines().filter(|line| !line.starts_with("hint:")).count() == 1, "{}", ran.said);
        }
    }
}

#[test]
fn an_address_of_the_host_itself_is_reached_at_its_input_hook() {
    need!(observers());
    let mut lab = InsideLab::new();
    let ran = lab.run("timeout 20 netns-trace --explain netns:a 198.18.1.1");
    assert_eq!(
        (ran.said.as_str(), ran.status),
        ("netns:a eth0 → va\nback:  va → netns:a eth0\npasses: nothing found that stops it\n", 0)
    );
    lab.set_up("iptables -A INPUT -i va -p icmp -j DROP").unwrap();
    let ran = lab.run("timeout 20 netns-trace --explain netns:a 198.18.1.1");
    assert!(ran.said.contains("✗ host, input hook") && ran.status == 1, "{}", ran.said);
}

#[test]
fn a_container_on_the_hosts_network_is_traced_from_there() {
    need!(observers());
    let mut lab = InsideLab::new();
    let ran = lab.run("timeout 20 netns-trace --explain pid:$$ 198.18.2.2");
    assert_eq!(ran.status, 0, "{}", ran.said);
    assert!(ran.said.starts_with("vb → netns:b eth0\n"), "{}", ran.said);
}

#[test]
fn without_rights_it_is_said_which_are_missing() {
    need!(observers());
    let mut lab = InsideLab::new();
    lab.set_up("chmod 755 /run /run/netns").unwrap();
    let tool = "$(command -v netns-trace)";
    let ran = lab.run(&format!(
        "cp {tool} /run/netns-trace && chmod 755 /run/netns-trace && \
         setpriv --reuid 65534 --regid 65534 --clear-groups timeout 20 /run/netns-trace --explain netns:a 198.18.2.2"
    ));
    assert_eq!(ran.status, 2, "{}", ran.said);
    assert!(ran.said.contains("permi") || ran.said.contains("root"), "{}", ran.said);
}

/// A container that is a process alone: its network goes with it. It is ended before the trace, at several moments of it, and so is
/// the one that the packet goes to.
#[test]
fn a_container_that_ends_while_it_is_traced_gives_a_verdict_or_one_line() {
    need!(observers());
    let mut lab = InsideLab::new();
    lab.set_up(
        "born() {
            unshare -n sh -c 'echo $$ >/run/born; exec sleep 300' & for i in $(seq 100); do [ -s /run/born ] && break; sleep .02; done
            born=$(cat /run/born); rm /run/born
            ip link add vx up type veth peer name eth0 netns $born; ip addr add 198.18.7.1/24 dev vx
            nsenter --net=/proc/$born/ns/net sh -c 'ip link set lo up; ip link set eth0 up; ip addr add 198.18.7.2/24 dev eth0; ip route add default via 198.18.7.1'
        }
        ended() { kill -KILL $born; wait $born; for i in $(seq 100); do [ -d /sys/class/net/vx ] || break; sleep .02; done; } 2>/dev/null
        within b sysctl -qw net.ipv4.icmp_echo_ignore_all=1",
    )
    .unwrap();
    for words in
        ["pid:$born 198.18.2.2", "netns:a 198.18.7.2", "netns:a pid:$born", "--explain pid:$born 198.18.2.2"]
    {
        for pause in [".0", ".005", ".01", ".02", ".05", ".2"] {
            let ran = lab.run(&format!(
                "born; (sleep {pause}; kill -KILL $born) & timeout 20 netns-trace {words}; status=$?; wait $!; ended; (exit $status)"
            ));
            let said: Vec<&str> = ran.said.lines().filter(|line| !line.contains("Killed")).collect();
            assert!([0, 1, 2].contains(&ran.status), "{words} after {pause}: {} {}", ran.status, ran.said);
            let is_clear = !ran.said.contains("panicked")
                && said.iter().any(|line| {
                    ["works:", "cause:", "lost:", "unreachable:", "passes:", "netns-trace:", "cannot tell:"]
                        .iter()
                        .any(|word| line.starts_with(word))
                });
            assert!(is_clear, "{words} after {pause}: {} {}", ran.status, ran.said);
        }
    }
    let ran = lab.run("born; ended; timeout 20 netns-trace pid:$born 198.18.2.2");
    assert_eq!(ran.status, 1, "{}", ran.said);
}

/// The kernel's own description of its types is hidden; bpf(2) and then perf_event_open(2) are refused, as they are without
/// capabilities; a kernel before Linux 5.8 knows no rings.
#[test]
fn without_types_rings_or_rights_the_next_level_is_used_and_that_is_said() {
    need!(observers());
    need!(support::skip::program("strace", "strace"));
    let mut lab = InsideLab::new();
    lab.set_up("iptables -A FORWARD -p icmp -d 198.18.2.2 -m comment --comment 'policy 42' -j DROP").unwrap();
    let answered = |calls: &str, error: &str, when: &str| {
        format!("strace -qq -o /dev/null -e trace={calls} -e inject={calls}:error={error}:when={when}")
    };
    let refused = |calls: &str| answered(calls, "EPERM", "1+");
    // Before its own programs it asks for those of others, as often as there are interfaces.
    let counted = lab.run("strace -qq -e trace=bpf netns-trace netns:a 198.18.2.2 2>&1 | grep '^bpf(' | grep -n BPF_MAP_CREATE | cut -d: -f1");
    let ring: u32 = counted.said.trim().parse().unwrap_or_else(|err| panic!("{err}: {}", counted.said));
    let hidden = "unshare -m sh -c 'mount -t tmpfs none /sys/kernel/btf; exec \"$0\" \"$@\"'".to_owned();
    for (within, used, said) in [
        (
            hidden,
            "perf",
            "BPF could not be used (this kernel has no description of its own types (needs Linux 5.4, built with CONFIG_DEBUG_INFO_BTF))",
        ),
        (
            answered("bpf", "EINVAL", &ring.to_string()),
            "perf",
            "BPF could not be used (this kernel has no ring buffers of BPF (needs Linux 5.8))",
        ),
        // The ring, a program, and its tracepoint: one that has no reason to read.
        (
            answered("bpf", "EINVAL", &(ring + 2).to_string()),
            "bpf",
            "this kernel does not say why it drops a packet (needs Linux 5.17)",
        ),
        (refused("bpf"), "perf", "BPF could not be used ("),
        (refused("bpf,perf_event_open"), "netfilter", "perf could not be used ("),
    ] {
        let ran = lab.run(&format!("timeout 60 {within} netns-trace --json netns:a 198.18.2.2"));
        let last = ran.said.lines().last().unwrap_or_default();
        let report: serde_json::Value =
            serde_json::from_str(last).unwrap_or_else(|err| panic!("{within}: {err}: {}", ran.said));
        assert_eq!(
            (&report["verdict"], &report["cause"]),
            (&"lost".into(), &"filter-drop".into()),
            "{report}"
        );
        assert_eq!(report["evidence"][0], used, "{within}: {report}");
        assert!(report["not_seen"].to_string().contains(said), "{within}: {report}");
        assert!(report["rule"].as_str().unwrap().contains("policy 42"), "{report}");
        assert!(report["fix"][0].as_str().unwrap().starts_with("iptables -D FORWARD "), "{report}");
    }
    // Asked for by name, it is not replaced.
    let ran =
        lab.run(&format!("timeout 60 {} netns-trace --evidence bpf netns:a 198.18.2.2", refused("bpf")));
    assert!(ran.said.contains("BPF could not be used ("), "{}", ran.said);
    let ran =
        lab.run(&format!("timeout 60 {} netns-trace --drops --for 100ms", refused("bpf,perf_event_open")));
    assert_eq!(ran.status, 2, "{}", ran.said);
    assert!(ran.said.contains("what is dropped cannot be watched: "), "{}", ran.said);
}
