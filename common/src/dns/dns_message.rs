//! Questions to name servers, and what their answers say: RFC 1035, built and read with simple-dns. Anything may come.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::packet::random;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE};

use super::dns_error::NoAnswer;

/// RFC 1035, 4.2.1: without EDNS no answer is longer; some are nevertheless.
pub const MOST_BYTES: usize = 4096;
/// RFC 1035, 4.1.1
const HEADER_BYTES: usize = 12;

/// What one server says of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsAnswer {
    Addresses(Vec<IpAddr>),
    /// It is there, for something else.
    NoAddress,
    /// There is no such name.
    NoName,
    /// More than fits into a datagram: it is to be asked for by TCP.
    Cut,
}

/// The answers to several questions about one name, as glibc takes them.
pub fn together(answers: Vec<DnsAnswer>) -> Option<DnsAnswer> {
    answers.into_iter().reduce(|one, other| match (one, other) {
        (DnsAnswer::Addresses(one), DnsAnswer::Addresses(other)) => {
            DnsAnswer::Addresses([one, other].concat())
        }
        (said @ DnsAnswer::Addresses(_), _) | (_, said @ DnsAnswer::Addresses(_)) => said,
        (DnsAnswer::NoName, DnsAnswer::NoName) => DnsAnswer::NoName,
        _ => DnsAnswer::NoAddress,
    })
}

/// A number that cannot be guessed without seeing the question.
pub fn number() -> u16 {
    random().map(u16::from_ne_bytes).unwrap_or_default()
}

/// `None` for a name that DNS does not have.
pub fn question(id: u16, name: &str, kind: TYPE) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(Name::new(name).ok()?, kind.into(), CLASS::IN.into(), false));
    packet.build_bytes_vec().ok()
}

/// Which of the open questions is answered, and what it says; `None` for anything else.
pub fn read(bytes: &[u8], name: &str, open: &[(u16, TYPE)]) -> Option<(usize, Result<DnsAnswer, NoAnswer>)> {
    // What follows the question may be anything, and is read only where it matters.
    let mut asked = bytes.get(..HEADER_BYTES)?.to_vec();
    asked[4..].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    asked.extend(&bytes[HEADER_BYTES..]);
    let packet = Packet::parse(&asked).ok()?;
    let question = packet.questions.first()?;
    let is_it = |(id, kind): &(u16, TYPE)| {
        let same_name = question.qname.to_string().eq_ignore_ascii_case(name);
        packet.id() == *id
            && packet.has_flags(PacketFlag::RESPONSE)
            && question.qtype == (*kind).into()
            && same_name
    };
    let at = open.iter().position(is_it)?;
    let kind = open[at].1;
    let said = match packet.rcode() {
        RCODE::NoError if packet.has_flags(PacketFlag::TRUNCATION) => Ok(DnsAnswer::Cut),
        RCODE::NoError => addresses(bytes, kind),
        RCODE::NameError => Ok(DnsAnswer::NoName),
        RCODE::Refused => Err(NoAnswer::Refused),
        RCODE::ServerFailure => Err(NoAnswer::ServerFailure),
        other => Err(NoAnswer::Code(other)),
    };
    Some((at, said))
}

/// The addresses of that kind in a whole answer.
fn addresses(bytes: &[u8], kind: TYPE) -> Result<DnsAnswer, NoAnswer> {
    let packet = Packet::parse(bytes).map_err(|_| NoAnswer::Damaged)?;
    let addresses: Vec<IpAddr> = packet
        .answers
        .iter()
        .filter_map(|record| match &record.rdata {
            RData::A(a) if kind == TYPE::A => Some(Ipv4Addr::from(a.address).into()),
            RData::AAAA(aaaa) if kind == TYPE::AAAA => Some(Ipv6Addr::from(aaaa.address).into()),
            _ => None,
        })
        .collect();
    Ok(if addresses.is_empty() { DnsAnswer::NoAddress } else { DnsAnswer::Addresses(addresses) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::A;

    use super::*;

    const OPEN: [(u16, TYPE); 1] = [(7, TYPE::A)];

    fn answer(id: u16, name: &str, rcode: RCODE, addresses: &[u32]) -> Vec<u8> {
        let mut packet = Packet::new_reply(id);
        *packet.rcode_mut() = rcode;
        let name = Name::new_unchecked(name);
        packet.questions.push(Question::new(name.clone(), TYPE::A.into(), CLASS::IN.into(), false));
        for address in addresses {
            let data = RData::A(A { address: *address });
            packet.answers.push(ResourceRecord::new(name.clone(), CLASS::IN, 60, data));
        }
        packet.build_bytes_vec().unwrap()
    }

    #[test]
    fn only_an_answer_to_our_question_counts() {
        assert!(read(&answer(8, "db", RCODE::NoError, &[1]), "db", &OPEN).is_none());
        assert!(read(&answer(7, "evil", RCODE::NoError, &[1]), "db", &OPEN).is_none());
        assert!(read(&question(7, "db", TYPE::A).unwrap(), "db", &OPEN).is_none());
        let (at, said) = read(&answer(7, "DB", RCODE::NoError, &[0x0a01_0002]), "db", &OPEN).unwrap();
        assert_eq!((at, said.unwrap()), (0, DnsAnswer::Addresses(vec!["10.1.0.2".parse().unwrap()])));
    }

    #[test]
    fn an_answer_that_was_cut_short_is_not_believed() {
        let mut bytes = answer(7, "db", RCODE::NoError, &[1]);
        // RFC 1035, 4.1.1: TC
        bytes[2] |= 2;
        assert_eq!(read(&bytes, "db", &OPEN).unwrap().1.unwrap(), DnsAnswer::Cut);
    }

    /// What glibc and musl look at is the code in the header.
    #[test]
    fn that_there_is_no_such_name_is_read_whatever_comes_after_it() {
        let mut bytes = answer(7, "db", RCODE::NameError, &[]);
        bytes[7] = 9;
        bytes.extend([0xc0, 0xff, 1, 2, 3]);
        assert_eq!(read(&bytes, "db", &OPEN).unwrap().1.unwrap(), DnsAnswer::NoName);
        let mut bytes = answer(7, "db", RCODE::NoError, &[1]);
        bytes.truncate(bytes.len() - 2);
        let said = read(&bytes, "db", &OPEN).unwrap().1.unwrap_err();
        assert_eq!(said.to_string(), "sends an answer that cannot be read");
    }

    #[test]
    fn no_address_is_not_no_name() {
        let said =
            |rcode, addresses: &[u32]| read(&answer(7, "db", rcode, addresses), "db", &OPEN).unwrap().1;
        assert_eq!(said(RCODE::NoError, &[]).unwrap(), DnsAnswer::NoAddress);
        assert_eq!(said(RCODE::NameError, &[]).unwrap(), DnsAnswer::NoName);
        assert_eq!(said(RCODE::ServerFailure, &[]).unwrap_err().to_string(), "fails (SERVFAIL)");
        assert_eq!(together(vec![DnsAnswer::NoName, DnsAnswer::NoAddress]), Some(DnsAnswer::NoAddress));
        assert_eq!(together(vec![]), None);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(
            random: Vec<u8>,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            let _ = read(&random, "db", &OPEN);
            let mut bytes = answer(7, "db", RCODE::NoError, &[1, 2]);
            for (at, value) in changes {
                *at.get_mut(&mut bytes) = value;
            }
            let _ = read(&bytes, "db", &OPEN);
        }
    }
}
