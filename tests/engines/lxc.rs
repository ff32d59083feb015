//! LXC: the real one, with lxc-info as observer, and monitors that lie.

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
use support::run::{Ran, Run, Running};
use support::scratch::{Scratch, unique};
use support::skip::{Missing, need, program};
use support::tools;
use support::until::as_busy;
use support::world::World;

/// A container of the world's real LXC, removed when this is dropped.
struct RealContainer<'world> {
    world: &'world World,
    name: String,
}

impl<'world> RealContainer<'world> {
    fn defined(world: &'world World, name: String) -> Self {
        let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/setup/lxc-container");
        world.command(recipe).arg(&name).run().ok();
        RealContainer { world, name }
    }

    fn lxc(&self, program: &str, arguments: &[&str]) -> Ran {
        self.world.engine(program).args(["-n", &self.name]).args(arguments).run()
    }

    #[track_caller]
    fn start(&self) {
        self.lxc("lxc-start", &["--", "sleep", "infinity"]).ok();
    }

    #[track_caller]
    fn pid(&self) -> String {
        self.lxc("lxc-info", &["-pH"]).ok().text().to_owned()
    }
}

impl Drop for RealContainer<'_> {
    fn drop(&mut self) {
        let _ = self.lxc("lxc-stop", &["-k"]);
        let _ = self.world.command("rm").args(["-rf", &format!("/var/lib/lxc/{}", self.name)]).run();
    }
}

fn with_lxc() -> Result<World, Missing> {
    let world = World::get()?;
    let there =
        world.command("lxc-start").arg("--version").run().status.is_some_and(|status| status.success());
    there.then_some(world).ok_or_else(|| Missing::Fixable("no LXC in this world".into()))
}

#[test]
fn a_real_containers_pid_is_what_lxc_info_says() {
    let world = need!(with_lxc());
    let web = RealContainer::defined(&world, unique("web-"));
    web.start();
    let pid = web.pid();
    for target in [web.name.clone(), format!("lxc:{}", web.name)] {
        world.tool("cpid").arg(target).run().ok().stdout_is(&format!("{pid}\n"));
    }
    let inode = world.tool("cpid").args(["--inode", &web.name]).run().ok();
    assert!(inode.text().starts_with(&format!("{pid}:")), "{inode}");
}

#[test]
fn a_real_container_that_was_stopped_has_no_process_and_a_hint() {
    let world = need!(with_lxc());
    let web = RealContainer::defined(&world, unique("web-"));
    let stopped = world.tool("cpid").arg(format!("lxc:{}", web.name)).run().fails_with(1);
    stopped.stderr_has("is not running").stderr_has(&format!("hint: lxc-start {}", web.name));
    web.start();
    web.lxc("lxc-stop", &["-k"]).ok();
    world.tool("cpid").arg(format!("lxc:{}", web.name)).run().fails_with(1).stderr_has("is not running");
}

#[test]
fn the_beginning_of_a_name_is_no_name() {
    let world = need!(with_lxc());
    let web = RealContainer::defined(&world, unique("web-"));
    web.start();
    let beginning = &web.name[..web.name.len() - 1];
    world.tool("cpid").arg(format!("lxc:{beginning}")).run().fails_with(1).stderr_has("no such container");
}

#[test]
fn a_frozen_container_is_listed_as_paused() {
    let world = need!(with_lxc());
    let web = RealContainer::defined(&world, unique("web-"));
    web.start();
    web.lxc("lxc-freeze", &[]).ok();
    let listed = world.tool("cpid").args(["--list", "--json", "--engine", "lxc"]).run().ok().json();
    let listed = listed.as_array().unwrap().iter().find(|one| one["name"] == *web.name).unwrap().clone();
    web.lxc("lxc-unfreeze", &[]).ok();
    assert_eq!(listed["state"], "paused");
    assert_eq!(listed["pid"].to_string(), web.pid());
}

#[test]
fn a_name_that_lxc_hashes_is_found() {
    let world = need!(with_lxc());
    let long = RealContainer::defined(&world, unique(&"long-".repeat(24)));
    // Its name is too long for the host name it would have.
    let config = format!("/var/lib/lxc/{}/config", long.name);
    world.command("sed").args(["-i", "s/^lxc.uts.name.*/lxc.uts.name = long/", &config]).run().ok();
    long.start();
    world.tool("cpid").arg(format!("lxc:{}", long.name)).run().ok().stdout_is(&format!("{}\n", long.pid()));
}

#[test]
fn a_real_container_is_waited_for() {
    let world = need!(with_lxc());
    let web = RealContainer::defined(&world, unique("web-"));
    let script = format!(
        "{} --wait 20s lxc:{} & while ! grep -qs poll /proc/$!/wchan; do sleep 0.01; done; \
         lxc-start {} sleep infinity; wait $!",
        tools::tool("cpid"),
        web.name,
        web.name
    );
    let ran = world.engine("sh").args(["-c", &script]).run().ok();
    assert_eq!(ran.text(), web.pid(), "{ran}");
    assert!(ran.took < as_busy(Duration::from_secs(15)), "{ran}");
}

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
        let mut cpid = tools::in_clean_environment(Command::new(tools::tool("cpid")));
        cpid.env("NETNS_TOOLBOX_ROOT", self.root.as_ref());
        cpid.args(["--engine-timeout", "400ms", "lxc:web"]).run_within(Duration::from_secs(10))
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
fn squatter(user: u32, directory: &Path, more: &[&str]) -> Result<Running, Missing> {
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
