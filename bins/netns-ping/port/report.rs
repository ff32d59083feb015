//! What happens to probes of ports, for people and as JSON.

use std::io::{self, Write};
use std::net::IpAddr;

use common::diagnose::Verdict;
use common::failure::{self, Failure};
use common::output::one_line;
use common::packet::IpFamily;
use common::packet::icmp::describe;
use common::target::Transport;
use serde::Serialize;

use super::session::{PortEvent, PortSession, PortStatistics};
use crate::report::event::{Event, EventKind, EventTime};
use crate::report::{FewMs, Ms, micros};
use crate::request::PortConfig;
use crate::resolve::destination::AddressSource;
use crate::tool::TOOL;

/// What each kind of event has in addition to what all have.
#[derive(Serialize)]
#[serde(untagged)]
enum PortDetails<'a> {
    Probe {
        transport: &'a str,
        port: u16,
        seq: u64,
    },
    Answer {
        transport: &'a str,
        port: u16,
        seq: u64,
        rtt_us: f64,
        clock: &'static str,
        syn_retransmitted: Option<u32>,
        bytes: Option<usize>,
        is_expected: bool,
    },
    Error {
        transport: &'a str,
        port: u16,
        seq: u64,
        by: Option<IpAddr>,
        is_reset: bool,
        icmp_type: Option<u8>,
        icmp_code: Option<u8>,
        says: String,
    },
    Summary(Box<PortSummary<'a>>),
    Verdict {
        transport: &'a str,
        port: u16,
        #[serde(flatten)]
        verdict: &'a Verdict,
    },
}

#[derive(Serialize)]
struct PortSummary<'a> {
    transport: &'a str,
    port: u16,
    sent: u64,
    open: u64,
    refused: u64,
    errors: u64,
    silent: u64,
    unknown: u64,
    time_us: f64,
    rtt_min_us: Option<f64>,
    rtt_avg_us: Option<f64>,
    rtt_max_us: Option<f64>,
    rtt_mdev_us: Option<f64>,
}

/// What is shown, and how.
pub struct PortReport<'a> {
    /// The container's name.
    pub from: &'a str,
    pub config: &'a PortConfig,
}

impl PortReport<'_> {
    /// `TCP db (docker:db, 172.18.0.3 on eth0) port 5432`
    pub fn begins(&self, session: &PortSession) -> Result<(), Failure> {
        if self.config.json {
            return Ok(());
        }
        let (to, link) = (&session.to, &session.to.link);
        let which = match &to.known {
            AddressSource::Container(target) => format!("{}, {} on {link}", one_line(target), to.address),
            AddressSource::Gateway => format!("{} on {link}", to.address),
            _ => to.address.to_string(),
        };
        let name = one_line(&to.name);
        let payload = match session.port.transport {
            Transport::Tcp => String::new(),
            Transport::Udp => format!(", {}", session.payload().name()),
        };
        let what = session.port.transport.to_string().to_uppercase();
        Ok(writeln!(io::stdout(), "{what} {name} ({which}) port {}{payload}", session.port.number)?)
    }

    /// All that has happened since.
    pub fn events(&self, session: &mut PortSession) -> Result<(), Failure> {
        for event in session.take_events() {
            match self.config.json {
                true => self.event(&event, session)?,
                false if !self.config.quiet => line(&event, session)?,
                false => {}
            }
        }
        Ok(())
    }

    fn event(&self, event: &PortEvent, session: &PortSession) -> Result<(), Failure> {
        let (transport, port) = (session.port.transport.as_str(), session.port.number);
        let address = session.to.address;
        let error = |seq, by, is_reset, icmp: Option<(u8, u8)>, says| {
            let (icmp_type, icmp_code) = icmp.unzip();
            PortDetails::Error { transport, port, seq, by, is_reset, icmp_type, icmp_code, says }
        };
        let (kind, what) = match event {
            PortEvent::Sent { seq } => (EventKind::Sent, PortDetails::Probe { transport, port, seq: *seq }),
            PortEvent::Lost { seq, .. } => {
                (EventKind::Lost, PortDetails::Probe { transport, port, seq: *seq })
            }
            PortEvent::Open { seq, took, by_kernel, retransmitted, bytes, is_expected } => (
                EventKind::Reply,
                PortDetails::Answer {
                    transport,
                    port,
                    seq: *seq,
                    rtt_us: micros(*took),
                    clock: if *by_kernel { "kernel" } else { "monotonic" },
                    syn_retransmitted: (session.port.transport == Transport::Tcp).then_some(*retransmitted),
                    bytes: *bytes,
                    is_expected: *is_expected,
                },
            ),
            PortEvent::Reset { seq, .. } => {
                (EventKind::Error, error(*seq, Some(address), true, None, "TCP reset".to_owned()))
            }
            PortEvent::Refused { seq, error: icmp } => {
                let says = describe(IpFamily::of(address), icmp.kind, icmp.code, icmp.info);
                (EventKind::Error, error(*seq, icmp.by, false, Some((icmp.kind, icmp.code)), says))
            }
            PortEvent::NotSent { seq, errno } => {
                (EventKind::Error, error(*seq, None, false, None, errno.desc().to_owned()))
            }
        };
        self.print(kind, session, what)
    }

    fn print(&self, event: EventKind, session: &PortSession, what: PortDetails<'_>) -> Result<(), Failure> {
        let stamp = EventTime::now();
        let (from, dest) = (self.from, session.to.word.as_str());
        Event { event, stamp, from, dest, address: Some(session.to.address), what }.print()
    }

    /// How it was all in all, and what it means.
    pub fn summary(&self, session: &PortSession, verdict: &Verdict) -> Result<(), Failure> {
        if self.config.json {
            let summary = PortDetails::Summary(Box::new(PortSummary::of(session)));
            self.print(EventKind::Summary, session, summary)?;
            let (transport, port) = (session.port.transport.as_str(), session.port.number);
            self.print(EventKind::Verdict, session, PortDetails::Verdict { transport, port, verdict })?;
        } else {
            summary(session)?;
        }
        if let Some(text) = &verdict.text {
            let mut failure = Failure::no(one_line(&session.to.word), text);
            failure.hint = verdict.hint();
            failure::report(TOOL, &failure);
        }
        Ok(())
    }
}

