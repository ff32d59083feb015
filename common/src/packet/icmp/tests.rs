//! Echo messages byte by byte, and that nothing that comes back makes the reading panic.

use proptest::prelude::*;

use super::*;
use crate::packet::IpFamily;

/// An IPv4 header of 20 bytes and options, and then an echo reply.
fn reply_v4(options: usize, ident: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut message = request(IpFamily::V4, ident, sequence, payload);
    message[0] = 0;
    let sum = pnet_packet::util::checksum(&message, 1);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let whole = u16::try_from(20 + options + message.len()).unwrap();
    let mut bytes = vec![0; 20 + options];
    bytes[0] = 0x40 | (5 + options as u8 / 4);
    bytes[2..4].copy_from_slice(&whole.to_be_bytes());
    bytes[8..10].copy_from_slice(&[64, 1]);
    bytes.extend(message);
    bytes
}

fn reply_v6(ident: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut message = request(IpFamily::V6, ident, sequence, payload);
    message[0] = 129;
    message
}

#[test]
fn a_request_is_that_of_rfc_792() {
    // 0x0800 + 0x1234 + 0x0001 + 0x6869 = 0x829e, and the complement of that.
    assert_eq!(request(IpFamily::V4, 0x1234, 1, b"hi"), [8, 0, 0x7d, 0x61, 0x12, 0x34, 0, 1, b'h', b'i']);
    assert_eq!(request(IpFamily::V6, 0x1234, 1, b"hi"), [128, 0, 0, 0, 0x12, 0x34, 0, 1, b'h', b'i']);
}

#[test]
fn a_reply_is_read_whatever_options_its_header_has() {
    for options in [0, 4, 40] {
        let bytes = reply_v4(options, 7, 65535, b"payload");
        let expected = EchoReply { ident: 7, sequence: 65535, payload: b"payload" };
        assert_eq!(answer(IpFamily::V4, true, &bytes), Ok(expected));
        assert_eq!(answer(IpFamily::V4, false, &bytes[20 + options..]), Ok(expected));
    }
    let bytes = reply_v6(7, 8, b"");
    assert_eq!(answer(IpFamily::V6, false, &bytes), Ok(EchoReply { ident: 7, sequence: 8, payload: b"" }));
}

#[test]
fn what_is_no_answer_is_told_why() {
    let good = reply_v4(0, 7, 8, b"payload");
    let mut bad = good.clone();
    bad[30] ^= 1;
    assert_eq!(answer(IpFamily::V4, true, &bad), Err(InvalidReply::Checksum));
    assert_eq!(answer(IpFamily::V4, true, &good[..27]), Err(InvalidReply::Short));
    assert_eq!(answer(IpFamily::V4, true, &request(IpFamily::V4, 7, 8, b"")), Err(InvalidReply::Short));
    assert_eq!(answer(IpFamily::V4, false, &request(IpFamily::V4, 7, 8, b"")), Err(InvalidReply::NoReply));
    assert_eq!(answer(IpFamily::V6, false, &request(IpFamily::V6, 7, 8, b"")), Err(InvalidReply::NoReply));
    // A header that says it is shorter than any, and one that says it is longer than the packet.
    for first in [0x40, 0x4f] {
        let mut lying = good.clone();
        lying[0] = first;
        assert_eq!(answer(IpFamily::V4, true, &lying), Err(InvalidReply::Short));
    }
    // Behind what the packet says is its end there may be padding.
    let mut padded = good.clone();
    padded.extend([0; 18]);
    assert_eq!(answer(IpFamily::V4, true, &padded).unwrap().payload, b"payload");
}

#[test]
fn an_error_is_about_the_request_that_it_quotes() {
    let quoted = |family, bytes: &[u8]| quoted(family, bytes, b"rest of it");
    assert_eq!(quoted(IpFamily::V4, &request(IpFamily::V4, 7, 8, b"rest of anything")), Some((7, 8)));
    assert_eq!(quoted(IpFamily::V6, &request(IpFamily::V6, 7, 8, b"")), Some((7, 8)));
    assert_eq!(quoted(IpFamily::V4, &request(IpFamily::V4, 7, 8, b"")[..7]), None);
    assert_eq!(quoted(IpFamily::V4, &reply_v4(0, 7, 8, b"")[20..]), None);
    assert_eq!(quoted(IpFamily::V4, &request(IpFamily::V4, 7, 8, b"resu")), None, "made up");
}

#[test]
fn an_answer_without_the_random_bytes_proves_nothing() {
    let answer = |payload| EchoReply { ident: 7, sequence: 8, payload };
    let proven = |sent, came| answer(came).proven(sent).is_ok();
    assert!(proven(b"12345678 and more", b"12345678 and less"));
    for made_up in [&b""[..], b"1234567", b"02345678 and more", b"12345679"] {
        assert!(!proven(b"12345678 and more", made_up));
    }
    // What is not sent cannot come back.
    assert!(proven(b"123", b"123") && !proven(b"123", b"124") && proven(b"", b""));
}

proptest! {
    #[test]
    fn a_request_that_is_numbered_anew_is_as_one_that_had_that_number(first: u16, then: u16, payload: Vec<u8>) {
        for family in [IpFamily::V4, IpFamily::V6] {
            let mut request = request(family, 7, first, &payload);
            echo::renumber(&mut request, family, then);
            prop_assert_eq!(&request[4..], &super::request(family, 7, then, &payload)[4..]);
            if family == IpFamily::V4 {
                prop_assert_eq!(pnet_packet::util::checksum(&request, 1).to_be_bytes(), &request[2..4]);
            }
        }
    }

    #[test]
    fn no_packet_makes_it_panic(bytes: Vec<u8>, v4: bool, header: bool) {
        let family = if v4 { IpFamily::V4 } else { IpFamily::V6 };
        let _ = (answer(family, header, &bytes), quoted(family, &bytes, b"12345678"));
    }

    /// Replies that are right but for a few bytes get deeper into the code than random ones.
    #[test]
    fn no_mutation_of_a_reply_makes_it_panic(
        v4: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end: prop::sample::Index,
    ) {
        let (family, mut bytes) =
            if v4 { (IpFamily::V4, reply_v4(8, 7, 8, b"payload")) } else { (IpFamily::V6, reply_v6(7, 8, b"payload")) };
        for (at, value) in changes {
            *at.get_mut(&mut bytes) = value;
        }
        bytes.truncate(end.index(bytes.len() + 1));
        let _ = answer(family, v4, &bytes);
    }

    #[test]
    fn a_reply_has_what_the_request_had(v4: bool, ident: u16, sequence: u16, payload: Vec<u8>) {
        let (family, bytes) = match v4 {
            true => (IpFamily::V4, reply_v4(0, ident, sequence, &payload)),
            false => (IpFamily::V6, reply_v6(ident, sequence, &payload)),
        };
        let expected = EchoReply { ident, sequence, payload: &payload };
        prop_assert_eq!(answer(family, v4, &bytes), Ok(expected));
    }

    #[test]
    fn every_error_has_words(v4: bool, kind: u8, code: u8, info: u32) {
        let family = if v4 { IpFamily::V4 } else { IpFamily::V6 };
        prop_assert!(!describe(family, kind, code, info).is_empty());
    }
}
