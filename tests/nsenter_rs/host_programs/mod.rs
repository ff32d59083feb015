//! `-a -H` with about fifty programs of the host in containers of five kinds of a real Docker: each does its job, or is
//! refused before it starts, with the commands that help. None prints a wrong answer.

mod table;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use support::run::{Ran, Run, RunningProgram};
use support::scratch::unique;
use support::skip::{Missing, need, skipped};
use support::tools::static_tool;
use support::world::{IMAGE, World};
use table::{CASES, Case, Done, LARGE, MORE};

/// As root has it, with what people build by themselves first.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// So many at a time in one container.
const AT_A_TIME: usize = 4;
/// A program that is not through by then hangs.
const EACH: Duration = Duration::from_secs(60);

fn docker() -> Result<World, Missing> {
    World::get().and_then(World::with_docker)
}

/// A container that serves port 8080 with busybox; removed when this is dropped.
struct Served<'world> {
    world: &'world World,
    name: String,
    address: String,
    gateway: String,
    /// A program in it.
    file: &'static str,
    /// It is pinged all the time, so that there is something to capture.
    _pings: RunningProgram,
}

impl<'world> Served<'world> {
    /// With these arguments of docker's, and an image that has nothing but busybox where `is_scratch`.
    fn start(world: &'world World, args: &[&str], is_scratch: bool) -> Self {
        let name = unique("served-");
        let script = "work=$(mktemp -d); cp \"$(command -v busybox)\" $work/httpd; \
                      tar -C $work -c httpd | docker import - $1 >/dev/null; rm -r $work";
        let (image, file) = if is_scratch { (name.as_str(), "/httpd") } else { (IMAGE, "/bin/busybox") };
        if is_scratch {
            world.command("sh").args(["-ec", script, "sh", image]).run().ok();
        }
        let mut run = world.command("docker");
        run.args(["run", "--detach", "--init", "--name", &name]).args(args);
        let program = if is_scratch { file } else { "httpd" };
        run.args([image, program, "-f", "-p", "8080"]).run().ok();
        let format = "{{.NetworkSettings.IPAddress}} {{.NetworkSettings.Gateway}} {{.State.Pid}}";
        let said = world.command("docker").args(["inspect", "--format", format, &name]).run().ok();
        let words: Vec<_> = said.text().split(' ').map(str::to_owned).collect();
        let [address, gateway, pid] = &words[..] else { panic!("{said}") };
        let mut pings = world.command("nsenter");
        pings.args(["-t", pid, "-n", "ping", "-qi", "0.2", "127.0.0.1"]);
        let pings = pings.start_with(Stdio::null());
        Served { world, address: address.clone(), gateway: gateway.clone(), name, file, _pings: pings }
    }

    fn word(&self, word: &str) -> String {
        word.replace("{ADDRESS}", &self.address)
            .replace("{GATEWAY}", &self.gateway)
            .replace("{FILE}", self.file)
    }

    /// `nsenter-rs -t IT -a -H OPTIONS WORDS`.
    fn enter(&self, nsenter: &PathBuf, options: &[&str], words: &[&str]) -> Command {
        let mut command = self.world.command(nsenter);
        command.env("PATH", PATH).env("TERM", "xterm").env("HOME", "/root");
        command.args(["-t", &self.name, "-a", "-H"]).args(options);
        command.args(words.iter().map(|word| self.word(word)));
        command
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        let script = "docker rm --force --volumes $1; docker rmi $1";
        let _ = self.world.command("sh").args(["-c", script, "sh", &self.name]).start().finish();
    }
}

/// What came of a program.
#[derive(Debug, PartialEq)]
enum Outcome {
    Done,
    Refused,
    /// It said that it failed.
    Failed(String),
    /// It said that it did not, and yet did not do its job.
    Wrong(String),
}

