//! What happened, for people: as ping(8) prints it, for eyes and scripts that know that.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use common::failure::{Failure, say};
use common::output::one_line;
use common::packet::icmp::describe;
use common::packet::{IpFamily, realtime_now};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::event::{EchoAnswer, EchoEvent, PayloadDifference, garbled_in_words};
use super::session::EchoSession;
use super::statistics::{Percent, Statistics};
use crate::report::{FewMs, Ms};
use crate::request::{EchoConfig, ShowOptions};
use crate::resolve::Origin;
use crate::resolve::destination::{AddressSource, Destination};
use crate::tool::TOOL;

/// Less than this in our own queue is not worth a word.
const SHORT_QUEUE: Duration = Duration::from_micros(100);

/// Lines on standard output.
#[derive(Debug)]
pub struct PingLines {
    show: ShowOptions,
    /// Dots that stand on the line of a flood, or are to be taken from it.
    dots: i64,
    /// What packets are filled with, if that was said.
    pattern: Option<Vec<u8>>,
}

impl PingLines {
    pub fn new(config: &EchoConfig) -> Self {
        PingLines {
            show: config.show,
            dots: 0,
            pattern: config.pattern.clone().filter(|_| !config.show.quiet),
        }
    }

    /// `PING db (docker:db, 172.18.0.3 on eth0) 56(84) bytes of data.`
    pub fn begins(&self, to: &Destination, payload_bytes: u16, origin: &Origin) -> Result<(), Failure> {
        let address = to.address;
        let (link, shown) = (&to.link, shown(to, address));
        let which = match &to.known {
            _ if self.show.plain => shown,
            AddressSource::Typed | AddressSource::Hosts | AddressSource::Server(_) => shown,
            AddressSource::Gateway => format!("{address} on {link}"),
            AddressSource::Container(target) => format!("{}, {address} on {link}", one_line(target)),
        };
        let from = match (&origin.address, &origin.link, to.route.source) {
            (Some(address), link, _) => {
                format!(" from {address} {}:", named(link.as_ref().map(|(name, _)| name)))
            }
            (None, Some((link, _)), source) => {
                format!(" from {} {link}:", source.unwrap_or(address))
            }
            (None, None, _) => String::new(),
        };
        let size = match IpFamily::of(address) {
            IpFamily::V4 => format!("{payload_bytes}({}) bytes of data.", u32::from(payload_bytes) + 28),
            IpFamily::V6 => format!("{payload_bytes} data bytes"),
        };
        if let Some(pattern) = &self.pattern {
            let hex: String = pattern.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(io::stdout(), "PATTERN: 0x{hex}")?;
        }
        // Of IPv6 older pings have no space there, and programs that read them (jc) cannot do with one.
        let is_theirs = !matches!(to.known, AddressSource::Gateway | AddressSource::Container(_));
        let space = if address.is_ipv6() && (is_theirs || self.show.plain) { "" } else { " " };
        Ok(writeln!(io::stdout(), "PING {}{space}({which}){from} {size}", one_line(&to.name))?)
    }

