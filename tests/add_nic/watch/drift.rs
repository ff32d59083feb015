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
    watch.wait_for("web: eth0 10.1.0.2/24 fd00:1::2/64 removed\n");
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
