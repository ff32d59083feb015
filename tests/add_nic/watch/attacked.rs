//! A watch among many, and one that is killed at every system call; and one that has nothing to do.

use std::io::Write;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{FILE, WEB, container, engine, nics, watch, write};
use crate::{LOOK, add_nic, everything, lab, reaches};
use support::container::Container;
use support::run::Run;
use support::skip::{need, program};
use support::tools;
use support::until::until;

#[test]
fn two_watches_and_fifty_hands_at_once_make_each_nic_once() {
    let lab = need!(lab());
    let names: Vec<String> = (0..10).map(|at| format!("web{at}")).collect();
    let containers: Vec<Container> = names.iter().map(|name| container(&lab, name)).collect();
    let _engine = engine(&lab, &containers.iter().collect::<Vec<_>>());
    let entries: String = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            format!("[[nic]]\ncontainer = '{name}'\naddresses = ['10.1.0.{}/24']\nbridge = 'br1'\ncreate = true\n", at + 10)
        })
        .collect();
    write(&lab, &entries);
    // So many at once may keep the engine, which is this test, busy for longer than an engine has.
    const PATIENT: &str = "--engine-timeout=30s";
    let watches = [watch(&lab, PATIENT), watch(&lab, PATIENT)];
    let hands: Vec<_> = (0..50)
        .map(|at| {
            let address = format!("10.1.0.{}/24", at % 10 + 10);
            lab.tool("add-nic")
                .args([&names[at % 10], &address, "--bridge", "br1", "--create", PATIENT])
                .start()
        })
        .collect();
    for hand in hands {
        hand.finish().ok();
    }
    let nics = nics(&lab);
    assert_eq!(nics.len(), 10, "{nics:?}");
    for watch in &watches {
        assert!(!watch.so_far().stdout.contains("add-nic: "), "{}", watch.so_far());
    }
    add_nic(&lab, &["--check"]).ok();
    for at in 0..10 {
        reaches(&lab, &format!("10.1.0.{}", at + 10));
    }
    // Those that a watch has made go with the file, by whichever watch; those made by hand stay.
    let by_hand = nics.iter().filter(|nic| nic["watch_file"].is_null()).count();
    write(&lab, "");
    until("only interfaces made by hand are left", || self::nics(&lab).len() <= by_hand);
    assert!(watches.iter().all(|watch| !watch.has_ended_within(std::time::Duration::ZERO)));
}

#[test]
fn an_idle_watch_makes_no_system_calls() {
    let lab = need!(lab());
    need!(program("strace", "strace"));
    let web = container(&lab, "web");
    let _engine = engine(&lab, &[&web]);
    write(&lab, WEB);
    let watch = watch(&lab, "");
    watch.wait_for("web: eth0");
    let pid = lab.shell("pidof add-nic").run().ok().text().to_owned();
    // By then it has done what it does when it has plugged something in; strace writes nothing where it would be news.
    let trace = format!("sleep 1; timeout --signal INT 5 strace -f -p {pid} 2>&1 || true");
    let calls = lab.shell(&trace).run().ok().stdout_has("attached");
    // The one that it sleeps in.
    let is_another = |line: &&str| line.contains('(') && !line.starts_with("restart_syscall(");
    let calls: Vec<&str> = calls.stdout.lines().filter(is_another).collect();
    assert!(calls.is_empty(), "{calls:?}");
}

const LONG: Duration = Duration::from_secs(600);

/// Runs a watch until it is killed at the `$2`th system call `$1`, or has plugged its NIC in; and then another one until that
/// is there.
/// Says nothing if all is well.
const ROUND: &str = r#"
round() {
    strace -f -o /dev/null -e inject=$1:signal=KILL:when=$2 $watch >/run/out 2>/run/err & strace=$!
    until grep -q reachable /run/out || ! kill -0 $strace 2>/dev/null; do :; done
    for child in $(cat /proc/$strace/task/$strace/children 2>/dev/null); do kill -KILL $child; done
    wait $strace 2>/dev/null
    $watch >/run/out 2>/run/err & next=$!
    until $tool --list | grep -q '10.1.0.2/24.* ok'; do :; done
    # SIGHUP, SIGINT and SIGTERM: it hears them, and is not about to change anything.
    until grep -q 'SigBlk:.*0004003$' /proc/$next/status; do :; done
    kill -TERM $next; wait $next || echo "$1 $2: ended with $?"
    # That it removed what the killed one had left is no error.
    said=$(grep -v 'add-nic was killed or failed; removed what was left' /run/err) || true
    [ -z "$said" ] || echo "$1 $2: $said"
    [ "$(ls /run/netns-toolbox/nics | wc -l)" = 1 ] || echo "$1 $2: $(ls /run/netns-toolbox/nics)"
    $tool --rm web >/run/out 2>&1
    look $pid >/run/now; cmp -s /run/start /run/now || { echo "$1 $2"; diff /run/start /run/now | head -5; }
}
"#;

#[test]
fn whatever_a_killed_watch_leaves_the_next_completes() {
    need!(program("strace", "strace"));
    let lab = need!(lab());
    let web = container(&lab, "web");
    let _engine = engine(&lab, &[&web]);
    write(&lab, WEB);
    let start = everything(&lab, &[&web]);
    std::fs::write(lab.path("/run/start"), &start.0).unwrap();
    let (tool, pid) = (tools::tool("add-nic"), web.pid);
    let script = format!(
        "{LOOK}\ntool={tool}; pid={pid}; watch='{tool} --watch {FILE}'\n{ROUND}
        strace -f -o /run/calls $watch >/run/out & strace=$!
        until grep -q reachable /run/out; do :; done
        kill -TERM $(cat /proc/$strace/task/$strace/children); wait $strace; $tool --rm web >/dev/null 2>&1
        count=0
        for call in openat sendto setns renameat inotify_add_watch rt_sigprocmask write; do
            times=$(grep -c \" $call(\" /run/calls) || true
            for time in $(seq 1 8 $times); do count=$((count + 1)); round $call $time; done
        done
        echo $count"
    );
    std::fs::write(lab.path("/run/script"), script).unwrap();
    let said = lab.command("sh").arg("/run/script").run_within(LONG);
    let count: u32 = said.stdout.trim().parse().unwrap_or_else(|_| panic!("{said}"));
    assert!(count > 20, "{said}");
    let _ = writeln!(std::io::stderr(), "add-nic --watch: killed {count} times, and made up for");
}

#[test]
fn a_watch_that_waits_for_another_add_nic_ends_when_it_is_told_to() {
    let lab = need!(lab());
    let web = container(&lab, "web");
    let _engine = engine(&lab, &[&web]);
    write(&lab, WEB);
    // Whoever has the journal's lock has stopped.
    lab.shell("mkdir -m 700 -p /run/netns-toolbox/nics").run().ok();
    let holder = lab.shell("flock /run/netns-toolbox/nics sh -c 'echo locked; sleep 1000'").start();
    holder.wait_for("locked");
    let watch = lab.shell(&format!("echo begins; exec {} --watch {FILE}", tools::tool("add-nic"))).start();
    watch.wait_for("begins");
    let blocked = format!("/proc/{}/status", watch.pid_behind_nsenter());
    // SIGHUP alone.
    until("the watch blocks SIGHUP", || {
        std::fs::read_to_string(&blocked).unwrap().contains("SigBlk:\t0000000000000001")
    });
    watch.signal_behind_nsenter(Signal::SIGTERM);
    watch.finish().ok().stdout_is("begins\n");
}
