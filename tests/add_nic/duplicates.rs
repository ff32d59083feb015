//! Somebody else who has the address, or is about to.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::bridge::by_hand;
use crate::{add_nic, everything, lab, neighbour, plug};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::{Missing, need, program};
use support::until::{as_busy, until};

/// A container that is to be plugged into `br0`, and a neighbour there who counts the questions and announcements about
/// 10.1.0.2 and fd00:1::2 that reach him.
struct Scene {
    lab: Lab,
    web: Container,
    neighbour: Container,
}

const ADDRESSES: &str = "10.1.0.2/24 fd00:1::2/64 --bridge br0";

/// In the order in which they are counted.
const COUNTED: &str = "
table arp t {
 chain c {
  type filter hook input priority 0
  arp operation request arp saddr ip 0.0.0.0 arp daddr ip 10.1.0.2 counter
  arp saddr ip 10.1.0.2 arp daddr ip 10.1.0.2 counter
 }
}
table ip6 t {
 chain c {
  type filter hook prerouting priority 0
  icmpv6 type nd-neighbor-solicit ip6 saddr :: ip6 daddr ff02::1:ff00:2 counter
  icmpv6 type nd-neighbor-advert ip6 saddr fd00:1::2 ip6 daddr ff02::1 counter
 }
}
";

impl Scene {
    fn new() -> Result<Scene, Missing> {
        program("nft", "nftables")?;
        let lab = lab()?;
        let neighbour = by_hand(&lab, "neighbour", "br0", "10.1.0.9/24");
        neighbour.ip("address add fd00:1::9/64 dev eth0 nodad");
        // What the host asks in order to reach it comes from these, and is not counted.
        lab.shell("ip address add 10.1.0.8/24 dev br0; ip address add fd00:1::8/64 dev br0 nodad").run().ok();
        fs::write(lab.path("/run/counted"), COUNTED).unwrap();
        let pid = neighbour.pid.to_string();
        lab.command("nsenter")
            .args(["--target", &pid, "--net", "--", "nft", "-f", "/run/counted"])
            .run()
            .ok();
        let web = lab.container("web", Options::only(&["net"]));
        Ok(Scene { lab, web, neighbour })
    }

    /// How often each has come.
    fn counted(&self) -> Vec<u32> {
        let mut nsenter = self.lab.command("nsenter");
        nsenter.args(["--target", &self.neighbour.pid.to_string(), "--net", "--", "nft", "list", "ruleset"]);
        let rules = nsenter.run().ok().stdout;
        let words: Vec<&str> = rules.split_whitespace().collect();
        words.windows(2).filter(|two| two[0] == "packets").map(|two| two[1].parse().unwrap()).collect()
    }

    /// So often, by now or soon: the kernel may deliver a packet only after it was sent.
    #[track_caller]
    fn has_counted(&self, expected: [u32; 4]) {
        let total: u32 = expected.iter().sum();
        until("all questions and announcements have come", || self.counted().iter().sum::<u32>() >= total);
        assert_eq!(self.counted(), expected);
    }

    /// add-nic, as it asks for the first time.
    fn asks(&self, words: &str) -> RunningProgram {
        let mut add = self.lab.tool("add-nic");
        let running = add.arg(self.web.pid.to_string()).args(words.split_whitespace()).start();
        until("it asks", || self.counted().iter().any(|count| *count != 0));
        running
    }
}

#[test]
fn a_quick_look_asks_once_and_announces_once() {
    let scene = need!(Scene::new());
    plug(&scene.lab, &scene.web, ADDRESSES).ok();
    scene.has_counted([1, 1, 1, 1]);
}

#[test]
fn who_wants_no_look_and_no_announcement_is_silent() {
    let scene = need!(Scene::new());
    plug(&scene.lab, &scene.web, &format!("{ADDRESSES} --no-dad --no-announce")).ok();
    add_nic(&scene.lab, &["--rm", &scene.web.pid.to_string()]).ok();
    plug(&scene.lab, &scene.web, &format!("{ADDRESSES} --no-dad --announce 0")).ok();
    scene.has_counted([0, 0, 0, 0]);
}

#[test]
fn a_full_look_asks_three_times_in_as_many_seconds_as_rfc_5227_has() {
    let scene = need!(Scene::new());
    let began = Instant::now();
    plug(&scene.lab, &scene.web, &format!("{ADDRESSES} --dad=full")).ok();
    // One to two seconds, twice, and two more.
    assert!(began.elapsed() >= Duration::from_secs(4), "{:?}", began.elapsed());
    // And the quick one once more, for what was meanwhile.
    scene.has_counted([4, 1, 4, 1]);
    // What is there already is not asked about again.
    plug(&scene.lab, &scene.web, &format!("{ADDRESSES} --dad=full")).ok().stdout_has(", unchanged");
    scene.has_counted([4, 1, 4, 1]);
}

