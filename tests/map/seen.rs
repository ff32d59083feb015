//! What `common::map::read` sees in a lab: a copy of this test program runs there and prints its map.

use std::collections::BTreeMap;

use common::map::{self, HostMap, LinkEnd, LookDepth, MappedLink, MappedNetns};
use serde_json::{Value, json};

use support::lab::Lab;
use support::run::Run;

/// Set for a copy of this test program that prints the map that it sees.
const ROLE: &str = "NETNS_TOOLBOX_MAP_TEST_READ";
const BEGIN: &str = "the host: ";

/// No test of its own, but what the copy runs.
#[test]
fn the_map_is_printed_where_that_is_asked_for() {
    if let Some(depth) = std::env::var_os(ROLE) {
        let depth = if depth == "whole" { LookDepth::Whole } else { LookDepth::Quick };
        println!("\n{BEGIN}{}", shown(&map::read(depth).unwrap()));
    }
}

/// A map as it was printed, with a word of the test's for each namespace.
pub struct PrintedMap {
    pub namespaces: Vec<Value>,
    pub unseen: String,
    names: BTreeMap<u64, String>,
}

impl PrintedMap {
    /// The map of `lab`, by processes and mounts; `names` are the inodes that the test knows.
    #[track_caller]
    pub fn of(lab: &Lab, names: &[(u64, &str)]) -> PrintedMap {
        PrintedMap::looking(lab, "quick", names)
    }

    /// The same of a look that is "quick" or "whole".
    #[track_caller]
    pub fn looking(lab: &Lab, depth: &str, names: &[(u64, &str)]) -> PrintedMap {
        PrintedMap::by(lab, &["env"], depth, names)
    }

    /// The same by who runs it, as a program that runs others: `setpriv`.
    #[track_caller]
    pub fn by(lab: &Lab, by: &[&str], depth: &str, names: &[(u64, &str)]) -> PrintedMap {
        let mut itself = lab.command(by[0]);
        itself.args(&by[1..]).arg(std::env::current_exe().unwrap());
        let test = "seen::the_map_is_printed_where_that_is_asked_for";
        let said = itself.args(["--exact", test, "--nocapture"]).env(ROLE, depth).run().ok();
        PrintedMap::read(&said.stdout, names)
    }

    pub fn read(stdout: &str, names: &[(u64, &str)]) -> PrintedMap {
        let line = stdout.lines().find_map(|line| line.strip_prefix(BEGIN)).expect("a map");
        let map: Value = serde_json::from_str(line).unwrap();
        PrintedMap {
            namespaces: map["namespaces"].as_array().unwrap().clone(),
            unseen: map["unseen"].as_str().unwrap().to_owned(),
            names: names.iter().map(|(inode, name)| (*inode, (*name).to_owned())).collect(),
        }
    }

    fn name(&self, inode: &Value) -> String {
        let known = inode.as_u64().and_then(|inode| self.names.get(&inode).cloned());
        known.unwrap_or_else(|| inode.to_string())
    }

    /// Each link that has another end, as `web eth0 → host veth-web`, sorted.
    pub fn ends(&self) -> Vec<String> {
        let mut ends = Vec::new();
        for netns in &self.namespaces {
            for link in netns["links"].as_array().unwrap() {
                let near = format!("{} {}", self.name(&netns["inode"]), link["name"].as_str().unwrap());
                match &link["end"] {
                    Value::Null => {}
                    Value::Array(far) => {
                        ends.push(format!("{near} → {} {}", self.name(&far[0]), far[1].as_str().unwrap()));
                    }
                    other => ends.push(format!("{near} → {}", other.as_str().unwrap())),
                }
            }
        }
        ends.sort();
        ends
    }
}

fn shown(map: &HostMap) -> Value {
    let namespaces: Vec<Value> = map.namespaces.iter().map(|netns| shown_netns(map, netns)).collect();
    json!({ "namespaces": namespaces, "unseen": map.unseen.to_string() })
}

fn shown_netns(map: &HostMap, netns: &MappedNetns) -> Value {
    let links: Vec<Value> = netns.links.iter().map(|link| shown_link(map, link)).collect();
    let held_by: Vec<String> = netns.held_by.iter().map(|holder| format!("{holder:?}")).collect();
    let processes: Vec<i32> = netns.processes.iter().map(|pid| pid.as_raw()).collect();
    json!({ "inode": netns.inode, "is_own": netns.is_own, "owner": netns.owner.map(|uid| uid.as_raw()),
        "names": netns.names, "processes": processes, "held_by": held_by, "links": links })
}

fn shown_link(map: &HostMap, link: &MappedLink) -> Value {
    let end = match link.end {
        None => Value::Null,
        Some(LinkEnd::Unseen { .. }) => json!("unseen"),
        Some(LinkEnd::Known(place)) => {
            let (_, far) = map.end_of(link).expect("the end that it names");
            json!([place.netns, far.link.name.to_string_lossy()])
        }
    };
    let addresses: Vec<String> =
        link.addresses.iter().map(|own| format!("{}/{}", own.address, own.prefix_len)).collect();
    json!({ "name": link.link.name.to_string_lossy(), "index": link.link.index, "end": end, "addresses": addresses })
}
