//! `--why`: each fault alone is named, its fix makes it go and changes nothing else; healthy hosts have no finding. Observers:
//! `ip`, `bridge` and `iptables-save`, before the fault and after the fix.

mod docker;
mod healthy;
mod kinds;
mod seeded;

use common::diagnose::host::FindingKind;
use serde_json::Value;
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::Missing;
use support::tools;

use crate::json;

/// A host that routes: `br0` (198.18.1.1/24) with the namespaces `a` and `b`, and the way out by `out0` to the router `wan`,
/// with masquerading.
const ROUTED: &str = "
ip link set lo up
ip link add br0 type bridge; ip address add 198.18.1.1/24 dev br0; ip link set br0 up
number=2
for name in a b; do
  ip netns add $name
  ip link add v$name type veth peer name eth0 netns $name
  ip link set v$name master br0 up
  ip -n $name address add 198.18.1.$number/24 dev eth0
  ip -n $name link set lo up; ip -n $name link set eth0 up
  ip -n $name route add default via 198.18.1.1
  number=$((number+1))
done
ip netns add wan
ip link add out0 type veth peer name eth0 netns wan
ip address add 198.18.9.2/24 dev out0; ip link set out0 up
ip -n wan address add 198.18.9.1/24 dev eth0; ip -n wan link set eth0 up
ip route add default via 198.18.9.1
echo 1 >/proc/sys/net/ipv4/ip_forward
iptables -t nat -A POSTROUTING -s 198.18.1.0/24 ! -o br0 -j MASQUERADE
";

/// What a fault and its fix are to leave as it was: links, addresses, routes, ports of bridges, filters, switches.
const STATE: &str = "
for name in '' '-n a' '-n b' '-n wan'; do
  ip $name link show lo >/dev/null 2>&1 || continue
  ip -o $name link | sed 's/ qlen [0-9]*//'
  ip -o -4 $name address
  ip $name route show table all | grep -v 'linkdown\\|fe80::\\|ff00::'
done
bridge -d link | grep -o 'isolated [a-z]*\\|state [a-z]*\\|^[0-9]*: [^:]*'
bridge fdb show | grep static || :
iptables-save | grep -v '^[#:]'
cat /proc/sys/net/ipv4/ip_forward
ls /run/netns
";

/// A host with networks, on which `--why` is run.
struct Scene(Lab);

impl Scene {
    fn routed() -> Result<Scene, Missing> {
        for (program, package) in [("iptables", "iptables"), ("bridge", "iproute2")] {
            support::skip::program(program, package)?;
        }
        let scene = Scene(Lab::new()?);
        scene.shell(ROUTED);
        // Until then the addresses and ports of the bridge are not what they are to be.
        scene.shell(
            "for i in $(seq 100); do bridge link show dev vb | grep -q forwarding && break; sleep 0.1; done",
        );
        Ok(scene)
    }

    /// Runs a script on the host; our tools are there by their names.
    fn shell(&self, script: &str) -> String {
        let tool = tools::tool("nsenter-rs");
        let directory = std::path::Path::new(tool).parent().unwrap().display();
        let script = format!("PATH=$PATH:{directory}; {script}");
        self.0.shell(&script).run().ok().stdout
    }

    /// The findings, and the exit status.
    fn why(&self) -> (Vec<Value>, Option<i32>) {
        let ran = self.0.tool("netns-ls").args([tools::PATIENT, "--why", "--json"]).run();
        let map = ran.json();
        json::is_valid(&map);
        (map["findings"].as_array().unwrap().clone(), code(&ran))
    }
}

fn code(ran: &Ran) -> Option<i32> {
    ran.status.and_then(|status| status.code())
}

#[test]
fn the_manual_has_each_word_with_its_line() {
    let manual = include_str!("../../../man/sections/netns-ls.roff");
    let (_, table) = manual.split_once(".SS Findings\n").expect("a section Findings");
    let (table, _) = table.split_once("\n.SS ").unwrap();
    let plain = |text: &str| text.replace("\\-", "-").replace("\\(aq", "'");
    let mut lines = table.lines().map(plain).skip_while(|line| line != ".TP");
    let mut found = Vec::new();
    while let (Some(".TP"), Some(word), Some(line)) = (lines.next().as_deref(), lines.next(), lines.next()) {
        found.push((word.trim_start_matches(".B ").to_owned(), line));
    }
    let all = FindingKind::ALL.iter();
    let expected: Vec<(String, String)> =
        all.map(|kind| (kind.word().to_owned(), kind.differs().to_owned())).collect();
    assert_eq!(found, expected);
}

fn words(findings: &[Value]) -> Vec<&str> {
    findings.iter().map(|finding| finding["what"].as_str().unwrap()).collect()
}
