//! The tests of what other tests use to run commands, to skip and to fake engines; and the rules for tests.

#![cfg(test)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use support::container::Options;
use support::fake_docker;
use support::fake_engine::{Answer, Script};
use support::lab::Lab;
use support::run::Run;
use support::scratch::Scratch;
use support::skip::{Missing, Record, need, program};
use support::tools;
use support::until::until_some;
use support::world::World;

/// Set for a copy of this test program that is started by one of its tests.
const ROLE: &str = "NETNS_TOOLBOX_HARNESS_TEST_ROLE";

#[test]
fn a_command_that_hangs_is_a_failure_that_shows_its_output() {
    // The grandchild holds the pipes too: it has to go as well.
    let mut hangs = Command::new("sh");
    hangs.args(["-c", "echo on stdout; echo on stderr >&2; sleep 1000 & sleep 1000"]);
    let message = panic_of(|| drop(hangs.run_within(Duration::from_millis(300))));
    for part in ["still running", "on stdout", "on stderr", "sleep 1000"] {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
}

#[test]
fn a_script_that_waits_in_vain_is_shown_with_what_it_asks() {
    let script =
        "until grep -q Name: /proc/self/status; do :; done\nuntil grep -q never /dev/null; do :; done";
    let message =
        panic_of(|| drop(Command::new("sh").args(["-c", script]).run_within(Duration::from_millis(300))));
    let (busy_with, _) = message.split_once("]: ").unwrap_or_else(|| panic!("{message}"));
    assert!(busy_with.contains("busy with [\"grep -q never /dev/null\""), "{message}");
    // A shell that is about to become grep shows its whole script.
    assert!(!busy_with.contains("\"grep -q Name:"), "{message}");
}

#[test]
fn what_never_comes_is_a_failure_that_names_it() {
    assert_eq!(until_some(Duration::from_millis(20), || None::<()>), None);
    let mut looks = 0;
    let found = until_some(Duration::from_secs(30), || {
        looks += 1;
        (looks == 3).then_some(looks)
    });
    assert_eq!(found, Some(3));
}

/// `support::until` is how a test waits; what sleeps by the clock is here, with the reason.
#[test]
fn no_test_waits_without_a_deadline() {
    const BY_THE_CLOCK: [&str; 8] = [
        "support/until.rs",          // between two looks
        "support/run.rs",            // between two looks at what hangs
        "add_nic/watch/plan.rs",     // edits a file at another moment of the watch's work in each round
        "engines/fake_monitor.rs",   // between two tries, with a deadline
        "engines/wait.rs",           // ends a container at another moment of the wait in each round
        "netns_ping/dns_server.rs",  // an answer that is late
        "netns_ping/responder.rs",   // an answer that is late
        "nsenter_rs/pty/program.rs", // counts what a program does while nothing happens
    ];
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut directories = vec![tests.clone()];
    let mut busy = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let name = path.strip_prefix(&tests).unwrap().to_str().unwrap().to_owned();
            if path.extension().is_none_or(|extension| extension != "rs") || name == "harness.rs" {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let sleeps = text.contains("thread::sleep") && !BY_THE_CLOCK.contains(&name.as_str());
            if text.contains("yield_now") || sleeps {
                busy.push(name);
            }
        }
    }
    assert!(busy.is_empty(), "these wait by themselves: {busy:?}");
}

/// What a script of a test waits for has the deadline of the command that runs it. What sets up worlds is waited for by no
/// test, so each of its loops that sleep counts its turns.
#[test]
fn no_setup_script_waits_without_a_deadline() {
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup")];
    let mut scripts = Vec::new();
    while let Some(directory) = directories.pop() {
        for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => directories.push(path),
                false => scripts.extend(fs::read_to_string(&path).ok().map(|text| (path, text))),
            }
        }
    }
    assert!(scripts.len() > 30, "{} scripts: are they still found?", scripts.len());
    let wrong = scripts.iter().flat_map(|(path, text)| {
        endless_waits(text).into_iter().map(|line| format!("{}: {line}", path.display()))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "these count no turns: for _ in $(seq 600); do …\n{}", wrong.join("\n"));
    let waits = "until a; do sleep 1; done\nwhile ! a; do\n  b\n  sleep 1\ndone\nuntil a || [ $tries = 5 ]; do sleep 1; done";
    assert_eq!(endless_waits(waits), ["until a; do sleep 1; done", "while ! a; do"]);
    assert_eq!(
        endless_waits("while read -r line; do a; done\nfor _ in $(seq 9); do\n  sleep 1\ndone"),
        [""; 0]
    );
}

/// The first lines of loops of a shell script that sleep, or do nothing, until something is so; not those that compare a number
/// of tries.
fn endless_waits(script: &str) -> Vec<&str> {
    let lines: Vec<&str> = script.lines().collect();
    let begins = |line: &&str| {
        let line = line.trim_start();
        (line.starts_with("until ") || line.starts_with("while ")) && !line.contains("tries")
    };
    let waits = |at: usize| {
        let line = lines[at];
        let indent = line.len() - line.trim_start().len();
        let rest =
            lines[at + 1..].iter().take_while(|next| !next[..].starts_with(&format!("{:indent$}done", "")));
        let is_whole = line.contains("; done");
        let body: Vec<&str> =
            if is_whole { vec![line] } else { std::iter::once(line).chain(rest.copied()).collect() };
        let reads = line.contains("while read ");
        !reads && body.iter().any(|line| line.contains("sleep ") || line.contains("do :"))
    };
    (0..lines.len()).filter(|at| begins(&lines[*at]) && waits(*at)).map(|at| lines[at].trim()).collect()
}

