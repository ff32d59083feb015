//! A container that dies in the middle of an add, at every system call of it: one clear error, and nothing is left.

use std::fs;
use std::io::Write;
use std::time::Duration;

use crate::{LOOK, everything};
use support::lab::Lab;
use support::run::Run;
use support::skip::{need, program};
use support::tools;

const LONG: Duration = Duration::from_secs(600);

/// Starts a container, stops the add at the `$1`th of all its system calls `$2`, kills the container, and lets the add go on.
/// Says nothing if all is well.
const ROUND: &str = r#"
round() {
    unshare --net sleep 1000 & pid=$!
    while [ "$(readlink /proc/$pid/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do :; done
    : >/run/trace
    strace -o /run/trace -e trace=$2 -e inject=$2:signal=STOP:when=$1 $tool $pid $words >/run/out 2>/run/err & strace=$!
    until grep -q 'stopped by SIGSTOP\|exited with' /run/trace; do :; done
    kill -KILL $pid; wait $pid 2>/dev/null
    for child in $(cat /proc/$strace/task/$strace/children); do kill -CONT $child; done
    wait $strace; rc=$?
    if [ $rc = 0 ]; then
        # It was through with the container already: once the kernel has ended that's network, any call takes what is left.
        grep -q reachable /run/out || echo "$1 $2: nothing said"
        while [ -n "$(ls /run/netns-toolbox/nics)" ]; do $tool --rm netns:none >/dev/null 2>&1; done
    else
        [ $rc = 1 -o $rc = 2 ] || echo "$1 $2: status $rc"
        [ "$(grep -c '^add-nic: ' /run/err)" = 1 ] || echo "$1 $2: $(cat /run/err)"
        failed=$((failed + 1))
    fi
    look >/run/now; cmp -s /run/start /run/now || { echo "$1 $2: rc=$rc $(cat /run/err)"; diff /run/start /run/now | head -5; }
    [ -z "$(ls /run/netns-toolbox/nics 2>/dev/null)" ] || echo "$1 $2: a record is left"
}
failed=0
"#;

#[test]
fn a_container_that_dies_at_any_step_leaves_nothing() {
    need!(program("strace", "strace"));
    let lab = need!(Lab::new());
    let tool = tools::tool("add-nic");
    let words = "10.1.0.2/24 fd00:1::2/64 --bridge br1 --create --gateway 10.1.0.1";
    let start = everything(&lab, &[]);
    fs::write(lab.path("/run/start"), &start.0).unwrap();
    let script = format!(
        "{LOOK}\ntool='{tool}'; words='{words}'\n{ROUND}
        unshare --net sleep 1000 & first=$!
        while [ \"$(readlink /proc/$first/ns/net)\" = \"$(readlink /proc/self/ns/net)\" ]; do :; done
        strace -o /run/calls $tool $first $words >/dev/null; $tool --rm $first >/dev/null; kill $first
        count=0
        for call in sendto recvmsg openat setns; do
            times=$(grep -c \"^$call(\" /run/calls) || true
            for time in $(seq $times); do count=$((count + 1)); round $time $call; done
        done
        echo \"add-nic: its container killed: $count times, $failed of them in time\" >&2; echo $count"
    );
    fs::write(lab.path("/run/script"), script).unwrap();
    let said = lab.command("bash").arg("/run/script").run_within(LONG);
    let count: u32 = said.stdout.trim().parse().unwrap_or_else(|_| panic!("{said}"));
    assert!(count > 50, "{said}");
    let _ = writeln!(std::io::stderr(), "{}", said.stderr.lines().last().unwrap_or_default());
}