fn judge(served: &Served<'_>, case: &Case, ran: &Ran) -> Outcome {
    let said = format!("{}{}", ran.stdout, ran.stderr);
    let succeeded = ran.status.is_some_and(|status| status.success());
    if ran.stderr.contains("was not started") {
        return match refusal_is_right(served, case, ran) {
            true => Outcome::Refused,
            false => Outcome::Wrong(ran.to_string()),
        };
    }
    let done = match case.done {
        Done::Says(text) => succeeded && said.contains(&served.word(text)),
        Done::Tells(text) => said.contains(&served.word(text)),
        // Of other sessions in the container it may be told.
        Done::Quietly => succeeded && ran.stderr.lines().all(|line| line.starts_with("nsenter-rs: ")),
    };
    match (done, succeeded) {
        (true, _) => Outcome::Done,
        (false, true) => Outcome::Wrong(ran.to_string()),
        (false, false) => Outcome::Failed(ran.to_string()),
    }
}

/// Nothing was printed as an answer; the first line of help is the operator's own, in the container's network alone,
/// and the second one names the capability.
fn refusal_is_right(served: &Served<'_>, case: &Case, ran: &Ran) -> bool {
    let words: Vec<_> = case.words.iter().map(|word| served.word(word)).collect();
    let Some(needs) = case.needs else { return false };
    // On the host these would do something else.
    let first = match needs {
        "SYS_ADMIN" => "hint: give --cap-add".to_owned(),
        _ => format!("hint: nsenter-rs -t {} -n {}", served.name, words.join(" ")),
    };
    let hints = || ran.stderr.lines().filter(|line| line.starts_with("hint: "));
    let adds = |line: &str| line.find("--cap-add").is_some_and(|at| line[at..].contains(needs));
    let helps = hints().next().is_some_and(|line| line.starts_with(&first)) && hints().any(adds);
    helps && ran.stdout.is_empty() && ran.status.is_some_and(|status| status.code() == Some(1))
}

/// All programs that are installed, in one container; what came of each.
fn all(
    world: &World,
    served: &Served<'_>,
    nsenter: &PathBuf,
    options: &[&str],
    cases: &'static [Case],
) -> Vec<(&'static str, Outcome)> {
    let absent = absent(world, cases);
    let left: Mutex<Vec<&'static Case>> =
        Mutex::new(cases.iter().rev().filter(|case| !absent.contains(program(case))).collect());
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                let next = || left.lock().ok()?.pop();
                while let Some(case) = next() {
                    let ran = served.enter(nsenter, options, case.words).run_within(EACH);
                    let outcome = judge(served, case, &ran);
                    if let Ok(mut outcomes) = outcomes.lock() {
                        outcomes.push((program(case), outcome));
                    }
                }
            });
        }
    });
    outcomes.into_inner().unwrap_or_default()
}

/// The program that a case is about.
fn program(case: &Case) -> &'static str {
    match case.words {
        ["timeout", .., "strace", _, _, _, _] => "strace",
        words => words[0],
    }
}

