//! The question to the container's name servers, from its own network: RFC 1035, as resolv.conf(5) has it asked.
//! Messages are built and read with simple-dns.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use common::failure::{Failure, Status};
use common::packet::random;
use nix::errno::Errno;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE};

use super::files::ResolvConf;
use super::tcp;

/// RFC 1035, 4.2.1: without EDNS no answer is longer; some are nevertheless.
const MOST_BYTES: usize = 4096;
const PORT: u16 = 53;
/// For one name, all domains and servers together. glibc gives two servers as long as they have by default (two times
/// five seconds each), but a container's resolv.conf may ask for 450 seconds, and for 33 names.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Why a name has no address.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// A server says that there is none of this name, or none with an address of the families asked for.
    #[error("{server} reports that {}{}", if *.exists { "the name has no address of that kind" } else { "there is no such name" }, and_also(.tried))]
    Nobody {
        /// Who said so.
        server: IpAddr,
        /// Whether the name is there, for something else.
        exists: bool,
        /// All names that were asked for.
        tried: Vec<String>,
    },
    /// Nobody answered, or with nothing that helps.
    #[error("the name cannot be looked up: {}", said.join("; "))]
    Silence {
        /// What came of each server.
        said: Vec<String>,
    },
    /// It took too long, whatever the container's resolv.conf says.
    #[error("looked up {candidate} for {}s without an answer: {}", patience.as_secs_f64(), said.join("; "))]
    TooSlow {
        /// The name that was asked for last.
        candidate: String,
        /// How long it might take.
        patience: Duration,
        /// What came of each server that was asked for it.
        said: Vec<String>,
    },
}

fn and_also(tried: &[String]) -> String {
    match tried {
        [_] | [] => String::new(),
        names => format!(" (tried {})", names.join(", ")),
    }
}

impl LookupError {
    /// What it means for the DEST `word`.
    pub fn about(self, word: &str) -> Failure {
        let failure = Failure::said(Status::Trouble, format_args!("{word}: {self}"));
        match self {
            // Engines give containers names without points, and some of them tell their servers.
            LookupError::Nobody { exists: false, .. } if !word.contains('.') => {
                failure.hint(common::hint!("use docker:{} for the container of that name", word))
            }
            _ => failure,
        }
    }
}

/// Addresses, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    pub addresses: Vec<IpAddr>,
    pub server: IpAddr,
}

/// Which kinds of addresses are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds {
    pub v4: bool,
    pub v6: bool,
}

/// A name server that questions are put to, through a socket in the container's network.
#[derive(Debug)]
pub struct Server {
    pub address: IpAddr,
    to: SocketAddr,
    socket: UdpSocket,
}

/// A server, or why it cannot even be asked.
pub type Reached = Result<Server, (IpAddr, io::Error)>;

impl Server {
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
        Ok(Server { address, to, socket })
    }
}

/// What one server says of one name.
#[derive(Debug, PartialEq, Eq)]
enum Said {
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
    kinds: Kinds,
    patience: Duration,
) -> Result<Addresses, LookupError> {
    let until = Instant::now() + patience;
    let tried = conf.candidates(name);
    let mut nobody = None;
    let mut silence = Vec::new();
    for candidate in &tried {
        match ask_all(conf, servers, candidate, kinds, until) {
            Ok((Said::Addresses(addresses), server)) => return Ok(Addresses { addresses, server }),
            Ok((said, server)) => {
                let exists = said == Said::NoAddress || matches!(nobody, Some((true, _)));
                nobody = Some((exists, server));
            }
            // Who did not answer this will not answer the next one.
            Err(said) if Instant::now() >= until => {
                return Err(LookupError::TooSlow { candidate: candidate.clone(), patience, said });
            }
            Err(said) => {
                silence = said;
                break;
            }
        }
    }
    match nobody {
        Some((exists, server)) if silence.is_empty() => Err(LookupError::Nobody { server, exists, tried }),
        _ => Err(LookupError::Silence { said: silence }),
    }
}

/// Each server in turn, as often as is to be tried; what became of each if none has an answer.
fn ask_all(
    conf: &ResolvConf,
    servers: &[Reached],
    name: &str,
    kinds: Kinds,
    until: Instant,
) -> Result<(Said, IpAddr), Vec<String>> {
    let mut silence = vec![String::new(); servers.len()];
    for _ in 0..conf.attempts {
        for (server, silence) in servers.iter().zip(&mut silence) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                if silence.is_empty() {
                    let (Ok(Server { address, .. }) | Err((address, _))) = server;
                    *silence = format!("{address} was not asked");
                }
                continue;
            }
            match server {
                Ok(server) => match ask(server, name, kinds, conf.timeout.min(left)) {
                    Ok(said) => return Ok((said, server.address)),
                    Err(why) => *silence = format!("{} {why}", server.address),
                },
                Err((address, error)) => *silence = format!("{address} {}", refused(error)),
            }
        }
    }
    Err(silence)
}

