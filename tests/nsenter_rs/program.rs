//! The program: what it gets, how it ends, and what runs when none was named.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::{PATH, like_util_linux};
use support::container::{Container, Options, Root};
use support::fake_docker;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::tools::{self, static_tool};

/// With a fork and without.
const WAYS: [&str; 2] = ["-n", "-p"];

#[test]
fn its_exit_status_is_ours() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    for way in WAYS {
        for status in [0, 1, 2, 42, 126, 127, 128, 255] {
            let exit = format!("exit {status}");
            like_util_linux(&lab, &["-t", &target, way, "sh", "-c", &exit]).fails_with(status);
        }
    }
}

#[test]
fn a_signal_that_kills_it_kills_us() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    for way in WAYS {
        for signal in [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGPIPE, Signal::SIGABRT, Signal::SIGUSR1] {
            let kill = format!("ulimit -c 0; kill -{} $$", signal.as_str().trim_start_matches("SIG"));
            // Where it is a child, $$ is a number of the namespace that it is in; the shell knows its own.
            like_util_linux(&lab, &["-t", &target, way, "sh", "-c", &kill]).killed_by(signal);
        }
    }
}

/// 34 to 64 have no names; 32 and 33 are those that C libraries keep for themselves.
#[test]
fn a_real_time_signal_that_kills_it_kills_us() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let _engine = fake_docker::knows(&[&web]).listen(lab.path("/run/docker.sock"));
    let target = web.pid.to_string();
    for signal in 34..=64 {
        let kill = format!("ulimit -c 0; kill -{signal} $$; echo survived");
        let words = ["sh", "-c", &kill];
        for way in WAYS {
            let arguments = [&["-t", &target, way], &words[..]].concat();
            let ran = like_util_linux(&lab, &arguments).stdout_is("");
            assert_eq!(ran.status.and_then(|status| status.signal()), Some(signal), "{ran}");
        }
        let mut pty = lab.tool("nsenter-rs");
        let ran = pty.args(["-t", &target, "-n", "--pty"]).args(words).run().stdout_is("");
        assert_eq!(ran.status.and_then(|status| status.signal()), Some(signal), "{ran}");
        let mut each = lab.tool("nsenter-rs");
        let ran = each
            .args(["--each", "web", "-n", "--engine-timeout", "20s"])
            .args(words)
            .run()
            .fails_with(128 + signal);
        ran.stdout_is("").stderr_is(&format!("nsenter-rs: web: killed by signal {signal}\n"));
    }
    let mut each = lab.tool("nsenter-rs");
    let ran = each
        .args(["--each", "web", "-n", "--engine-timeout", "20s", "--json", "sh", "-c", "kill -40 $$"])
        .run();
    assert_eq!(ran.fails_with(168).json()["signal"], 40);
}

#[test]
fn one_that_is_missing_or_cannot_be_run_is_said_as_shells_say_it() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    fs::write(lab.path("/run/data"), "data").unwrap();
    for way in WAYS {
        let missing = like_util_linux(&lab, &["-t", &target, way, "no-such-program"]).fails_with(127);
        missing.stderr_is("nsenter-rs: no-such-program: no such program\n");
        like_util_linux(&lab, &["-t", &target, way, "/run/data"])
            .fails_with(126)
            .stderr_has("/run/data: Perm");
        like_util_linux(&lab, &["-t", &target, way, "/run"]).fails_with(126);
        like_util_linux(&lab, &["-t", &target, way, "/run/data/x"]);
    }
}

