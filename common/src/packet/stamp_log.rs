//! Which packets the kernel's time stamps are of. Pure.

use std::collections::VecDeque;

/// How far a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxStage {
    /// The neighbour's address is known, and the packet given to the link's queue.
    Scheduled,
    /// It is given to the link itself.
    Sent,
}

/// Packets whose stamps may still come; older ones are forgotten.
const MOST: usize = 4096;

/// The packets that were sent. In a time stamp the kernel names a packet by a number only, which it counts from 0 on.
#[derive(Debug)]
pub(super) struct StampLog<T> {
    sent: VecDeque<T>,
    /// The kernel's number of the first of these.
    first: u32,
}

impl<T: Copy> StampLog<T> {
    pub(super) fn new() -> Self {
        StampLog { sent: VecDeque::new(), first: 0 }
    }

    /// This one was sent.
    pub(super) fn sent(&mut self, packet: T) {
        self.sent.push_back(packet);
        if self.sent.len() > MOST {
            self.sent.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }

    /// The packet that the kernel has given that number.
    pub(super) fn packet(&self, number: u32) -> Option<T> {
        self.sent.get(number.wrapping_sub(self.first) as usize).copied()
    }

    /// The kernel counts from 0 on again.
    pub(super) fn restart(&mut self) {
        *self = StampLog::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_the_kernels_is_that_of_a_packet() {
        let mut log = StampLog::new();
        (0..5000_u16).for_each(|packet| log.sent(packet));
        assert_eq!((log.packet(4999), log.packet(5000)), (Some(4999), None));
        assert_eq!((log.sent.len(), log.packet(0)), (MOST, None), "long ago");
        log.restart();
        assert_eq!(log.packet(0), None);
        log.sent(7);
        assert_eq!(log.packet(0), Some(7));
    }
}
