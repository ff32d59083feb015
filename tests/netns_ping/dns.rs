//! What name servers say, good or bad, and what the container's own C library makes of it. Observers: getent of glibc, and
//! musl's own loader with a program of ours in it (`tests/setup/musl`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::run::{Ran, Run, RunningProgram};
use support::skip::{Missing, need};

use crate::{Cable, cable, dns_server};

/// musl's loader and the program, in web's /etc, and a process that has them loaded.
struct Musl {
    pid: String,
    _process: RunningProgram,
}

fn musl(cable: &Cable) -> Result<Musl, Missing> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup/musl");
    let ran = Command::new(script).output().map_err(|error| Missing::Fixable(error.to_string()))?;
    if !ran.status.success() {
        let last = String::from_utf8_lossy(&ran.stderr).lines().last().unwrap_or_default().to_owned();
        return Err(Missing::Fixable(format!("musl cannot be had: {last}")));
    }
    let from = PathBuf::from(String::from_utf8_lossy(&ran.stdout).trim());
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), cable.web.path("/etc").join(file.file_name())).unwrap();
    }
    let script = "echo pid $$ is it; exec /etc/getaddrinfo";
    let process = inside(cable, &["sh", "-c", script]).start();
    process.wait_for("ready\n");
    let line = process.first_line().unwrap();
    Ok(Musl { pid: line.split(' ').nth(1).unwrap().to_owned(), _process: process })
}

/// A program in web, with its files; with the lab's processes, so that it can be named from there.
fn inside(cable: &Cable, words: &[&str]) -> Command {
    let mut nsenter = cable.lab.command("nsenter");
    nsenter.args(["--target", &cable.web.pid.to_string(), "--net", "--mount", "--"]).args(words);
    nsenter
}

/// What musl says of a name: its addresses, or the number of the error.
fn theirs(cable: &Cable, name: &str) -> Result<Vec<String>, i32> {
    let ran = inside(cable, &["/etc/getaddrinfo", name]).run_within(Duration::from_secs(60)).ok();
    let said = ran.text();
    match said.strip_prefix("ERROR ") {
        Some(number) => Err(number.parse().unwrap()),
        None => Ok(said.split_whitespace().map(str::to_owned).collect()),
    }
}

/// Of ours: the address that is pinged.
fn address(ran: &Ran, name: &str) -> Option<String> {
    let rest = ran.stdout.strip_prefix("PING ")?.strip_prefix(name)?.trim_start().strip_prefix('(')?;
    Some(rest.split(')').next().unwrap().to_owned())
}

/// netdb.h of musl: EAI_NONAME, which until musl 1.2.3 stands for a name without an address too, EAI_NODATA, and EAI_AGAIN.
const NO_NAME: i32 = -2;
const NO_DATA: i32 = -5;
const AGAIN: i32 = -3;

/// Roles of the servers, lines of resolv.conf, and the name.
const CASES: &[(&[&str], &str, &str)] = &[
    (&["good"], "", "api"),
    (&["good"], "", "nobody"),
    (&["nodata"], "", "api"),
    (&["servfail"], "", "api"),
    (&["refused"], "", "api"),
    (&["notimp"], "", "api"),
    (&["mute"], "", "api"),
    (&["once"], "", "api"),
    (&["only-ipv4"], "", "api"),
    (&["only-ipv6"], "", "api"),
    (&["ipv6-fails"], "", "api"),
    (&["ipv6-no-name"], "", "api"),
    // Two servers: the first answer counts, not the first server's.
    (&["servfail", "good"], "", "api"),
    (&["refused", "good"], "", "api"),
    (&["mute", "good"], "", "api"),
    (&["late:600", "other"], "", "api"),
    (&["late:600", "nxdomain"], "", "api"),
    (&["nxdomain", "late:600"], "", "api"),
    (&["only-ipv4", "only-ipv6"], "", "api"),
    (&["only-ipv6", "servfail", "only-ipv4"], "", "api"),
    (&["refused", "servfail", "mute"], "", "api"),
    // Search lists.
    (&["good"], "search corp.test", "api"),
    (&["good"], "search a.test b.test\noptions ndots:5", "api"),
    (&["servfail-searched"], "search corp.test", "api"),
    (&["mute-searched"], "search corp.test", "api"),
    (&["nodata-searched"], "search corp.test", "api"),
    (&["servfail-searched", "good"], "search corp.test", "api"),
    (&["servfail-searched"], "search corp.test", "api."),
    (&["good"], "search corp.test\nsearch", "api"),
    // A name with dots enough is not searched for.
    (&["servfail-searched"], "search corp.test\noptions ndots:0", "api"),
    (&["servfail-searched"], "search corp.test\noptions ndots:0x", "api"),
    (&["other"], "search corp.test\noptions ndots:2", "a.b"),
    (&["servfail-searched"], "  search corp.test", "api"),
    // The files come first.
    (&["mute"], "", "four"),
    (&["mute"], "", "six"),
];

