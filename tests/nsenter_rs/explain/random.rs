//! Random command lines: what `--explain` says of each must come true, for its verdict and for its reason.
//!
//! `NETNS_TOOLBOX_EXPLAINED` is how many (200; 2,000 of `make test-all`), `NETNS_TOOLBOX_SEED` which ones. A new option is a line in
//! `OPTIONS`, a new kind of target one in `Scene::targets`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::users::{as_user, lab_with_users};
use support::container::{Container, Options, Root};
use support::fake_docker;
use support::fake_engine::FakeEngine;
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::need;
use support::tier::is_all;

/// What may be asked for. At most one of each row, and each row with the chance of one in so many; PID is the target's.
const OPTIONS: &[(u64, &[&str])] = &[
    (2, &["-n", "-n", "-n", "-n", "--net=/proc/PID/ns/net", "--net=/run/nowhere", "-N 0"]),
    (3, &["-m", "-m", "-m --no-root", "--mount=/proc/PID/ns/mnt", "-a", "-a", "-a --no-root"]),
    (2, &["-p", "-p", "-p", "-p -F", "--pid=/proc/PID/ns/pid"]),
    (4, &["-u", "-i", "-C", "-u -i -C", "--uts=/proc/PID/ns/uts"]),
    (
        6,
        &[
            "-U",
            "-U",
            "-U --preserve-credentials",
            "-U --keep-caps",
            "--user=/proc/PID/ns/user",
            "--user-parent",
        ],
    ),
    (12, &["-T"]),
    (6, &["-r", "-r", "-r", "-r=/", "-r=/tmp", "-r=/nowhere"]),
    (6, &["-w", "-w=/tmp", "-w", "-w=/tmp", "-w=/nowhere"]),
    (6, &["-W /", "-W /tmp", "-W etc", "-W ../../etc", "-W /nowhere", "-W /etc/hostname"]),
    (6, &["-e", "-e --env-var PATH", "--env-var PATH", "--env-var NO_SUCH"]),
    (8, &["-S 0", "-S 0", "-S 7", "-S 1000", "-S follow", "-S 70000"]),
    (8, &["-G 0", "-G 0", "-G 7", "-G 1000", "-G follow", "-G 70000"]),
    (6, &["-c", "--confine", "--confine", "-Z"]),
    (3, &["-H", "-H", "-H", "-H", "-a -H", "-m -H"]),
    (8, &["--trust-target", "--exec-target", "--cap-add NET_ADMIN", "--cap-add SYS_PTRACE"]),
    (5, &["--pty", "--pty", "--no-kill-child", "--keep-fd 2", "--keep-fd 77"]),
    (6, &["--dns", "--sys", "--proc", "--inside", "--inside"]),
];

/// Most are `true`, in several spellings; others cannot be run, or are refused in a container's root before they start.
const PROGRAMS: [&str; 19] = [
    "true",
    "true",
    "true",
    "true",
    "true",
    "true",
    "true",
    "env",
    "/bin/true",
    "/bin/true",
    "usr/bin/true",
    "./true",
    "no-such-program",
    "/nowhere/true",
    "/etc/passwd",
    "/etc",
    "iptables -S",
    "ip -V",
    "nsenter -V",
];

/// Reads `NUMBER|WORDS`, and says what came of the explanation and of the run, each on one line: NUMBER, both
/// statuses, the explanation, what it said beside that, and all that the run said.
const TRY: &str = r#"
one_line() { cat "$@" | tr '\n|' '  '; }
while IFS='|' read -r number words; do
    set -- $words
    said=0 ours=0
    timeout 20 /run/nsenter-rs --explain --json "$@" </dev/null >/run/tries/$$.said 2>/run/tries/$$.said-err || said=$?
    timeout 20 /run/nsenter-rs "$@" </dev/null >/run/tries/$$.ran 2>/run/tries/$$.ran-err || ours=$?
    echo "$number|$said|$ours|$(one_line /run/tries/$$.said)|$(one_line /run/tries/$$.said-err)|$(one_line /run/tries/$$.ran-err /run/tries/$$.ran)"
done
rm -f /run/tries/$$.*
"#;

/// xorshift64*: the same numbers from the same seed on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

/// One that is tried.
struct Case {
    caller: &'static str,
    target: &'static str,
    words: String,
}

