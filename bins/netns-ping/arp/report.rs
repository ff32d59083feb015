//! What happened, for people as arping(8) prints it, and as JSON.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

use common::failure::{Failure, say};
use common::output::one_line;
use common::packet::ask::{Answer, Oddity};
use common::packet::icmp::since_1970;
use nix::errno::Errno;
use serde::Serialize;

use super::ask::Asked;
use super::tally::{Is, Tally};
use crate::TOOL;
use crate::cli::Cli;
use crate::destination::{Destination, Known};
use crate::echo::statistics::Ms;
use crate::event::{Event, Kind, Stamp};
use crate::holder::{Holder, Holders, in_words};
use crate::inside::Inside;
use crate::neighbourhood::Neighbourhood;

/// Where it goes.
#[derive(Debug)]
pub struct Report<'a> {
    from: &'a str,
    holders: &'a Holders,
    json: bool,
    quiet: bool,
    time_of_day: bool,
    odd: BTreeMap<Oddity, u64>,
    strays: u64,
}

/// An answer, in JSON.
#[derive(Serialize)]
struct Said {
    mac: String,
    /// Only where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_mac: Option<String>,
    rtt_us: Option<f64>,
    holders: Vec<Holder>,
}

/// The end, in JSON.
#[derive(Serialize)]
struct Summary {
    sent: u64,
    received: u64,
    loss_ratio: f64,
    is_duplicate: bool,
    macs: Vec<String>,
    more_macs: u64,
    rtt_min_us: Option<f64>,
    rtt_avg_us: Option<f64>,
    rtt_max_us: Option<f64>,
    strays: u64,
    malformed: u64,
    kernel_dropped: u64,
}

#[derive(Serialize)]
struct Nothing {}

pub fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

impl<'a> Report<'a> {
    pub fn new(inside: &'a Inside, holders: &'a Holders, cli: &Cli) -> Self {
        let Cli { json, quiet, time_of_day, .. } = *cli;
        Report { from: &inside.name, holders, json, quiet, time_of_day, odd: BTreeMap::new(), strays: 0 }
    }

    fn event(&self, event: Kind, to: &Destination, what: impl Serialize) -> Result<(), Failure> {
        let (dest, address) = (to.word.as_str(), Some(to.address));
        Event { event, stamp: Stamp::now(), from: self.from, dest, address, what }.print()
    }

    fn line(&self, line: impl Display) -> Result<(), Failure> {
        let mut out = io::stdout();
        if self.time_of_day {
            let now = since_1970();
            write!(out, "[{}.{:06}] ", now.as_secs(), now.subsec_micros())?;
        }
        Ok(writeln!(out, "{line}")?)
    }

