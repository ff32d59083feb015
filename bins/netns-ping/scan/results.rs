//! Which addresses have answered. Pure, and bounded by the number of addresses that were asked for, whatever comes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use common::packet::neighbour::{Claim, InvalidFrame};

/// Of the answers for one address; the rest is counted.
const MOST_REPLIES: usize = 4;
/// Of the ICMP errors; the rest is counted.
const MOST_ERRORS: usize = 16;

/// An answer for an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanReply {
    /// What a neighbour says; beyond a router there is only the address.
    pub claim: Option<Claim>,
    /// How long it took.
    pub took: Duration,
}

/// An answer that was not there before.
#[derive(Debug)]
pub struct NewReply {
    pub address: IpAddr,
    pub reply: ScanReply,
    pub kind: ReplyKind,
    /// Whether the address is one of the container's own.
    pub is_own: bool,
}

/// What all parts of a scan have done.
#[derive(Debug, Default)]
pub struct ScanTotals {
    /// How many addresses there are.
    pub asked: u64,
    /// How many of them were never asked for.
    pub not_asked: u64,
    /// Whether a signal or the deadline ended it.
    pub is_stopped: bool,
    pub packets_sent: u64,
    /// Answers that the kernel has thrown away.
    pub dropped: u64,
}

/// All answers, and what else has come.
#[derive(Debug, Default)]
pub struct ScanResults {
    /// By address; of each, no two with the same MAC.
    pub addresses: BTreeMap<IpAddr, Vec<ScanReply>>,
    /// Of others, for the container's own addresses: as above.
    pub conflicts: BTreeMap<IpAddr, Vec<ScanReply>>,
    /// Answers for addresses that have several already.
    pub more_replies: u64,
    /// Answers for addresses that were not asked for.
    pub strays: u64,
    /// Frames that are no answers, by what is wrong with them.
    pub invalid: BTreeMap<InvalidFrame, u64>,
    /// ICMP errors, and errors of our own kernel, in words.
    pub errors: BTreeMap<String, u64>,
    /// Those of which there were too many kinds.
    pub more_errors: u64,
}

/// What an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyKind {
    /// The first for its address.
    New,
    /// One that there was before.
    Known,
    /// With another MAC than the first.
    Another,
}

impl ScanResults {
    /// An answer has come, for an address that was asked for.
    pub fn heard(&mut self, address: IpAddr, reply: ScanReply) -> ReplyKind {
        keep(self.addresses.entry(address).or_default(), reply, &mut self.more_replies)
    }

    /// Somebody else has an address of the container's own.
    pub fn conflict(&mut self, address: IpAddr, reply: ScanReply) -> ReplyKind {
        match keep(self.conflicts.entry(address).or_default(), reply, &mut self.more_replies) {
            ReplyKind::New => ReplyKind::Another,
            kind => kind,
        }
    }

    /// A frame that is no answer has come.
    pub fn invalid(&mut self, why: InvalidFrame) {
        *self.invalid.entry(why).or_default() += 1;
    }

    /// An ICMP error says that a packet could not be delivered.
    pub fn error(&mut self, words: String) {
        if self.errors.len() < MOST_ERRORS || self.errors.contains_key(&words) {
            *self.errors.entry(words).or_default() += 1;
        } else {
            self.more_errors += 1;
        }
    }

    /// The answers for each address for which several MACs have answered.
    pub fn several(&self) -> impl Iterator<Item = &[ScanReply]> {
        self.addresses.values().filter(|replies| replies.len() > 1).map(Vec::as_slice)
    }
}

/// Keeps an answer, if its MAC is a new one.
fn keep(replies: &mut Vec<ScanReply>, reply: ScanReply, more: &mut u64) -> ReplyKind {
    let mac = |reply: &ScanReply| reply.claim.map(|claim| claim.mac);
    if replies.iter().any(|known| mac(known) == mac(&reply)) {
        return ReplyKind::Known;
    }
    if replies.len() == MOST_REPLIES {
        *more += 1;
        return ReplyKind::Known;
    }
    replies.push(reply);
    if replies.len() == 1 { ReplyKind::New } else { ReplyKind::Another }
}

#[cfg(test)]
mod tests {
    use common::packet::neighbour::ClaimKind;
    use common::target::Mac;
    use proptest::prelude::*;

    use super::*;

    fn reply(address: IpAddr, number: u32) -> ScanReply {
        let [a, b, c, d] = number.to_be_bytes();
        let mac = Mac([2, 0, a, b, c, d]);
        let claim = Claim { address, mac, sender: mac, kind: ClaimKind::Has };
        ScanReply { claim: Some(claim), took: Duration::ZERO }
    }

    #[test]
    fn thousands_who_claim_one_address_are_counted_and_not_kept() {
        let (mut found, address) = (ScanResults::default(), IpAddr::from([10, 1, 0, 7]));
        let is: Vec<ReplyKind> =
            (0..10_000).map(|number| found.heard(address, reply(address, number))).collect();
        assert_eq!(
            is[..6],
            [
                ReplyKind::New,
                ReplyKind::Another,
                ReplyKind::Another,
                ReplyKind::Another,
                ReplyKind::Known,
                ReplyKind::Known
            ]
        );
        assert_eq!((found.addresses[&address].len(), found.more_replies), (4, 9_996));
        assert_eq!(found.several().count(), 1);
    }

    #[test]
    fn who_answers_again_is_known() {
        let (mut found, address) = (ScanResults::default(), IpAddr::from([10, 1, 0, 7]));
        assert_eq!(found.heard(address, reply(address, 1)), ReplyKind::New);
        assert_eq!(found.heard(address, reply(address, 1)), ReplyKind::Known);
        assert_eq!(found.several().count(), 0);
    }

    proptest! {
        #[test]
        fn whatever_routers_say_takes_little_room(words in prop::collection::vec("[a-z]{1,3}", 0..200)) {
            let (mut found, count) = (ScanResults::default(), words.len() as u64);
            words.into_iter().for_each(|words| found.error(words));
            prop_assert!(found.errors.len() <= MOST_ERRORS);
            prop_assert_eq!(found.errors.values().sum::<u64>() + found.more_errors, count);
        }
    }
}
