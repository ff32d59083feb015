//! What does not reach the NIC is said, with what helps; and "reachable" is not said then. Observer: `ping`.

use crate::bridge::by_hand;
use crate::firewall::{Site, bridge_netfilter, bridged, does_not_reach};
use crate::{add_nic, lab, plug, reaches, reaches_from};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::{Missing, need};

fn bridge(lab: &Lab, name: &str, address: Option<&str>) {
    lab.shell(&format!("ip link add {name} up type bridge")).run().ok();
    if let Some(address) = address {
        lab.shell(&format!("ip address add {address} dev {name}")).run().ok();
    }
}

/// Nobody reaches it from the host, and all three jobs say why.
#[track_caller]
fn is_not_reached(lab: &Lab, web: &Container, words: &str, why: &str, fix: &str) {
    plug(lab, web, &format!("{words} --preflight")).fails_with(1).stdout_has(why).stdout_has(fix);
    let made = plug(lab, web, words).ok().stderr_has(why).stderr_has(fix);
    assert!(!made.stdout.contains("reachable"), "{made}");
    add_nic(lab, &["--check"]).fails_with(1).stdout_has(why).stdout_has(fix);
    plug(lab, web, words).ok().stdout_has(", unchanged");
    add_nic(lab, &["--rm", &web.pid.to_string()]).ok();
}

#[test]
fn a_bridge_elsewhere_is_named_with_an_address_that_fits() {
    let lab = need!(lab());
    bridge(&lab, "docker0", Some("198.18.0.1/24"));
    let web = lab.container("web", Options::only(&["net"]));
    let fix = format!("add-nic pid:{} 198.18.0.200/24 -b docker0 -g 198.18.0.1", web.pid);
    let why =
        "docker0 has 198.18.0.1/24 and nothing in 172.17.0.0/16: neither the host nor 172.17.0.1 is there";
    is_not_reached(&lab, &web, "172.17.0.200/16 -b docker0 -g 172.17.0.1", why, &fix);
    // What helps, helps.
    let words = format!("{} --no-announce", &fix["add-nic ".len()..]);
    let words: Vec<&str> = words.split(' ').collect();
    add_nic(&lab, &words).ok().stdout_has(", reachable after ").stderr_is("");
    reaches(&lab, "198.18.0.200");
    add_nic(&lab, &["--check"]).ok();
}

#[test]
fn no_address_is_proposed_that_another_container_has() {
    let lab = need!(lab());
    bridge(&lab, "docker0", Some("198.18.0.1/24"));
    bridge(&lab, "bare", None);
    let web = lab.container("web", Options::only(&["net"]));
    let _others = [("same", "198.18.0.77/24"), ("first", "198.18.0.2/24")]
        .map(|(name, address)| by_hand(&lab, name, "docker0", address));
    let _on_bare = ["10.74.0.1/24", "10.74.0.3/24"]
        .map(|address| by_hand(&lab, &format!("b{}", &address[8..9]), "bare", address));
    let proposed = |words: &str, fix: &str| {
        plug(&lab, &web, &format!("{words} --preflight")).fails_with(1).stdout_has(fix)
    };
    let free = format!("add-nic pid:{} 198.18.0.3/24 -b docker0\n", web.pid);
    proposed("10.77.0.77/24 --bridge docker0", &free);
    proposed("10.74.0.2/24 --bridge bare", "--host-addr 10.74.0.4\n");
    // What helps, helps.
    let words: Vec<&str> = free["add-nic ".len()..].trim_end().split(' ').chain(["--no-announce"]).collect();
    add_nic(&lab, &words).ok().stdout_has(", reachable after ").stderr_is("");
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    // Of a network in which all are taken none is.
    bridge(&lab, "tiny", Some("198.18.9.1/30"));
    let _last = by_hand(&lab, "last", "tiny", "198.18.9.2/30");
    let said = plug(&lab, &web, "10.78.0.2/24 --bridge tiny --preflight").fails_with(1);
    assert!(said.stdout.contains("--host-addr none\n") && !said.stdout.contains("198.18.9.2"), "{said}");
}

#[test]
fn a_bridge_without_an_address_is_reached_by_its_ports_only() {
    let lab = need!(lab());
    bridge(&lab, "bare", None);
    let web = lab.container("web", Options::only(&["net"]));
    let why = "bare has no address in 10.74.0.0/24: the host does not reach 10.74.0.2";
    is_not_reached(&lab, &web, "10.74.0.2/24 --bridge bare", why, "--host-addr 10.74.0.1");
    let made = plug(&lab, &web, "10.74.0.2/24 --bridge bare").ok();
    made.stdout_has(", answers on bare after ").stdout_has("; the host has no address there");
    let other = by_hand(&lab, "other", "bare", "10.74.0.9/24");
    reaches_from(&lab, &other, "10.74.0.2");
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    // It can be meant so.
    plug(&lab, &web, "10.74.0.2/24 --bridge bare --host-addr none").ok().stderr_is("");
    add_nic(&lab, &["--check"]).ok();
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    plug(&lab, &web, "10.74.0.2/24 --bridge bare --host-addr 10.74.0.1")
        .ok()
        .stdout_has(", reachable after ");
    reaches(&lab, "10.74.0.2");
}

