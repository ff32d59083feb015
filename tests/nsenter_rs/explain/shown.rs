//! What `--explain` shows: the namespaces as `/proc` has them, the steps that are then taken, and nothing done.

use std::fs;

use serde_json::Value;

use crate::users::{as_user, lab_with_users, users_container};
use support::container::{KINDS, Options, Root};
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::{need, program};

/// System calls that would change something for us or for anybody, or start something.
const CHANGES: &str = "trace=setns,unshare,mount,umount2,move_mount,open_tree,fsopen,fsmount,mount_setattr,\
                       chroot,pivot_root,chdir,fchdir,fork,vfork,clone,clone3,execve,execveat,\
                       setuid,setgid,setgroups,setresuid,setresgid,capset,prctl,kill,tkill,pidfd_send_signal";

fn explain(lab: &Lab, arguments: &[&str]) -> Ran {
    lab.tool("nsenter-rs").arg("--explain").args(arguments).run()
}

fn json(lab: &Lab, arguments: &[&str]) -> Value {
    explain(lab, &[&["--json"], arguments].concat()).json()
}

fn inode(of: &str) -> u64 {
    of.trim_end_matches(']').rsplit('[').next().unwrap().parse().unwrap()
}

fn row<'a>(json: &'a Value, kind: &str) -> &'a Value {
    json["namespaces"].as_array().unwrap().iter().find(|row| row["kind"] == kind).unwrap()
}

fn steps(json: &Value) -> Vec<&str> {
    json["steps"].as_array().unwrap().iter().map(|step| step.as_str().unwrap()).collect()
}

#[test]
fn nothing_is_done() {
    let lab = need!(Lab::new());
    need!(program("strace", "strace"));
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    for options in [&["-a"][..], &["-a", "-r", "-S0", "-G0", "--json"], &["-n", "-w", "-e"], &["-p"], &[]] {
        let mut strace = lab.command("strace");
        strace.args(["-f", "-qq", "-o", "/run/calls", "-e", CHANGES]);
        strace.arg(support::tools::tool("nsenter-rs")).args(["-t", &target, "--explain"]);
        strace.args(options).args(["touch", "/run/touched"]).run().ok();
        let calls = fs::read_to_string(lab.path("/run/calls")).unwrap();
        let asks = [", 0, NULL, 0)", "mount_setattr(-1,"];
        // Signal 0 only asks whether the process is there, and without a mount whether the kernel has the call; the first exec is strace's, of us.
        let changes: Vec<&str> =
            calls.lines().skip(1).filter(|call| !asks.iter().any(|ask| call.contains(ask))).collect();
        assert!(calls.contains("execve"), "{calls}");
        assert!(changes.is_empty(), "{options:?}: {changes:#?}");
        assert!(!lab.path("/run/touched").exists() && !web.path("/run/touched").exists());
    }
}

/// What goes in is made for it, and is gone with it.
#[test]
fn nothing_is_left_of_what_was_tried_for_the_hosts_tools() {
    let lab = need!(Lab::with_users());
    let web = lab.container("web", Options::default());
    let look = || lab.shell("ls -AR /run | sort; wc -l </proc/self/mountinfo").run().ok();
    let before = look();
    explain(&lab, &["-t", &web.pid.to_string(), "-a", "-H", "true"]).ok();
    look().stdout_is(&before.stdout);
    // A run keeps some for the next one.
    lab.tool("nsenter-rs").args(["-t", &web.pid.to_string(), "-a", "-H", "true"]).run().ok();
    assert_ne!(look().stdout, before.stdout);
}

#[test]
fn each_kind_is_shown_as_proc_has_it() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let json = json(&lab, &["-t", &web.pid.to_string(), "-n", "-m", "-U", "-T", "true"]);
    let user = inode(&lab.namespace(1, "user"));
    for (kind, _) in KINDS {
        let row = row(&json, kind);
        assert_eq!(row["ours_inode"], inode(&lab.namespace(1, kind)), "{kind}");
        assert_eq!(row["target_inode"], inode(&lab.namespace(web.pid, kind)), "{kind}");
        let state = match *kind {
            "net" | "mnt" => "different",
            "user" | "time" => "same",
            _ => "not-asked",
        };
        assert_eq!(row["state"], state, "{kind}");
        // The lab's time namespace is the machine's, over which the lab's root has nothing.
        if !["user", "time"].contains(kind) {
            assert_eq!(row["cap_sys_admin"], true, "{kind}");
            assert_eq!(row["owner_inode"], user, "{kind}");
            assert_eq!(row["owner_uid"], 0, "{kind}");
        }
    }
    assert_eq!(json["pid"], web.pid);
    assert_eq!(json["permitted"], true);
}

