//! The kernel's refusal, SIGKILL and SIGTERM at every system call, which every netlink request is: what is left is all of
//! it or nothing, or the next call makes it so.

use std::fs;
use std::io::Write;
use std::time::Duration;

use crate::{LOOK, everything};
use support::container::{Container, Options};
use support::faults::{calls, changes, times};
use support::lab::Lab;
use support::run::Run;
use support::skip::{Missing, need, program};
use support::tier;
use support::tools;
use support::until::until;

const LONG: Duration = Duration::from_secs(1800);

/// So many faults of each kind of system call has a scene in `make test`: of those that change something spread evenly, the first and
/// the last among them, of others the first. Each round is several calls of add-nic, so the full lists of all scenes take most of the
/// suite's time.
const OF_CHANGES: u32 = 8;
const OF_OTHERS: u32 = 1;

/// A container that has a default route already, and a NIC that is to take it.
pub(crate) struct Scene {
    pub(crate) lab: Lab,
    pub(crate) web: Container,
    router: Container,
    /// Whether a NIC's other end goes to the router, and so what is left there counts.
    is_about_router: bool,
    pub(crate) add: String,
    pub(crate) remove: String,
    /// With `-f` what add-nic starts meets the same faults.
    pub(crate) strace: &'static str,
    /// At how many of its times, at most, there is a fault of one system call.
    pub(crate) most: u32,
    /// Whether only those have one that change something, or start a program.
    pub(crate) only_changes: bool,
}

impl Scene {
    /// `words` can call the router ROUTER.
    pub(crate) fn new(words: &str) -> Result<Scene, Missing> {
        program("strace", "strace")?;
        let lab = Lab::new()?;
        let [web, router] = ["web", "router"].map(|name| lab.container(name, Options::only(&["net"])));
        lab.veth((&web, "198.18.0.2/24"), (&router, "198.18.0.1/24"));
        web.ip("route add default via 198.18.0.1 dev eth0");
        // Its own address of the link is settled after a second or two.
        let settled = || !web.ip("address show tentative").stdout.contains("inet6");
        until("no address of the container is tentative", settled);
        let tool = tools::tool("add-nic");
        let is_about_router = words.contains("--peer ROUTER");
        // A link to stand on, whose other end is the router's.
        lab.shell(&format!("ip link add lan0 up type veth peer name lan netns {}", router.pid)).run().ok();
        router.ip("link set lan up");
        let words = words.replace("ROUTER", &router.pid.to_string());
        let (add, remove) = (format!("{tool} {} {words}", web.pid), format!("{tool} --rm {}", web.pid));
        let (strace, most) = ("strace -f", u32::MAX);
        Ok(Scene { lab, web, router, is_about_router, add, remove, strace, most, only_changes: false })
    }

