//! User and group IDs, user namespaces, and what is refused for want of a capability.

use std::process::{Command, Stdio};

use crate::{like_newer_util_linux, like_util_linux};
use support::container::Options;
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::{Missing, need, program};
use support::tools;

const IDS: &str = "id -u; id -g; id -G";
const USER: [&str; 3] = ["--reuid=1000", "--regid=1000", "--clear-groups"];

/// A lab with an ordinary user, who has a copy of our tool that the way to the build cannot be closed to.
pub(crate) fn lab_with_users() -> Result<Lab, Missing> {
    let lab = Lab::with_users()?;
    lab.user_namespace()?;
    program("setpriv", "util-linux")?;
    // Not by our own hand: a test beside this one forks, its child holds the copy open for writing for a moment,
    // and until then it cannot be executed (ETXTBSY).
    lab.command("install").args(["--mode=755", tools::tool("nsenter-rs"), "/run/nsenter-rs"]).run().ok();
    Ok(lab)
}

pub(crate) fn as_user(lab: &Lab, words: &[&str]) -> Command {
    let mut command = lab.command("setpriv");
    command.args(USER).args(words);
    command
}

/// A process that an ordinary user made in namespaces of his own, and its PID.
pub(crate) fn users_container(lab: &Lab) -> (RunningProgram, String) {
    let words = ["unshare", "--user", "--map-root-user", "--net", "--uts", "--fork", "sh", "-c"];
    let script = "hostname users; read -r pid _ </proc/self/stat; echo $pid; read -r _";
    let container = as_user(lab, &[&words[..], &[script]].concat()).start_with(Stdio::piped());
    let pid = container.first_line();
    assert!(pid.is_some(), "{}", container.so_far());
    (container, pid.unwrap_or_default())
}

#[test]
fn ids_are_set_as_asked() {
    let lab = need!(lab_with_users());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    let cases: [&[&str]; 5] =
        [&[], &["-S", "1000"], &["-G", "1000"], &["-S1000", "-G2000"], &["--setuid=7", "--setgid=8"]];
    for case in cases {
        for way in ["-n", "-p"] {
            like_util_linux(&lab, &[&["-t", &target, way], case, &["sh", "-c", IDS]].concat()).ok();
        }
    }
    let ran = lab.tool("nsenter-rs").args(["-t", &target, "-n", "-S", "7", "-G", "8", "sh", "-c", IDS]).run();
    ran.ok().stdout_is("7\n8\n8\n");
}

#[test]
fn ids_follow_the_target() {
    let lab = need!(lab_with_users());
    let sleeper = as_user(&lab, &["sh", "-c", "read -r pid _ </proc/self/stat; echo $pid; read -r _"])
        .start_with(Stdio::piped());
    let target = sleeper.first_line().unwrap();
    let ids = |options: &[&str]| {
        let arguments = [&["-t", &target, "-n"], options, &["sh", "-c", IDS]].concat();
        like_newer_util_linux(&lab, (2, 39), &arguments).ok().stdout
    };
    assert_eq!(ids(&["-S", "follow", "-G", "follow"]), "1000\n1000\n1000\n");
    assert_eq!(ids(&["-S", "follow", "-G", "7"]), "1000\n7\n7\n");
}

#[test]
fn root_enters_a_users_namespaces() {
    let lab = need!(lab_with_users());
    let (_container, target) = users_container(&lab);
    let show = "id -u; id -g; hostname; readlink /proc/self/ns/user /proc/self/ns/net";
    for options in [&["-U", "-n", "-u"][..], &["-U", "-u", "--preserve-credentials"], &["-n", "-u"]] {
        like_util_linux(&lab, &[&["-t", &target], options, &["sh", "-c", show]].concat()).ok();
    }
    let pid: i32 = target.parse().unwrap();
    let inside = lab.tool("nsenter-rs").args(["-t", &target, "-U", "-n", "sh", "-c", show]).run().ok();
    inside.stdout_has(&lab.namespace(pid, "user")).stdout_has(&lab.namespace(pid, "net"));
}

