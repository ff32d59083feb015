//! `--preflight`: what will not work is said before it is tried, with what helps; and what helps, helps.

use crate::firewall::{KINDS, Site};
use crate::{add_nic, everything, lab, plug, reaches_from};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::tools::tool;

/// It warns of this, with this fix, and an add does too; nothing is changed by the look.
#[track_caller]
fn warns(lab: &Lab, web: &Container, words: &str, about: &str, fix: &str) {
    let before = everything(lab, &[web]);
    let warned = plug(lab, web, &format!("{words} --preflight")).fails_with(1);
    warned.stdout_has(about).stdout_has("  fix: ").stdout_has(fix);
    assert_eq!(everything(lab, &[web]), before);
    let added = plug(lab, web, words).ok().stderr_has("add-nic: warning: ").stderr_has(about);
    // An option is shown with the command that was typed.
    let hints: Vec<&str> = added.stderr.lines().filter_map(|line| line.strip_prefix("hint: ")).collect();
    let is_meant = |hint: &&str| {
        hint.starts_with(fix) || (hint.starts_with("add-nic ") && hint.contains(&format!(" {fix}")))
    };
    let hint = hints.into_iter().find(is_meant).unwrap_or_else(|| panic!("{fix} is no hint: {added}"));
    // Pasted, it takes the place of what was added.
    if let Some(again) = hint.strip_prefix("add-nic ").filter(|again| again.ends_with(" --replace")) {
        lab.shell(&format!("{} {again}", tool("add-nic"))).run().ok();
    }
    add_nic(lab, &["--rm", &web.pid.to_string()]).ok();
}

#[track_caller]
fn is_fine(lab: &Lab, web: &Container, words: &str) {
    plug(lab, web, &format!("{words} --preflight")).ok().stdout_is("").stderr_is("");
}

#[test]
fn a_plain_cable_gives_no_warning() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    is_fine(&lab, &web, "10.1.0.2/24 fd00:1::2/64 --gateway 10.1.0.1");
    plug(&lab, &web, "10.1.0.2/24").ok().stderr_is("");
    is_fine(&lab, &web, "10.1.0.2/24");
}

#[test]
fn filters_that_drop_what_passes_a_bridge() {
    for kind in KINDS {
        let site = need!(Site::new());
        let lab = &site.lab;
        if !lab.path("/proc/sys/net/bridge").exists() {
            return;
        }
        site.dockers_rules(kind);
        lab.shell("ip link add br1 up type bridge; ip address add 10.1.0.1/24 dev br1").run().ok();
        let words = "10.1.0.2/24 --bridge br1";
        let switch = |on: &str| {
            let script = format!("echo {on} >/proc/sys/net/bridge/bridge-nf-call-iptables");
            lab.shell(&script).run().ok();
        };
        switch("0");
        is_fine(lab, &site.web, words);
        switch("1");
        let about = format!("br1: bridge netfilter is on and iptables-{kind}'s FORWARD policy is DROP");
        warns(lab, &site.web, words, &about, "--forward");
        is_fine(lab, &site.web, &format!("{words} --forward"));
        // A bridge that is Docker's own is let through by Docker.
        lab.shell(&format!("iptables-{kind} -A FORWARD -i br1 -o br1 -j ACCEPT")).run().ok();
        is_fine(lab, &site.web, words);
    }
}

#[test]
fn filters_of_somebody_who_only_knows_nft() {
    let site = need!(Site::new());
    let table = "nft 'add table inet mine; add chain inet mine out { type filter hook forward priority 0; policy drop; }'";
    site.lab.shell(table).run().ok();
    let words = "10.1.0.2/24 --gateway 10.1.0.1 --nat=all";
    let fix = "nft insert rule inet mine out meta iifname";
    warns(&site.lab, &site.web, words, "the nftables chain mine out: drops", fix);
    is_fine(&site.lab, &site.web, "10.1.0.2/24");
}

#[test]
fn strict_reverse_path_filtering_on_the_link_that_is_not_the_way_back() {
    let lab = need!(lab());
    let [web, router] = ["web", "router"].map(|name| lab.container(name, Options::only(&["net"])));
    lab.veth((&web, "198.18.0.2/24"), (&router, "198.18.0.1/24"));
    web.ip("route add default via 198.18.0.1 dev eth0");
    let set = |key: &str, value: &str| {
        let script = format!("echo {value} >/proc/sys/net/ipv4/conf/{key}/rp_filter");
        let mut nsenter = lab.command("nsenter");
        nsenter.args(["--target", &web.pid.to_string(), "--net", "--", "sh", "-c", &script]).run().ok();
    };
    for key in ["all", "default", "eth0"] {
        set(key, "0");
    }
    is_fine(&lab, &web, "10.1.0.2/24");
    set("all", "1");
    let fix = "--sysctl net.ipv4.conf.IF.rp_filter=2";
    warns(&lab, &web, "10.1.0.2/24", "eth1 in ", fix);
    is_fine(&lab, &web, &format!("10.1.0.2/24 {fix}"));
    // What helps, helps: somebody behind the host reaches it although its answers leave elsewhere.
    let fix = "nsenter --net=/proc/";
    warns(&lab, &web, "10.1.0.2/24 --gateway 10.1.0.1", "eth0 in ", fix);
    set("eth0", "2");
    is_fine(&lab, &web, "10.1.0.2/24 --gateway 10.1.0.1");
    is_fine(&lab, &web, "fd00:1::2/64");
}

