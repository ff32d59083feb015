//! The rule that fails is said without being asked, and `--explain` says the same before.
//!
//! util-linux#1006, #1510, #315, #1592 and #2136 are people who were told "Operation not permitted", and not why.

use std::fs;
use std::process::{Command, Stdio};

use crate::users::{as_user, lab_with_users, users_container};
use support::container::Options;
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::{Missing, need, program};
use support::tools;
use support::until::until;

const NSENTER: &str = "/run/nsenter-rs";

/// Runs ours with `arguments` as `caller` says, and says first what `--explain` says: both refuse, the message has
/// all of `said`, and the rule that does not hold is the one that begins with `rule`.
#[track_caller]
fn refused(mut caller: impl FnMut() -> Command, arguments: &str, rule: &str, said: &[&str]) {
    let words = || arguments.split(' ').filter(|word| !word.is_empty());
    let explained = caller().arg(NSENTER).args(words()).args(["--explain", "--json", "true"]).run();
    let explained = explained.fails_with(1);
    let json = explained.json();
    assert_eq!(json["permitted"], false, "{explained}");
    let rules = json["rules"].as_array().unwrap();
    let failing: Vec<&str> =
        rules.iter().filter(|rule| rule["met"] == false).map(|rule| rule["rule"].as_str().unwrap()).collect();
    assert!(failing.iter().any(|failing| failing.starts_with(rule)), "{failing:?}: none is {rule}");
    let mut ran = caller().arg(NSENTER).args(words()).args(["echo", "ran"]).run().fails_with(1).stdout_is("");
    for said in said {
        ran = ran.stderr_has(said);
    }
}

fn root_without(lab: &Lab, capabilities: &str) -> Command {
    let mut setpriv = lab.command("setpriv");
    setpriv.arg(format!("--bounding-set={capabilities}"));
    setpriv
}

/// Root in the user namespace of `target`, and in the lab's namespaces for the rest.
fn root_of(lab: &Lab, target: &str) -> Command {
    let mut nsenter = lab.command("nsenter");
    nsenter.args(["-t", target, "-U", "--"]);
    nsenter
}

/// A process of an ordinary user that runs `file`, and its PID.
fn users_process(lab: &Lab, file: &str) -> (RunningProgram, String) {
    let script = format!("echo $$; exec {file}");
    let process = as_user(lab, &["sh", "-c", &script]).start_with(Stdio::piped());
    let pid = process.first_line().unwrap();
    let comm = lab.path(format!("/proc/{pid}/comm"));
    let name = file.rsplit('/').next().unwrap();
    until(&format!("PID {pid} is {name}"), || fs::read_to_string(&comm).unwrap().trim() == name);
    (process, pid)
}

#[test]
fn a_user_may_not_look_at_roots_container() {
    let lab = need!(lab_with_users());
    let web = lab.container("web", Options::default());
    for option in ["-n", "-a", "-m -p", "-r", "-w", "-e"] {
        let arguments = format!("-t {} {option}", web.pid);
        let why = "its uid is 0, and the caller's is 1000";
        let rule = format!("ptrace(2) allows reading /proc/{}", web.pid);
        refused(|| as_user(&lab, &[]), &arguments, &rule, &["CAP_SYS_PTRACE", why, "hint: sudo "]);
    }
}

#[test]
fn a_user_has_nothing_over_the_hosts_user_namespace() {
    let lab = need!(lab_with_users());
    lab.command("ip").args(["netns", "add", "blue"]).run().ok();
    let rule = format!("CAP_SYS_ADMIN over {} (the caller's), which owns net", lab.namespace(1, "user"));
    let said = ["net:[", &rule, "the caller lacks it (uid 1000)", "hint: sudo "];
    refused(|| as_user(&lab, &[]), "--net=/run/netns/blue", &rule, &said);
}

#[test]
fn a_file_in_a_directory_that_is_closed_is_no_matter_of_capabilities() {
    let lab = need!(lab_with_users());
    lab.command("ip").args(["netns", "add", "blue"]).run().ok();
    lab.shell(
        "mkdir -m 700 /run/closed; touch /run/closed/net; mount -n --bind /run/netns/blue /run/closed/net",
    )
    .run()
    .ok();
    for explain in [&[][..], &["--explain"]] {
        let words = [&[NSENTER, "--net=/run/closed/net"], explain, &["echo", "ran"]].concat();
        let ran = as_user(&lab, &words).run().fails_with(1).stdout_is("");
        ran.stderr_has(
            "nsenter-rs: /run/closed/net: Permission denied (os error 13)\nhint: sudo nsenter-rs ",
        )
        .stderr_has("\nwithout root: ");
    }
}

