//! What happened, for people as arping(8) prints it, and as JSON.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

use common::diagnose::{Cause, Verdict};
use common::failure::{Failure, say};
use common::output::one_line;
use common::packet::neighbour::{Claim, InvalidFrame};
use common::target::Mac;
use nix::errno::Errno;
use serde::Serialize;

use super::tally::{ArpReplyKind, Tally};
use super::target::ArpTarget;
use crate::network::holders::{MacHolder, MacHolders, in_words};
use crate::network::neighbours::NeighbourLink;
use crate::report::event::{Event, EventKind, EventTime};
use crate::report::verdict;
use crate::report::{Ms, micros, remarks};
use crate::request::ArpRequest;
use crate::resolve::destination::{AddressSource, Destination};
use crate::tool::TOOL;

/// Where it goes.
#[derive(Debug)]
pub struct Report<'a> {
    from: &'a str,
    holders: &'a MacHolders,
    json: bool,
    quiet: bool,
    plain: bool,
    invalid: BTreeMap<InvalidFrame, u64>,
    strays: u64,
}

/// An answer, in JSON.
#[derive(Serialize)]
struct ArpReply {
    mac: String,
    /// Only where it is another one.
    sender_mac: Option<String>,
    rtt_us: Option<f64>,
    holders: Vec<MacHolder>,
}

/// The end, in JSON.
#[derive(Serialize)]
struct ArpSummary {
    sent: u64,
    received: u64,
    loss_ratio: f64,
    is_duplicate: bool,
    /// Where several links of one host answer: how many.
    links_of_one_host: Option<usize>,
    macs: Vec<String>,
    more_macs: u64,
    rtt_min_us: Option<f64>,
    rtt_avg_us: Option<f64>,
    rtt_max_us: Option<f64>,
    strays: u64,
    malformed: u64,
    kernel_dropped: u64,
}

/// A probe, in JSON.
#[derive(Serialize)]
struct ArpProbe {
    seq: u64,
}

impl<'a> Report<'a> {
    pub fn new(from: &'a str, holders: &'a MacHolders, request: &ArpRequest) -> Self {
        let ArpRequest { json, quiet, plain, .. } = *request;
        Report { from, holders, json, quiet, plain, invalid: BTreeMap::new(), strays: 0 }
    }

    fn event(&self, event: EventKind, to: &Destination, what: impl Serialize) -> Result<(), Failure> {
        let (dest, address) = (to.word.as_str(), Some(to.address));
        Event { event, stamp: EventTime::now(), from: self.from, dest, address, what }.print()
    }

    fn line(&self, line: impl Display) -> Result<(), Failure> {
        Ok(writeln!(io::stdout(), "{line}")?)
    }

