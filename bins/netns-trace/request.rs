//! What was asked for, typed. The only layer that reads the command line.

use std::net::IpAddr;

use common::cli::FindConfig;
use common::failure::Failure;
use common::find::hint_for_refused;
use common::output::quotable;
use common::target::{Dest, Target};

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
    /// By what alone the packet is watched.
    pub evidence: Option<EvidenceLevel>,
    /// Whether JSON is printed.
    pub json: bool,
    /// How to find containers.
    pub find: FindConfig,
}

impl TraceRequest {
    /// What was asked for.
    ///
    /// # Errors
    /// What makes no sense, and why.
    pub fn of(cli: &Cli) -> Result<Self, Failure> {
        let [target, dest] = cli.words.as_slice() else {
            return Err(Failure::failed("netns-trace", "needs a TARGET and a DEST"));
        };
        let target: Target = target
            .parse()
            .map_err(|error| Failure::failed(quotable(target), error).hint(hint_for_refused(target)))?;
        let word = dest;
        let dest: Dest = word.parse().map_err(|error| Failure::failed(quotable(word), error))?;
        if dest.is_many() {
            return Err(Failure::failed(word, "means many addresses, but a packet goes to one"));
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
            evidence: cli.evidence.map(|choice| match choice {
                EvidenceChoice::Bpf => EvidenceLevel::Bpf,
                EvidenceChoice::Perf => EvidenceLevel::Perf,
                EvidenceChoice::State => EvidenceLevel::State,
            }),
            json: cli.json,
            find: cli.find.config(),
        })
    }
}