/// Both questions at once, as glibc has it; why there is no answer.
fn ask(server: &Server, name: &str, kinds: Kinds, timeout: Duration) -> Result<Said, String> {
    let wanted = [(TYPE::A, kinds.v4), (TYPE::AAAA, kinds.v6)];
    let wanted = wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(kind, _)| kind);
    let mut open: Vec<(u16, TYPE)> = Vec::new();
    for kind in wanted {
        let id = number();
        let question =
            question(id, name, kind).ok_or("cannot be asked for such a name: it is not valid in DNS")?;
        server.socket.send(&question).map_err(|error| refused(&error))?;
        open.push((id, kind));
    }
    let until = Instant::now() + timeout;
    let (mut answers, mut trouble) = (Vec::new(), None);
    let mut bytes = vec![0; MOST_BYTES];
    while !open.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        server.socket.set_read_timeout(Some(left)).map_err(|error| refused(&error))?;
        match server.socket.recv(&mut bytes) {
            Ok(length) => match bytes.get(..length).and_then(|bytes| read(bytes, name, &mut open)) {
                Some(Ok(Said::Cut(kind))) => match ask_by_tcp(server, name, kind, until) {
                    Ok(said) => answers.push(said),
                    Err(why) => trouble = Some(format!("truncates its answer, and over TCP {why}")),
                },
                Some(Ok(said)) => answers.push(said),
                Some(Err(why)) => trouble = Some(why),
                None => {}
            },
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(refused(&error)),
        }
    }
    // That one of two questions failed matters only if the other one brought nothing.
    match (together(answers), trouble) {
        (Some(said @ Said::Addresses(_)), _) | (Some(said), None) => Ok(said),
        (_, Some(why)) => Err(why),
        (None, None) => Err(format!("does not answer within {}s", in_tenths(timeout))),
    }
}

/// The same question, whose answer may be as long as it likes.
fn ask_by_tcp(server: &Server, name: &str, kind: TYPE, until: Instant) -> Result<Said, String> {
    let id = number();
    let question =
        question(id, name, kind).ok_or("cannot be asked for such a name: it is not valid in DNS")?;
    let bytes = tcp::exchange(server.to, &question, until).map_err(|error| refused(&error))?;
    match read(&bytes, name, &mut vec![(id, kind)]) {
        None | Some(Ok(Said::Cut(_))) => Err("answers another question".to_owned()),
        Some(said) => said,
    }
}

/// Seconds, with a tenth only where that is not nothing.
fn in_tenths(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

fn together(answers: Vec<Said>) -> Option<Said> {
    answers.into_iter().reduce(|one, other| match (one, other) {
        (Said::Addresses(one), Said::Addresses(other)) => Said::Addresses([one, other].concat()),
        (said @ Said::Addresses(_), _) | (_, said @ Said::Addresses(_)) => said,
        (Said::NoName, Said::NoName) => Said::NoName,
        _ => Said::NoAddress,
    })
}

fn refused(error: &io::Error) -> String {
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

/// Nobody can guess it who does not see the question.
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
fn read(bytes: &[u8], name: &str, open: &mut Vec<(u16, TYPE)>) -> Option<Result<Said, String>> {
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
        return Some(Ok(Said::Cut(kind)));
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
        RCODE::NoError if addresses.is_empty() => Ok(Said::NoAddress),
        RCODE::NoError => Ok(Said::Addresses(addresses)),
        RCODE::NameError => Ok(Said::NoName),
        RCODE::Refused => Err("refuses to answer".to_owned()),
        RCODE::ServerFailure => Err("fails (SERVFAIL)".to_owned()),
        other => Err(format!("answers {other:?}")),
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
        assert_eq!(read(&answer(8, "db", RCODE::NoError, &[1]), "db", &mut open), None);
        assert_eq!(read(&answer(7, "evil", RCODE::NoError, &[1]), "db", &mut open), None);
        assert_eq!(read(&question(7, "db", TYPE::A).unwrap(), "db", &mut open), None);
        let said = read(&answer(7, "DB", RCODE::NoError, &[0x0a01_0002]), "db", &mut open);
        assert_eq!(said, Some(Ok(Said::Addresses(vec!["10.1.0.2".parse().unwrap()]))));
        assert!(open.is_empty());
    }

    #[test]
    fn an_answer_that_was_cut_short_is_not_believed() {
        let mut bytes = answer(7, "db", RCODE::NoError, &[1]);
        // RFC 1035, 4.1.1: TC
        bytes[2] |= 2;
        assert_eq!(read(&bytes, "db", &mut vec![(7, TYPE::A)]), Some(Ok(Said::Cut(TYPE::A))));
    }

    #[test]
    fn no_address_is_not_no_name() {
        let said = |rcode, addresses: &[u32]| {
            read(&answer(7, "db", rcode, addresses), "db", &mut vec![(7, TYPE::A)]).unwrap()
        };
        assert_eq!(said(RCODE::NoError, &[]), Ok(Said::NoAddress));
        assert_eq!(said(RCODE::NameError, &[]), Ok(Said::NoName));
        assert_eq!(said(RCODE::ServerFailure, &[]), Err("fails (SERVFAIL)".to_owned()));
        assert_eq!(together(vec![Said::NoName, Said::NoAddress]), Some(Said::NoAddress));
        assert_eq!(together(vec![]), None);
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