fn line(event: &PortEvent, session: &PortSession) -> Result<(), Failure> {
    let (place, kind) = (session.place(), session.port.transport);
    let mut out = io::stdout();
    match event {
        PortEvent::Sent { .. } => {}
        PortEvent::Open { seq, took, by_kernel, retransmitted, bytes, is_expected } => {
            let what = match bytes {
                None => format!("connected to {place}"),
                Some(bytes) => format!("{bytes} bytes from {place}"),
            };
            write!(out, "{what}: {kind}_seq={seq} time={} ms", FewMs(*took))?;
            if *retransmitted > 0 {
                write!(out, " (SYN sent {} times)", retransmitted + 1)?;
            } else if !by_kernel {
                write!(out, " (by our clock)")?;
            }
            if !is_expected {
                write!(out, " (no answer to {})", session.payload().name())?;
            }
            writeln!(out)?;
        }
        PortEvent::Reset { seq, took } => {
            writeln!(out, "refused by {place} (TCP reset): {kind}_seq={seq} time={} ms", FewMs(*took))?;
        }
        PortEvent::Refused { seq, error } => {
            let by = error.by.or(session.to.route.source).unwrap_or(session.to.address);
            let words = describe(IpFamily::of(session.to.address), error.kind, error.code, error.info);
            writeln!(out, "From {by} {kind}_seq={seq} {words}")?;
        }
        PortEvent::NotSent { seq, errno } => {
            let name = one_line(&session.to.word);
            failure::say(TOOL, format_args!("{name}: {kind}_seq={seq} not sent: {}", errno.desc()));
        }
        PortEvent::Lost { seq, after } => {
            writeln!(out, "no answer from {place} within {} s: {kind}_seq={seq}", after.as_secs_f64())?;
        }
    }
    Ok(())
}

fn summary(session: &PortSession) -> Result<(), Failure> {
    let PortStatistics { sent, open, refused, errors, silent, round_trips, .. } = &session.statistics;
    let mut out = io::stdout();
    writeln!(out, "\n--- {} port statistics ---", one_line(&session.to.word))?;
    let answered = if session.port.transport == Transport::Tcp { "connected" } else { "answered" };
    let some =
        |number: u64, what: &str| if number > 0 { format!("{number} {what}, ") } else { String::new() };
    let unknown = some(session.unknown(), "stopped");
    writeln!(
        out,
        "{sent} probes, {open} {answered}, {}{}{}{unknown}time {}ms",
        some(*refused, "refused"),
        some(*errors, "errors"),
        some(*silent, "unanswered"),
        session.lasted().as_millis()
    )?;
    if round_trips.is_empty() {
        return Ok(());
    }
    let trips = [round_trips.min(), round_trips.avg(), round_trips.max(), round_trips.mdev()].map(Ms);
    let [min, avg, max, mdev] = trips;
    Ok(writeln!(out, "rtt min/avg/max/mdev = {min}/{avg}/{max}/{mdev} ms")?)
}

/// A line on standard error about how it goes: SIGQUIT.
pub fn status(session: &PortSession) {
    let PortStatistics { sent, open, .. } = session.statistics;
    let _ = writeln!(io::stderr(), "\r{}: {open} of {sent} probes were answered", one_line(&session.to.word));
}

impl<'a> PortSummary<'a> {
    fn of(session: &'a PortSession) -> Self {
        let PortStatistics { sent, open, refused, errors, silent, round_trips } = &session.statistics;
        let some = |took| (!round_trips.is_empty()).then(|| micros(took));
        PortSummary {
            transport: session.port.transport.as_str(),
            port: session.port.number,
            sent: *sent,
            open: *open,
            refused: *refused,
            errors: *errors,
            silent: *silent,
            unknown: session.unknown(),
            time_us: micros(session.lasted()),
            rtt_min_us: some(round_trips.min()),
            rtt_avg_us: some(round_trips.avg()),
            rtt_max_us: some(round_trips.max()),
            rtt_mdev_us: some(round_trips.mdev()),
        }
    }
}
