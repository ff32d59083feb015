//! Rules of nf_tables as `nft --debug=netlink` shows them, and what is made of them.

use super::nat_rule::{NatAction, NatCondition, NatRule, NewDestination};
use super::nft::read;
use crate::netlink::{NftCompare, NftElement, NftExpression, NftRegister, NftRule, NftVerdict, TableFamily};
use crate::target::Transport;

const ONE: NftRegister = NftRegister(0);
const TWO: NftRegister = NftRegister(16);

fn meta(key: u32) -> NftExpression {
    NftExpression::Meta { key, to: ONE }
}

fn payload(base: u32, offset: u32, length: u32) -> NftExpression {
    NftExpression::Payload { base, offset, length, to: ONE }
}

fn equal(value: &[u8]) -> NftExpression {
    NftExpression::Compare { from: ONE, how: NftCompare::Equal, value: value.to_vec() }
}

fn constant(to: NftRegister, value: &[u8]) -> NftExpression {
    NftExpression::Constant { to, value: value.to_vec() }
}

fn lookup(to: Option<NftRegister>, is_verdict: bool) -> NftExpression {
    NftExpression::Lookup { set: "s".to_owned(), from: ONE, to, is_verdict, is_inverted: false }
}

fn dnat(port: Option<NftRegister>) -> NftExpression {
    NftExpression::Dnat { family: 2, address: Some(ONE), port, last_port: port }
}

fn element(key: &[u8], value: Option<&[u8]>) -> NftElement {
    let (key, value) = (Some(key.to_vec()), value.map(<[u8]>::to_vec));
    NftElement { key, last: None, is_end: false, value, verdict: None }
}

/// What is made of a rule of that family, whose only set has these elements.
fn made(family: TableFamily, parts: Vec<NftExpression>, elements: Option<Vec<NftElement>>) -> Vec<NatRule> {
    let (table, chain) = ("t".to_owned(), "c".to_owned());
    let rule = NftRule { family, table, chain, handle: 1, expressions: parts };
    read(&rule, &mut |_| elements.clone())
}

fn to(address: &str, port: Option<u16>) -> NatAction {
    let address = Some(address.parse().unwrap());
    NatAction::Dnat(NewDestination { address, port, ..NewDestination::default() })
}

fn tcp_to_8080() -> Vec<NftExpression> {
    vec![meta(16), equal(&[6]), payload(2, 2, 2), equal(&[0x1f, 0x90])]
}

#[test]
fn a_port_that_is_forwarded_is_read() {
    let parts =
        [tcp_to_8080(), vec![constant(ONE, &[10, 0, 0, 2]), constant(TWO, &[0, 80, 0, 0]), dnat(Some(TWO))]];
    let [rule] = made(TableFamily::Inet, parts.concat(), None).try_into().unwrap();
    let asked = [NatCondition::Transport(Transport::Tcp), NatCondition::Ports(vec![8080..=8080])];
    assert_eq!((rule.conditions.as_slice(), rule.action), (&asked[..], to("10.0.0.2", Some(80))));
}

#[test]
fn destinations_are_read_whole_by_their_first_bytes_and_masked() {
    let asked = |parts: Vec<NftExpression>| made(TableFamily::Ip, parts, None)[0].conditions[1..].to_vec();
    let network = |word: &str| vec![NatCondition::To(word.parse().unwrap())];
    assert_eq!(asked(vec![payload(1, 16, 4), equal(&[10, 0, 0, 1])]), network("10.0.0.1/32"));
    assert_eq!(asked(vec![payload(1, 16, 1), equal(&[127])]), network("127.0.0.0/8"));
    let mask = |bits: [u8; 4]| NftExpression::Mask { from: ONE, to: ONE, mask: bits.to_vec() };
    let masked = |bits| asked(vec![payload(1, 16, 4), mask(bits), equal(&[172, 16, 0, 0])]);
    assert_eq!(masked([255, 240, 0, 0]), network("172.16.0.0/12"));
    assert_eq!(masked([255, 0, 255, 0]), [NatCondition::Unknown]);
    // The source, and a part that we do not know.
    assert_eq!(asked(vec![payload(1, 12, 4), equal(&[10, 0, 0, 1])]), [NatCondition::Unknown]);
    assert_eq!(asked(vec![NftExpression::Other("numgen".to_owned())]), [NatCondition::Unknown]);
    // Whether the 16th byte is of IPv4's header is known only of a table, or after a question, of that family.
    let six = made(TableFamily::Ip6, vec![payload(1, 16, 4), equal(&[1; 4])], None);
    assert_eq!(six[0].conditions[1..], [NatCondition::Unknown]);
}