    pub fn event(&mut self, what: &EchoEvent, session: &EchoSession) -> Result<(), Failure> {
        let to = &session.to;
        if self.show.quiet {
            return Ok(());
        }
        match what {
            EchoEvent::Sent { .. } => self.dots += 1,
            EchoEvent::Lost { .. } => {}
            EchoEvent::Answered(_) if self.show.flood => self.dots -= 1,
            EchoEvent::Answered(answered) => {
                let who = who(to, answered.from, self.show.numeric);
                let tail = tail(answered, to, self.show.plain);
                self.line(format_args!("{} bytes from {who}{tail}", answered.bytes))?;
            }
            EchoEvent::Outstanding { .. } if self.show.flood => {}
            EchoEvent::Outstanding { seq } => {
                self.line(format_args!("no answer yet for icmp_seq={}", short(*seq)))?
            }
            EchoEvent::Refused { .. } | EchoEvent::Garbled { .. } | EchoEvent::NotSent { .. }
                if self.show.flood =>
            {
                let letter = if matches!(what, EchoEvent::Garbled { .. }) { "C" } else { "E" };
                io::stdout().write_all(format!("\u{8}{letter}").as_bytes())?;
            }
            EchoEvent::Refused { seq, error } => {
                let by = shown(to, error.by.or(to.route.source).unwrap_or(to.address));
                let words = describe(IpFamily::of(to.address), error.kind, error.code, error.info);
                self.line(format_args!("From {by} icmp_seq={} {words}", short(*seq)))?;
            }
            EchoEvent::Garbled { from, seq } => {
                let which = seq.map_or_else(String::new, |seq| format!(" icmp_seq={}", short(seq)));
                self.line(format_args!("From {}{which}: {}", shown(to, *from), garbled_in_words(*seq)))?;
            }
            EchoEvent::NotSent { seq, errno, mtu_bytes } => {
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
            let now = realtime_now();
            return Ok(writeln!(out, "[{}.{:06}] {line}", now.as_secs(), now.subsec_micros())?);
        }
        Ok(writeln!(out, "{line}")?)
    }

    /// Shows what a flood has done since: a dot for each packet, taken back with its answer. What cancels out is not
    /// written.
    pub fn catch_up(&mut self) -> Result<(), Failure> {
        if !self.show.flood || self.show.quiet || self.dots == 0 {
            self.dots = 0;
            // Without a write a closed pipe does not show.
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

/// Whether standard output still has a reader: poll(2) tells of a pipe whose reader has gone.
fn has_reader() -> bool {
    let out = io::stdout();
    let mut fds = [PollFd::new(out.as_fd(), PollFlags::empty())];
    let polled = poll(&mut fds, PollTimeout::ZERO);
    polled.is_err() || !fds[0].revents().is_some_and(|seen| seen.contains(PollFlags::POLLERR))
}

/// How it was all in all.
pub fn summary(session: &EchoSession, config: &EchoConfig) -> Result<(), Failure> {
    let Statistics { transmitted, received, duplicates, corrupted, errors, .. } = session.statistics;
    let mut out = io::stdout();
    writeln!(out, "\n--- {} ping statistics ---", one_line(&session.to.name))?;
    let some =
        |number: u64, what: &str| if number > 0 { format!("+{number} {what}, ") } else { String::new() };
    writeln!(
        out,
        "{transmitted} packets transmitted, {received} received, {}{}{}{}% packet loss, time {}ms",
        some(duplicates, "duplicates"),
        some(corrupted, "corrupted"),
        some(errors, "errors"),
        Percent(session.statistics.loss_ratio()),
        session.lasted().as_millis(),
    )?;
    let trips = &session.statistics.round_trips;
    let mut parts = Vec::new();
    if !trips.is_empty() {
        let (min, avg, max, mdev) = (Ms(trips.min()), Ms(trips.avg()), Ms(trips.max()), Ms(trips.mdev()));
        parts.push(format!("rtt min/avg/max/mdev = {min}/{avg}/{max}/{mdev} ms"));
    }
    if session.most_under_way > 1 {
        parts.push(format!("pipe {}", session.most_under_way));
    }
    let is_fast = config.is_unlimited() || config.is_adaptive || config.show.flood;
    if is_fast && transmitted > 1 && !trips.is_empty() {
        let gap = session.lasted() / u32::try_from(transmitted - 1).unwrap_or(u32::MAX);
        parts.push(format!("ipg/ewma {}/{} ms", Ms(gap), Ms(trips.moving())));
    }
    // A line that may be empty: programs that read ping(8) rely on it.
    Ok(writeln!(out, "{}", parts.join(", "))?)
}

/// A line on standard error about how it goes: SIGQUIT. Of several destinations each has its name.
pub fn status(session: &EchoSession, is_one_of_many: bool) {
    let Statistics { transmitted, received, .. } = session.statistics;
    let lost = (session.statistics.loss_ratio() * 100.0) as u64;
    let trips = &session.statistics.round_trips;
    let mut line = format!("{received}/{transmitted} packets, {lost}% loss");
    if !trips.is_empty() {
        let (min, avg, moving, max) = (Ms(trips.min()), Ms(trips.avg()), Ms(trips.moving()), Ms(trips.max()));
        line += &format!(", min/avg/ewma/max = {min}/{avg}/{moving}/{max} ms");
    }
    // As ping(8) does it: a terminal has just shown ^\.
    let name = if is_one_of_many { format!("{}: ", one_line(&session.to.name)) } else { String::new() };
    let _ = writeln!(io::stderr(), "\r{name}{line}");
}

fn named(link: Option<&common::target::IfName>) -> String {
    link.map_or_else(String::new, ToString::to_string)
}

/// As it stands on the wire.
fn short(seq: u64) -> u16 {
    seq as u16
}

/// `db (172.18.0.3)`: the destination by the name that was typed, other hosts by their addresses.
fn who(to: &Destination, from: IpAddr, numeric: bool) -> String {
    let shown = shown(to, from);
    match numeric || from != to.address || to.name == shown || to.name == from.to_string() {
        true => shown,
        false => format!("{} ({shown})", one_line(&to.name)),
    }
}

/// An address as it can be pasted: a link-local one with its link.
fn shown(to: &Destination, address: IpAddr) -> String {
    match address {
        IpAddr::V6(v6) if (v6.is_unicast_link_local() || v6.segments()[0] & 0xff0f == 0xff02) => {
            format!("{v6}%{}", one_line(&to.link))
        }
        _ => address.to_string(),
    }
}

fn tail(answered: &EchoAnswer, to: &Destination, is_plain: bool) -> String {
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
    if !parts.is_empty() && !is_plain {
        line += &format!(" ({})", parts.join(", "));
    }
    if answered.is_duplicate {
        line += " (DUP!)";
    }
    if answered.from != to.address && !to.is_group() {
        line += " (DIFFERENT ADDRESS!)";
    }
    if answered.is_late && !is_plain {
        line += " (late)";
    }
    match answered.differs {
        Some(PayloadDifference::Shorter) => line += " (truncated)",
        // It is printed how long it is.
        Some(PayloadDifference::Longer) => {}
        Some(PayloadDifference::Byte { at, sent, came }) => {
            line += &format!("\nwrong data byte #{at} should be 0x{sent:x} but was 0x{came:x}");
        }
        None => {}
    }
    line
}
