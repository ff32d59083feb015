//! --keep-caps and --follow-context, side by side with util-linux where it has them.
//!
//! util-linux 2.38 has --keep-caps in unshare only, where it means the same.

use std::process::Stdio;

use crate::like_util_linux;
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::{Missing, need, program};

const CAPABILITIES: [&str; 4] = ["grep", "-E", "^(Uid|Cap...):", "/proc/self/status"];

/// A process in a user namespace where the lab's root is user 1000, and its PID.
fn user_1000(lab: &Lab) -> (RunningProgram, String) {
    let script = "read -r pid _ </proc/self/stat; echo $pid; read -r _";
    let mut unshare = lab.command("unshare");
    unshare.args(["--user", "--map-user=1000", "--map-group=1000", "sh", "-c", script]);
    let process = unshare.start_with(Stdio::piped());
    let pid = process.first_line();
    assert!(pid.is_some(), "{}", process.so_far());
    (process, pid.unwrap_or_default())
}

fn lab() -> Result<Lab, Missing> {
    let lab = Lab::new()?;
    lab.user_namespace()?;
    Ok(lab)
}

#[test]
fn capabilities_are_kept_as_unshare_keeps_them() {
    let lab = need!(lab());
    let (_process, target) = user_1000(&lab);
    for keep in [&["--keep-caps"][..], &[]] {
        let unshare = ["--user", "--map-user=1000", "--map-group=1000"];
        let expected = lab.command("unshare").args(unshare).args(keep).args(CAPABILITIES).run().ok();
        let enter = ["-t", &target, "-U", "--preserve-credentials"];
        let ran = lab.tool("nsenter-rs").args(enter).args(keep).args(CAPABILITIES).run().ok();
        ran.stdout_is(&expected.stdout).stdout_has("Uid:\t1000\t");
    }
}

#[test]
fn capabilities_are_kept_by_another_user_too() {
    let lab = need!(Lab::with_users());
    need!(lab.user_namespace());
    need!(program("setpriv", "util-linux"));
    let script = "read -r pid _ </proc/self/stat; echo $pid; read -r _";
    let process = lab.command("unshare").args(["--user", "sh", "-c", script]).start_with(Stdio::piped());
    let target = process.first_line().unwrap();
    let map = "for map in uid_map gid_map; do echo 0 0 1000 >/proc/$0/$map; done";
    lab.command("sh").args(["-ec", map, &target]).run().ok();
    let run = |words: &[&str]| {
        let mut enter = lab.tool("nsenter-rs");
        enter.args(["-t", &target]).args(words).args(CAPABILITIES).run().ok()
    };
    let ambient = |words: &[&str]| {
        let ran = run(words).stdout_has("Uid:\t7\t7\t7\t7\n");
        let line = ran.stdout.lines().find_map(|line| line.strip_prefix("CapAmb:\t")).unwrap();
        u64::from_str_radix(line, 16).unwrap()
    };
    let bounding = run(&["-U", "-S", "0"]).stdout;
    let all = bounding.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).unwrap();
    assert_eq!(ambient(&["-U", "-S", "7", "--keep-caps"]), u64::from_str_radix(all, 16).unwrap());
    assert_eq!(ambient(&["-U", "-S", "7"]), 0);
    // Where no user namespace is entered they are the host's, and nobody gets those.
    assert_eq!(ambient(&["-S", "7", "--keep-caps"]), 0);
    assert_eq!(ambient(&["-n", "-S", "7", "--keep-caps"]), 0);
}

#[test]
fn where_no_selinux_is_its_context_is_not_missed() {
    let kinds = std::fs::read_to_string("/proc/filesystems").unwrap();
    if kinds.contains("selinuxfs") {
        need!(Err::<(), _>(Missing::ForGood("this kernel has SELinux".to_owned())));
    }
    let lab = need!(lab());
    let (_process, target) = user_1000(&lab);
    for option in ["-Z", "--follow-context"] {
        like_util_linux(&lab, &["-t", &target, "-n", option, "echo", "ran"])
            .ok()
            .stdout_is("ran\n")
            .stderr_is("");
        let said = lab.tool("nsenter-rs").args(["-v", "-t", &target, "-n", option, "echo", "ran"]).run().ok();
        said.stdout_is("ran\n").stderr_has("SELinux is not in use");
    }
}
