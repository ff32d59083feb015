//! Frames as the RFCs write them, byte by byte, and that no frame makes the reading panic.

use proptest::prelude::*;

use super::*;

const MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0x07]);

#[test]
fn an_arp_probe_is_that_of_rfc_5227() {
    let expected: &[u8] = &[
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 7, 0x08, 0x06, // to all, from us, ARP
        0, 1, 0x08, 0, 6, 4, 0, 1, // Ethernet, IPv4, lengths, request
        2, 0, 0, 0, 0, 7, 0, 0, 0, 0, // sender without an address
        0, 0, 0, 0, 0, 0, 10, 1, 0, 2, // target
    ];
    assert_eq!(probe(MAC, [10, 1, 0, 2].into()), expected);
}

#[test]
fn who_probes_wants_the_address_and_has_none() {
    for address in ["10.1.0.2", "2001:db8::2"] {
        let address = address.parse().unwrap();
        let said = Claim { address, mac: MAC, standing: Standing::Wants };
        assert_eq!(claim(&probe(MAC, address)), Some(said));
    }
}

#[test]
fn who_asks_for_another_claims_his_own() {
    let mut arp = probe(MAC, [10, 1, 0, 2].into());
    arp[28..32].copy_from_slice(&[10, 1, 0, 7]);
    let mut solicitation = probe(MAC, "2001:db8::2".parse().unwrap());
    let own: std::net::Ipv6Addr = "2001:db8::7".parse().unwrap();
    solicitation[22..38].copy_from_slice(&own.octets());
    for (frame, address) in [(arp, [10, 1, 0, 7].into()), (solicitation, own.into())] {
        assert_eq!(claim(&frame), Some(Claim { address, mac: MAC, standing: Standing::Has }));
    }
}

#[test]
fn an_announcement_claims_its_address() {
    for address in ["10.1.0.2", "2001:db8::2"] {
        let address = address.parse().unwrap();
        let said = Claim { address, mac: MAC, standing: Standing::Has };
        assert_eq!(claim(&announcement(MAC, address)), Some(said));
    }
}

#[test]
fn a_neighbour_solicitation_goes_to_the_group_of_its_address() {
    let frame = probe(MAC, "2001:db8::0102:0304".parse().unwrap());
    assert_eq!(&frame[..14], [0x33, 0x33, 0xff, 2, 3, 4, 2, 0, 0, 0, 0, 7, 0x86, 0xdd]);
    // Version 6, 24 bytes of ICMPv6, hop limit 255, from nobody.
    assert_eq!(&frame[14..22], [0x60, 0, 0, 0, 0, 24, 58, 255]);
    assert_eq!(&frame[22..38], [0; 16]);
    assert_eq!(&frame[38..54], "ff02::1:ff02:304".parse::<std::net::Ipv6Addr>().unwrap().octets());
    assert_eq!(frame[54], 135);
    assert_eq!(sum(&frame), 0xffff, "the checksum makes the sum all ones");
}

#[test]
fn an_advertisement_overrides_and_has_its_link_layer_address() {
    let frame = announcement(MAC, "2001:db8::2".parse().unwrap());
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
    #[test]
    fn no_frame_makes_it_panic(bytes: Vec<u8>) {
        let _ = claim(&bytes);
    }

    /// Frames that are right but for a few bytes get deeper into the code than random ones.
    #[test]
    fn no_mutation_of_a_frame_makes_it_panic(
        ipv6: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end: prop::sample::Index,
    ) {
        let address = if ipv6 { "2001:db8::2" } else { "10.1.0.2" }.parse().unwrap();
        let mut frame = announcement(MAC, address);
        for (at, value) in changes {
            *at.get_mut(&mut frame) = value;
        }
        frame.truncate(end.index(frame.len() + 1));
        let _ = claim(&frame);
    }
}
