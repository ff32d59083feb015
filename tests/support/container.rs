//! A fake container: an unshared process in a lab, with the namespaces, the root and the environment a test wants.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::lab::Entry;
use super::run::{Ran, Run, RunningProgram};

/// The kinds of namespaces by their names in `/proc/PID/ns`, with unshare's and nsenter's name for each.
pub const KINDS: &[(&str, &str)] = &[
    ("user", "--user"),
    ("mnt", "--mount"),
    ("net", "--net"),
    ("uts", "--uts"),
    ("ipc", "--ipc"),
    ("pid", "--pid"),
    ("cgroup", "--cgroup"),
    ("time", "--time"),
];

/// What a container finds at `/`; only one with a mount namespace of its own has a choice.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Root {
    /// What the lab has.
    Host,
    /// A tmpfs of its own with the host's programs read-only in it, and an `/etc` that holds `hostname` alone.
    Own,
    /// The same without any program or library: an image that has no tools in it.
    Bare,
}

/// How a container is to be; the default is what Docker gives: everything but a user and a time namespace, its own root.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names from `/proc/PID/ns`.
    pub unshared: Vec<&'static str>,
    /// What its root directory is.
    pub root: Root,
    /// Its working directory.
    pub cwd: &'static str,
    /// What its init has in its environment besides the lab's.
    pub environment: Vec<(&'static str, &'static str)>,
    /// Whether its init keeps CAP_SYS_PTRACE, which Docker's have not. Without, it needs programs of its own.
    pub may_trace: bool,
}

impl Default for Options {
    fn default() -> Options {
        let unshared = vec!["mnt", "net", "uts", "ipc", "pid", "cgroup"];
        Options { unshared, root: Root::Own, cwd: "/", environment: Vec::new(), may_trace: true }
    }
}

impl Options {
    /// A process that shares everything with the lab but these: `Options::only(&["net"])`.
    pub fn only(kinds: &[&'static str]) -> Options {
        Options { unshared: kinds.to_vec(), root: Root::Host, ..Options::default() }
    }

    fn has(&self, kind: &str) -> bool {
        self.unshared.contains(&kind)
    }

    fn flags(&self) -> impl Iterator<Item = &'static str> {
        for kind in &self.unshared {
            assert!(KINDS.iter().any(|(known, _)| known == kind), "no kind of namespace: {kind}");
        }
        KINDS.iter().filter(|(kind, _)| self.has(kind)).map(|(_, flag)| *flag)
    }
}

/// Without CAP_SYS_PTRACE for good, as a container of Docker's is.
pub const UNTRACING: [&str; 5] = ["setpriv", "--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace"];

/// A container that runs until it is stopped or dropped.
pub struct Container {
    /// As `Lab::container` was told.
    pub name: String,
    /// As the lab numbers it; after `restart` another one.
    pub pid: i32,
    /// How it was made.
    pub options: Options,
    lab: Entry,
    init: Option<RunningProgram>,
}

impl Container {
    /// What `Lab::container` does.
    #[track_caller]
    pub fn start(lab: Entry, name: &str, options: Options) -> Container {
        let mut container = Container { name: name.to_owned(), pid: 0, options, lab, init: None };
        container.start_init();
        container
    }

    #[track_caller]
    fn start_init(&mut self) {
        let mut unshare = self.lab.command("unshare");
        unshare.args(self.options.flags()).args(["--fork", "--kill-child"]);
        if self.options.has("user") {
            unshare.arg("--map-root-user");
        }
        unshare.envs(self.options.environment.iter().copied());
        let init = unshare.args(["sh", "-ec", &self.script(), "init", &self.name]).start_with(Stdio::piped());
        init.wait_for("ready\n");
        let pid = init.first_line().and_then(|line| line.parse().ok());
        self.pid = pid.unwrap_or_else(|| panic!("no PID from {}", init.so_far()));
        self.init = Some(init);
    }