/// Clippy lets only test code unwrap, and knows it by that line.
#[test]
fn every_test_program_says_what_it_tests_and_is_test_code() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let entries = fs::read_dir(tests).unwrap().map(|entry| entry.unwrap().path());
    let program = |path: PathBuf| if path.is_dir() { path.join("main.rs") } else { path };
    let programs = entries.map(program).filter(|path| path.extension().is_some() && path.exists());
    let wrong = programs.filter(|path| {
        let text = fs::read_to_string(path).unwrap();
        !text.starts_with("//! ") || !text.lines().any(|line| line == "#![cfg(test)]")
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "without a first line `//! …`, or without `#![cfg(test)]`: {wrong:?}");
}

#[test]
fn a_program_hears_the_signals_that_our_caller_ignores() {
    const THIS: &str = "a_program_hears_the_signals_that_our_caller_ignores";
    if std::env::var_os(ROLE).is_some() {
        let mut waits = Command::new("sh");
        let running = waits.args(["-c", "echo ready; exec sleep 1000"]).start();
        running.wait_for("ready");
        running.signal(Signal::SIGINT);
        running.finish().killed_by(Signal::SIGINT);
        return;
    }
    // As a shell does with what runs in its background.
    let itself = std::env::current_exe().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' INT; exec \"$0\" --exact \"$1\""]).arg(itself).arg(THIS);
    shell.env(ROLE, "ignores").run().ok();
}

#[test]
fn an_assertion_that_fails_shows_the_command_its_status_and_both_outputs() {
    let ran = Command::new("sh").args(["-c", "echo this; echo that >&2; exit 7"]).run();
    let message = panic_of(|| drop(ran.ok()));
    for part in ["sh -c", "exit status: 7", "this", "that"] {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
}

#[test]
fn input_goes_in_and_ends() {
    Command::new("cat").run_with_input("one\ntwo\n").ok().stdout_is("one\ntwo\n");
    Command::new("cat").run().ok().stdout_is("");
    let mut talk = Command::new("sh")
        .args(["-c", "while read -r word; do echo \"<$word>\"; done"])
        .start_with(Stdio::piped());
    for word in ["first", "second"] {
        talk.say(&format!("{word}\n"));
        talk.wait_for(&format!("<{word}>"));
    }
    talk.finish().ok();
}

#[test]
fn a_status_and_a_signal_come_out_of_a_lab_as_they_were() {
    let lab = need!(Lab::new());
    lab.shell("exit 42").run().fails_with(42);
    lab.shell("kill -TERM $$").run().killed_by(Signal::SIGTERM);
    let trap = lab.shell("trap 'exit 3' USR1; echo ready; while :; do sleep 0.01; done").start();
    trap.wait_for("ready");
    trap.signal_behind_nsenter(Signal::SIGUSR1);
    trap.finish().fails_with(3);
}

#[test]
fn our_own_tools_are_found_in_a_lab() {
    let lab = need!(Lab::new());
    let names = tools::names();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        let tool = lab.tool(name);
        let path = tool.get_args().last().unwrap().to_owned();
        lab.command("test").arg("-x").arg(path).run().ok();
    }
}

#[test]
fn a_skip_is_written_down_with_the_name_of_the_test_and_the_reason() {
    let dir = Scratch::new();
    let (file, missing) = (dir.path("skips"), Missing::ForGood("kernel lacks dummy".into()));
    let record = Record { file: Some(file.clone()), strict: true };
    record.skip("lab::first", &missing);
    record.skip("lab::second", &missing);
    let expected = "lab::first\tkernel lacks dummy\nlab::second\tkernel lacks dummy\n";
    assert_eq!(fs::read_to_string(file).unwrap(), expected);
}

#[test]
fn a_skip_that_could_have_been_avoided_is_a_failure_where_tests_are_prepared_for() {
    let missing = Missing::Fixable("ping is not installed".into());
    let message = panic_of(|| Record { file: None, strict: true }.skip("lab::ping", &missing));
    assert_eq!(message, "lab::ping was not run: fixable: ping is not installed");
}

#[test]
fn a_test_that_lacks_something_is_skipped_under_its_own_name() {
    const THIS: &str = "a_test_that_lacks_something_is_skipped_under_its_own_name";
    if std::env::var_os(ROLE).is_some() {
        need!(program("no-such-program", "no-such-package"));
        unreachable!("need! returns from the test");
    }
    let dir = Scratch::new();
    let mut itself = Command::new(std::env::current_exe().unwrap());
    itself
        .args(["--exact", THIS])
        .env(ROLE, "lacks")
        .env("NETNS_TOOLBOX_SKIPS", dir.path("skips"))
        .env_remove("CI");
    itself.run().ok().stderr_has("skipped");
    let reason = "fixable: no-such-program is not installed (package no-such-package)";
    assert_eq!(fs::read_to_string(dir.path("skips")).unwrap(), format!("harness::{THIS}\t{reason}\n"));
}

