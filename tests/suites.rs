//! `tests/setup/suites`: what it makes of suites that fail, by a cargo that says what the test wants.
//!
//! Observers: its exit status, its last lines, and which commands that cargo was given.

#![cfg(test)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use support::run::{Ran, Run};
use support::scratch::Scratch;

/// Plays the script named after the suite; `NAME.alone` where one test of it is wanted, by its exact name.
const CARGO: &str = r#"#!/bin/sh
echo "$*" >>"$FAKE/calls"
suite=units
case "$*" in *" --test "*) suite=${*#* --test } suite=${suite%% *} ;; esac
case "$*" in *" -- --exact "*) suite=$suite.alone ;; esac
case "$*" in *" --doc") suite=documentation ;; esac
exec sh "$FAKE/$suite"
"#;

/// What the test runner says of a test that passes.
const PASSES: &str = r#"
echo "    Finished dev profile"
echo "     Running tests/x.rs (target/debug/deps/x)"
echo "running 1 test"
echo "test good ... ok"
echo "test result: ok. 1 passed; 0 failed; 0 ignored"
"#;

/// What it says of tests that fail, with output in which names seem to be listed.
fn fails(tests: &[&str]) -> String {
    let (mut at_once, mut said, mut listed) = (String::new(), String::new(), String::new());
    for test in tests {
        at_once += &format!("echo 'test {test} ... FAILED'\n");
        said += &format!("echo '---- {test} stdout ----'\necho '    no test, but what {test} said'\n");
        listed += &format!("echo '    {test}'\n");
    }
    format!(
        "echo '    Finished dev profile'\necho 'running {} tests'\n{at_once}echo failures:\n{said}echo failures:\n{listed}\
         echo 'test result: FAILED. 0 passed; {} failed; 0 ignored'\nexit 101\n",
        tests.len(),
        tests.len()
    )
}

/// Runs the suites that have a script in `scripts`.
fn suites(scripts: &[(&str, &str)]) -> (Ran, String, String) {
    let fake = Scratch::new();
    fs::write(fake.path("cargo"), CARGO).unwrap();
    fs::set_permissions(fake.path("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut run = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup/suites"));
    for (name, script) in scripts {
        fs::write(fake.path(name), script).unwrap();
        if !name.contains('.') && *name != "documentation" {
            run.arg(name);
        }
    }
    let path = format!("{}:{}", fake.as_ref().display(), std::env::var("PATH").unwrap());
    run.env("PATH", path).env("FAKE", fake.as_ref()).env("NETNS_TOOLBOX_ALONE", fake.path("alone"));
    run.env(
        "NETNS_TOOLBOX_SUITE_LIMIT",
        if scripts.iter().any(|(name, _)| *name == "slow") { "1" } else { "600" },
    );
    let ran = run.run();
    let read = |name| fs::read_to_string(fake.path(name)).unwrap_or_default();
    (ran, read("calls"), read("alone"))
}

#[test]
fn what_passes_is_green_and_runs_once() {
    let (ran, calls, alone) = suites(&[("fine", PASSES), ("units", PASSES), ("documentation", PASSES)]);
    ran.ok().stdout_has("== fine (").stdout_has("== units (");
    assert_eq!((calls.lines().count(), alone.as_str()), (3, ""), "{calls}");
}

#[test]
fn a_test_that_passes_alone_is_listed_and_the_run_is_green() {
    let crowd = fails(&["docker::fails"]);
    let (ran, calls, alone) = suites(&[("fine", PASSES), ("crowded", &crowd), ("crowded.alone", PASSES)]);
    let ran = ran.ok().stdout_has("== once more, alone: crowded: docker::fails\n");
    assert!(
        ran.stdout.ends_with("== passed only alone: a test to mend\n   crowded: docker::fails\n"),
        "{ran}"
    );
    assert_eq!(alone, "crowded: docker::fails\n");
    assert!(calls.ends_with("--test crowded -- --exact docker::fails\n"), "{calls}");
}

#[test]
fn a_test_that_fails_twice_is_red_with_what_it_said_both_times() {
    let crowd = fails(&["one", "two"]);
    let again = fails(&["the same"]);
    let (ran, _, alone) = suites(&[("broken", &crowd), ("broken.alone", &again)]);
    let ran = ran.fails_with(1).stdout_has("the same said");
    ran.clone().stdout_has("== what it said the first time: broken: two\n---- two stdout ----\n");
    assert!(ran.stdout.ends_with("== failed:\n   broken: one (twice)\n   broken: two (twice)\n"), "{ran}");
    assert_eq!(alone, "");
}

#[test]
fn a_name_that_runs_nothing_the_second_time_is_no_pass() {
    let crowd = fails(&["gone"]);
    let nothing = "echo 'test result: ok. 0 passed; 0 failed; 0 ignored'";
    let (ran, ..) = suites(&[("broken", &crowd), ("broken.alone", nothing)]);
    ran.fails_with(1).stdout_has("   broken: gone (twice)\n");
}

#[test]
fn more_than_five_that_fail_are_red_and_do_not_run_again() {
    let crowd = fails(&["a", "b", "c", "d", "e", "f"]);
    let (ran, calls, _) = suites(&[("crowded", &crowd), ("crowded.alone", PASSES)]);
    ran.fails_with(1).stdout_has("   crowded: f\n");
    assert_eq!(calls.lines().count(), 1, "{calls}");
}

#[test]
fn what_does_not_compile_is_red() {
    let (ran, calls, _) =
        suites(&[("broken", "echo 'error[E0425]: no such thing'; exit 101"), ("fine", PASSES)]);
    ran.fails_with(1).stdout_has("error[E0425]").stdout_has("== failed:\n   broken: does not compile\n");
    assert_eq!(calls.lines().count(), 2, "{calls}");
}

#[test]
fn a_test_program_that_a_signal_ends_is_red_although_the_tests_of_another_could_run_again() {
    let killed = format!(
        "({}); echo 'running 1 test'; echo 'test fine ... ok'\n\
         echo '  process did not exit successfully: `y` (signal: 6, SIGABRT: process abort signal)'; exit 101",
        fails(&["one"])
    );
    let (ran, ..) = suites(&[("units", &killed), ("documentation", PASSES), ("units.alone", PASSES)]);
    ran.fails_with(1).stdout_has(
        "   units: a test program did not come to its end: (signal: 6, SIGABRT: process abort signal)\n",
    );
}

#[test]
fn a_suite_that_hangs_is_red_and_names_the_test() {
    let hangs = "echo 'running 2 tests'\necho 'test over has been running for over 60 seconds'\n\
                 echo 'test hangs has been running for over 60 seconds'\necho 'test over ... ok'\nsleep 1000";
    let (ran, ..) = suites(&[("slow", hangs)]);
    ran.fails_with(1).stdout_has("   slow: not over after 1 s; running longest: hangs \n");
}

#[test]
fn a_suite_that_fails_without_a_test_that_fails_is_red() {
    let (ran, ..) = suites(&[("odd", &format!("{PASSES}exit 3"))]);
    ran.fails_with(1).stdout_has("   odd: ended with status 3, and no test has failed\n");
}
