//! What a user may type, and what is refused: with one clear error, and nothing left.

use crate::{add_nic, everything, plug};
use support::container::Options;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;

#[test]
fn what_makes_no_sense_is_one_clear_error_and_leaves_nothing() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::only(&["net"]));
    lab.shell(&format!("ip link add taken type veth peer name eth0 netns {}", web.pid)).run().ok();
    lab.shell("ip address add 10.50.0.1/24 dev taken; ip link set taken up").run().ok();
    web.ip("address add 10.60.0.1/24 dev eth0");
    web.ip("link set eth0 up");
    let before = everything(&lab, &[&web]);
    let cases = [
        ("10.1.0.2", "10.1.0.2 has no prefix length, as in 10.1.0.2/24"),
        ("10.1.0.999/24", "is not an IP address"),
        ("10.1.0.2/33", "'33' is not a prefix length: 0 to 32"),
        ("10.1.0.2/0", "prefix length 0 is not allowed"),
        ("10.1.0.2/", "'' is not a prefix length"),
        ("10.1.0.2/-1", "'-1' is not a prefix length"),
        ("10.1.0.2/024", "'024' is not a prefix length"),
        ("10.1.0.2/24/24", "'24/24' is not a prefix length"),
        ("10.1.0.2/255.255.255.0", "'255.255.255.0' is not a prefix length"),
        ("010.1.0.2/24", "'010.1.0.2' is not an IP address"),
        ("10.1.2/24", "'10.1.2' is not an IP address"),
        ("/24", "'' is not an IP address"),
        ("fd00:1::2/129", "'129' is not a prefix length: 0 to 128"),
        ("fd00:1::2%eth0/64", "is not an IP address"),
        ("255.255.255.255/32", "reserved address"),
        ("240.0.0.1/24", "reserved address"),
        ("10.1.0.0/24", "10.1.0.0/24: network address, not a host address"),
        ("10.1.0.255/24", "10.1.0.255/24: broadcast address of its network"),
        ("fd00:1::/64", "subnet-router anycast address"),
        ("127.0.0.2/8", "loopback address"),
        ("224.0.0.1/24", "multicast address"),
        ("0.0.0.0/24", "the unspecified address"),
        ("fe80::1/64", "link-local address"),
        ("::ffff:10.1.0.2/120", "IPv4-mapped IPv6 address"),
        ("10.1.0.2/24 10.1.0.2/24", "10.1.0.2: given twice"),
        ("10.1.0.2/32", "10.1.0.2/32: a network of one address has none left"),
        ("10.50.0.1/24", "10.50.0.1: already the address of taken on the host"),
        ("10.50.0.7/24", "10.50.0.0/24: already on the host's taken"),
        ("10.60.0.1/24", "10.60.0.1: already the address of eth0 in pid:"),
        ("10.60.0.2/24", "10.60.0.0/24: already on eth0 in pid:"),
        ("10.1.0.2/24 --name eth0", "eth0: name already in use in pid:"),
        ("10.1.0.2/24 --host-name taken", "taken: name already in use on the host"),
        ("10.1.0.2/24 --name sixteen-letters-", "that has 1 to 15 bytes"),
        ("10.1.0.2/24 --name a/b", "'/' cannot be in an interface's name"),
        ("10.1.0.2/24 --name eth%d", "'%' cannot be in an interface's name"),
        ("10.1.0.2/24 --name lo", "lo: name already in use in pid:"),
        ("10.1.0.2/24 --name ..", "'..' cannot be a name"),
        ("10.1.0.2/24 --name all", "'all' cannot be a name"),
        ("10.1.0.2/24 --host-name default", "'default' cannot be a name"),
        ("10.1.0.2/24 --bridge b1 --create --host-name b1", "b1: already the name of the bridge"),
        ("10.1.0.2/24 --bridge taken", "taken: not a bridge"),
        ("10.1.0.2/24 --bridge none", "none: no such bridge\nhint: add-nic "),
        ("10.1.0.2/24 --mtu=-1", "invalid value '-1' for '--mtu <BYTES>'"),
        ("10.1.0.2/24 --mtu wide", "invalid value 'wide' for '--mtu <BYTES>'"),
        ("10.1.0.2/24 --mtu 99999999999", "must be 0 to 4294967295"),
        ("10.1.0.2/24 --metric 5", "--metric: needs --gateway or --route"),
        ("10.1.0.2/24 --metric 4294967296", "must be 0 to 4294967295"),
        ("10.1.0.2/24 --mtu 67", "MTU 67: must be 68 to 65535"),
        ("10.1.0.2/24 --mtu 65536", "MTU 65536: must be 68 to 65535"),
        ("fd00:1::2/64 --mtu 1279", "MTU 1279: must be 1280 to 65535"),
        ("10.1.0.2/24 --mac 01:00:5e:00:00:01", "multicast or zero MAC address"),
        ("10.1.0.2/24 --mac 00:00:00:00:00:00", "multicast or zero MAC address"),
        ("10.1.0.2/24 --mac ff:ff:ff:ff:ff:ff", "multicast or zero MAC address"),
        ("10.1.0.2/24 --mac 02:00:00:00:00", "is not a MAC address"),
        ("10.1.0.2/24 --gateway 10.1.0.0", "10.1.0.0/24: network address, not a host address"),
        ("10.1.0.2/24 --gateway fd00:1::1", "fd00:1::1: not in 10.1.0.0/24, the NIC's network"),
        ("10.1.0.2/24 --gateway router", "invalid value 'router' for '--gateway <IP>'"),
        ("10.1.0.2/24 --gateway 10.2.0.1", "10.2.0.1: not in 10.1.0.0/24, the NIC's network"),
        ("10.1.0.2/24 --gateway 10.1.0.2", "10.1.0.2: the NIC's own address"),
        ("10.1.0.2/24 --gateway 10.1.0.255", "broadcast address"),
        ("10.1.0.2/24 --gateway 10.1.0.1 --gateway 10.1.0.3", "second gateway of the same address family"),
        ("10.1.0.2/24 --route 10.9.0.1/16", "has host bits set\nhint: add-nic "),
        (
            "10.1.0.2/24 --route 0.0.0.0/0",
            "--route does not take a default route\nhint: use --gateway IP instead",
        ),
        ("10.1.0.2/24 --route 10.9.0.0/16@10.2.0.1", "10.2.0.1: not in 10.1.0.0/24"),
        ("10.1.0.2/24 --route fd00:9::/64@10.1.0.1", "another address family"),
        ("10.1.0.2/24 --route 10.9.0.0", "10.9.0.0 has no prefix length"),
        ("10.1.0.2/24 --route 10.9.0.0/16@", "the part after '@' is not an IP address"),
        ("10.1.0.2/24 --route 10.9.0.0/16 --route 10.9.0.0/16@10.1.0.1", "10.9.0.0/16: given twice"),
        ("10.1.0.2/24 --route 10.1.0.0/24", "10.1.0.0/24: the NIC's own network needs no route"),
        ("10.1.0.2/24 --host-addr none --host-addr 10.1.0.1", "cannot be combined with an address"),
        ("10.1.0.2/24 --host-addr 10.1.0.1 --host-addr 10.1.0.1", "10.1.0.1: given twice"),
        ("10.1.0.2/24 --host-addr 10.2.0.1", "--host-addr 10.2.0.1: not in a network of the NIC"),
        ("10.1.0.2/24 --host-addr 10.1.0.2", "the container's own address"),
        ("10.1.0.2/24 --host-addr nobody", "neither an IP address nor 'none'"),
        ("10.1.0.2/24 --create", "--bridge"),
        ("", "ADDR: missing"),
    ];
    for (words, why) in cases {
        let refused =
            plug(&lab, &web, words).fails_with(2).stdout_is("").stderr_has("add-nic: ").stderr_has(why);
        assert_eq!(refused.stderr.matches("add-nic: ").count(), 1, "{refused}");
        assert_eq!(everything(&lab, &[&web]), before, "{words}");
    }
}

