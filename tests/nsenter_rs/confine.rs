//! --confine: the program is held by what holds the container.
//!
//! Oracle: `/proc/PID/status` of the target.

use std::process::{Command, Stdio};

use support::container::Options;
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::{Missing, need, program};
use support::tools;

/// Who a process is, and what it may.
const STATUS: &str = "^(Uid|Gid|Groups|Cap...|NoNewPrivs):";

/// A lab with an ordinary user, and our tool where that user finds it.
fn lab_with_users() -> Result<Lab, Missing> {
    program("prlimit", "util-linux")?;
    crate::users::lab_with_users()
}

const PROCESS: &str = "read -r pid _ </proc/self/stat; echo $pid; read -r _";

/// A process that `words` make what it is, and its PID.
fn process(lab: &Lab, words: &str) -> (RunningProgram, String) {
    let running = lab
        .command("env")
        .args(words.split_whitespace())
        .args(["sh", "-c", PROCESS])
        .start_with(Stdio::piped());
    let pid = running.first_line();
    assert!(pid.is_some(), "{}", running.so_far());
    (running, pid.unwrap_or_default())
}

fn enter(lab: &Lab, target: &str, words: &[&str]) -> Command {
    let mut command = lab.command("/run/nsenter-rs");
    command.args(["-t", target, "--confine"]).args(words);
    command
}

fn status(lab: &Lab, pid: &str) -> String {
    lab.command("grep").args(["-E", STATUS, &format!("/proc/{pid}/status")]).run().ok().stdout
}

#[test]
fn every_kind_of_confinement_is_the_processes_own() {
    let lab = need!(lab_with_users());
    let ways = [
        "",
        "setpriv --reuid=1000 --regid=1001 --groups=27,1002",
        "setpriv --bounding-set=-all,+net_raw,+chown",
        "setpriv --bounding-set=-all",
        "setpriv --inh-caps=+net_raw --bounding-set=-net_admin",
        "setpriv --reuid=1000 --regid=1000 --clear-groups --inh-caps=+net_raw --ambient-caps=+net_raw",
        "setpriv --no-new-privs",
        "setpriv --no-new-privs --reuid=1000 --regid=1000 --clear-groups --bounding-set=-net_admin",
    ];
    for way in ways {
        let (_process, target) = process(&lab, &format!("unshare --uts {way}"));
        let expected = status(&lab, &target);
        // With a fork and without.
        for namespaces in ["-u", "-up"] {
            let words = [namespaces, "grep", "-E", STATUS, "/proc/self/status"];
            enter(&lab, &target, &words).run().ok().stdout_is(&expected);
        }
    }
}

#[test]
fn limits_are_those_of_the_target_and_never_more_than_ours() {
    let lab = need!(lab_with_users());
    let (_process, target) = process(&lab, "prlimit --nofile=50:60 --fsize=1000:2000");
    let limits = lab.command("cat").arg(format!("/proc/{target}/limits")).run().ok().stdout;
    enter(&lab, &target, &["cat", "/proc/self/limits"]).run().ok().stdout_is(&limits);
    let line = format!(
        "exec prlimit --nofile=30:40 /run/nsenter-rs -t {target} --confine prlimit --nofile -o SOFT,HARD"
    );
    let ran = lab.shell(&format!("{line} --noheadings")).run().ok();
    // Who may raise a limit gets the target's all the same.
    let given: Vec<_> = ran.text().split_whitespace().collect();
    assert!([["40", "40"], ["50", "60"]].iter().any(|limits| given == limits), "{ran}");
}

#[test]
fn the_ids_are_those_of_the_targets_user_namespace() {
    let lab = need!(lab_with_users());
    let holder = "unshare --user --uts sh -c 'read -r pid _ </proc/self/stat; echo $pid; read -r _'";
    let holder = lab.shell(holder).start_with(Stdio::piped());
    let namespace = holder.first_line().unwrap();
    let map = "for map in uid_map gid_map; do echo 0 2000 1000 >/proc/$0/$map; done";
    lab.command("sh").args(["-ec", map, &namespace]).run().ok();
    let who = "setpriv --reuid=5 --regid=6 --groups=7,8 --bounding-set=-net_raw";
    let (_process, pid) = process(&lab, &format!("nsenter -t {namespace} -U -u {who}"));
    let observe = ["-t", &pid, "-U", "--preserve-credentials", "grep", "-E", STATUS];
    let expected = lab.command("nsenter").args(observe).arg(format!("/proc/{pid}/status")).run().ok();
    let ran = enter(&lab, &pid, &["-U", "-u", "grep", "-E", STATUS, "/proc/self/status"]).run();
    ran.ok().stdout_is(&expected.stdout).stdout_has("Uid:\t5\t5\t5\t5\n").stdout_has("Groups:\t7 8 \n");
    // From outside: the very same users.
    let program = "echo there; read -r _";
    let running = enter(&lab, &pid, &["-U", "-u", "sh", "-c", program]).start_with(Stdio::piped());
    running.wait_for("there\n");
    let outside = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(outside(running.pid_behind_nsenter()).contains("Uid:\t2005\t2005\t2005\t2005\n"));
}

