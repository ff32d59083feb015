//! Those who stay on a bridge while an interface of ours goes keep their gateway. Observer: `ping`, which counts.

use crate::bridge::by_hand;
use crate::{add_nic, lab, plug};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::need;

/// 50 pings, one each 0.2 s.
const PINGS: &str = "-n -q -i0.2 -c50 -W2";

fn mac_of(lab: &Lab, link: &str) -> String {
    let shown = lab.command("ip").args(["-j", "link", "show", link]).run().ok().json();
    shown[0]["address"].as_str().unwrap().to_owned()
}

fn pinging(lab: &Lab, from: &Container, to: &str) -> RunningProgram {
    let ping = format!("nsenter --target {} --net -- ping {PINGS} {to}", from.pid);
    lab.shell(&ping).start()
}

#[track_caller]
fn lost_nothing(ping: RunningProgram) {
    ping.finish().ok().stdout_has("50 packets transmitted, 50 received");
}

/// A bridge as `ip link add` makes it, with an address and nobody on it.
fn bridge(lab: &Lab) {
    lab.shell("ip link add br0 up type bridge; ip address add 10.1.0.1/24 dev br0").run().ok();
}

#[test]
fn nobody_loses_the_gateway_when_an_interface_is_removed_or_its_container_dies() {
    let lab = need!(lab());
    bridge(&lab);
    let before = mac_of(&lab, "br0");
    let mut all: Vec<Container> =
        ["a", "b", "c", "d"].map(|name| lab.container(name, Options::only(&["net"]))).into();
    for (at, container) in all.iter().enumerate() {
        plug(&lab, container, &format!("10.1.0.{}/24 --bridge br0", at + 2)).ok().stderr_is("");
    }
    assert_eq!(mac_of(&lab, "br0"), before);
    let staying = all.pop().unwrap();
    let ping = pinging(&lab, &staying, "10.1.0.1");
    let mut dying = all.pop().unwrap();
    for removed in &all {
        add_nic(&lab, &["--rm", &removed.pid.to_string()]).ok();
    }
    dying.stop();
    lab.shell("while ip link show c-eth0; do sleep 0.02; done 2>/dev/null").run().ok();
    lost_nothing(ping);
    assert_eq!(mac_of(&lab, "br0"), before);
}

/// A port that does not go with a container, with a low address, as hardware has.
const LASTING_PORT: &str = "ip link add lasting up address 02:00:00:00:00:02 type vxlan id 9 dstport 4789 dev lo; ip link set lasting master br0";

#[test]
fn nobody_loses_the_gateway_when_the_container_goes_whose_address_the_bridge_had() {
    let lab = need!(lab());
    bridge(&lab);
    let mut other = by_hand(&lab, "other", "br0", "10.1.0.9/24");
    let before = mac_of(&lab, "br0");
    assert_eq!(before, mac_of(&lab, "other-port"));
    let [mut web, staying] = ["web", "staying"].map(|name| lab.container(name, Options::only(&["net"])));
    plug(&lab, &web, "10.1.0.2/24 --bridge br0").ok();
    plug(&lab, &staying, "10.1.0.3/24 --bridge br0").ok();
    let ping = pinging(&lab, &staying, "10.1.0.1");
    for (container, port) in [(&mut other, "other-port"), (&mut web, "web-eth0")] {
        container.stop();
        lab.shell(&format!("while ip link show {port}; do sleep 0.02; done 2>/dev/null")).run().ok();
        assert_eq!(mac_of(&lab, "br0"), before);
    }
    lost_nothing(ping);
}

#[test]
fn a_bridge_that_changes_its_mac_address_although_says_so_at_once() {
    let lab = need!(lab());
    bridge(&lab);
    // A port with a lower address that is no container's: nothing is pinned. Then it goes, and the bridge has ours.
    lab.shell(LASTING_PORT).run().ok();
    let [web, staying] = ["web", "staying"].map(|name| lab.container(name, Options::only(&["net"])));
    let dry = plug(&lab, &web, "10.1.0.2/24 --bridge br0 --dry-run").ok().stdout;
    assert!(!dry.contains("ip link set br0 address"), "{dry}");
    plug(&lab, &web, "10.1.0.2/24 --bridge br0").ok();
    let pid = staying.pid;
    lab.shell(&format!(
        "ip link add st up address fe:ff:ff:ff:ff:ff master br0 type veth peer name eth0 netns {pid}"
    ))
    .run()
    .ok();
    staying.ip("address add 10.1.0.3/24 dev eth0");
    staying.ip("link set eth0 up");
    lab.shell("ip link del lasting").run().ok();
    lab.shell("ping -n -c1 -W5 10.1.0.3").run().ok();
    let before = mac_of(&lab, "br0");
    let ping = pinging(&lab, &staying, "10.1.0.1");
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    assert_ne!(mac_of(&lab, "br0"), before);
    lost_nothing(ping);
}

#[test]
fn a_bridge_with_lower_ports_keeps_taking_their_address() {
    let lab = need!(lab());
    bridge(&lab);
    lab.shell(LASTING_PORT).run().ok();
    let web = lab.container("web", Options::only(&["net"]));
    plug(&lab, &web, "10.1.0.2/24 --bridge br0").ok();
    lab.shell("ip link add low up address 02:00:00:00:00:01 master br0 type veth peer name lower").run().ok();
    assert_eq!(mac_of(&lab, "br0"), "02:00:00:00:00:01");
}
