//! What happened, for people: as ping(8) prints it, so that eyes and scripts need not learn anew.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use common::failure::{Failure, say};
use common::output::one_line;
use common::packet::icmp::{Family, says, since_1970};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::course::Course;
use super::happened::{Answered, Differs, Happened, garbled_in_words};
use super::manner::Show;
use super::statistics::{FewMs, Ms, Percent, Statistics};
use crate::TOOL;
use crate::destination::{Destination, Known};
use crate::resolve::Origin;

/// Less than this in our own queue is not worth a word.
const SHORT_QUEUE: Duration = Duration::from_micros(100);

/// Lines on standard output.
#[derive(Debug)]
pub struct Lines {
    show: Show,
    /// Dots that stand on the line of a flood, or are to be taken from it.
    dots: i64,
}

impl Lines {
    pub fn new(show: Show) -> Self {
        Lines { show, dots: 0 }
    }

    /// `PING db (docker:db, 172.18.0.3 on eth0) 56(84) bytes of data.`
    pub fn begins(&self, to: &Destination, payload_bytes: u16, origin: &Origin) -> Result<(), Failure> {
        let address = to.address;
        let link = &to.link;
        let which = match &to.known {
            Known::Typed | Known::Hosts | Known::Server(_) => address.to_string(),
            Known::Gateway => format!("{address} on {link}"),
            Known::Container(target) => format!("{}, {address} on {link}", one_line(target)),
        };
        let from = match (&origin.address, &origin.link, to.way.source) {
            (Some(address), link, _) => {
                format!(" from {address} {}:", named(link.as_ref().map(|(name, _)| name)))
            }
            (None, Some((link, _)), source) => {
                format!(" from {} {link}:", source.unwrap_or(address))
            }
            (None, None, _) => String::new(),
        };
        let size = match Family::of(address) {
            Family::V4 => format!("{payload_bytes}({}) bytes of data.", u32::from(payload_bytes) + 28),
            Family::V6 => format!("{payload_bytes} data bytes"),
        };
        Ok(writeln!(io::stdout(), "PING {} ({which}){from} {size}", one_line(&to.name))?)
    }

    pub fn happened(&mut self, what: &Happened, course: &Course) -> Result<(), Failure> {
        let to = &course.to;
        if self.show.quiet {
            return Ok(());
        }
        match what {
            Happened::Sent { .. } => self.dots += 1,
            Happened::Lost { .. } => {}
            Happened::Answered(_) if self.show.flood => self.dots -= 1,
            Happened::Answered(answered) => {
                let who = who(to, answered.from, self.show.numeric);
                self.line(format_args!("{} bytes from {who}{}", answered.bytes, tail(answered, to)))?;
            }
            Happened::Outstanding { .. } if self.show.flood => {}
            Happened::Outstanding { seq } => {
                self.line(format_args!("no answer yet for icmp_seq={}", short(*seq)))?
            }
            Happened::Refused { .. } | Happened::Garbled { .. } | Happened::NotSent { .. }
                if self.show.flood =>
            {
                let letter = if matches!(what, Happened::Garbled { .. }) { "C" } else { "E" };
                io::stdout().write_all(format!("\u{8}{letter}").as_bytes())?;
            }
            Happened::Refused { seq, what } => {
                let by = what.by.or(to.way.source).unwrap_or(to.address);
                let words = says(Family::of(to.address), what.kind, what.code, what.info);
                self.line(format_args!("From {by} icmp_seq={} {words}", short(*seq)))?;
            }
            Happened::Garbled { from, seq } => {
                let which = seq.map_or_else(String::new, |seq| format!(" icmp_seq={}", short(seq)));
                self.line(format_args!("From {from}{which}: {}", garbled_in_words(*seq)))?;
            }
            Happened::NotSent { seq, errno, mtu_bytes } => {
                let mtu = mtu_bytes.map_or_else(String::new, |mtu| format!(", mtu={mtu}"));
                let why = errno.desc();
                say(
                    TOOL,
                    format_args!("{}: icmp_seq={} not sent: {why}{mtu}", one_line(&to.name), short(*seq)),
                );
            }
        }
        Ok(())
    }

    fn line(&self, line: impl Display) -> Result<(), Failure> {
        let mut out = io::stdout();
        if self.show.time_of_day {
            let now = since_1970();
            return Ok(writeln!(out, "[{}.{:06}] {line}", now.as_secs(), now.subsec_micros())?);
        }
        Ok(writeln!(out, "{line}")?)
    }

    /// Shows what a flood has done since: a dot for each packet, taken back with its answer. What cancels out is
    /// seen by nobody, and not written.
    pub fn catch_up(&mut self) -> Result<(), Failure> {
        if !self.show.flood || self.show.quiet || self.dots == 0 {
            self.dots = 0;
            // Who has nothing to write does not learn by that that nobody reads it any more.
            return if has_reader() {
                Ok(())
            } else {
                Err(io::Error::from(io::ErrorKind::BrokenPipe).into())
            };
        }
        let what = if self.dots > 0 { "." } else { "\u{8} \u{8}" };
        let count = usize::try_from(self.dots.unsigned_abs()).unwrap_or(0);
        self.dots = 0;
        let mut out = io::stdout();
        out.write_all(what.repeat(count).as_bytes())?;
        Ok(out.flush()?)
    }
}

