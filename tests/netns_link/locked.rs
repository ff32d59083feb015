//! Somebody has the lock of iproute2, which any user can hold, and does not let go.

use std::time::Duration;

use crate::{mounts_at, netns_link};
use support::container::Options;
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::{need, program};

/// An ordinary user holds it.
fn held(lab: &Lab) -> RunningProgram {
    let mut holder = lab.command("setpriv");
    holder.args(["--reuid=1000", "--regid=1000", "--clear-groups"]);
    let holder = holder.args(["flock", "/run/netns", "sh", "-c", "echo locked; exec sleep 1000"]).start();
    holder.wait_for("locked\n");
    holder
}

#[test]
fn a_user_that_holds_the_lock_of_ip_keeps_nobody() {
    let lab = need!(Lab::with_users());
    need!(program("setpriv", "util-linux"));
    let web = lab.container("web", Options::default());
    lab.command("ip").args(["netns", "add", "blue"]).run().ok();
    let holder = held(&lab);
    // So it goes for whoever waits for that lock.
    let theirs = lab.command("ip").args(["netns", "add", "red"]).start();
    let says = "holds the lock of ip-netns(8): not released within 1s, continuing without it\n";
    let linked = netns_link(&lab, &[&web.pid.to_string(), "--as", "web"]).ok();
    linked.stdout_is("/run/netns/web\n").stderr_has("netns-link: /run/netns: PID ").stderr_has(says);
    lab.command("ip").args(["-n", "web", "link"]).run().ok();
    assert_eq!(mounts_at(&lab, "/run/netns"), 1);
    netns_link(&lab, &["--rm", "web"]).ok().stderr_has(says);
    assert_eq!(mounts_at(&lab, "/run/netns/web"), 0);
    if version_waits(&theirs) {
        drop(holder);
        theirs.finish().ok();
    }
    netns_link(&lab, &[&web.pid.to_string(), "--as", "web"]).ok().stderr_is("");
}

/// iproute2 before 6.2 and after waits for ever; none is known that does not.
fn version_waits(theirs: &RunningProgram) -> bool {
    !theirs.has_ended_within(Duration::from_millis(100))
}

#[test]
fn our_own_lock_is_one_that_only_root_can_hold() {
    let lab = need!(Lab::with_users());
    need!(program("setpriv", "util-linux"));
    let web = lab.container("web", Options::default());
    // As an older or careless hand may have left it.
    lab.shell("mkdir -m 755 /run/netns-toolbox").run().ok();
    netns_link(&lab, &[&web.pid.to_string(), "--as", "web"]).ok();
    let user = ["--reuid=1000", "--regid=1000", "--clear-groups"];
    for place in ["/run/netns-toolbox", "/run/netns-toolbox/netns.lock"] {
        let ran = lab.command("setpriv").args(user).args(["flock", "-n", place, "true"]).run();
        assert!(ran.stderr.contains("Permission denied"), "{place}: {ran}");
    }
    // Naive twin: the directory of iproute2 is open to everybody.
    lab.command("setpriv").args(user).args(["flock", "-n", "/run/netns", "true"]).run().ok();
}

#[test]
fn tools_of_ours_wait_for_each_other_without_the_lock_of_ip_too() {
    let lab = need!(Lab::with_users());
    need!(program("setpriv", "util-linux"));
    let web = lab.container("web", Options::default());
    lab.shell("mkdir -m 755 /run/netns").run().ok();
    let _holder = held(&lab);
    let script = format!(
        "for i in $(seq 20); do {} {} --as web$i >/dev/null 2>&1 & done; wait",
        support::tools::tool("netns-link"),
        web.pid
    );
    lab.shell(&script).run().ok();
    assert_eq!(mounts_at(&lab, "/run/netns"), 1);
    let names = lab.command("ip").args(["-j", "netns", "list"]).run().ok().json();
    assert_eq!(names.as_array().unwrap().len(), 20);
    let all = "for i in $(seq 20); do nsenter --net=/run/netns/web$i readlink /proc/self/ns/net; done";
    let inside = lab.namespace(web.pid, "net");
    lab.shell(all).run().ok().stdout_is(&format!("{inside}\n").repeat(20));
}

#[test]
fn a_tool_of_ours_that_was_stopped_is_named_after_a_while() {
    let lab = need!(Lab::with_users());
    let web = lab.container("web", Options::default());
    netns_link(&lab, &[&web.pid.to_string(), "--as", "first"]).ok();
    // As one that was stopped in the middle, which has the lock and does nothing.
    let lock = ["/run/netns-toolbox/netns.lock", "sh", "-c", "echo locked; exec sleep 1000"];
    let holder = lab.command("flock").args(lock).start();
    holder.wait_for("locked\n");
    let ran = netns_link(&lab, &[&web.pid.to_string(), "--as", "second"]).fails_with(2).stdout_is("");
    ran.stderr_has("/run/netns-toolbox/netns.lock: PID ")
        .stderr_has("has held this lock for 10s\nhint: ps -o ");
    // Naive twin: whoever waits for that lock alone waits as long as the other has it.
    let naive = lab.command("flock").args(["/run/netns-toolbox/netns.lock", "true"]).start();
    assert!(!naive.has_ended_within(Duration::from_millis(100)));
    drop(holder);
    naive.finish().ok();
    netns_link(&lab, &[&web.pid.to_string(), "--as", "second"]).ok().stderr_is("");
}

#[test]
fn tools_that_have_the_lock_in_turn_are_no_reason_to_give_up() {
    let lab = need!(Lab::with_users());
    let web = lab.container("web", Options::default());
    netns_link(&lab, &[&web.pid.to_string(), "--as", "first"]).ok();
    // Longer than one may have it, all of them together.
    let turns = "for i in 1 2 3; do flock /run/netns-toolbox/netns.lock sh -c 'echo locked; exec sleep 6' & sleep 0.1; done; wait";
    let holders = lab.shell(turns).start();
    holders.wait_for("locked\n");
    netns_link(&lab, &[&web.pid.to_string(), "--as", "second"]).ok().stderr_is("");
}
