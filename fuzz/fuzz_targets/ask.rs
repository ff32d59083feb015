//! What an enemy on the segment can send: none of it may make the reading panic, and an answer is one that somebody can
//! have, about an address that he can have.

#![no_main]

use common::packet::neighbour::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|frame: &[u8]| {
    if let Ok(answer) = read(frame) {
        assert!(frame.len() >= 42, "no shorter frame can say that");
        assert!(!answer.address.is_multicast() && !answer.address.is_unspecified());
        assert!(answer.mac.0[0] & 1 == 0);
    }
});