/// The shipped binary too: its C library does not fall back to a shell.
#[test]
fn a_script_without_a_first_line_is_run_by_a_shell() {
    let lab = need!(Lab::new());
    let shipped = need!(static_tool("nsenter-rs"));
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    for (file, text) in [("words", "echo \"$0 $*\"; exit 7\n"), ("empty", ""), ("binary", "\x7fELF\0\n")] {
        for place in [lab.path("/run").join(file), web.path("/tmp").join(file)] {
            fs::write(&place, text).unwrap();
        }
        lab.command("chmod").args(["755", &format!("/run/{file}")]).run().ok();
        web.command("chmod").args(["755", &format!("/tmp/{file}")]).run().ok();
    }
    for tool in [shipped.as_path(), Path::new(tools::tool("nsenter-rs"))] {
        for (way, directory) in [("-n", "/run"), ("-p", "/run"), ("-m", "/tmp")] {
            let run = |words: &[&str]| {
                let path = format!("{PATH}:{directory}");
                let [ours, theirs] = [Path::new(tool), Path::new(&crate::util_linux())].map(|tool| {
                    let mut enter = lab.command(tool);
                    enter.env("PATH", &path).args(["-t", &target, way]).args(words).run()
                });
                assert_eq!((&ours.stdout, ours.status), (&theirs.stdout, theirs.status), "{ours}\n{theirs}");
                ours
            };
            let script = format!("{directory}/words");
            run(&[&script, "a b", "-x"]).fails_with(7).stdout_is(&format!("{script} a b -x\n"));
            run(&["words", "a"]).fails_with(7).stdout_is(&format!("{script} a\n"));
            run(&["empty"]).ok();
        }
    }
    // A program of another machine is none for a shell.
    let mut enter = lab.command(&shipped);
    enter.args(["-t", &target, "-n", "/run/binary"]).run().fails_with(126).stderr_has("Exec format error");
}

#[test]
fn one_that_the_image_does_not_have_is_explained() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options { root: Root::Bare, ..Options::default() });
    let target = web.pid.to_string();
    for way in ["-m", "-a", "-r"] {
        let ran = lab.tool("nsenter-rs").args(["-t", &target, way, "ip", "addr"]).run().fails_with(127);
        ran.stderr_has("nsenter-rs: ip: no such program\nhint: the program is looked up in the container");
    }
    lab.tool("nsenter-rs").args(["-t", &target, "-n", "ip", "addr"]).run().ok().stdout_has("LOOPBACK");
}

#[test]
fn its_arguments_are_not_touched() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    let words = ["-4", "--help", "-n", "--", "-t", "", "a b", "*", "=", "-"];
    let arguments = [&["-t", &target, "-n", "printf", "<%s>"], &words[..]].concat();
    like_util_linux(&lab, &arguments).ok().stdout_is(&words.map(|word| format!("<{word}>")).concat());
    like_util_linux(&lab, &["-t", &target, "-n", "--", "printf", "%s", "--", "-n"]).ok();

    let bytes = b"\xff\xfe\xc3(";
    let mut hex = lab.tool("nsenter-rs");
    hex.args(["-t", &target, "-p", "sh", "-c", "printf %s \"$1\" | od -An -tx1", "sh"]);
    hex.arg(OsStr::from_bytes(bytes)).run().ok().stdout_is(" ff fe c3 28\n");
}

/// A container in which `/proc` shows who comes in without the PID namespace too.
fn with_the_labs_proc(lab: &Lab) -> Container {
    lab.container("web", Options { unshared: vec!["mnt", "uts"], ..Options::default() })
}

#[test]
fn it_starts_with_the_signals_as_its_caller_left_them() {
    let lab = need!(Lab::new());
    let [web, db] = [with_the_labs_proc(&lab), lab.container("db", Options::default())];
    let nsenter = support::tools::tool("nsenter-rs");
    for (target, way) in [(web.pid, "-m"), (db.pid, "-m -p")] {
        for left in ["", "trap '' INT HUP;", "trap '' USR1 TERM;"] {
            let status = |program: &str| {
                let show = "grep -E '^(Sig(Blk|Ign|Cgt)|NoNewPrivs|Cap)' /proc/self/status";
                lab.shell(&format!("{left} exec {program} -t {target} {way} {show}")).run().ok().stdout
            };
            assert_eq!(status(nsenter), status("nsenter"), "{way} {left}");
        }
    }
}

