//! add-nic, end to end.
//!
//! Observers: `ping`, `ip -j`, `/proc/sys/net`, `/proc/net/packet`.

#![cfg(test)]

mod bad_input;
mod bridge;
mod cable;
mod docker;
mod docker_beside;
mod dry_run;
mod duplicates;
mod dying;
mod engine;
mod faults;
mod firewall;
mod firewall_faults;
mod flows;
mod guide;
mod identity;
mod macvlan;
mod names;
mod nat;
mod neighbours;
mod outlived;
mod parallel;
mod peer;
mod phys;
mod pinned;
mod preflight;
mod procedures;
mod publish;
mod reachable;
mod records;
mod remove;
mod repair;
mod replace;
mod routes;
mod sbr;
mod strangers;
mod sysctl;
mod unit;
mod unreached;
mod vlan;
mod void_rules;
mod watch;
mod words;

use support::container::{Container, Options};
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::{Missing, program};

/// Runs add-nic in the lab.
#[track_caller]
fn add_nic(lab: &Lab, arguments: &[&str]) -> Ran {
    lab.tool("add-nic").args(arguments).run()
}

/// Runs add-nic about `container`, which is its first word; the others are split at spaces.
#[track_caller]
fn plug(lab: &Lab, container: &Container, words: &str) -> Ran {
    let pid = container.pid.to_string();
    let words: Vec<&str> = std::iter::once(pid.as_str()).chain(words.split_whitespace()).collect();
    add_nic(lab, &words)
}

/// A lab, and a ping to look with.
fn lab() -> Result<Lab, Missing> {
    program("ping", "iputils-ping")?;
    Lab::new()
}

/// The lab reaches `address` with its first packet, now.
#[track_caller]
fn reaches(lab: &Lab, address: &str) {
    lab.command("ping").args(PING).arg(address).run().ok();
}

/// The container does.
#[track_caller]
fn reaches_from(lab: &Lab, container: &Container, address: &str) {
    let mut nsenter = lab.command("nsenter");
    nsenter.args(["--target", &container.pid.to_string(), "--net", "--", "ping"]);
    nsenter.args(PING).arg(address).run().ok();
}

/// The world outside: the host's NIC `lan0` leads to a neighbour, who has 10.1.0.9 and fd00:1::9.
fn neighbour(lab: &Lab) -> Container {
    let neighbour = lab.container("neighbour", Options::only(&["net"]));
    let pid = neighbour.pid;
    lab.shell(&format!("ip link add lan0 up type veth peer name eth0 netns {pid}")).run().ok();
    for words in ["10.1.0.9/24", "fd00:1::9/64 nodad"] {
        neighbour.ip(&format!("address add {words} dev eth0"));
    }
    neighbour.ip("link set eth0 up");
    neighbour
}

/// One packet, and a second for its answer.
const PING: [&str; 5] = ["-n", "-c1", "-W1", "-q", "--"];

/// All of the network that add-nic could change, on both sides: links, addresses, routes, rules, switches, filters.
#[track_caller]
fn everything(lab: &Lab, containers: &[&Container]) -> Everything {
    let pids: Vec<String> = containers.iter().map(|container| container.pid.to_string()).collect();
    Everything(lab.shell(&format!("{LOOK}\nlook {}", pids.join(" "))).run().ok().stdout)
}

#[derive(PartialEq)]
struct Everything(String);

impl std::fmt::Debug for Everything {
    /// Without the switches, of which there are hundreds.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = self.0.lines().filter(|line| !line.starts_with("/proc/"));
        lines.into_iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

/// The shell's word for it; the lab itself has the PID 1. What the kernel does by itself, some time after a link was
/// made, is left out: link-local addresses, and whether there is a carrier, which routes show too. Firewall rules are the
/// host's alone.
///
/// The kernel adds the local route of an IPv6 address only later, in a work queue, so that is waited for, at most 5 s.
const LOOK: &str = r#"
LOOK='settled() {
    routes=$(ip -6 route show table local)
    for address in $(ip -6 -o address show up scope global | sed "/tentative/d; /dadfailed/d; s/.*inet6 \([^ /]*\).*/\1/"); do
        case $routes in *"local $address dev "*) ;; *) return 1 ;; esac
    done
}
for time in $(seq 50); do ! settled || break; sleep 0.1; done
{ printf "link\naddress\nroute show table all\nrule\n" | ip -o -batch -
printf "route show table all\nrule\n" | ip -6 -o -batch -
} | sed "s/ state [A-Z]*//; s/,LOWER_UP//; s/NO-CARRIER,//; /fe80:/d; /ff00::/d; /anycast/{/anycast 2[45][0-9][.]/b;/anycast 100:/b;d}; s/ tentative//; s/ linkdown//; s/ dead//; s/valid_lft.*//"
grep -rs . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf /proc/sys/net/ipv4/ip_forward
[ "$0" != 1 ] || { nft list ruleset; iptables-nft-save
    [ ! -s /proc/net/ip_tables_names ] || iptables-legacy-save; [ ! -s /proc/net/ip6_tables_names ] || ip6tables-legacy-save
} 2>/dev/null | sed "/^#/d; s/[0-9]*:[0-9]*\]/]/; s/packets [0-9]* bytes [0-9]*//"'
look() { for pid in 1 "$@"; do nsenter --target "$pid" --net -- sh -c "$LOOK" "$pid"; done; }
"#;