#[test]
fn the_owner_is_the_user_who_made_the_user_namespace() {
    let lab = need!(lab_with_users());
    let (_container, target) = users_container(&lab);
    let pid: i32 = target.parse().unwrap();
    let json = json(&lab, &["-t", &target, "-a", "true"]);
    for kind in ["net", "uts"] {
        assert_eq!(row(&json, kind)["owner_inode"], inode(&lab.namespace(pid, "user")));
        assert_eq!(row(&json, kind)["owner_uid"], 1000);
    }
    assert_eq!(row(&json, "user")["owner_inode"], inode(&lab.namespace(1, "user")));
    assert_eq!(row(&json, "user")["owner_uid"], 1000);
    let words = ["/run/nsenter-rs", "-t", &target, "-a", "--explain", "true"];
    as_user(&lab, &words).run().ok().stdout_has("the caller owns it (uid 1000)");
}

#[test]
fn groups_that_cannot_be_dropped_are_said_to_stay() {
    let lab = need!(lab_with_users());
    let (_container, target) = users_container(&lab);
    let enter = |words: &[&str]| {
        let mut setpriv = lab.command("setpriv");
        setpriv.args([
            "--reuid=1000",
            "--regid=1000",
            "--groups=1000,7",
            "/run/nsenter-rs",
            "-t",
            &target,
            "-U",
        ]);
        setpriv.args(words).run().ok()
    };
    enter(&["--explain", "true"]).stdout_has("or setgroups(2) is denied in user:[");
    // 7 has no number inside.
    enter(&["id", "-G"]).stdout_is("0 65534\n");
}

/// What strace sees a program do, in the words of the steps.
fn done(lab: &Lab, words: &[&str]) -> Vec<String> {
    let mut strace = lab.command("strace");
    strace.args([
        "-f",
        "-qq",
        "-o",
        "/run/calls",
        "-e",
        "trace=setns,chroot,fork,clone,clone3,setresgid,setresuid",
    ]);
    strace.arg(support::tools::tool("nsenter-rs")).args(words).run().ok();
    let calls = fs::read_to_string(lab.path("/run/calls")).unwrap();
    let name = |call: &str| call.split('(').next()?.split_whitespace().last().map(str::to_owned);
    let names = calls.lines().filter(|line| line.contains('(')).filter_map(name);
    names.map(|name| name.replace("clone3", "fork").replace("clone", "fork")).collect()
}

#[test]
fn the_steps_are_those_that_are_taken() {
    let lab = need!(lab_with_users());
    need!(program("strace", "strace"));
    let web = lab.container("web", Options::default());
    let (_container, users) = users_container(&lab);
    let web = web.pid.to_string();
    let net = format!("--net=/proc/{web}/ns/net");
    let uts = format!("--uts=/proc/{web}/ns/uts");
    let cases: [&[&str]; 6] = [
        &["-t", &web, "-a", "-r", "true"],
        &["-t", &web, "-n", "-u", "true"],
        &["-t", &users, "-a", "true"],
        &["-t", &users, "-U", "-n", "-S", "0", "-G", "0", "true"],
        &[&net, &uts, "true"],
        &["-t", &web, "-p", "-r=/", "-S", "7", "true"],
    ];
    for case in cases {
        let json = json(&lab, case);
        let steps = steps(&json);
        let mut told: Vec<String> = Vec::new();
        for step in &steps {
            let call = step.split([' ', '(', ':']).next().unwrap();
            match call {
                "setgroups" => told.push("setresgid".to_owned()),
                "setns" | "chroot" | "fork" | "setresuid" => told.push(call.to_owned()),
                _ => {}
            }
        }
        assert_eq!(done(&lab, case), told, "{case:?}: {steps:#?}");
    }
}

