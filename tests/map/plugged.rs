//! Which link is plugged into which, on hosts where it is not easily told. What is expected is what the test has plugged.

use std::process::Stdio;

use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::{Missing, need};

use crate::seen::PrintedMap;

/// The inode of a container's network namespace.
#[track_caller]
pub fn inode(lab: &Lab, pid: i32) -> u64 {
    let shown = lab.namespace(pid, "net");
    shown.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

fn seen(lab: &Lab, containers: &[&Container]) -> PrintedMap {
    let mut names: Vec<(u64, &str)> =
        containers.iter().map(|one| (inode(lab, one.pid), one.name.as_str())).collect();
    names.push((inode(lab, 1), "host"));
    PrintedMap::of(lab, &names)
}

/// Whether this kernel has links of that kind.
fn kind(lab: &Lab, kind: &str) -> Result<(), Missing> {
    let made = lab.shell(&format!("ip link add probe0 type {kind}; ip link delete probe0")).run();
    let missing = || Missing::ForGood(format!("kernel lacks {kind}"));
    made.status.is_some_and(|status| status.success()).then_some(()).ok_or_else(missing)
}

#[test]
fn cables_to_the_host_with_equal_indices_everywhere_lead_each_to_its_own_end() {
    let lab = need!(Lab::new());
    let names = ["web", "db", "cache"];
    let containers = names.map(|name| lab.container(name, Options::default()));
    for container in &containers {
        let (name, pid) = (&container.name, container.pid);
        // All containers' ends have the index 77, and of one of them the host's end, too.
        let near = if name == "cache" { "index 77" } else { "" };
        lab.shell(&format!("ip link add h-{name} {near} type veth peer name eth0 index 77 netns {pid}"))
            .run()
            .ok();
    }
    let map = seen(&lab, &[&containers[0], &containers[1], &containers[2]]);
    let expected = [
        "cache eth0 → host h-cache",
        "db eth0 → host h-db",
        "host h-cache → cache eth0",
        "host h-db → db eth0",
        "host h-web → web eth0",
        "web eth0 → host h-web",
    ];
    assert_eq!(map.ends(), expected);
    assert_eq!(map.unseen, "");
}

#[test]
fn cables_between_containers_are_told_apart_though_all_indices_and_numbers_are_equal() {
    let lab = need!(Lab::new());
    let names = ["a", "b", "c", "d", "e", "f"];
    let containers = names.map(|name| lab.container(name, Options::default()));
    // Six containers, three cables: index 5 on each side, and each side knows the other by the number 0.
    for [near, far] in [[0, 3], [1, 4], [2, 5]] {
        let [near, far] = [near, far].map(|at: usize| containers[at].pid);
        lab.shell(&format!(
            "ip link add eth0 index 5 netns {near} type veth peer name eth0 index 5 netns {far}"
        ))
        .run()
        .ok();
    }
    // The same MAC too, on two of them.
    for container in [&containers[0], &containers[1], &containers[3], &containers[4]] {
        container.ip("link set eth0 address 02:00:00:00:00:07");
    }
    let map = seen(&lab, &containers.each_ref());
    let expected = [
        "a eth0 → d eth0",
        "b eth0 → e eth0",
        "c eth0 → f eth0",
        "d eth0 → a eth0",
        "e eth0 → b eth0",
        "f eth0 → c eth0",
    ];
    assert_eq!(map.ends(), expected);
}

#[test]
fn a_cable_inside_one_namespace_and_one_of_a_container_in_a_container_are_found() {
    let lab = need!(Lab::new());
    let [outer, inner] = ["outer", "inner"].map(|name| lab.container(name, Options::default()));
    lab.shell("ip link add left type veth peer name right").run().ok();
    lab.shell(&format!(
        "ip link add h-outer type veth peer name eth0 netns {0}
         nsenter -t {0} -n ip link add v-inner type veth
         nsenter -t {0} -n ip link set veth0 name eth0.in
         nsenter -t {0} -n ip link set eth0.in netns {1}",
        outer.pid, inner.pid
    ))
    .run()
    .ok();
    let map = seen(&lab, &[&outer, &inner]);
    let expected = [
        "host h-outer → outer eth0",
        "host left → host right",
        "host right → host left",
        "inner eth0.in → outer v-inner",
        "outer eth0 → host h-outer",
        "outer v-inner → inner eth0.in",
    ];
    assert_eq!(map.ends(), expected);
}

#[test]
fn links_that_stand_on_links_of_other_namespaces_lead_to_these() {
    let lab = need!(Lab::new());
    need!(kind(&lab, "vxlan id 7 dstport 4789"));
    let [web, db] = ["web", "db"].map(|name| lab.container(name, Options::default()));
    lab.shell(&format!(
        "ip link add nic0 type veth peer name eth0 netns {0}
         ip link add link nic0 name mv0 netns {1} type macvlan
         nsenter -t {0} -n ip link add link eth0 name mv1 netns {1} type macvlan
         ip link add vx0 type vxlan id 7 dstport 4789 dev nic0
         ip link set vx0 netns {1}
         ip link add vx1 type vxlan id 8 dstport 4789
         ip link set vx1 netns {1}",
        web.pid, db.pid
    ))
    .run()
    .ok();
    let map = seen(&lab, &[&web, &db]);
    let expected = [
        "db mv0 → host nic0",
        "db mv1 → web eth0",
        "db vx0 → host nic0",
        "host nic0 → web eth0",
        "web eth0 → host nic0",
    ];
    assert_eq!(map.ends(), expected);
}

#[test]
fn an_end_in_a_namespace_that_nobody_sees_is_said_to_be_unseen() {
    let lab = need!(Lab::new());
    // Held by a descriptor of a process only, and that not even by its name.
    let holder = lab
        .shell(
            "ip netns add gone; exec 9</run/netns/gone
         ip link add to-gone type veth peer name eth0 netns gone
         umount -l /run/netns/gone; rm /run/netns/gone; echo held; read -r _",
        )
        .start_with(Stdio::piped());
    holder.wait_for("held\n");
    let map = seen(&lab, &[]);
    assert_eq!(map.ends(), ["host to-gone → unseen"]);
}
