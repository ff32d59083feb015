//! LXC's monitors, played by the test: what they may answer, and whose answers count.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use nix::unistd::Pid;
use serde_json::json;

use crate::fake_monitor::{FakeMonitor, GET_INIT_PID, GET_INIT_PIDFD, GET_STATE, RUNNING, Say, message};
use support::fake_docker::just_now;
use support::fake_engine::{Answer, Script};
use support::run::{Ran, Run, RunningProgram};
use support::scratch::Scratch;
use support::skip::{Missing, need, program};
use support::tools;
use support::until::as_busy;

/// A host on which LXC has one container, `web`, whose monitor is the test.
struct Host {
    root: Scratch,
}

impl Host {
    fn new() -> Result<Host, Missing> {
        if !nix::unistd::geteuid().is_root() {
            return Err(Missing::Fixable("a monitor that is root's needs root".into()));
        }
        let host = Host { root: Scratch::new() };
        fs::create_dir_all(host.web()).unwrap();
        fs::write(host.web().join("config"), "lxc.uts.name = web\n").unwrap();
        Ok(host)
    }

    fn web(&self) -> PathBuf {
        self.root.path("var/lib/lxc/web")
    }

    fn monitor(&self, say: impl Fn(i32) -> Say + Send + 'static) -> FakeMonitor {
        FakeMonitor::listen(&self.web(), say)
    }

    /// The same, of a container that runs, whose process is asked for.
    fn running(&self, say: impl Fn(i32) -> Say + Send + 'static) -> FakeMonitor {
        self.monitor(move |command| if command == GET_STATE { Say::value(RUNNING) } else { say(command) })
    }

    fn cpid(&self) -> Ran {
        self.cpid_with(&["lxc:web"])
    }

    fn cpid_with(&self, arguments: &[&str]) -> Ran {
        let mut cpid = tools::in_clean_environment(Command::new(tools::tool("cpid")));
        cpid.env("NETNS_TOOLBOX_ROOT", self.root.as_ref());
        cpid.args(["--engine-timeout", "1s"]).args(arguments).run_within(Duration::from_secs(20))
    }

    /// Another container that is defined, in any LXCPATH.
    fn defined(&self, path: &str, name: &str) -> PathBuf {
        let directory = self.root.path(path).join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("config"), "").unwrap();
        directory
    }
}

/// A process that is killed when this is dropped.
struct Sleeper(Child);

