//! A lab of one row: namespaces of its own, with a shell in them that runs one script after the other.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use support::run::{Run, RunningProgram};
use support::skip::{Missing, program};
use support::tools;

const LAB: &str = include_str!("lab.sh");

/// So many labs at once at most. Each waits most of the time, so there is one more than there are processors.
const MOST_LABS: usize = 3;

/// Root without a user namespace around it, as the tool runs on a host, and what seeds and observers need.
pub fn observers() -> Result<(), Missing> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Missing::Fixable("needs root".into()));
    }
    for (name, package) in [
        ("unshare", "util-linux"),
        ("ip", "iproute2"),
        ("tc", "iproute2"),
        ("bridge", "iproute2"),
        ("nft", "nftables"),
        ("iptables-nft", "iptables"),
        ("iptables-legacy", "iptables"),
        ("ping", "iputils-ping"),
        ("perl", "perl-base"),
    ] {
        program(name, package)?;
    }
    Ok(())
}

/// The namespaces go with it.
pub struct InsideLab {
    shell: RunningProgram,
    scripts: usize,
}

/// What a script printed, both outputs together, and its status.
pub struct ScriptRan {
    pub said: String,
    pub status: i32,
}

impl InsideLab {
    #[track_caller]
    pub fn new() -> Self {
        let mut unshare = tools::in_clean_environment(Command::new("unshare"));
        unshare.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        unshare.args(["--propagation", "private", "bash"]);
        let mut lab = InsideLab { shell: unshare.start_with(Stdio::piped()), scripts: 0 };
        let directory = Path::new(tools::tool("nsenter-rs")).parent().unwrap().display().to_string();
        lab.run(&format!("PATH='{directory}':$PATH\n{LAB}"));
        lab
    }

    /// Runs it in the shell of the lab, which knows the functions of lab.sh.
    #[track_caller]
    pub fn run(&mut self, script: &str) -> ScriptRan {
        self.scripts += 1;
        let (number, before) = (self.scripts, self.shell.so_far().stdout.len());
        self.shell.say(&format!(
            "{{ {script}\n}} >/run/said 2>&1 </dev/null; status=$?; cat /run/said; echo \"== {number} $status\"\n"
        ));
        let end = format!("== {number} ");
        // The whole line: its last byte is the newline.
        self.shell.wait_for(&end);
        support::until::until("the status of a script", || self.shell.so_far().stdout.ends_with('\n'));
        let stdout = self.shell.so_far().stdout;
        let (said, status) = stdout[before..].rsplit_once(&end).unwrap();
        ScriptRan { said: said.to_owned(), status: status.trim().parse().unwrap() }
    }

    /// The same, as it has to succeed for the row to mean anything.
    #[track_caller]
    pub fn set_up(&mut self, script: &str) -> Result<(), String> {
        let ran = self.run(script);
        if ran.status == 0 { Ok(()) } else { Err(format!("{script}: status {}: {}", ran.status, ran.said)) }
    }

    /// Runs a command of a fix as it was printed, as from a root shell of the host.
    #[track_caller]
    pub fn paste(&mut self, command: &str) -> ScriptRan {
        self.run(&format!("{} bash <<'END-OF-THE-FIX'\n{command}\nEND-OF-THE-FIX", in_time()))
    }

    /// Keeps what is set in all namespaces now under this name.
    #[track_caller]
    pub fn snapshot(&mut self, name: &str) {
        let ran = self.run(&format!("snapshot >/run/snapshot.{name}; test -s /run/snapshot.{name}"));
        assert_eq!(ran.status, 0, "{}", ran.said);
    }

    /// Lines that one snapshot has and the other has not, less those that may differ.
    #[track_caller]
    pub fn differences(&mut self, before: &str, after: &str, may_differ: Option<&str>) -> String {
        let allowed = may_differ.unwrap_or("^never$").replace('/', "\\/");
        let diff = format!("diff /run/snapshot.{before} /run/snapshot.{after}");
        self.run(&format!("{diff} | grep '^[<>]' | perl -ne 'print unless /{allowed}/'")).said
    }

    /// Which netns has which inode.
    #[track_caller]
    pub fn inodes(&mut self) -> BTreeMap<String, u64> {
        let listed = self.run("inodes").said;
        let pair = |line: &str| {
            let (name, inode) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            (name.to_owned(), inode.parse().unwrap())
        };
        listed.lines().map(pair).collect()
    }
}

/// What a command in a lab begins with that must not take forever, on a machine that is busy with other things too.
pub fn in_time() -> String {
    format!("timeout {}", support::until::as_busy(Duration::from_secs(20)).as_secs())
}

/// Does this for each row, several at once, in the order of the rows.
pub fn walk_all<R: Sync, T: Send>(rows: &[R], walk: impl Fn(&R) -> T + Sync) -> Vec<T> {
    let labs = thread::available_parallelism().map_or(1, usize::from) + 1;
    let next = Mutex::new(rows.iter().enumerate());
    let done = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..labs.min(MOST_LABS) {
            scope.spawn(|| {
                loop {
                    let Some((at, row)) = next.lock().unwrap().next() else { return };
                    let walked = walk(row);
                    done.lock().unwrap().insert(at, walked);
                }
            });
        }
    });
    done.into_inner().unwrap().into_values().collect()
}
