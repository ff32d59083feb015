//! `--nat` and `--forward`, past filters that drop: nobody's, iptables' of either kind, and Docker's way of setting them up.

use crate::{add_nic, everything, lab, plug, reaches_from};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::{Missing, need, program};

/// A host with a way to a fake outside, 203.0.113.9, that knows no way back to any network of the host's.
pub(crate) struct Site {
    pub(crate) lab: Lab,
    pub(crate) web: Container,
    pub(crate) outside: Container,
}

/// Programs that this kind of filter belongs to.
pub(crate) const KINDS: [&str; 2] = ["nft", "legacy"];

impl Site {
    pub(crate) fn new() -> Result<Site, Missing> {
        program("nft", "nftables")?;
        for kind in KINDS {
            program(&format!("iptables-{kind}"), "iptables")?;
        }
        let lab = lab()?;
        let [web, outside] = ["web", "outside"].map(|name| lab.container(name, Options::only(&["net"])));
        lab.shell(&format!(
            "ip link add up0 up type veth peer name eth0 netns {}
             ip address add 203.0.113.1/24 dev up0; ip address add fd00:203::1/64 dev up0 nodad",
            outside.pid
        ))
        .run()
        .ok();
        outside.ip("address add 203.0.113.9/24 dev eth0");
        outside.ip("address add fd00:203::9/64 dev eth0 nodad");
        outside.ip("link set eth0 up");
        // A new link comes to have IPv6 only some time after it is up.
        lab.shell("until ping -n -c1 -W1 -q fd00:203::9; do sleep 0.02; done").run().ok();
        Ok(Site { lab, web, outside })
    }

    /// As Docker leaves it: a chain for users before its own rules, and what nobody lets through is dropped.
    pub(crate) fn dockers_rules(&self, kind: &str) {
        let script = format!(
            "for iptables in iptables-{kind} ip6tables-{kind}; do
                 $iptables -N DOCKER-USER; $iptables -A DOCKER-USER -j RETURN
                 $iptables -A FORWARD -j DOCKER-USER; $iptables -P FORWARD DROP
             done"
        );
        self.lab.shell(&script).run().ok();
    }

    /// Everybody can still read all rules of both kinds.
    #[track_caller]
    pub(crate) fn iptables_works(&self) {
        // To ask for a table of the old kind makes one.
        let script = "iptables-nft -S; iptables-nft-save; ip6tables-nft -S; iptables-legacy-save
                      ! grep -q filter /proc/net/ip_tables_names || iptables-legacy -S";
        self.lab.shell(script).run().ok();
    }

    #[track_caller]
    pub(crate) fn remove(&self) -> Ran {
        add_nic(&self.lab, &["--rm", &self.web.pid.to_string()]).ok()
    }
}

#[track_caller]
pub(crate) fn does_not_reach(lab: &Lab, container: &Container, address: &str) {
    let mut nsenter = lab.command("nsenter");
    nsenter.args([
        "--target",
        &container.pid.to_string(),
        "--net",
        "--",
        "ping",
        "-n",
        "-c1",
        "-W0.3",
        "-q",
        "--",
    ]);
    nsenter.arg(address).run().fails_with(1);
}

const NAT: &str = "10.1.0.2/24 fd00:1::2/64 --gateway 10.1.0.1 --gateway fd00:1::1 --nat=all";

#[test]
fn nat_leads_out_and_nothing_of_it_stays() {
    let site = need!(Site::new());
    let before = everything(&site.lab, &[&site.web]);
    plug(&site.lab, &site.web, NAT).ok();
    reaches_from(&site.lab, &site.web, "203.0.113.9");
    reaches_from(&site.lab, &site.web, "fd00:203::9");
    // The host itself is met under its own name.
    reaches_from(&site.lab, &site.web, "10.1.0.1");
    plug(&site.lab, &site.web, NAT).ok().stdout_has(", unchanged");
    add_nic(&site.lab, &["--check"]).ok();
    site.iptables_works();
    site.remove();
    assert_eq!(everything(&site.lab, &[&site.web]), before);
}