#[test]
fn networks_that_overlap() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    lab.shell(
        "ip link add vpn0 up type veth peer name vpn1; ip link set vpn1 up; ip route add 10.0.0.0/8 dev vpn0",
    )
    .run()
    .ok();
    let about = "10.1.0.0/24: overlaps with 10.0.0.0/8, which the host reaches through vpn0: traffic to 10.1.0.0/24 will use ";
    warns(&lab, &web, "10.1.0.2/24", about, "add-nic ");
    lab.shell("ip route del 10.0.0.0/8; ip route add 10.1.0.128/25 dev vpn0").run().ok();
    let about = "10.1.0.0/24: overlaps with 10.1.0.128/25, which the host reaches through vpn0: traffic to 10.1.0.128/25 will use vpn0 only";
    warns(&lab, &web, "10.1.0.2/24", about, "add-nic ");
    lab.shell("ip route del 10.1.0.128/25; ip route add 0.0.0.0/1 dev vpn0; ip route add default dev vpn0")
        .run()
        .ok();
    is_fine(&lab, &web, "10.1.0.2/24");
}

#[test]
fn warnings_of_a_bridge() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    lab.shell("ip link add br1 up type bridge stp_state 1; ip address add 10.1.0.1/24 dev br1").run().ok();
    let words = "10.1.0.2/24 --bridge br1";
    let fix = "ip link set br1 type bridge stp_state 0";
    warns(&lab, &web, words, "br1: runs the spanning tree protocol", fix);
    lab.shell(fix).run().ok();
    lab.shell("ip link add p0 up master br1 mtu 1400 type veth peer name p1; ip link set p1 up; ip link set br1 mtu 1500 || true").run().ok();
    let mtu = lab.command("cat").arg("/proc/self/net/dev").run().ok();
    assert!(mtu.stdout.contains("br1"));
    warns(
        &lab,
        &web,
        "10.1.0.2/24 --bridge br1 --mtu 1300",
        "br1: port p0 has MTU 1400, the NIC 1300",
        "ip link set p0 mtu 1300",
    );
    is_fine(&lab, &web, "10.1.0.2/24 --bridge br1 --mtu 1400");
    lab.shell("ip link del p0; ip link set br1 mtu 1500").run().ok();
    is_fine(&lab, &web, words);
}

#[test]
fn a_link_below_that_has_no_carrier() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    // The kernel takes a moment to say of a new link that nothing is plugged in.
    let made = "ip link add lan0 up type veth peer name far0
        until ip link show lan0 | grep -q 'state LOWERLAYERDOWN'; do sleep 0.02; done";
    lab.shell(made).run().ok();
    let words = "10.1.0.2/24 --macvlan lan0";
    let warned = plug(&lab, &web, &format!("{words} --preflight")).fails_with(1);
    warned
        .stdout_has("lan0: has no carrier: nothing is reachable through it")
        .stdout_has("fix: ip link show lan0");
    lab.shell("ip link set far0 up").run().ok();
    lab.shell("until ip link show lan0 | grep -q 'state UP'; do sleep 0.02; done").run().ok();
    is_fine(&lab, &web, words);
}

#[test]
fn a_mac_address_that_somebody_has() {
    let lab = need!(lab());
    let [web, other] = ["web", "other"].map(|name| lab.container(name, Options::only(&["net"])));
    plug(&lab, &other, "10.1.0.3/24 --bridge br1 --create --mac 02:00:00:00:00:07").ok();
    warns(
        &lab,
        &web,
        "10.1.0.2/24 --bridge br1 --mac 02:00:00:00:00:07",
        "02:00:00:00:00:07: already the MAC address of eth0 of ",
        "omit --mac",
    );
    is_fine(&lab, &web, "10.1.0.2/24 --bridge br1 --mac 02:00:00:00:00:08");
}

#[test]
fn nat_for_a_container_that_has_no_way_out_here() {
    let site = need!(Site::new());
    warns(&site.lab, &site.web, "10.1.0.2/24 --nat=all", "--nat: ", "--gateway 10.1.0.1");
    is_fine(&site.lab, &site.web, "10.1.0.2/24 --nat=all --gateway 10.1.0.1");
    site.lab.shell("ip link set up0 mtu 1400; ip route add default via 203.0.113.9").run().ok();
    let words = "10.1.0.2/24 --nat=all --gateway 10.1.0.1";
    warns(&site.lab, &site.web, words, "the host's outgoing interface up0 has MTU 1400", "--mtu 1400");
    plug(&site.lab, &site.web, &format!("{words} --mtu 1400")).ok().stderr_is("");
    reaches_from(&site.lab, &site.web, "203.0.113.9");
}

#[test]
fn json_has_each_with_its_kind() {
    let site = need!(Site::new());
    let warned = plug(&site.lab, &site.web, "10.1.0.2/24 --nat=all --preflight --json").fails_with(1).json();
    assert_eq!(warned[0]["kind"], "no-default-route");
    let fix = format!("add-nic {} 10.1.0.2/24 --nat=all --gateway 10.1.0.1", site.web.pid);
    assert_eq!(warned[0]["fix"], fix.as_str());
    assert!(warned[0]["message"].as_str().unwrap().starts_with("--nat: "));
    let fine = plug(&site.lab, &site.web, "10.1.0.2/24 --preflight --json").ok().json();
    assert_eq!(fine.as_array().unwrap().len(), 0);
}

#[test]
fn what_could_not_be_added_is_an_error_of_the_look_too() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    plug(&lab, &web, "10.1.0.2/24 --bridge nope --preflight").fails_with(2).stderr_has("no such bridge");
    plug(&lab, &web, "10.1.0.2/24 --preflight --dry-run").fails_with(2);
}
