//! What others change of a watch's NICs: it is repaired, and said.

use super::{FILE, WEB, container, engine, nics, wait_for_times, watch, write};
use crate::{add_nic, lab, reaches};
use support::run::Run;
use support::skip::{need, program};
use support::until::until;

/// Nothing differs any more.
#[track_caller]
fn is_repaired(lab: &support::lab::Lab) {
    until("--check finds nothing", || add_nic(lab, &["--check"]).status.unwrap().success());
}

#[test]
fn what_is_undone_is_done_again_without_any_news_of_containers() {
    let lab = need!(lab());
    let web = container(&lab, "web");
    let _engine = engine(&lab, &[&web]);
    write(&lab, &WEB.replace("addresses", "route = ['10.9.0.0/16@10.1.0.1']\naddresses"));
    let watch = watch(&lab, "");
    watch.wait_for("web: eth0 10.1.0.2/24");
    let mac = nics(&lab)[0]["mac"].clone();
    let changes = [
        ("ip link set web-eth0 down", "web-eth0 is down"),
        ("ip address flush dev web-eth0", "10.1.0.1/24 is not on web-eth0"),
        ("ip -n web address flush dev eth0", "10.1.0.2/24 is not on eth0"),
        ("ip -n web link set eth0 down", "eth0 is down"),
        ("ip -n web route del 10.9.0.0/16", "the route to 10.9.0.0/16 is gone"),
    ];
    lab.shell(&format!("mkdir -p /run/netns; ip netns attach web {}", web.pid)).run().ok();
    for (at, (change, said)) in changes.into_iter().enumerate() {
        // Others may be at work: only from the second time within a minute on the intervals grow, and it is said.
        lab.shell(change).run().ok();
        wait_for_times(&watch, ", repaired\n", at + 1);
        if at == 0 {
            watch.wait_for(&format!("add-nic: {FILE}:2: web: eth0: "));
            watch.wait_for(said);
        }
        is_repaired(&lab);
        reaches(&lab, "10.1.0.2");
        reaches(&lab, "fd00:1::2");
    }
    // It is the same NIC: nothing was removed.
    assert_eq!(nics(&lab)[0]["mac"], mac);
    let said = watch.so_far().stdout;
    assert_eq!(said.matches("changed again within a minute").count(), 1, "{said}");
    assert!(!said.contains("removed"), "{said}");
}

#[test]
fn rules_come_back_after_a_flush_of_the_ruleset() {
    let lab = need!(lab());
    need!(program("nft", "nftables"));
    let web = container(&lab, "web");
    let _engine = engine(&lab, &[&web]);
    write(&lab, &format!("{WEB}publish = ['8080:80']\n"));
    let watch = watch(&lab, "");
    watch.wait_for("web: eth0 10.1.0.2/24");
    let rules =
        || lab.command("nft").args(["-s", "list", "table", "inet", "netns-toolbox"]).run().ok().stdout;
    let before = rules();
    lab.command("nft").args(["flush", "ruleset"]).run().ok();
    watch.wait_for("in the nftables table netns-toolbox are gone");
    watch.wait_for(", repaired\n");
    is_repaired(&lab);
    assert_eq!(rules(), before);
}

#[test]
fn a_nic_that_was_renamed_inside_is_made_again() {
    let lab = need!(lab());
    let web = container(&lab, "web");
    let _engine = engine(&lab, &[&web]);
    write(&lab, WEB);
    let watch = watch(&lab, "");
    watch.wait_for("web: eth0 10.1.0.2/24");
    web.ip("link set eth0 down");
    web.ip("link set eth0 name lan0");
    watch.wait_for("eth0 was renamed to lan0");
    watch.wait_for(", replaced, reachable after");
    wait_for_times(&watch, "host end web-eth0 10.1.0.1/24", 2);
    is_repaired(&lab);
    reaches(&lab, "10.1.0.2");
}