    /// `ARPING 10.1.0.1 from 10.1.0.2 eth0`
    pub fn begins(&self, all: &[Asked]) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        for Asked { to, hood, .. } in all {
            let which = match &to.known {
                Known::Typed => String::new(),
                _ => format!(" ({})", one_line(&to.name)),
            };
            let own = hood.asker.address.map_or_else(|| "nobody".to_owned(), |own| own.to_string());
            self.line(format_args!("ARPING {}{which} from {own} {}", to.address, hood.link))?;
        }
        Ok(())
    }

    pub fn sent(&self, to: &Destination) -> Result<(), Failure> {
        if self.json { self.event(Kind::Sent, to, Nothing {}) } else { Ok(()) }
    }

    pub fn lost(&self, to: &Destination) -> Result<(), Failure> {
        if self.json { self.event(Kind::Lost, to, Nothing {}) } else { Ok(()) }
    }

    /// `Unicast reply from 10.1.0.1 [02:42:0a:01:00:01]  0.652ms  web eth0 (veth12ab)`
    pub fn answered(
        &self,
        asked: &Asked,
        answer: &Answer,
        took: Option<Duration>,
        is: Is,
    ) -> Result<(), Failure> {
        if self.json {
            let kind = if is == Is::First { Kind::Reply } else { Kind::Duplicate };
            let sender_mac = (answer.sender != answer.mac).then(|| answer.sender.to_string());
            let (mac, rtt_us) = (answer.mac.to_string(), took.map(micros));
            let said = Said { mac, sender_mac, rtt_us, holders: self.holders.of(answer) };
            return self.event(kind, &asked.to, said);
        }
        if self.quiet {
            return Ok(());
        }
        let time = took.map_or_else(String::new, |took| format!("  {}ms", Ms(took)));
        let lies = match answer.sender {
            sender if sender != answer.mac => format!("  sent by {sender}"),
            _ => String::new(),
        };
        let who = in_words(&self.holders.of(answer));
        let who = if who.is_empty() { who } else { format!("  {who}") };
        self.line(format_args!("Unicast reply from {} [{}]{time}{who}{lies}", answer.address, answer.mac))
    }

    pub fn odd(&mut self, oddity: Oddity) {
        *self.odd.entry(oddity).or_default() += 1;
    }

    pub fn stray(&mut self) {
        self.strays += 1;
    }

    /// How it stands, on standard error.
    pub fn status(&self, all: &[Asked]) {
        for Asked { to, tally, .. } in all {
            say(TOOL, format_args!("{}: {} sent, {} received", to.address, tally.sent, tally.received));
        }
    }

    pub fn summary(&self, all: &[Asked], dropped: u64) -> Result<(), Failure> {
        for asked in all {
            let tally = &asked.tally;
            if self.json {
                self.event(Kind::Summary, &asked.to, self.numbers(tally, dropped))?;
                continue;
            }
            if all.len() > 1 {
                writeln!(io::stdout(), "\n--- {} ---", asked.to.address)?;
            }
            writeln!(io::stdout(), "Sent {} probes ({} broadcast(s))", tally.sent, tally.sent)?;
            writeln!(io::stdout(), "Received {} response(s)", tally.received)?;
            self.round_trips(tally)?;
            if tally.is_duplicate() {
                self.duplicates(asked)?;
            }
        }
        self.remarks(dropped);
        Ok(())
    }

    fn numbers(&self, tally: &Tally, dropped: u64) -> Summary {
        let lost = tally.sent.saturating_sub(tally.answered);
        let trips = (!tally.round_trips.is_empty()).then_some(&tally.round_trips);
        Summary {
            sent: tally.sent,
            received: tally.received,
            loss_ratio: if tally.sent == 0 { 0.0 } else { lost as f64 / tally.sent as f64 },
            is_duplicate: tally.is_duplicate(),
            macs: tally.claims.iter().map(|claim| claim.mac.to_string()).collect(),
            more_macs: tally.more,
            rtt_min_us: trips.map(|trips| micros(trips.min())),
            rtt_avg_us: trips.map(|trips| micros(trips.avg())),
            rtt_max_us: trips.map(|trips| micros(trips.max())),
            strays: self.strays,
            malformed: self.odd.values().sum(),
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

    fn duplicates(&self, Asked { to, tally, .. }: &Asked) -> Result<(), Failure> {
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
                claim.mac,
                if who.is_empty() { "not on this host" } else { &who }
            )?;
        }
        Ok(())
    }

    fn remarks(&self, dropped: u64) {
        remarks(&self.odd, self.strays, dropped);
    }
}

/// What came and was no answer, on standard error.
pub fn remarks(odd: &BTreeMap<Oddity, u64>, strays: u64, dropped: u64) {
    for (oddity, count) in odd {
        say(TOOL, format_args!("{count} frames {oddity} were ignored"));
    }
    if strays > 0 {
        say(TOOL, format_args!("{strays} answers for addresses that were not requested were ignored"));
    }
    if dropped > 0 {
        say(
            TOOL,
            format_args!("the kernel dropped {dropped} answers that came faster than they could be read"),
        );
    }
}

/// Why a question did not leave.
pub fn not_sent(to: &Destination, hood: &Neighbourhood, errno: Errno) -> Failure {
    let what = match errno {
        Errno::ENETDOWN => "the interface went down".to_owned(),
        Errno::ENXIO | Errno::ENODEV => "the interface no longer exists".to_owned(),
        errno => format!("cannot be requested: {}", io::Error::from(errno)),
    };
    Failure::trouble(format_args!("{} on {}", to.address, hood.link), what)
}
