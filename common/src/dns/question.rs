//! The question to the container's name servers, from its own network: RFC 1035, as resolv.conf(5) has it asked, and as
//! each C library goes on when there is no answer.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::view::CLibrary;
use simple_dns::TYPE;

use super::Families;
use super::dns_at_once;
use super::dns_error::{LookupError, NoAnswer};
use super::dns_message::{DnsAnswer, MOST_BYTES, number, question, read, together};
use super::dns_server::{DnsServer, ReachedServer, copy, kinds, not_asked};
use super::files::{ResolvConf, SearchName};

/// For one name that is asked for, all servers together. glibc gives two servers as long as they have by default (two times
/// five seconds each), but a container's resolv.conf may ask for 450 seconds.
const NAME_TIMEOUT: Duration = Duration::from_secs(10);
/// For all names of the search list. Of these glibc asks for one more after one without an answer.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// How often questions are put one after the other to a server that has answered only one of two.
const ONE_AFTER_THE_OTHER: usize = 2;

/// Addresses, and the server that said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsAddresses {
    pub addresses: Vec<IpAddr>,
    pub server: IpAddr,
}

/// Looks `name` up, in the network that this thread is in.
pub fn look_up(
    conf: &ResolvConf,
    servers: &[ReachedServer],
    name: &str,
    families: Families,
    timeout: Duration,
) -> Result<DnsAddresses, LookupError> {
    let until = Instant::now() + timeout;
    let all = conf.candidates(name);
    let mut left: VecDeque<SearchName> = all.iter().cloned().collect();
    let (mut not_found, mut failed, mut tried) = (None, None, Vec::new());
    while let Some(candidate) = left.pop_front() {
        tried.push(candidate.name.clone());
        let until_here = until.min(Instant::now() + NAME_TIMEOUT);
        let ask_all = match conf.library {
            CLibrary::Glibc => one_by_one,
            CLibrary::Musl => dns_at_once::ask,
        };
        let answer = ask_all(conf, servers, &candidate.name, families, until_here);
        let outcome = match answer {
            Ok((DnsAnswer::Addresses(addresses), server)) => return Ok(DnsAddresses { addresses, server }),
            Ok((answer, server)) => {
                let exists = answer == DnsAnswer::NoAddress || matches!(not_found, Some((true, _)));
                not_found = Some((exists, server));
                if answer == DnsAnswer::NoAddress { Outcome::NoAddress } else { Outcome::NoName }
            }
            // No server will have the time to answer the next one.
            Err(failures) if Instant::now() >= until => {
                return Err(LookupError::TooSlow { candidate: candidate.name, timeout, failures });
            }
            Err(failures) => {
                let outcome = Outcome::of(&failures);
                failed.get_or_insert((candidate.name.clone(), failures));
                outcome
            }
        };
        let next = next(conf.library, outcome, candidate.is_searched);
        left.retain(|candidate| match next {
            NextQuestion::Goes => true,
            NextQuestion::AsItIs => !candidate.is_searched,
            NextQuestion::Ends => false,
        });
    }
    let not_tried: Vec<String> =
        all.into_iter().map(|candidate| candidate.name).filter(|name| !tried.contains(name)).collect();
    match (failed, not_found) {
        // One that could not be asked for may be there.
        (Some((candidate, failures)), _) => {
            Err(LookupError::NoServer { candidate, failures, library: conf.library, not_tried })
        }
        (None, Some((exists, server))) => Err(LookupError::NotFound { server, exists, tried, not_tried }),
        (None, None) => Err(LookupError::NoServer {
            candidate: name.to_owned(),
            failures: Vec::new(),
            library: conf.library,
            not_tried,
        }),
    }
}

/// What became of a name that was asked for, as far as it decides whether another one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    NoName,
    NoAddress,
    /// SERVFAIL was the last that a server said.
    ServerFailure,
    /// Nobody listens at any of the servers.
    NotListening,
    /// Silence, or another error.
    NoAnswer,
}

impl Outcome {
    fn of(failures: &[(IpAddr, NoAnswer)]) -> Self {
        let is_refused = |(_, why): &(IpAddr, NoAnswer)| matches!(why, NoAnswer::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused);
        match failures.iter().rev().find(|(_, why)| !matches!(why, NoAnswer::NotAsked)) {
            Some((_, NoAnswer::ServerFailure)) => Outcome::ServerFailure,
            _ if !failures.is_empty() && failures.iter().all(is_refused) => Outcome::NotListening,
            _ => Outcome::NoAnswer,
        }
    }
}

/// What else is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextQuestion {
    /// The next name.
    Goes,
    /// The name as it was typed, if it was not asked for yet.
    AsItIs,
    /// Nothing.
    Ends,
}

/// glibc: __res_context_search in res_query.c. musl: name_from_dns_search in lookup_name.c.
fn next(library: CLibrary, outcome: Outcome, is_searched: bool) -> NextQuestion {
    match (library, outcome) {
        (_, Outcome::NoName) => NextQuestion::Goes,
        // Also that there is an entry of another type ends the search.
        (CLibrary::Musl, _) => NextQuestion::Ends,
        (CLibrary::Glibc, Outcome::NoAddress | Outcome::ServerFailure) => NextQuestion::Goes,
        // A name with dots enough is asked for first, and what becomes of it ends nothing.
        (CLibrary::Glibc, _) if !is_searched => NextQuestion::Goes,
        (CLibrary::Glibc, Outcome::NotListening) => NextQuestion::Ends,
        (CLibrary::Glibc, Outcome::NoAnswer) => NextQuestion::AsItIs,
    }
}

