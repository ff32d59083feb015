//! A fake host: an unshared process whose user, network, mount and PID namespaces are a small world of its own.
//!
//! Inside one is root over a network with nothing but `lo`, an empty `/run` and a `/proc` that starts at PID 1;
//! outside nothing changes. The rest of the file system is the real host's, so write to `/run` and `/tmp` only.
//! Everything in it dies with the lab, and the lab dies with the test, even by SIGKILL: its init reads from a pipe
//! that only the test holds.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::container::{Container, Options};
use super::run::{Run, RunningProgram};
use super::scratch::unique;
use super::skip::{self, Missing};
use super::tools;

/// Runs before the user namespace has its IDs: says which PID the world outside knows us by (`/proc` is still the
/// outer one), and waits until the IDs are there. The second shell is for root's capabilities: an exec without a
/// mapped ID loses them, an exec as root brings them back.
const UNSHARED: &str = r#"read -r pid _ </proc/self/stat; echo "$pid"; read -r _; exec sh -ec "$0" "$@""#;

/// A host as systemd leaves it: mounts are shared, `/run` is a tmpfs (its source is the lab's name, so that it can be
/// told from others), `lo` is up. A `/sys` of this network is not granted everywhere, and few tests need it.
/// Children that nobody waits for must not stay as zombies: wait reaps them all. The end of stdin is cat's to notice,
/// for dash's read ends too when such a child does. Until `/run` is the lab's own, mount(8) must not write its notes
/// there (-n).
const HOST: &str = r#"
mount -n --make-rshared /
mount -n -t proc proc /proc
mount -n -t tmpfs -o mode=755 "$1" /run
mount -t sysfs sysfs /sys 2>/dev/null || true
ip link set lo up
exec 3<&0; cat <&3 >/dev/null & end=$!; exec 3<&-
echo ready
while kill -0 $end 2>/dev/null; do wait $end || :; done
"#;

/// A fake host. Dropped, it ends with all that is in it.
pub struct Lab {
    /// A word that no other lab has; also the source of the tmpfs on its `/run`.
    pub name: String,
    init: RunningProgram,
    entry: Entry,
}

/// The way in.
#[derive(Clone)]
pub struct Entry {
    /// The lab's init, as the outer PID namespace numbers it.
    pid: i32,
    own_user_namespace: bool,
}

/// Which user IDs there are in a lab.
#[derive(Clone, Copy, PartialEq)]
enum Users {
    Root,
    Many,
}

impl Lab {
    /// A lab with one user, root, who is outside the one who runs the test.
    pub fn new() -> Result<Lab, Missing> {
        Lab::with(Users::Root)
    }

    /// A lab with the user and group IDs 0 to 65535. Only root can have it.
    pub fn with_users() -> Result<Lab, Missing> {
        if !nix::unistd::geteuid().is_root() {
            return Err(Missing::Fixable("a lab with many users needs root".into()));
        }
        Lab::with(Users::Many)
    }

    fn with(users: Users) -> Result<Lab, Missing> {
        for (observer, package) in [("unshare", "util-linux"), ("ip", "iproute2"), ("hostname", "hostname")] {
            skip::program(observer, package)?;
        }
        Lab::start(users, true).or_else(|missing| {
            // Root can do without a user namespace where the kernel has none for him.
            if nix::unistd::geteuid().is_root() { Lab::start(users, false) } else { Err(missing) }
        })
    }