#[test]
fn a_fake_engine_answers_by_path_and_remembers_what_it_was_asked() {
    let dir = Scratch::new();
    let script = Script::new().on("/_ping", Answer::new(200, "text/plain", "OK"));
    let engine = script.on("/containers/json", Answer::json(200, "[]")).listen(dir.path("sock"));
    assert!(ask(&dir, "/_ping").ends_with("\r\n\r\nOK"));
    assert!(ask(&dir, "/containers/json?all=true").ends_with("\r\n\r\n[]"));
    assert!(ask(&dir, "/v1.41/info").starts_with("HTTP/1.1 404 "));
    let lines = ["GET /_ping HTTP/1.1", "GET /containers/json?all=true HTTP/1.1", "GET /v1.41/info HTTP/1.1"];
    assert_eq!(engine.requests(), lines);
    assert_eq!(engine.url(), format!("unix://{}", dir.path("sock").display()));
}

#[test]
fn a_fake_engine_can_be_as_broken_as_engines_get() {
    let dir = Scratch::new();
    let script = Script::new()
        .on("/silent", Answer::never())
        .on("/gone", Answer::hang_up())
        .on("/cut", Answer::json(200, r#"{"Id":"abc"}"#).truncated_to(5))
        .on("/slow", Answer::bytes("12345").a_byte_every(Duration::from_millis(5)))
        .on("/endless", Answer::endless("application/json", "[["));
    let engine = script.listen(dir.path("sock"));
    assert_eq!(ask(&dir, "/gone"), "");
    assert_eq!(ask(&dir, "/slow"), "12345");
    let cut = ask(&dir, "/cut");
    assert!(cut.contains("Content-Length: 12") && cut.ends_with("\r\n\r\n{\"Id\""), "{cut}");

    let mut endless = connect(&dir, "/endless");
    let mut body = vec![0; 1 << 20];
    endless.read_exact(&mut body).unwrap();
    assert!(body.ends_with(b"[[[["));

    let mut silent = connect(&dir, "/silent");
    engine.wait_for_requests(5);
    silent.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert_eq!(silent.read(&mut body).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(engine);
    silent.set_read_timeout(None).unwrap();
    assert_eq!(silent.read(&mut body).unwrap(), 0, "an engine that is dropped closes its connections");
}

#[test]
fn a_fake_docker_stands_where_a_lab_expects_the_real_one_and_knows_its_containers() {
    let lab = need!(Lab::new());
    let curl = need!(program("curl", "curl"));
    let web = lab.container("web", Options::default());
    let mut db = lab.container("db", Options::default());
    db.stop();
    let engine = fake_docker::knows(&[&web, &db]).listen(lab.path("/run/docker.sock"));
    let ask = |path: &str| {
        let url = format!("http://localhost/containers/{path}");
        lab.command(&curl).args(["--silent", "--unix-socket", "/run/docker.sock", &url]).run().ok().json()
    };
    assert_eq!(ask("json?all=true")[1]["Names"][0], "/db");
    assert_eq!(ask("web/json")["State"]["Pid"], web.pid);
    assert_eq!(ask(&format!("{}/json", fake_docker::id_of("db")))["State"]["Status"], "exited");
    assert_eq!(ask("nope/json")["message"], "No such container");
    assert_eq!(engine.requests()[1], "GET /containers/web/json HTTP/1.1");
}

#[test]
fn a_container_of_the_real_docker_is_removed_with_its_test() {
    let world = need!(World::get().and_then(World::with_docker));
    let web = world.docker_container("web", &["--network", "none"]);
    let (name, pid) = (web.name.clone(), web.pid());
    world.command("test").args(["-d", &format!("/proc/{pid}")]).run().ok();
    web.command("hostname").run().ok().stdout_is(&format!("{}\n", &web.id[..12]));
    drop(web);
    world.command("docker").args(["inspect", &name]).run().fails_with(1).stderr_has("No such object");
    world.command("test").args(["-d", &format!("/proc/{pid}")]).run().fails_with(1);
}

/// What the closure panics with.
fn panic_of(run: impl FnOnce()) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(run)) else { panic!("no panic") };
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

fn connect(dir: &Scratch, path: &str) -> UnixStream {
    let engine = UnixStream::connect(dir.path("sock"));
    let Ok(mut engine) = engine else { panic!("nobody listens: {engine:?}") };
    let sent = engine.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    assert!(sent.is_ok(), "{sent:?}");
    engine
}

/// All that the engine says to one request, on a connection that is then half closed.
fn ask(dir: &Scratch, path: &str) -> String {
    let mut engine = connect(dir, path);
    let mut answer = String::new();
    let read = engine.shutdown(std::net::Shutdown::Write).and_then(|()| engine.read_to_string(&mut answer));
    assert!(read.is_ok(), "{read:?}");
    answer
}
