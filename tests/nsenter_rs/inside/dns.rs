//! Names: as the container looks them up, and by nobody else.

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use super::{Scene, scene};
use support::container::Options;
use support::lab::Lab;
use support::name_server;
use support::run::{Run, RunningProgram};
use support::skip::{Missing, need, program};

#[test]
fn a_name_is_looked_up_where_the_container_looks_it_up() {
    let scene = need!(scene());
    let server = scene.name_server("198.18.7.7");
    let ask = |option, name| scene.enter(&[option, "getent", "hosts", name]).run();
    ask("--dns", "api").ok().stdout_has("198.18.7.7 ");
    server.wait_for("asked api\n");
    ask("--dns", "only.container").ok().stdout_has("198.18.2.2 ");
    ask("--dns", "only.host").fails_with(2);
    // And without it, in the same network, as the host does.
    ask("-n", "api").fails_with(2);
    ask("-n", "only.container").fails_with(2);
    ask("-n", "only.host").ok().stdout_has("198.18.1.1 ");
}

#[test]
fn a_server_of_the_host_is_not_asked() {
    let scene = need!(scene());
    scene.lab.shell("echo nameserver 127.0.0.1 >/run/systemd/resolve/stub-resolv.conf; echo hosts: dns >/etc/nsswitch.conf").run().ok();
    let _hosts = name_server::start(&scene.lab, &["env"], "198.18.9.9");
    let _containers = scene.name_server("198.18.7.7");
    scene.lab.command("getent").args(["hosts", "api"]).run().ok().stdout_has("198.18.9.9 ");
    scene.enter(&["--dns", "getent", "hosts", "api"]).run().ok().stdout_has("198.18.7.7 ");
}

#[test]
fn the_hosts_cache_of_names_is_not_asked() {
    let scene = need!(scene());
    fs::create_dir_all(scene.lab.path("/run/nscd")).unwrap();
    let nscd = UnixListener::bind(scene.lab.path("/run/nscd/socket")).unwrap();
    nscd.set_nonblocking(true).unwrap();
    let is_asked = |options: &[&str]| {
        scene.enter(&[options, &["getent", "hosts", "only.host"]].concat()).run();
        std::iter::from_fn(|| nscd.accept().ok()).count() > 0
    };
    if !is_asked(&["-n"]) {
        // A C library without a client for it: there is nothing to hide from that.
        return;
    }
    assert!(!is_asked(&["--dns"]));
    scene.shell(&["--dns"], "ls -A /run/nscd").stdout_is("");
}

#[test]
fn what_programs_read_is_the_containers_word_for_word_and_cannot_be_written_to() {
    let scene = need!(scene());
    let theirs = scene.web.command("cat").args(["/etc/resolv.conf", "/etc/hosts"]).run().ok();
    let cat = "cat /etc/resolv.conf /etc/hosts";
    scene.shell(&["--dns"], cat).stdout_is(&theirs.stdout);
    scene.shell(&["--dns"], "cat /run/systemd/resolve/*").stdout_is(&"nameserver 127.0.0.1\n".repeat(2));
    scene.shell(&["--dns"], "cat /etc/nsswitch.conf").stdout_is("passwd: files\nhosts: files dns\n");
    let files = "/etc/resolv.conf /etc/hosts /etc/nsswitch.conf /run/systemd/resolve/stub-resolv.conf";
    let write =
        format!("for file in {files}; do (echo x >>$file) 2>&1; done | grep -c 'Read-only file system'");
    scene.shell(&["--dns"], &write).stdout_is("4\n");
    // The rest of /etc is the host's.
    let other = scene.lab.command("cat").arg("/etc/passwd").run().ok();
    scene.shell(&["--dns"], "cat /etc/passwd").stdout_is(&other.stdout);
}

#[test]
fn they_stay_the_containers_when_the_hosts_resolver_is_restarted() {
    let scene = need!(scene());
    let mut enter = scene.enter(&[
        "--dns",
        "sh",
        "-c",
        "echo ready; read -r _; cat /etc/resolv.conf; ls /run/systemd/resolve",
    ]);
    let mut program = enter.start_with(Stdio::piped());
    program.wait_for("ready\n");
    // As systemd-resolved does it: a new file under the old name, and a new socket.
    let replace = "cd /run/systemd/resolve; echo nameserver 127.0.0.54 >new; mv new stub-resolv.conf; \
                   rm io.systemd.Resolve; touch io.systemd.Resolve";
    scene.lab.shell(replace).run().ok();
    program.say("\n");
    program.finish().ok().stdout_is("ready\nnameserver 127.0.0.1\nresolv.conf\nstub-resolv.conf\n");
}

