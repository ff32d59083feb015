//! Why a name has no address, and why a name server has no answer.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crate::failure::{Failure, Status};
use crate::view::CLibrary;
use nix::errno::Errno;
use simple_dns::RCODE;

/// Why a name has no address.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// A server says that there is none of this name, or none with an address of the families asked for.
    #[error("{server} reports that {}{}", if *.exists { "the name has no address of that kind" } else { "there is no such name" }, and_also(.tried, .not_tried))]
    NotFound {
        /// The server that said so.
        server: IpAddr,
        /// Whether the name exists, for something else.
        exists: bool,
        /// All names that were asked for.
        tried: Vec<String>,
        /// Those that were left out after that.
        not_tried: Vec<String>,
    },
    /// No server answered, or with nothing that helps.
    #[error("the name cannot be looked up: {}{}", in_words(failures), given_up(candidate, *library, not_tried))]
    NoServer {
        /// The first name of the search list without an answer.
        candidate: String,
        /// Which C library would do the same.
        library: CLibrary,
        /// The names that are not asked for after that.
        not_tried: Vec<String>,
        /// What came of each server.
        failures: Vec<(IpAddr, NoAnswer)>,
    },
    /// It took too long, whatever the container's resolv.conf says.
    #[error("looked up {candidate} for {}s without an answer: {}", timeout.as_secs_f64(), in_words(failures))]
    TooSlow {
        /// The name that was asked for last.
        candidate: String,
        /// How long it might take.
        timeout: Duration,
        /// What came of each server that was asked for it.
        failures: Vec<(IpAddr, NoAnswer)>,
    },
}

/// Why a server has no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// There was no time left for it.
    #[error("was not asked")]
    NotAsked,
    /// The name does not fit into a question.
    #[error("cannot be asked for such a name: it is not valid in DNS")]
    Name,
    /// It did not answer in that time.
    #[error("does not answer within {}s", in_tenths(*.0))]
    Timeout(Duration),
    /// Its answer did not fit into a datagram, and by TCP it had none.
    #[error("truncates its answer, and over TCP {0}")]
    Tcp(Box<NoAnswer>),
    /// It answers another question.
    #[error("answers another question")]
    Unrelated,
    /// It answers the question, and what it says is no DNS message.
    #[error("sends an answer that cannot be read")]
    Damaged,
    /// REFUSED.
    #[error("refuses to answer")]
    Refused,
    /// SERVFAIL.
    #[error("fails (SERVFAIL)")]
    ServerFailure,
    /// Another code.
    #[error("answers {0:?}")]
    Code(RCODE),
    /// It cannot be reached.
    #[error("{}", of_io(.0))]
    Io(#[from] io::Error),
}

fn in_words(failures: &[(IpAddr, NoAnswer)]) -> String {
    let words: Vec<String> = failures.iter().map(|(server, why)| format!("{server} {why}")).collect();
    words.join("; ")
}

fn and_also(tried: &[String], not_tried: &[String]) -> String {
    match (tried, not_tried) {
        ([_] | [], []) => String::new(),
        (names, []) => format!(" (tried {})", names.join(", ")),
        (names, others) => {
            format!(" (tried {}; musl does not try {} then)", names.join(", "), others.join(", "))
        }
    }
}

/// What is left out after a name without an answer, as the container's programs do.
fn given_up(candidate: &str, library: CLibrary, not_tried: &[String]) -> String {
    match not_tried {
        [] => String::new(),
        names => format!(" (asked for {candidate}; {library} does not try {} then)", names.join(", ")),
    }
}

/// Seconds, with a tenth only where that is not nothing.
fn in_tenths(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

fn of_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "has no name server listening".to_owned(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "does not answer in time".to_owned(),
        io::ErrorKind::UnexpectedEof => "closes the connection early".to_owned(),
        _ => {
            let errno = error.raw_os_error().map(|errno| Errno::from_raw(errno).desc().to_owned());
            format!("cannot be reached: {}", errno.unwrap_or_else(|| error.to_string()))
        }
    }
}

impl LookupError {
    /// What it means for the DEST `word`.
    pub fn about(self, word: &str) -> Failure {
        Failure::said(Status::Failed, format_args!("{word}: {self}"))
    }
}
