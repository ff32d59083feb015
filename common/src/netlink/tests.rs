//! The codec: what the kernel says is read as it is, and nothing that anybody else could say makes it panic.

use std::collections::BTreeSet;
use std::net::IpAddr;

use nix::errno::Errno;
use proptest::prelude::*;

use super::wire::{self, MalformedMessage, NetlinkRequest, attributes, messages};
use super::{
    Address, IpsecDirection, IpsecPolicy, IpsecState, Link, Neighbour, NetlinkError, Route, Rule, Socket,
};
use super::{address, link, neighbour, nsid, route, rule};
use crate::namespace::{Namespace, NamespaceKind};

/// The payloads of what this machine's kernel answers to `request`.
fn answered(request: fn(u16) -> NetlinkRequest) -> Vec<Vec<u8>> {
    Socket::open().unwrap().dump(request, |payload| Ok(payload.to_vec())).unwrap()
}

#[test]
fn the_links_are_those_of_proc_net_dev() {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let shown: BTreeSet<&str> =
        text.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
    let links = Socket::open().unwrap().links().unwrap();
    let names: BTreeSet<&str> = links.iter().filter_map(|link| link.name.to_str()).collect();
    assert_eq!(names, shown);
}

#[test]
fn the_addresses_are_those_of_proc_net_if_inet6() {
    let text = std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
    let shown: BTreeSet<(u32, IpAddr, u8)> = text.lines().map(if_inet6).collect();
    let addresses = Socket::open().unwrap().addresses().unwrap();
    let six = addresses.iter().filter(|own| own.address.is_ipv6());
    let read: BTreeSet<_> = six.map(|own| (own.index, own.address, own.prefix_len)).collect();
    assert_eq!(read, shown);
}

/// `00000000000000000000000000000001 01 80 10 80       lo`
fn if_inet6(line: &str) -> (u32, IpAddr, u8) {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let bits = u128::from_str_radix(fields[0], 16).unwrap();
    let [index, prefix_len] = [1, 2].map(|field| u32::from_str_radix(fields[field], 16).unwrap());
    (index, IpAddr::from(bits.to_be_bytes()), prefix_len as u8)
}

#[test]
fn a_namespace_that_no_link_leads_to_has_no_number() {
    // Ours has none for itself, unless somebody gave it one.
    let own = Namespace::current(NamespaceKind::Net).unwrap();
    assert_eq!(Socket::open().unwrap().nsid(&own).unwrap(), None);
}

