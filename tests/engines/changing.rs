//! State that is replaced, written again or mounted over while it is read, and what is no regular file where one is opened by
//! root for a user.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use crate::by_hand::{Host, process};
use crate::two_users::{Scene, USER};
use support::engine_state;
use support::run::{Ran, Run};
use support::skip::need;
use support::until::until;

const RECORD: &str = "run/runc/web/state.json";

/// What runc writes of a container.
fn record(pid: i32, ticks: u64) -> String {
    let padding = "x".repeat(20_000);
    json!({ "init_process_pid": pid, "init_process_start": ticks, "padding": padding }).to_string()
}

/// What cpid says of `target` again and again while `change` goes on, until each of `wanted` was seen.
fn said_while(host: &Host, target: &str, wanted: &[&str], change: impl Fn(u32) + Sync) -> Vec<Ran> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| (0..).take_while(|_| !over.load(Ordering::Relaxed)).for_each(&change));
        let mut all = Vec::new();
        let seen = |all: &[Ran], text: &&str| all.iter().any(|ran| ran.to_string().contains(*text));
        for round in 0.. {
            all.push(host.cpid(&[target]).run());
            if round >= 60 && (wanted.iter().all(|text| seen(&all, text)) || round >= 2000) {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
        all
    })
}

#[test]
fn a_record_that_is_replaced_while_it_is_read_is_the_old_one_or_the_new_one() {
    let host = Host::new();
    let ((_one, first, first_ticks), (_two, then, then_ticks)) = (process(), process());
    host.write(RECORD, record(first, first_ticks));
    let pids = [first, then].map(|pid| format!("{pid}\n"));
    let said = said_while(&host, "oci:web", &pids.each_ref().map(String::as_str), |round| {
        let new = if round % 2 == 0 { record(then, then_ticks) } else { record(first, first_ticks) };
        host.write("run/runc/web/.new", new);
        fs::rename(host.path("run/runc/web/.new"), host.path(RECORD)).unwrap();
    });
    for ran in &said {
        assert!(pids.contains(&ran.clone().ok().stderr_is("").stdout), "{ran}");
    }
    assert!(pids.iter().all(|pid| said.iter().any(|ran| ran.stdout == *pid)), "only one of both was seen");
}

#[test]
fn a_record_that_is_written_in_place_is_whole_or_cannot_be_told_and_never_a_no() {
    let host = Host::new();
    let (_process, pid, ticks) = process();
    host.write(RECORD, record(pid, ticks));
    let right = format!("{pid}\n");
    let said = said_while(&host, "oci:web", &[&right, "EOF while parsing"], |_| {
        fs::write(host.path(RECORD), "").unwrap();
        fs::write(host.path(RECORD), record(pid, ticks)).unwrap();
    });
    for ran in said.iter().filter(|ran| ran.stdout != right) {
        ran.clone().fails_with(2).stdout_is("").stderr_has("runc/web/state.json: ");
    }
}

#[test]
fn a_record_that_something_is_mounted_over_is_what_is_mounted_there() {
    let host = need!(engine_state::Host::new());
    let (first, then) = (host.process("first"), host.process("then"));
    host.runc_record("/run/runc/web", first.pid, host.start_time(first.pid));
    host.runc_record("/run/other/web", then.pid, host.start_time(then.pid));
    let at = "/run/host/run/runc/web/state.json";
    let mount = |what: &str| host.lab.command("mount").args(["--no-mtab", "--bind", what, at]).run().ok();
    let umount = || host.lab.command("umount").args(["--no-mtab", at]).run().ok();
    mount("/run/host/run/other/web/state.json");
    host.finds("oci:web", &then);
    umount();
    host.finds("oci:web", &first);
    host.lab.command("mkfifo").arg("/run/host/pipe").run().ok();
    for odd in ["/dev/zero", "/dev/tty", "/run/host/pipe"] {
        mount(odd);
        let unsure = host.cpid(&["oci:web"]).run().fails_with(2).stdout_is("");
        unsure.stderr_has(&format!("{at}: "));
        umount();
    }
    // Mounted and unmounted all the time.
    let script = "while :; do mount --no-mtab --bind \"$1\" \"$2\"; umount --no-mtab \"$2\"; done";
    let storm =
        host.lab.command("sh").args(["-c", script, "sh", "/run/host/run/other/web/state.json", at]).start();
    let pids = [first.pid, then.pid].map(|pid| format!("{pid}\n"));
    for _ in 0..100 {
        let ran = host.cpid(&["oci:web"]).run().ok().stderr_is("");
        assert!(pids.contains(&ran.stdout), "{ran}");
    }
    drop(storm);
}

