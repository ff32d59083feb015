//! What others did in between: programs that are gone, rules that were edited, a peer that vanished, a bridge that is something else.
//! Each is one clear error or the right result, and nothing of a stranger's is touched. Observers: as `everything` has it.

use crate::firewall::Site;
use crate::{add_nic, everything, lab, plug};
use support::container::Options;
use support::run::Run;
use support::skip::need;

const RULES: &str = "10.1.0.2/24 --gateway 10.1.0.1 --nat=all --publish 8080:80";

#[test]
fn a_removal_without_nft_changes_nothing_and_names_it() {
    let site = need!(Site::new());
    let before = everything(&site.lab, &[&site.web]);
    plug(&site.lab, &site.web, RULES).ok();
    let added = everything(&site.lab, &[&site.web]);
    let pid = site.web.pid.to_string();
    site.lab.shell("mount --bind /dev/null $(readlink -f /usr/sbin/nft)").run().ok();
    let refused = add_nic(&site.lab, &["--rm", &pid]).fails_with(2).stdout_is("");
    refused.stderr_has("nft: not installed").stderr_has("nothing was removed");
    // Nor is it changed.
    plug(&site.lab, &site.web, "10.1.0.2/24 --replace --mtu 1400")
        .fails_with(2)
        .stderr_has("nft: not installed")
        .stderr_has("nothing was changed");
    site.lab.shell("umount $(readlink -f /usr/sbin/nft)").run().ok();
    assert_eq!(everything(&site.lab, &[&site.web]), added);
    add_nic(&site.lab, &["--check"]).ok();
    site.remove();
    assert_eq!(everything(&site.lab, &[&site.web]), before);
}