#[test]
fn the_kernels_refusal_has_its_reason_in_words() {
    // An attribute that this request may not have: refused by strict checking alone, with a text of its own.
    let strange = |flags| link::request(flags).with_u32(1, 0);
    let refused = Socket::open().unwrap().dump(strange, Link::read).unwrap_err();
    match refused {
        NetlinkError::Refused { request: "links", errno: Errno::EINVAL, why: Some(why) } => {
            assert!(!why.is_empty());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_socket_answers_again_after_a_refusal() {
    let mut socket = Socket::open().unwrap();
    assert!(socket.dump(|flags| link::request(flags).with_u32(1, 0), Link::read).is_err());
    assert!(!socket.links().unwrap().is_empty());
    assert!(socket.nsid(&Namespace::current(NamespaceKind::Net).unwrap()).is_ok());
}

#[test]
fn a_message_that_lies_about_its_length_ends_the_reading() {
    let request = link::request(0).numbered(7);
    assert_eq!(messages(&request).count(), 1);
    let mut longer = request.clone();
    longer[0] += 1;
    assert_eq!(messages(&longer).last(), Some(Err(MalformedMessage::Message)));
    let mut endless = request;
    endless[0] = 0;
    assert_eq!(messages(&endless).collect::<Vec<_>>(), [Err(MalformedMessage::Message)]);
}

#[test]
fn attributes_that_nobody_knows_are_passed_over() {
    for payload in answered(link::request) {
        let known = Link::read(&payload).unwrap();
        let mut newer = payload;
        newer.extend_from_slice(&[7, 0, 0xff, 0x3f, 1, 2, 3, 0]);
        assert_eq!(Link::read(&newer).unwrap(), known);
    }
}

fn read_all(bytes: &[u8]) {
    let _ = (
        Link::read(bytes),
        Address::read(bytes),
        Route::read(bytes),
        Rule::read(bytes),
        Neighbour::read(bytes),
        nsid::read(bytes),
        IpsecPolicy::read(bytes),
        IpsecState::read(bytes),
    );
}

#[test]
fn a_nested_attribute_holds_what_was_put_into_it() {
    let order = NetlinkRequest::new("test", 16, 0, &[0; 16])
        .with_nested(18, |info| info.with_text(1, "veth").with_nested(2, |data| data.with_u32(7, 9)))
        .with(3, b"x")
        .with_u32(4, 5);
    let bytes = order.numbered(1);
    let message = messages(&bytes).next().unwrap().unwrap();
    let read = |bytes| attributes(bytes).map(Result::unwrap).collect::<Vec<_>>();
    let outer = read(&message.payload[16..]);
    assert_eq!(outer.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [18, 3, 4]);
    let info = read(outer[0].1);
    assert_eq!(info[0], (1, &b"veth\0"[..]));
    assert_eq!(read(info[1].1), [(7, &9_u32.to_ne_bytes()[..])]);
    assert_eq!(outer[1].1, b"x");
}

/// What Linux 6.18 says of policies that ip(8) had made, as hexadecimal digits.
const POLICIES: [&str; 2] = [
    // src fd00::/64 dst fd01::/64 proto udp sport 4 dport 53 dir in action block mark 7 mask 0xff if_id 9
    "fd010000000000000000000000000000fd0000000000000000000000000000000035ffff0004ffff0a004040110000000000000000000000ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000fe240e6b000000000000000000000000000000000800000000010000000000000a00100000000000000000000c00150007000000ff00000008001f0009000000",
    // src 10.9.1.0/24 dst 10.9.2.0/24 dir out priority 7 tmpl src 10.9.1.2 dst 10.9.2.2 proto esp reqid 5 mode tunnel
    // tmpl proto ah mode transport level use
    "0a0902000000000000000000000000000a090100000000000000000000000000000000000000000002001818000000000000000000000000ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000fe240e6b00000000000000000000000007000000010000000100000000000000840005000a0902020000000000000000000000000000000032000000020000000a0901020000000000000000000000000500000001000000ffffffffffffffffffffffff00000000000000000000000000000000000000003300000002000000000000000000000000000000000000000000000000000100ffffffffffffffffffffffff0a0010000000000000000000",
];

/// The same of states.
const STATES: [&str; 2] = [
    // src 10.9.1.2 dst 10.9.1.1 proto esp spi 0x107 reqid 5 mode tunnel
    "0a0901010000000000000000000000000a0901020000000000000000000000000000000000000000020020200000000000000000000000000a09010100000000000000000000000000000107320000000a090102000000000000000000000000ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff00000000000000001e000000000000000000000000000000000000000000000000000000000000000000000000000000c5250e6b000000000000000000000000000000000000000000000000000000000500000002000100000000000000000010000a00000000000000000000000000",
    // src fd00::1 dst fd00::2 proto ah spi 0x106 reqid 6 mode transport
    "fd000000000000000000000000000002fd000000000000000000000000000001000000000000000000008080000000000000000000000000fd0000000000000000000000000000020000010633000000fd000000000000000000000000000001ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff00000000000000001e000000000000000000000000000000000000000000000000000000000000000000000000000000c5250e6b00000000000000000000000000000000000000000000000000000000060000000a000000000000000000000010000a00000000000000000000000000",
];

#[test]
fn states_of_ipsec_are_what_ip_was_told() {
    let [tunnel, transport] = STATES.map(|digits| IpsecState::read(&bytes_of(digits)).unwrap().0);
    assert_eq!(
        format!(
            "{} {} {} {} {} {}",
            tunnel.source, tunnel.destination, tunnel.protocol, tunnel.spi, tunnel.request_id, tunnel.mode
        ),
        "10.9.1.2 10.9.1.1 50 263 5 1"
    );
    assert_eq!(
        format!(
            "{} {} {} {} {} {}",
            transport.source,
            transport.destination,
            transport.protocol,
            transport.spi,
            transport.request_id,
            transport.mode
        ),
        "fd00::1 fd00::2 51 262 6 0"
    );
}

fn bytes_of(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[test]
fn policies_of_ipsec_are_what_ip_was_told() {
    let [blocks, wants] = POLICIES.map(|digits| IpsecPolicy::read(&bytes_of(digits)).unwrap().unwrap());
    assert_eq!((blocks.direction, blocks.blocks, blocks.index), (IpsecDirection::In, true, 8));
    assert_eq!(
        (blocks.source.to_string(), blocks.destination.to_string()),
        ("fd00::/64".into(), "fd01::/64".into())
    );
    assert_eq!(
        (blocks.protocol, blocks.source_port, blocks.destination_port),
        (17, (4, 0xffff), (53, 0xffff))
    );
    assert!(blocks.has_more && blocks.templates.is_empty(), "{blocks:?}");
    assert_eq!((wants.direction, wants.blocks, wants.priority), (IpsecDirection::Out, false, 7));
    assert!(!wants.has_more, "{wants:?}");
    let [tunnel, transport] = &wants.templates[..] else { panic!("{wants:?}") };
    let read = &tunnel.transform;
    assert_eq!(
        (read.source.to_string(), read.destination.to_string()),
        ("10.9.1.2".into(), "10.9.2.2".into())
    );
    assert_eq!((read.protocol, read.mode, read.request_id, tunnel.is_optional), (50, 1, 5, false));
    assert!(transport.is_optional && transport.transform.source.is_unspecified());
    assert_eq!((transport.transform.protocol, transport.transform.mode), (51, 0));
    let mut of_a_socket = bytes_of(POLICIES[1]);
    of_a_socket[160] = 3;
    assert_eq!(IpsecPolicy::read(&of_a_socket).unwrap(), None);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        messages(&bytes).for_each(drop);
        attributes(&bytes).for_each(drop);
        read_all(&bytes);
        let _ = (wire::errno(&bytes), wire::reason(&bytes));
    }

    /// Bytes that are right but for a few get deeper into the code than random ones.
    #[test]
    fn no_mutation_of_a_real_answer_makes_it_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        end: prop::sample::Index,
        entry: prop::sample::Index,
    ) {
        thread_local!(static REAL: [Vec<Vec<u8>>; 7] = [
            answered(link::request),
            answered(address::request),
            answered(route::request),
            answered(neighbour::request),
            answered(rule::request),
            POLICIES.map(bytes_of).to_vec(),
            STATES.map(bytes_of).to_vec(),
        ]);
        REAL.with(|tables| {
            for payloads in tables.iter().filter(|payloads| !payloads.is_empty()) {
                let mut bytes = entry.get(payloads).clone();
                for (at, value) in &changes {
                    *at.get_mut(&mut bytes) = *value;
                }
                bytes.truncate(end.index(bytes.len() + 1));
                read_all(&bytes);
            }
        });
    }
}
