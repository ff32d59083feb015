//! The table COMPATIBILITY of the manual: that it has a row for everything, and that each row has its proof. And the
//! proofs of those rows that are about nothing else.

#![allow(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, which the functions they share have not"
)]

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;

use nix::sys::stat::fstat;

use crate::support::container::{KINDS, Options};
use crate::support::lab::Lab;
use crate::support::run::Run;
use crate::support::skip::{Missing, need};
use crate::users::lab_with_users;
use crate::{PATH, like_newer_util_linux, like_util_linux, util_linux, version_of_util_linux};

const TABLE: &str = "man/sections/nsenter-rs-compatibility.roff";

/// A row, as the manual shows it, and the tests that its comment names.
struct Row {
    cells: Vec<String>,
    proofs: Vec<String>,
}

fn rows() -> Vec<Row> {
    let table = read(TABLE);
    let (_, table) = table.split_once(".TS\n").unwrap();
    let (table, _) = table.split_once(".TE\n").unwrap();
    let rows = table.split(".\\\" proved by ").skip(1).map(|row| {
        let (proofs, row) = row.split_once('\n').unwrap();
        let plain = ["T{\n", "\nT}", "\\fB", "\\fR", "\\&"]
            .iter()
            .fold(row.to_owned(), |row, mark| row.replace(mark, ""));
        let cells = plain.replace("\\-", "-").split('|').map(|cell| cell.trim().to_owned()).collect();
        Row { cells, proofs: proofs.split(", ").map(str::to_owned).collect() }
    });
    rows.collect()
}

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The words of a text that are long options.
fn long_options(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '-'));
    words.filter(|word| word.len() > 3 && word.starts_with("--")).map(str::to_owned).collect()
}

/// The options that our tool has.
fn ours() -> BTreeSet<String> {
    long_options(&read("completions/nsenter-rs.bash"))
}

#[test]
fn every_option_of_util_linux_has_a_row() {
    let in_table: BTreeSet<String> = rows().iter().flat_map(|row| long_options(&row.cells[0])).collect();
    // Those of 2.42, as the tool itself knows them, and whatever the installed one has.
    let source = read("bins/nsenter-rs/words.rs");
    let known = source.split("OF_UTIL_LINUX: ").nth(1).unwrap().split("];").next().unwrap();
    let known = long_options(known);
    let of_ours: BTreeSet<String> = known.intersection(&ours()).cloned().collect();
    assert_eq!(in_table, of_ours, "{TABLE} and words.rs");
    let help = Command::new(util_linux()).arg("--help").run().ok();
    let options = help.stdout.lines().filter(|line| line.trim_start().starts_with('-'));
    let installed: BTreeSet<String> =
        options.flat_map(|line| long_options(line).into_iter().next()).collect();
    assert!(installed.len() > 15, "{help}");
    let new: Vec<&String> = installed.difference(&known).collect();
    assert!(new.is_empty(), "{new:?} of the installed nsenter: not in words.rs");
}

#[test]
fn every_row_says_something_and_names_tests_that_there_are() {
    let rows = rows();
    assert!(rows.len() > 30, "{} rows", rows.len());
    for row in &rows {
        let what = &row.cells[0];
        assert_eq!(row.cells.len(), 3, "{what}: {:?}", row.cells);
        assert!(row.cells.iter().all(|cell| cell.len() > 3), "{what}: {:?}", row.cells);
        for proof in &row.proofs {
            let (module, test) = proof.split_once("::").unwrap_or_else(|| panic!("{what}: {proof:?}"));
            let tests = read(&format!("tests/nsenter_rs/{module}.rs"));
            assert!(tests.contains(&format!("#[test]\nfn {test}() {{")), "{what}: there is no test {proof}");
        }
    }
}

#[test]
fn a_target_is_a_pid_with_or_without_its_inode() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::only(&["uts"]));
    // What pidfs(7) has for an inode is the same from wherever it is seen.
    let status = fs::read_to_string(lab.path(format!("/proc/{}/status", web.pid))).unwrap();
    let outer = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
    let outer: i32 = outer.split_whitespace().next().unwrap().parse().unwrap();
    let pidfd = rustix::process::Pid::from_raw(outer).unwrap();
    let pidfd = rustix::process::pidfd_open(pidfd, rustix::process::PidfdFlags::empty()).unwrap();
    let inode = fstat(&pidfd).unwrap().st_ino;
    // Before Linux 6.9 all pidfds have the same few inodes.
    let has_pidfs = fs::read_to_string("/proc/filesystems").is_ok_and(|known| known.contains("pidfs"));
    need!(
        has_pidfs
            .then_some(())
            .ok_or_else(|| Missing::ForGood("the kernel has no pidfs (Linux 6.9 has)".into()))
    );
    let target = web.pid.to_string();
    for form in ["-t", "--target"] {
        like_util_linux(&lab, &[form, &target, "-u", "hostname"]).ok().stdout_is("web\n");
        let exactly = format!("{target}:{inode}");
        like_newer_util_linux(&lab, (2, 42), &[form, &exactly, "-u", "hostname"]).ok().stdout_is("web\n");
        let stale = format!("{target}:{}", inode + 1);
        let ran = like_newer_util_linux(&lab, (2, 42), &[form, &stale, "-u", "hostname"]).fails_with(1);
        ran.stdout_is("")
            .stderr_has(&format!("PID {target}: is another process now (pidfs inode {inode}, not "));
    }
}