/// Whether standard output still leads to anybody: of a pipe whose reader has gone poll(2) says so.
fn has_reader() -> bool {
    let out = io::stdout();
    let mut fds = [PollFd::new(out.as_fd(), PollFlags::empty())];
    let polled = poll(&mut fds, PollTimeout::ZERO);
    polled.is_err() || !fds[0].revents().is_some_and(|seen| seen.contains(PollFlags::POLLERR))
}

/// How it was all in all.
pub fn summary(course: &Course) -> Result<(), Failure> {
    let Statistics { transmitted, received, duplicates, corrupted, errors, .. } = course.statistics;
    let mut out = io::stdout();
    writeln!(out, "\n--- {} ping statistics ---", one_line(&course.to.name))?;
    let some =
        |number: u64, what: &str| if number > 0 { format!("+{number} {what}, ") } else { String::new() };
    writeln!(
        out,
        "{transmitted} packets transmitted, {received} received, {}{}{}{}% packet loss, time {}ms",
        some(duplicates, "duplicates"),
        some(corrupted, "corrupted"),
        some(errors, "errors"),
        Percent(course.statistics.loss_ratio()),
        course.lasted().as_millis(),
    )?;
    let trips = &course.statistics.round_trips;
    if trips.is_empty() {
        return Ok(());
    }
    let (min, avg, max, mdev) = (Ms(trips.min()), Ms(trips.avg()), Ms(trips.max()), Ms(trips.mdev()));
    write!(out, "rtt min/avg/max/mdev = {min}/{avg}/{max}/{mdev} ms")?;
    if course.most_under_way > 1 {
        write!(out, ", pipe {}", course.most_under_way)?;
    }
    if course.is_unlimited && transmitted > 1 {
        let gap = course.lasted() / u32::try_from(transmitted - 1).unwrap_or(u32::MAX);
        write!(out, ", ipg/ewma {}/{} ms", Ms(gap), Ms(trips.moving()))?;
    }
    Ok(writeln!(out)?)
}

/// A line on standard error about how it goes: SIGQUIT.
pub fn status(course: &Course) {
    let Statistics { transmitted, received, .. } = course.statistics;
    let lost = (course.statistics.loss_ratio() * 100.0) as u64;
    let trips = &course.statistics.round_trips;
    let mut line = format!("{received}/{transmitted} packets, {lost}% loss");
    if !trips.is_empty() {
        let (min, avg, moving, max) = (Ms(trips.min()), Ms(trips.avg()), Ms(trips.moving()), Ms(trips.max()));
        line += &format!(", min/avg/ewma/max = {min}/{avg}/{moving}/{max} ms");
    }
    // As ping(8) does it: a terminal has just shown ^\.
    let _ = writeln!(io::stderr(), "\r{}: {line}", one_line(&course.to.name));
}

fn named(link: Option<&common::target::IfName>) -> String {
    link.map_or_else(String::new, ToString::to_string)
}

/// As it stands on the wire.
fn short(seq: u64) -> u16 {
    seq as u16
}

/// `db (172.18.0.3)`: who was pinged by the name that was typed, and others by their addresses.
fn who(to: &Destination, from: IpAddr, numeric: bool) -> String {
    match numeric || from != to.address || to.name == from.to_string() {
        true => from.to_string(),
        false => format!("{} ({from})", one_line(&to.name)),
    }
}

fn tail(answered: &Answered, to: &Destination) -> String {
    let mut line = format!(": icmp_seq={}", short(answered.seq));
    if let Some(ttl) = answered.ttl {
        line += &format!(" ttl={ttl}");
    }
    line += &format!(" time={} ms", FewMs(answered.took.round_trip));
    let queue = answered.took.queue.filter(|queue| *queue >= SHORT_QUEUE);
    let parts = [("arp", answered.took.arp), ("queue", queue)];
    let arp = if to.address.is_ipv4() { "arp" } else { "nd" };
    let parts: Vec<String> = parts
        .into_iter()
        .filter_map(|(what, took)| Some((if what == "arp" { arp } else { what }, took?)))
        .map(|(what, took)| format!("{what} {} ms", FewMs(took)))
        .collect();
    if !parts.is_empty() {
        line += &format!(" ({})", parts.join(", "));
    }
    if answered.is_duplicate {
        line += " (DUP!)";
    }
    if answered.from != to.address && !to.is_group() {
        line += " (DIFFERENT ADDRESS!)";
    }
    if answered.is_late {
        line += " (late)";
    }
    match answered.differs {
        Some(Differs::Length) => line += " (truncated)",
        Some(Differs::Byte { at, sent, came }) => {
            line += &format!("\nwrong data byte #{at} should be 0x{sent:x} but was 0x{came:x}");
        }
        None => {}
    }
    line
}