#[test]
fn the_program_is_where_it_will_be_found() {
    let lab = need!(Lab::new());
    let (web, bare) = (
        lab.container("web", Options::default()),
        lab.container("bare", Options { root: Root::Bare, ..Options::default() }),
    );
    let expected = lab.shell("command -v ip").run().ok();
    let last = |json: &Value| steps(json).last().unwrap().to_string();
    for way in ["-n", "-a"] {
        let mut explain = lab.tool("nsenter-rs");
        explain.args(["--explain", "--json", "-t", &web.pid.to_string(), way, "ip", "a"]);
        let json = explain.run().ok().json();
        assert_eq!(last(&json), format!("exec ip a, which is {}", expected.text()));
    }
    let target = bare.pid.to_string();
    explain(&lab, &["-t", &target, "-n", "ip", "a"]).ok();
    let missing = explain(&lab, &["-t", &target, "-a", "ip", "a"]).fails_with(1);
    missing
        .stdout_has("ip in the program's root directory")
        .stdout_has("no such program")
        .stdout_has("hint: the program is looked up in the container");
    explain(&lab, &["-t", &target, "-a"]).fails_with(1).stdout_has("no such program");
    explain(&lab, &["-t", &target, "-n", "/etc/passwd"]).fails_with(1).stdout_has("cannot be run");
}

#[test]
fn without_a_target_it_is_what_would_happen_here() {
    let lab = need!(Lab::new());
    let ran = explain(&lab, &["-S", "0", "true"]).ok();
    ran.stdout_has("not asked").stdout_has("setresuid(0)").stderr_has("runs on the host");
    explain(&lab, &["-S", "70000", "true"]).fails_with(1).stdout_has("user ID 70000 is mapped in user:[");
    explain(&lab, &["-n", "true"]).fails_with(1).stdout_is("").stderr_has("-t NAME");
}

#[test]
fn a_network_namespace_without_a_process_can_be_explained() {
    let lab = need!(Lab::new());
    lab.command("ip").args(["netns", "add", "blue"]).run().ok();
    let json = json(&lab, &["-t", "netns:blue", "-n", "true"]);
    let blue = lab.command("stat").args(["-L", "-c", "%i", "/run/netns/blue"]).run().ok();
    assert_eq!(row(&json, "net")["target_inode"].to_string(), blue.text());
    assert_eq!(row(&json, "mnt")["target_inode"], Value::Null);
    assert_eq!(steps(&json)[0], "setns(netns:blue, CLONE_NEWNET)");
}

#[test]
fn who_could_reach_the_program_is_said_where_it_comes_near_the_target() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    assert_eq!(json(&lab, &["-t", &target, "-n", "true"])["exposure"], Value::Null);
    let exposed = json(&lab, &["-t", &target, "-a", "true"])["exposure"].clone();
    assert_eq!(exposed["safe"], false);
    // The same words as with -v, and once, though we start anew from a sealed copy.
    let told = lab.tool("nsenter-rs").args(["-v", "-t", &target, "-a", "true"]).run().ok();
    assert_eq!(told.stderr.matches(exposed["why"].as_str().unwrap()).count(), 1, "{told}");
    assert_eq!(told.stderr.matches("mnt:[").count(), 1, "{told}");
    let planned = json(&lab, &["-t", &target, "-a", "true"]);
    assert_eq!(steps(&planned)[0], "exec a sealed copy of nsenter-rs in memory");
}

#[test]
fn it_fits_a_terminal_of_80_columns_and_drives_none() {
    let lab = need!(Lab::new());
    need!(program("script", "bsdutils"));
    let web = lab.container("web", Options::default());
    let nsenter = support::tools::tool("nsenter-rs");
    let options =
        format!("-t {} -a -r=/run/\"$(printf 'a\\033[2Jb')\" -S0 -G0 \"$(printf 'c\\033[2Jd')\"", web.pid);
    let line = format!(
        "mkdir -p \"/run/$(printf 'a\\033[2Jb')\"; stty cols 80 rows 24; {nsenter} --explain {options}; true"
    );
    let ran = lab.command("script").args(["-qec", &line, "/dev/null"]).run().ok();
    assert!(!ran.stdout.contains('\x1b'), "{:?}", ran.stdout);
    ran.clone().stdout_has("\\u{1b}[2Jb").stdout_has("It would fail.");
    for line in ran.stdout.lines() {
        assert!(line.trim_end().chars().count() <= 80, "{}: {line}", line.len());
    }
    // Numbers that people compare stay in one piece.
    ran.stdout_has(&inode(&lab.namespace(web.pid, "net")).to_string());
}
