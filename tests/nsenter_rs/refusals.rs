//! Whichever system call fails on the way to the program: it is not run, or it has all that holds it.
//!
//! strace(1) has each call of a kind fail in turn, until there is none left.

use std::process::Stdio;

use support::lab::Lab;
use support::run::{Ran, Run, RunningProgram};
use support::skip::{Missing, need, program};
use support::tools;

const STATUS: &str = "^(Uid|Gid|Groups|Cap...|NoNewPrivs):";

/// More than any of the runs below makes of one kind of call.
const MOST: usize = 400;

struct Trial {
    lab: Lab,
    target: String,
    /// What the program has to say of itself.
    expected: String,
    _process: RunningProgram,
}

impl Trial {
    /// A target that is confined in every way at once.
    fn new() -> Result<Trial, Missing> {
        program("strace", "strace")?;
        program("setpriv", "util-linux")?;
        let lab = Lab::with_users()?;
        lab.user_namespace()?;
        let who = "--reuid=1000 --regid=1001 --groups=27,1002 --no-new-privs --bounding-set=-all,+net_raw,+chown \
                   --inh-caps=+net_raw --ambient-caps=+net_raw";
        let script = format!(
            "exec unshare --uts prlimit --nofile=90:100 setpriv {who} \
             sh -c 'read -r pid _ </proc/self/stat; echo $pid; read -r _'"
        );
        let process = lab.shell(&script).start_with(Stdio::piped());
        let target = process.first_line().unwrap_or_else(|| panic!("{}", process.so_far()));
        let expected =
            lab.command("sh").args(["-ec", Trial::SHOW, &format!("/proc/{target}"), STATUS]).run().ok();
        Ok(Trial { lab, target, expected: expected.stdout, _process: process })
    }

    const SHOW: &str = r#"grep -E "$1" $0/status; grep -F 'open files' $0/limits"#;

    fn run(&self, strace: &str) -> Ran {
        let tool = tools::tool("nsenter-rs");
        let line = format!(
            "strace -qq -o /run/log {strace} {tool} -t {} -u --confine sh -ec \"$0\" /proc/self \"$1\"; code=$?
             grep -q INJECTED /run/log && echo injected >&2; exit $code",
            self.target
        );
        self.lab.command("sh").args(["-c", &line, Trial::SHOW, STATUS]).run()
    }

    /// How many calls of that kind there were to fail.
    #[track_caller]
    fn none_goes_wrong(&self, call: &str, error: &str) -> usize {
        for nth in 1..MOST {
            let inject = format!("-e trace={call} -e inject={call}:error={error}:when={nth}");
            let ran = self.run(&inject);
            // The program's own calls may fail too, and then it says less.
            let held = self.expected.starts_with(&ran.stdout);
            assert!(held, "the program is not held where {call} number {nth} fails: {ran}");
            if !ran.stderr.contains("injected") {
                assert_eq!(ran.ok().stdout, self.expected);
                return nth - 1;
            }
        }
        panic!("{call} never ends");
    }
}

#[test]
fn a_confined_program_runs_under_strace_as_without() {
    let trial = need!(Trial::new());
    let ran = trial.run("-e trace=none");
    ran.ok().stdout_is(&trial.expected).stdout_has("NoNewPrivs:\t1").stdout_has("CapAmb:\t0000000000002000");
}

#[test]
fn no_call_that_fails_sets_a_program_free() {
    let trial = need!(Trial::new());
    // The least that there is of each kind: without any the test would say nothing.
    for (call, least) in [("capset", 1), ("setgroups", 2), ("setresgid", 1), ("setresuid", 1), ("keyctl", 1)]
    {
        assert!(trial.none_goes_wrong(call, "EPERM") >= least, "{call}");
    }
}

#[test]
fn a_program_gets_a_session_keyring_of_its_own_or_does_not_run() {
    let trial = need!(Trial::new());
    let ran = trial.run("-e trace=keyctl -e inject=keyctl:error=EDQUOT:when=1");
    ran.fails_with(1).stdout_is("").stderr_has("session keyring: Quota exceeded");
    // A kernel without keys has none to keep from the program.
    trial.run("-e trace=keyctl -e inject=keyctl:error=ENOSYS:when=1").ok().stdout_is(&trial.expected);
}

#[test]
fn no_prctl_that_fails_sets_a_program_free() {
    let trial = need!(Trial::new());
    // Each of the bounding set's, the user's, the ambient ones, no_new_privs.
    assert!(trial.none_goes_wrong("prctl", "EPERM") > 30);
}

#[test]
fn no_limit_that_cannot_be_set_sets_a_program_free() {
    let trial = need!(Trial::new());
    assert!(trial.none_goes_wrong("prlimit64", "EPERM") >= 16);
}

#[test]
fn nothing_that_cannot_be_opened_or_written_sets_a_program_free() {
    let trial = need!(Trial::new());
    for call in ["openat", "write", "setns", "statfs,fstatfs"] {
        assert!(trial.none_goes_wrong(call, "EIO") >= 1, "{call}");
    }
}