/// Asks each server in turn, as often as is to be tried; what became of each if none has an answer. As glibc does: send_dg in
/// res_send.c.
fn one_by_one(
    conf: &ResolvConf,
    servers: &[ReachedServer],
    name: &str,
    families: Families,
    until: Instant,
) -> Result<(DnsAnswer, IpAddr), Vec<(IpAddr, NoAnswer)>> {
    let mut failures = not_asked(servers);
    let first = if conf.rotate { usize::from(number()) % servers.len().max(1) } else { 0 };
    for _ in 0..conf.attempts {
        for nth in 0..servers.len() {
            let at = (first + nth) % servers.len();
            let (server, (_, failure)) = (&servers[at], &mut failures[at]);
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                continue;
            }
            match server {
                Ok(server) => match ask(server, name, families, conf.patience(nth).min(left), until) {
                    Ok(answer) => return Ok((answer, server.address)),
                    Err(why) => *failure = why,
                },
                Err((_, error)) => *failure = NoAnswer::Io(copy(error)),
            }
        }
    }
    Err(failures)
}

/// A question to one server, and what it says.
struct OpenQuestion {
    id: u16,
    kind: TYPE,
    bytes: Vec<u8>,
    said: Option<Result<DnsAnswer, NoAnswer>>,
}

/// Both questions at once, as glibc has it; why there is no answer.
fn ask(
    server: &DnsServer,
    name: &str,
    families: Families,
    timeout: Duration,
    until: Instant,
) -> Result<DnsAnswer, NoAnswer> {
    let mut questions = Vec::new();
    for kind in kinds(families) {
        let id = number();
        let bytes = question(id, name, kind).ok_or(NoAnswer::Name)?;
        questions.push(OpenQuestion { id, kind, bytes, said: None });
    }
    let exchange = |questions: &mut [OpenQuestion], is_at_once| {
        exchange(server, name, questions, is_at_once, until.min(Instant::now() + timeout))
    };
    exchange(&mut questions, true)?;
    // Some servers answer only one of two questions that come at the same time (send_dg in res_send.c).
    for _ in 0..ONE_AFTER_THE_OTHER {
        let has = |is: fn(&OpenQuestion) -> bool| questions.iter().any(is);
        let is_half = has(|one| one.said.is_none()) && has(|one| matches!(one.said, Some(Ok(_))));
        if !is_half || has(|one| matches!(one.said, Some(Ok(DnsAnswer::Addresses(_))))) {
            break;
        }
        questions.iter_mut().for_each(|question| question.said = None);
        exchange(&mut questions, false)?;
    }
    let (mut answers, mut refused) = (Vec::new(), None);
    for said in questions.into_iter().filter_map(|question| question.said) {
        match said {
            Ok(said) => answers.push(said),
            Err(why) => refused = Some(why),
        }
    }
    // That one of two questions failed matters only if the other one brought nothing.
    match (together(answers), refused) {
        (Some(said @ DnsAnswer::Addresses(_)), _) | (Some(said), None) => Ok(said),
        (_, Some(why)) => Err(why),
        (None, None) => Err(NoAnswer::Timeout(timeout)),
    }
}

/// Sends the questions, at once or each when the one before is answered, and listens until all are answered.
fn exchange(
    server: &DnsServer,
    name: &str,
    questions: &mut [OpenQuestion],
    is_at_once: bool,
    until: Instant,
) -> Result<(), NoAnswer> {
    let mut bytes = vec![0; MOST_BYTES];
    let mut sent = 0;
    loop {
        while sent < questions.len() && (is_at_once || questions[..sent].iter().all(|one| one.said.is_some()))
        {
            if questions[sent].said.is_none() {
                server.socket.send(&questions[sent].bytes)?;
            }
            sent += 1;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || questions.iter().all(|question| question.said.is_some()) {
            return Ok(());
        }
        server.socket.set_read_timeout(Some(left))?;
        let length = match server.socket.recv(&mut bytes) {
            Ok(length) => length,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let all: Vec<(u16, TYPE)> = questions.iter().map(|question| (question.id, question.kind)).collect();
        let Some((at, said)) = bytes.get(..length).and_then(|bytes| read(bytes, name, &all)) else {
            continue;
        };
        let question = &mut questions[at];
        if question.said.is_none() {
            question.said = Some(match said {
                Ok(DnsAnswer::Cut) => {
                    server.ask_by_tcp(name, question.kind, until).map_err(|why| NoAnswer::Tcp(Box::new(why)))
                }
                said => said,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// moby/moby#45553 is about this difference.
    #[test]
    fn each_library_goes_on_as_it_does() {
        use Outcome::{NoAddress, NoAnswer, NoName, NotListening, ServerFailure};
        let nexts = |library, is_searched| {
            [NoName, NoAddress, ServerFailure, NotListening, NoAnswer]
                .map(|outcome| next(library, outcome, is_searched))
        };
        let (goes, as_it_is, ends) = (NextQuestion::Goes, NextQuestion::AsItIs, NextQuestion::Ends);
        assert_eq!(nexts(CLibrary::Glibc, true), [goes, goes, goes, ends, as_it_is]);
        assert_eq!(nexts(CLibrary::Glibc, false), [goes; 5]);
        assert_eq!(nexts(CLibrary::Musl, true), [goes, ends, ends, ends, ends]);
    }
}
