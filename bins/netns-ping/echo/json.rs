//! What happened, for programs: a line for each event, whose fields the manual has.

use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

use common::failure::Failure;
use common::packet::icmp::{Family, says};
use serde::Serialize;

use super::course::Course;
use super::happened::{Answered, Happened, garbled_in_words};
use super::verdict::Verdict;
use crate::event::{Event, Kind, Stamp};

/// What each kind of event has beside what all have.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum What {
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
    Summary(Box<Summary>),
}

#[derive(Debug, Serialize)]
struct Summary {
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
pub fn happened(what: &Happened, from: &str, course: &Course) -> Result<(), Failure> {
    let family = Family::of(course.to.address);
    let (kind, what) = match what {
        Happened::Sent { seq } => (Kind::Sent, What::Packet { seq: *seq }),
        Happened::Lost { seq } => (Kind::Lost, What::Packet { seq: *seq }),
        Happened::Outstanding { .. } => return Ok(()),
        Happened::Answered(answered) => {
            let kind = if answered.is_duplicate { Kind::Duplicate } else { Kind::Reply };
            (kind, answer(answered))
        }
        Happened::Refused { seq, what } => {
            let says = says(family, what.kind, what.code, what.info);
            let mtu_bytes = is_about_mtu(family, what.kind, what.code).then_some(what.info);
            let (icmp_type, icmp_code) = (Some(what.kind), Some(what.code));
            (
                Kind::Error,
                What::Refused { seq: Some(*seq), by: what.by, says, icmp_type, icmp_code, mtu_bytes },
            )
        }
        Happened::NotSent { seq, errno, mtu_bytes } => {
            let says = errno.desc().to_owned();
            let what = What::Refused {
                seq: Some(*seq),
                by: None,
                says,
                icmp_type: None,
                icmp_code: None,
                mtu_bytes: *mtu_bytes,
            };
            (Kind::Error, what)
        }
        Happened::Garbled { from, seq } => {
            let says = garbled_in_words(*seq).to_owned();
            let what = What::Refused {
                seq: *seq,
                by: Some(*from),
                says,
                icmp_type: None,
                icmp_code: None,
                mtu_bytes: None,
            };
            (Kind::Error, what)
        }
    };
    print(kind, what, from, course)
}

fn is_about_mtu(family: Family, kind: u8, code: u8) -> bool {
    match family {
        Family::V4 => (kind, code) == (3, 4),
        Family::V6 => kind == 2,
    }
}

fn answer(answered: &Answered) -> What {
    What::Answer {
        seq: answered.seq,
        by: answered.from,
        bytes: answered.bytes,
        ttl: answered.ttl,
        rtt_us: us(answered.took.round_trip),
        arp_us: answered.took.arp.map(us),
        queue_us: answered.took.queue.map(us),
        late: answered.is_late,
        differs: answered.differs.is_some(),
    }
}

/// Prints how it was all in all.
pub fn summary(from: &str, course: &Course, verdict: Option<&Verdict>) -> Result<(), Failure> {
    let statistics = &course.statistics;
    let trips = Some(&statistics.round_trips).filter(|trips| !trips.is_empty());
    let summary = Summary {
        transmitted: statistics.transmitted,
        received: statistics.received,
        duplicates: statistics.duplicates,
        corrupted: statistics.corrupted,
        errors: statistics.errors,
        strays: statistics.strays,
        kernel_dropped: course.dropped(),
        loss_ratio: statistics.loss_ratio(),
        time_us: us(course.lasted()),
        rtt_min_us: trips.map(|trips| us(trips.min())),
        rtt_avg_us: trips.map(|trips| us(trips.avg())),
        rtt_max_us: trips.map(|trips| us(trips.max())),
        rtt_mdev_us: trips.map(|trips| us(trips.mdev())),
        silence: verdict.map(|verdict| verdict.what.clone()),
    };
    print(Kind::Summary, What::Summary(Box::new(summary)), from, course)
}

fn print(event: Kind, what: What, from: &str, course: &Course) -> Result<(), Failure> {
    let to = &course.to;
    Event { event, stamp: Stamp::now(), from, dest: &to.word, address: Some(to.address), what }.print()?;
    Ok(io::stdout().flush()?)
}

/// Microseconds, to the nanosecond.
fn us(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}
