//! What is typed: what was not understood is never run, least of all on the host.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::like_util_linux;
use support::container::Options;
use support::fake_docker;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::tools;

/// The line of `sh` in which `nsenter-rs` and `cpid` are ours.
fn line(lab: &Lab, text: &str) -> std::process::Command {
    let bin = tools::tool("cpid").trim_end_matches("cpid");
    let mut shell = lab.shell(text);
    shell.env("PATH", format!("{bin}:{}", tools::path()));
    shell
}

#[test]
fn what_is_not_understood_is_never_run() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let _engine = fake_docker::knows(&[&web]).listen(lab.path("/run/docker.sock"));
    let lines = [
        "nsenter-rs -t '' -n echo ran",
        "nsenter-rs -t -n echo ran",
        "nsenter-rs --target= -n echo ran",
        "nsenter-rs -t \"$(cpid nope)\" -n echo ran",
        "nsenter-rs -t $(cpid nope) -n echo ran",
        "nsenter-rs --target=-n echo ran",
        "nsenter-rs -t web --bogus echo ran",
        "nsenter-rs -t web -n --nett echo ran",
        "nsenter-rs -t web -nx echo ran",
        "nsenter-rs -t web -t web -n echo ran",
        "nsenter-rs -t web -n -S nobody echo ran",
        "nsenter-rs -t web -n -S -1 echo ran",
        "nsenter-rs -t web -n -G 4294967296 echo ran",
        "nsenter-rs -t web -n -G",
        "nsenter-rs -n echo ran",
        "nsenter-rs -a echo ran",
        "nsenter-rs -e echo ran",
        "nsenter-rs -S follow echo ran",
        "nsenter-rs -t nope -n echo ran",
        "nsenter-rs -t web/.. -n echo ran",
        "nsenter-rs -t 0 -n echo ran",
        "nsenter-rs -t 1:1 -n echo ran",
        "nsenter-rs -t 1: -n echo ran",
        "nsenter-rs -t 1:-1 -n echo ran",
        "nsenter-rs -t 1:18446744073709551616 -n echo ran",
        "nsenter-rs --net= echo ran",
        "nsenter-rs -n= echo ran",
        "nsenter-rs -t web --root= echo ran",
        "nsenter-rs -t web --wd= echo ran",
        "nsenter-rs -t web -W '' echo ran",
        "nsenter-rs -t web -n -S '' echo ran",
        "nsenter-rs -t web -n --setuid=4294967295 echo ran",
    ];
    for text in lines {
        let ran = line(&lab, text).run().fails_with(1).stdout_is("");
        ran.stderr_has("nsenter-rs: ");
    }
    let mut garbled = lab.tool("nsenter-rs");
    garbled.arg("-t").arg(OsStr::from_bytes(b"\xff")).args(["-n", "echo", "ran"]);
    garbled.run().fails_with(1).stdout_is("");
}

#[test]
fn a_container_is_a_target_by_its_name_and_by_what_cpid_says() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let _engine = fake_docker::knows(&[&web]).listen(lab.path("/run/docker.sock"));
    for target in ["web", "$(cpid web)", "docker:web", "pid:$(cpid web)"] {
        line(&lab, &format!("nsenter-rs -t {target} -n -u hostname"))
            .run()
            .ok()
            .stdout_is("web\n")
            .stderr_is("");
    }
}

#[test]
fn without_a_namespace_the_user_is_told_that_it_runs_on_the_host() {
    let lab = need!(Lab::new());
    let note = "nsenter-rs: no namespace was requested (-n, -a, ...): the program runs on the host\n";
    lab.tool("nsenter-rs").args(["echo", "ran"]).run().ok().stdout_is("ran\n").stderr_is(note);
    lab.tool("nsenter-rs").args(["-t", "1", "echo", "ran"]).run().ok().stdout_is("ran\n").stderr_is(note);
}

#[test]
fn a_long_option_may_be_cut_short() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    like_util_linux(&lab, &["--targ", &target, "--ut", "hostname"]).ok().stdout_is("web\n");
    let file = format!("--uts=/proc/{target}/ns/uts");
    like_util_linux(&lab, &[&file[1..3], "hostname"]).fails_with(1);
    like_util_linux(&lab, &[&file.replace("uts=", "ut="), "hostname"]).ok().stdout_is("web\n");
    let enter = ["-t", &target, "--mou", "--ro", "--wdn=/etc", "--preserve", "pwd"];
    like_util_linux(&lab, &enter).ok().stdout_is("/etc\n");
    // What could be two options is neither, and what is no option is none.
    for word in ["--t", "--u", "--se", "--nett", "--roots", "--targets", "--=x", "--uts-", "-utsx", "---uts"]
    {
        like_util_linux(&lab, &["-t", &target, word, "echo", "ran"]).fails_with(1).stdout_is("");
    }
    // Here our own begin alike, and are spelled out.
    let no_fork = ["-t", &target, "-p", "--no", "readlink", "/proc/self/ns/pid"];
    like_util_linux(&lab, &no_fork).ok().stdout_is(&format!("{}\n", lab.namespace(1, "pid")));
    for ours in ["--no-r", "--verb", "--engine-time=1s"] {
        lab.tool("nsenter-rs")
            .args(["-t", &target, "-u", ours, "echo", "ran"])
            .run()
            .fails_with(1)
            .stdout_is("");
    }
}

