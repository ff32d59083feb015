//! Where the program would be in another namespace than the container: root there is root, with few capabilities too.

use std::process::{Command, Stdio};

use crate::PATH;
use support::container::Options;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;

/// Code of a container, as it would run in a program of the host.
const ATTACK: &str = "kill -9 $VICTIM && echo killed; ls /proc/sysvipc >/dev/null 2>&1; exit 0";

#[test]
fn code_of_a_container_is_root_among_no_processes_links_or_memory_that_the_container_does_not_have() {
    let lab = need!(Lab::with_users());
    let web = lab.container("web", Options::default());
    let victim = || {
        let mut victim = lab.shell("read -r pid _ </proc/self/stat; echo $pid; echo ready; read -r _");
        let victim = victim.start_with(Stdio::piped());
        victim.wait_for("ready");
        let pid = victim.first_line().unwrap().trim().to_owned();
        (victim, pid)
    };
    let enter = |options: &[&str], victim: &str| -> Command {
        let mut enter = lab.tool("nsenter-rs");
        enter.env("PATH", PATH).args(["-t", &web.pid.to_string(), "-H"]).args(options);
        enter.args(["sh", "-c", &ATTACK.replace("$VICTIM", victim)]);
        enter
    };
    let (_running, pid) = victim();
    let refused: [(&[&str], &str); 6] = [
        (&["-m"], "processes"),
        (&["-m", "-n", "-i"], "processes"),
        // Its children would be in the PID namespace, and the program not.
        (&["-a", "-F"], "processes"),
        (&["-m", "-p", "-i"], "interfaces and sockets"),
        (&["-m", "-p", "-i", "-n=/proc/1/ns/net"], "interfaces and sockets"),
        (&["-m", "-p", "-n"], "shared memory and queues"),
    ];
    for (options, what) in refused {
        let ran = enter(options, &pid).run().fails_with(1);
        ran.stderr_has(what).stderr_has("hint: use -a").stdout_is("");
        let mut explain = lab.tool("nsenter-rs");
        explain.env("PATH", PATH).args(["-t", &web.pid.to_string(), "-H", "--explain"]).args(options);
        explain.arg("true").run().stderr_has(what);
    }
    for options in [&["-a"][..], &["-m", "-p", "-n", "-i"]] {
        enter(options, &pid).run().ok().stdout_is("");
    }
    enter(&["-m", "--trust-target"], &pid).run().ok().stdout_is("killed\n");
    // What the container shares with the host it has itself.
    let shares = lab.container("shares", Options { unshared: vec!["mnt", "uts"], ..Options::default() });
    let mut enter = lab.tool("nsenter-rs");
    enter.env("PATH", PATH).args(["-t", &shares.pid.to_string(), "-m", "-H", "true"]).run().ok();
}