#[test]
fn a_file_that_the_container_does_not_have_is_empty() {
    let scene = need!(scene());
    fs::remove_file(scene.web.path("/etc/hosts")).unwrap();
    let enter = |words: &[&str]| scene.enter(words).run().ok();
    enter(&["--dns", "cat", "/etc/hosts"]).stdout_is("").stderr_is("");
    enter(&["-v", "--dns", "true"])
        .stderr_has(&format!("nsenter-rs: /etc/hosts is empty: PID {} has none\n", scene.pid))
        .stderr_has(&format!("nsenter-rs: /etc/resolv.conf is that of PID {}\n", scene.pid));
    fs::remove_dir_all(scene.web.path("/etc")).unwrap();
    enter(&["--dns", "cat", "/etc/hosts", "/etc/resolv.conf"]).stdout_is("");
}

#[test]
fn a_host_without_the_file_is_told_so() {
    let scene = need!(scene());
    scene.lab.shell("rm /run/systemd/resolve/stub-resolv.conf").run().ok();
    let ran = scene.enter(&["--dns", "echo", "ran"]).run().fails_with(1).stdout_is("");
    ran.stderr_has("/etc/resolv.conf: the host has none").stderr_has("hint: ls -l /etc/resolv.conf");
    // Where glibc finds no nsswitch.conf, it looks in files and asks DNS.
    scene.lab.shell("touch /run/systemd/resolve/stub-resolv.conf; rm /etc/nsswitch.conf").run().ok();
    let _server = scene.name_server("198.18.7.7");
    scene.enter(&["--dns", "getent", "hosts", "api"]).run().ok().stdout_has("198.18.7.7 ");
}

#[test]
fn a_process_that_shares_the_hosts_files_is_shown_them() {
    let scene = need!(scene());
    let other = scene.lab.container("other", Options::only(&["net"]));
    let mut enter = scene.lab.tool("nsenter-rs");
    enter.args(["-t", &other.pid.to_string(), "--dns", "cat", "/etc/resolv.conf", "/etc/hosts"]);
    enter.run().ok().stdout_is("nameserver 127.0.0.53\n127.0.0.1 localhost\n198.18.1.1 only.host\n");
}

#[test]
fn a_named_network_has_the_files_that_ip_netns_gives_it() {
    let scene = need!(scene());
    let lab = &scene.lab;
    lab.shell("ip netns add blue; mkdir -p /etc/netns/blue; echo nameserver 198.18.3.3 >/etc/netns/blue/resolv.conf").run().ok();
    let cat = ["cat", "/etc/resolv.conf", "/etc/hosts"];
    let theirs = lab.command("ip").args(["netns", "exec", "blue"]).args(cat).run().ok();
    theirs.clone().stdout_has("198.18.3.3\n127.0.0.1 localhost\n");
    let ours = |target: &[&str]| lab.tool("nsenter-rs").args(target).arg("--dns").args(cat).run();
    for target in [&["-t", "netns:blue"][..], &["-t", "/run/netns/blue"], &["--net=/run/netns/blue"]] {
        ours(target).ok().stdout_is(&theirs.stdout);
    }
    lab.shell("echo 'hosts: files' >/etc/netns/blue/nsswitch.conf").run().ok();
    let mut nsswitch = lab.tool("nsenter-rs");
    nsswitch.args(["-v", "-t", "netns:blue", "--dns", "cat", "/etc/nsswitch.conf"]);
    let said = nsswitch.run().ok().stdout_is("hosts: files\n");
    said.stderr_has("/etc/resolv.conf is /etc/netns/blue/resolv.conf")
        .stderr_has("/etc/hosts stays the host's");
}

#[test]
fn a_link_that_others_can_put_below_etc_netns_leads_nowhere() {
    let scene = need!(scene());
    let lab = &scene.lab;
    lab.shell(
        "ip netns add blue; mkdir -p /etc/netns/blue; echo nameserver 198.18.3.3 >/etc/netns/blue/hosts
         echo nameserver 198.18.9.9 >/run/secret; ln -s /run/secret /etc/netns/blue/resolv.conf",
    )
    .run()
    .ok();
    let ours = || lab.tool("nsenter-rs").args(["-t", "netns:blue", "--dns", "cat", "/etc/resolv.conf"]).run();
    ours().ok().stdout_has("198.18.9.9");
    lab.shell("chmod o+w /etc/netns/blue").run().ok();
    // The other tool shows it.
    let cat = ["netns", "exec", "blue", "cat", "/etc/resolv.conf"];
    lab.command("ip").args(cat).run().ok().stdout_has("198.18.9.9");
    assert!(!ours().stdout.contains("198.18.9.9"));
}

