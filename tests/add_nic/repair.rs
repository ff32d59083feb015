//! `--repair`: a NIC is as it was added, whatever others changed; what cannot be repaired is said. Observer: `--check`, and pings.

use crate::{add_nic, lab, reaches};
use support::container::Options;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;

#[track_caller]
fn two(lab: &Lab) -> support::container::Container {
    let web = lab.container("web", Options::only(&["net"]));
    lab.shell(&format!("mkdir -p /run/netns; ip netns attach web {}", web.pid)).run().ok();
    add_nic(lab, &["netns:web", "10.1.0.2/24"]).ok();
    add_nic(lab, &["netns:web", "10.2.0.2/24", "--bridge", "br1", "--create"]).ok();
    web
}

#[test]
fn one_or_all_nics_are_as_they_were_added() {
    let lab = need!(lab());
    let _web = two(&lab);
    let damage = "ip -n web address flush dev eth0; ip -n web link set eth1 down; ip address flush dev br1";
    lab.shell(damage).run().ok();
    add_nic(&lab, &["--check"]).fails_with(1);
    let one = add_nic(&lab, &["--repair", "netns:web", "eth1"]).ok();
    let one = one.stdout_has("netns:web: eth1 10.2.0.2/24, on br1").stdout_has(", repaired\n");
    one.stderr_has("add-nic: netns:web: eth1: ").stderr_has("10.2.0.1/24 is not on br1");
    reaches(&lab, "10.2.0.2");
    add_nic(&lab, &["--check"]).fails_with(1).stdout_has("eth0");
    add_nic(&lab, &["--repair", "netns:web"]).ok().stdout_has("eth0 10.1.0.2/24").stdout_has(", unchanged\n");
    reaches(&lab, "10.1.0.2");
    add_nic(&lab, &["--check"]).ok();
    add_nic(&lab, &["--rm", "netns:web"]).ok();
    lab.command("ip").args(["link", "show", "br1"]).run().fails_with(1);
}

#[test]
fn what_cannot_be_repaired_is_said_and_stays_as_it_is() {
    let lab = need!(lab());
    let _web = two(&lab);
    lab.shell("ip -n web link set eth0 name lan0").run().ok();
    // Its addresses are on it, whatever it is called.
    let check = add_nic(&lab, &["--check"]).fails_with(1).stdout_has("eth0 was renamed to lan0");
    assert!(!check.stdout.contains("is not on"), "{check}");
    let refused = add_nic(&lab, &["--repair", "netns:web", "10.1.0.2"]).fails_with(1).stdout_is("");
    let refused = refused.stderr_has("eth0 was renamed to lan0").stderr_has("cannot be repaired in place");
    refused.stderr_has("hint: add-nic --rm netns:web eth0\n");
    // Neither the look-alike nor the real one was touched.
    lab.shell("ip -n web address show lan0").run().ok().stdout_has("10.1.0.2/24");
    add_nic(&lab, &["--repair", "netns:web", "eth7"]).fails_with(1).stderr_has("no such NIC of add-nic");
    lab.shell("ip netns add bare").run().ok();
    add_nic(&lab, &["--repair", "netns:bare"]).fails_with(1).stderr_has("no NIC of add-nic");
}