#[test]
fn nat_passes_filters_that_drop_and_leaves_them_as_they_were() {
    for kind in KINDS {
        let site = need!(Site::new());
        site.dockers_rules(kind);
        let before = everything(&site.lab, &[&site.web]);
        plug(&site.lab, &site.web, &NAT.replace(" --nat=all", "")).ok();
        site.lab.shell("echo 1 >/proc/sys/net/ipv4/ip_forward").run().ok();
        does_not_reach(&site.lab, &site.web, "203.0.113.9");
        site.lab.shell("echo 0 >/proc/sys/net/ipv4/ip_forward").run().ok();
        site.remove();
        plug(&site.lab, &site.web, NAT).ok();
        reaches_from(&site.lab, &site.web, "203.0.113.9");
        reaches_from(&site.lab, &site.web, "fd00:203::9");
        let rules = site.lab.shell(&format!("iptables-{kind} -S DOCKER-USER")).run().ok();
        rules.stdout_has("-s 10.1.0.0/24").stdout_has("--comment \"netns-toolbox:");
        add_nic(&site.lab, &["--check"]).ok();
        site.iptables_works();
        site.remove();
        assert_eq!(everything(&site.lab, &[&site.web]), before, "{kind}");
    }
}

#[test]
fn nat_passes_both_kinds_of_iptables_at_once() {
    let site = need!(Site::new());
    site.dockers_rules("nft");
    site.lab.shell("iptables-legacy -A FORWARD -j REJECT").run().ok();
    let before = everything(&site.lab, &[&site.web]);
    plug(&site.lab, &site.web, NAT).ok();
    reaches_from(&site.lab, &site.web, "203.0.113.9");
    site.lab.shell("iptables-legacy -S FORWARD").run().ok().stdout_has("--comment \"netns-toolbox:");
    site.remove();
    assert_eq!(everything(&site.lab, &[&site.web]), before);
}

#[test]
fn rules_that_somebody_flushed_are_missed_and_their_removal_still_works() {
    let site = need!(Site::new());
    site.dockers_rules("nft");
    let before = everything(&site.lab, &[&site.web]);
    let cases = [
        ("nft delete table inet netns-toolbox", "in the nftables table netns-toolbox are gone"),
        (
            "nft list chains | grep -o 'nic-[^ ]*' | while read c; do nft flush chain inet netns-toolbox $c; done",
            "in the nftables table netns-toolbox are gone",
        ),
        ("iptables-nft -D DOCKER-USER 1", "its rule in iptables-nft's DOCKER-USER is gone"),
        (
            "iptables-nft -F DOCKER-USER; iptables-nft -A DOCKER-USER -j RETURN",
            "its rule in iptables-nft's DOCKER-USER is gone",
        ),
        ("echo 0 >/proc/sys/net/ipv4/ip_forward", "net/ipv4/ip_forward is 0, not 1"),
        ("iptables-legacy -P FORWARD DROP", "iptables-legacy's FORWARD now drops"),
    ];
    for (change, missed) in cases {
        plug(&site.lab, &site.web, NAT).ok();
        site.lab.shell(change).run().ok();
        add_nic(&site.lab, &["--check"]).fails_with(1).stdout_has(missed);
        plug(&site.lab, &site.web, NAT).fails_with(2).stderr_has("exists, but was changed");
        site.remove();
        if !change.contains("legacy") {
            assert_eq!(everything(&site.lab, &[&site.web]), before, "{change}");
        }
    }
}

#[test]
fn what_several_nics_need_goes_with_the_last() {
    let site = need!(Site::new());
    let before = everything(&site.lab, &[&site.web]);
    for order in [["eth0", "eth1"], ["eth1", "eth0"]] {
        plug(&site.lab, &site.web, "10.1.0.2/24 --gateway 10.1.0.1 --nat=all").ok();
        plug(&site.lab, &site.web, "10.2.0.2/24 --nat=all").ok();
        let pid = site.web.pid.to_string();
        add_nic(&site.lab, &["--rm", &pid, order[0]]).ok();
        site.lab.command("cat").arg("/proc/sys/net/ipv4/ip_forward").run().ok().stdout_is("1\n");
        let rest = if order[0] == "eth0" { "10.2.0.0/24" } else { "10.1.0.0/24" };
        site.lab.shell("nft list table inet netns-toolbox").run().ok().stdout_has(rest);
        add_nic(&site.lab, &["--check"]).ok();
        add_nic(&site.lab, &["--rm", &pid, order[1]]).ok();
        assert_eq!(everything(&site.lab, &[&site.web]), before, "{order:?}");
    }
}

