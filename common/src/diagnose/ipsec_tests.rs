//! Verdicts where IPsec policies are: which of them is about a packet is tested where that is decided.

use std::net::IpAddr;

use nix::errno::Errno;

use super::tests::{asked, neighbour, said, seen, silent, watched};
use super::*;
use crate::netlink::{IpsecDirection, IpsecPolicy, IpsecTables, IpsecTemplate, IpsecTransform};

/// Policies about all packets of that direction.
fn policies(direction: IpsecDirection, blocks: bool, has_more: bool, wants: &[u8]) -> Option<IpsecTables> {
    let template = |protocol: &u8| {
        let any: IpAddr = "0.0.0.0".parse().unwrap();
        let transform = IpsecTransform {
            source: any,
            destination: any,
            protocol: *protocol,
            mode: 1,
            spi: 0,
            request_id: 0,
        };
        IpsecTemplate { transform, is_optional: false }
    };
    let policy = IpsecPolicy {
        direction,
        source: "0.0.0.0/0".parse().unwrap(),
        destination: "0.0.0.0/0".parse().unwrap(),
        protocol: 0,
        source_port: (0, 0),
        destination_port: (0, 0),
        priority: 0,
        index: 8,
        blocks,
        templates: wants.iter().map(template).collect(),
        has_more,
    };
    Some(IpsecTables { policies: vec![policy], ..IpsecTables::default() })
}

#[test]
fn where_an_ipsec_policy_may_change_packets_nothing_is_concluded_from_what_taps_did_not_see() {
    use IpsecDirection::{Forward, In, Out};
    let mut evidence = silent(None);
    asked(&mut evidence, &["02:00:00:00:00:09"]);
    evidence.neighbours = Some(vec![neighbour("10.1.0.9", 0x02)]);
    evidence.again = watched(&[]);
    assert_eq!(said(&evidence).0, "not-sent-egress");
    evidence.ipsec = policies(Out, true, true, &[]);
    assert_eq!(said(&evidence).0, "no-echo");
    evidence.ipsec = policies(Forward, true, true, &[]);
    assert_eq!(said(&evidence).0, "not-sent-egress", "the policy is about other packets");
    evidence.again = watched(&[seen(Passage::AnswerIn, 2, "eth0")]);
    evidence.hooks = Some(vec![FilterHook::Input]);
    assert!(said(&evidence).1.ends_with("the input hook has rules that could do so"));
    evidence.ipsec = policies(In, true, true, &[]);
    let (cause, text, hint) = said(&evidence);
    assert_eq!(cause, "answer-dropped-here");
    assert!(text.ends_with("dropped in here: an IPsec policy, or a firewall rule?"), "{text}");
    assert_eq!(hint, "nsenter-rs -t nginx -n ip xfrm policy");
    evidence.not_sent = Some((Errno::EPERM, None));
    evidence.hooks = Some(vec![FilterHook::Output]);
    evidence.ipsec = policies(Out, true, true, &[]);
    assert_eq!(said(&evidence).0, "not-sent", "the policy blocks, or the hook");
    evidence.ipsec = policies(In, true, false, &[]);
    assert_eq!(said(&evidence).0, "not-sent-output");
    let mut evidence = silent(Some("10.1.0.1"));
    asked(&mut evidence, &["02:00:00:00:00:09"]);
    let seen = vec![seen(Passage::RequestIn, 7, "veth1")];
    let ipsec = policies(Forward, true, true, &[]);
    evidence.host = Some(HostSight { seen, is_dest: false, hooks: None, ipsec });
    assert_eq!(said(&evidence).0, "beyond-router");
}

#[test]
fn an_ipsec_policy_that_certainly_drops_is_named_with_what_undoes_it() {
    use IpsecDirection::{Forward, In, Out};
    let mut evidence = silent(Some("10.1.0.1"));
    asked(&mut evidence, &["02:00:00:00:00:09"]);
    evidence.again = watched(&[]);
    evidence.ipsec = policies(Out, false, false, &[50]);
    let (cause, text, hint) = said(&evidence);
    assert_eq!(cause, "xfrm-policy");
    assert_eq!(
        text,
        "no answer: nothing was sent: the IPsec policy from 0.0.0.0/0 to 0.0.0.0/0 (dir out) wants ESP in a tunnel, and there is no state for it"
    );
    assert_eq!(hint, "nsenter-rs -t nginx -n ip xfrm state");
    evidence.again = watched(&[seen(Passage::RequestOut, 2, "eth0")]);
    assert_eq!(said(&evidence).0, "beyond-router", "it was seen to leave");
    evidence.again = None;
    assert_eq!(said(&evidence).0, "beyond-router", "nobody has looked");
    evidence.not_sent = Some((Errno::EPERM, None));
    evidence.hooks = Some(vec![FilterHook::Output]);
    evidence.ipsec = policies(Out, true, false, &[]);
    let (cause, text, hint) = said(&evidence);
    assert_eq!(cause, "xfrm-policy");
    assert!(text.contains("Operation not permitted: the IPsec policy from"), "{text}");
    assert_eq!(hint, "nsenter-rs -t nginx -n ip xfrm policy delete index 8 dir out");
    evidence.not_sent = None;
    evidence.ipsec = policies(In, false, false, &[50]);
    evidence.again = watched(&[seen(Passage::AnswerIn, 2, "eth0")]);
    let (cause, text, _) = said(&evidence);
    assert_eq!(cause, "answer-dropped-here");
    assert!(text.contains("(dir in) wants ESP in a tunnel, and there is no state for it"), "{text}");
    evidence.again = None;
    let seen = vec![seen(Passage::RequestIn, 7, "veth1")];
    let ipsec = policies(Forward, true, false, &[]);
    evidence.host = Some(HostSight { seen, is_dest: false, hooks: Some(vec![FilterHook::Forward]), ipsec });
    let (cause, text, hint) = said(&evidence);
    assert_eq!(cause, "host-drops");
    assert!(
        text.ends_with(
            "not seen to leave again: the IPsec policy from 0.0.0.0/0 to 0.0.0.0/0 (dir fwd) blocks it"
        ),
        "{text}"
    );
    assert_eq!(hint, "ip xfrm policy delete index 8 dir fwd");
}