#[test]
fn the_owner_is_told_to_enter_the_user_namespace_too() {
    let lab = need!(lab_with_users());
    let (_container, target) = users_container(&lab);
    let rule = format!(
        "CAP_SYS_ADMIN over {} (the caller's), which will contain the program",
        lab.namespace(1, "user")
    );
    let said = [&rule, "hint: enter its user namespace too: -U"];
    refused(|| as_user(&lab, &[]), &format!("-t {target} -n -u"), &rule, &said);
    // What is ours already does not count: nobody is told that he lacks something for it.
    refused(|| as_user(&lab, &[]), &format!("-t {target} -n -i"), &rule, &[&rule, "-U"]);
    let mut explain = as_user(&lab, &[NSENTER, "-t", &target, "-n", "-i", "--explain", "true"]);
    explain.run().fails_with(1).stdout_has("hint: enter its user namespace too: -U");
    as_user(&lab, &[NSENTER, "-t", &target, "-n", "-u", "-U", "true"]).run().ok();
}

#[test]
fn from_a_nested_user_namespace_there_is_no_way_up() {
    let lab = need!(lab_with_users());
    let (_container, target) = users_container(&lab);
    lab.command("ip").args(["netns", "add", "blue"]).run().ok();
    let rule = "ptrace(2) allows reading /proc/1";
    let pid: i32 = target.parse().unwrap();
    let hint = format!("hint: run it outside of {}", lab.namespace(pid, "user"));
    let why = "CAP_SYS_PTRACE over the user namespace of that process, because it is in a user namespace that is not below";
    refused(|| root_of(&lab, &target), "-t 1 -n", rule, &[why, &hint]);
    let rule = "CAP_SYS_ADMIN over a user namespace that is not below the caller's, which owns net";
    refused(|| root_of(&lab, &target), "--net=/run/netns/blue", rule, &[rule, &hint]);
    // And down there is one: root of the outer one owns the inner one.
    lab.command(NSENTER).args(["-t", &target, "-U", "-n", "true"]).run().ok();
}

#[test]
fn halfway_in_a_container_that_does_not_show_us_no_reason_is_invented() {
    let lab = need!(lab_with_users());
    let (_container, target) = users_container(&lab);
    // In it another one, whose /proc is its own.
    let mut inner = root_of(&lab, &target);
    inner.args(["unshare", "--mount", "--pid", "--fork", "sh", "-c"]);
    inner.arg("read -r pid _ </proc/self/stat; mount -n -t proc proc /proc && echo $pid; read -r _");
    let inner = inner.start_with(Stdio::piped());
    let pid = inner.first_line().unwrap();
    lab.shell("touch /run/above; mount -n --bind /proc/1/ns/user /run/above").run().ok();
    let mount = format!("--mount=/proc/{pid}/ns/mnt");
    let ran = root_of(&lab, &target).args([NSENTER, &mount, "--user=/run/above", "echo", "ran"]).run();
    let ran = ran.fails_with(1).stdout_is("").stderr_has("user:[");
    ran.stderr_has("requires CAP_SYS_ADMIN over the user namespace that owns it, and over the caller's");
}

#[test]
fn ones_own_user_namespace_is_left_out_and_no_error() {
    let lab = need!(lab_with_users());
    for who in ["root", "user"] {
        let enter = |options: &[&str]| {
            let words = [&[NSENTER, "--user=/proc/self/ns/user"], options, &["true"]].concat();
            if who == "root" {
                lab.command(words[0]).args(&words[1..]).run()
            } else {
                as_user(&lab, &words).run()
            }
        };
        enter(&["--explain"]).ok().stdout_has("same");
        enter(&[]).ok();
    }
}

