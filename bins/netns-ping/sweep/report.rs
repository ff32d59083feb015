//! Who was found, for people as a table, and as JSON.

use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

use common::failure::{Failure, say};
use common::output::table;
use serde::Serialize;

use super::Sum;
use super::addresses::Block;
use super::course::News;
use super::found::{Claim, Found, Is};
use crate::TOOL;
use crate::arp::{micros, remarks};
use crate::cli::Cli;
use crate::echo::statistics::Ms;
use crate::event::{Event, Kind, Stamp};
use crate::holder::{Holder, Holders, in_words};

/// Where it goes.
#[derive(Debug)]
pub struct Report<'a> {
    from: &'a str,
    /// What was typed for which addresses.
    dests: Vec<(Block, String)>,
    holders: &'a Holders,
    json: bool,
    quiet: bool,
}

/// An answer, in JSON.
#[derive(Serialize)]
struct Said {
    mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_mac: Option<String>,
    rtt_us: Option<f64>,
    holders: Vec<Holder>,
}

/// The end, in JSON.
#[derive(Serialize)]
struct Summary {
    asked: u64,
    not_asked: u64,
    stopped: bool,
    answered: usize,
    duplicates: usize,
    packets_sent: u64,
    took_us: u64,
    strays: u64,
    malformed: u64,
    kernel_dropped: u64,
    errors: u64,
}

impl<'a> Report<'a> {
    pub fn new(from: &'a str, dests: Vec<(Block, String)>, holders: &'a Holders, cli: &Cli) -> Self {
        Report { from, dests, holders, json: cli.json, quiet: cli.quiet }
    }

    fn holders(&self, address: IpAddr, claim: &Claim) -> Vec<Holder> {
        match &claim.answer {
            Some(answer) => self.holders.of(answer),
            None => self.holders.of_address(address),
        }
    }

    fn event(&self, event: Kind, address: Option<IpAddr>, what: impl Serialize) -> Result<(), Failure> {
        let meant = |block: &Block| address.is_none_or(|address| block.contains(address));
        let dest = self.dests.iter().find(|(block, _)| meant(block)).map_or("", |(_, dest)| dest.as_str());
        Event { event, stamp: Stamp::now(), from: self.from, dest, address, what }.print()
    }

    /// Programs are told at once.
    pub fn news(&self, news: &News) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let News { address, claim, is } = news;
        let kind = if *is == Is::New { Kind::Reply } else { Kind::Duplicate };
        self.said(kind, *address, claim)
    }

    fn said(&self, kind: Kind, address: IpAddr, claim: &Claim) -> Result<(), Failure> {
        let said = Said {
            mac: claim.answer.map(|answer| answer.mac.to_string()),
            sender_mac: claim
                .answer
                .filter(|answer| answer.sender != answer.mac)
                .map(|answer| answer.sender.to_string()),
            rtt_us: claim.took.map(micros),
            holders: self.holders(address, claim),
        };
        self.event(kind, Some(address), said)
    }

    pub fn end(&self, sum: &Sum, found: &Found, took: Duration) -> Result<(), Failure> {
        let answered = found.addresses.len();
        if self.json {
            let summary = Summary {
                asked: sum.asked - sum.not_asked,
                not_asked: sum.not_asked,
                stopped: sum.is_stopped,
                answered,
                duplicates: found.duplicates(),
                packets_sent: sum.packets_sent,
                took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                strays: found.strays,
                malformed: found.odd.values().sum(),
                kernel_dropped: sum.dropped,
                errors: found.complaints.values().sum::<u64>() + found.more_complaints,
            };
            return self.event(Kind::Summary, None, summary);
        }
        let mut out = io::stdout();
        if !self.quiet && answered > 0 {
            writeln!(out, "{}\n", self.table(found))?;
        }
        let packets = sum.packets_sent;
        write!(out, "{answered} of {} answered, {packets} packets, {:.3} s", sum.asked, took.as_secs_f64())?;
        match found.duplicates() {
            0 => {}
            duplicates => write!(out, "; {duplicates} by more than one host")?,
        }
        match (sum.is_stopped, sum.not_asked) {
            (false, _) => {}
            (true, 0) => write!(out, "; stopped before all had time to answer")?,
            (true, not_asked) => write!(out, "; stopped: {not_asked} were not asked")?,
        }
        writeln!(out)?;
        self.remarks(sum, found);
        Ok(())
    }

    fn table(&self, found: &Found) -> String {
        let mut table = table(["ADDRESS", "MAC", "RTT", "WHO"], &[2], 3);
        for (address, claims) in &found.addresses {
            for claim in claims {
                let mac = claim.answer.map_or_else(|| "-".to_owned(), |answer| answer.mac.to_string());
                let took = claim.took.map_or_else(|| "-".to_owned(), |took| format!("{} ms", Ms(took)));
                let mut who = in_words(&self.holders(*address, claim));
                if let Some(answer) = claim.answer.filter(|answer| answer.sender != answer.mac) {
                    let gap = if who.is_empty() { "" } else { "  " };
                    who = format!("{who}{gap}sent by {}", answer.sender);
                }
                table.add_row([address.to_string(), mac, took, who]);
            }
        }
        table.trim_fmt()
    }

    fn remarks(&self, sum: &Sum, found: &Found) {
        for (words, count) in &found.complaints {
            say(TOOL, format_args!("{words} ({count} times)"));
        }
        if found.more_complaints > 0 {
            say(TOOL, format_args!("and {} other errors", found.more_complaints));
        }
        if found.more_claims > 0 {
            let more = found.more_claims;
            say(
                TOOL,
                format_args!(
                    "{more} more answers for addresses that several hosts already have were ignored"
                ),
            );
        }
        remarks(&found.odd, found.strays, sum.dropped);
    }
}