#[test]
fn a_network_without_files_or_a_name_is_refused() {
    let lab = need!(Lab::new());
    lab.shell("ip netns add green").run().ok();
    let refused = |words: &[&str]| {
        lab.tool("nsenter-rs").args(words).args(["--dns", "echo", "ran"]).run().fails_with(1).stdout_is("")
    };
    refused(&["-t", "netns:green"])
        .stderr_has("/etc/netns/green: has neither resolv.conf nor hosts")
        .stderr_has("hint: write /etc/netns/green/resolv.conf");
    refused(&["-n=/proc/self/ns/net"])
        .stderr_has("--dns: the network namespace has neither a process here nor a name");
    refused(&[]).stderr_has("no TARGET was given");
}

/// Holds a lease on its /etc/hosts: whoever opens that for reading waits for fs.lease-break-time.
const LEASE: &str = "import fcntl, os, signal, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
fd = os.open('/etc/hosts', os.O_RDWR)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('leased', flush=True)
time.sleep(1000)
";

/// Python on the lab's host, in the mount namespace of the container.
fn python(scene: &Scene, script: &str) -> RunningProgram {
    // The container has no /dev/fuse, but what holds one may give it away.
    let enter = "exec 3<>/dev/fuse || true; exec nsenter --target \"$0\" --mount python3 -c \"$1\"";
    scene.lab.command("bash").args(["-c", enter, &scene.pid, script]).start()
}

#[test]
fn a_lease_of_the_containers_keeps_nobody() {
    let scene = need!(scene());
    need!(program("python3", "python3"));
    let holder = python(&scene, LEASE);
    holder.wait_for("leased\n");
    // Naive twin: whoever opens it in the usual way waits.
    let mut naive = scene.lab.command("timeout");
    naive.args(["0.3", "cat", &format!("/proc/{}/root/etc/hosts", scene.pid)]).run().fails_with(124);
    let ran = scene.enter(&["--dns", "true"]).run().fails_with(1);
    ran.stderr_has("/root/etc/hosts: is leased: a process has it to itself");
}

/// A file system that answers nothing but that it is there, mounted on /etc. A request that it has taken cannot be
/// interrupted.
const MUTE: &str = "import ctypes, os, struct, sys
fd = 3
libc = ctypes.CDLL(None, use_errno=True)
options = 'fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other' % fd
if libc.mount(b'mute', b'/etc', b'fuse', 0, options.encode()) != 0:
    print('refused', os.strerror(ctypes.get_errno()), flush=True)
    sys.exit()
request = os.read(fd, 1 << 17)
unique = struct.unpack_from('=Q', request, 8)[0]
init = struct.pack('=IIIIHHIIHHIIHHI', 7, 31, 0, 0, 0, 0, 65536, 1, 0, 0, 0, 0, 0, 0, 0) + bytes(16)
os.write(fd, struct.pack('=IiQ', 16 + len(init), 0, unique) + init)
print('mounted', flush=True)
while True:
    os.read(fd, 1 << 17)
    print('asked', flush=True)
";

#[test]
fn a_file_system_of_the_containers_that_does_not_answer_keeps_nobody() {
    let scene = need!(scene());
    need!(program("python3", "python3"));
    if !std::path::Path::new("/dev/fuse").exists() {
        need!(Err::<(), _>(Missing::ForGood("no /dev/fuse".to_owned())));
    }
    let server = python(&scene, MUTE);
    if server.first_line().as_deref() != Some("mounted") {
        need!(Err::<(), _>(Missing::Fixable(format!("no FUSE: {}", server.so_far()))));
    }
    // Naive twin: it waits for an answer, and does not even die of SIGKILL.
    let naive = scene.lab.command("cat").arg(format!("/proc/{}/root/etc/hosts", scene.pid)).start();
    server.wait_for("asked\n");
    naive.signal(nix::sys::signal::Signal::SIGKILL);
    let ran = scene.enter(&["--dns", "true"]).run().fails_with(1);
    ran.stderr_has("/root/etc/resolv.conf: its file system did not answer within 5s\n");
    let mut ping = scene.lab.tool("netns-ping");
    ping.args([&scene.pid, "api", "-c1"]).run().fails_with(2).stderr_has("its file system did not answer");
    // Its end is that of all that wait for it.
    drop(server);
}
