//! VLANs, as far as this kernel has any: `make kernels` proves on another one that they work.

use crate::{everything, lab, neighbour, plug};
use support::container::Options;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;

#[test]
fn what_makes_no_sense_is_refused() {
    let lab = need!(lab());
    let (_neighbour, web) = (neighbour(&lab), lab.container("web", Options::only(&["net"])));
    let before = everything(&lab, &[&web]);
    for (words, why) in [
        ("--vlan 5", "--vlan: not possible on a veth pair without a bridge\nhint: give --bridge BR, "),
        ("--vlan 0 --macvlan lan0", "must be 1 to 4094"),
        ("--vlan 4095 --macvlan lan0", "must be 1 to 4094"),
        ("--vlan five --macvlan lan0", "--vlan"),
        ("--vlan 5 --peer 1", "--vlan"),
        ("--vlan 5 --macvlan nope", "nope: no such interface on the host"),
        ("--vlan 5 --phys nope", "nope: no such interface on the host"),
        ("--vlan 5 --phys lo", "lo: a loopback interface cannot carry a vlan"),
        ("--vlan 1234 --macvlan a-long-name0", "PARENT.ID would be longer than 15 bytes"),
        (
            "--vlan 5 --bridge br0 --create --host-addr 10.1.0.1",
            "--host-addr: not possible with --vlan on a bridge",
        ),
    ] {
        let refused =
            plug(&lab, &web, &format!("10.1.0.2/24 {words}")).fails_with(2).stdout_is("").stderr_has(why);
        assert_eq!(refused.stderr.matches("add-nic: ").count(), 1, "{refused}");
        assert_eq!(everything(&lab, &[&web]), before, "{words}");
    }
}

/// Whether `ip` can do that here; what it made goes with the lab.
fn has(lab: &Lab, command: &str) -> bool {
    lab.shell(command).run().status.is_some_and(|status| status.success())
}

#[test]
fn a_kernel_without_them_is_told_in_one_line() {
    let lab = need!(lab());
    let (_neighbour, web) = (neighbour(&lab), lab.container("web", Options::only(&["net"])));
    lab.shell("ip link add br0 up type bridge").run().ok();
    let links = has(&lab, "ip link add link lan0 name lan0.7 type vlan id 7 && ip link del lan0.7");
    let filters = has(&lab, "ip link add br7 type bridge vlan_filtering 1 && ip link del br7");
    lab.shell("ip link del br7 2>/dev/null || true").run().ok();
    let before = everything(&lab, &[&web]);
    let links_lack = "the kernel has no vlan links (CONFIG_VLAN_8021Q)\n";
    let bridges_lack = "the kernel's bridges have no VLAN filtering (CONFIG_BRIDGE_VLAN_FILTERING)\n";
    for (words, is_there, why) in [
        ("--vlan 5 --macvlan lan0", links, links_lack),
        ("--vlan 5 --ipvlan lan0", links, links_lack),
        ("--vlan 5 --phys lan0", links, links_lack),
        ("--vlan 5 --bridge br5 --create", filters, bridges_lack),
        ("--vlan 5 --bridge br0", filters, bridges_lack),
    ] {
        if is_there {
            continue;
        }
        let refused =
            plug(&lab, &web, &format!("10.1.0.2/24 {words}")).fails_with(2).stdout_is("").stderr_has(why);
        assert_eq!(refused.stderr.lines().count(), 1, "{refused}");
        assert_eq!(everything(&lab, &[&web]), before, "{words}");
    }
}