    /// `ARPING 10.1.0.1 from 10.1.0.2 eth0`
    pub fn begins(&self, all: &[ArpTarget]) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        for ArpTarget { to, via, .. } in all {
            let which = match &to.known {
                AddressSource::Typed => String::new(),
                _ => format!(" ({})", one_line(&to.name)),
            };
            let own = via.sender.address.map_or_else(|| "nobody".to_owned(), |own| own.to_string());
            self.line(format_args!("ARPING {}{which} from {own} {}", to.address, via.link))?;
        }
        Ok(())
    }

    pub fn sent(&self, to: &Destination, seq: u64) -> Result<(), Failure> {
        if self.json { self.event(EventKind::Sent, to, ArpProbe { seq }) } else { Ok(()) }
    }

    pub fn lost(&self, to: &Destination, seq: u64) -> Result<(), Failure> {
        if self.json { self.event(EventKind::Lost, to, ArpProbe { seq }) } else { Ok(()) }
    }

    /// `Unicast reply from 10.1.0.1 [02:42:0a:01:00:01]  0.652ms  web eth0 (veth12ab)`
    pub fn answered(
        &self,
        asked: &ArpTarget,
        claim: &Claim,
        took: Option<Duration>,
        kind: ArpReplyKind,
    ) -> Result<(), Failure> {
        if self.json {
            let kind = if kind == ArpReplyKind::First { EventKind::Reply } else { EventKind::Duplicate };
            let sender_mac = (claim.sender != claim.mac).then(|| claim.sender.to_string());
            let (mac, rtt_us) = (claim.mac.to_string(), took.map(micros));
            let said = ArpReply { mac, sender_mac, rtt_us, holders: self.holders.of(claim) };
            return self.event(kind, &asked.to, said);
        }
        if self.quiet {
            return Ok(());
        }
        let time = took.map_or_else(String::new, |took| format!("  {}ms", Ms(took)));
        let mac = upper(claim.mac);
        if self.plain {
            return self.line(format_args!("Unicast reply from {} [{mac}]{time}", claim.address));
        }
        let lies = match claim.sender {
            sender if sender != claim.mac => format!("  sent by {}", upper(sender)),
            _ => String::new(),
        };
        let who = in_words(&self.holders.of(claim));
        let who = if who.is_empty() { who } else { format!("  {who}") };
        self.line(format_args!("Unicast reply from {} [{mac}]{time}{who}{lies}", claim.address))
    }

    pub fn invalid(&mut self, why: InvalidFrame) {
        *self.invalid.entry(why).or_default() += 1;
    }

    pub fn stray(&mut self) {
        self.strays += 1;
    }

    /// How it stands, on standard error.
    pub fn status(&self, all: &[ArpTarget]) {
        for ArpTarget { to, tally, .. } in all {
            say(TOOL, format_args!("{}: {} sent, {} received", to.address, tally.sent, tally.received));
        }
    }

    pub fn summary(&self, all: &[ArpTarget], dropped: u64) -> Result<(), Failure> {
        for asked in all {
            let tally = &asked.tally;
            if self.json {
                self.event(EventKind::Summary, &asked.to, self.numbers(tally, dropped))?;
                continue;
            }
            if all.len() > 1 {
                writeln!(io::stdout(), "\n--- {} ---", asked.to.address)?;
            }
            writeln!(io::stdout(), "Sent {} probes ({} broadcast(s))", tally.sent, tally.sent)?;
            writeln!(io::stdout(), "Received {} response(s)", tally.received)?;
            if !self.plain {
                self.round_trips(tally)?;
            }
            match (tally.is_duplicate(), self.one_host(tally)) {
                (false, _) => {}
                (true, Some(host)) => self.several_links(asked, &host)?,
                (true, None) => self.duplicates(asked)?,
            }
        }
        remarks(&self.invalid, self.strays, dropped);
        Ok(())
    }

    /// The last event of each: whether somebody answered.
    pub fn verdicts(&self, all: &[ArpTarget]) -> Result<(), Failure> {
        for ArpTarget { to, via, tally, .. } in all.iter().filter(|_| self.json) {
            let arp = if to.address.is_ipv4() { "ARP" } else { "neighbour solicitation" };
            let verdict = match (tally.answered, self.is_duplicate(tally)) {
                (0, _) => {
                    let text = format!("no answer: {} does not answer {arp} on {}", to.address, via.link);
                    Verdict::of(Cause::NeighbourSilent, text)
                }
                (_, true) => {
                    let text = format!("several MAC addresses answer {arp} for {}", to.address);
                    Verdict::of(Cause::AddressConflict, text)
                }
                (_, false) => Verdict::answered(),
            };
            verdict::print(self.from, &to.word, Some(to.address), &verdict)?;
        }
        Ok(())
    }

    fn numbers(&self, tally: &Tally, dropped: u64) -> ArpSummary {
        let lost = tally.sent.saturating_sub(tally.answered);
        let trips = (!tally.round_trips.is_empty()).then_some(&tally.round_trips);
        ArpSummary {
            sent: tally.sent,
            received: tally.received,
            loss_ratio: if tally.sent == 0 { 0.0 } else { lost as f64 / tally.sent as f64 },
            is_duplicate: self.is_duplicate(tally),
            links_of_one_host: self.one_host(tally).map(|_| tally.claims.len()),
            macs: tally.claims.iter().map(|claim| claim.mac.to_string()).collect(),
            more_macs: tally.more,
            rtt_min_us: trips.map(|trips| micros(trips.min())),
            rtt_avg_us: trips.map(|trips| micros(trips.avg())),
            rtt_max_us: trips.map(|trips| micros(trips.max())),
            strays: self.strays,
            malformed: self.invalid.values().sum(),
            kernel_dropped: dropped,
        }
    }

    fn round_trips(&self, tally: &Tally) -> Result<(), Failure> {
        let trips = &tally.round_trips;
        if trips.is_empty() {
            return Ok(());
        }
        let (min, avg, max, mdev) = (Ms(trips.min()), Ms(trips.avg()), Ms(trips.max()), Ms(trips.mdev()));
        Ok(writeln!(io::stdout(), "rtt min/avg/max/mdev = {min}/{avg}/{max}/{mdev} ms")?)
    }

    /// Whether several hosts have it. Several links of one network namespace that answer are one host (ARP flux).
    pub fn is_duplicate(&self, tally: &Tally) -> bool {
        tally.is_duplicate() && self.one_host(tally).is_none()
    }

    /// The one host of this machine whose links all MACs are, if it has the address.
    fn one_host(&self, tally: &Tally) -> Option<String> {
        if tally.claims.len() < 2 || tally.more > 0 { None } else { self.holders.one_host(&tally.claims) }
    }

    fn several_links(&self, ArpTarget { to, tally, .. }: &ArpTarget, host: &str) -> Result<(), Failure> {
        let (count, address) = (tally.claims.len(), to.address);
        // Linux answers on each link for all its addresses: ip-sysctl, arp_ignore. ND has no such thing.
        let setting = if address.is_ipv4() { " (arp_ignore=0)" } else { "" };
        self.line(format_args!("One host, {count} links answer for {address}{setting}: {host}"))?;
        for claim in &tally.claims {
            let links: Vec<String> = self.holders.of(claim).iter().map(link_in_words).collect();
            self.line(format_args!("  {}  {}", upper(claim.mac), links.join("; ")))?;
        }
        Ok(())
    }

    fn duplicates(&self, ArpTarget { to, tally, .. }: &ArpTarget) -> Result<(), Failure> {
        let more = if tally.more > 0 { "at least " } else { "" };
        writeln!(
            io::stdout(),
            "Duplicate address {}: {more}{} MAC addresses have it",
            to.address,
            tally.claims.len()
        )?;
        for claim in &tally.claims {
            let who = in_words(&self.holders.of(claim));
            writeln!(
                io::stdout(),
                "  {}  {}",
                upper(claim.mac),
                if who.is_empty() { "not on this host" } else { &who }
            )?;
        }
        Ok(())
    }
}

/// As arping(8) prints it.
fn upper(mac: Mac) -> String {
    mac.to_string().to_uppercase()
}

/// The link, and whether the address is on it or on another one of the same host.
fn link_in_words(holder: &MacHolder) -> String {
    let has = if holder.link_has_address { "has the address" } else { "does not have the address" };
    format!("{}, which {has}", holder.link)
}

/// Why a probe did not leave.
pub fn not_sent(to: &Destination, via: &NeighbourLink, errno: Errno) -> Failure {
    let what = match errno {
        Errno::ENETDOWN => "the interface went down".to_owned(),
        Errno::ENXIO | Errno::ENODEV => "the interface no longer exists".to_owned(),
        errno => format!("cannot be requested: {}", io::Error::from(errno)),
    };
    Failure::failed(format_args!("{} on {}", to.address, via.link), what)
}
