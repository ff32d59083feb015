//! `--host-tools` in roots of every kind, and by whoever may not mount.

use std::process::Stdio;

use nix::libc;

use crate::PATH;
use support::container::{Options, Root};
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::{Missing, need, program};
use support::tools::{static_tool, tool};

/// MS_REMOUNT | MS_BIND, and MS_RDONLY too.
const WRITABLE: u32 = 0x1020;
const READ_ONLY: u32 = 0x1021;

/// A process whose root is a tmpfs with the file `tool` and these directories in it, and no `/proc`.
fn in_a_root_of(lab: &Lab, directories: &str, flags: u32) -> RunningProgram {
    let perl = format!(
        "$| = 1; chdir '/tmp'; syscall({}, my $a = '.', my $b = '.') == 0 or die qq(pivot_root: $!); \
         syscall({}, my $c = '.', 2); chdir '/'; \
         syscall({}, 0, my $d = '/', 0, {flags}, 0) == 0 or die qq(mount: $!); print qq(ready\\n); <STDIN>",
        libc::SYS_pivot_root,
        libc::SYS_umount2,
        libc::SYS_mount
    );
    let script = "read -r pid _ </proc/self/stat; mount -t tmpfs none /tmp; echo one >/tmp/tool; echo $pid; \
                  cd /tmp; mkdir -p . $2; exec perl -e \"$1\"";
    let mut unshare = lab.command("unshare");
    unshare.args(["--mount", "--net", "--uts", "sh", "-ec", script, "sh", &perl, directories]);
    let running = unshare.start_with(Stdio::piped());
    running.wait_for("ready");
    running
}

#[test]
fn a_root_without_any_directory_is_good_enough() {
    need!(program("perl", "perl-base"));
    let lab = need!(Lab::new());
    let web = in_a_root_of(&lab, "", READ_ONLY);
    let target = web.first_line().unwrap();
    let nsenter = need!(static_tool("nsenter-rs"));
    let enter = |words: &[&str]| {
        let mut command = lab.command(&nsenter);
        command
            .env("PATH", PATH)
            .args(["-t", &target, "-m", "-n", "-u", "-H", "--trust-target"])
            .args(words)
            .run()
    };
    enter(&["ls", "/"]).ok().stdout_is("tool\n");
    enter(&["bash", "-c", "ls / | cat; cat /tool; echo $HOST_ROOT"])
        .ok()
        .stdout_is("tool\none\n/../kit/host\n");
    enter(&["ip", "-j", "link"]).ok();
    enter(&["touch", "/x"]).fails_with(1).stderr_has("Read-only");
}

#[test]
fn a_directory_that_the_container_could_take_away_is_not_mounted_on() {
    need!(program("perl", "perl-base"));
    let lab = need!(Lab::new());
    for (flags, place) in [(READ_ONLY, "/mnt/host\n"), (WRITABLE, "/../kit/host\n")] {
        let web = in_a_root_of(&lab, "mnt", flags);
        let target = web.first_line().unwrap();
        let mut show = lab.tool("nsenter-rs");
        show.env("PATH", PATH).args([
            "-t",
            &target,
            "-m",
            "-H",
            "--trust-target",
            "sh",
            "-c",
            "echo $HOST_ROOT",
        ]);
        show.run().ok().stdout_is(place);
    }
}

#[test]
fn an_ordinary_user_takes_the_hosts_tools_into_a_container_of_his_own() {
    let lab = need!(Lab::with_users());
    need!(lab.user_namespace());
    let user = ["--reuid", "1000", "--regid", "1000", "--clear-groups"];
    let script = "read -r pid _ </proc/self/stat; mount -n -t tmpfs none /mnt; echo here >/mnt/file; \
                  mount -n -t proc proc /proc; echo $pid; echo ready; read -r _";
    let mut unshare = lab.command("setpriv");
    unshare.args(user).args([
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "--pid",
        "--fork",
        "sh",
        "-ec",
        script,
    ]);
    let web = unshare.start_with(Stdio::piped());
    web.wait_for("ready");
    let target = web.first_line().unwrap();
    let enter = |words: &[&str]| {
        let mut command = lab.command("setpriv");
        command.env("PATH", PATH).args(user).arg(tool("nsenter-rs"));
        command.args(["-t", &target, "-a", "-H", "--trust-target", "-v"]).args(words).run()
    };
    enter(&["sh", "-c", "read -r line <$HOST_ROOT/etc/passwd; echo $line"]).ok().stdout_has("root:");
    enter(&["cat", "/mnt/file"]).ok().stdout_is("here\n").stderr_has("needs CAP_SYS_ADMIN");
    enter(&["no-such-program"]).fails_with(127);
}

#[test]
fn where_nothing_can_be_mounted_the_hosts_root_is_held_open() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options { root: Root::Bare, ..Options::default() });
    let enter = |words: &[&str]| {
        let mut command = lab.tool("nsenter-rs");
        command
            .env("PATH", PATH)
            .args(["-t", &web.pid.to_string(), "-r", "-H", "--trust-target"])
            .args(words)
            .run()
    };
    enter(&["ls", "/etc"]).ok().stdout_is("hostname\n");
    enter(&["sh", "-c", "exit 42"]).fails_with(42);
    enter(&["no-such-program"]).fails_with(127);
    // With the PID namespace its /proc shows the program, and so the descriptor.
    let mut inside = lab.tool("nsenter-rs");
    inside.env("PATH", PATH).args(["-t", &web.pid.to_string(), "-r", "-p", "-H", "--trust-target"]);
    let script = "echo $HOST_ROOT; read -r line <$HOST_ROOT/etc/passwd; echo $line; echo x >$HOST_ROOT/etc/x";
    let shown = inside.args(["sh", "-c", script]).run();
    shown.stdout_has("/proc/self/fd/").stdout_has("root:").stderr_has("Read-only");
}

/// `vm.memfd_noexec=1`: memory may be executed by who says so when it is made (Linux 6.3).
fn executable_memory_on_request(lab: &Lab) -> Result<(), Missing> {
    let set = lab.shell("echo 1 >/proc/sys/vm/memfd_noexec").run();
    let done = set.status.is_some_and(|status| status.success());
    done.then_some(()).ok_or(Missing::ForGood("vm.memfd_noexec cannot be set for a lab".into()))
}

#[test]
fn the_loader_runs_from_memory_that_is_executable_on_request_only() {
    let lab = need!(Lab::new());
    need!(executable_memory_on_request(&lab));
    let web = lab.container("web", Options { root: Root::Bare, ..Options::default() });
    let mut enter = lab.tool("nsenter-rs");
    enter.env("PATH", PATH).args(["-t", &web.pid.to_string(), "-r", "-H", "--trust-target", "ls", "/etc"]);
    enter.run().ok().stdout_is("hostname\n");
}

#[test]
fn a_namespace_without_a_process_is_entered_only_by_who_trusts_it() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options { root: Root::Bare, ..Options::default() });
    let mount = format!("--mount=/proc/{}/ns/mnt", web.pid);
    let enter = |options: &[&str]| {
        let mut command = lab.tool("nsenter-rs");
        command.env("PATH", PATH).args([&mount, "-H"]).args(options).args(["ls", "/etc"]).run()
    };
    enter(&[])
        .fails_with(1)
        .stdout_is("")
        .stderr_has("there is no process whose capabilities")
        .stderr_has("hint: use -t NAME, or --trust-target");
    enter(&["--trust-target"]).ok().stdout_is("hostname\n");
}