#[test]
fn a_file_follows_its_option_with_or_without_an_equals_sign() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let file = format!("/proc/{}/ns/uts", web.pid);
    like_util_linux(&lab, &[&format!("--uts={file}"), "hostname"]).ok().stdout_is("web\n");
    like_util_linux(&lab, &[&format!("-u{file}"), "hostname"]).ok().stdout_is("web\n");
    like_newer_util_linux(&lab, (2, 41), &[&format!("-u={file}"), "hostname"]).ok().stdout_is("web\n");
    // A word of its own is the program.
    like_util_linux(&lab, &["-t", &web.pid.to_string(), "-u", &file]).fails_with(126);
    let target = web.pid.to_string();
    for options in [["-r/", "-w/etc"], ["--root=/", "--wd=/etc"]] {
        like_util_linux(&lab, &["-t", &target, "-u", options[0], options[1], "pwd"]).ok().stdout_is("/etc\n");
    }
    like_newer_util_linux(&lab, (2, 41), &["-t", &target, "-u", "-w=/etc", "pwd"]).ok().stdout_is("/etc\n");
    let mut root = lab.tool("nsenter-rs");
    root.args(["-t", &target, "-u", "-r=/usr", "ls", "/bin/env"]).run().ok().stdout_is("/bin/env\n");
}

#[test]
fn the_directory_inside_may_be_the_next_word() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    like_util_linux(&lab, &["-t", &target, "-m", "-W/etc", "pwd"]).ok().stdout_is("/etc\n");
    like_util_linux(&lab, &["-t", &target, "-m", "--wdns=/etc", "pwd"]).ok().stdout_is("/etc\n");
    for words in [&["-W", "/etc"][..], &["--wdns", "/etc"], &["-W=/etc"]] {
        let mut enter = lab.tool("nsenter-rs");
        enter.args(["-t", &target, "-m"]).args(words).arg("pwd").run().ok().stdout_is("/etc\n");
    }
}

#[test]
fn the_working_directory_may_lie_outside() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    fs::create_dir(lab.path("/run/outside")).unwrap();
    fs::write(lab.path("/run/outside/here"), "").unwrap();
    let target = web.pid.to_string();
    like_util_linux(&lab, &["-t", &target, "-m", "--wd=/run/outside", "ls"]).ok().stdout_is("here\n");
    // Looked up inside, there is no such directory.
    like_util_linux(&lab, &["-t", &target, "-m", "--wdns=/run/outside", "ls"]).fails_with(1).stdout_is("");
}

#[test]
fn all_of_a_process_that_shares_nothing_is_all() {
    let lab = need!(lab_with_users());
    let unshared = vec!["user", "mnt", "net", "uts", "ipc", "pid", "cgroup", "time"];
    let web = lab.container("web", Options { unshared, ..Options::default() });
    let target = web.pid.to_string();
    for option in ["-a", "--all"] {
        let shown =
            like_util_linux(&lab, &["-t", &target, option, "sh", "-c", "readlink /proc/self/ns/*"]).ok();
        for (kind, _) in KINDS {
            assert!(shown.stdout.contains(&lab.namespace(web.pid, kind)), "{kind}: {shown}");
        }
    }
}

/// What the table says of util-linux where it is not as we are, in the versions that it speaks of.
#[test]
fn where_we_differ_util_linux_does_what_the_table_says() {
    let lab = need!(lab_with_users());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    let uts = format!("--uts=/proc/{target}/ns/uts");
    let beside = ["-t", &target, "-u"];
    let in_all = (2, 38)..=(2, 43);
    let cases: [(RangeInclusive<_>, &[&str], i32, &str); 12] = [
        ((2, 38)..=(2, 42), &["-t", "1", "-t", &target, "-u", "hostname"], 0, "web\n"),
        ((2, 43)..=(2, 43), &["-t", "1", "-t", &target, "-u", "hostname"], 1, ""),
        ((2, 38)..=(2, 40), &["-t", &target, "echo", "ran"], 0, "ran\n"),
        ((2, 41)..=(2, 43), &["-t", &target, "echo", "ran"], 1, ""),
        ((2, 38)..=(2, 38), &["-t", &target, "-u", "-W", "/etc", "pwd"], 0, "/etc\n"),
        ((2, 39)..=(2, 43), &["-t", &target, "-u", "-W", "/etc", "pwd"], 126, ""),
        ((2, 39)..=(2, 43), &["-t", &target, "-u", "-W", "hostname"], 0, "web\n"),
        ((2, 41)..=(2, 43), &["-t", "1", "-u", &uts, "hostname"], 0, "web\n"),
        ((2, 41)..=(2, 43), &["-t", "1", &uts, "-u", "hostname"], 0, "web\n"),
        (in_all.clone(), &["-t", &target, "-muinp", "hostname"], 1, ""),
        (in_all.clone(), &["-t", &target, "-u", "-S", "4294967296", "id", "-u"], 0, "0\n"),
        (in_all.clone(), &["-t", &target, "-u", "-r=/", "hostname"], 1, ""),
    ];
    let run = |arguments: &[&str]| lab.command(util_linux()).env("PATH", PATH).args(arguments).run();
    let version = version_of_util_linux();
    for (versions, arguments, status, stdout) in cases {
        if versions.contains(&version) {
            run(arguments).fails_with(status).stdout_is(stdout);
        }
    }
    // The working directory that is outside of the new root has no name there.
    let outside = [&beside[..], &["-r/usr", "/bin/pwd"]].concat();
    assert_ne!(run(&outside).stdout, "/\n");
    lab.tool("nsenter-rs").args(&outside).run().ok().stdout_is("/\n");
}