    /// What its init does: it says its PID while `/proc` is still the lab's, and furnishes what it has of its own.
    fn script(&self) -> String {
        let own = |kinds: &[&str]| kinds.iter().all(|kind| self.options.has(kind));
        let (own_root, bare) =
            (own(&["mnt"]) && self.options.root != Root::Host, self.options.root == Root::Bare);
        let lines = [
            (true, r#"read -r pid _ </proc/self/stat; echo "$pid""#),
            // Not through /proc/sys, where the file belongs to the root of the whole machine.
            (own(&["uts"]), r#"hostname "$1""#),
            (own(&["net"]), "ip link set lo up"),
            (own_root, NEW_ROOT),
            (own_root && !own(&["pid"]), "mount --rbind /proc proc"),
            (own_root && own(&["pid"]), "mount -t proc proc proc"),
            (own_root, "pivot_root . old; cd /; umount -l /old; rmdir /old"),
            (own_root && bare, "umount -l $programs"),
            (!own_root && own(&["mnt", "pid"]), "mount -t proc proc /proc"),
            (!own_root && own(&["mnt", "net"]), "mount -t sysfs sysfs /sys 2>/dev/null || true"),
            (true, "trap '' CHLD"),
        ];
        let wanted: Vec<&str> = lines.iter().filter(|(wanted, _)| *wanted).map(|(_, line)| *line).collect();
        let wait = "echo ready; read -r _";
        let weak = format!("exec {} sh -c '{wait}'", UNTRACING.join(" "));
        let wait = if self.options.may_trace { wait } else { &weak };
        format!("{}\ncd {}; {wait}", wanted.join("\n"), self.options.cwd)
    }

    /// Runs `program` in all its namespaces, through util-linux's nsenter: an observer that owes nothing to ours.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut nsenter = self.lab.command("nsenter");
        nsenter.arg("--target").arg(self.pid.to_string()).args(self.options.flags());
        if self.options.has("user") {
            nsenter.arg("--preserve-credentials");
        }
        nsenter.arg("--").arg(program);
        nsenter
    }

    /// The lab's `ip` in the container's network: `web.ip("-j address")`. It must succeed.
    #[track_caller]
    pub fn ip(&self, arguments: &str) -> Ran {
        let mut nsenter = self.lab.command("nsenter");
        nsenter.args(["--target", &self.pid.to_string(), "--net", "--", "ip"]);
        nsenter.args(arguments.split_whitespace()).run().ok()
    }

    /// Where the test finds the container's `inside`, to look at its files or to put some there.
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        let inside = inside.as_ref().strip_prefix("/").expect("an absolute path");
        self.lab.path(format!("/proc/{}/root", self.pid)).join(inside)
    }

    /// Neither stopped nor ended by itself.
    pub fn is_running(&self) -> bool {
        self.init.as_ref().is_some_and(|init| !init.has_ended_within(Duration::ZERO))
    }

    /// Ends it and waits until it is gone. Once stopped, stays stopped.
    pub fn stop(&mut self) {
        if let Some(mut init) = self.init.take() {
            init.close_stdin();
            let ended = init.ends();
            assert!(ended || std::thread::panicking(), "{} does not stop: {}", self.name, init.so_far());
        }
    }

    /// Another process with other namespaces, under the same name and options.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        self.start_init();
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ends with the new root as working directory, in a place that every host has and nobody else sees. `$programs` are the host's directories that are bound into it;
/// where the host has links (`/bin` to `usr/bin`), it has the same links.
const NEW_ROOT: &str = r#"
mount -t tmpfs -o mode=755 "$1" /tmp
cd /tmp
mkdir old proc etc dev run tmp
echo "$1" >etc/hostname
touch dev/null; mount --bind /dev/null dev/null
programs=
for dir in /usr /bin /sbin /lib /lib32 /lib64 /libx32 /nix /gnu; do
    if [ -h $dir ]; then ln -s "$(readlink $dir)" .$dir
    elif [ -d $dir ]; then mkdir .$dir; mount --rbind $dir .$dir; mount -o remount,bind,ro .$dir; programs="$programs $dir"
    fi
done"#;
