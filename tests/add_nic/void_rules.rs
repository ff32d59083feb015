//! Rules are bound to a link: once it is gone, down or renamed, they lead nowhere and let nobody through.

use crate::firewall::{KINDS, Site, does_not_reach};
use crate::outlived::{container, has_link};
use crate::publish::{SERVER, fetch, fetch_from, in_network, serve};
use crate::{add_nic, everything, plug, reaches_from};
use support::container::Container;
use support::run::Run;
use support::skip::need;
use support::until::until;

#[test]
fn a_published_port_is_void_once_its_link_is_gone() {
    for words in ["", "--bridge br1"] {
        let mut site = need!(Site::new());
        site.lab.shell("ip link add br1 up type bridge; ip address add 10.1.0.1/24 dev br1").run().ok();
        if words.is_empty() {
            site.lab.shell("ip link del br1").run().ok();
        }
        let end = format!("pid{}-eth0", site.web.pid);
        let words = format!("10.1.0.2/24 {words} --gateway 10.1.0.1 --nat=all --publish 8080:80");
        plug(&site.lab, &site.web, &words).ok();
        site.web.stop();
        until("the host's end is gone", || !has_link(&site.lab, &end));
        // The rules are still there, and lead nowhere: a server of the host's own has the port, also where somebody else has the
        // address.
        site.lab.shell("nft list table inet netns-toolbox").run().ok().stdout_has("dnat");
        let stranger = container(&site.lab, "stranger");
        let pid = stranger.pid;
        site.lab.shell(&format!("ip link add {end} up type veth peer name eth0 netns {pid}")).run().ok();
        stranger.ip("address add 10.1.0.2/24 dev eth0");
        stranger.ip("link set eth0 up");
        site.lab
            .shell(&format!(
                "if ip link show br1; then ip link set {end} master br1; else ip address add 10.1.0.1/24 dev {end}; fi"
            ))
            .run()
            .ok();
        let server = site.lab.command("perl").args(["-e", SERVER, "8080"]).start();
        server.wait_for("ready\n");
        for host in ["203.0.113.1", "127.0.0.1", "10.1.0.1"] {
            let said = fetch(&site.lab, &format!("http://{host}:8080/"));
            assert!(said.starts_with("hello "), "{host}: {said}");
        }
        assert_eq!(fetch_from(&site.lab, &site.outside, "http://203.0.113.1:8080/"), "hello 203.0.113.9\n");
        // The next call says what it found and removed, the one after it has nothing to say.
        let found = add_nic(&site.lab, &["--check"]).fails_with(1);
        found.stdout_has("no longer exists; removed what was left of it: ").stdout_has("nftables table");
        add_nic(&site.lab, &["--check"]).ok().stdout_is("").stderr_is("");
        site.lab.shell("nft list table inet netns-toolbox").run().fails_with(1);
        assert!(has_link(&site.lab, &end));
    }
}

/// A bridge on the host, with an address, and whose ports' packets are given to iptables where the kernel can.
const BRIDGE: &str = "ip link add br1 up type bridge; ip address add 10.1.0.1/24 dev br1; ip address add fd00:1::1/64 dev br1 nodad
    ! [ -d /proc/sys/net/bridge ] || echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables";

/// A container of somebody else's on that bridge.
fn stranger(site: &Site) -> Container {
    let stranger = container(&site.lab, "stranger");
    let pid = stranger.pid;
    site.lab.shell(&format!("ip link add s0 up master br1 type veth peer name eth0 netns {pid}")).run().ok();
    for words in
        ["address add 10.1.0.9/24 dev eth0", "address add fd00:1::9/64 dev eth0 nodad", "link set eth0 up"]
    {
        stranger.ip(words);
    }
    stranger.ip("route add default via 10.1.0.1");
    stranger.ip("-6 route add default via fd00:1::1");
    // The outside knows a way back, so that only a filter keeps an answer from it.
    site.outside.ip("route replace 10.1.0.0/24 via 203.0.113.1");
    site.outside.ip("-6 route replace fd00:1::/64 via fd00:203::1");
    stranger
}