    fn start(users: Users, own_user_namespace: bool) -> Result<Lab, Missing> {
        let name = unique("lab");
        let mut unshare = tools::in_clean_environment(Command::new("unshare"));
        unshare.args(["--net", "--mount", "--pid", "--fork", "--kill-child"]);
        match users {
            _ if !own_user_namespace => {}
            Users::Root => drop(unshare.arg("--map-root-user")),
            Users::Many => drop(unshare.arg("--user")),
        }
        let mut init =
            unshare.args(["sh", "-ec", UNSHARED, HOST, "lab-init", &name]).start_with(Stdio::piped());
        let impossible = |init: &RunningProgram| {
            Missing::Fixable(format!(
                "no lab: {} (unprivileged user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0 \
                 or kernel.unprivileged_userns_clone=1, or run the tests as root)",
                init.so_far().stderr.trim()
            ))
        };
        let pid = init.first_line().and_then(|line| line.parse().ok()).ok_or_else(|| impossible(&init))?;
        if users == Users::Many && own_user_namespace {
            for map in ["uid_map", "gid_map"] {
                let file = format!("/proc/{pid}/{map}");
                fs::write(&file, "0 0 65536").map_err(|err| Missing::Fixable(format!("{file}: {err}")))?;
            }
        }
        init.say("\n");
        if !init.says("ready\n") {
            return Err(impossible(&init));
        }
        Ok(Lab { name, init, entry: Entry { pid, own_user_namespace } })
    }

    /// Runs `program` on the fake host: `lab.command("ip").args(["-j", "link"]).run()`. It starts in `/`.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.entry.command(program)
    }

    /// Runs our own tool of that name on the fake host: `lab.tool("cpid").arg("web").run().ok()`.
    #[track_caller]
    pub fn tool(&self, name: &str) -> Command {
        self.command(tools::tool(name))
    }

    /// A script on the fake host, for what would take several commands.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = self.command("sh");
        command.args(["-ec", script]);
        command
    }

    /// Where the test finds the lab's `inside`: `lab.path("/run/docker.sock")`, `lab.path("/proc/1/ns/net")`.
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.entry.path(inside)
    }

    /// What `/proc/PID/ns/KIND` says, PID being one of the lab's: `net:[4026532254]`.
    #[track_caller]
    pub fn namespace(&self, pid: i32, kind: &str) -> String {
        let file = self.path(format!("/proc/{pid}/ns/{kind}"));
        let link = fs::read_link(&file).unwrap_or_else(|err| panic!("{}: {err}", file.display()));
        link.to_string_lossy().into_owned()
    }

    /// The lab's init, as the world outside numbers it.
    pub fn outer_pid(&self) -> i32 {
        self.entry.pid
    }

    /// What a test needs that is about user namespaces: root has labs without, where the kernel grants none.
    pub fn user_namespace(&self) -> Result<(), Missing> {
        let missing = || Missing::Fixable("user namespaces are not permitted here".into());
        self.entry.own_user_namespace.then_some(()).ok_or_else(missing)
    }

    /// Starts a fake container.
    #[track_caller]
    pub fn container(&self, name: &str, options: Options) -> Container {
        Container::start(self.entry.clone(), name, options)
    }

    /// Lays a veth pair from one container to another: each end is `eth0`, up, with its address (`198.18.0.1/24`).
    #[track_caller]
    pub fn veth(&self, here: (&Container, &str), there: (&Container, &str)) {
        let [near, far] = [here.0, there.0].map(|container| container.pid.to_string());
        let mut add = self.command("ip");
        add.args([
            "link", "add", "name", "eth0", "netns", &near, "type", "veth", "peer", "name", "eth0", "netns",
        ]);
        add.arg(far).run().ok();
        for (container, address) in [here, there] {
            container.ip(&format!("address add {address} dev eth0"));
            container.ip("link set eth0 up");
        }
    }
}

impl Entry {
    /// What `Lab::command` does.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut nsenter = tools::in_clean_environment(Command::new("nsenter"));
        nsenter.arg("--target").arg(self.pid.to_string()).args(["--mount", "--net", "--pid"]);
        if self.own_user_namespace {
            nsenter.args(["--user", "--preserve-credentials"]);
        }
        nsenter.arg("--").arg(program);
        nsenter
    }

    /// What `Lab::path` does.
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.pid));
        root.join(inside.as_ref().strip_prefix("/").expect("an absolute path"))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.init.close_stdin();
        // Only then is every process in it gone: unshare reaps an init, and that one ends last.
        let ended = self.init.ends();
        assert!(ended || std::thread::panicking(), "the lab does not end: {}", self.init.so_far());
    }
}