#[test]
fn words_that_no_terminal_should_obey_are_quoted() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::only(&["net"]));
    let pid = web.pid.to_string();
    let evil = "a\x1b[2J\nb";
    for words in [
        &[pid.as_str(), evil][..],
        &[evil, "10.1.0.2/24"],
        &[&pid, "10.1.0.2/24", "--name", evil],
        &[&pid, "10.1.0.2/24", "--mac", evil],
        &[&pid, "10.1.0.2/24", "--bridge", evil],
        &["--watch", evil],
        &[&pid, "10.1.0.2/24", "--host-addr", evil],
        &[&pid, "10.1.0.2/24", "--route", evil],
        &["--rm", &pid, evil],
    ] {
        let refused = add_nic(&lab, words).fails_with(2);
        assert!(!refused.stderr.contains('\x1b'), "{refused}");
    }
}

#[test]
fn words_that_belong_elsewhere_are_refused() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::only(&["net"]));
    let pid = web.pid.to_string();
    let before = everything(&lab, &[&web]);
    for (words, why) in [
        (&[&pid, "10.1.0.2/24", "--name", "a b"][..], "' ' cannot be in an interface's name"),
        (&[&pid, "10.1.0.2/24", "--name", ""], "that has 1 to 15 bytes"),
        (&[&pid, "10.1.0.2/24 "], "is not a prefix length"),
        (&["10.1.0.2/24", &pid], &format!("hint: add-nic {pid} 10.1.0.2/24")),
        (&["--rm", &pid, "eth0", "eth1"], "eth1: unexpected argument"),
        (&["--list", &pid, "eth0"], "eth0: unexpected argument"),
        (&["--rm", "--list"], "cannot be used with"),
        (&["--rm"], "TARGET: missing"),
        (&["--force", &pid, "10.1.0.2/24"], "--rm"),
        (&["--watch", "/run/x", &pid], "'--watch <FILE>' cannot be used with"),
        (&["--watch", "/run/x", "--rm"], "'--watch <FILE>' cannot be used with '--rm'"),
        (&["--watch", "/run/x", "--bridge", "b"], "'--watch <FILE>' cannot be used with '--bridge <BR>'"),
        (&["--watch", "/run/x", "--host"], "'--watch <FILE>' cannot be used with '--host'"),
        (&["--watch", "/run/x"], "/run/x: No such file or directory"),
        (&["--watch", ""], "--watch"),
    ] {
        add_nic(&lab, words).fails_with(2).stdout_is("").stderr_has(why);
        assert_eq!(everything(&lab, &[&web]), before, "{words:?}");
    }
}