/// What this world does not have.
fn absent(world: &World, cases: &'static [Case]) -> BTreeSet<&'static str> {
    let names: BTreeSet<_> = cases.iter().map(program).collect();
    let script = "for name; do command -v $name >/dev/null || echo $name; done";
    let mut look = world.command("sh");
    let said = look.env("PATH", PATH).args(["-c", script, "sh"]).args(&names).run().ok();
    names.into_iter().filter(|name| said.stdout.lines().any(|line| line == *name)).collect()
}

/// The score, said and judged: of all that could be tried, at most so many were refused or could not be done.
fn score(test: &str, world: &World, served: &Served<'_>, nsenter: &PathBuf, must: usize) {
    let absent = absent(world, CASES);
    let (large, small): (Vec<&str>, Vec<&str>) = absent.iter().partition(|name| LARGE.contains(name));
    if !large.is_empty() {
        skipped(test, &Missing::ForGood(format!("in part, without {}", large.join(", "))));
    }
    if !small.is_empty() {
        skipped(test, &Missing::Fixable(format!("in part, without {}", small.join(", "))));
    }
    let outcomes = all(world, served, nsenter, &[], CASES);
    let named = |wanted: fn(&Outcome) -> bool| {
        let mut names: Vec<_> =
            outcomes.iter().filter(|(_, outcome)| wanted(outcome)).map(|(name, _)| *name).collect();
        names.sort_unstable();
        names
    };
    let done = named(|outcome| *outcome == Outcome::Done).len();
    let _ = writeln!(
        std::io::stderr(),
        "{test}: {done} of {} do their job; refused: {:?}; failed: {:?}; not here: {absent:?}",
        outcomes.len(),
        named(|outcome| *outcome == Outcome::Refused),
        named(|outcome| matches!(outcome, Outcome::Failed(_))),
    );
    for (name, outcome) in &outcomes {
        if let Outcome::Failed(how) | Outcome::Wrong(how) = outcome {
            let _ = writeln!(std::io::stderr(), "{test}: {name}: {how}");
        }
        assert!(!matches!(outcome, Outcome::Wrong(_)), "{name} prints a wrong answer: {outcome:?}");
    }
    assert!(done + CASES.len() - outcomes.len() >= must, "{done} of {} do their job", outcomes.len());
}

#[test]
fn in_a_default_container_all_but_a_few_do_their_job() {
    let world = need!(docker());
    let nsenter = need!(static_tool("nsenter-rs"));
    let served = Served::start(&world, &[], false);
    score("a default container", &world, &served, &nsenter, 45);
}

#[test]
fn in_an_image_of_one_program_most_do_their_job() {
    let world = need!(docker());
    let nsenter = need!(static_tool("nsenter-rs"));
    let served = Served::start(&world, &[], true);
    score("FROM scratch", &world, &served, &nsenter, 40);
}

#[test]
fn on_a_read_only_root_most_do_their_job() {
    let world = need!(docker());
    let nsenter = need!(static_tool("nsenter-rs"));
    let served = Served::start(&world, &["--read-only"], false);
    score("--read-only", &world, &served, &nsenter, 40);
}

#[test]
fn in_an_ordinary_users_container_most_do_their_job() {
    let world = need!(docker());
    let nsenter = need!(static_tool("nsenter-rs"));
    let served = Served::start(&world, &["--user", "1000"], false);
    score("--user 1000", &world, &served, &nsenter, 40);
}

#[test]
fn without_any_capability_most_do_their_job() {
    let world = need!(docker());
    let nsenter = need!(static_tool("nsenter-rs"));
    let served = Served::start(&world, &["--cap-drop", "ALL"], false);
    score("--cap-drop ALL", &world, &served, &nsenter, 40);
}

/// What is refused does its job with the capability that the refusal names.
#[test]
fn what_is_refused_works_with_the_capability_that_is_named() {
    let world = need!(docker());
    let nsenter = need!(static_tool("nsenter-rs"));
    let served = Served::start(&world, &["--cap-drop", "ALL", "--cap-add", "DAC_OVERRIDE"], false);
    for needs in ["NET_RAW", "NET_ADMIN"] {
        for case in CASES.iter().chain(MORE).filter(|case| case.needs == Some(needs)) {
            if absent(&world, CASES).contains(program(case)) || absent(&world, MORE).contains(program(case)) {
                continue;
            }
            let run = |options: &[&str]| served.enter(&nsenter, options, case.words).run_within(EACH);
            let refused = run(&[]);
            assert_eq!(judge(&served, case, &refused), Outcome::Refused, "{refused}");
            let named = refused.stderr.lines().filter(|line| line.starts_with("hint: "));
            let words: Vec<_> = named.flat_map(str::split_whitespace).collect();
            let adds = words.windows(2).filter(|pair| pair[0] == "--cap-add").flatten().copied();
            let adds: Vec<_> = adds.collect();
            let ran = run(&adds);
            assert_eq!(judge(&served, case, &ran), Outcome::Done, "{ran}");
        }
    }
}

#[test]
fn others_with_children_and_data_of_their_own_do_their_job_or_are_refused() {
    let world = need!(docker());
    let nsenter = need!(static_tool("nsenter-rs"));
    let served = Served::start(&world, &[], false);
    for (name, outcome) in all(&world, &served, &nsenter, &[], MORE) {
        assert!(matches!(outcome, Outcome::Done | Outcome::Refused), "{name}: {outcome:?}");
    }
}