#[test]
fn root_that_lacks_a_capability_is_told_which() {
    let lab = need!(lab_with_users());
    let web = lab.container("web", Options::default());
    let ours = lab.namespace(1, "user");
    let cases = [
        ("-sys_admin", "-n", "CAP_SYS_ADMIN", ", which owns net and will contain the program"),
        ("-sys_admin", "-a", "CAP_SYS_ADMIN", ", which owns cgroup, ipc, uts, net, pid, mnt and will"),
        ("-sys_chroot", "-m", "CAP_SYS_CHROOT", ", which will contain the program"),
        ("-sys_chroot", "-r", "CAP_SYS_CHROOT", ", which will contain the program"),
        ("-setgid", "-G 7", "CAP_SETGID", ", which will contain the program"),
        ("-setuid", "-S 7", "CAP_SETUID", ", which will contain the program"),
    ];
    for (without, option, capability, why) in cases {
        let rule = format!("{capability} over {ours} (the caller's){why}");
        let said = [
            "permission denied: requires ",
            &rule,
            "the caller lacks it (uid 0)",
            "hint: the caller is root only in user:[",
        ];
        // Without a look at the target: what the container's process can do is no hindrance then.
        let without = || root_without(&lab, &format!("{without},+sys_ptrace"));
        refused(without, &format!("-t {} {option}", web.pid), &rule, &said);
    }
}

#[test]
fn a_process_that_can_do_more_than_we_is_not_to_be_looked_at() {
    let lab = need!(lab_with_users());
    let web = lab.container("web", Options::default());
    let weak = || root_without(&lab, "-sys_ptrace,-sys_admin");
    let why = [
        "it has capabilities that the caller lacks: CAP_SYS_PTRACE, CAP_SYS_ADMIN",
        "hint: this root user lacks CAP_SYS_PTRACE",
    ];
    refused(weak, &format!("-t {} -n", web.pid), "ptrace(2)", &why);
}

#[test]
fn a_process_that_is_not_dumpable_is_not_to_be_looked_at() {
    let lab = need!(lab_with_users());
    // A program that its user may run and not read.
    let copied = lab.shell("cp \"$(command -v cat)\" /run/unreadable; chmod 711 /run/unreadable").run();
    copied.ok();
    let (_process, target) = users_process(&lab, "/run/unreadable");
    let why = ["it is not dumpable", "hint: sudo "];
    refused(|| as_user(&lab, &[]), &format!("-t {target} -U -n"), "ptrace(2)", &why);
}

#[test]
fn a_pid_namespace_above_ours_is_out_of_reach() {
    let lab = need!(lab_with_users());
    let web = lab.container("web", Options { unshared: vec!["pid"], ..Options::only(&[]) });
    let down_there = || {
        let mut nsenter = lab.command("nsenter");
        nsenter.args(["-t", &web.pid.to_string(), "-p", "--"]);
        nsenter
    };
    let rule = "its PID namespace was created inside the caller's";
    let said = ["pid:[", rule, "a process cannot enter a PID namespace above its own", "hint: leave out -p"];
    refused(down_there, "--pid=/proc/1/ns/pid", rule, &said);
}

#[test]
fn a_pid_namespace_whose_init_has_ended_takes_nobody_in() {
    let lab = need!(lab_with_users());
    let mut web = lab.container("web", Options { unshared: vec!["pid"], ..Options::only(&[]) });
    let bind = format!("touch /run/pid; mount -n --bind /proc/{}/ns/pid /run/pid", web.pid);
    lab.shell(&bind).run().ok();
    lab.command(NSENTER).args(["--pid=/run/pid", "true"]).run().ok();
    web.stop();
    let ran = lab.command(NSENTER).args(["--pid=/run/pid", "echo", "ran"]).run();
    ran.fails_with(1).stdout_is("").stderr_has("fork: the PID namespace has ended");
}

#[test]
fn a_process_that_proc_hides_has_not_ended() {
    let lab = need!(lab_with_users());
    let web = lab.container("web", Options::default());
    for level in [1, 2] {
        let hidden = || {
            let mut command = lab.command("unshare");
            let script = format!(
                "mount -n -t proc -o hidepid={level} proc /proc && \
                 exec setpriv --reuid=1000 --regid=1000 --clear-groups \"$@\""
            );
            command.args(["--mount", "--", "sh", "-ec", &script, "sh"]);
            command
        };
        let why = ["/proc is mounted with hidepid= and hides it", "hint: sudo "];
        refused(hidden, &format!("-t {} -n", web.pid), "ptrace(2)", &why);
    }
}

#[test]
fn a_target_that_has_ended_is_not_explained() {
    let lab = need!(lab_with_users());
    let mut web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    web.stop();
    let ran = lab.command(NSENTER).args(["-t", &target, "-a", "--explain"]).run().fails_with(1);
    ran.stdout_is("").stderr_is(&format!("nsenter-rs: PID {target}: no such process\n"));
}