#[test]
fn who_takes_the_address_in_the_middle_of_a_full_look_is_noticed() {
    let scene = need!(Scene::new());
    // The kernel waits for up to that long before it asks, and gives the address up without a word where our question comes first.
    let at_once = "echo 0 >/proc/sys/net/ipv6/conf/eth0/router_solicitation_delay";
    scene.neighbour.command("sh").args(["-c", at_once]).run().ok();
    let before = everything(&scene.lab, &[&scene.web]);
    for (words, taken, does) in [
        ("10.1.0.2/24 --bridge br0 --dad=full", "10.1.0.2/24", "already in use by "),
        // The kernel asks who has it, as we do.
        ("fd00:1::2/64 --bridge br0 --dad=full", "fd00:1::2/64", "requested at the same time by "),
    ] {
        let asking = scene.asks(words);
        scene.neighbour.ip(&format!("address add {taken} dev eth0"));
        let refused = asking.finish().fails_with(2).stdout_is("");
        refused.stderr_has(does).stderr_has("(pid ").stderr_has(") on br0\n");
        scene.neighbour.ip(&format!("address del {taken} dev eth0"));
        assert_eq!(everything(&scene.lab, &[&scene.web]), before, "{words}");
    }
}

#[test]
fn a_full_look_ends_at_once_when_it_is_told_to_and_has_changed_nothing() {
    let scene = need!(Scene::new());
    let before = everything(&scene.lab, &[&scene.web]);
    let asking = scene.asks(&format!("{ADDRESSES} --dad=full"));
    let told = Instant::now();
    asking.signal_behind_nsenter(Signal::SIGINT);
    let ended = asking.finish();
    assert!(told.elapsed() < as_busy(Duration::from_secs(3)), "{:?}", told.elapsed());
    ended.stdout_is("").stderr_is("");
    assert_eq!(everything(&scene.lab, &[&scene.web]), before);
    assert!(!scene.lab.path("/run/netns-toolbox").exists(), "nothing was to be undone yet");
}

#[test]
fn a_full_look_keeps_nobody_else_waiting() {
    let scene = need!(Scene::new());
    let other = scene.lab.container("other", Options::only(&["net"]));
    let asking = scene.asks(&format!("{ADDRESSES} --dad=full"));
    plug(&scene.lab, &other, "10.7.0.2/24").ok();
    // Who took the address meanwhile keeps it.
    plug(&scene.lab, &other, "10.1.0.2/24 --bridge br0").ok();
    let refused = asking.finish().fails_with(2).stdout_is("");
    refused.stderr_has("10.1.0.2: ");
}

#[test]
fn a_bridge_with_nobody_on_it_is_not_asked() {
    let scene = need!(Scene::new());
    let began = Instant::now();
    for (before, words) in [
        ("true", "10.3.0.2/24 --bridge br3 --create --dad=full"),
        ("ip link add br4 up type bridge", "10.4.0.2/24 --bridge br4 --dad=full"),
        ("ip link set neighbour-port down", "10.1.0.2/24 --bridge br0 --dad=full"),
    ] {
        scene.lab.shell(before).run().ok();
        plug(&scene.lab, &scene.web, words).ok();
    }
    assert!(began.elapsed() < as_busy(Duration::from_secs(4)), "{:?}", began.elapsed());
}

#[test]
fn each_announcement_is_sent_and_the_nic_works_meanwhile() {
    let scene = need!(Scene::new());
    let mut add = scene.lab.tool("add-nic");
    let words = format!("{ADDRESSES} --announce 3");
    let since = Instant::now();
    let announcing = add.arg(scene.web.pid.to_string()).args(words.split_whitespace()).start();
    announcing.wait_for("reachable after");
    crate::reaches_from(&scene.lab, &scene.neighbour, "10.1.0.2");
    // Nobody is kept waiting for the others.
    let other = scene.lab.container("other", Options::only(&["net"]));
    plug(&scene.lab, &other, "10.7.0.2/24").ok();
    announcing.finish().ok();
    assert!(since.elapsed() >= Duration::from_secs(4), "two seconds between each: {:?}", since.elapsed());
    scene.has_counted([1, 3, 1, 3]);
}

#[test]
fn a_signal_between_announcements_leaves_the_nic_as_it_is() {
    let scene = need!(Scene::new());
    let mut add = scene.lab.tool("add-nic");
    let words = format!("{ADDRESSES} --announce 60");
    let announcing = add.arg(scene.web.pid.to_string()).args(words.split_whitespace()).start();
    announcing.wait_for("reachable after");
    announcing.signal_behind_nsenter(Signal::SIGTERM);
    announcing.finish();
    add_nic(&scene.lab, &["--check"]).ok();
    crate::reaches_from(&scene.lab, &scene.neighbour, "10.1.0.2");
}

#[test]
fn a_full_look_from_the_nic_itself_ends_at_once_too() {
    let lab = need!(lab());
    let (_neighbour, web) = (neighbour(&lab), lab.container("web", Options::only(&["net"])));
    let before = everything(&lab, &[&web]);
    let mut add = lab.tool("add-nic");
    let words = "10.1.0.2/24 --macvlan lan0 --dad=full";
    let asking = add.arg(web.pid.to_string()).args(words.split_whitespace()).start();
    let list = lab.path(format!("/proc/{}/net/packet", web.pid));
    until("it has a packet socket", || fs::read_to_string(&list).unwrap().lines().count() >= 2);
    let told = Instant::now();
    asking.signal_behind_nsenter(Signal::SIGINT);
    asking.finish().stderr_has("interrupted; rolled back");
    assert!(told.elapsed() < as_busy(Duration::from_secs(3)), "{:?}", told.elapsed());
    assert_eq!(everything(&lab, &[&web]), before);
}
