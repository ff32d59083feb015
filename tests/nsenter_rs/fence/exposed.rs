//! What the container's root can open of a program of the host beside it: nothing, whatever the program becomes and starts.

use std::process::Stdio;

use crate::PATH;
use support::run::Run;
use support::skip::{Missing, need, program};
use support::tools::static_tool;
use support::world::World;

fn docker() -> Result<World, Missing> {
    World::get().and_then(World::with_docker)
}

/// A line for each thing of another process that can be opened; the container's own have been there before.
const OPEN: &str = r#"
for p in /proc/[0-9]*; do
    case " $OWN " in *" ${p#/proc/} "*) continue;; esac
    [ $p != /proc/$$ ] || continue
    ls $p/root/ >/dev/null 2>&1 && echo "$p root"
    cat $p/environ >/dev/null 2>&1 && echo "$p environ"
    cat $p/maps >/dev/null 2>&1 && echo "$p maps"
    readlink $p/fd/0 >/dev/null 2>&1 && echo "$p fd"
    (: >>$p/exe) 2>/dev/null && echo "$p exe"
    (: <$p/mem) 2>/dev/null && echo "$p mem"
done
exit 0"#;

/// Becomes as weak as can be, and waits.
const VICTIM: &str = "echo ready; read -r _";

#[test]
fn no_program_of_the_host_can_be_opened_by_the_containers_root() {
    let world = need!(docker());
    let ours = need!(static_tool("nsenter-rs"));
    need!(program("setpriv", "util-linux"));
    let drops = "setpriv --bounding-set -all --inh-caps -all sh -c 'echo ready; read -r _'";
    let script = format!("import subprocess; subprocess.call(['bash', '-c', {drops:?}])");
    let ways: [&[&str]; 6] = [
        &["sh", "-c", VICTIM],
        &["sh", "-c", drops],
        &["bash", "-c", drops],
        &["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "sh", "-c", VICTIM],
        &["env", "sh", "-c", drops],
        &["/usr/bin/python3", "-c", &script],
    ];
    let container = world.docker_container("exposed", &[]);
    let opened = |options: &[&str], words: &[&str]| {
        let mut enter = world.command(&ours);
        enter.env("PATH", PATH).args(["-t", &container.name, "-a", "-H"]).args(options).args(words);
        let mut running = enter.start_with(Stdio::piped());
        running.wait_for("ready");
        let opened = container.command("env").args(["OWN=1", "sh", "-c", OPEN]).run().ok().stdout;
        running.say("\n");
        running.finish();
        opened
    };
    for words in ways {
        assert_eq!(opened(&[], words), "", "{words:?}");
    }
    // Who trusts the container is open to it as soon as it drops what the container lacks.
    let open = opened(&["--trust-target"], ways[1]);
    assert!(open.contains(" root") && open.contains(" environ"), "{open:?}");
}

#[test]
fn two_sessions_of_the_operator_are_no_danger_to_each_other() {
    let world = need!(docker());
    let ours = need!(static_tool("nsenter-rs"));
    let container = world.docker_container("sessions", &[]);
    let enter = |options: &[&str], words: &[&str]| {
        let mut enter = world.command(&ours);
        enter.env("PATH", PATH).args(["-t", &container.name]).args(options).args(words);
        enter.start_with(Stdio::piped())
    };
    let first = enter(&["-a", "-H"], &["sh", "-c", VICTIM]);
    first.wait_for("ready");
    enter(&["-a", "-H"], &["true"]).finish().ok().stderr_is("");
    // One that has all of root's power is named, and refuses nothing.
    let inside = enter(&["--inside"], &["sh", "-c", VICTIM]);
    inside.wait_for("ready");
    let told = enter(&["-a", "-H"], &["true"]).finish().ok();
    assert_eq!(told.stderr.lines().count(), 1, "{told}");
    told.stderr_has("CAP_SYS_PTRACE").stderr_has("(sh)");
}
