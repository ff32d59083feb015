//! Who has answered. Pure, and bounded by the number of addresses that were asked for, whoever says what.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use common::packet::ask::{Answer, Oddity};

/// Of those who say that they have one address; the rest is counted.
const MOST_CLAIMS: usize = 4;
/// Of what routers say; the rest is counted.
const MOST_COMPLAINTS: usize = 16;

/// One who has answered for an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What he says, on-link; beyond, there is only his address.
    pub answer: Option<Answer>,
    /// How long it took.
    pub took: Option<Duration>,
}

/// All who have answered, and what else has come.
#[derive(Debug, Default)]
pub struct Found {
    /// By address; of each, no two with the same MAC.
    pub addresses: BTreeMap<IpAddr, Vec<Claim>>,
    /// Who says that they have an address that several others have already.
    pub more_claims: u64,
    /// Answers for addresses that nobody asked for.
    pub strays: u64,
    /// Frames that are no answers, by what is wrong with them.
    pub odd: BTreeMap<Oddity, u64>,
    /// What routers, and our own kernel, say of packets that they could not deliver.
    pub complaints: BTreeMap<String, u64>,
    /// Those of which there were too many kinds.
    pub more_complaints: u64,
}

/// What an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    /// The first for its address.
    New,
    /// One that there was before.
    Known,
    /// Of somebody else than the first.
    Another,
}

impl Found {
    /// An answer has come, for an address that was asked for.
    pub fn heard(&mut self, address: IpAddr, claim: Claim) -> Is {
        let mac = |claim: &Claim| claim.answer.map(|answer| answer.mac);
        let claims = self.addresses.entry(address).or_default();
        if claims.iter().any(|known| mac(known) == mac(&claim)) {
            return Is::Known;
        }
        if claims.len() == MOST_CLAIMS {
            self.more_claims += 1;
            return Is::Known;
        }
        claims.push(claim);
        if claims.len() == 1 { Is::New } else { Is::Another }
    }

    /// A frame that is no answer has come.
    pub fn odd(&mut self, oddity: Oddity) {
        *self.odd.entry(oddity).or_default() += 1;
    }

    /// Somebody says that a packet could not be delivered.
    pub fn complaint(&mut self, words: String) {
        if self.complaints.len() < MOST_COMPLAINTS || self.complaints.contains_key(&words) {
            *self.complaints.entry(words).or_default() += 1;
        } else {
            self.more_complaints += 1;
        }
    }

    /// Addresses that more than one says are his.
    pub fn duplicates(&self) -> usize {
        self.addresses.values().filter(|claims| claims.len() > 1).count()
    }
}

#[cfg(test)]
mod tests {
    use common::target::Mac;
    use proptest::prelude::*;

    use super::*;

    fn claim(address: IpAddr, number: u32) -> Claim {
        let [a, b, c, d] = number.to_be_bytes();
        let mac = Mac([2, 0, a, b, c, d]);
        Claim { answer: Some(Answer { address, mac, sender: mac }), took: None }
    }

    #[test]
    fn thousands_who_claim_one_address_are_counted_and_not_kept() {
        let (mut found, address) = (Found::default(), IpAddr::from([10, 1, 0, 7]));
        let is: Vec<Is> = (0..10_000).map(|number| found.heard(address, claim(address, number))).collect();
        assert_eq!(is[..6], [Is::New, Is::Another, Is::Another, Is::Another, Is::Known, Is::Known]);
        assert_eq!((found.addresses[&address].len(), found.more_claims), (4, 9_996));
        assert_eq!(found.duplicates(), 1);
    }

    #[test]
    fn who_answers_again_is_known() {
        let (mut found, address) = (Found::default(), IpAddr::from([10, 1, 0, 7]));
        assert_eq!(found.heard(address, claim(address, 1)), Is::New);
        assert_eq!(found.heard(address, claim(address, 1)), Is::Known);
        assert_eq!(found.duplicates(), 0);
    }

    proptest! {
        #[test]
        fn whatever_routers_say_takes_little_room(words in prop::collection::vec("[a-z]{1,3}", 0..200)) {
            let (mut found, count) = (Found::default(), words.len() as u64);
            words.into_iter().for_each(|words| found.complaint(words));
            prop_assert!(found.complaints.len() <= MOST_COMPLAINTS);
            prop_assert_eq!(found.complaints.values().sum::<u64>() + found.more_complaints, count);
        }
    }
}