#[test]
fn sets_of_ports_and_of_protocols_are_read() {
    let ports = [vec![meta(16), equal(&[6]), payload(2, 2, 2), lookup(None, false)]].concat();
    let end = |key: &[u8]| NftElement { is_end: true, ..element(key, None) };
    let elements =
        vec![end(&[0, 82]), element(&[0, 80], None), end(&[0, 91]), element(&[0, 90], None), end(&[0, 0])];
    let rules = made(TableFamily::Ip, ports.clone(), Some(elements));
    assert_eq!(rules[0].conditions[2..], [NatCondition::Ports(vec![80..=81, 90..=90])]);
    assert_eq!(
        made(TableFamily::Ip, ports, None)[0].conditions[2..],
        [NatCondition::Unknown],
        "it cannot be read"
    );
    let both = vec![element(&[6], None), element(&[17], None)];
    let parts = vec![
        meta(16),
        lookup(None, false),
        payload(2, 2, 2),
        equal(&[0, 53]),
        NftExpression::Redirect { port: None },
    ];
    let rules = made(TableFamily::Ip, parts, Some(both));
    let transports: Vec<_> = rules.iter().flat_map(|rule| &rule.conditions).collect();
    for transport in [Transport::Tcp, Transport::Udp] {
        assert!(transports.contains(&&NatCondition::Transport(transport)));
    }
    assert!(!transports.contains(&&NatCondition::Unknown) && rules.len() == 2);
}

#[test]
fn each_element_of_a_map_is_a_rule() {
    let parts = vec![payload(2, 2, 2), lookup(Some(ONE), false), dnat(Some(NftRegister(4)))];
    let elements = vec![
        element(&[0, 80], Some(&[10, 0, 0, 2, 0x1f, 0x90, 0, 0])),
        element(&[0, 81], Some(&[10, 0, 0, 3, 0, 81, 0, 0])),
    ];
    let rules = made(TableFamily::Ip, parts, Some(elements));
    let actions: Vec<_> = rules.iter().map(|rule| rule.action.clone()).collect();
    assert_eq!(actions, [to("10.0.0.2", Some(8080)), to("10.0.0.3", Some(81))]);
    let verdict = NftElement { verdict: Some(NftVerdict::Jump("web".to_owned())), ..element(&[0, 80], None) };
    let rules = made(TableFamily::Ip, vec![payload(2, 2, 2), lookup(None, true)], Some(vec![verdict]));
    assert_eq!((rules.len(), &rules[0].action), (1, &NatAction::Jump("web".to_owned())));
    assert!(rules[0].conditions.contains(&NatCondition::Ports(vec![80..=80])));
}

#[test]
fn a_rule_that_loads_and_compares_what_does_not_matter_is_not_taken_for_one_without_conditions() {
    let mark = vec![meta(3), equal(&[1, 0, 0, 0])];
    let rules = made(TableFamily::Ip, [mark, tcp_to_8080()].concat(), None);
    assert!(rules[0].conditions.contains(&NatCondition::Unknown));
    let sctp = made(TableFamily::Ip, vec![meta(16), equal(&[132])], None);
    assert!(sctp[0].conditions.contains(&NatCondition::Never));
}