#[test]
fn a_database_that_is_a_link_a_device_or_a_pipe_holds_nobody_up_and_hides_nobody() {
    const DATABASE: &str = "/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db";
    let host = need!(engine_state::Host::new());
    let plain = host.process("plain");
    host.task("default", "plain", plain.pid, &json!({}));
    let file = format!("/run/host{DATABASE}");
    host.write(DATABASE, "");
    host.write("/other", "no database");
    let odd = [
        ("ln -s /dev/zero", "is not a regular file"),
        ("ln -s /dev/tty", "meta.db: "),
        ("ln -s /proc/self/mem", "meta.db: "),
        ("ln -s meta.db", "meta.db: "),
        ("ln -s /run/host/other", "meta.db: is damaged"),
        ("mkfifo", "is not a regular file"),
        ("mkdir", "is not a regular file"),
    ];
    for (make, why) in odd {
        host.lab.shell(&format!("rm -rf {file}; {make} {file}")).run().ok();
        host.finds("plain", &plain);
        host.cpid(&["--list"]).run().ok().stdout_has("plain").stderr_is("");
        let unsure = host.cpid(&["nope"]).run().fails_with(2).stdout_is("");
        unsure.stderr_has(&format!("{file}: ")).stderr_has(why);
    }
    host.lab.shell(&format!("rm -rf {file}")).run().ok();
    host.finds_nothing("nope");
}

/// Opening acts on some devices: a watchdog begins to count, a tape is rewound. A pipe shows it too, because whoever waits to
/// write into it goes on.
#[test]
fn what_a_user_puts_in_the_place_of_a_file_is_not_opened_by_root() {
    let scene = need!(Scene::new());
    let run = format!("run/user/{USER}");
    let directory = scene.host.directory(&format!("{run}/runc/web"));
    let pipe = directory.join("state.json");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for owned in ["", "/runc", "/runc/web", "/runc/web/state.json"] {
        chown(scene.host.path(&format!("{run}{owned}")), Some(USER), None).unwrap();
    }
    let mut writer = Command::new("sh");
    writer.args(["-c", "echo ready; exec 3>\"$0\"; echo opened; read -r _"]).arg(&pipe);
    let writer = writer.start_with(Stdio::piped());
    writer.wait_for("ready");
    until("the writer waits for a reader", || is_in_open(writer.pid()));
    for words in [&["oci:web"][..], &["web"], &["--list"]] {
        let said = scene.sudo_cpid(&[&["-v"], words].concat());
        assert!(said.stderr.contains("web/state.json: is not a regular file"), "{said}");
        assert!(is_in_open(writer.pid()), "{words:?} opened the pipe: {}", writer.so_far());
    }
    // Who just opens it lets the writer go on.
    let _naive = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(&pipe).unwrap();
    writer.wait_for("opened");
}

/// Whether the process sleeps in open(2).
fn is_in_open(pid: i32) -> bool {
    let call =
        fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("syscall")).unwrap_or_default();
    let number = call.split(' ').next().and_then(|number| number.parse().ok());
    let open = [
        nix::libc::SYS_openat,
        #[cfg(target_arch = "x86_64")]
        nix::libc::SYS_open,
    ];
    number.is_some_and(|number: i64| open.contains(&number))
}