#[test]
fn a_gateway_that_nobody_is_does_not_replace_another_without_a_word() {
    let lab = need!(lab());
    bridge(&lab, "br0", Some("10.74.0.254/24"));
    let [web, router] = ["web", "router"].map(|name| lab.container(name, Options::only(&["net"])));
    lab.veth((&web, "198.18.0.2/24"), (&router, "198.18.0.1/24"));
    web.ip("route add default via 198.18.0.1 dev eth0");
    let words = "10.74.0.3/24 --bridge br0 --gateway 10.74.0.1";
    let why = "10.74.0.1 does not answer on br0: the default route of ";
    plug(&lab, &web, &format!("{words} --preflight")).fails_with(1).stdout_has(why);
    plug(&lab, &web, words)
        .ok()
        .stderr_has(why)
        .stderr_has(" 10.74.0.3/24 --bridge br0 --gateway 10.74.0.254 --replace\n");
    add_nic(&lab, &["--check"]).fails_with(1).stdout_has(why);
    // Once there is one, all is well.
    let _gateway = by_hand(&lab, "gateway", "br0", "10.74.0.1/24");
    add_nic(&lab, &["--check"]).ok();
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    plug(&lab, &web, words).ok().stderr_is("").stdout_has(", reachable after ");
}

#[test]
fn a_nic_that_answers_nobody_is_not_called_reachable() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    bridge(&lab, "br0", Some("10.1.0.1/24"));
    for key in ["all", "default"] {
        let script = format!("echo 8 >/proc/sys/net/ipv4/conf/{key}/arp_ignore");
        let pid = web.pid.to_string();
        lab.command("nsenter").args(["--target", &pid, "--net", "--", "sh", "-c", &script]).run().ok();
    }
    for end in ["", "--bridge br0"] {
        let made = plug(&lab, &web, &format!("10.1.0.2/24 --no-dad {end}"));
        if end.is_empty() {
            // The host has the network on its bridge.
            made.fails_with(2);
            continue;
        }
        let made = made.ok().stderr_has("10.1.0.2: eth0 does not answer ARP on br0");
        assert!(!made.stdout.contains("reachable"), "{made}");
    }
}

#[test]
fn a_filter_that_came_later_is_seen() {
    let site = need!(Site::new());
    if !site.lab.path("/proc/sys/net/bridge").exists() {
        return;
    }
    bridge(&site.lab, "br1", Some("10.1.0.1/24"));
    site.lab.shell("echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables").run().ok();
    plug(&site.lab, &site.web, "10.1.0.2/24 --bridge br1").ok().stderr_is("");
    add_nic(&site.lab, &["--check"]).ok();
    site.lab.shell("iptables-nft -P FORWARD DROP").run().ok();
    let seen = add_nic(&site.lab, &["--check"]).fails_with(1);
    seen.stdout_has("iptables-nft's FORWARD policy is DROP").stdout_has("--forward");
}

#[test]
fn what_one_nic_lets_through_a_bridge_lasts_as_long_as_another_is_on_it() {
    let site = need!(Site::new());
    if !site.lab.path("/proc/sys/net/bridge").exists() {
        return;
    }
    site.dockers_rules("nft");
    let before = crate::everything(&site.lab, &[&site.web]);
    let [b, c] = ["b", "c"].map(|name| site.lab.container(name, Options::only(&["net"])));
    site.lab.shell("echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables").run().ok();
    plug(&site.lab, &site.web, "10.7.0.2/24 --bridge b7 --create --forward").ok();
    plug(&site.lab, &b, "10.7.0.3/24 --bridge b7").ok().stderr_is("");
    plug(&site.lab, &c, "10.7.0.4/24 --bridge b7").ok().stderr_is("");
    reaches_from(&site.lab, &b, "10.7.0.4");
    site.remove();
    reaches_from(&site.lab, &b, "10.7.0.4");
    add_nic(&site.lab, &["--check"]).ok();
    for last in [&b, &c] {
        add_nic(&site.lab, &["--rm", &last.pid.to_string()]).ok();
    }
    site.lab.shell("echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables").run().ok();
    let after = crate::everything(&site.lab, &[&site.web]);
    assert_eq!(after, before);
}