#[test]
fn an_id_that_has_no_number_inside_is_told_before() {
    let lab = need!(lab_with_users());
    let (_container, target) = users_container(&lab);
    let pid: i32 = target.parse().unwrap();
    let rule = format!("user ID 7 is mapped in {} (owned by uid 1000)", lab.namespace(pid, "user"));
    let said = ["user ID 7: is not mapped in user:["];
    refused(|| as_user(&lab, &[]), &format!("-t {target} -U -S 7"), &rule, &said);
}

#[test]
fn a_seccomp_filter_is_told_from_the_kernels_own_rules() {
    let lab = need!(lab_with_users());
    need!(program("strace", "strace"));
    let web = lab.container("web", Options::default());
    let filtered = |words: &[&str]| {
        // A filter is on whoever strace traces so, and setns(2) ends as a container's filter ends it.
        let mut strace = lab.command("strace");
        strace.args(["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=setns"]);
        strace.args(["-e", "inject=setns:error=EPERM"]);
        strace.arg(NSENTER).args(["-t", &web.pid.to_string()]).args(words).run()
    };
    let ran = filtered(&["-n", "echo", "ran"]).fails_with(1).stdout_is("");
    ran.stderr_has("a seccomp filter forbids setns(2)")
        .stderr_has("hint: nsenter-rs itself runs in a container");
    // Nobody can know that without trying.
    let json = filtered(&["-n", "--explain", "--json", "true"]).ok().json();
    let rules = json["rules"].as_array().unwrap();
    let unknown = rules.iter().filter(|rule| rule["met"].is_null());
    assert_eq!(
        unknown.map(|rule| &rule["rule"]).collect::<Vec<_>>(),
        ["the caller's seccomp filter allows it"]
    );
}

#[test]
fn a_security_module_is_what_is_left() {
    let lab = need!(lab_with_users());
    need!(program("strace", "strace"));
    let web = lab.container("web", Options::default());
    // Only the first call is refused, and no filter is there.
    let mut strace = lab.command("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=setns:error=EPERM:when=1", NSENTER]);
    let ran = strace.args(["-t", &web.pid.to_string(), "-n", "echo", "ran"]).run().fails_with(1);
    ran.stdout_is("")
        .stderr_has("although the caller has the capabilities that setns(2) requires")
        .stderr_has("hint: see dmesg or the audit log: a security module");
}

#[test]
fn who_shares_its_root_with_another_process_is_told_so() {
    let lab = need!(lab_with_users());
    need!(program("perl", "perl-base"));
    let web = lab.container("web", Options::default());
    // clone(2) with CLONE_FS, as a thread has it: exec does not undo that.
    let flags = nix::libc::CLONE_FS | nix::libc::SIGCHLD;
    let script = format!(
        "my $child = syscall({}, {flags}, 0, 0, 0, 0); \
         if ($child == 0) {{ exec @ARGV }} waitpid $child, 0; exit $? >> 8",
        nix::libc::SYS_clone
    );
    // With another kind in the same call the kernel works on a copy, and lets it pass (prepare_nsset()).
    for option in ["-m", "-m --net=/proc/1/ns/net"] {
        let mut perl = lab.command("perl");
        perl.args(["-e", &script, NSENTER, "-t", &web.pid.to_string()]);
        let ran = perl.args(option.split(' ')).args(["echo", "ran"]).run().fails_with(1).stdout_is("");
        ran.stderr_has("mnt:[")
            .stderr_has("another process shares the root and working directory of nsenter-rs");
    }
}

/// Linux numbers its kernel threads from 2, in the PID namespace that no other is above.
#[test]
fn a_kernel_thread_has_the_namespaces_of_the_machine() {
    let comm = fs::read_to_string("/proc/2/comm").unwrap_or_default();
    if comm.trim() != "kthreadd" {
        need!(Err::<(), _>(Missing::ForGood("kernel threads are not seen from here".into())));
    }
    let explain =
        || Command::new(tools::tool("nsenter-rs")).args(["-t", "2", "-n", "--explain", "true"]).run();
    if nix::unistd::geteuid().is_root() {
        explain().ok().stdout_has("same");
    } else {
        explain().fails_with(1).stdout_has("ptrace(2)");
    }
}
