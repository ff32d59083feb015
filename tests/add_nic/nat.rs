//! `--nat` lets out to the internet, and opens nothing else. Observer: `ping`.

use crate::firewall::{Site, does_not_reach};
use crate::{add_nic, everything, plug, reaches_from};
use support::container::{Container, Options};
use support::run::Run;
use support::skip::need;

const WORDS: &str = "10.1.0.2/24 --gateway 10.1.0.1 --nat";

/// A network of the host's own that knows no way back, as an internal one of Docker's; `secret` in it has 198.51.100.9.
pub(crate) fn inner(site: &Site) -> Container {
    let secret = site.lab.container("secret", Options::only(&["net"]));
    site.lab
        .shell(&format!(
            "ip link add br-inner up type bridge; ip address add 198.51.100.1/24 dev br-inner
             ip link add inner0 up master br-inner type veth peer name eth0 netns {}",
            secret.pid
        ))
        .run()
        .ok();
    secret.ip("address add 198.51.100.9/24 dev eth0");
    secret.ip("link set eth0 up");
    site.lab.shell("until ping -n -c1 -W1 -q 198.51.100.9; do sleep 0.02; done").run().ok();
    secret
}

#[test]
fn other_networks_of_the_host_stay_as_closed_as_they_were() {
    for kind in ["nft", "legacy"] {
        let site = need!(Site::new());
        let _secret = inner(&site);
        site.dockers_rules(kind);
        site.lab.shell("ip route add default via 203.0.113.9").run().ok();
        let before = everything(&site.lab, &[&site.web]);
        plug(&site.lab, &site.web, WORDS).ok().stderr_is("");
        reaches_from(&site.lab, &site.web, "203.0.113.9");
        does_not_reach(&site.lab, &site.web, "198.51.100.9");
        add_nic(&site.lab, &["--check"]).ok();
        plug(&site.lab, &site.web, WORDS).ok().stdout_has(", unchanged");
        site.remove();
        assert_eq!(everything(&site.lab, &[&site.web]), before, "{kind}");
        plug(&site.lab, &site.web, &format!("{WORDS}=all")).ok();
        reaches_from(&site.lab, &site.web, "198.51.100.9");
        site.remove();
        assert_eq!(everything(&site.lab, &[&site.web]), before, "{kind}");
    }
}

#[test]
fn a_default_route_that_moves_is_seen() {
    let site = need!(Site::new());
    let _secret = inner(&site);
    site.lab.shell("ip route add default via 203.0.113.9").run().ok();
    plug(&site.lab, &site.web, WORDS).ok();
    add_nic(&site.lab, &["--check"]).ok();
    site.lab.shell("ip route add default via 198.51.100.9 metric 50").run().ok();
    let said = "--nat applies to up0, but the host's IPv4 default route uses br-inner, up0 now";
    add_nic(&site.lab, &["--check"]).fails_with(1).stdout_has(said);
    site.remove();
    // With both of them it goes out through both.
    plug(&site.lab, &site.web, WORDS).ok();
    add_nic(&site.lab, &["--check"]).ok();
    let rules = site.lab.shell("nft list ruleset").run().ok().stdout_has("oifname { ");
    rules.stdout_has("\"br-inner\"").stdout_has("\"up0\"");
    reaches_from(&site.lab, &site.web, "203.0.113.9");
    reaches_from(&site.lab, &site.web, "198.51.100.9");
}

#[test]
fn each_ip_version_has_its_own_default_route() {
    let site = need!(Site::new());
    let before = everything(&site.lab, &[&site.web]);
    plug(&site.lab, &site.web, WORDS)
        .fails_with(2)
        .stderr_has("--nat: the host has no default route")
        .stderr_has("--nat=all");
    assert_eq!(everything(&site.lab, &[&site.web]), before);
    site.lab.shell("ip route add default via 203.0.113.9").run().ok();
    let both = "10.1.0.2/24 fd00:1::2/64 --gateway 10.1.0.1 --gateway fd00:1::1 --nat";
    plug(&site.lab, &site.web, both).ok();
    reaches_from(&site.lab, &site.web, "203.0.113.9");
    add_nic(&site.lab, &["--check"]).ok();
    site.lab.shell("ip route add default via fd00:203::9").run().ok();
    let said = "--nat applies to no interface, but the host's IPv6 default route uses up0 now";
    add_nic(&site.lab, &["--check"]).fails_with(1).stdout_has(said);
    site.remove();
    plug(&site.lab, &site.web, both).ok();
    reaches_from(&site.lab, &site.web, "fd00:203::9");
}
