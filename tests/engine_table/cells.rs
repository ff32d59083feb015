//! One engine's cells: its own words for its containers while it answers, and what our tools say then and later.

use serde_json::Value;
use support::run::{Ran, Run};

use super::table::{STATES, Table, Verdict};
use support::ground::Ground;

/// What the engine says of one of its containers.
struct Told {
    /// What to type.
    target: String,
    /// Its word for the state.
    word: String,
    /// 0 without a process.
    pid: i32,
}

/// How the engine is, and what makes it so.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Answers,
    Hangs,
    Dead,
}

impl Way {
    const fn word(self) -> &'static str {
        match self {
            Way::Answers => "answers",
            Way::Hangs => "hangs",
            Way::Dead => "is dead",
        }
    }
}

/// LXC's containers end with their monitor: what it says of them then is the truth, for it needs no daemon to say it.
const END_WITH_IT: &str = "lxc";

/// The user asks, not root.
const OWN: &str = "podman-own";

/// Makes the engines' containers, and fills their rows; `group` has one daemon.
pub fn fill(table: &mut Table, ground: &Ground, group: &[&str]) {
    for engine in group {
        let version = ground.engine(engine, "version").ok();
        if !version.text().is_empty() {
            table.version(version.text());
        }
        ground.engine(engine, "make").ok();
    }
    let say = |engine: &&str| told(&ground.engine(engine, "show").ok());
    let mut all_told: Vec<_> = group.iter().map(say).collect();
    for way in [Way::Answers, Way::Hangs, Way::Dead] {
        match way {
            Way::Answers => {}
            Way::Hangs => drop(ground.engine(group[0], "hang").ok()),
            Way::Dead => {
                ground.engine(group[0], "wake").ok();
                ground.engine(group[0], "end").ok();
                if group[0] == END_WITH_IT {
                    all_told = group.iter().map(say).collect();
                }
            }
        }
        for (engine, told) in group.iter().zip(&all_told) {
            let list =
                cpid(ground, engine, way, &["--list", "--all", "--json", "--engine", our_name(engine)]);
            let cells = STATES.iter().zip(told).map(|(state, told)| match told {
                Some(told) => {
                    let verdict = judge(ground, engine, way, told, &list);
                    verdict.or_known(known(engine, state))
                }
                None => Verdict::NotThere,
            });
            table.row(engine, way.word(), cells.collect());
        }
    }
}

/// Why that cell is known to be wrong.
fn known(engine: &str, state: &str) -> Option<&'static str> {
    let known = super::KNOWN.iter().find(|known| known.0 == engine && known.1.contains(&state));
    known.map(|known| known.2)
}

/// In the order of `STATES`.
fn told(shown: &Ran) -> [Option<Told>; 6] {
    STATES.map(|state| {
        let mut lines = shown.stdout.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let line = lines.find(|line| line[0] == state)?;
        let [_, target, word, pid] = line[..] else { panic!("not STATE TARGET WORD PID: {shown}") };
        Some(Told { target: target.to_owned(), word: word.to_owned(), pid: pid.parse().expect("a PID") })
    })
}

/// What `--engine` calls it.
fn our_name(engine: &str) -> &str {
    match engine {
        "cri" => "containerd",
        "podman-rootless" | OWN => "podman",
        "nspawn" => "machine",
        same => same,
    }
}

/// A daemon that is there has the time it needs; one that is not to answer is not waited for long.
const fn timeout(way: Way) -> &'static str {
    match way {
        Way::Answers => "--engine-timeout=20s",
        Way::Hangs | Way::Dead => "--engine-timeout=300ms",
    }
}

fn cpid(ground: &Ground, engine: &str, way: Way, arguments: &[&str]) -> Ran {
    let mut command = if engine == OWN { ground.by_user("cpid") } else { ground.world.tool("cpid") };
    command.arg(timeout(way)).args(arguments).run()
}

