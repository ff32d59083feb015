//! What happened, for programs: a line for each event, whose fields the manual has.

use std::io::{self, Write};
use std::net::IpAddr;

use common::diagnose::Verdict;
use common::failure::Failure;
use common::packet::IpFamily;
use common::packet::icmp::describe;
use serde::Serialize;

use super::event::{EchoAnswer, EchoEvent, garbled_in_words};
use super::session::EchoSession;
use crate::report::event::{Event, EventKind, EventTime};
use crate::report::micros;
use crate::report::verdict as verdict_event;

/// What each kind of event has in addition to what all have.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum EventData {
    Packet {
        seq: u64,
    },
    Answer {
        seq: u64,
        by: IpAddr,
        bytes: usize,
        ttl: Option<u8>,
        rtt_us: f64,
        arp_us: Option<f64>,
        queue_us: Option<f64>,
        late: bool,
        differs: bool,
    },
    Refused {
        seq: Option<u64>,
        by: Option<IpAddr>,
        says: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        icmp_type: Option<u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        icmp_code: Option<u8>,
        mtu_bytes: Option<u32>,
    },
    Summary(Box<EchoSummary>),
}

#[derive(Debug, Serialize)]
struct EchoSummary {
    transmitted: u64,
    received: u64,
    duplicates: u64,
    corrupted: u64,
    errors: u64,
    strays: u64,
    kernel_dropped: u32,
    loss_ratio: f64,
    time_us: f64,
    rtt_min_us: Option<f64>,
    rtt_avg_us: Option<f64>,
    rtt_max_us: Option<f64>,
    rtt_mdev_us: Option<f64>,
    silence: Option<String>,
}

/// Prints what happened.
pub fn event(what: &EchoEvent, from: &str, session: &EchoSession) -> Result<(), Failure> {
    let family = IpFamily::of(session.to.address);
    let (kind, what) = match what {
        EchoEvent::Sent { seq } => (EventKind::Sent, EventData::Packet { seq: *seq }),
        EchoEvent::Lost { seq } => (EventKind::Lost, EventData::Packet { seq: *seq }),
        EchoEvent::Outstanding { .. } => return Ok(()),
        EchoEvent::Answered(answered) => {
            let kind = if answered.is_duplicate { EventKind::Duplicate } else { EventKind::Reply };
            (kind, answer(answered))
        }
        EchoEvent::Refused { seq, error } => {
            let says = describe(family, error.kind, error.code, error.info);
            let mtu_bytes = is_about_mtu(family, error.kind, error.code).then_some(error.info);
            let (icmp_type, icmp_code) = (Some(error.kind), Some(error.code));
            (
                EventKind::Error,
                EventData::Refused { seq: Some(*seq), by: error.by, says, icmp_type, icmp_code, mtu_bytes },
            )
        }
        EchoEvent::NotSent { seq, errno, mtu_bytes } => {
            let says = errno.desc().to_owned();
            let what = EventData::Refused {
                seq: Some(*seq),
                by: None,
                says,
                icmp_type: None,
                icmp_code: None,
                mtu_bytes: *mtu_bytes,
            };
            (EventKind::Error, what)
        }
        EchoEvent::Garbled { from, seq } => {
            let says = garbled_in_words(*seq).to_owned();
            let what = EventData::Refused {
                seq: *seq,
                by: Some(*from),
                says,
                icmp_type: None,
                icmp_code: None,
                mtu_bytes: None,
            };
            (EventKind::Error, what)
        }
    };
    print(kind, what, from, session)
}

fn is_about_mtu(family: IpFamily, kind: u8, code: u8) -> bool {
    match family {
        IpFamily::V4 => (kind, code) == (3, 4),
        IpFamily::V6 => kind == 2,
    }
}

fn answer(answered: &EchoAnswer) -> EventData {
    EventData::Answer {
        seq: answered.seq,
        by: answered.from,
        bytes: answered.bytes,
        ttl: answered.ttl,
        rtt_us: micros(answered.took.round_trip),
        arp_us: answered.took.arp.map(micros),
        queue_us: answered.took.queue.map(micros),
        late: answered.is_late,
        differs: answered.differs.is_some(),
    }
}

/// Prints how it was all in all, and the verdict.
pub fn summary(from: &str, session: &EchoSession, verdict: &Verdict) -> Result<(), Failure> {
    let statistics = &session.statistics;
    let trips = Some(&statistics.round_trips).filter(|trips| !trips.is_empty());
    let summary = EchoSummary {
        transmitted: statistics.transmitted,
        received: statistics.received,
        duplicates: statistics.duplicates,
        corrupted: statistics.corrupted,
        errors: statistics.errors,
        strays: statistics.strays,
        kernel_dropped: session.dropped(),
        loss_ratio: statistics.loss_ratio(),
        time_us: micros(session.lasted()),
        rtt_min_us: trips.map(|trips| micros(trips.min())),
        rtt_avg_us: trips.map(|trips| micros(trips.avg())),
        rtt_max_us: trips.map(|trips| micros(trips.max())),
        rtt_mdev_us: trips.map(|trips| micros(trips.mdev())),
        silence: verdict.text.clone().filter(|_| statistics.received == 0),
    };
    print(EventKind::Summary, EventData::Summary(Box::new(summary)), from, session)?;
    verdict_event::print(from, &session.to.word, Some(session.to.address), verdict)
}

fn print(event: EventKind, what: EventData, from: &str, session: &EchoSession) -> Result<(), Failure> {
    let to = &session.to;
    Event { event, stamp: EventTime::now(), from, dest: &to.word, address: Some(to.address), what }
        .print()?;
    Ok(io::stdout().flush()?)
}