/// The accept rules in iptables' chains stay until the next call, and must let nobody else through.
#[test]
fn what_iptables_let_through_is_void_once_the_link_is_gone() {
    for kind in KINDS {
        let mut site = need!(Site::new());
        site.dockers_rules(kind);
        site.lab.shell(BRIDGE).run().ok();
        let words = "10.1.0.2/24 fd00:1::2/64 --bridge br1 --gateway 10.1.0.1 --gateway fd00:1::1 --nat=all --forward --publish 8080:80";
        plug(&site.lab, &site.web, words).ok();
        reaches_from(&site.lab, &site.web, "203.0.113.9");
        reaches_from(&site.lab, &site.web, "fd00:203::9");
        let stranger = stranger(&site);
        // The whole network is let out, as long as the NIC is there.
        reaches_from(&site.lab, &stranger, "203.0.113.9");
        let end = format!("pid{}-eth0", site.web.pid);
        site.web.stop();
        until("the host's end is gone", || !has_link(&site.lab, &end));
        let rules = format!("iptables-{kind} -S DOCKER-USER; ip6tables-{kind} -S DOCKER-USER");
        let left = site
            .lab
            .shell(&rules)
            .run()
            .ok()
            .stdout_has("-s 10.1.0.0/24 -i br1")
            .stdout_has("-s fd00:1::/64 -i br1")
            .stdout;
        does_not_reach(&site.lab, &stranger, "203.0.113.9");
        does_not_reach(&site.lab, &stranger, "fd00:203::9");
        assert_eq!(site.lab.shell(&rules).run().ok().stdout, left, "nobody may have removed them");
        add_nic(&site.lab, &["--check"]).fails_with(1).stdout_has("removed what was left of it: ");
        let rules = site.lab.shell(&rules).run().ok().stdout;
        assert!(!rules.contains("netns-toolbox"), "{rules}");
    }
}

#[test]
fn a_bridge_that_somebody_made_anew_inherits_no_accept_rule() {
    for kind in KINDS {
        let site = need!(Site::new());
        site.dockers_rules(kind);
        site.lab.shell(BRIDGE).run().ok();
        let words = "10.1.0.2/24 --bridge br1 --gateway 10.1.0.1 --nat=all --forward --host-name web0";
        plug(&site.lab, &site.web, words).ok();
        reaches_from(&site.lab, &site.web, "203.0.113.9");
        add_nic(&site.lab, &["--check"]).ok();
        // The NIC is still there, on no bridge: its rules are, too.
        site.lab.shell(&format!("ip link del br1; {BRIDGE}")).run().ok();
        let one = stranger(&site);
        let other = container(&site.lab, "other");
        site.lab
            .shell(&format!("ip link add o0 up master br1 type veth peer name eth0 netns {}", other.pid))
            .run()
            .ok();
        other.ip("address add 10.1.0.8/24 dev eth0");
        other.ip("link set eth0 up");
        reaches_from(&site.lab, &one, "10.1.0.1");
        does_not_reach(&site.lab, &one, "203.0.113.9");
        if site.lab.path("/proc/sys/net/bridge").exists() {
            does_not_reach(&site.lab, &one, "10.1.0.8");
        }
        // It is said, and can be had for the new bridge.
        site.lab.shell("ip link set web0 master br1").run().ok();
        let said = "its firewall rules are void: br1 was deleted, and is another interface now";
        add_nic(&site.lab, &["--check"]).fails_with(1).stdout_has(said);
        does_not_reach(&site.lab, &site.web, "203.0.113.9");
        add_nic(&site.lab, &["--repair", &site.web.pid.to_string()]).ok();
        add_nic(&site.lab, &["--check"]).ok().stdout_is("");
        reaches_from(&site.lab, &site.web, "203.0.113.9");
        site.remove();
        let left = site.lab.shell(&format!("iptables-{kind} -S; nft list tables")).run().ok().stdout;
        assert!(!left.contains("netns-toolbox"), "{left}");
    }
}

#[test]
fn the_mark_ends_where_iptables_ends() {
    let site = need!(Site::new());
    site.dockers_rules("nft");
    // What another program would see of it before, and after.
    let seen = "nft -f - <<'E'
        table inet theirs {
            chain before { type filter hook forward priority -2; meta mark & 0x1000 != 0 counter; }
            chain after { type filter hook forward priority 2; meta mark & 0x1000 != 0 counter; }
            chain out { type filter hook postrouting priority 300; meta mark & 0x1000 != 0 counter; }
            chain others { type filter hook prerouting priority -150; icmp type echo-request meta mark set 0x7 counter; }
            chain kept { type filter hook postrouting priority 300; icmp type echo-request meta mark 0x7 counter; }
        }\nE";
    site.lab.shell(seen).run().ok();
    plug(&site.lab, &site.web, "10.1.0.2/24 --gateway 10.1.0.1 --nat=all").ok();
    reaches_from(&site.lab, &site.web, "203.0.113.9");
    let counters = site.lab.shell("nft list table inet theirs").run().ok().stdout;
    let packets = |chain: &str| {
        let rest = counters.split_once(&format!("chain {chain} ")).unwrap().1;
        rest.split_once("counter packets ").unwrap().1.split(' ').next().unwrap() != "0"
    };
    assert!(!packets("before") && !packets("after") && !packets("out"), "{counters}");
    assert!(packets("others") && packets("kept"), "{counters}");
}

