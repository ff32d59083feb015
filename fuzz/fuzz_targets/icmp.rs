//! What an enemy can send back to an echo request, or have an ICMP error quote: none of it may make the reading panic,
//! and what is taken for an answer must be one.

#![no_main]

use common::packet::IpFamily;
use common::packet::icmp::{answer, describe, quoted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, bool, &[u8])| {
    let (is_v4, with_header, bytes) = input;
    let family = if is_v4 { IpFamily::V4 } else { IpFamily::V6 };
    if let Ok(found) = answer(family, with_header, bytes) {
        assert!(found.payload.len() + 8 <= bytes.len());
    }
    if let Some((_, sequence)) = quoted(family, bytes, b"12345678") {
        assert_eq!(bytes[6..8], sequence.to_be_bytes());
    }
    if let [kind, code, a, b, c, d, ..] = bytes {
        assert!(!describe(family, *kind, *code, u32::from_be_bytes([*a, *b, *c, *d])).is_empty());
    }
});
