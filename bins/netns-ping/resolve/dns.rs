//! The question to the container's name servers, from its own network: RFC 1035, as resolv.conf(5) has it asked.
//! Messages are built and read with simple-dns.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use common::packet::random;
use common::view::CLibrary;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE};

use super::dns_error::{LookupError, NoAnswer};
use super::files::{ResolvConf, SearchName};
use super::tcp;
use crate::request::Families;

/// RFC 1035, 4.2.1: without EDNS no answer is longer; some are nevertheless.
const MOST_BYTES: usize = 4096;
const PORT: u16 = 53;
/// For one name that is asked for, all servers together. glibc gives two servers as long as they have by default (two times
/// five seconds each), but a container's resolv.conf may ask for 450 seconds.
const NAME_TIMEOUT: Duration = Duration::from_secs(10);
/// For all names of the search list. Of these glibc asks for one more after one without an answer.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// Addresses, and the server that said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsAddresses {
    pub addresses: Vec<IpAddr>,
    pub server: IpAddr,
}

/// A name server that questions are put to, through a socket in the container's network.
#[derive(Debug)]
pub struct DnsServer {
    pub address: IpAddr,
    to: SocketAddr,
    socket: UdpSocket,
}

/// A server, or why it cannot even be asked.
pub type Reached = Result<DnsServer, (IpAddr, io::Error)>;

impl DnsServer {
    /// Opens the socket in the network that this thread is in; `scope` is the index of a link-local server's link.
    pub fn connect(address: IpAddr, scope: u32) -> io::Result<Self> {
        let (from, to): (IpAddr, SocketAddr) = match address {
            IpAddr::V4(address) => (Ipv4Addr::UNSPECIFIED.into(), (address, PORT).into()),
            IpAddr::V6(address) => {
                let to = std::net::SocketAddrV6::new(address, PORT, 0, scope);
                (Ipv6Addr::UNSPECIFIED.into(), to.into())
            }
        };
        let socket = UdpSocket::bind((from, 0))?;
        socket.connect(to)?;
        Ok(DnsServer { address, to, socket })
    }
}

/// What one server says of one name.
#[derive(Debug, PartialEq, Eq)]
enum DnsAnswer {
    Addresses(Vec<IpAddr>),
    /// It is there, for something else.
    NoAddress,
    /// There is no such name.
    NoName,
    /// More than fits into a datagram: addresses of this kind are to be asked for by TCP.
    Cut(TYPE),
}

/// Looks `name` up, in the network that this thread is in.
pub fn look_up(
    conf: &ResolvConf,
    servers: &[Reached],
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
            Next::Goes => true,
            Next::AsItIs => !candidate.is_searched,
            Next::Ends => false,
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
enum Next {
    /// The next name.
    Goes,
    /// The name as it was typed, if it was not asked for yet.
    AsItIs,
    /// Nothing.
    Ends,
}

/// glibc: __res_context_search in res_query.c. musl: name_from_dns_search in lookup_name.c.
fn next(library: CLibrary, outcome: Outcome, is_searched: bool) -> Next {
    match (library, outcome) {
        (_, Outcome::NoName) => Next::Goes,
        // Also that there is an entry of another type ends the search.
        (CLibrary::Musl, _) => Next::Ends,
        (CLibrary::Glibc, Outcome::NoAddress | Outcome::ServerFailure) => Next::Goes,
        // A name with dots enough is asked for first, and what becomes of it ends nothing.
        (CLibrary::Glibc, _) if !is_searched => Next::Goes,
        (CLibrary::Glibc, Outcome::NotListening) => Next::Ends,
        (CLibrary::Glibc, Outcome::NoAnswer) => Next::AsItIs,
    }
}

/// Asks each server in turn, as often as is to be tried; what became of each if none has an answer.
fn ask_all(
    conf: &ResolvConf,
    servers: &[Reached],
    name: &str,
    families: Families,
    until: Instant,
) -> Result<(DnsAnswer, IpAddr), Vec<(IpAddr, NoAnswer)>> {
    let address = |server: &Reached| match server {
        Ok(server) => server.address,
        Err((address, _)) => *address,
    };
    let mut failures: Vec<_> = servers.iter().map(|server| (address(server), NoAnswer::NotAsked)).collect();
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
                Ok(server) => match ask(server, name, families, conf.patience(nth).min(left), conf.library) {
                    Ok(answer) => return Ok((answer, server.address)),
                    Err(why) => *failure = why,
                },
                Err((_, error)) => *failure = NoAnswer::Io(copy(error)),
            }
        }
    }
    Err(failures)
}