#[test]
fn an_empty_target_never_means_the_host() {
    let lab = need!(Lab::new());
    for words in [&["", "10.1.0.2/24"][..], &["10.1.0.2/24"], &["-t", "10.1.0.2/24"], &["--rm", ""], &[]] {
        add_nic(&lab, words).fails_with(2).stdout_is("");
    }
}

#[test]
fn the_hosts_own_network_is_refused_unless_it_is_asked_for() {
    let lab = need!(Lab::new());
    let hosty = lab.container("hosty", Options::only(&["pid"]));
    let before = everything(&lab, &[]);
    plug(&lab, &hosty, "10.1.0.2/24")
        .fails_with(2)
        .stderr_has("the host's own network")
        .stderr_has(" --host\n");
    assert_eq!(everything(&lab, &[]), before);
    plug(&lab, &hosty, "10.1.0.2/24 --host").ok();
    let links = lab.command("ip").args(["-j", "link"]).run().ok().json();
    assert_eq!(links.as_array().unwrap().len(), 3, "{links}");
    add_nic(&lab, &["--rm", "--host", &hosty.pid.to_string()]).ok();
    assert_eq!(everything(&lab, &[]), before);
}

#[test]
fn two_cables_with_one_network_are_told_to_share_a_bridge() {
    let lab = need!(Lab::new());
    let [web, db] = ["web", "db"].map(|name| lab.container(name, Options::only(&["net"])));
    plug(&lab, &web, "10.1.0.2/24").ok();
    let before = everything(&lab, &[&web, &db]);
    let refused = plug(&lab, &db, "10.1.0.3/24").fails_with(2);
    refused
        .stderr_has(&format!("10.1.0.0/24: already on the veth pair of pid:{}", web.pid))
        .stderr_has("hint: add both to one bridge: --bridge NAME --create");
    plug(&lab, &db, "10.1.0.2/24")
        .fails_with(2)
        .stderr_has(&format!("already the address of eth0 in pid:{}", web.pid));
    assert_eq!(everything(&lab, &[&web, &db]), before);
}

#[test]
fn a_host_address_of_one_nic_is_never_anothers() {
    let lab = need!(Lab::new());
    let [web, db] = ["web", "db"].map(|name| lab.container(name, Options::only(&["net"])));
    plug(&lab, &web, "10.1.0.2/32 --host-addr 10.2.0.1").ok();
    plug(&lab, &db, "10.2.0.7/24").ok().stdout_has("10.2.0.2/24");
}
