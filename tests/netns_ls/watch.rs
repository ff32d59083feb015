//! `--watch`: a line for each change, and an interrupt is its normal end.

use nix::sys::signal::Signal;
use support::fake_docker;
use support::run::Run;
use support::skip::{need, program};

use crate::Bridged;

#[test]
fn changes_are_printed_as_they_happen_and_an_interrupt_is_success() {
    let bridged = need!(Bridged::new(&["web"]));
    let web = &bridged.containers[0];
    let _docker = fake_docker::knows(&[web]).listen(bridged.lab.path("/run/docker.sock"));
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let watch = bridged.lab.tool("netns-ls").arg("--watch").start();
        watch.wait_for_stderr("netns-ls: watching ");
        web.ip("address add 10.1.0.2/24 dev eth0");
        watch.wait_for("web: eth0 10.1.0.2/24 added\n");
        web.ip("link set eth0 mtu 1400");
        watch.wait_for("web: eth0 MTU 1400 (was 1500)\n");
        bridged.lab.shell("ip link add br1 type bridge").run().ok();
        watch.wait_for("host: br1 added, bridge\n");
        // It sends no event: no interface of the host leads there.
        bridged.lab.shell("ip netns add blue").run().ok();
        watch.wait_for("netns:blue: network namespace ");
        web.ip("address del 10.1.0.2/24 dev eth0");
        watch.wait_for("web: eth0 10.1.0.2/24 removed\n");
        bridged.lab.shell("ip netns del blue; ip link del br1").run().ok();
        web.ip("link set eth0 mtu 1500");
        watch.wait_for("host: br1 removed\n");
        watch.wait_for("web: eth0 MTU 1500 (was 1400)\n");
        watch.signal_behind_nsenter(signal);
        watch.finish().ok();
    }
}

#[test]
fn as_json_each_change_is_an_object_on_its_line() {
    let bridged = need!(Bridged::new(&["web"]));
    let web = &bridged.containers[0];
    let watch = bridged.lab.tool("netns-ls").args(["--watch", "--json"]).start();
    watch.wait_for_stderr("watching");
    web.ip("address add 10.1.0.2/24 dev eth0");
    let line: serde_json::Value = serde_json::from_str(&watch.first_line().unwrap()).unwrap();
    assert_eq!(line["change"], "added");
    assert_eq!(line["field"], "address");
    assert_eq!(line["value"], "10.1.0.2/24");
    assert_eq!(line["ifname"], "eth0");
    watch.signal_behind_nsenter(Signal::SIGINT);
    watch.finish().ok();
}

#[test]
fn a_look_that_fails_is_said_once_and_the_next_one_goes_on() {
    let prlimit = need!(program("prlimit", "util-linux"));
    let bridged = need!(Bridged::new(&["web"]));
    let web = &bridged.containers[0];
    let _docker = fake_docker::knows(&[web]).listen(bridged.lab.path("/run/docker.sock"));
    let watch = bridged.lab.tool("netns-ls").arg("--watch").start();
    watch.wait_for_stderr("netns-ls: watching ");
    let pid = watch.pid_behind_nsenter().to_string();
    let descriptors = |most: &str| {
        std::process::Command::new(&prlimit).args(["--pid", &pid, &format!("--nofile={most}:")]).run().ok();
    };
    // It may open nothing more.
    descriptors("3");
    web.ip("address add 10.1.0.2/24 dev eth0");
    watch.wait_for_stderr("Too many open files");
    web.ip("address add 10.1.0.3/24 dev eth0");
    descriptors("1024");
    watch.wait_for("web: eth0 10.1.0.3/24 added\n");
    let said = watch.so_far().stderr;
    let about: Vec<&str> = said.lines().filter(|line| line.contains("Too many open files")).collect();
    let once: std::collections::BTreeSet<&str> = about.iter().copied().collect();
    assert_eq!(about.len(), once.len(), "{said}");
    watch.signal_behind_nsenter(Signal::SIGINT);
    watch.finish().ok();
}