#[test]
fn an_option_given_twice_counts_as_it_was_given_last() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options { cwd: "/tmp", ..Options::default() });
    let db = lab.container("db", Options::default());
    let target = web.pid.to_string();
    let [web_uts, db_uts] = [web.pid, db.pid].map(|pid| format!("--uts=/proc/{pid}/ns/uts"));
    let cases: [&[&str]; 6] = [
        &["-t", &target, "-u", "-u", "--uts", "hostname"],
        &[&web_uts, &db_uts, "hostname"],
        &["-t", &target, "-p", "-p", "-m", "-m", "readlink", "/proc/self/ns/pid"],
        &["-t", &target, "-p", "-F", "-F", "--no-fork", "readlink", "/proc/self/ns/pid"],
        &["-t", &target, "-m", "-r", "-r", "-w", "-w", "pwd"],
        &["-t", &target, "-m", "--wdns=/etc", "--wdns=/usr", "pwd"],
    ];
    for case in cases {
        like_util_linux(&lab, case).ok();
    }
    like_util_linux(&lab, &[&web_uts, &db_uts, "hostname"]).ok().stdout_is("db\n");
    // A FILE counts wherever it stands, as in util-linux 2.42; 2.38 took the target's.
    for order in [["-u", db_uts.as_str()], [&db_uts, "-u"]] {
        let mut enter = lab.tool("nsenter-rs");
        enter.args(["-t", &target]).args(order).arg("hostname").run().ok().stdout_is("db\n");
    }
    let mut ours = lab.tool("nsenter-rs");
    ours.args(["-t", &target, "-aa", "-ee", "-r=/", "-r", "-w=/etc", "-w", "pwd"])
        .run()
        .ok()
        .stdout_is("/tmp\n");
    // Only of two targets nobody can tell which one is meant.
    let both = ["-t", &target, "-t", &target, "-u", "echo", "ran"];
    let both = lab.tool("nsenter-rs").args(both).run().fails_with(1).stdout_is("");
    both.stderr_has("'--target <TARGET>' cannot be used multiple times");
}

#[test]
fn options_end_where_the_program_begins() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    for words in [
        &["-u", "--", "hostname"][..],
        &["-u", "echo", "-n", "--net", "-t"],
        &["-u", "--", "--net"],
        &["-u", "-"],
        &["-u", "--", "sh", "-c", "echo $#", "sh", "--", "-a"],
    ] {
        like_util_linux(&lab, &[&["-t", &target], words].concat());
    }
}

#[test]
fn a_container_in_the_place_of_the_program_is_recognized() {
    let lab = need!(Lab::new());
    let mut enter = lab.tool("nsenter-rs");
    let ran = enter.env("PATH", crate::PATH).args(["web", "ip", "addr"]).run().fails_with(127);
    ran.stderr_has("web: no such program\nhint: if web is a container: nsenter-rs -t web -n ip addr\n");
    // What was said already is not said twice: the hint is there to be pasted.
    let mut enter = lab.tool("nsenter-rs");
    let ran = enter.env("PATH", crate::PATH).args(["web", "-n", "ip", "addr"]).run().fails_with(127);
    ran.stderr_has("hint: if web is a container: nsenter-rs -t web -n ip addr\n");
}

#[test]
fn a_host_network_is_entered_without_a_word() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::only(&["uts"]));
    let mut same = lab.tool("nsenter-rs");
    same.args(["-t", &web.pid.to_string(), "-n", "readlink", "/proc/self/ns/net"]);
    same.run().ok().stdout_is(&format!("{}\n", lab.namespace(1, "net"))).stderr_is("");
}

#[test]
fn help_and_version_are_results() {
    let lab = need!(Lab::new());
    lab.tool("nsenter-rs").arg("--help").run().ok().stdout_has("Usage: nsenter-rs").stderr_is("");
    lab.tool("nsenter-rs").arg("--version").run().ok().stdout_has(env!("CARGO_PKG_VERSION"));
}