impl Sleeper {
    fn new() -> Sleeper {
        Sleeper(Command::new("sleep").arg("600").spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    fn pidfd(&self) -> OwnedFd {
        common::process::open_pidfd(Pid::from_raw(self.pid())).unwrap()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_pidfd_counts_and_not_the_pid() {
    let host = need!(Host::new());
    let (first, other) = (Sleeper::new(), Sleeper::new());
    let (pidfd, lie) = (first.pidfd(), i64::from(other.pid()));
    let _monitor = host.running(move |command| match command {
        GET_INIT_PIDFD => Say::descriptor(pidfd.try_clone().unwrap()),
        _ => Say::value(lie),
    });
    host.cpid().ok().stdout_is(&format!("{}\n", first.pid()));
}

#[test]
fn a_monitor_without_pidfds_is_asked_for_the_pid() {
    let host = need!(Host::new());
    let first = Sleeper::new();
    let pid = i64::from(first.pid());
    for old in [|| Say::HangUp, || Say::status(-nix::libc::EBADF)] {
        let _monitor = host.running(move |command| match command {
            GET_INIT_PID => Say::value(pid),
            _ => old(),
        });
        host.cpid().ok().stdout_is(&format!("{pid}\n"));
    }
}

#[test]
fn a_pidfd_of_something_dead_is_a_container_that_does_not_run() {
    let host = need!(Host::new());
    let first = Sleeper::new();
    let pidfd = first.pidfd();
    drop(first);
    let _monitor = host.running(move |_| Say::descriptor(pidfd.try_clone().unwrap()));
    host.cpid().fails_with(1).stderr_has("web is not running");
}

#[test]
fn a_descriptor_that_is_no_pidfd_is_nonsense() {
    let host = need!(Host::new());
    let _monitor = host.running(|_| Say::descriptor(File::open("/dev/null").unwrap().into()));
    host.cpid().fails_with(2).stderr_has("it did not send a pidfd");
}

#[test]
fn garbage_is_one_clear_error() {
    let host = need!(Host::new());
    type Garbage = (fn() -> Say, &'static str);
    let all: [Garbage; 6] = [
        (|| Say::Bytes(message(0, i32::MAX, 2), vec![]), "gave an invalid answer"),
        (|| Say::Bytes(message(0, -1, 2), vec![]), "gave an invalid answer"),
        (|| Say::value(99), "state number 99"),
        (|| Say::value(-1), "gave an invalid answer"),
        (|| Say::Bytes(vec![0; 7], vec![]), "it closed the connection without an answer"),
        (|| Say::HangUp, "it closed the connection without an answer"),
    ];
    for (say, what) in all {
        let _monitor = host.monitor(move |_| say());
        host.cpid().fails_with(2).stdout_is("").stderr_has(what);
    }
}

#[test]
fn a_pid_that_cannot_be_is_refused() {
    let host = need!(Host::new());
    for pid in [0, -1, i64::from(i32::MAX) + 1] {
        let _monitor = host.running(move |command| match command {
            GET_INIT_PID => Say::value(pid),
            _ => Say::HangUp,
        });
        host.cpid().fails_with(2).stdout_is("").stderr_has("gave an invalid answer");
    }
}

#[test]
fn a_silent_monitor_costs_its_time_and_no_more() {
    let host = need!(Host::new());
    let _monitor = host.monitor(|_| Say::Nothing);
    let ran = host.cpid().fails_with(2).stderr_has("did not answer").stderr_has("/web/command");
    assert!(ran.took < as_busy(Duration::from_secs(2)), "{ran}");
}

#[test]
fn a_monitor_that_refuses_us_is_no_permission() {
    let host = need!(Host::new());
    let _monitor = host.monitor(|_| Say::status(-nix::libc::EPERM));
    host.cpid().fails_with(2).stderr_has("no permission");
}

/// Listens on the abstract socket in its first argument, and says to everybody that it runs. With a second one, nobody
/// can connect any more.
const SQUATTER: &str = r#"
    use Socket;
    use Fcntl;
    my ($name, $full) = (pack_sockaddr_un("\0" . $ARGV[0]), $ARGV[1]);
    $SIG{PIPE} = 'IGNORE';
    socket(my $listener, AF_UNIX, SOCK_STREAM, 0) or die;
    bind($listener, $name) or die "bind: $!";
    listen($listener, $full ? 0 : 9) or die;
    my @held;
    my $room = $full;
    while ($room) {
        socket(my $one, AF_UNIX, SOCK_STREAM, 0) or die;
        fcntl($one, F_SETFL, O_NONBLOCK) or die;
        $room = connect($one, $name);
        push @held, $one;
    }
    $| = 1;
    print "ready\n";
    sleep 1000 if $full;
    while (accept(my $connection, $listener)) { sysread $connection, my $request, 16; syswrite $connection, pack("iiq", 0, 0, 2); }
"#;

/// `user` listens as the monitor of the container in `directory`.
fn squatter(user: u32, directory: &Path, more: &[&str]) -> Result<RunningProgram, Missing> {
    program("perl", "perl-base")?;
    program("setpriv", "util-linux")?;
    let mut squatter = tools::in_clean_environment(Command::new("setpriv"));
    squatter.args([&format!("--reuid={user}"), "--clear-groups", "perl", "-e", SQUATTER]);
    let squatter = squatter.arg(directory.join("command")).args(more).start();
    squatter.wait_for("ready");
    Ok(squatter)
}

#[test]
fn a_stranger_on_the_containers_socket_is_not_believed() {
    let host = need!(Host::new());
    let squatting = need!(squatter(12345, &host.web(), &[]));
    host.cpid().fails_with(1).stdout_is("").stderr_has("web is not running");
    drop(squatting);
    // The same words of root's are heard.
    let first = Sleeper::new();
    let pid = i64::from(first.pid());
    let _monitor = host.running(move |command| match command {
        GET_INIT_PID => Say::value(pid),
        _ => Say::HangUp,
    });
    host.cpid().ok().stdout_is(&format!("{pid}\n"));
}

#[test]
fn a_stranger_on_the_socket_of_a_container_that_lxc_has_not_is_in_nobodys_way() {
    let host = need!(Host::new());
    let first = Sleeper::new();
    fs::create_dir_all(host.root.path("run")).unwrap();
    let state = json!({ "Status": "running", "Pid": first.pid(), "StartedAt": just_now() });
    let nginx = json!({ "Id": "a".repeat(64), "Name": "/nginx", "State": state }).to_string();
    let docker = Script::new().on("/containers/nginx/json", Answer::json(200, &nginx));
    let docker = docker.on(&format!("/containers/{}/json", "a".repeat(64)), Answer::json(200, &nginx));
    let _docker = docker.listen(host.root.path("run/docker.sock"));
    let cpid = || {
        let mut cpid = tools::in_clean_environment(Command::new(tools::tool("cpid")));
        cpid.env("NETNS_TOOLBOX_ROOT", host.root.as_ref()).arg("nginx").run()
    };
    let directory = host.web().with_file_name("nginx");
    for more in [&[][..], &["full"]] {
        let _squatter = need!(squatter(12345, &directory, more));
        cpid().ok().stdout_is(&format!("{}\n", first.pid())).stderr_is("");
    }
    // A queue of root's that is as full may be a monitor's.
    let squatting = need!(squatter(0, &directory, &["full"]));
    cpid().fails_with(2).stdout_is("").stderr_has("lxc could not be asked");
    drop(squatting);
    // A monitor of root's could have it.
    let _monitor = FakeMonitor::listen(&directory, |_| Say::Nothing);
    cpid().fails_with(2).stdout_is("").stderr_has("lxc could not be asked");
    // Where there is no LXC at all, nobody is asked.
    fs::remove_dir_all(host.root.path("var/lib/lxc")).unwrap();
    cpid().ok().stdout_is(&format!("{}\n", first.pid())).stderr_is("");
}

#[test]
fn a_monitor_that_hangs_hides_no_other_container() {
    let host = need!(Host::new());
    let first = Sleeper::new();
    // More than are asked at once.
    let silent: Vec<_> = (0..210).map(|n| host.defined("var/lib/lxc", &format!("a{n:03}"))).collect();
    let _silent: Vec<_> =
        [0, 7, 205].map(|n: usize| FakeMonitor::listen(&silent[n], |_| Say::Nothing)).into();
    let pid = i64::from(first.pid());
    let _monitor = host.running(move |command| match command {
        GET_INIT_PID => Say::value(pid),
        _ => Say::HangUp,
    });
    let listed = host.cpid_with(&["--list"]).fails_with(2);
    let listed = listed.stdout_has(&first.pid().to_string());
    let listed = listed.stderr_has("a000/command").stderr_has("a205/command");
    assert!(listed.took < as_busy(Duration::from_secs(6)), "{listed}");
}

#[test]
fn a_container_of_another_path_counts_if_its_monitor_and_its_directory_are_roots() {
    let host = need!(Host::new());
    let first = Sleeper::new();
    let elsewhere = host.defined("srv/lxc", "db");
    let pid = i64::from(first.pid());
    let say = move |command| match command {
        GET_STATE => Say::value(RUNNING),
        GET_INIT_PID => Say::value(pid),
        _ => Say::HangUp,
    };
    let squatting = need!(squatter(12345, &elsewhere, &[]));
    host.cpid_with(&["lxc:db"]).fails_with(1).stdout_is("").stderr_has("no such container");
    let listed = host.cpid_with(&["--list", "-a"]).ok();
    assert!(!listed.stdout.contains("db"), "{listed}");
    drop(squatting);
    let monitor = FakeMonitor::listen(&elsewhere, say);
    host.cpid_with(&["lxc:db"]).ok().stdout_is(&format!("{pid}\n")).stderr_is("");
    // What listens under the name of a directory that is not there is in the host's network, and not in its files.
    fs::rename(&elsewhere, elsewhere.with_file_name("away")).unwrap();
    host.cpid_with(&["lxc:db"]).fails_with(1).stdout_is("");
    drop(monitor);
    // As little counts a directory of another user's.
    let theirs = host.defined("home/user/lxc", "db");
    let _monitor = FakeMonitor::listen(&theirs, say);
    host.cpid_with(&["lxc:db"]).ok();
    for file in [theirs.join("config"), theirs.clone()] {
        std::os::unix::fs::chown(file, Some(12345), None).unwrap();
    }
    host.cpid_with(&["lxc:db"]).fails_with(1).stdout_is("");
}

/// Listens under as many names as its first argument says, each of a container called as its last one in a path of its own.
const CROWD: &str = r#"
    use Socket;
    my ($count, $root, $name) = @ARGV;
    my @held;
    for my $number (1 .. $count) {
        socket(my $one, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
        bind($one, pack_sockaddr_un("\0$root/srv/$number/$name/command")) or die "bind: $!";
        listen($one, 0) or die;
        push @held, $one;
    }
    $| = 1;
    print "ready\n";
    sleep 1000;
"#;

#[test]
fn a_crowd_of_a_strangers_sockets_is_not_asked() {
    let host = need!(Host::new());
    need!(program("perl", "perl-base"));
    need!(program("setpriv", "util-linux"));
    need!(program("strace", "strace"));
    let first = Sleeper::new();
    let pid = i64::from(first.pid());
    let _monitor = host.running(move |command| match command {
        GET_INIT_PID => Say::value(pid),
        _ => Say::HangUp,
    });
    for number in 1..=900 {
        host.defined(&format!("srv/{number}"), "web");
    }
    let mut crowd = tools::in_clean_environment(Command::new("setpriv"));
    crowd.args(["--reuid=12345", "--clear-groups", "perl", "-e", CROWD, "900"]);
    let crowd = crowd.arg(host.root.as_ref() as &Path).arg("web").start();
    crowd.wait_for("ready");
    let log = host.root.path("log");
    let mut strace = tools::in_clean_environment(Command::new("strace"));
    strace.env("NETNS_TOOLBOX_ROOT", host.root.as_ref()).args(["-f", "-e", "trace=connect", "-o"]).arg(&log);
    let ran = strace.args([tools::tool("cpid"), "lxc:web"]).run().ok();
    ran.stdout_is(&format!("{pid}\n")).stderr_is("");
    let connected = fs::read_to_string(log).unwrap();
    assert!(connected.contains("/var/lib/lxc/web/command"), "{connected}");
    assert!(!connected.contains("/srv/"), "{connected}");
}

#[test]
fn a_number_that_a_container_is_called_is_a_pid_with_a_note() {
    let host = need!(Host::new());
    let other = Sleeper::new();
    let pid = other.pid().to_string();
    host.cpid_with(&[&pid]).ok().stdout_is(&format!("{pid}\n")).stderr_is("");
    host.defined("var/lib/lxc", &pid);
    let note = format!("an lxc container is called so too: lxc:{pid}");
    host.cpid_with(&[&pid]).ok().stdout_is(&format!("{pid}\n")).stderr_has(&note);
    host.cpid_with(&[&format!("pid:{pid}")]).ok().stdout_is(&format!("{pid}\n")).stderr_is("");
    let mut enter = tools::in_clean_environment(Command::new(tools::tool("nsenter-rs")));
    enter.env("NETNS_TOOLBOX_ROOT", host.root.as_ref()).args(["-t", &pid, "-n", "true"]);
    enter.run().ok().stderr_has(&note);
}
