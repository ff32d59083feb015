//! What is typed and what is printed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use support::fake_docker;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::tools;

fn cpid() -> Command {
    tools::in_clean_environment(Command::new(tools::tool("cpid")))
}

#[test]
fn a_name_that_no_engine_would_give_is_one_clear_error_and_nothing_is_asked() {
    let lab = need!(Lab::new());
    let engine = fake_docker::knows(&[]).listen(lab.path("/run/docker.sock"));
    let long = "a".repeat(4096);
    let names: [&[u8]; 18] = [
        b"",
        b"-",
        b"-t",
        b"..",
        b"../web",
        b"web/../db",
        b"%2f",
        b"web%2fjson",
        b"web?all=1",
        b"web#",
        b"web\r\nHost: x",
        b"web db",
        b"w\x1b[2Jeb",
        b"kind\n\x1b:x",
        b"pid:\n1",
        b"\xff\xfe",
        "w\u{202e}eb".as_bytes(),
        long.as_bytes(),
    ];
    for name in names {
        let mut cpid = lab.tool("cpid");
        // Colours, or the escape sequences would be taken out on the way to a pipe.
        cpid.env("CLICOLOR_FORCE", "1").arg("--").arg(OsStr::from_bytes(name));
        let ran = cpid.run().fails_with(2).stdout_is("").stderr_has("cpid: ");
        let errors = ran.stderr.lines().filter(|line| line.contains("cpid: ")).count();
        assert_eq!(errors, 1, "{ran}");
        assert!(ran.stderr.len() < 500, "{ran}");
        let driven = ran.stderr.replace('\n', "").chars().any(|c| c.is_control() || c == '\u{202e}');
        assert!(!driven, "{ran}");
        assert!(!ran.stderr.contains("tip: "), "no way of quoting makes it a name: {ran}");
    }
    assert_eq!(engine.requests(), [""; 0]);
}

#[test]
fn usage_errors_are_said_like_all_others() {
    cpid().run().fails_with(2).stdout_is("").stderr_has("cpid: ");
    cpid().args(["--bogus", "web"]).run().fails_with(2).stderr_has("cpid: unexpected argument '--bogus'");
}

#[test]
fn help_and_version_are_results() {
    cpid().arg("--help").run().ok().stdout_has("Usage: cpid").stderr_is("");
    let version = concat!("cpid ", env!("CARGO_PKG_VERSION"), "\n");
    cpid().arg("--version").run().ok().stdout_is(version);
}

#[test]
fn a_reader_who_has_gone_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = cpid().args(["1", "1"]).stdout(writer).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stderr, b"");
}

#[test]
fn a_full_disk_is_an_error() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = cpid().arg("1").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(output.stderr, b"cpid: standard output: No space left on device (os error 28)\n");
}

#[test]
fn it_runs_with_every_descriptor_closed() {
    let mut closed = tools::in_clean_environment(Command::new("sh"));
    closed.args(["-c", "exec \"$0\" 1 <&- >&- 2>&-", tools::tool("cpid")]).run().ok();
}

#[test]
fn a_namespace_has_no_pid() {
    let own = fs::canonicalize("/proc/self/exe").map(OsString::from).unwrap();
    cpid().arg("/proc/self/ns/net").run().fails_with(2).stderr_has("is a namespace without a process");
    cpid().arg(own).run().fails_with(2).stderr_has("is not a namespace");
}
