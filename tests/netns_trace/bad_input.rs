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
