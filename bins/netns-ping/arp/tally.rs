//! Which MACs have answered for one address, and how fast. Pure, and bounded however many there are.

use std::time::Duration;

use common::packet::neighbour::Claim;

use crate::report::RoundTrips;

/// A longer list is not read; MACs beyond it are counted.
const MOST: usize = 16;

/// What came of the probes for one address.
#[derive(Debug, Default)]
pub struct Tally {
    /// Probes that were sent.
    pub sent: u64,
    /// Probes that were answered.
    pub answered: u64,
    /// All answers.
    pub received: u64,
    /// What they said, in the order of the first answers: no two with the same MAC.
    pub claims: Vec<Claim>,
    /// Answers with other MACs.
    pub more: u64,
    /// How long they took.
    pub round_trips: RoundTrips,
    /// Whether the last probe is unanswered as yet.
    pub is_outstanding: bool,
}

/// What an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArpReplyKind {
    /// The first to the last probe.
    First,
    /// Another one, with a MAC that has answered before.
    Again,
    /// With another MAC than the first: two have the address.
    Another,
}

impl Tally {
    /// A probe has left. Whether the one before was never answered.
    pub fn sent(&mut self) -> bool {
        self.sent += 1;
        std::mem::replace(&mut self.is_outstanding, true)
    }

    /// An answer has come.
    pub fn heard(&mut self, claim: &Claim, round_trip: Option<Duration>) -> ArpReplyKind {
        self.received += 1;
        let is_first = std::mem::take(&mut self.is_outstanding);
        self.answered += u64::from(is_first);
        let known = self.claims.iter().position(|known| known.mac == claim.mac);
        // A second answer may be to another host's probe.
        if let (Some(took), true) = (round_trip, is_first || known != Some(0)) {
            self.round_trips.add(took);
        }
        match known {
            None if self.claims.len() < MOST => self.claims.push(*claim),
            None => self.more += 1,
            Some(_) => {}
        }
        match known {
            _ if self.claims[0].mac != claim.mac => ArpReplyKind::Another,
            _ if is_first => ArpReplyKind::First,
            _ => ArpReplyKind::Again,
        }
    }

    /// Whether more than one MAC has it.
    pub fn is_duplicate(&self) -> bool {
        self.claims.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use common::packet::neighbour::ClaimKind;
    use common::target::Mac;

    use super::*;

    fn answer(number: u16) -> Claim {
        let [a, b] = number.to_be_bytes();
        let mac = Mac([2, 0, 0, 0, a, b]);
        Claim { address: [10, 1, 0, 7].into(), mac, sender: mac, kind: ClaimKind::Has }
    }

    #[test]
    fn the_second_to_answer_is_another() {
        let mut tally = Tally::default();
        assert!(!tally.sent());
        assert_eq!(tally.heard(&answer(1), None), ArpReplyKind::First);
        assert_eq!(tally.heard(&answer(1), None), ArpReplyKind::Again);
        assert_eq!(tally.heard(&answer(2), None), ArpReplyKind::Another);
        assert!(!tally.sent() && tally.is_duplicate());
        assert!(tally.sent(), "the second probe has no reply");
        assert_eq!((tally.sent, tally.answered, tally.received), (3, 1, 3));
    }

    #[test]
    fn thousands_who_claim_it_are_counted_and_not_kept() {
        let mut tally = Tally::default();
        for number in 0..10_000 {
            tally.heard(&answer(number), Some(Duration::from_micros(7)));
        }
        assert_eq!((tally.claims.len(), tally.more, tally.received), (16, 9_984, 10_000));
    }
}