#[test]
fn all_silent_gateways_are_asked_at_once() {
    need!(support::skip::program("strace", "strace"));
    let lab = need!(lab());
    for bridge in ["dead0", "dead1"] {
        lab.shell(&format!(
            "ip link add {bridge} up type bridge; ip address add 10.70.{}.1/24 dev {bridge}",
            &bridge[4..]
        ))
        .run()
        .ok();
    }
    let mut containers = Vec::new();
    for n in 0..6 {
        let one = lab.container(&format!("web{n}"), Options::only(&["net"]));
        let (bridge, net) = (format!("dead{}", n % 2), n % 2);
        plug(
            &lab,
            &one,
            &format!("10.70.{net}.{}/24 --bridge {bridge} --gateway 10.70.{net}.{}", 10 + n, 200 + n),
        )
        .ok();
        containers.push(one);
    }
    let tool = support::tools::tool("add-nic");
    // Each segment is asked through one socket, whatever the number of gateways.
    let script = format!(
        "strace -f -o /run/trace -e trace=socket {tool} --check || rc=$?; grep -c AF_PACKET /run/trace; exit $rc"
    );
    let ran = lab.shell(&script).run().fails_with(1);
    for n in 0..6 {
        assert!(
            ran.stdout.contains(&format!("10.70.{}.{} does not answer on dead{}", n % 2, 200 + n, n % 2)),
            "{ran}"
        );
    }
    let sockets: u32 = ran.stdout.lines().last().unwrap().parse().unwrap();
    assert_eq!(sockets, 2, "{ran}");
}

#[test]
fn a_last_rule_that_drops_is_named_as_a_policy_is() {
    for (rules, said) in [
        (
            "iptables -A FORWARD -i lo -j ACCEPT; iptables -A FORWARD -j DROP",
            "iptables-nft's FORWARD ends with -j DROP",
        ),
        (
            "iptables -N X; iptables -A FORWARD -j X; iptables -A X -j REJECT",
            "iptables-nft's X ends with -j REJECT",
        ),
    ] {
        let site = need!(Site::new());
        need!(bridge_netfilter(&site));
        let a = bridged(&site);
        plug(&site.lab, &site.web, "10.1.0.2/24 --bridge br1").ok().stderr_is("");
        add_nic(&site.lab, &["--check"]).ok();
        site.lab.shell(&rules.replace("iptables", "iptables-nft")).run().ok();
        does_not_reach(&site.lab, &a, "10.1.0.2");
        add_nic(&site.lab, &["--check"]).fails_with(1).stdout_has(said).stdout_has("--forward");
        site.remove();
        plug(&site.lab, &site.web, "10.1.0.2/24 --bridge br1 --preflight").fails_with(1).stdout_has(said);
        plug(&site.lab, &site.web, "10.1.0.2/24 --bridge br1 --forward").ok();
        reaches_from(&site.lab, &a, "10.1.0.2");
        add_nic(&site.lab, &["--check"]).ok();
        // One that comes before the rule is seen too.
        site.lab.shell("iptables-nft -I FORWARD -j DROP").run().ok();
        does_not_reach(&site.lab, &a, "10.1.0.2");
        let differs = "iptables-nft's FORWARD ends with -j DROP before its rule in FORWARD is met";
        add_nic(&site.lab, &["--check"]).fails_with(1).stdout_has(differs);
    }
}

/// Drops what passes any bridge, before bridge netfilter does (NF_BR_PRI_BRNF is 0), which would not come to it.
fn filter_of_bridges(lab: &Lab) -> Result<(), Missing> {
    let filter = "nft 'add table bridge theirs; add chain bridge theirs between { type filter hook forward priority -200; policy drop; }'";
    match lab.shell(filter).run().status.is_some_and(|status| status.success()) {
        true => Ok(()),
        false => Err(Missing::ForGood("the kernel's nf_tables have no filter for bridges".into())),
    }
}

#[test]
fn a_filter_of_bridges_is_named_with_a_fix_that_opens_it() {
    let site = need!(Site::new());
    need!(filter_of_bridges(&site.lab));
    let a = by_hand(&site.lab, "a", "br1", "10.1.0.9/24");
    // A veth pair to the host passes no bridge.
    plug(&site.lab, &site.web, "10.3.0.2/24 --preflight").ok().stdout_is("");
    plug(&site.lab, &site.web, "10.1.0.2/24 --bridge br1").ok();
    does_not_reach(&site.lab, &a, "10.1.0.2");
    let said = add_nic(&site.lab, &["--check"]).fails_with(1).stdout;
    let (_, fix) = said.split_once("fix: ").unwrap();
    let both = fix.lines().next().unwrap();
    assert!(both.starts_with("nft insert rule bridge theirs between meta iifname pid"), "{said}");
    site.lab.shell(both).run().ok();
    reaches_from(&site.lab, &a, "10.1.0.2");
}
