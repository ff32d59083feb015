//! netns-ping, end to end.
//!
//! Observers: `ping`, `ip -j`, and responders of the tests' own.

#![cfg(test)]

mod arp;
mod crowd;
mod dns;
mod dns_server;
mod docker;
mod drop_in;
mod echo;
mod faults;
mod forged;
mod hostile;
mod library;
mod matrix;
mod matrix_expected;
mod modes;
mod names;
mod port;
mod readers;
mod responder;
mod silence;
mod sweep;
mod times;
mod users;
mod verdicts;
mod verdicts_docker;
mod widths;
mod words;

use serde_json::Value;
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::{Missing, program};
use support::until::until;

/// Two containers on a cable of their own.
struct Cable {
    lab: Lab,
    web: Container,
    db: Container,
}

/// `web` is 198.18.0.1 and fd00::1, and `db` 198.18.0.2 and fd00::2, which is web's gateway too.
fn cable() -> Result<Cable, Missing> {
    program("ping", "iputils-ping")?;
    let lab = Lab::new()?;
    let web = lab.container("web", Options::default());
    let db = lab.container("db", Options::default());
    lab.veth((&web, "198.18.0.1/24"), (&db, "198.18.0.2/24"));
    for (container, address) in [(&web, "fd00::1"), (&db, "fd00::2")] {
        container.ip(&format!("address add {address}/64 dev eth0 nodad"));
        // The kernel makes the route of an own address later, in a work queue.
        let route = || container.ip(&format!("route get {address}")).stdout;
        until("an own address is delivered here", || route().contains("dev lo"));
    }
    web.ip("route add default via 198.18.0.2");
    Ok(Cable { lab, web, db })
}

impl Cable {
    /// Pings from `web`; the words are split at spaces.
    #[track_caller]
    fn ping(&self, words: &str) -> Ran {
        let mut ping = self.lab.tool("netns-ping");
        ping.arg(self.web.pid.to_string()).args(words.split_whitespace()).run()
    }

    /// The same with `--json`: the events.
    #[track_caller]
    fn events(&self, words: &str) -> Vec<Value> {
        events(&self.ping(&format!("{words} --json")))
    }

    /// What ping(8) says, from `web`.
    #[track_caller]
    fn their_ping(&self, words: &str) -> Ran {
        self.inside(&self.web, &format!("ping {words}"))
    }

    /// A script in the network of a container, with the lab's programs.
    #[track_caller]
    fn inside(&self, container: &Container, script: &str) -> Ran {
        let mut nsenter = self.lab.command("nsenter");
        nsenter.args(["--target", &container.pid.to_string(), "--net", "--", "sh", "-c", script]).run()
    }
}

/// A line of JSON each.
#[track_caller]
fn events(ran: &Ran) -> Vec<Value> {
    let event =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|err| panic!("{err} in {line:?} of {ran}"));
    ran.stdout.lines().map(event).collect()
}

/// The events of this kind.
fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

/// Runs netns-ping from `container`, which is the TARGET; the other words are split at spaces, options first.
#[track_caller]
fn ping_from(lab: &Lab, container: &Container, words: &str) -> Ran {
    let pid = format!("pid:{}", container.pid);
    let mut words: Vec<&str> = words.split_whitespace().collect();
    // Options come before the TARGET, for some of them take a value; the last word is the DEST.
    let dest = words.pop();
    words.push(&pid);
    words.extend(dest);
    lab.tool("netns-ping").args(words).run()
}

/// Waits until no address of these is tentative any more, which takes a link-local one a second or two.
fn settled(containers: &[&Container]) {
    for container in containers {
        let tentative = || container.ip("address show tentative").stdout.contains("inet6");
        until("no address is tentative", || !tentative());
    }
}

#[test]
#[ignore = "is no test, but the name server of some"]
fn fake_name_server() {
    support::name_server::serve();
}
