//! What is typed and what is printed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use support::container::Options;
use support::fake_docker;
use support::lab::Lab;
use support::run::{Ran, Run};
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

/// What the line `hint:` says, run as it stands.
fn pasted(lab: &Lab, ran: &Ran) -> Ran {
    let hint = ran.stderr.lines().find_map(|line| line.strip_prefix("hint: "));
    let hint = hint.unwrap_or_else(|| panic!("no hint: {ran}"));
    let directory = Path::new(tools::tool("cpid")).parent().unwrap().display();
    lab.shell(&format!("PATH={directory}:$PATH; {hint}")).run()
}

/// Whether it finds the network of that process: alone, or beside one of the machine's that a lab may not look into.
fn finds(ran: &Ran, pid: i32) -> bool {
    let row = format!("  pid:{pid} (");
    ran.stdout == format!("{pid}\n") || (ran.stderr.contains(&row) && ran.stderr.contains("not looked at: "))
}

#[test]
fn a_word_that_is_no_container_is_answered_with_the_command_that_was_meant() {
    let lab = need!(Lab::new());
    let nginx = lab.container("nginx", Options::default());
    let digits = lab.container("4711", Options::only(&["net"]));
    nginx.ip("address add 198.18.7.2/32 dev lo");
    nginx.ip("address add fd00::2/128 dev lo");
    let _engine = fake_docker::knows(&[&nginx, &digits]).listen(lab.path("/run/docker.sock"));
    let run = |word: &str| lab.tool("cpid").arg(word).run();
    let digits = format!("{}\n", digits.pid);

    let said = run("ngnix").fails_with(1).stdout_is("");
    let said = said.stderr_is(
        "cpid: ngnix: no such container (asked: docker); did you mean nginx?\nhint: cpid --list\n",
    );
    pasted(&lab, &said).ok().stdout_has("nginx");
    run("mysql")
        .fails_with(1)
        .stderr_is("cpid: mysql: no such container (asked: docker)\nhint: cpid --list\n");
    let said = run("docker:ngnix").fails_with(1).stderr_has("did you mean nginx?\n");
    pasted(&lab, &said).ok().stdout_has("nginx");

    for (word, status) in [("198.18.7.2", 1), ("198.18.7.2/24", 2), ("fd00::2", 2), ("[fd00::2]", 2)] {
        let said = run(word).fails_with(status).stdout_is("").stderr_has("hint: cpid ip:");
        assert!(finds(&pasted(&lab, &said), nginx.pid), "{said}");
    }
    run("02:42:ac:11:00:05").fails_with(2).stderr_has("hint: cpid mac:02:42:ac:11:00:05\n");
    run("0242.ac11.0005").fails_with(1).stderr_has("hint: cpid mac:0242.ac11.0005\n");
    run("eth0@if98").fails_with(1).stderr_has("hint: cpid veth:eth0@if98\n");

    let said = run("4711").fails_with(1).stdout_is("");
    let said = said.stderr_is(
        "cpid: PID 4711: no such process, but docker has a container of that name or ID\nhint: cpid docker:4711\n",
    );
    pasted(&lab, &said).ok().stdout_is(&digits);

    run("ng*").fails_with(2).stderr_has("hint: nsenter-rs --each 'ng*' -n ip addr\n");
    let said = run("help").fails_with(1);
    pasted(&lab, &said).ok().stdout_has("Usage: cpid");
    let said = run("list").fails_with(1).stderr_has("hint: cpid --list\n");
    pasted(&lab, &said).ok();
}

#[test]
fn the_word_of_a_job_in_the_place_of_a_container_is_answered_with_its_option() {
    let lab = need!(Lab::new());
    let _engine = fake_docker::knows(&[]).listen(lab.path("/run/docker.sock"));
    for tool in ["cpid", "netns-link", "add-nic", "netns-ping", "netns-trace", "netns-ls", "nsenter-rs"] {
        for (word, meant) in [("help", format!("{tool} --help")), ("version", format!("{tool} --version"))] {
            let said = lab.tool(tool).arg(word).run();
            said.stderr_has(&format!("\nhint: {meant}\n"));
        }
        let listing = match tool {
            "add-nic" | "netns-link" => format!("{tool} --list"),
            "netns-ls" => tool.to_owned(),
            _ => "cpid --list".to_owned(),
        };
        lab.tool(tool).arg("list").run().stderr_has(&format!("\nhint: {listing}\n"));
    }
    for tool in ["cpid", "netns-link", "add-nic", "netns-ping", "netns-trace"] {
        let said = lab.tool(tool).args(["web*", "gateway"]).run().fails_with(2);
        said.stderr_has("hint: nsenter-rs --each 'web*' -n ip addr\n");
    }
    let said = lab.tool("netns-trace").arg("web").run().fails_with(2);
    said.stderr_has("hint: netns-trace web gateway\n");
}

#[test]
fn the_command_that_was_meant_is_of_the_tool_that_was_called() {
    let lab = need!(Lab::new());
    let nginx = lab.container("nginx", Options::default());
    nginx.ip("address add 198.18.7.2/32 dev lo");
    let _engine = fake_docker::knows(&[&nginx]).listen(lab.path("/run/docker.sock"));
    let mut inside = lab.tool("nsenter-rs");
    let said = inside.args(["-t", "198.18.7.2", "-n", "echo", "it's $HOME"]).run().stdout_is("");
    let said = said.stderr_has("hint: nsenter-rs -t ip:198.18.7.2 -n echo 'it'\\''s $HOME'\n");
    let ran = pasted(&lab, &said);
    assert!(ran.stdout == "it's $HOME\n" || finds(&ran, nginx.pid), "{ran}");
    let said = lab.tool("nsenter-rs").args(["-t198.18.7.2/24", "-n", "true"]).run().stdout_is("");
    said.stderr_has("hint: nsenter-rs -tip:198.18.7.2 -n true\n");
    let said = lab.tool("netns-ping").args(["fd00::1/64", "gateway"]).run().fails_with(2);
    said.stderr_has("hint: netns-ping ip:fd00::1 gateway\n");
    for tool in ["netns-ping", "add-nic"] {
        let said = lab.tool(tool).arg("help").run().fails_with(2);
        pasted(&lab, &said).ok().stdout_has(&format!("Usage: {tool}"));
    }
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
