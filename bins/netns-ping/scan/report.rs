//! Which addresses answered, for people as a table, and as JSON.

use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

use common::diagnose::{Cause, Verdict};
use common::failure::{Failure, say};
use common::output::{leave_out, table};
use common::packet::neighbour::Claim;
use serde::Serialize;

use super::address_set::Block;
use super::results::{NewReply, ReplyKind, ScanReply, ScanResults, ScanTotals};
use crate::network::holders::{MacHolder, MacHolders, in_words};
use crate::report::event::{Event, EventKind, EventTime};
use crate::report::{Ms, micros, remarks, verdict as verdict_event};
use crate::request::ScanRequest;
use crate::tool::TOOL;

/// On a terminal with fewer columns there is no room for WHO beside what is not broken up.
const NARROW: u16 = 60;

/// Where it goes.
#[derive(Debug)]
pub struct Report<'a> {
    from: &'a str,
    /// What was typed for which addresses.
    dests: Vec<(Block, String)>,
    holders: &'a MacHolders,
    json: bool,
    quiet: bool,
}

/// An answer, in JSON.
#[derive(Serialize)]
struct ReplyEvent {
    mac: Option<String>,
    sender_mac: Option<String>,
    rtt_us: f64,
    /// Whether the address is one of the container's own.
    is_own: bool,
    holders: Vec<MacHolder>,
}

/// The end, in JSON.
#[derive(Serialize)]
struct ScanSummary {
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
    pub fn new(
        from: &'a str,
        dests: Vec<(Block, String)>,
        holders: &'a MacHolders,
        request: &ScanRequest,
    ) -> Self {
        Report { from, dests, holders, json: request.json, quiet: request.quiet }
    }

    fn holders(&self, address: IpAddr, reply: &ScanReply) -> Vec<MacHolder> {
        match &reply.claim {
            Some(claim) => self.holders.of(claim),
            None => self.holders.of_address(address),
        }
    }

    fn event(&self, event: EventKind, address: Option<IpAddr>, what: impl Serialize) -> Result<(), Failure> {
        let meant = |block: &Block| address.is_none_or(|address| block.contains(address));
        let dest = self.dests.iter().find(|(block, _)| meant(block)).map_or("", |(_, dest)| dest.as_str());
        Event { event, stamp: EventTime::now(), from: self.from, dest, address, what }.print()
    }

    /// Addresses that several hosts have, the container among them. Several links of one host of this machine are no
    /// duplicate (ARP flux).
    fn duplicates(&self, results: &ScanResults) -> usize {
        let is_one_host = |replies: &[ScanReply]| {
            let claims: Option<Vec<Claim>> = replies.iter().map(|reply| reply.claim).collect();
            claims.is_some_and(|claims| self.holders.one_host(&claims).is_some())
        };
        results.several().filter(|replies| !is_one_host(replies)).count() + results.conflicts.len()
    }