#[test]
fn once_makes_it_so_and_is_1_where_it_may_not() {
    let lab = need!(lab());
    let (web, db) = (container(&lab, "web"), container(&lab, "db"));
    let _engine = engine(&lab, &[&web, &db]);
    let hand = "[[nic]]\ncontainer = 'db'\naddresses = '10.6.0.2/24'\n";
    write(&lab, &[WEB, hand].concat());
    add_nic(&lab, &["db", "10.6.0.2/24"]).ok();
    let once = ["--watch", FILE, "--once"];
    add_nic(&lab, &once).ok().stdout_has("web: eth0 10.1.0.2/24");
    lab.shell("ip link set web-eth0 down").run().ok();
    add_nic(&lab, &once).ok().stdout_has(", repaired\n").stderr_has("web-eth0 is down");
    add_nic(&lab, &once).ok().stdout_is("").stderr_is("");
    reaches(&lab, "10.1.0.2");
    // Nobody but the caller changes what was added by hand.
    lab.shell("ip link set db-eth0 down").run().ok();
    let said = add_nic(&lab, &once).fails_with(1).stdout_is("");
    said.stderr_has("db: eth0: db-eth0 is down").stderr_has("hint: add-nic --repair db eth0\n");
    add_nic(&lab, &["--repair", "db", "eth0"])
        .ok()
        .stdout_has("db: eth0 10.6.0.2/24")
        .stdout_has(", repaired\n");
    add_nic(&lab, &once).ok().stdout_is("").stderr_is("");
    reaches(&lab, "10.6.0.2");
}

#[test]
fn what_ties_rules_of_ipv6_to_a_link_comes_back_when_the_link_is_up_again() {
    let lab = need!(lab());
    need!(program("nft", "nftables"));
    let web = container(&lab, "web");
    let _engine = engine(&lab, &[&web]);
    write(&lab, &format!("{WEB}nat = 'all'\n"));
    let anchors = || lab.shell("ip -6 route show table local type anycast root 100::/64").run().ok().stdout;
    let watch = watch(&lab, "");
    watch.wait_for("web: eth0 10.1.0.2/24");
    let before = anchors();
    assert_eq!(before.lines().count(), 1, "{before}");
    lab.shell("ip link set web-eth0 down; ip link set web-eth0 up").run().ok();
    watch.wait_for("its firewall rules are void");
    watch.wait_for(", repaired\n");
    is_repaired(&lab);
    assert_eq!(anchors(), before);
    watch.signal_behind_nsenter(nix::sys::signal::Signal::SIGTERM);
    drop(watch.finish());
    // By hand.
    lab.shell("ip link set web-eth0 down; ip link set web-eth0 up").run().ok();
    add_nic(&lab, &["--check"]).fails_with(1).stdout_has("its firewall rules are void");
    add_nic(&lab, &["--repair", "web"]).ok().stdout_has(", repaired\n");
    add_nic(&lab, &["--check"]).ok();
    assert_eq!(anchors(), before);
    reaches(&lab, "fd00:1::2");
}

#[test]
fn nat_follows_a_default_route_that_flaps_and_the_nic_stays() {
    let lab = need!(lab());
    need!(program("nft", "nftables"));
    let web = container(&lab, "web");
    lab.shell("for up in up0 up1; do ip link add $up up type bridge; done; ip address add 203.0.113.1/24 dev up0; ip address add 198.51.100.1/24 dev up1
        ip route add default via 203.0.113.9").run().ok();
    let _engine = engine(&lab, &[&web]);
    write(&lab, "[[nic]]\ncontainer = 'web'\naddresses = '10.1.0.2/24'\ngateway = '10.1.0.1'\nnat = true\n");
    let watch = watch(&lab, "");
    watch.wait_for("web: eth0 10.1.0.2/24");
    let index = || web.ip("-j link show eth0").json()[0]["ifindex"].clone();
    let rules = || lab.shell("nft list table inet netns-toolbox").run().ok().stdout;
    let before = index();
    assert!(rules().contains("\"up0\""));
    // It moves: the rules follow, on the same link.
    lab.shell("ip route replace default via 198.51.100.9").run().ok();
    watch.wait_for("but the host's IPv4 default route uses up1 now");
    watch.wait_for(", changed in place");
    assert!(rules().contains("\"up1\"") && !rules().contains("\"up0\""), "{}", rules());
    is_repaired(&lab);
    // It is gone for a while: nothing is taken from the container.
    lab.shell("ip route del default").run().ok();
    watch.wait_for("--nat: the host has no default route");
    assert_eq!(index(), before);
    reaches(&lab, "10.1.0.2");
    lab.shell("ip route add default via 198.51.100.9").run().ok();
    is_repaired(&lab);
    for _ in 0..3 {
        lab.shell("ip route del default; ip route add default via 203.0.113.9").run().ok();
        lab.shell("ip route del default; ip route add default via 198.51.100.9").run().ok();
    }
    is_repaired(&lab);
    assert_eq!(index(), before);
    assert!(!watch.so_far().stdout.contains("removed"), "{}", watch.so_far());
}