#[test]
fn forwarding_goes_back_exactly_to_what_it_was() {
    let site = need!(Site::new());
    // One link that forwarded although the host did not, and redirects that were switched off: the kernel changes both.
    let script =
        "echo 1 >/proc/sys/net/ipv4/conf/up0/forwarding; echo 0 >/proc/sys/net/ipv4/conf/all/accept_redirects
                  echo 1 >/proc/sys/net/ipv6/conf/up0/forwarding";
    site.lab.shell(script).run().ok();
    let before = everything(&site.lab, &[&site.web]);
    plug(&site.lab, &site.web, NAT).ok();
    assert_ne!(everything(&site.lab, &[&site.web]), before);
    site.remove();
    assert_eq!(everything(&site.lab, &[&site.web]), before);
}

#[test]
fn a_host_that_lives_by_router_advertisements_keeps_its_default_route() {
    let site = need!(Site::new());
    site.lab.shell("ip -6 route add default via fd00:203::9 dev up0 proto ra").run().ok();
    let before = everything(&site.lab, &[&site.web]);
    plug(&site.lab, &site.web, NAT).ok();
    site.lab.shell("cat /proc/sys/net/ipv6/conf/up0/accept_ra").run().ok().stdout_is("2\n");
    site.remove();
    assert_eq!(everything(&site.lab, &[&site.web]), before);
}

#[test]
fn what_a_dead_container_leaves_in_filters_is_swept() {
    let mut site = need!(Site::new());
    site.dockers_rules("nft");
    let other = site.lab.container("other", Options::only(&["net"]));
    let before = everything(&site.lab, &[]);
    plug(&site.lab, &site.web, NAT).ok();
    let end = format!("pid{}-eth0", site.web.pid);
    site.web.stop();
    let host_end = || site.lab.command("ip").args(["link", "show", &end]).run();
    support::until::until("the host's end is gone", || {
        host_end().status.is_some_and(|ended| !ended.success())
    });
    plug(&site.lab, &other, "10.9.0.2/24").ok();
    add_nic(&site.lab, &["--rm", &other.pid.to_string()]).ok();
    assert_eq!(everything(&site.lab, &[]), before);
}

#[test]
fn nat_that_cannot_be_is_refused() {
    let site = need!(Site::new());
    let before = everything(&site.lab, &[&site.web]);
    let refused = |words: &str, why: &str| {
        plug(&site.lab, &site.web, words).fails_with(2).stderr_has(why);
        assert_eq!(everything(&site.lab, &[&site.web]), before, "{words}");
    };
    refused("10.1.0.2/24 --nat=all --host-addr none", "--nat: the host has no address in 10.1.0.0/24");
    refused("10.1.0.2/24 --nat=all --host-name lan+", "--nat: lan+ cannot be named in a firewall rule");
    refused("10.1.0.2/24 --forward", "--bridge <BR>");
    refused("10.1.0.2/24 --nat=all --macvlan up0", "--nat: its traffic does not pass through the host");
    refused(
        &format!("10.1.0.2/24 --nat=all --peer {}", site.outside.pid),
        "--nat: its traffic does not pass through the host",
    );
    add_nic(&site.lab, &["1", "10.1.0.2/24", "--nat=all", "--host"])
        .fails_with(2)
        .stderr_has("--nat: both ends are in");
}

#[test]
fn a_missing_program_is_known_before_anything_is_touched() {
    let site = need!(Site::new());
    site.dockers_rules("nft");
    let before = everything(&site.lab, &[&site.web]);
    let missing = |program: &str, why: &str| {
        // The lab has a mount namespace of its own: nobody else misses it.
        let script =
            format!("for file in $(readlink -f /usr/sbin/{program}); do mount --bind /dev/null $file; done");
        site.lab.shell(&script).run().ok();
        plug(&site.lab, &site.web, NAT)
            .fails_with(2)
            .stderr_has(why)
            .stderr_has("hint: install the package ");
        site.lab.shell(&format!("umount $(readlink -f /usr/sbin/{program})")).run().ok();
        assert_eq!(everything(&site.lab, &[&site.web]), before, "{program}");
    };
    missing("nft", "--nat: nft is not installed");
    missing("iptables-nft", "--nat: cannot add a rule to iptables-nft: iptables-nft is not installed");
}

