//! "Reachable" is true when it is said: for the very next packet, from either side, and for who remembers somebody else.

use std::time::{Duration, Instant};

use crate::bridge::by_hand;
use crate::{PING, add_nic, lab, plug};
use support::container::Options;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::until::as_busy;

/// Some hundred times by hand, with never a packet lost.
const TIMES: u32 = 20;

/// Plugs in, and pings both ways as the very next thing; says which was lost.
fn script(lab: &Lab, pid: i32, words: &str) -> String {
    let tool = support::tools::tool("add-nic");
    let ping = format!("ping {}", PING.join(" "));
    let script = format!(
        "for round in $(seq {TIMES}); do
            {tool} {pid} {words} >/dev/null
            {ping} 10.1.0.2 >/dev/null || echo round $round: 10.1.0.2
            nsenter --target {pid} --net {ping} 10.1.0.1 >/dev/null || echo round $round: 10.1.0.1
            {tool} --rm {pid} >/dev/null
            {tool} {pid} {words} >/dev/null
            {ping} fd00:1::2 >/dev/null || echo round $round: fd00:1::2
            nsenter --target {pid} --net {ping} fd00:1::1 >/dev/null || echo round $round: fd00:1::1
            {tool} --rm {pid} >/dev/null
            {tool} {pid} {words} >/dev/null
            nsenter --target {pid} --net {ping} fd00:1::1 >/dev/null || echo round $round: fd00:1::1 first
            {tool} --rm {pid} >/dev/null
        done"
    );
    lab.shell(&script).run_within(Duration::from_secs(300)).ok().stdout
}

#[test]
fn the_very_next_packet_is_answered_on_a_cable() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    assert_eq!(script(&lab, web.pid, "10.1.0.2/24 fd00:1::2/64"), "");
}

#[test]
fn the_very_next_packet_is_answered_on_a_bridge() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    assert_eq!(script(&lab, web.pid, "10.1.0.2/24 fd00:1::2/64 --bridge br1 --create"), "");
    let _neighbour = by_hand(&lab, "other", "br0", "10.1.0.9/24");
    lab.shell("ip address add 10.1.0.1/24 dev br0; ip address add fd00:1::1/64 dev br0 nodad").run().ok();
    assert_eq!(script(&lab, web.pid, "10.1.0.2/24 fd00:1::2/64 --bridge br0"), "");
}

#[test]
fn what_is_routed_there_arrives_too() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    // Other addresses of the host's, and not those of the cable: the kernel asks for neighbours in another way then.
    lab.shell("ip address add 172.31.0.1/32 dev lo; ip address add fd00:31::1/128 dev lo").run().ok();
    for end in ["", "--bridge br1 --create"] {
        let words = format!("10.1.0.2/24 fd00:1::2/64 --gateway 10.1.0.1 --gateway fd00:1::1 {end}");
        for (from, to) in [("172.31.0.1", "10.1.0.2"), ("fd00:31::1", "fd00:1::2")] {
            plug(&lab, &web, &words).ok();
            lab.command("ping").args(["-I", from]).args(PING).arg(to).run().ok();
            add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
        }
    }
}

#[test]
fn a_bridge_that_learns_is_not_called_reachable() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    lab.shell("ip link add br0 up type bridge stp_state 1").run().ok();
    let made = plug(&lab, &web, "10.1.0.2/24 --bridge br0").ok();
    let made = made.stderr_has("br0: runs the spanning tree protocol").stdout_has(", added in ");
    assert!(!made.stdout.contains("reachable"), "{made}");
}

#[test]
fn a_default_route_that_comes_second_is_said_to() {
    let lab = need!(lab());
    let [web, router] = ["web", "router"].map(|name| lab.container(name, Options::only(&["net"])));
    lab.veth((&web, "198.18.0.2/24"), (&router, "198.18.0.1/24"));
    web.ip("route add default via 198.18.0.1 dev eth0 metric 5");
    let second = plug(&lab, &web, "10.1.0.2/24 --gateway 10.1.0.1 --metric 9").ok();
    second.stderr_has("eth1: traffic to other networks still leaves by eth0, which takes precedence");
    plug(&lab, &web, "10.2.0.2/24 --gateway 10.2.0.1").ok().stderr_is("");
    web.ip("rule add from all lookup 7");
    web.ip("route add default via 198.18.0.1 dev eth0 table 7");
    let ruled = plug(&lab, &web, "10.3.0.2/24 --gateway 10.3.0.1 --metric 1").ok();
    ruled.stderr_has("eth3: traffic to other networks still leaves by eth0, which takes precedence");
}

/// Milliseconds from a command's return until the first reply to a ping each two milliseconds.
fn first_reply(lab: &Lab, enter: &str, address: &str) -> Duration {
    let since = Instant::now();
    let ping = format!("{enter} ping -n -q -i 0.002 -c 1 -w 9 {address}");
    lab.shell(&ping).run().ok();
    since.elapsed()
}

#[test]
fn a_re_used_address_answers_at_once_although_neighbours_remember_another() {
    let lab = need!(lab());
    let neighbour = by_hand(&lab, "other", "br0", "10.1.0.3/24");
    neighbour.ip("address add fd00:1::3/64 dev eth0 nodad");
    lab.shell("ip address add 10.1.0.1/24 dev br0; ip address add fd00:1::1/64 dev br0 nodad").run().ok();
    let web = lab.container("web", Options::only(&["net"]));
    let from_neighbour = format!("nsenter --target {} --net", neighbour.pid);
    // As sure of it as if somebody had just answered, or had a while ago.
    for state in ["reachable", "stale"] {
        for (enter, link) in [("", "br0"), (from_neighbour.as_str(), "eth0")] {
            for address in ["10.1.0.2", "fd00:1::2"] {
                let remember = format!(
                    "{enter} ip neigh replace {address} lladdr 02:00:00:00:00:99 dev {link} nud {state}"
                );
                let words = "10.1.0.2/24 fd00:1::2/64 --bridge br0";
                lab.shell(&remember).run().ok();
                plug(&lab, &web, words).ok();
                let took = first_reply(&lab, enter, address);
                // arp_notify alone takes eight seconds; an idle machine some ten milliseconds, most of them ping's.
                assert!(took < as_busy(Duration::from_secs(2)), "{enter} {address} {state}: {took:?}");
                add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
                lab.shell(&remember).run().ok();
                plug(&lab, &web, &format!("{words} --no-announce")).ok();
                let heard = lab.shell(&format!("{enter} ping -n -q -c 1 -W 0.3 {address}")).run();
                // The host itself has asked, in order to say "reachable".
                if enter.is_empty() {
                    heard.ok()
                } else {
                    heard.fails_with(1)
                };
                add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
            }
        }
    }
}