    /// Runs `command` with each of `faults` at each of its system calls, and `after` behind it, which says nothing
    /// if all is well. Each round begins with `before`. Prints how many there were.
    #[track_caller]
    pub(crate) fn every_time(
        &self,
        what: &str,
        before: &str,
        (command, faults): (&str, &[&str]),
        after: &str,
    ) {
        self.lab.shell(before).run().ok();
        let calls = calls(&self.lab, self.strace, command);
        self.lab.shell(&self.remove).run().ok();
        let about: Vec<&Container> =
            std::iter::once(&self.web).chain(Some(&self.router).filter(|_| self.is_about_router)).collect();
        let start = everything(&self.lab, &about);
        fs::write(self.lab.path("/run/start"), &start.0).unwrap();
        let (remove, strace) = (&self.remove, self.strace);
        let pids: Vec<String> = about.iter().map(|container| container.pid.to_string()).collect();
        let pids = pids.join(" ");
        let tool = tools::tool("add-nic");
        let mut script = format!(
            "{LOOK}
            tool='{tool}'; remove='{remove}'; pids='{pids}'
            as_before() {{ look $pids >/run/now; cmp -s /run/start /run/now || {{ echo \"$1\"; diff /run/start /run/now | head -5; }}; }}
            no_record() {{ [ -z \"$(ls /run/netns-toolbox/nics 2>/dev/null)\" ] || echo 'a record is left'; }}
            after() {{ {after}\n }}
            round() {{
                call=$1
                ( {before} ) >/dev/null 2>&1
                {strace} -o /dev/null -e inject=$1:$3:when=$2 {command} >/run/out 2>/run/err; rc=$?
                said=$(after); [ -z \"$said\" ] || echo \"$1 $2 $3: rc=$rc $said $(cat /run/err)\"
                $remove >/dev/null 2>&1
            }}\n"
        );
        let mut count = 0;
        let has_fault = |call: &str| !self.only_changes || changes(call) || call.starts_with("clone");
        for (call, made) in calls.iter().filter(|(call, _)| has_fault(call)) {
            let chosen = times(call, *made, self.most.min(at_most(call)));
            for (time, fault) in
                chosen.into_iter().flat_map(|time| faults.iter().map(move |fault| (time, fault)))
            {
                count += 1;
                script += &format!("round {call} {time} {fault}\n");
            }
        }
        fs::write(self.lab.path("/run/script"), script).unwrap();
        assert!(count > if self.only_changes { 15 } else { 30 }, "{calls:?}");
        let said = self.lab.command("sh").arg("/run/script").run_within(LONG).ok();
        assert!(said.stdout.is_empty(), "of {count}:\n{}", said.stdout);
        // Straight to stderr: what println! says in a test that passes is never shown.
        let _ = writeln!(std::io::stderr(), "add-nic: {what}: {count} faults, nothing left of any");
    }
}

fn at_most(call: &str) -> u32 {
    match (tier::is_all(), changes(call)) {
        (true, _) => u32::MAX,
        (false, true) => OF_CHANGES,
        (false, false) => OF_OTHERS,
    }
}

/// Whether `make test` has this one of the ways in which program number `number` of a call fails: each program fails in one of four ways,
/// and each way is some program's.
pub(crate) fn is_chosen(way: usize, number: usize) -> bool {
    tier::is_all() || way % 4 == number % 4
}

const CABLE: &str = "10.1.0.2/24 fd00:1::2/64 --gateway 10.1.0.1 --mtu 1400";
const SBR: &str = "10.1.0.2/24 fd00:1::2/64 --sbr --route 10.9.0.0/16";
const BRIDGE: &str = "10.1.0.2/24 --gateway 10.1.0.1 --bridge br1 --create";

const PEER: &str = "10.1.0.2/24 fd00:1::2/64 --gateway 10.1.0.1 --peer ROUTER";

const MACVLAN: &str = "10.1.0.2/24 fd00:1::2/64 --gateway 10.1.0.1 --macvlan lan0";

const PHYS: &str = "10.1.0.2/24 fd00:1::2/64 --gateway 10.1.0.1 --phys lan0";

/// All of it, or nothing; killed, it is the next call's to repair. Memory that is refused to a program at its start ends it by a signal; a namespace that it
/// cannot come back from, too: that is as if it had been killed. What it cannot tell on its standard output is done.
pub(crate) const ALL_OR_NOTHING: &str = r#"
case $rc in
    0) $tool --check || echo 'not whole'; $remove >/dev/null 2>&1 || echo 'not removed'; as_before 'not undone' ;;
    1|2) grep -q '^add-nic: ' /run/err || echo silent
       if grep -q 'standard output' /run/err; then $remove >/dev/null 2>&1; fi; as_before 'something is left' ;;
    137) $remove >/dev/null 2>&1 || echo 'no removal'; as_before 'not repaired' ;;
    *) case $call in
           clock_nanosleep|mmap|mprotect|munmap|brk|setns|arch_prctl|set_tid_address|set_robust_list|rseq|prlimit64|poll|sigaltstack|rt_sigaction|newfstatat|access|openat|read|pread64|close|fstat) ;;
           *) echo 'ended by a signal' ;;
       esac
       $remove >/dev/null 2>&1; as_before 'not repaired' ;;
esac
no_record"#;

/// The next call is a removal, or the same call again. How often it looks whether the kernel is ready is the machine's to
/// say: a call that was counted may not come this time, and nobody is killed then.
pub(crate) const REPAIRED: &str = r#"
[ $rc = 137 ] || [ $rc = 0 ] || echo 'not killed'
$remove >/run/again 2>&1 || echo 'no removal'; as_before 'not repaired by a removal'; no_record"#;

pub(crate) const REPEATED: &str = r#"
[ $rc = 137 ] || [ $rc = 0 ] || echo 'not killed'
$again >/run/again 2>&1 || cat /run/again; $tool --check; $remove >/run/again 2>&1; as_before 'not repaired by the same call'; no_record"#;

#[test]
fn a_cable_that_the_kernel_refuses_leaves_nothing() {
    let scene = need!(Scene::new(CABLE));
    scene.every_time("a cable, EIO", "true", (&scene.add, &["error=EIO"]), ALL_OR_NOTHING);
}

#[test]
fn a_bridge_that_the_kernel_refuses_leaves_nothing() {
    let scene = need!(Scene::new(BRIDGE));
    scene.every_time("a bridge, ENOMEM", "true", (&scene.add, &["error=ENOMEM"]), ALL_OR_NOTHING);
}

#[test]
fn routes_of_its_own_that_the_kernel_refuses_leave_nothing() {
    let scene = need!(Scene::new(SBR));
    scene.every_time("routes of its own, EIO", "true", (&scene.add, &["error=EIO"]), ALL_OR_NOTHING);
}

#[test]
fn whatever_is_left_of_routes_of_its_own_the_same_call_completes() {
    let scene = need!(Scene::new(SBR));
    let after = format!("again='{}'; {REPEATED}", scene.add);
    scene.every_time("routes of its own, SIGKILL", "true", (&scene.add, &["signal=KILL"]), &after);
}

#[test]
fn whatever_a_killed_call_leaves_a_removal_repairs() {
    let scene = need!(Scene::new(BRIDGE));
    scene.every_time("a bridge, SIGKILL", "true", (&scene.add, &["signal=KILL"]), REPAIRED);
}

#[test]
fn whatever_a_killed_call_leaves_the_same_call_completes() {
    let scene = need!(Scene::new(CABLE));
    let after = format!("again='{}'; {REPEATED}", scene.add);
    scene.every_time("a cable, SIGKILL", "true", (&scene.add, &["signal=KILL"]), &after);
}

#[test]
fn whatever_a_killed_removal_leaves_the_next_completes() {
    let scene = need!(Scene::new(CABLE));
    scene.every_time("a removal, SIGKILL", &scene.add, (&scene.remove, &["signal=KILL"]), REPAIRED);
}

#[test]
fn a_cable_between_two_leaves_nothing_at_either() {
    let scene = need!(Scene::new(PEER));
    scene.every_time("a peer, EIO", "true", (&scene.add, &["error=EIO"]), ALL_OR_NOTHING);
}

#[test]
fn a_macvlan_leaves_nothing() {
    let scene = need!(Scene::new(MACVLAN));
    scene.every_time("a macvlan, SIGKILL", "true", (&scene.add, &["signal=KILL"]), ALL_OR_NOTHING);
}

/// What the host has on the NIC that is moved, if it has not got it already.
const FURNISH: &str = "ip address add 10.5.0.1/24 dev lan0 2>/dev/null; ip route add 192.0.2.0/24 via 10.5.0.2 2>/dev/null; true";

#[test]
fn a_nic_that_cannot_be_moved_stays_as_it_was() {
    // It reads hundreds of switches.
    let scene = Scene { most: 60, ..need!(Scene::new(PHYS)) };
    scene.every_time("a moved NIC, EIO", FURNISH, (&scene.add, &["error=EIO"]), ALL_OR_NOTHING);
}

#[test]
fn a_nic_whose_return_was_killed_comes_back_with_the_next() {
    let scene = need!(Scene::new(PHYS));
    let before = format!("{FURNISH}; {}", scene.add);
    scene.every_time("a moved NIC's return, SIGKILL", &before, (&scene.remove, &["signal=KILL"]), REPAIRED);
}

#[test]
fn a_signal_leaves_all_or_nothing() {
    let scene = need!(Scene::new(CABLE));
    // 143 is the shell's word for SIGTERM: then nothing is left, unless all was done when it came.
    let after = r#"
        case $rc in
            0|143) if [ -n "$(ls /run/netns-toolbox/nics 2>/dev/null)" ]; then $tool --check || echo 'neither'; $remove >/dev/null 2>&1; fi ;;
            *) echo 'another end' ;;
        esac
        as_before 'something is left'; no_record"#;
    scene.every_time("a cable, SIGTERM", "true", (&scene.add, &["signal=TERM"]), after);
}
