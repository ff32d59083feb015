//! A NIC to be added, before it is planned: for which entry, between which networks, and with which random numbers.

use std::io;
use std::time::Duration;

use common::failure::Failure;
use common::packet;
use jiff::Timestamp;

use crate::apply::probe;
use crate::model::plan::Plan;
use crate::model::record::{FORMAT, NicRecord, WatchEntryId};
use crate::model::request::{AddOptions, DuplicateCheck};
use crate::model::wanted::Wanted;
use crate::plan::input::RandomBytes;
use crate::read::endpoints::Endpoints;
use crate::read::sockets::Sockets;

/// A NIC to add, and the networks it connects.
#[derive(Debug)]
pub struct AddTask {
    pub wanted: Wanted,
    pub ends: Endpoints,
    /// The entry of a watch's file that it is added for.
    pub watched: Option<WatchEntryId>,
}

impl AddTask {
    /// The record of it, before anything is changed.
    pub fn record(self, id: String, plan: Plan, sockets: &Sockets) -> NicRecord {
        NicRecord {
            format: FORMAT,
            id,
            made_by: concat!("add-nic ", env!("CARGO_PKG_VERSION")).to_owned(),
            since: Timestamp::now(),
            is_whole: false,
            outside_inode: sockets.home.identity().inode,
            inside: self.ends.inside,
            peer: self.ends.peer,
            wanted: self.wanted,
            plan,
            watched: self.watched,
            replaced: None,
        }
    }
}

/// How long replies are waited for after each probe of duplicate address detection.
pub fn waits(options: &AddOptions, plan: &Plan) -> Result<Vec<Duration>, Failure> {
    Ok(match options.dad {
        Some(DuplicateCheck::Full) => probe::full(random()?).to_vec(),
        Some(DuplicateCheck::Quick) if plan.nic.other_end.parent().is_some() => {
            probe::QUICK_ON_A_PARENT.to_vec()
        }
        Some(DuplicateCheck::Quick) => probe::QUICK.to_vec(),
        None => vec![],
    })
}

/// Random bytes for a new NIC.
pub fn random_bytes() -> Result<RandomBytes, Failure> {
    let bytes: [u8; 24] = random()?;
    let from = |first: usize| std::array::from_fn(|at| bytes[first + at]);
    Ok(RandomBytes { nic: from(0), port: from(6), bridge: from(12), id: from(18) })
}

pub fn random<const BYTES: usize>() -> Result<[u8; BYTES], Failure> {
    packet::random().map_err(|errno| Failure::failed("random numbers", io::Error::from(errno)))
}