#[test]
fn what_a_dry_run_shows_does_it_and_undoes_it() {
    for words in [
        NAT,
        "10.1.0.2/24 --bridge br1 --create --forward --nat=all --publish 8080:80 --publish 203.0.113.1:53:53/udp",
    ] {
        let site = need!(Site::new());
        site.dockers_rules("nft");
        site.lab.shell("iptables-legacy -P FORWARD DROP").run().ok();
        let before = everything(&site.lab, &[&site.web]);
        let shown = plug(&site.lab, &site.web, &format!("{words} --dry-run")).ok().stdout;
        assert_eq!(everything(&site.lab, &[&site.web]), before);
        plug(&site.lab, &site.web, words).ok();
        let done = rules_without_names(&site);
        let undo = add_nic(&site.lab, &["--rm", "--dry-run", &site.web.pid.to_string()]).ok().stdout;
        site.lab.shell(&undo).run().ok();
        assert_eq!(everything(&site.lab, &[&site.web]), before, "{undo}");
        site.remove();
        site.lab.shell(&shown).run().ok();
        assert_eq!(rules_without_names(&site), done, "{shown}");
        if words == NAT {
            reaches_from(&site.lab, &site.web, "203.0.113.9");
        }
    }
}

/// All rules of the host, the names of NICs' records left out.
fn rules_without_names(site: &Site) -> String {
    let script = "nft list ruleset | sed 's/[0-9a-f]\\{12\\}/ID/g; s/2[45][0-9]\\.[0-9.]*/ANCHOR/g; s/100::[0-9a-f:]*/ANCHOR/g; s/packets [0-9]* bytes [0-9]*//'
                  iptables-legacy -S | sed 's/[0-9a-f]\\{12\\}/ID/g'";
    site.lab.shell(script).run().ok().stdout
}

/// A bridge whose ports' packets are given to iptables, with `a` on it by hand.
pub(crate) fn bridged(site: &Site) -> Container {
    let a = site.lab.container("a", Options::only(&["net"]));
    site.lab
        .shell(&format!(
            "ip link add br1 up type bridge; ip address add 10.1.0.1/24 dev br1
             ip link add a-port up master br1 type veth peer name eth0 netns {}
             echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables",
            a.pid
        ))
        .run()
        .ok();
    a.ip("address add 10.1.0.9/24 dev eth0");
    a.ip("link set eth0 up");
    a
}

pub(crate) fn bridge_netfilter(site: &Site) -> Result<(), Missing> {
    match site.lab.path("/proc/sys/net/bridge").exists() {
        true => Ok(()),
        false => Err(Missing::ForGood("the kernel has no br_netfilter".into())),
    }
}

#[test]
fn those_on_a_bridge_reach_each_other_only_with_forward() {
    for kind in KINDS {
        let site = need!(Site::new());
        need!(bridge_netfilter(&site));
        site.dockers_rules(kind);
        let a = bridged(&site);
        let before = everything(&site.lab, &[&site.web, &a]);
        plug(&site.lab, &site.web, "10.1.0.2/24 --bridge br1").ok();
        does_not_reach(&site.lab, &site.web, "10.1.0.9");
        site.remove();
        plug(&site.lab, &site.web, "10.1.0.2/24 --bridge br1 --forward").ok();
        reaches_from(&site.lab, &site.web, "10.1.0.9");
        reaches_from(&site.lab, &a, "10.1.0.2");
        add_nic(&site.lab, &["--check"]).ok();
        site.iptables_works();
        site.remove();
        assert_eq!(everything(&site.lab, &[&site.web, &a]), before, "{kind}");
    }
}

#[test]
fn forward_changes_nothing_where_nothing_drops() {
    let site = need!(Site::new());
    let _a = bridged(&site);
    let ruleset = || site.lab.shell("nft list ruleset; iptables-legacy-save").run().ok().stdout;
    let before = ruleset();
    plug(&site.lab, &site.web, "10.1.0.2/24 --bridge br1 --forward").ok();
    assert_eq!(ruleset(), before);
    reaches_from(&site.lab, &site.web, "10.1.0.9");
}
