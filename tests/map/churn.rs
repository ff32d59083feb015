//! A host on which containers come and go while it is looked at: no line is wrong, and no peer is invented.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use support::container::Options;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::tier;

use crate::plugged::inode;
use crate::seen::PrintedMap;

/// Each container of the churn is on one cable, whose ends have the same name: `x17` there leads to `x17` here. Indices of the
/// containers' ends are all alike, inode numbers are used again and again, and processes, names and cables come and go.
const CHURN: &str = r#"
i=0
while :; do
    i=$((i + 1))
    for k in 1 2 3 4; do
        ip netns add n$k
        ip link add x$i.$k type veth peer name x$i.$k index 2 netns n$k
        ip netns exec n$k sleep 0.0$k &
    done
    [ $i = 3 ] && echo begun
    for k in 1 2 3 4; do ip netns del n$k; done
    wait
done
"#;

#[test]
fn no_peer_is_invented_and_no_line_is_wrong_while_containers_come_and_go() {
    let lab = need!(Lab::new());
    let steady = ["web", "db"].map(|name| lab.container(name, Options::default()));
    for (at, container) in steady.iter().enumerate() {
        let pid = container.pid;
        lab.shell(&format!("ip link add s{at} type veth peer name s{at} index 2 netns {pid}")).run().ok();
    }
    let names =
        [(inode(&lab, 1), "host"), (inode(&lab, steady[0].pid), "web"), (inode(&lab, steady[1].pid), "db")];
    let churn = lab.shell(CHURN).start();
    churn.wait_for("begun\n");
    let until = Instant::now() + Duration::from_secs(if tier::is_all() { 60 } else { 5 });
    let mut looks = 0;
    while Instant::now() < until || looks < 5 {
        let map = PrintedMap::looking(&lab, if looks % 2 == 0 { "quick" } else { "whole" }, &names);
        looks += 1;
        let ends = map.ends();
        for steady in ["web s0 → host s0", "db s1 → host s1", "host s0 → web s0", "host s1 → db s1"] {
            assert!(ends.iter().any(|end| end == steady), "no {steady}: {ends:#?}");
        }
        check(&map);
    }
    assert!(!churn.has_ended_within(Duration::ZERO), "{}", churn.so_far());
    println!("{looks} looks");
}

/// Ends have each other's names, and a process is in one namespace.
#[track_caller]
fn check(map: &PrintedMap) {
    for end in map.ends() {
        let (near, far) = end.split_once(" → ").unwrap();
        let name = |place: &str| place.split(' ').nth(1).map(str::to_owned);
        assert!(far == "unseen" || name(near) == name(far), "{end}");
    }
    let mut homes: BTreeMap<i64, &Value> = BTreeMap::new();
    for netns in &map.namespaces {
        for pid in netns["processes"].as_array().unwrap() {
            let before = homes.insert(pid.as_i64().unwrap(), &netns["inode"]);
            assert_eq!(before, None, "PID {pid} is in two");
        }
    }
}
