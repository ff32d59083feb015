//! What was asked for, typed. The only layer that reads the command line.

use std::net::IpAddr;
use std::time::Duration;

use common::cli::FindConfig;
use common::failure::{Failure, Status};
use common::find::hint_for_refused;
use common::hint;
use common::output::quotable;
use common::target::{Dest, DestHost, Target, Transport};
use common::typed::for_job;

use crate::cli::{Cli, EvidenceChoice};
use crate::model::EvidenceLevel;

/// A trace that is asked for.
#[derive(Debug)]
pub struct TraceRequest {
    /// From which container.
    pub target: Target,
    /// To what: one host, or one port.
    pub dest: Dest,
    /// The source address.
    pub from: Option<IpAddr>,
    /// How many bytes the whole packet has; then it may not be split.
    pub size: Option<u16>,
    /// Whether IPv4, and IPv6, are wanted.
    pub families: [bool; 2],
    /// Whether nothing is sent.
    pub explain: bool,
    /// Whether it is measured which size passes.
    pub mtu: bool,
    /// By what alone the packet is watched.
    pub evidence: Option<EvidenceLevel>,
    /// Whether JSON is printed.
    pub json: bool,
    /// How to find containers.
    pub find: FindConfig,
}

/// Drops that are to be shown.
#[derive(Debug)]
pub struct DropsRequest {
    /// Of which containers; of all if there is none.
    pub targets: Vec<Target>,
    /// For how long; until a signal without it.
    pub length: Option<Duration>,
    /// By what alone drops are watched.
    pub evidence: Option<EvidenceLevel>,
    /// Whether JSON is printed.
    pub json: bool,
    /// How to find containers.
    pub find: FindConfig,
}

/// A published port that is looked at from outside.
#[derive(Debug)]
pub struct ReverseRequest {
    /// The container that publishes it.
    pub target: Target,
    /// TCP or UDP.
    pub transport: Transport,
    /// The address of this host that clients use.
    pub address: Option<IpAddr>,
    /// The port of this host.
    pub port: u16,
    /// The address of a client.
    pub from: Option<IpAddr>,
    /// Whether IPv6 is meant where no address says so.
    pub is_six: bool,
    /// Whether JSON is printed.
    pub json: bool,
    /// How to find containers.
    pub find: FindConfig,
}

/// What is asked for.
#[derive(Debug)]
pub enum Request {
    /// To look at a published port from outside.
    Reverse(ReverseRequest),
    /// To follow one packet.
    Trace(TraceRequest),
    /// To show what is dropped.
    Drops(DropsRequest),
}

impl Request {
    /// What was asked for.
    ///
    /// # Errors
    /// What makes no sense, and why.
    pub fn of(cli: &Cli) -> Result<Self, Failure> {
        if cli.reverse {
            return ReverseRequest::of(cli).map(Request::Reverse);
        }
        if cli.drops {
            DropsRequest::of(cli).map(Request::Drops)
        } else {
            TraceRequest::of(cli).map(Request::Trace)
        }
    }
}

impl ReverseRequest {
    fn of(cli: &Cli) -> Result<Self, Failure> {
        let [from, word] = cli.words.as_slice() else {
            return Err(Failure::said(Status::Failed, "--reverse needs a TARGET and a PORT of this host"));
        };
        let port = published_port(word).ok_or_else(|| {
            let text = "is no port of this host: 8080, udp:53, tcp:192.0.2.1:8080";
            Failure::failed(quotable(word), text)
        });
        let target = target(from)?;
        let (transport, address, port) = port?;
        Ok(ReverseRequest {
            target,
            transport,
            address,
            port,
            from: cli.from,
            is_six: cli.v6,
            json: cli.json,
            find: cli.find.config(),
        })
    }
}

/// `8080`, `udp:53`, `tcp::8080`, `tcp:192.0.2.1:8080`, `tcp:[2001:db8::1]:8080`
fn published_port(word: &str) -> Option<(Transport, Option<IpAddr>, u16)> {
    let (transport, rest) = match word.split_once(':') {
        Some(("tcp", rest)) => (Transport::Tcp, rest),
        Some(("udp", rest)) => (Transport::Udp, rest),
        Some(_) => return None,
        None => (Transport::Tcp, word),
    };
    if let Ok(Dest::Port(DestHost::Address(address, None), port)) = word.parse() {
        return Some((transport, Some(address), port.number));
    }
    let number = rest.strip_prefix(':').unwrap_or(rest);
    let port: u16 = number.parse().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    (port > 0).then_some((transport, None, port))
}

