//! Nothing comes back: how far it got.

use crate::cable;
use support::skip::need;

/// What is said on standard error about the last word of `words`, without its hint.
#[track_caller]
fn verdict(cable: &crate::Cable, words: &str) -> (String, String) {
    let ran = cable.ping(&format!("{words} -c1 -W0.4")).fails_with(1);
    let (what, hint) = ran.stderr.trim().split_once("\nhint: ").unwrap_or_else(|| panic!("{ran}"));
    (what.to_owned(), hint.to_owned())
}

#[test]
fn a_neighbour_that_is_not_there_is_told_from_one_that_does_not_want() {
    let cable = need!(cable());
    let pid = format!("pid:{}", cable.web.pid);
    let (what, hint) = verdict(&cable, "198.18.0.77");
    assert_eq!(what, "netns-ping: 198.18.0.77: no answer: 198.18.0.77 does not answer ARP on eth0");
    assert_eq!(hint, format!("netns-ping --arp {pid} 198.18.0.77"));
    let (what, _) = verdict(&cable, "fd00::77");
    assert_eq!(
        what,
        "netns-ping: fd00::77: no answer: fd00::77 does not answer neighbour solicitation on eth0"
    );
    cable.inside(&cable.db, "echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all").ok();
    let (what, hint) = verdict(&cable, "198.18.0.2");
    assert!(
        what.contains("no answer: 198.18.0.2 (")
            && what.ends_with(") answers ARP on eth0, but not pings: a firewall there?"),
        "{what}"
    );
    assert_eq!(hint, format!("nsenter-rs -t {pid} -n tcpdump -ni eth0 icmp"));
    let (what, hint) = verdict(&cable, "203.0.113.9");
    assert!(
        what.contains("the router 198.18.0.2 (") && what.ends_with("but no answer comes from beyond it"),
        "{what}"
    );
    assert_eq!(hint, format!("netns-ping {pid} 198.18.0.2"));
}

#[test]
fn a_link_without_its_other_end_up_is_named() {
    let cable = need!(cable());
    cable.db.ip("link set eth0 down");
    let (what, _) = verdict(&cable, "198.18.0.2");
    assert_eq!(what, "netns-ping: 198.18.0.2: no answer: eth0 has no carrier: its other end is down");
}

#[test]
fn a_neighbour_that_never_comes_is_said_by_our_own_kernel_as_ping_shows_it() {
    let cable = need!(cable());
    let (ours, theirs) = (cable.ping("-c1 -w9 198.18.0.77"), cable.their_ping("-c1 -w9 198.18.0.77"));
    let line = "From 198.18.0.1 icmp_seq=1 Destination Host Unreachable\n";
    theirs.fails_with(1).stdout_has(line);
    ours.fails_with(1).stdout_has(line).stderr_has("does not answer ARP on eth0");
}

#[test]
fn a_firewall_in_here_that_lets_nothing_out_is_suspected() {
    let cable = need!(cable());
    let rules = "nft add table t && nft add chain t out '{ type filter hook output priority 0; }' && nft add rule t out ip protocol icmp drop";
    let set = cable.inside(&cable.web, &format!("command -v nft >/dev/null || exit 3; {rules}"));
    let missing = support::skip::Missing::Fixable("nft is not installed (package nftables)".into());
    need!(if set.status.unwrap().code() == Some(3) { Err(missing) } else { Ok(()) });
    set.ok();
    let (what, hint) = verdict(&cable, "198.18.0.2");
    assert!(what.contains("nothing was sent: Operation not permitted"), "{what}");
    assert_eq!(hint, format!("netns-trace pid:{} 198.18.0.2", cable.web.pid));
}

/// The kernel counts such an answer among those that a full socket had no room for.
#[test]
fn what_an_ipsec_policy_keeps_out_is_not_said_to_have_come_too_fast() {
    let cable = need!(cable());
    let policy = "xfrm policy add src 198.18.0.2 dst 198.18.0.1 dir in action block";
    cable.web.ip(policy);
    let ran = cable
        .ping("-c2 -i0.2 -W0.4 198.18.0.2")
        .fails_with(1)
        .stderr_has("the IPsec policy from 198.18.0.2/32 to 198.18.0.1/32 (dir in) blocks it");
    assert!(!ran.stderr.contains("faster than they could be read"), "{ran}");
}