#[test]
fn names_are_looked_up_as_the_real_musl_does() {
    let cable = need!(cable());
    let musl = need!(musl(&cable));
    let mut wrong = Vec::new();
    for (roles, lines, name) in CASES {
        let lines = format!("{lines}\noptions timeout:3 attempts:2");
        let server = dns_server::start(&cable, roles, &lines);
        let theirs = theirs(&cable, name);
        drop(server);
        let _server = dns_server::start(&cable, roles, &lines);
        let ran = cable.lab.tool("netns-ping").args([&musl.pid, *name, "-c1", "-W1", "-v"]).run();
        let is_same = match (&theirs, address(&ran, name)) {
            (Ok(addresses), Some(address)) => addresses.contains(&address),
            (Err(NO_NAME | NO_DATA), None) => ran.stderr.contains(" reports that "),
            (Err(_), None) => ran.stderr.contains("the name cannot be looked up"),
            _ => false,
        };
        assert!(ran.stderr.contains("as musl does (its process has musl loaded)"), "{ran}");
        if !is_same {
            wrong.push(format!("{roles:?} {lines:?} {name}: musl {theirs:?}, ours {ran}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ: {}", wrong.len(), CASES.len(), wrong.join("\n"));
    // Both kinds of failure have been seen, and both kinds of success.
    let _server = dns_server::start(&cable, &["servfail"], "options timeout:1 attempts:1");
    assert_eq!(theirs(&cable, "api"), Err(AGAIN));
}

#[test]
fn names_are_looked_up_as_the_real_glibc_does() {
    let cable = need!(cable());
    let mut wrong = Vec::new();
    for (roles, lines, name) in CASES {
        let lines = format!("{lines}\noptions timeout:3 attempts:1");
        let server = dns_server::start(&cable, roles, &lines);
        let theirs = inside(&cable, &["getent", "ahosts", name]).run_within(Duration::from_secs(60));
        drop(server);
        let _server = dns_server::start(&cable, roles, &lines);
        let addresses: Vec<&str> = theirs.stdout.lines().filter_map(|line| line.split(' ').next()).collect();
        let ran = cable.ping(&format!("{name} -c1 -W1 -v"));
        let is_same = match address(&ran, name) {
            Some(address) => addresses.contains(&address.as_str()),
            None => addresses.is_empty() && ran.stderr.contains(&format!("netns-ping: {name}: ")),
        };
        assert!(ran.stderr.contains("as glibc does (its process has glibc loaded)"), "{ran}");
        if !is_same {
            wrong.push(format!("{roles:?} {lines:?} {name}: glibc {theirs}, ours {ran}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ: {}", wrong.len(), CASES.len(), wrong.join("\n"));
}

/// What a bad server does, what is said if it does nothing else, and what is pinged if a good answer comes after it.
const HOSTILE: &[(&str, &str, bool)] = &[
    ("spoofed", "127.0.0.1 does not answer within 1s", true),
    ("wrong-ids", "127.0.0.1 does not answer within 1s", true),
    ("other-question", "127.0.0.1 does not answer within 1s", true),
    ("question-only", "127.0.0.1 does not answer within 1s", true),
    ("short", "127.0.0.1 does not answer within 1s", true),
    ("empty", "127.0.0.1 does not answer within 1s", true),
    ("flood", "127.0.0.1 does not answer within 1s", false),
    ("loop-self", "127.0.0.1 sends an answer that cannot be read", false),
    ("loop-pair", "127.0.0.1 sends an answer that cannot be read", false),
    ("loop-beyond", "127.0.0.1 sends an answer that cannot be read", false),
    ("labels", "127.0.0.1 sends an answer that cannot be read", false),
    ("counts", "127.0.0.1 sends an answer that cannot be read", false),
    ("huge", "127.0.0.1 sends an answer that cannot be read", false),
    ("cut", "127.0.0.1 truncates its answer, and over TCP has no name server listening", false),
    ("nx-garbage", "127.0.0.1 reports that there is no such name", false),
];

#[test]
fn hostile_answers_of_name_servers_decide_nothing_and_keep_nobody() {
    let cable = need!(cable());
    let musl = need!(musl(&cable));
    let lines = "options timeout:1 attempts:1";
    for target in [&cable.web.pid.to_string(), &musl.pid] {
        let ping = || cable.lab.tool("netns-ping").args([target, "api", "-c1", "-W1"]).run();
        for (role, said, can_be_good) in HOSTILE {
            let server = dns_server::start(&cable, &[role], lines);
            let ran = ping();
            assert!(ran.stdout.is_empty() && ran.stderr.contains(said), "{role}: {ran}");
            assert_eq!(ran.status.unwrap().code(), Some(2), "{role}: {ran}");
            drop(server);
            if *can_be_good {
                let lines = "options timeout:20 attempts:1";
                let _server = dns_server::start(&cable, &[&format!("{role}+good")], lines);
                ping().ok().stdout_has("PING api (198.18.0.2)");
            }
        }
        let _server = dns_server::start(&cable, &["many-records"], "options timeout:20 attempts:1");
        ping().ok().stdout_has("PING api (198.18.0.2)");
    }
}