/// The same error, to be told of another name too.
fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// Both questions at once, as glibc has it; why there is no answer.
fn ask(
    server: &DnsServer,
    name: &str,
    families: Families,
    timeout: Duration,
    library: CLibrary,
) -> Result<DnsAnswer, NoAnswer> {
    let wanted = [(TYPE::A, families.v4), (TYPE::AAAA, families.v6)];
    let wanted = wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(kind, _)| kind);
    let mut open: Vec<(u16, TYPE)> = Vec::new();
    for kind in wanted {
        let id = number();
        let question = question(id, name, kind).ok_or(NoAnswer::Name)?;
        server.socket.send(&question)?;
        open.push((id, kind));
    }
    let until = Instant::now() + timeout;
    let (mut answers, mut refused) = (Vec::new(), None);
    let mut bytes = vec![0; MOST_BYTES];
    while !open.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        server.socket.set_read_timeout(Some(left))?;
        match server.socket.recv(&mut bytes) {
            Ok(length) => match bytes.get(..length).and_then(|bytes| read(bytes, name, &mut open)) {
                Some(Ok(DnsAnswer::Cut(kind))) => match ask_by_tcp(server, name, kind, until) {
                    Ok(said) => answers.push(said),
                    Err(why) => refused = Some(NoAnswer::Tcp(Box::new(why))),
                },
                Some(Ok(said)) => answers.push(said),
                Some(Err(why)) => refused = Some(why),
                None => {}
            },
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // name_from_dns in musl's lookup_name.c: both questions are to be answered.
    if library == CLibrary::Musl && (refused.is_some() || !open.is_empty()) {
        return Err(refused.unwrap_or(NoAnswer::Timeout(timeout)));
    }
    // That one of two questions failed matters only if the other one brought nothing.
    match (together(answers), refused) {
        (Some(said @ DnsAnswer::Addresses(_)), _) | (Some(said), None) => Ok(said),
        (_, Some(why)) => Err(why),
        (None, None) => Err(NoAnswer::Timeout(timeout)),
    }
}

/// The same question, whose answer may be as long as it likes.
fn ask_by_tcp(server: &DnsServer, name: &str, kind: TYPE, until: Instant) -> Result<DnsAnswer, NoAnswer> {
    let id = number();
    let question = question(id, name, kind).ok_or(NoAnswer::Name)?;
    let bytes = tcp::exchange(server.to, &question, until)?;
    match read(&bytes, name, &mut vec![(id, kind)]) {
        None | Some(Ok(DnsAnswer::Cut(_))) => Err(NoAnswer::Unrelated),
        Some(said) => said,
    }
}

fn together(answers: Vec<DnsAnswer>) -> Option<DnsAnswer> {
    answers.into_iter().reduce(|one, other| match (one, other) {
        (DnsAnswer::Addresses(one), DnsAnswer::Addresses(other)) => {
            DnsAnswer::Addresses([one, other].concat())
        }
        (said @ DnsAnswer::Addresses(_), _) | (_, said @ DnsAnswer::Addresses(_)) => said,
        (DnsAnswer::NoName, DnsAnswer::NoName) => DnsAnswer::NoName,
        _ => DnsAnswer::NoAddress,
    })
}

/// A number that cannot be guessed without seeing the question.
fn number() -> u16 {
    random().map(u16::from_ne_bytes).unwrap_or_default()
}

fn question(id: u16, name: &str, kind: TYPE) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(Name::new(name).ok()?, kind.into(), CLASS::IN.into(), false));
    packet.build_bytes_vec().ok()
}