#[test]
fn its_owner_enters_a_users_namespaces() {
    let lab = need!(lab_with_users());
    let (_container, target) = users_container(&lab);
    let show = "id -u; id -g; hostname; readlink /proc/self/ns/user /proc/self/ns/net";
    let enter = |nsenter: &str, options: &[&str]| {
        as_user(&lab, &[&[nsenter, "-t", &target], options, &["sh", "-c", show]].concat()).run().ok()
    };
    let theirs = enter("nsenter", &["-U", "-n", "-u", "--preserve-credentials"]);
    // util-linux insists on setgroups(2), which a user namespace of an ordinary user denies.
    for options in [&["-U", "-n", "-u", "--preserve-credentials"][..], &["-U", "-n", "-u"], &["-a"]] {
        enter("/run/nsenter-rs", options).stdout_is(&theirs.stdout);
    }
    theirs.stdout_has("users\n");
}

#[test]
fn the_namespaces_come_from_files_in_either_order_of_privilege() {
    let lab = need!(lab_with_users());
    let (_container, target) = users_container(&lab);
    let [user, net] = ["user", "net"].map(|kind| format!("--{kind}=/proc/{target}/ns/{kind}"));
    let pid: i32 = target.parse().unwrap();
    for who in ["root", "user"] {
        let words = ["/run/nsenter-rs", &user, &net, "readlink", "/proc/self/ns/net"];
        let mut enter = if who == "root" { lab.command(words[0]) } else { as_user(&lab, &words[..1]) };
        let ran = enter.args(&words[1..]).run().ok();
        ran.stdout_is(&format!("{}\n", lab.namespace(pid, "net")));
    }
}

#[test]
fn the_environment_is_read_before_the_user_namespace_is_entered() {
    let lab = need!(lab_with_users());
    let (_container, target) = users_container(&lab);
    let ran = as_user(&lab, &["/run/nsenter-rs", "-t", &target, "-U", "-e", "env"]).run();
    ran.ok().stdout_has("PATH=");
}

#[test]
fn what_is_refused_names_the_capability_and_the_user_namespace() {
    let lab = need!(lab_with_users());
    let web = lab.container("web", Options::default());
    lab.command("ip").args(["netns", "add", "blue"]).run().ok();
    let target = web.pid.to_string();
    let by_pid = as_user(&lab, &["/run/nsenter-rs", "-t", &target, "-n", "echo", "ran"]).run();
    by_pid
        .fails_with(1)
        .stdout_is("")
        .stderr_has("CAP_SYS_PTRACE over the user namespace")
        .stderr_has("hint: ");
    let by_file = as_user(&lab, &["/run/nsenter-rs", "--net=/run/netns/blue", "echo", "ran"]).run();
    by_file
        .fails_with(1)
        .stdout_is("")
        .stderr_has("CAP_SYS_ADMIN over ")
        .stderr_has(&lab.namespace(1, "user"))
        .stderr_has("hint: ");
    let root = as_user(&lab, &["/run/nsenter-rs", "-t", "1", "-r=/run", "echo", "ran"]).run();
    root.fails_with(1).stdout_is("").stderr_has("CAP_SYS_CHROOT");
    let unmapped = lab.tool("nsenter-rs").args(["-t", &target, "-n", "-S", "70000", "echo", "ran"]).run();
    unmapped.fails_with(1).stdout_is("").stderr_has("user ID 70000: is not mapped in user:[");
    let ids = as_user(&lab, &["/run/nsenter-rs", "-t", "1", "-S", "0", "echo", "ran"]).run();
    ids.fails_with(1).stdout_is("").stderr_has("CAP_SETUID");
}

#[test]
fn one_own_namespace_of_several_is_not_entered_when_another_is_refused() {
    let lab = need!(lab_with_users());
    lab.command("ip").args(["netns", "add", "blue"]).run().ok();
    let (_container, target) = users_container(&lab);
    let words = ["/run/nsenter-rs", "-t", &target, "-U", "--net=/run/netns/blue", "echo", "ran"];
    as_user(&lab, &words).run().fails_with(1).stdout_is("").stderr_has("net:[");
}