#[test]
fn without_the_targets_user_namespace_it_is_refused() {
    let lab = need!(lab_with_users());
    // Root inside, with all capabilities, which outside are worth nothing: outside they would be everything.
    let (_process, target) = process(&lab, "unshare --user --map-root-user --net");
    for words in [&["-n"][..], &[], &["-n", "--user=/proc/self/ns/user"], &["-U", "--user-parent"]] {
        let ran = enter(&lab, &target, &[words, &["echo", "ran"]].concat()).run();
        ran.fails_with(1)
            .stdout_is("")
            .stderr_has("it has no effect outside of TARGET's user namespace")
            .stderr_has("hint: enter that too: -U, or -a");
    }
    enter(&lab, &target, &["-a", "echo", "ran"]).run().ok().stdout_is("ran\n");
}

#[test]
fn a_target_stronger_than_we_are_makes_us_no_stronger() {
    let lab = need!(lab_with_users());
    let (_root, target) = process(&lab, "unshare --uts");
    let weak = |setpriv: &str| {
        let line = format!("exec setpriv {setpriv} /run/nsenter-rs -t {target} -u --confine");
        lab.shell(&format!("{line} grep -E ^Cap /proc/self/status")).run()
    };
    let ran = weak("--bounding-set=-net_raw,-sys_rawio --inh-caps=-all").ok();
    let own = lab.shell(
        "exec setpriv --bounding-set=-net_raw,-sys_rawio --inh-caps=-all grep -E ^Cap /proc/self/status",
    );
    ran.stdout_is(&{ own }.run().ok().stdout);
    // An ordinary user becomes nobody else.
    weak("--reuid=1000 --regid=1000 --clear-groups").fails_with(1).stdout_is("");
}

#[test]
fn an_ordinary_user_can_confine_to_a_process_of_his_own() {
    let lab = need!(lab_with_users());
    let user = "setpriv --reuid=1000 --regid=1000 --clear-groups";
    let (_process, target) = process(&lab, &format!("{user} --no-new-privs"));
    let expected = status(&lab, &target);
    let line =
        format!("exec {user} /run/nsenter-rs -t {target} --confine grep -E '{STATUS}' /proc/self/status");
    lab.shell(&line).run().ok().stdout_is(&expected);
}

#[test]
fn a_container_cannot_have_a_program_of_the_host_obey_its_environment() {
    let lab = need!(Lab::new());
    let environment = vec![("LD_PRELOAD", "/run/evil.so"), ("COLORTERM", "blue")];
    let web = lab.container("web", Options { environment, ..Options::default() });
    let target = web.pid.to_string();
    let run = |words: &[&str]| {
        let words = [&["-t", &target, "--confine"], words, &["sh", "-c", "echo $COLORTERM"]].concat();
        lab.tool("nsenter-rs").args(words).run().ok().stdout
    };
    assert_eq!(run(&["-n"]), "\n");
    assert_eq!(run(&["-n", "-e"]), "blue\n");
    for own_files in ["-a", "-m", "-r"] {
        assert_eq!(run(&[own_files]), "blue\n", "{own_files}");
    }
}

#[test]
fn a_container_cannot_forge_the_files_that_hold_the_program() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let forge = "for file in thread-self self; do mkdir -p /proc/$file/attr/apparmor
        touch /proc/$file/oom_score_adj /proc/$file/attr/exec; done";
    web.command("sh").args(["-ec", &format!("mount -n -t tmpfs none /proc; {forge}")]).run().ok();
    std::fs::write(lab.path(format!("/proc/{}/oom_score_adj", web.pid)), "432").unwrap();
    let mut enter = lab.tool("nsenter-rs");
    enter.args(["-t", &web.pid.to_string(), "-a", "--confine", "sh", "-c"]);
    let program = enter.arg("cat /proc/self/oom_score_adj; echo there; read -r _").start_with(Stdio::piped());
    program.wait_for("there\n");
    assert_eq!(program.so_far().stdout, "there\n");
    let parent = program.pid_behind_nsenter();
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    let score = std::fs::read_to_string(format!("/proc/{}/oom_score_adj", children.trim())).unwrap();
    assert_eq!(score, "432\n");
}

#[test]
fn a_label_that_cannot_be_told_is_no_reason_to_run_without() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let target = web.pid;
    // A host whose kernel has such a module, as far as it says; and then it cannot name a single label.
    let modules = [
        (
            "mount -n -t tmpfs none /sys; mkdir -p /sys/module/apparmor/parameters; echo Y >/sys/module/apparmor/parameters/enabled",
            "--confine",
        ),
        (
            "printf 'nodev\\tselinuxfs\\n' >/run/kinds; mount -n --bind /run/kinds /proc/filesystems",
            "--confine",
        ),
        ("printf 'nodev\\tselinuxfs\\n' >/run/kinds; mount -n --bind /run/kinds /proc/filesystems", "-Z"),
    ];
    for (setting, option) in modules {
        let tool = tools::tool("nsenter-rs");
        let line = format!("{setting}; exec {tool} -t {target} -n {option} echo ran");
        let ran = lab.command("unshare").args(["--mount", "sh", "-ec", &line]).run();
        ran.fails_with(1).stdout_is("").stderr_has("attr/current");
    }
}

#[test]
fn what_cannot_be_together_is_refused() {
    let lab = need!(Lab::new());
    for words in [
        "-t 1 --confine --preserve-credentials",
        "-t 1 --confine --keep-caps",
        "--confine",
        "-t netns:x --confine -n",
    ] {
        lab.tool("nsenter-rs").args(words.split(' ')).args(["echo", "ran"]).run().fails_with(1).stdout_is("");
    }
}
