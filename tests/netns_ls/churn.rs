//! Containers that come and go while they are shown: each view ends, none panics, and what stays is shown as it is.

use std::time::{Duration, Instant};

use support::fake_docker;
use support::run::Run;
use support::skip::need;
use support::tier;

use crate::{Bridged, json};

/// Namespaces with a cable, a listener and a name, which live for a moment.
const CHURN: &str = r#"
i=0
while :; do
    i=$((i + 1))
    for k in 1 2 3; do
        ip netns add n$k
        ip link add c$i.$k type veth peer name eth0 netns n$k; ip link set c$i.$k master br0 up
        ip netns exec n$k perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Listen => 1, LocalPort => 70); sleep 1' &
        pids[$k]=$!
    done
    [ $i = 2 ] && echo begun
    for k in 1 2 3; do kill ${pids[$k]}; ip netns del n$k; done
    wait
done
"#;

const VIEWS: [&[&str]; 12] = [
    &["--json"],
    &["--all"],
    &["--tree"],
    &["--bridges"],
    &["--ports"],
    &["--sockets"],
    &["--routes", "--neigh", "--fdb", "--json"],
    &["--why", "--json"],
    &["--html"],
    &["--namespaces"],
    &["--path", "web", "db"],
    &["web"],
];

#[test]
fn every_view_ends_well_while_containers_come_and_go() {
    let bridged = need!(Bridged::new(&["web", "db"]));
    let [web, db] = bridged.containers.as_slice() else { panic!() };
    let _docker = fake_docker::knows(&[web, db]).listen(bridged.lab.path("/run/docker.sock"));
    let churn = bridged.lab.command("bash").args(["-c", CHURN]).start();
    churn.wait_for("begun\n");
    let until = Instant::now() + Duration::from_secs(if tier::is_all() { 60 } else { 4 });
    let mut rounds = 0;
    while Instant::now() < until || rounds == 0 {
        for options in VIEWS {
            let ran = bridged.lab.tool("netns-ls").args(["--engine-timeout=10s"]).args(options).run();
            let code = ran.status.and_then(|status| status.code());
            // Of what ended in between it may be said that it could not be read.
            assert!(matches!(code, Some(0..=2)) && !ran.stderr.contains("panicked"), "{options:?}: {ran}");
            if options.contains(&"--json") {
                json::is_valid(&ran.json());
            }
            let is_about_ports = ["--ports", "--sockets", "--why"].contains(&options[0]);
            assert!(is_about_ports || ran.stdout.contains("web"), "{options:?}: {ran}");
            if options[0] == "--all" {
                let of_web =
                    ran.stdout.lines().find(|line| line.starts_with("web ") && line.contains("eth0"));
                assert!(
                    of_web.is_some_and(|line| line.contains("→ veth-web") && line.contains("198.18.0.2/24")),
                    "{ran}"
                );
                // The two ends of a cable of theirs: `n1 eth0 → c17.1`, and no other namespace's.
                for line in ran.stdout.lines().filter(|line| line.starts_with("netns:n")) {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    let far = words.iter().position(|word| *word == "→").and_then(|at| words.get(at + 1));
                    let number = words[0].trim_start_matches("netns:n");
                    let is_own = far.is_none_or(|far| *far == "?" || far.ends_with(&format!(".{number}")));
                    assert!(is_own, "{line}: {ran}");
                }
            }
        }
        rounds += 1;
    }
    assert!(!churn.has_ended_within(Duration::ZERO), "{}", churn.so_far());
    println!("{rounds} rounds");
}