/// How many packets the first rule of FORWARD has seen.
fn seen_by_the_first_rule(site: &Site, kind: &str) -> String {
    let list = format!("iptables-{kind} -L FORWARD 1 -n -v -x");
    site.lab.shell(&list).run().ok().stdout.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_rule_that_tells_packets_by_their_whole_mark_still_does_and_ours_is_tied_to_its_link() {
    for kind in KINDS {
        let site = need!(Site::new());
        site.dockers_rules(kind);
        // The host marks what comes from here, and has rules about that and about what has another mark.
        let script = format!(
            "iptables-{kind} -t mangle -A PREROUTING -p icmp -j MARK --set-mark 0x64
             iptables-{kind} -I FORWARD 1 -m mark --mark 0x64 -j ACCEPT
             iptables-{kind} -A FORWARD -m mark ! --mark 0x7 -m comment --comment last"
        );
        site.lab.shell(&script).run().ok();
        let before = everything(&site.lab, &[&site.web]);
        plug(&site.lab, &site.web, "10.1.0.2/24 --gateway 10.1.0.1 --nat=all --publish 8080:80").ok();
        site.lab.shell("nft list table inet netns-toolbox").run().ok().stdout_has("mark != 0x00000064");
        reaches_from(&site.lab, &site.web, "203.0.113.9");
        assert_ne!(seen_by_the_first_rule(&site, kind), "0", "{kind}");
        // Nothing but the mark of others is needed for the rest: without their rules ours lets it out.
        site.lab.shell(&format!("iptables-{kind} -t mangle -F PREROUTING")).run().ok();
        reaches_from(&site.lab, &site.web, "203.0.113.9");
        site.lab
            .shell(&format!("iptables-{kind} -S DOCKER-USER"))
            .run()
            .ok()
            .stdout_has("--mark 0x1000/0x1000");
        add_nic(&site.lab, &["--check"]).ok();
        site.lab
            .shell(&format!("iptables-{kind} -t mangle -A PREROUTING -p icmp -j MARK --set-mark 0x64"))
            .run()
            .ok();
        site.remove();
        assert_eq!(everything(&site.lab, &[&site.web]), before, "{kind}");
    }
}

#[test]
fn rules_of_nft_about_the_mark_are_left_as_they_decide() {
    let site = need!(Site::new());
    site.dockers_rules("nft");
    let theirs = "nft -f - <<'E'
        table inet theirs {
            chain marks { type filter hook prerouting priority -150; icmp type echo-request meta mark set 0x64; }
            chain pass { type filter hook forward priority 0; meta mark 0x64 counter; }
        }\nE";
    site.lab.shell(theirs).run().ok();
    let words = "10.1.0.2/24 --gateway 10.1.0.1 --nat=all";
    plug(&site.lab, &site.web, words).ok();
    does_not_reach(&site.lab, &site.web, "203.0.113.9");
    let counted = site.lab.shell("nft list chain inet theirs pass").run().ok().stdout;
    assert!(!counted.contains("packets 0 "), "{counted}");
    site.remove();
    // One bit is another's.
    site.lab.shell("nft flush chain inet theirs marks; nft add rule inet theirs pass meta mark and 0x1000 == 0x1000 drop").run().ok();
    plug(&site.lab, &site.web, words).ok();
    reaches_from(&site.lab, &site.web, "203.0.113.9");
    site.lab.shell("iptables-nft -S DOCKER-USER").run().ok().stdout_has("--mark 0x80/0x80");
}

#[test]
fn rules_that_nothing_could_tie_to_a_link_are_refused() {
    for kind in KINDS {
        let site = need!(Site::new());
        site.dockers_rules(kind);
        site.lab.shell("ip link add br1 up type bridge; ip address add 10.1.0.1/24 dev br1").run().ok();
        let options = ["--bridge br1 --forward", "--nat=all", "--publish 8080:80"];
        site.lab.shell(&format!("iptables-{kind} -A FORWARD -m mark --mark 0x0 -j DROP")).run().ok();
        let before = everything(&site.lab, &[&site.web]);
        for words in options {
            let network = if words.contains("br1") { "10.1" } else { "10.2" };
            let refused = plug(&site.lab, &site.web, &format!("{network}.0.2/24 {words}")).fails_with(2);
            refused
                .stderr_has("needs a bit of the mark that no other rule looks at: -A FORWARD -m mark --mark 0x0 -j DROP")
                .stderr_has("hint: compare the other bits in that rule: --mark VALUE/0xffffef0f");
            assert_eq!(everything(&site.lab, &[&site.web]), before, "{kind} {words}");
        }
        // As the hint says.
        let other = format!("iptables-{kind} -R FORWARD 2 -m mark --mark 0x0/0xffffef0f -j DROP");
        site.lab.shell(&other).run().ok();
        plug(&site.lab, &site.web, "10.1.0.2/24 --bridge br1 --forward").ok();
        site.remove();
        // Without nft, as well.
        site.lab.shell("mount --bind /dev/null $(readlink -f /usr/sbin/nft)").run().ok();
        plug(&site.lab, &site.web, "10.1.0.2/24 --bridge br1 --forward")
            .fails_with(2)
            .stderr_has("--forward: nft is not installed")
            .stderr_has("hint: install the package nftables");
        site.lab.shell("umount $(readlink -f /usr/sbin/nft)").run().ok();
    }
}

/// As a network manager does. IPv6 differs: the link's addresses are deleted too.
#[test]
fn a_link_that_was_down_keeps_its_published_port() {
    for bridge in ["", "--bridge br1 --create"] {
        let site = need!(Site::new());
        let words =
            format!("10.1.0.2/24 --gateway 10.1.0.1 --nat=all --publish 8080:80 --host-name web0 {bridge}");
        plug(&site.lab, &site.web, &words).ok();
        let _server = serve(&site.lab, &site.web, SERVER, "80");
        site.lab.shell("ip link set web0 down; ip link set web0 name web1; ip link set web1 name web0; ip link set web0 up").run().ok();
        add_nic(&site.lab, &["--check"]).ok().stdout_is("");
        let said = fetch_from(&site.lab, &site.outside, "http://203.0.113.1:8080/");
        assert!(said.starts_with("hello "), "{bridge}: {said}");
    }
}

#[test]
fn an_ipv6_rule_of_a_link_that_was_down_is_said_to_be_void() {
    let site = need!(Site::new());
    plug(&site.lab, &site.web, "fd00:1::2/64 --nat=all --host-name web0 --bridge br1 --create").ok();
    add_nic(&site.lab, &["--check"]).ok();
    site.lab.shell("ip link set web0 down; ip link set web0 up").run().ok();
    let said = add_nic(&site.lab, &["--check"]).fails_with(1);
    let said = said.stdout_has(
        "its firewall rules are void: web0 was down or its route was deleted; ip -6 route add anycast ",
    );
    let (_, command) = said.stdout.split_once("deleted; ").unwrap();
    site.lab.shell(command).run().ok();
    add_nic(&site.lab, &["--check"]).ok();
}

/// 127.0.0.1 of the host is guarded against the NIC's link alone.
#[test]
fn a_link_that_has_the_name_later_is_not_guarded_against() {
    let mut site = need!(Site::new());
    plug(&site.lab, &site.web, "10.1.0.2/24 --publish 8080:80 --host-name web0").ok();
    site.web.stop();
    until("the host's end is gone", || !has_link(&site.lab, "web0"));
    let stranger = container(&site.lab, "stranger");
    let script = format!(
        "ip link add web0 up type veth peer name eth0 netns {}; ip address add 10.9.0.1/24 dev web0
         echo 1 >/proc/sys/net/ipv4/conf/web0/route_localnet; nft list table inet netns-toolbox",
        stranger.pid
    );
    site.lab.shell(&script).run().ok().stdout_has("ip daddr 127.0.0.0/8 drop");
    stranger.ip("address add 10.9.0.2/24 dev eth0");
    stranger.ip("link set eth0 up");
    for words in [
        "route add 127.0.0.0/8 via 10.9.0.1 dev eth0 table 7",
        "rule add to 127.0.0.0/8 table 7 pref 0",
        "rule del pref 0 lookup local",
        "rule add pref 10 lookup local",
    ] {
        stranger.ip(words);
    }
    // What answers comes from 127.0.0.1.
    let accept = "echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet";
    in_network(&site.lab, &stranger, &["sh", "-c", accept]).run().ok();
    let server = site.lab.command("perl").args(["-e", SERVER, "8081"]).start();
    server.wait_for("ready\n");
    // As Docker's own way to 127.0.0.1 is, or an administrator's.
    let words = ["curl", "-sS", "--max-time", "5", "--interface", "10.9.0.2", "http://127.0.0.1:8081/"];
    in_network(&site.lab, &stranger, &words).run().ok().stdout_is("hello 10.9.0.2\n");
}

#[test]
fn a_bridge_that_was_renamed_is_not_said_to_be_another_interface() {
    let site = need!(Site::new());
    site.dockers_rules("nft");
    site.lab.shell(BRIDGE).run().ok();
    plug(&site.lab, &site.web, "10.1.0.2/24 --bridge br1 --forward").ok();
    site.lab.shell("ip link set br1 name br9").run().ok();
    let said = add_nic(&site.lab, &["--check"]).fails_with(1);
    said.stdout_has("its firewall rules are void: br1 was renamed or deleted");
    site.remove();
    let left = site.lab.shell("iptables-nft -S; nft list tables").run().ok().stdout;
    assert!(!left.contains("netns-toolbox"), "{left}");
}
