//! Of which packets the kernel was asked to say when they leave. Pure.

use std::collections::VecDeque;

use super::Stamps;

/// Of so many packets the first ones are stamped: all of a short flood, and some of a long one again and again.
const OF: u64 = 25_000;
const STRETCH: u64 = 250;
/// Stamps that the kernel owes us, at most; of older ones we do not want to know.
const MOST: usize = 4096;

/// The packets that the kernel was asked to stamp. It counts them, from 0 on, and says that number only.
#[derive(Debug)]
pub(super) struct Stamped {
    which: Stamps,
    /// Packets that were sent, stamped or not.
    sent: u64,
    sequences: VecDeque<u16>,
    /// The kernel's number of the first of these.
    first: u32,
}

impl Stamped {
    pub(super) fn new(which: Stamps) -> Self {
        Stamped { which, sent: 0, sequences: VecDeque::new(), first: 0 }
    }

    /// Whether the packet that is sent `ahead` packets after the next one is to be stamped.
    pub(super) fn wants(&self, ahead: usize) -> bool {
        let nth = self.sent + ahead as u64;
        self.which == Stamps::Each || nth % OF < STRETCH
    }

    /// Whether that is not the same of all packets.
    pub(super) fn is_some(&self) -> bool {
        self.which == Stamps::Some
    }

    /// The next packet was sent, stamped if that was wanted.
    pub(super) fn sent(&mut self, sequence: u16) {
        if self.wants(0) {
            self.sequences.push_back(sequence);
        }
        if self.sequences.len() > MOST {
            self.sequences.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        self.sent += 1;
    }

    /// The sequence number of the packet that the kernel has given that number.
    pub(super) fn sequence(&self, number: u32) -> Option<u16> {
        self.sequences.get(number.wrapping_sub(self.first) as usize).copied()
    }

    /// The kernel counts from 0 on again.
    pub(super) fn count_anew(&mut self) {
        self.sequences.clear();
        self.first = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_the_kernels_is_that_of_a_packet_that_was_to_be_stamped() {
        let mut stamped = Stamped::new(Stamps::Some);
        let all = 70_000_u32;
        let is_expected = |nth: &u32| nth % 25_000 < 250;
        let expected: Vec<u32> = (0..all).filter(is_expected).collect();
        let mut wanted = 0;
        for nth in 0..all {
            assert_eq!(stamped.wants(0), expected.get(wanted) == Some(&nth));
            assert_eq!(stamped.wants(3), is_expected(&(nth + 3)));
            wanted += usize::from(stamped.wants(0));
            stamped.sent(nth as u16);
            assert_eq!(stamped.sequence(wanted as u32 - 1), Some(expected[wanted - 1] as u16));
        }
        assert_eq!((stamped.sequence(0), stamped.sequence(wanted as u32)), (Some(0), None));
        stamped.count_anew();
        assert_eq!(stamped.sequence(0), None);
        while !stamped.wants(0) {
            stamped.sent(1);
        }
        stamped.sent(2);
        assert_eq!(stamped.sequence(0), Some(2));
    }

    #[test]
    fn each_is_stamped_where_each_is_to_be() {
        let mut stamped = Stamped::new(Stamps::Each);
        (0..5000_u16).for_each(|sequence| stamped.sent(sequence));
        assert_eq!(stamped.sequence(4999), Some(4999));
        assert_eq!((stamped.sequences.len(), stamped.sequence(0)), (MOST, None), "long ago");
    }
}