impl DropsRequest {
    fn of(cli: &Cli) -> Result<Self, Failure> {
        if cli.evidence == Some(EvidenceChoice::State) {
            return Err(Failure::failed(
                "--evidence",
                "state alone does not say what is dropped: bpf or perf does",
            ));
        }
        if cli.evidence == Some(EvidenceChoice::Perf) && !cli.words.is_empty() {
            return Err(Failure::failed("--evidence", "perf sees no containers: use it without a TARGET"));
        }
        Ok(DropsRequest {
            targets: cli.words.iter().map(|word| target(word)).collect::<Result<_, _>>()?,
            length: cli.length,
            evidence: evidence(cli),
            json: cli.json,
            find: cli.find.config(),
        })
    }
}

fn target(word: &str) -> Result<Target, Failure> {
    word.parse().map_err(|error| Failure::failed(quotable(word), error).hint(hint_for_refused(word)))
}

fn evidence(cli: &Cli) -> Option<EvidenceLevel> {
    cli.evidence.map(|choice| match choice {
        EvidenceChoice::Bpf => EvidenceLevel::Bpf,
        EvidenceChoice::Perf => EvidenceLevel::Perf,
        EvidenceChoice::State => EvidenceLevel::State,
    })
}

impl TraceRequest {
    fn of(cli: &Cli) -> Result<Self, Failure> {
        let [from, word] = cli.words.as_slice() else {
            let text = "a trace needs a TARGET and a DEST: where a packet comes from, and where it goes";
            let hint = match cli.words.as_slice() {
                [only] => for_job(only).or_else(|| hint!("netns-trace {} gateway", only)),
                _ => hint!("netns-trace --help"),
            };
            return Err(Failure::said(Status::Failed, text).hint(hint));
        };
        let target = target(from)?;
        let dest: Dest = word.parse().map_err(|error| Failure::failed(quotable(word), error))?;
        if dest.is_many() {
            return Err(Failure::failed(word, "means many addresses, but a packet goes to one"));
        }
        if cli.mtu && matches!(dest, Dest::Port(..)) {
            return Err(Failure::failed(
                word,
                "has a port, but --mtu measures with pings: leave the port out",
            ));
        }
        if cli.mtu && cli.evidence == Some(EvidenceChoice::State) {
            return Err(Failure::failed(
                "--evidence",
                "state alone does not say what passes: bpf or perf does",
            ));
        }
        if let Some(from) = cli.from.filter(|from| from.is_unspecified() || from.is_multicast()) {
            return Err(Failure::failed(from, "is no address that a packet can come from"));
        }
        let is_four = cli.from.map(|from| from.is_ipv4());
        let families = [!cli.v6 && is_four != Some(false), !cli.v4 && is_four != Some(true)];
        if families == [false, false] {
            return Err(Failure::failed("--from", "is an address of the other family than -4 or -6 says"));
        }
        Ok(TraceRequest {
            target,
            dest,
            from: cli.from,
            size: cli.size,
            families,
            explain: cli.explain,
            mtu: cli.mtu,
            evidence: evidence(cli),
            json: cli.json,
            find: cli.find.config(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_port_has_a_protocol_and_perhaps_an_address() {
        let port = |word| {
            published_port(word).map(|(transport, address, port)| {
                (transport.as_str(), address.map(|address| address.to_string()), port)
            })
        };
        assert_eq!(port("8080"), Some(("tcp", None, 8080)));
        assert_eq!(port("udp:53"), Some(("udp", None, 53)));
        assert_eq!(port("tcp::8080"), Some(("tcp", None, 8080)));
        assert_eq!(port("tcp:192.0.2.1:80"), Some(("tcp", Some("192.0.2.1".to_owned()), 80)));
        assert_eq!(port("tcp:[2001:db8::1]:80"), Some(("tcp", Some("2001:db8::1".to_owned()), 80)));
        for word in
            ["", "0", "+80", "65536", "http", "sctp:80", "tcp:db:80", "tcp:docker:db:80", "192.0.2.1:80"]
        {
            assert_eq!(port(word), None, "{word}");
        }
    }
}
