//! Beside util-linux's nsenter: what of it no other test is about, and where it is not as we are.

use std::fs;
use std::ops::RangeInclusive;
use std::process::Command;

use nix::sys::stat::fstat;
use nix::sys::statfs::{FsType, fstatfs};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::users::lab_with_users;
use crate::{PATH, like_newer_util_linux, like_util_linux, util_linux, version_of_util_linux};
use support::container::{KINDS, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::{Missing, need};

#[test]
fn a_target_is_a_pid_with_or_without_its_inode() {
    let lab = need!(Lab::new());
    let pidfd = Pid::from_raw(lab.outer_pid()).unwrap();
    let pidfd = pidfd_open(pidfd, PidfdFlags::empty()).unwrap();
    need!(match fstatfs(&pidfd).unwrap().filesystem_type() {
        FsType(0x5049_4446) => Ok(()),
        _ => Err(Missing::ForGood("the kernel has no pidfs (Linux 6.9 has)".into())),
    });
    // The same from wherever it is seen: the lab knows this process as PID 1.
    let inode = fstat(&pidfd).unwrap().st_ino;
    let net = format!("{}\n", lab.namespace(1, "net"));
    for form in ["-t", "--target"] {
        let enter = |target: &str| {
            let arguments = [form, target, "-n", "readlink", "/proc/self/ns/net"];
            like_newer_util_linux(&lab, if target == "1" { (2, 38) } else { (2, 42) }, &arguments)
        };
        enter("1").ok().stdout_is(&net);
        enter(&format!("1:{inode}")).ok().stdout_is(&net);
        let stale = enter(&format!("1:{}", inode + 1)).fails_with(1).stdout_is("");
        stale.stderr_has(&format!("PID 1: is another process now (pidfs inode {inode}, not "));
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

const AMBIENT: [&str; 3] = ["grep", "CapAmb", "/proc/self/status"];

#[test]
fn capabilities_are_kept_with_a_user_namespace() {
    let lab = need!(lab_with_users());
    let web = lab.container("web", Options::only(&["user", "uts", "net"]));
    let target = web.pid.to_string();
    let ambient = |options: &[&str]| {
        let arguments = [&["-t", &target], options, &AMBIENT].concat();
        like_newer_util_linux(&lab, (2, 40), &arguments).ok().stdout != "CapAmb:\t0000000000000000\n"
    };
    for options in [&["-U", "-u", "--keep-caps"][..], &["-U", "-n", "--keep-caps", "--preserve-credentials"]]
    {
        assert!(ambient(options), "{options:?}");
    }
    for options in [&["-U", "-u"][..], &["-u", "--keep-caps"]] {
        assert!(!ambient(options), "{options:?}");
    }
}

#[test]
fn a_target_in_our_own_control_group_is_joined_without_a_move() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let groups = fs::read_to_string(lab.path(format!("/proc/{}/cgroup", web.pid))).unwrap();
    let target = web.pid.to_string();
    for option in ["-c", "--join-cgroup"] {
        for way in ["-u", "-p"] {
            let mut enter = lab.tool("nsenter-rs");
            enter.args(["-t", &target, way, option, "sh", "-c", "echo ran"]).run().ok().stdout_is("ran\n");
        }
    }
    assert_eq!(fs::read_to_string(lab.path(format!("/proc/{}/cgroup", web.pid))).unwrap(), groups);
}

#[test]
fn without_selinux_its_option_changes_nothing() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    let has_selinux = fs::read_to_string("/proc/filesystems").unwrap().contains("selinuxfs");
    need!((!has_selinux).then_some(()).ok_or_else(|| Missing::ForGood("this kernel has SELinux".into())));
    // A util-linux that was built without SELinux does not know the option.
    let theirs_knows =
        Command::new(util_linux()).arg("--help").run().ok().stdout.contains("--follow-context");
    for option in ["-Z", "--follow-context"] {
        let words = ["-t", &target, "-u", option, "hostname"];
        let ran = if theirs_knows {
            like_util_linux(&lab, &words)
        } else {
            lab.tool("nsenter-rs").args(words).run()
        };
        ran.ok().stdout_is("web\n").stderr_is("");
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
    let userns = lab.container("userns", Options::only(&["user"]));
    let userns = userns.pid.to_string();
    let keep = [&["-t", &userns, "-U", "--keep-caps"], &AMBIENT[..]].concat();
    let none = "CapAmb:\t0000000000000000\n";
    if ((2, 41)..=(2, 43)).contains(&version) {
        run(&keep).ok().stdout_is(none);
    }
    assert_ne!(lab.tool("nsenter-rs").args(&keep).run().ok().stdout, none);
    // The working directory that is outside of the new root has no name there.
    let outside = [&beside[..], &["-r/usr", "/bin/pwd"]].concat();
    assert_ne!(run(&outside).stdout, "/\n");
    lab.tool("nsenter-rs").args(&outside).run().ok().stdout_is("/\n");
}