#[test]
fn it_gets_no_descriptor_of_ours() {
    let lab = need!(Lab::new());
    let [web, db] = [with_the_labs_proc(&lab), lab.container("db", Options::default())];
    for (target, ways) in [(web.pid, ["-m", "-u"]), (db.pid, ["-m", "-p"])] {
        let mut look = lab.tool("nsenter-rs");
        look.args(["-t", &target.to_string(), ways[0], ways[1], "ls", "/proc/self/fd"]);
        look.run().ok().stdout_is("0\n1\n2\n3\n");
    }
    // Where it stays a program of the host, it also gets what the test itself may have been started with.
    like_util_linux(&lab, &["-t", &web.pid.to_string(), "-n", "-u", "ls", "/proc/self/fd"]).ok();
}

#[test]
fn its_input_and_output_are_ours() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    for way in WAYS {
        let mut cat = lab.tool("nsenter-rs");
        cat.args(["-t", &web.pid.to_string(), way, "sh", "-c", "cat; echo done >&2"]);
        cat.run_with_input("one\ntwo").ok().stdout_is("one\ntwo").stderr_is("done\n");
    }
}

#[test]
fn closed_descriptors_are_no_way_out_of_entering() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let nsenter = support::tools::tool("nsenter-rs");
    // With a closed stdin the pidfd could be descriptor 0, which util-linux took for "none" (util-linux#4412).
    for closed in ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        for way in ["-n", "-n -p -m -r -w", "-a -e", "-p"] {
            let show = "readlink /proc/self/ns/net >/run/entered";
            // The container has a /run of its own, and shows its namespaces with its own /proc.
            let line = format!("rm -f /run/entered; {nsenter} -t {} {way} sh -c '{show}' {closed}", web.pid);
            lab.shell(&line).run().ok();
            let there = if way.contains("-m") || way.contains("-a") {
                &web.path("/run/entered")
            } else {
                &lab.path("/run/entered")
            };
            let shown = std::fs::read_to_string(there).unwrap_or_else(|error| panic!("{line}: {error}"));
            let expected = lab.namespace(if way == "-p" { 1 } else { web.pid }, "net");
            assert_eq!(shown.trim(), expected, "{line}");
            fs::remove_file(there).unwrap();
        }
    }
    // Nor is what was asked for forgotten when there is nobody to tell that it failed.
    let line = format!("{nsenter} -t {} -n -W /nowhere touch /run/ran <&- >&- 2>&-", web.pid);
    lab.shell(&line).run().fails_with(1);
    assert!(!lab.path("/run/ran").exists());
}

#[test]
fn without_a_program_it_is_the_users_shell() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    let shell = |shell: Option<&str>, program: &str| {
        let mut command = if program == "nsenter" { lab.command(program) } else { lab.tool(program) };
        if let Some(shell) = shell {
            command.env("SHELL", shell);
        }
        command.args(["-t", &target, "-u"]).run_with_input("echo $0 on $(hostname)\n")
    };
    let [ours, theirs] = ["nsenter-rs", "nsenter"].map(|program| shell(Some("/bin/sh"), program).ok());
    assert_eq!(ours.stdout, theirs.stdout);
    ours.stdout_is("-sh on web\n");
    // Without a word from the environment it is what passwd(5) says, as in util-linux 2.40.
    let entry = lab.command("getent").args(["passwd", "0"]).run().ok();
    let name = entry.text().rsplit('/').next().unwrap().to_owned();
    shell(None, "nsenter-rs").ok().stdout_is(&format!("-{name} on web\n"));
    // The host's shell may not be in the image.
    for missing in ["/bin/no-such-shell", ""] {
        shell(Some(missing), "nsenter-rs").ok().stdout_has(" on web\n");
    }
}

#[test]
fn an_image_without_any_shell_is_said_to_have_none() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options { root: Root::Bare, ..Options::default() });
    let ran = lab.tool("nsenter-rs").args(["-t", &web.pid.to_string(), "-a"]).run().fails_with(127);
    ran.stderr_has("/bin/sh: no such program").stderr_has("hint: ");
}
