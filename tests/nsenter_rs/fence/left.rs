//! What is left of a program of the host, and of us inside, when we are killed.

use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::PATH;
use support::container::Options;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::tools::static_tool;

/// Waits until nobody but the container's own has the word in its command line.
const GONE: &str = r#"i=0; while [ $i -lt 250 ]; do i=$((i+1)); left=
    for p in /proc/[0-9]*; do [ $p = /proc/$$ ] || ! grep -q left-behind $p/cmdline 2>/dev/null || left=$p; done
    [ -n "$left" ] || exit 0; sleep 0.1; done; echo still $left; exit 1"#;

#[test]
fn the_program_dies_with_us_also_while_it_is_stopped() {
    let lab = need!(Lab::with_users());
    let ours = need!(static_tool("nsenter-rs"));
    let web = lab.container("web", Options::default());
    for script in
        ["echo ready; read -r _ # left-behind", "echo ready; kill -STOP $$; read -r _ # left-behind"]
    {
        let mut enter = lab.command(&ours);
        enter.env("PATH", PATH).args(["-t", &web.pid.to_string(), "-a", "-H", "sh", "-c", script]);
        let running = enter.start_with(Stdio::piped());
        running.wait_for("ready");
        running.signal_behind_nsenter(Signal::SIGKILL);
        web.command("sh").args(["-c", GONE]).run().ok();
        assert!(web.is_running(), "its own first process has nothing to do with it");
    }
}

#[test]
fn what_outlives_the_program_goes_on_and_keeps_nobody_waiting() {
    let lab = need!(Lab::with_users());
    let ours = need!(static_tool("nsenter-rs"));
    let web = lab.container("web", Options::default());
    let mut enter = lab.command(&ours);
    let script = "(read -r _ </run/fifo; echo on >/run/done) >/dev/null 2>&1 </dev/null & exit 4";
    web.command("mkfifo").arg("/run/fifo").run().ok();
    enter.env("PATH", PATH).args(["-t", &web.pid.to_string(), "-a", "-H", "sh", "-c", script]);
    enter.run().fails_with(4);
    web.command("sh").args(["-c", "echo >/run/fifo"]).run().ok();
    let wait =
        "i=0; while [ $i -lt 250 ]; do i=$((i+1)); [ -s /run/done ] && exit 0; sleep 0.1; done; exit 1";
    web.command("sh").args(["-c", wait]).run().ok();
}