impl Case {
    /// The number `nth` of those with `seed`.
    fn of(seed: u64, nth: u64, callers: &[&'static str], targets: &[Target]) -> Case {
        let mut dice = Dice((seed ^ nth.wrapping_mul(0x9E37_79B9_7F4A_7C15)) | 1);
        dice.below(2);
        let caller = dice.of(callers);
        let Target { name: target, word, pid } = dice.of(targets);
        let mut words = vec![format!("--engine-timeout 20s -t {word}")];
        for (chance, options) in OPTIONS {
            if dice.below(*chance) == 0 {
                words.push(dice.of(options).replace("PID", pid));
            }
        }
        words.push((*dice.of(&PROGRAMS)).to_owned());
        Case { caller, target, words: words.join(" ") }
    }
}

/// One to enter.
struct Target {
    /// What it is called when something is wrong.
    name: &'static str,
    /// What is typed for it.
    word: String,
    pid: String,
}

/// The containers: each is a target by its name and by its PID.
const NAMES: [&str; 6] = ["own", "bare", "weak", "files", "cwd", "exited"];

/// Callers and targets of several kinds.
struct Scene {
    lab: Lab,
    containers: Vec<Container>,
    processes: Vec<(&'static str, RunningProgram, String)>,
    _engine: FakeEngine,
}

fn said_pid(running: RunningProgram, name: &'static str) -> (&'static str, RunningProgram, String) {
    let pid = running.first_line().unwrap_or_else(|| panic!("{name}: {}", running.so_far()));
    (name, running, pid)
}

impl Scene {
    fn new(lab: Lab) -> Scene {
        let mut containers: Vec<_> = NAMES
            .into_iter()
            .map(|name| {
                let options = match name {
                    "bare" => Options { root: Root::Bare, ..Options::default() },
                    "weak" => Options { may_trace: false, ..Options::default() },
                    "files" => Options::only(&["net", "uts"]),
                    "cwd" => Options { cwd: "/tmp", ..Options::default() },
                    _ => Options::default(),
                };
                lab.container(name, options)
            })
            .collect();
        containers.last_mut().unwrap().stop();
        lab.command("mkdir").args(["--mode=1777", "/run/tries"]).run().ok();
        const SAY: &str = "read -r pid _ </proc/self/stat; echo $pid; read -r _";
        let unshared =
            ["--user", "--map-root-user", "--net", "--uts", "--mount", "--pid", "--cgroup", "--fork"];
        let start = |mut command: Command| command.start_with(Stdio::piped());
        let user = as_user(&lab, &[&["unshare"], &unshared[..], &["sh", "-c", SAY]].concat());
        let mut nested = lab.command("unshare");
        nested.args(["--user", "--map-root-user", "--net", "sh", "-c", SAY]);
        let mut jail = lab.shell(&format!(
            "mkdir -p /run/jail; mount --rbind / /run/jail; exec chroot /run/jail sh -c '{SAY}'"
        ));
        // Its working directory lies outside of its root.
        let outside = lab.shell(&format!("mkdir -p /run/jail; exec perl -e 'chdir q(/tmp); chroot q(/run/jail); exec q(sh), q(-c), q({SAY})'"));
        jail.env("LINES", "42");
        let zombie =
            lab.shell("sh -c 'read -r pid _ </proc/self/stat; echo $pid' & exec sleep 1000 </dev/null");
        let gone = lab.command("sh").args(["-c", "echo $$"]).run().ok().text().to_owned();
        let mut processes = vec![
            said_pid(start(user), "of the user"),
            said_pid(start(nested), "of root's own user namespace"),
            said_pid(start(jail), "in a chroot"),
            said_pid(start(outside), "outside of its root"),
            said_pid(start(zombie), "a zombie"),
            said_pid(start(as_user(&lab, &["sh", "-c", SAY])), "the user's own process"),
        ];
        let ended = lab.command("true").start();
        processes.push(("gone", ended, gone));
        let _engine =
            fake_docker::knows(&containers.iter().collect::<Vec<_>>()).listen(lab.path("/run/docker.sock"));
        Scene { lab, containers, processes, _engine }
    }

    fn targets(&self) -> Vec<Target> {
        let number =
            |name: &'static str, pid: &str| Target { name, word: pid.to_owned(), pid: pid.to_owned() };
        let containers = NAMES.into_iter().zip(&self.containers);
        let containers: Vec<_> = containers.map(|(name, of)| (name, of.pid.to_string())).collect();
        let by_name =
            containers.iter().map(|(name, pid)| Target { word: (*name).to_owned(), ..number(name, pid) });
        let by_number = containers.iter().map(|(name, pid)| number(name, pid));
        let of_processes = self.processes.iter().map(|(name, _, pid)| number(name, pid));
        let first = number("the host's first process", "1");
        [first].into_iter().chain(by_name).chain(by_number).chain(of_processes).collect()
    }

