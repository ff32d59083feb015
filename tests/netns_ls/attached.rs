//! BPF programs that are really attached: XDP, tcx, netkit, and those of control groups. Observer: the number that bpf(2) gave each.

use std::process::Stdio;

use support::run::{Run, RunningProgram};
use support::scratch::unique;
use support::skip::{Missing, need, program};
use support::world::World;

use crate::json;

/// In the world, for it takes root's power over the machine's BPF.
struct Attached {
    world: World,
    netns: String,
    group: String,
    holds: RunningProgram,
}

impl Attached {
    /// A namespace with the veth pair `va` and `vb` of which `kind` links are made, and these programs; `GROUP` is a control group
    /// that their loader is in.
    fn new(kind: &str, programs: &[&str]) -> Result<Attached, Missing> {
        program("python3", "python3")?;
        let world = World::get()?;
        let netns = unique("bpf-");
        let made = format!("ip netns add {netns}; ip -n {netns} link add va type {kind} peer name vb");
        let made = world.command("sh").args(["-ec", &made]).run();
        let loader = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/netns_ls/bpf.py");
        // The group is at the root of version 2, whoever else uses that.
        let script = "root=$(awk '$3 == \"cgroup2\" { print $2; exit }' /proc/mounts); [ -n \"$root\" ] || { echo no cgroup2; exit 1; }
            group=$root/$1; mkdir $group; echo $$ >$group/cgroup.procs; netns=$1; loader=$2; shift 2
            for word; do shift; set -- \"$@\" \"$(echo $word | sed \"s|GROUP|$group|\")\"; done
            exec nsenter --net=/run/netns/$netns python3 $loader \"$@\"";
        let mut loads = world.command("bash");
        loads.args(["-ec", script, "attached", &netns, loader]).args(programs);
        let holds = loads.start_with(Stdio::piped());
        let attached = Attached { world, group: netns.clone(), netns, holds };
        if !made.status.is_some_and(|status| status.success()) {
            return Err(Missing::ForGood(format!("kernel lacks {kind}")));
        }
        if !attached.holds.says("ready\n") {
            let why = attached.holds.so_far();
            return Err(Missing::ForGood(format!("no BPF here: {why}")));
        }
        Ok(attached)
    }

    /// The number of the program that was attached there.
    fn number(&self, word: &str) -> String {
        let said = self.holds.so_far().stdout;
        let line =
            said.lines().find(|line| line.starts_with(word)).unwrap_or_else(|| panic!("no {word}: {said}"));
        line.rsplit(' ').next().unwrap().to_owned()
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.holds.close_stdin();
        let script = format!(
            "root=$(awk '$3 == \"cgroup2\" {{ print $2; exit }}' /proc/mounts)
             for i in $(seq 100); do rmdir $root/{} 2>/dev/null && break; sleep 0.05; done; ip netns del {}",
            self.group, self.netns
        );
        let _ = self.world.command("sh").args(["-c", &script]).run();
    }
}

fn rows(attached: &Attached) -> Vec<String> {
    let target = format!("netns:{}", attached.netns);
    let ran = attached.world.tool("netns-ls").args(["-q", "--programs", &target]).run().ok();
    ran.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn programs_of_xdp_tcx_and_control_groups_are_listed_with_their_numbers_and_names() {
    let words = ["xdp:va", "tcx-ingress:va", "tcx-egress:vb", "cgroup-egress:GROUP", "cgroup-connect4:GROUP"];
    let attached = need!(Attached::new("veth", &words));
    let number = |word: &str| attached.number(word);
    let expected = [
        format!("va tcx ingress {} seen_tcx_ingres", number("tcx-ingress:")),
        format!("va xdp {} seen_xdp", number("xdp:")),
        format!("vb tcx egress {} seen_tcx_egress", number("tcx-egress:")),
        format!("- cgroup connect4 {} seen_cgroup_con", number("cgroup-connect4:")),
        format!("- cgroup egress {} seen_cgroup_egr", number("cgroup-egress:")),
    ];
    let shown = rows(&attached);
    for row in &expected {
        assert!(shown.contains(row), "no {row}: {shown:#?}");
    }
    let target = format!("netns:{}", attached.netns);
    let map = attached.world.tool("netns-ls").args(["-q", "--json", "--programs", &target]).run().ok().json();
    json::is_valid(&map);
    let links = map["namespaces"][0]["links"].as_array().unwrap();
    let va = links.iter().find(|link| link["ifname"] == "va").unwrap();
    assert_eq!(va["programs"][0]["id"].to_string(), number("xdp:"), "XDP is in the plain map, too");
}

#[test]
fn programs_of_netkit_are_listed() {
    let attached = need!(Attached::new("netkit", &["netkit-primary:va"]));
    let expected = format!("va netkit primary {} seen_netkit_pri", attached.number("netkit-primary:"));
    let shown = rows(&attached);
    assert!(shown.contains(&expected), "no {expected}: {shown:#?}");
}