    /// Programs are told at once.
    pub fn reply(&self, NewReply { address, reply, kind, is_own }: &NewReply) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let event = if *kind == ReplyKind::New { EventKind::Reply } else { EventKind::Duplicate };
        let mac = reply.claim.map(|claim| claim.mac.to_string());
        let other = reply.claim.filter(|claim| claim.sender != claim.mac);
        let sender_mac = other.map(|claim| claim.sender.to_string());
        let holders = self.holders(*address, reply);
        let what = ReplyEvent { mac, sender_mac, rtt_us: micros(reply.took), is_own: *is_own, holders };
        self.event(event, Some(*address), what)
    }

    pub fn end(&self, totals: &ScanTotals, results: &ScanResults, took: Duration) -> Result<(), Failure> {
        let answered = results.addresses.len();
        if self.json {
            let summary = ScanSummary {
                asked: totals.asked - totals.not_asked,
                not_asked: totals.not_asked,
                stopped: totals.is_stopped,
                answered,
                duplicates: self.duplicates(results),
                packets_sent: totals.packets_sent,
                took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                strays: results.strays,
                malformed: results.invalid.values().sum(),
                kernel_dropped: totals.dropped,
                errors: results.errors.values().sum::<u64>() + results.more_errors,
            };
            return self.event(EventKind::Summary, None, summary);
        }
        let mut out = io::stdout();
        if !self.quiet && (answered > 0 || !results.conflicts.is_empty()) {
            writeln!(out, "{}\n", self.table(results))?;
        }
        let packets = totals.packets_sent;
        write!(
            out,
            "{answered} of {} answered, {packets} packets, {:.3} s",
            totals.asked,
            took.as_secs_f64()
        )?;
        match self.duplicates(results) {
            0 => {}
            duplicates => write!(out, "; {duplicates} by more than one host")?,
        }
        match (totals.is_stopped, totals.not_asked) {
            (false, _) => {}
            (true, 0) => write!(out, "; stopped before all had time to answer")?,
            (true, not_asked) => write!(out, "; stopped: {not_asked} were not asked")?,
        }
        writeln!(out)?;
        self.remarks(totals, results);
        Ok(())
    }

    /// What it all means, as the last event: nothing is wrong where any address answered.
    pub fn verdict(&self, totals: &ScanTotals, results: &ScanResults, is_whole: bool) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let has_answers = !results.addresses.is_empty() || !results.conflicts.is_empty();
        let verdict = match (is_whole, has_answers) {
            _ if self.duplicates(results) > 0 => {
                let text = format!("addresses that more than one host has: {}", self.duplicates(results));
                Verdict::of(Cause::AddressConflict, text)
            }
            (false, _) => Verdict::of(Cause::NotDone, "a part of the addresses could not be asked for"),
            (true, true) => Verdict::answered(),
            (true, false) if totals.is_stopped => {
                Verdict::of(Cause::NotDone, "no answer: it was stopped before all had time to answer")
            }
            (true, false) => {
                let text = format!("no answer of any of {} addresses", totals.asked);
                Verdict::of(Cause::NoAnswer, text)
            }
        };
        let dests: Vec<&str> = self.dests.iter().map(|(_, dest)| dest.as_str()).collect();
        verdict_event::print(self.from, &dests.join(" "), None, &verdict)
    }

    fn table(&self, results: &ScanResults) -> String {
        let mut table = table(["ADDRESS", "MAC", "RTT", "WHO"], &[2]);
        let mut all: Vec<_> = results.addresses.iter().chain(&results.conflicts).collect();
        all.sort_by_key(|(address, _)| *address);
        for (address, replies) in all {
            for reply in replies {
                let mac = reply.claim.map_or_else(|| "-".to_owned(), |claim| claim.mac.to_string());
                let took = format!("{} ms", Ms(reply.took));
                let mut who = in_words(&self.holders(*address, reply));
                if let Some(claim) = reply.claim.filter(|claim| claim.sender != claim.mac) {
                    let gap = if who.is_empty() { "" } else { "  " };
                    who = format!("{who}{gap}sent by {}", claim.sender);
                }
                table.add_row([address.to_string(), mac, took, who]);
            }
        }
        let is_narrow = table.width().is_some_and(|columns| columns < NARROW);
        leave_out(&mut table, if is_narrow { &[2, 3] } else { &[2] });
        table.trim_fmt()
    }

    fn remarks(&self, totals: &ScanTotals, results: &ScanResults) {
        for (address, replies) in &results.conflicts {
            let macs: Vec<String> =
                replies.iter().filter_map(|reply| Some(reply.claim?.mac.to_string())).collect();
            let (from, macs) = (self.from, macs.join(", "));
            say(TOOL, format_args!("{address} is an address of {from}, and {macs} has it too"));
        }
        for (words, count) in &results.errors {
            say(TOOL, format_args!("{words} ({count} times)"));
        }
        if results.more_errors > 0 {
            say(TOOL, format_args!("and {} other errors", results.more_errors));
        }
        if results.more_replies > 0 {
            let more = results.more_replies;
            say(
                TOOL,
                format_args!(
                    "{more} more answers for addresses that several hosts already have were ignored"
                ),
            );
        }
        remarks(&results.invalid, results.strays, totals.dropped);
    }
}
