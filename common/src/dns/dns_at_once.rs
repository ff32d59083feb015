//! All name servers asked at the same time, as musl does it: res_msend.c and name_from_dns in lookup_name.c. For each question
//! the first answer counts, whichever server it is of.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::packet::wait_for;
use simple_dns::TYPE;

use super::Families;
use super::dns_error::NoAnswer;
use super::dns_message::{DnsAnswer, MOST_BYTES, number, question, read};
use super::dns_server::{DnsServer, ReachedServer, copy, kinds, not_asked};
use super::files::ResolvConf;

/// How often SERVFAIL is answered with the same question at once, for each question, in the time of one attempt.
const RETRIES: usize = 2;

/// A question to all servers.
struct SharedQuestion {
    id: u16,
    kind: TYPE,
    bytes: Vec<u8>,
    answer: Option<(DnsAnswer, IpAddr)>,
}

/// All that is asked about one name.
struct AtOnce<'a> {
    name: &'a str,
    servers: &'a [ReachedServer],
    questions: Vec<SharedQuestion>,
    /// What became of each server.
    failures: Vec<(IpAddr, NoAnswer)>,
    /// How many answers of each server are still to come.
    outstanding: Vec<usize>,
    retries: usize,
}

/// What they say of a name; what became of each server if that is no answer.
pub fn ask(
    conf: &ResolvConf,
    servers: &[ReachedServer],
    name: &str,
    families: Families,
    until: Instant,
) -> Result<(DnsAnswer, IpAddr), Vec<(IpAddr, NoAnswer)>> {
    let failures = not_asked(servers);
    let mut questions = Vec::new();
    for kind in kinds(families) {
        let id = number();
        match question(id, name, kind) {
            Some(bytes) => questions.push(SharedQuestion { id, kind, bytes, answer: None }),
            None => return Err(failures.into_iter().map(|(server, _)| (server, NoAnswer::Name)).collect()),
        }
    }
    let outstanding = vec![0; servers.len()];
    let mut all = AtOnce { name, servers, questions, failures, outstanding, retries: 0 };
    let began = Instant::now();
    let timeout = conf.timeout.min(until.saturating_duration_since(began));
    all.run(began + timeout, conf.timeout / conf.attempts.max(1));
    all.verdict(timeout)
}

impl AtOnce<'_> {
    fn run(&mut self, until: Instant, interval: Duration) {
        let mut again = Instant::now();
        while self.is_open() {
            let now = Instant::now();
            if now >= until {
                return;
            }
            if now >= again {
                self.send_all();
                again = now + interval;
            }
            // Each has said that it cannot answer; musl would wait for another word from them.
            if self.outstanding.iter().all(|count| *count == 0) {
                return;
            }
            let sockets = self.servers.iter().flatten().map(|server| server.socket.as_fd());
            let _ = wait_for(sockets, until.min(again));
            for (at, server) in self.servers.iter().enumerate() {
                if let Ok(server) = server {
                    self.receive(at, server, until);
                }
            }
        }
    }

    fn is_open(&self) -> bool {
        self.questions.iter().any(|question| question.answer.is_none())
    }

    fn send_all(&mut self) {
        self.retries = RETRIES * self.questions.len();
        for (at, server) in self.servers.iter().enumerate() {
            self.outstanding[at] = 0;
            let server = match server {
                Ok(server) => server,
                Err((_, error)) => {
                    self.failures[at].1 = NoAnswer::Io(copy(error));
                    continue;
                }
            };
            let _ = server.socket.set_nonblocking(true);
            for question in self.questions.iter().filter(|question| question.answer.is_none()) {
                match server.socket.send(&question.bytes) {
                    Ok(_) => self.outstanding[at] += 1,
                    Err(error) => self.failures[at].1 = NoAnswer::Io(error),
                }
            }
        }
    }

    /// Reads all that has come from one server.
    fn receive(&mut self, at: usize, server: &DnsServer, until: Instant) {
        let mut bytes = vec![0; MOST_BYTES];
        while self.is_open() && Instant::now() < until {
            match server.socket.recv(&mut bytes) {
                Ok(length) => self.heard(at, server, bytes.get(..length).unwrap_or_default(), until),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // An ICMP error: no server there.
                Err(error) => {
                    self.failures[at].1 = NoAnswer::Io(error);
                    self.outstanding[at] = 0;
                }
            }
        }
    }

    fn heard(&mut self, at: usize, server: &DnsServer, bytes: &[u8], until: Instant) {
        let all: Vec<(u16, TYPE)> =
            self.questions.iter().map(|question| (question.id, question.kind)).collect();
        let Some((which, said)) = read(bytes, self.name, &all) else { return };
        let question = &mut self.questions[which];
        if question.answer.is_some() {
            return;
        }
        let said = match said {
            // Since musl 1.2.4.
            Ok(DnsAnswer::Cut) => {
                server.ask_by_tcp(self.name, question.kind, until).map_err(|why| NoAnswer::Tcp(Box::new(why)))
            }
            said => said,
        };
        match said {
            Ok(said) => question.answer = Some((said, server.address)),
            Err(why) => {
                let is_retried = matches!(why, NoAnswer::ServerFailure) && self.retries > 0;
                self.failures[at].1 = why;
                if is_retried && server.socket.send(&question.bytes).is_ok() {
                    self.retries -= 1;
                    return;
                }
            }
        }
        self.outstanding[at] = self.outstanding[at].saturating_sub(1);
    }

    /// Questions are looked at in their order: one without an answer is a failure, and one that has the answer that there is no
    /// such name decides for all.
    fn verdict(self, timeout: Duration) -> Result<(DnsAnswer, IpAddr), Vec<(IpAddr, NoAnswer)>> {
        let (mut addresses, mut by, mut empty) = (Vec::new(), None, None);
        for question in self.questions {
            let Some((said, server)) = question.answer else {
                let timed_out = |(server, why)| match why {
                    NoAnswer::NotAsked => (server, NoAnswer::Timeout(timeout)),
                    why => (server, why),
                };
                return Err(self.failures.into_iter().map(timed_out).collect());
            };
            match said {
                DnsAnswer::NoName => return Ok((DnsAnswer::NoName, server)),
                DnsAnswer::Addresses(more) => {
                    addresses.extend(more);
                    by.get_or_insert(server);
                }
                DnsAnswer::NoAddress | DnsAnswer::Cut => empty = Some(server),
            }
        }
        match (by, empty) {
            (Some(server), _) => Ok((DnsAnswer::Addresses(addresses), server)),
            (None, Some(server)) => Ok((DnsAnswer::NoAddress, server)),
            (None, None) => Err(self.failures),
        }
    }
}