/// What an answer to one of the open questions says; `None` for anything else.
fn read(bytes: &[u8], name: &str, open: &mut Vec<(u16, TYPE)>) -> Option<Result<DnsAnswer, NoAnswer>> {
    let packet = Packet::parse(bytes).ok()?;
    let asked = packet.questions.first()?;
    let is_it = |(id, kind): &(u16, TYPE)| {
        let same_name = asked.qname.to_string().eq_ignore_ascii_case(name);
        packet.id() == *id
            && packet.has_flags(PacketFlag::RESPONSE)
            && asked.qtype == (*kind).into()
            && same_name
    };
    let (_, kind) = open.remove(open.iter().position(is_it)?);
    if packet.has_flags(PacketFlag::TRUNCATION) {
        return Some(Ok(DnsAnswer::Cut(kind)));
    }
    let addresses: Vec<IpAddr> = packet
        .answers
        .iter()
        .filter_map(|record| match &record.rdata {
            RData::A(a) if kind == TYPE::A => Some(Ipv4Addr::from(a.address).into()),
            RData::AAAA(aaaa) if kind == TYPE::AAAA => Some(Ipv6Addr::from(aaaa.address).into()),
            _ => None,
        })
        .collect();
    Some(match packet.rcode() {
        RCODE::NoError if addresses.is_empty() => Ok(DnsAnswer::NoAddress),
        RCODE::NoError => Ok(DnsAnswer::Addresses(addresses)),
        RCODE::NameError => Ok(DnsAnswer::NoName),
        RCODE::Refused => Err(NoAnswer::Refused),
        RCODE::ServerFailure => Err(NoAnswer::ServerFailure),
        other => Err(NoAnswer::Code(other)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::A;

    use super::*;

    fn answer(id: u16, name: &str, rcode: RCODE, addresses: &[u32]) -> Vec<u8> {
        let mut packet = Packet::new_reply(id);
        *packet.rcode_mut() = rcode;
        let name = Name::new_unchecked(name);
        packet.questions.push(Question::new(name.clone(), TYPE::A.into(), CLASS::IN.into(), false));
        for address in addresses {
            let data = RData::A(A { address: *address });
            packet.answers.push(ResourceRecord::new(name.clone(), CLASS::IN, 60, data));
        }
        packet.build_bytes_vec().unwrap()
    }

    #[test]
    fn only_an_answer_to_our_question_counts() {
        let mut open = vec![(7, TYPE::A)];
        assert!(read(&answer(8, "db", RCODE::NoError, &[1]), "db", &mut open).is_none());
        assert!(read(&answer(7, "evil", RCODE::NoError, &[1]), "db", &mut open).is_none());
        assert!(read(&question(7, "db", TYPE::A).unwrap(), "db", &mut open).is_none());
        let said = read(&answer(7, "DB", RCODE::NoError, &[0x0a01_0002]), "db", &mut open).unwrap();
        assert_eq!(said.unwrap(), DnsAnswer::Addresses(vec!["10.1.0.2".parse().unwrap()]));
        assert!(open.is_empty());
    }

    #[test]
    fn an_answer_that_was_cut_short_is_not_believed() {
        let mut bytes = answer(7, "db", RCODE::NoError, &[1]);
        // RFC 1035, 4.1.1: TC
        bytes[2] |= 2;
        let said = read(&bytes, "db", &mut vec![(7, TYPE::A)]).unwrap();
        assert_eq!(said.unwrap(), DnsAnswer::Cut(TYPE::A));
    }

    #[test]
    fn no_address_is_not_no_name() {
        let said = |rcode, addresses: &[u32]| {
            read(&answer(7, "db", rcode, addresses), "db", &mut vec![(7, TYPE::A)]).unwrap()
        };
        assert_eq!(said(RCODE::NoError, &[]).unwrap(), DnsAnswer::NoAddress);
        assert_eq!(said(RCODE::NameError, &[]).unwrap(), DnsAnswer::NoName);
        assert_eq!(said(RCODE::ServerFailure, &[]).unwrap_err().to_string(), "fails (SERVFAIL)");
        assert_eq!(together(vec![DnsAnswer::NoName, DnsAnswer::NoAddress]), Some(DnsAnswer::NoAddress));
        assert_eq!(together(vec![]), None);
    }

    /// moby/moby#45553 is about this difference.
    #[test]
    fn each_library_goes_on_as_it_does() {
        use Outcome::{NoAddress, NoAnswer, NoName, NotListening, ServerFailure};
        let nexts = |library, is_searched| {
            [NoName, NoAddress, ServerFailure, NotListening, NoAnswer]
                .map(|outcome| next(library, outcome, is_searched))
        };
        let (goes, as_it_is, ends) = (Next::Goes, Next::AsItIs, Next::Ends);
        assert_eq!(nexts(CLibrary::Glibc, true), [goes, goes, goes, ends, as_it_is]);
        assert_eq!(nexts(CLibrary::Glibc, false), [goes; 5]);
        assert_eq!(nexts(CLibrary::Musl, true), [goes, ends, ends, ends, ends]);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(
            random: Vec<u8>,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            let _ = read(&random, "db", &mut vec![(7, TYPE::A)]);
            let mut bytes = answer(7, "db", RCODE::NoError, &[1, 2]);
            for (at, value) in changes {
                *at.get_mut(&mut bytes) = value;
            }
            let _ = read(&bytes, "db", &mut vec![(7, TYPE::A)]);
        }
    }
}
