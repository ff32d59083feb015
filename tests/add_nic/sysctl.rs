//! Settings of the container's network: set with the NIC, and put back with it.

use crate::{add_nic, everything, lab, plug};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::need;

/// What a setting is in the container, says its own `cat`.
#[track_caller]
fn setting(lab: &Lab, container: &Container, key: &str) -> String {
    let mut nsenter = lab.command("nsenter");
    nsenter.args(["--target", &container.pid.to_string(), "--net", "--", "cat"]);
    nsenter.arg(format!("/proc/sys/{key}")).run().ok().stdout.trim().to_owned()
}

#[track_caller]
fn set(lab: &Lab, container: &Container, key: &str, value: &str) {
    let script = format!("echo {value} >/proc/sys/{key}");
    let mut nsenter = lab.command("nsenter");
    nsenter.args(["--target", &container.pid.to_string(), "--net", "--", "sh", "-c", &script]).run().ok();
}

const FORWARDING: &str = "net/ipv4/ip_forward";
const TTL: &str = "net/ipv4/ip_default_ttl";

#[test]
fn settings_come_and_go_with_the_nic() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let before = everything(&lab, &[&web]);
    let ttl = setting(&lab, &web, TTL);
    let words = "10.1.0.2/24 --sysctl net.ipv4.conf.IF.rp_filter=2 --sysctl net.ipv4.ip_forward=1 --sysctl net/ipv4/ip_default_ttl=33";
    plug(&lab, &web, words).ok();
    assert_eq!(setting(&lab, &web, "net/ipv4/conf/eth0/rp_filter"), "2");
    assert_eq!(setting(&lab, &web, FORWARDING), "1");
    assert_eq!(setting(&lab, &web, TTL), "33");
    assert_eq!(lab.command("cat").arg("/proc/sys/net/ipv4/ip_forward").run().ok().text(), "0");
    plug(&lab, &web, words).ok().stdout_has(", unchanged");
    add_nic(&lab, &["--check"]).ok().stdout_is("");
    set(&lab, &web, "net/ipv4/conf/eth0/rp_filter", "0");
    add_nic(&lab, &["--check"]).fails_with(1).stdout_has("net/ipv4/conf/eth0/rp_filter is 0, not 2");
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    assert_eq!(everything(&lab, &[&web]), before);
    assert_eq!(setting(&lab, &web, TTL), ttl);
}

#[test]
fn what_somebody_has_changed_since_is_left_alone() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    plug(&lab, &web, "10.1.0.2/24 --sysctl net.ipv4.ip_default_ttl=33").ok();
    set(&lab, &web, TTL, "44");
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    assert_eq!(setting(&lab, &web, TTL), "44");
}

#[test]
fn what_several_nics_set_goes_with_the_last_of_them() {
    let lab = need!(lab());
    let [web, other] = ["web", "other"].map(|name| lab.container(name, Options::only(&["net"])));
    let before = everything(&lab, &[&web, &other]);
    let ttl = setting(&lab, &web, TTL);
    let sysctl = "--sysctl net.ipv4.ip_default_ttl=33 --sysctl net.ipv4.ip_forward=1";
    let pid = web.pid.to_string();
    for order in [["eth0", "eth1"], ["eth1", "eth0"]] {
        plug(&lab, &web, &format!("10.1.0.2/24 {sysctl}")).ok();
        plug(&lab, &web, &format!("10.2.0.2/24 {sysctl}")).ok();
        // The same setting of another container is another one.
        plug(&lab, &other, &format!("10.3.0.2/24 {sysctl}")).ok();
        let refused = plug(&lab, &web, "10.4.0.2/24 --sysctl net.ipv4.ip_default_ttl=34").fails_with(2);
        refused.stderr_has("already set to 33 for ").stderr_has("hint: add-nic --rm ");
        add_nic(&lab, &["--rm", &pid, order[0]]).ok();
        assert_eq!(setting(&lab, &web, TTL), "33");
        add_nic(&lab, &["--rm", &pid, order[1]]).ok();
        assert_eq!(setting(&lab, &web, TTL), ttl);
        assert_eq!(setting(&lab, &other, TTL), "33");
        add_nic(&lab, &["--rm", &other.pid.to_string()]).ok();
        assert_eq!(everything(&lab, &[&web, &other]), before);
    }
}

#[test]
fn what_cannot_be_set_is_refused_before_anything_is_touched() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let before = everything(&lab, &[&web]);
    let cases = [
        ("net.ipv4.ip_forward", "not KEY=VALUE"),
        ("kernel.core_pattern=x", "not a network setting: these begin with net."),
        ("net/../kernel/core_pattern=x", "not a valid setting name"),
        ("net.ipv4.no_such_thing=1", "net/ipv4/no_such_thing: cannot be read in the network of "),
        ("net.ipv4.conf.IF.no_such_thing=1", "cannot be read in the network of "),
        ("net.ipv4.conf.nope.rp_filter=1", "cannot be read in the network of "),
        ("net.ipv4.route.flush=1", "cannot be read in the network of "),
    ];
    for (setting, why) in cases {
        plug(&lab, &web, &format!("10.1.0.2/24 --sysctl {setting}")).fails_with(2).stderr_has(why);
        assert_eq!(everything(&lab, &[&web]), before);
    }
    let twice = "10.1.0.2/24 --sysctl net.ipv4.ip_forward=1 --sysctl net/ipv4/ip_forward=0";
    plug(&lab, &web, twice).fails_with(2).stderr_has("key given twice");
    // What the kernel does not take is seen only when it is told.
    plug(&lab, &web, "10.1.0.2/24 --sysctl net.ipv4.ip_default_ttl=999")
        .fails_with(2)
        .stderr_has("ip_default_ttl");
    assert_eq!(everything(&lab, &[&web]), before);
}

#[test]
fn settings_that_are_read_only_are_no_error_if_they_are_so_already() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let before = everything(&lab, &[&web]);
    lab.shell("mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys").run().ok();
    let refused = plug(&lab, &web, "10.1.0.2/24 --sysctl net.ipv4.ip_forward=1").fails_with(2);
    refused.stderr_has("net/ipv4/ip_forward: cannot be written in the network of ").stderr_has("Read-only");
    plug(&lab, &web, "10.1.0.2/24 --sysctl net.ipv4.conf.IF.rp_filter=2").fails_with(2);
    assert_eq!(everything(&lab, &[&web]), before);
    plug(&lab, &web, "10.1.0.2/24 --sysctl net.ipv4.ip_forward=0").ok();
}