fn judge(ground: &Ground, engine: &str, way: Way, told: &Told, list: &Ran) -> Verdict {
    let verdicts = [
        lookup(ground, engine, way, told),
        listed(engine, way, told, list),
        netns(ground, engine, way, told),
    ];
    // The worst of the three.
    let wrong: Vec<_> = verdicts
        .iter()
        .filter_map(|verdict| match verdict {
            Verdict::Wrong(what) => Some(what.as_str()),
            _ => None,
        })
        .collect();
    if !wrong.is_empty() {
        return Verdict::Wrong(wrong.join("; "));
    }
    if verdicts.contains(&Verdict::CannotTell) { Verdict::CannotTell } else { Verdict::Right }
}

/// `cpid --json TARGET`.
fn lookup(ground: &Ground, engine: &str, way: Way, told: &Told) -> Verdict {
    let ran = cpid(ground, engine, way, &["--json", &told.target]);
    let right = match code(&ran) {
        Some(0) => {
            let found = &ran.json()[0];
            told.pid != 0 && found["pid"] == told.pid && is_same_state(&found["state"], &told.word)
        }
        // Where it is, not that there is none.
        Some(1) => told.pid == 0 && ran.stderr.contains(&format!("is not running ({}", our_word(&told.word))),
        _ => false,
    };
    verdict(right, engine, way, told, &ran)
}

/// Its row of `cpid --list --all --json`.
fn listed(engine: &str, way: Way, told: &Told, list: &Ran) -> Verdict {
    let entries = if list.stdout.is_empty() { Value::Null } else { list.json() };
    let name = told.target.rsplit('/').next().unwrap_or(&told.target);
    let row =
        entries.as_array().into_iter().flatten().find(|entry| entry["name"] == name || entry["id"] == name);
    let right = row.is_some_and(|row| {
        row["pid"].as_i64().unwrap_or(0) == i64::from(told.pid) && is_same_state(&row["state"], &told.word)
    });
    match verdict(right, engine, way, told, list) {
        // Not the whole list.
        Verdict::Wrong(_) => Verdict::Wrong(format!(
            "the engine says {} with PID {}; in the list it is {}, and stderr is {:?}",
            told.word,
            told.pid,
            row.map_or("not there".to_owned(), Value::to_string),
            list.stderr
        )),
        other => other,
    }
}

/// The network namespace that a command of nsenter-rs is in, and that of the PID which the engine named.
fn netns(ground: &Ground, engine: &str, way: Way, told: &Told) -> Verdict {
    // A user may not enter every network that a container of its is in.
    if told.pid == 0 || engine == OWN {
        return Verdict::Right;
    }
    let link = |path: &str| ground.world.engine("readlink").arg(path).run().ok().text().to_owned();
    let ran = ground
        .world
        .tool("nsenter-rs")
        .args([timeout(way), "-t", &told.target, "-n", "readlink", "/proc/self/ns/net"])
        .run();
    let right = code(&ran) == Some(0) && ran.text() == link(&format!("/proc/{}/ns/net", told.pid));
    verdict(right, engine, way, told, &ran)
}

/// An engine that could not be asked may be named instead, with the status of a failure; never while it answers.
fn verdict(right: bool, engine: &str, way: Way, told: &Told, ran: &Ran) -> Verdict {
    // nsenter-rs fails with 1, as util-linux's does; readlink says nothing there.
    let has_failed = code(ran) == Some(2) || code(ran) == Some(1) && ran.stderr.starts_with("nsenter-rs: ");
    let names_it = ran.stderr.contains(our_name(engine)) && !ran.stderr.contains("no such container");
    if right {
        Verdict::Right
    } else if way != Way::Answers && has_failed && names_it {
        Verdict::CannotTell
    } else {
        Verdict::Wrong(format!("the engine says {} with PID {}; {ran}", told.word, told.pid))
    }
}

fn code(ran: &Ran) -> Option<i32> {
    ran.status.and_then(|status| status.code())
}

fn is_same_state(ours: &Value, word: &str) -> bool {
    ours == our_word(word)
}

/// Our word for what the engine calls it.
fn our_word(word: &str) -> &str {
    match word {
        "stopped" => "exited",
        "frozen" => "paused",
        same => same,
    }
}