#[test]
fn rules_that_others_edited_are_named_and_what_is_theirs_stays() {
    for kind in ["nft", "legacy"] {
        let site = need!(Site::new());
        site.dockers_rules(kind);
        plug(&site.lab, &site.web, RULES).ok();
        let iptables = format!("iptables-{kind}");
        // One rule is gone, one is another's in our chain, one chain in our table is another's, and one accept rule was edited.
        let edit = format!(
            "chain=$(nft list table inet netns-toolbox | sed -n 's/.*chain \\(nic-[^ ]*-prerouting\\) .*/\\1/p')
             nft flush chain inet netns-toolbox $chain; nft add rule inet netns-toolbox $chain tcp dport 1 counter
             nft 'add chain inet netns-toolbox theirs; add rule inet netns-toolbox theirs counter'
             rule=$({iptables} -S DOCKER-USER | grep netns-toolbox: | head -1); number=${{rule##*:}}
             echo \"$rule\" | sed 's/^-A/-D/' | xargs {iptables}
             echo \"$rule\" | sed 's/^-A DOCKER-USER/-A DOCKER-USER -d 192.0.2.0\\/24/' | xargs {iptables}
             {iptables} -S DOCKER-USER | grep 192.0.2"
        );
        let edited = site.lab.shell(&edit).run().ok().text().to_owned();
        add_nic(&site.lab, &["--check"]).fails_with(1).stdout_has("rules of ").stdout_has(" are gone");
        let removed = site.remove();
        removed
            .stderr_has("was changed by others and stays")
            .stderr_has(&format!("{iptables} -D DOCKER-USER "));
        let left = site
            .lab
            .shell(&format!("nft list table inet netns-toolbox; {iptables} -S DOCKER-USER"))
            .run()
            .ok()
            .stdout;
        assert!(left.contains("chain theirs") && !left.contains("nic-"), "{left}");
        assert_eq!(left.matches("netns-toolbox:").count(), 1, "{left}");
        assert!(left.contains(&edited), "{left}");
    }
}

#[test]
fn a_flush_in_between_leaves_nothing_to_remove_but_the_nic() {
    for flush in ["nft flush ruleset", "iptables -F; iptables -X; nft flush table inet netns-toolbox"] {
        let site = need!(Site::new());
        let before = everything(&site.lab, &[&site.web]);
        site.dockers_rules("nft");
        plug(&site.lab, &site.web, RULES).ok();
        site.lab.shell(flush).run().ok();
        add_nic(&site.lab, &["--check"]).fails_with(1);
        site.remove();
        site.lab.shell("nft flush ruleset").run().ok();
        assert_eq!(everything(&site.lab, &[&site.web]), before, "{flush}");
    }
}

#[test]
fn a_peer_that_vanished_or_moved_on_leaves_nothing() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let before = everything(&lab, &[&web]);
    let pid = web.pid.to_string();
    for rm in [true, false] {
        let db = lab.container("db", Options::only(&["net"]));
        plug(&lab, &web, &format!("10.1.0.2/24 --peer {}", db.pid)).ok();
        lab.shell(&format!("kill -KILL {}; until ! ip -n web link show 2>/dev/null; do break; done", db.pid))
            .run()
            .ok();
        support::until::until("the pair is gone with its peer", || {
            !web.ip("link show").stdout.contains("eth0")
        });
        if rm {
            add_nic(&lab, &["--rm", &pid]).ok();
        } else {
            add_nic(&lab, &["--check"]).fails_with(1).stdout_has("eth0: no longer exists");
        }
        add_nic(&lab, &["--check"]).ok().stdout_is("");
        assert_eq!(everything(&lab, &[&web]), before);
    }
    // Its end is moved to a third network.
    let (db, third) =
        (lab.container("db2", Options::only(&["net"])), lab.container("third", Options::only(&["net"])));
    let all = everything(&lab, &[&web, &db, &third]);
    plug(&lab, &web, &format!("10.1.0.2/24 --peer {} --peer-name far", db.pid)).ok();
    lab.shell(&format!("nsenter --target {} --net ip link set far netns {}", db.pid, third.pid)).run().ok();
    add_nic(&lab, &["--check"]).fails_with(1);
    add_nic(&lab, &["--rm", &pid]).ok();
    assert_eq!(everything(&lab, &[&web, &db, &third]), all);
    assert_eq!(add_nic(&lab, &["--list", "--json"]).ok().json(), serde_json::json!([]));
}

/// The link of that name, without timers.
const THEIRS: &str = "ip -o -4 address show br1; ip -o link show br1 | sed 's/ state [A-Z]*//; s/,LOWER_UP//; s/NO-CARRIER,//'; cat /sys/class/net/br1/address";

#[test]
fn a_bridge_that_is_something_else_by_now_is_not_touched() {
    // Ours, and one that was there before; a veth, a macvlan, a VLAN-less bridge of others; with the MAC address of the old one.
    let kinds = ["type veth peer name br1far", "link lan0 type macvlan", "type bridge"];
    for (create, kind) in [true, false].into_iter().flat_map(|create| kinds.map(|kind| (create, kind))) {
        let lab = need!(lab());
        let web = lab.container("web", Options::only(&["net"]));
        lab.shell("ip link add lan0 up type veth peer name lan1").run().ok();
        let words = if create {
            "10.1.0.2/24 --bridge br1 --create --host-addr 10.1.0.1"
        } else {
            lab.shell("ip link add br1 up type bridge").run().ok();
            "10.1.0.2/24 --bridge br1 --host-addr 10.1.0.1"
        };
        plug(&lab, &web, words).ok();
        let script = format!(
            "mac=$(cat /sys/class/net/br1/address); ip link del br1
             ip link add br1 {} {}; ip link set br1 up; ip address add 10.1.0.1/24 dev br1; ip link set br1 alias theirs",
            if kind == "type bridge" { "" } else { "address $mac" },
            kind
        );
        lab.shell(&script).run().ok();
        let theirs = lab.shell(THEIRS).run().ok().stdout;
        let pid = web.pid.to_string();
        add_nic(&lab, &["--check"]).fails_with(1);
        let refused = add_nic(&lab, &["--repair", &pid]).fails_with(1);
        refused.stderr_has("cannot be repaired in place");
        if kind != "type bridge" {
            plug(&lab, &web, "10.1.0.3/24 --name other --bridge br1")
                .fails_with(2)
                .stderr_has("br1: not a bridge");
        }
        add_nic(&lab, &["--rm", &pid]).ok().stdout_has(" removed\n");
        assert_eq!(lab.shell(THEIRS).run().ok().stdout, theirs, "{create} {kind}");
        assert!(!web.ip("link show").stdout.contains("eth0"));
        assert_eq!(add_nic(&lab, &["--list", "--json"]).ok().json(), serde_json::json!([]));
    }
}