    fn command(&self, caller: &str) -> Command {
        let without = |capability: &str| {
            let mut setpriv = self.lab.command("setpriv");
            setpriv.arg(format!("--bounding-set=-{capability}"));
            setpriv
        };
        match caller {
            "root" => self.lab.command("env"),
            "root without CAP_SYS_ADMIN" => without("sys_admin"),
            "root without CAP_SYS_PTRACE" => without("sys_ptrace"),
            "root without CAP_SETUID" => without("setuid"),
            "root without terminals" => {
                let hide = "mount -n --bind /dev/null /dev/ptmx; mount -n --bind /dev/null /dev/pts/ptmx; exec \"$@\"";
                let mut unshare = self.lab.command("unshare");
                unshare.args(["--mount", "sh", "-ec", hide, "sh"]);
                unshare
            }
            "root in a chroot" => {
                let mut chroot = self.lab.command("chroot");
                chroot.arg("/run/jail");
                chroot
            }
            _ => as_user(&self.lab, &[]),
        }
    }
}

const CALLERS: [&str; 10] = [
    "root",
    "root",
    "root",
    "the user",
    "the user",
    "root without CAP_SYS_ADMIN",
    "root without CAP_SYS_PTRACE",
    "root without CAP_SETUID",
    "root in a chroot",
    "root without terminals",
];

/// What came of one.
struct Outcome<'a> {
    said: &'a str,
    ours: &'a str,
    explanation: &'a str,
    said_beside: &'a str,
    ran: &'a str,
}

impl Outcome<'_> {
    /// Whether the explanation came true, and where it failed, for one of the reasons that it gave.
    fn agrees(&self) -> bool {
        match (self.said, self.ours) {
            // What iptables says itself, it says because it was let in.
            ("0", ours) => ours == "0" || self.ran.contains("iptables v"),
            (_, "0") => false,
            // Found out before there was anything to explain.
            _ if self.explanation.trim().is_empty() => self.about(self.said_beside) == self.about(self.ran),
            _ => self.failing().iter().any(|(rule, why)| self.is_reason(rule, why)),
        }
    }

    /// Behind our name, and behind notes that come first.
    fn about<'a>(&self, text: &'a str) -> Option<&'a str> {
        text.rsplit("nsenter-rs: ").next()?.split(": ").next()
    }

    fn failing(&self) -> Vec<(String, String)> {
        let explanation: serde_json::Value = serde_json::from_str(self.explanation).unwrap_or_default();
        let rules = explanation["rules"].as_array().cloned().unwrap_or_default();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let failing = rules.iter().filter(|rule| rule["met"] == false);
        failing.map(|rule| (text(&rule["rule"]), text(&rule["why"]))).collect()
    }

    fn is_reason(&self, rule: &str, why: &str) -> bool {
        let capability = rule.split_whitespace().find(|word| word.starts_with("CAP_"));
        let is_program = rule.ends_with(" on the host") || rule.ends_with(" in the program's root directory");
        match capability {
            Some(capability) => self.ran.contains(capability),
            None if rule.starts_with("ptrace(2)") => self.ran.contains("CAP_SYS_PTRACE"),
            None if rule.contains("is mapped in") => self.ran.contains("is not mapped"),
            None if is_program => ["126", "127"].contains(&self.ours),
            None => self.ran.contains(why),
        }
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn what_is_explained_comes_true_whatever_is_typed() {
    let lab = need!(lab_with_users());
    // The same ones each time, so that a change is what makes them fail; others where all is tested.
    let (count, seed) = if is_all() { (2000, u64::from(std::process::id()) << 20) } else { (200, 1 << 20) };
    let (count, seed) = (number("NETNS_TOOLBOX_EXPLAINED", count), number("NETNS_TOOLBOX_SEED", seed));
    let scene = Scene::new(lab);
    let targets = scene.targets();
    let cases: Vec<Case> = (0..count).map(|nth| Case::of(seed, nth, &CALLERS, &targets)).collect();
    let mut lines: BTreeMap<&str, String> = BTreeMap::new();
    for (nth, case) in cases.iter().enumerate() {
        *lines.entry(case.caller).or_default() += &format!("{nth}|{}\n", case.words);
    }
    let (mut wrong, mut right, mut let_in) = (Vec::new(), 0, 0);
    for (caller, lines) in lines {
        let mut tries = scene.command(caller).args(["sh", "-c", TRY]).start_with(Stdio::piped());
        tries.say(&lines);
        tries.close_stdin();
        let ran = tries.finish_within(Duration::from_secs(60 + count)).ok();
        assert_eq!(ran.stdout.lines().count(), lines.lines().count(), "{caller}: {ran}");
        for line in ran.stdout.lines() {
            let words: Vec<&str> = line.split('|').collect();
            let [nth, said, ours, explanation, said_beside, ran] = words[..] else {
                panic!("{caller}: {line}")
            };
            let case = &cases[nth.parse::<usize>().unwrap()];
            let outcome = Outcome { said, ours, explanation, said_beside, ran };
            let_in += u64::from(ours == "0");
            if outcome.agrees() {
                right += 1;
            } else {
                wrong.push(format!(
                    "{nth}: {caller}, {}: {}\n    explained {said}: {:?} {said_beside}\n    came {ours}: {ran}",
                    case.target,
                    case.words,
                    outcome.failing()
                ));
            }
        }
    }
    // Straight to stderr: what println! says in a test that passes is never shown.
    let score = format!(
        "--explain: {right} of {count} came true, {let_in} of those let in; NETNS_TOOLBOX_SEED={seed}"
    );
    let _ = writeln!(io::stderr(), "{score}");
    assert!(
        wrong.is_empty(),
        "{} of {count} with NETNS_TOOLBOX_SEED={seed}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // A table with one answer in it would prove nothing.
    assert!(count < 100 || (count / 20..count * 19 / 20).contains(&let_in), "{let_in} of {count} let in");
}
