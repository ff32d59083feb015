//! Requests as the RFCs write them, answers to them, and hostile ones: nothing makes the reading panic.

use std::net::{IpAddr, Ipv6Addr};

use proptest::prelude::*;

use super::sender::announcement;
use super::*;
use crate::target::Mac;

const OURS: Mac = Mac([0x02, 0, 0, 0, 0, 0x01]);
const THEIRS: Mac = Mac([0x02, 0, 0, 0, 0, 0x07]);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn sender(own: &str) -> ProbeSender {
    ProbeSender { mac: OURS, address: Some(ip(own)) }
}

/// An ARP reply of theirs, to us.
fn arp_reply(address: [u8; 4]) -> Vec<u8> {
    let mut frame = arp::request(THEIRS, address.into(), [10, 1, 0, 1].into());
    frame[..6].copy_from_slice(&OURS.0);
    frame[21] = 2;
    frame[32..38].copy_from_slice(&OURS.0);
    frame
}

/// A neighbour advertisement of theirs.
fn advertisement(address: &str) -> Vec<u8> {
    announcement(THEIRS, ip(address))
}

/// Changes a byte of an ICMPv6 message and puts the checksum right again.
fn changed(mut frame: Vec<u8>, at: usize, to: u8) -> Vec<u8> {
    let before = u32::from(u16::from_be_bytes([frame[at & !1], frame[at | 1]]));
    frame[at] = to;
    let after = u32::from(u16::from_be_bytes([frame[at & !1], frame[at | 1]]));
    // RFC 1624
    let sum = u32::from(!u16::from_be_bytes([frame[56], frame[57]])) + (!before & 0xffff) + after;
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    frame[56..58].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[test]
fn who_asks_says_where_the_answer_is_to_go_and_who_has_no_address_asks_as_nobody() {
    let frame = sender("10.1.0.1").request(ip("10.1.0.7"));
    assert_eq!(&frame[22..42], [2, 0, 0, 0, 0, 1, 10, 1, 0, 1, 0, 0, 0, 0, 0, 0, 10, 1, 0, 7]);
    let nobody = ProbeSender { mac: OURS, address: None };
    assert_eq!(&nobody.request(ip("10.1.0.7"))[28..32], [0; 4]);
    assert_eq!(&sender("10.1.0.7").request(ip("10.1.0.7"))[28..32], [0; 4], "whether anybody else has it");
    let frame = sender("2001:db8::1").request(ip("2001:db8::0102:0304"));
    assert_eq!(&frame[..6], [0x33, 0x33, 0xff, 2, 3, 4]);
    assert_eq!(&frame[22..38], "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
    assert_eq!(&frame[78..], [1, 1, 2, 0, 0, 0, 0, 1]);
}

#[test]
fn an_answer_is_whoever_says_that_he_has_the_address() {
    let said =
        |address: &str| Ok(Claim { address: ip(address), mac: THEIRS, sender: THEIRS, kind: ClaimKind::Has });
    assert_eq!(read(&arp_reply([10, 1, 0, 7])), said("10.1.0.7"));
    assert_eq!(read(&advertisement("2001:db8::7")), said("2001:db8::7"));
    let mut padded = arp_reply([10, 1, 0, 7]);
    padded.resize(60, 0);
    assert_eq!(read(&padded), said("10.1.0.7"), "Ethernet's least");
}

#[test]
fn who_answers_for_another_shows() {
    let mut frame = arp_reply([10, 1, 0, 7]);
    frame[11] = 0x66;
    let sender = Mac([2, 0, 0, 0, 0, 0x66]);
    assert_eq!(
        read(&frame),
        Ok(Claim { address: ip("10.1.0.7"), mac: THEIRS, sender, kind: ClaimKind::Has })
    );
}

#[test]
fn what_is_no_answer_is_told_why() {
    let reply = || arp_reply([10, 1, 0, 7]);
    let with = |at: usize, to: u8| {
        let mut frame = reply();
        frame[at] = to;
        read(&frame)
    };
    assert_eq!(read(&reply()[..41]), Err(InvalidFrame::Short));
    assert_eq!(with(18, 8), Err(InvalidFrame::Length));
    assert_eq!(with(21, 3), Err(InvalidFrame::Senseless), "neither request nor reply");
    assert_eq!(with(22, 1), Err(InvalidFrame::Senseless), "a MAC of many");
    assert_eq!(read(&arp_reply([0; 4])), Err(InvalidFrame::Senseless));
    let advert = || advertisement("2001:db8::7");
    let mut broken = advert();
    broken[60] ^= 1;
    assert_eq!(read(&broken), Err(InvalidFrame::Checksum));
    let mut routed = advert();
    routed[21] = 64;
    assert_eq!(read(&routed), Err(InvalidFrame::Routed));
    assert_eq!(read(&changed(advert(), 79, 0)), Err(InvalidFrame::Length), "an option that never ends");
    assert_eq!(read(&changed(advert(), 79, 9)), Err(InvalidFrame::Length), "an option longer than all");
    let mut short = advert();
    short.truncate(70);
    assert_eq!(read(&short), Err(InvalidFrame::Length));
}

/// The request of duplicate address detection.
fn probe(mac: Mac, address: IpAddr) -> Vec<u8> {
    ProbeSender { mac, address: None }.request(address)
}

#[test]
fn an_arp_probe_is_that_of_rfc_5227() {
    let expected: &[u8] = &[
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 7, 0x08, 0x06, // to all, from us, ARP
        0, 1, 0x08, 0, 6, 4, 0, 1, // Ethernet, IPv4, lengths, request
        2, 0, 0, 0, 0, 7, 0, 0, 0, 0, // sender without an address
        0, 0, 0, 0, 0, 0, 10, 1, 0, 2, // target
    ];
    assert_eq!(probe(THEIRS, [10, 1, 0, 2].into()), expected);
}

#[test]
fn who_probes_wants_the_address_and_has_none() {
    for address in ["10.1.0.2", "2001:db8::2"] {
        let address = address.parse().unwrap();
        let said = Claim { address, mac: THEIRS, sender: THEIRS, kind: ClaimKind::Wants };
        assert_eq!(read(&probe(THEIRS, address)), Ok(said));
    }
}

#[test]
fn who_asks_for_another_claims_his_own() {
    let mut arp = probe(THEIRS, [10, 1, 0, 2].into());
    arp[28..32].copy_from_slice(&[10, 1, 0, 7]);
    let own: IpAddr = "2001:db8::7".parse().unwrap();
    let sender = ProbeSender { mac: THEIRS, address: Some(own) };
    let solicitation = sender.request("2001:db8::2".parse().unwrap());
    for (frame, address) in [(arp, [10, 1, 0, 7].into()), (solicitation, own)] {
        assert_eq!(read(&frame), Ok(Claim { address, mac: THEIRS, sender: THEIRS, kind: ClaimKind::Has }));
    }
}

#[test]
fn an_announcement_claims_its_address() {
    for address in ["10.1.0.2", "2001:db8::2"] {
        let address = address.parse().unwrap();
        let said = Claim { address, mac: THEIRS, sender: THEIRS, kind: ClaimKind::Has };
        assert_eq!(read(&announcement(THEIRS, address)), Ok(said));
    }
}

#[test]
fn a_neighbour_solicitation_goes_to_the_group_of_its_address() {
    let frame = probe(THEIRS, "2001:db8::0102:0304".parse().unwrap());
    assert_eq!(&frame[..14], [0x33, 0x33, 0xff, 2, 3, 4, 2, 0, 0, 0, 0, 7, 0x86, 0xdd]);
    // Version 6, 24 bytes of ICMPv6, hop limit 255, from nobody.
    assert_eq!(&frame[14..22], [0x60, 0, 0, 0, 0, 24, 58, 255]);
    assert_eq!(&frame[22..38], [0; 16]);
    assert_eq!(&frame[38..54], "ff02::1:ff02:304".parse::<Ipv6Addr>().unwrap().octets());
    assert_eq!(frame[54], 135);
    assert_eq!(sum(&frame), 0xffff, "the checksum makes the sum all ones");
}

#[test]
fn an_advertisement_overrides_and_has_its_link_layer_address() {
    let frame = announcement(THEIRS, "2001:db8::2".parse().unwrap());
    assert_eq!((frame[54], frame[58]), (136, 0x20));
    assert_eq!(&frame[78..], [2, 1, 2, 0, 0, 0, 0, 7]);
    assert_eq!(sum(&frame), 0xffff);
}

/// RFC 4443, 2.3 and RFC 8200, 8.1: the pseudo-header and the message.
fn sum(frame: &[u8]) -> u16 {
    let (addresses, message) = (&frame[22..54], &frame[54..]);
    let pseudo = [addresses, &(message.len() as u32).to_be_bytes(), &[0, 0, 0, 58]].concat();
    let words = [&pseudo[..], message].concat();
    let total: u32 = words.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    (total >> 16) as u16 + (total & 0xffff) as u16
}

proptest! {
    /// What is built is read as what it was built from.
    #[test]
    fn whoever_has_an_address_is_read_from_his_own_frame(mac: [u8; 6], v4: u32, v6: u128) {
        let mut mac = Mac(mac);
        mac.0[0] &= 0xfe;
        let [v4, v6] = [IpAddr::from(v4.to_be_bytes()), IpAddr::from(v6.to_be_bytes())];
        for address in [v4, v6] {
            prop_assume!(!address.is_multicast() && !address.is_unspecified());
        }
        let IpAddr::V4(octets) = v4 else { unreachable!() };
        let mut reply = arp::request(mac, octets, [10, 1, 0, 1].into());
        reply[21] = 2;
        let answer = |address| Ok(Claim { address, mac, sender: mac, kind: ClaimKind::Has });
        prop_assert_eq!(read(&reply), answer(v4));
        for address in [v4, v6] {
            prop_assert_eq!(read(&announcement(mac, address)), answer(address));
            let wants = Claim { address, mac, sender: mac, kind: ClaimKind::Wants };
            prop_assert_eq!(read(&probe(mac, address)), Ok(wants));
        }
    }

    #[test]
    fn no_frame_makes_it_panic(bytes: Vec<u8>) {
        let _ = read(&bytes);
    }

    /// Frames that are right but for a few bytes get deeper into the code than random ones.
    #[test]
    fn no_mutation_of_an_answer_makes_it_panic(
        ipv6: bool,
        solicits: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end: prop::sample::Index,
    ) {
        let mut frame = match (ipv6, solicits) {
            (true, false) => advertisement("2001:db8::7"),
            (true, true) => probe(THEIRS, ip("2001:db8::7")),
            (false, false) => arp_reply([10, 1, 0, 7]),
            (false, true) => probe(THEIRS, ip("10.1.0.7")),
        };
        for (at, value) in changes {
            let at = at.index(frame.len());
            frame = if ipv6 && at >= 58 { changed(frame, at, value) } else { frame[at] = value; frame };
        }
        frame.truncate(end.index(frame.len() + 1));
        let _ = read(&frame);
    }
}
