//! Verdicts from recorded evidence: what the kernel of a lab said, as plain data.

use std::net::IpAddr;

use nix::errno::Errno;

use super::*;
use crate::netlink::{Link, Neighbour, OperState, RouteLookup};
use crate::packet::icmp::IcmpError;
use crate::target::Mac;

pub(super) const UP: u32 = 0x1_0043;
pub(super) const DOWN: u32 = 0x1_0042;
const NO_CARRIER: u32 = 0x43;

pub(super) fn ip(word: &str) -> IpAddr {
    word.parse().unwrap()
}

fn mac(word: &str) -> Mac {
    word.parse().unwrap()
}

pub(super) fn link(index: u32, name: &str, flags: u32) -> Link {
    let kind = Some("veth".to_owned());
    Link { name: name.into(), kind, mtu_bytes: 1500, flags, operstate: OperState::Up, ..Link::plain(index) }
}

pub(super) fn neighbour(address: &str, state: u16) -> Neighbour {
    let known = state & (0x20 | 0x01) == 0;
    Neighbour { index: 2, address: ip(address), mac: known.then(|| mac("02:00:00:00:00:09")), state }
}

/// From `nginx` on eth0 to 10.1.0.9, through a router if there is one, sent and not answered.
pub(super) fn silent(gateway: Option<&str>) -> Evidence {
    let route = RouteLookup {
        index: Some(2),
        gateway: gateway.map(ip),
        source: Some(ip("10.1.0.2")),
        ..RouteLookup::default()
    };
    let mut evidence = Evidence::new("nginx", "nginx", ip("10.1.0.9"), route, "eth0");
    evidence.links = Some(vec![link(2, "eth0", UP)]);
    evidence.lost = 1;
    evidence
}

/// The cause's word, the sentence, and the line behind `hint:`.
pub(super) fn said(evidence: &Evidence) -> (String, String, String) {
    let verdict = judge(evidence);
    let hint = verdict.hint().map_or_else(String::new, |hint| hint.to_string());
    (verdict.cause.unwrap().to_string(), verdict.text.unwrap(), hint)
}

pub(super) fn asked(evidence: &mut Evidence, macs: &[&str]) {
    let macs: Vec<Mac> = macs.iter().map(|word| mac(word)).collect();
    evidence.asked = if macs.is_empty() { NeighbourAnswer::Silent } else { NeighbourAnswer::Answered(macs) };
}

#[test]
fn words_are_unlike_each_other_and_stable() {
    let mut words: Vec<&str> = Cause::PINGED.iter().chain(Cause::TRACED).map(|cause| cause.word()).collect();
    assert!(words.iter().all(|word| {
        word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    }));
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Cause::PINGED.len() + Cause::TRACED.len());
    assert_eq!(serde_json::to_value(Cause::NoEcho).unwrap(), "no-echo");
}

#[test]
fn only_a_neighbour_that_answers_now_is_said_to_answer() {
    let mut evidence = silent(None);
    asked(&mut evidence, &[]);
    let (cause, text, hint) = said(&evidence);
    assert_eq!(
        (cause.as_str(), text.as_str()),
        ("neighbour-silent", "no answer: 10.1.0.9 does not answer ARP on eth0")
    );
    assert_eq!(hint, "netns-ping --arp nginx 10.1.0.9");
    for state in [0x02, 0x04, 0x08, 0x10] {
        evidence.neighbour_before = Some(neighbour("10.1.0.9", state));
        assert_eq!(said(&evidence).0, "neighbour-gone", "{state:#x}");
    }
    evidence.neighbour_before = Some(neighbour("10.1.0.9", 0x80));
    let (cause, text, _) = said(&evidence);
    assert_eq!(cause, "neighbour-permanent");
    assert!(text.ends_with("its neighbour entry (02:00:00:00:00:09) is permanent"), "{text}");
    evidence.neighbour_before = None;
    evidence.neighbours = Some(vec![neighbour("10.1.0.9", 0x02)]);
    assert_eq!(said(&evidence).0, "neighbour-gone", "it has answered while it was pinged");
    asked(&mut evidence, &["02:00:00:00:00:09"]);
    let (cause, text, hint) = said(&evidence);
    assert_eq!(cause, "no-echo");
    assert_eq!(
        text,
        "no answer: 10.1.0.9 (02:00:00:00:00:09) answers ARP on eth0, but not pings: a firewall there?"
    );
    assert_eq!(hint, "nsenter-rs -t nginx -n tcpdump -ni eth0 icmp");
}

#[test]
fn what_was_not_asked_is_not_said() {
    let evidence = silent(None);
    assert_eq!(said(&evidence).0, "no-answer");
    let mut evidence = silent(Some("10.1.0.1"));
    evidence.neighbours = Some(vec![neighbour("10.1.0.1", 0x02)]);
    assert_eq!(said(&evidence).0, "no-answer", "an entry is no answer");
    evidence.neighbours = Some(vec![neighbour("10.1.0.1", 0x20)]);
    assert_eq!(said(&evidence).0, "router-silent", "the kernel has asked by itself");
}

#[test]
fn a_router_is_told_from_a_host_on_the_link() {
    let mut evidence = silent(Some("10.1.0.1"));
    asked(&mut evidence, &[]);
    assert_eq!(said(&evidence).0, "router-silent");
    evidence.neighbour_before = Some(neighbour("10.1.0.1", 0x04));
    assert_eq!(said(&evidence).0, "router-gone");
    evidence.neighbour_before = Some(neighbour("10.1.0.1", 0x80));
    assert_eq!(said(&evidence).0, "router-permanent");
    asked(&mut evidence, &["02:00:00:00:00:09"]);
    let (cause, text, hint) = said(&evidence);
    assert_eq!(cause, "beyond-router");
    assert!(text.contains("the router 10.1.0.1 (02:00:00:00:00:09) answers ARP on eth0"), "{text}");
    assert_eq!(hint, "netns-ping nginx 10.1.0.1");
}

#[test]
fn an_entry_with_another_mac_than_the_one_that_answers_is_the_fault() {
    let mut evidence = silent(None);
    evidence.neighbour_before = Some(neighbour("10.1.0.9", 0x80));
    asked(&mut evidence, &["02:00:00:00:00:77"]);
    let (cause, text, hint) = said(&evidence);
    assert_eq!(cause, "neighbour-wrong-mac");
    assert!(
        text.contains("a permanent neighbour entry") && text.contains("02:00:00:00:00:77 answers ARP"),
        "{text}"
    );
    assert_eq!(hint, "nsenter-rs -t nginx -n ip neigh del 10.1.0.9 dev eth0");
}

#[test]
fn a_mac_that_another_neighbour_has_too_is_not_called_the_destination() {
    let mut evidence = silent(None);
    evidence.neighbours = Some(vec![neighbour("10.1.0.9", 0x02), neighbour("10.1.0.1", 0x02)]);
    asked(&mut evidence, &["02:00:00:00:00:09"]);
    let (cause, text, _) = said(&evidence);
    assert_eq!(cause, "no-echo");
    assert!(text.contains("which is also the MAC of 10.1.0.1, answers ARP for 10.1.0.9"), "{text}");
}

pub(super) fn error(by: &str, kind: u8, code: u8, info: u32) -> Option<IcmpError> {
    Some(IcmpError { by: Some(ip(by)), kind, code, info, errno: 0 })
}

#[test]
fn an_icmp_error_is_quoted_with_its_sender() {
    for (kind, code, cause, says) in [
        (3, 1, "icmp-unreachable", "destination host unreachable"),
        (3, 3, "icmp-unreachable", "destination port unreachable"),
        (3, 13, "icmp-prohibited", "packet filtered"),
        (11, 0, "icmp-ttl", "time to live exceeded"),
        (3, 4, "mtu", "frag needed and DF set (mtu = 1300)"),
        (12, 0, "icmp-other", "parameter problem: pointer = 0"),
    ] {
        let mut evidence = silent(Some("10.1.0.1"));
        evidence.icmp_error = error("10.1.0.1", kind, code, 1300);
        let (word, text, hint) = said(&evidence);
        assert_eq!(word, cause);
        assert_eq!(text, format!("no answer: 10.1.0.1 reports: {says}"));
        assert!(!hint.contains("route get"), "{hint}");
    }
    let mut evidence = silent(None);
    evidence.icmp_error = error("10.1.0.2", 3, 1, 0);
    asked(&mut evidence, &[]);
    assert_eq!(said(&evidence).0, "neighbour-silent", "our own kernel's error only follows from that");
}

#[test]
fn what_is_wrong_with_the_link_comes_first() {
    let mut evidence = silent(None);
    evidence.links = Some(vec![link(2, "eth0", NO_CARRIER)]);
    let (cause, text, hint) = said(&evidence);
    assert_eq!(
        (cause.as_str(), text.as_str()),
        ("no-carrier", "no answer: eth0 has no carrier: its other end is down")
    );
    assert_eq!(hint, "nsenter-rs -t nginx -n ip link show eth0");
    evidence.peer = Some((Some("netns:r".to_owned()), "ra".to_owned()));
    assert_eq!(said(&evidence).2, "nsenter-rs -t netns:r -n ip link set ra up");
    evidence.links = Some(vec![link(2, "eth0", DOWN)]);
    let (cause, _, hint) = said(&evidence);
    assert_eq!((cause.as_str(), hint.as_str()), ("link-down", "nsenter-rs -t nginx -n ip link set eth0 up"));
    evidence.links = Some(vec![link(1, "lo", UP)]);
    assert_eq!(said(&evidence).0, "link-gone");
}

#[test]
fn a_refusal_to_send_is_told_by_what_refuses() {
    let refused = |errno, mtu| {
        let mut evidence = silent(None);
        evidence.not_sent = Some((errno, mtu));
        evidence
    };
    let mut evidence = refused(Errno::EPERM, None);
    assert_eq!(said(&evidence).0, "not-sent", "nobody has looked at the rules");
    evidence.hooks = Some(vec![FilterHook::Input]);
    assert_eq!(said(&evidence).0, "not-sent");
    for hook in [FilterHook::Output, FilterHook::Postrouting] {
        evidence.hooks = Some(vec![hook]);
        let (cause, text, hint) = said(&evidence);
        assert_eq!(cause, "not-sent-output");
        assert!(text.starts_with("nothing was sent: Operation not permitted"), "{text}");
        assert_eq!(hint, "netns-trace nginx 10.1.0.9");
    }
    evidence.conntrack = Some(Conntrack { count: 8, max: 8 });
    assert_eq!(said(&evidence).0, "conntrack-full");
    let (cause, text, _) = said(&refused(Errno::EMSGSIZE, Some(1000)));
    assert_eq!(cause, "mtu");
    assert!(text.contains("path MTU that the kernel has learned, 1000"), "{text}");
    assert_eq!(said(&refused(Errno::ENOBUFS, None)).0, "not-sent-egress");
    let mut evidence = refused(Errno::ENETUNREACH, None);
    evidence.links = Some(vec![link(2, "eth0", DOWN)]);
    assert_eq!(said(&evidence).0, "link-down");
}

pub(super) fn seen(passage: Passage, index: u32, name: &str) -> TappedPacket {
    TappedPacket { passage, index, link: name.to_owned(), reached_ip: true, input_route: None }
}

pub(super) fn watched(seen: &[TappedPacket]) -> Option<WatchedProbe> {
    Some(WatchedProbe { seen: seen.to_vec(), has_taps: true, ..WatchedProbe::default() })
}

#[test]
fn an_answer_that_came_and_was_dropped_in_here_is_told_with_what_did_it() {
    let mut evidence = silent(Some("10.1.0.1"));
    asked(&mut evidence, &["02:00:00:00:00:09"]);
    let answer = seen(Passage::AnswerIn, 2, "eth0");
    evidence.again = watched(&[seen(Passage::RequestOut, 2, "eth0"), answer.clone()]);
    for (hooks, by) in [
        (vec![FilterHook::Input], "was dropped in here; the input hook has rules that could do so"),
        (vec![FilterHook::Prerouting], "was dropped in here; the prerouting hook has rules that could do so"),
        (
            vec![FilterHook::Prerouting, FilterHook::Input],
            "was dropped in here; the prerouting and input hooks have rules that could do so",
        ),
        (vec![], "was dropped in here, though no hook of the firewall has rules for it"),
    ] {
        evidence.hooks = Some(hooks);
        let (cause, text, _) = said(&evidence);
        assert_eq!(cause, "answer-dropped-here");
        assert_eq!(text, format!("no answer: the answer came in on eth0, and {by}"));
    }
    evidence.again = watched(&[TappedPacket { reached_ip: false, ..answer }]);
    assert!(said(&evidence).1.contains("tc or an ingress rule"));
    let by_another = TappedPacket { input_route: Some(Errno::EINVAL), ..seen(Passage::AnswerIn, 3, "eth1") };
    evidence.again = watched(&[by_another]);
    evidence.again.as_mut().unwrap().rp_filtered = Some(1);
    let (_, text, hint) = said(&evidence);
    assert_eq!(
        text,
        "no answer: the answer came in on eth1, not on eth0, and reverse path filtering (rp_filter) in here dropped it"
    );
    assert_eq!(hint, "nsenter-rs -t nginx -n sysctl -w net.ipv4.conf.eth1.rp_filter=2");
    evidence.again.as_mut().unwrap().rp_filtered = Some(0);
    assert!(!said(&evidence).1.contains("rp_filter) in here"), "the counter has not moved");
}

#[test]
fn a_packet_that_left_no_link_is_said_to_have_been_dropped_on_the_way_out() {
    let mut evidence = silent(None);
    asked(&mut evidence, &["02:00:00:00:00:09"]);
    evidence.neighbours = Some(vec![neighbour("10.1.0.9", 0x02)]);
    evidence.again = watched(&[]);
    assert_eq!(said(&evidence).0, "not-sent-egress");
    evidence.neighbours = Some(vec![neighbour("10.1.0.9", 0x20)]);
    let (cause, text, _) = said(&evidence);
    assert_eq!(cause, "answer-dropped-here");
    assert!(text.contains("does not accept that answer"), "{text}");
    evidence.neighbours = Some(Vec::new());
    assert_eq!(said(&evidence).0, "not-sent", "nobody was asked");
    evidence.hooks = Some([FilterHook::Output].into());
    let (cause, text, _) = said(&evidence);
    assert_eq!(cause, "not-sent-output");
    assert!(
        text.contains("has not asked for 10.1.0.9 either: the output hook has rules that could"),
        "{text}"
    );
    evidence.neighbours = Some(vec![neighbour("10.1.0.9", 0x20)]);
    evidence.again.as_mut().unwrap().has_taps = false;
    assert_eq!(said(&evidence).0, "no-echo", "without taps nobody has seen that");
}

#[test]
fn a_size_that_is_lost_is_told_with_one_that_passes() {
    let mut evidence = silent(Some("10.1.0.1"));
    evidence.probe = ProbeKind::Echo { packet_bytes: 1428 };
    asked(&mut evidence, &["02:00:00:00:00:09"]);
    evidence.again = watched(&[seen(Passage::RequestOut, 2, "eth0")]);
    evidence.small = Some(WatchedProbe { is_answered: true, ..WatchedProbe::default() });
    assert_eq!(said(&evidence).0, "mtu-blackhole");
    evidence.sizes = Some(SizeSearch { passes: 1300, fails: 1301 });
    let (cause, text, hint) = said(&evidence);
    assert_eq!(cause, "mtu-blackhole");
    assert!(text.contains("up to 1300 bytes") && text.contains("1301"), "{text}");
    assert_eq!(hint, "nsenter-rs -t nginx -n ip route replace 10.1.0.9 via 10.1.0.1 dev eth0 mtu 1300");
    evidence.again.as_mut().unwrap().is_answered = true;
    assert_eq!(said(&evidence).0, "answers-now");
}

#[test]
fn the_host_is_named_where_it_is_in_between_and_drops() {
    let mut evidence = silent(Some("10.1.0.1"));
    asked(&mut evidence, &["02:00:00:00:00:09"]);
    let came = seen(Passage::RequestIn, 7, "veth1");
    let left = seen(Passage::RequestOut, 8, "veth2");
    let back = seen(Passage::AnswerIn, 8, "veth2");
    let sight = |seen: &[&TappedPacket]| {
        let seen = seen.iter().map(|one| (*one).clone()).collect();
        Some(HostSight { seen, is_dest: false, hooks: Some(vec![FilterHook::Forward]), ipsec: None })
    };
    evidence.host = sight(&[&came]);
    let (cause, text, _) = said(&evidence);
    assert_eq!(cause, "host-drops");
    assert!(
        text.contains("this host received the packet on veth1, and it was not seen to leave again"),
        "{text}"
    );
    evidence.host = sight(&[&came, &left]);
    assert_eq!(said(&evidence).0, "beyond-router", "it has passed it on");
    evidence.host = sight(&[&came, &left, &back]);
    assert!(said(&evidence).1.contains("received the answer on veth2"));
    evidence.host = sight(&[]);
    assert_eq!(said(&evidence).0, "beyond-router");
}

#[test]
fn what_ended_meanwhile_comes_before_all_else() {
    let mut evidence = silent(None);
    evidence.not_sent = Some((Errno::ENETUNREACH, None));
    evidence.target_state = TargetState::Restarted;
    assert_eq!(said(&evidence).0, "target-restarted");
    evidence.answered = 4;
    let (cause, text, _) = said(&evidence);
    assert_eq!(cause, "target-restarted", "although some were answered before");
    assert!(text.starts_with("no answer any more: "), "{text}");
    evidence.target_state = TargetState::Alive;
    evidence.not_sent = None;
    let (cause, text, _) = said(&evidence);
    assert_eq!((cause.as_str(), text.as_str()), ("loss", "1 of 5 packets were not answered"));
}

#[test]
fn a_queue_that_is_full_is_no_neighbour_that_has_gone() {
    let mut evidence = silent(None);
    evidence.not_sent = Some((Errno::ENOBUFS, None));
    evidence.neighbour_before = Some(neighbour("10.1.0.9", 0x02));
    for answer in [NeighbourAnswer::NotAsked, NeighbourAnswer::Silent] {
        evidence.asked = answer;
        let (cause, _, hint) = said(&evidence);
        assert_eq!(cause, "not-sent-egress");
        assert_eq!(hint, "nsenter-rs -t nginx -n tc -s qdisc show dev eth0");
    }
}

#[test]
fn an_error_that_came_to_the_socket_was_not_dropped_in_here() {
    let mut evidence = silent(Some("10.1.0.1"));
    asked(&mut evidence, &["02:00:00:00:00:09"]);
    let error = IcmpError { errno: 113, kind: 11, code: 0, info: 0, by: Some(ip("10.1.0.1")) };
    evidence.again = watched(&[seen(Passage::ErrorIn(error), 2, "eth0")]);
    let (cause, text, hint) = said(&evidence);
    assert_eq!(cause, "icmp-ttl");
    assert!(text.ends_with("(this error came in on eth0, and was dropped in here)"), "{text}");
    assert_eq!(hint, "netns-trace nginx 10.1.0.9");
    evidence.again.as_mut().unwrap().error = Some(error);
    let (cause, text, _) = said(&evidence);
    assert_eq!(
        (cause.as_str(), text.as_str()),
        ("icmp-ttl", "no answer: 10.1.0.1 reports: time to live exceeded")
    );
}

#[test]
fn an_answer_that_came_to_the_socket_and_is_none_was_not_dropped_in_here() {
    let mut evidence = silent(None);
    asked(&mut evidence, &["02:00:00:00:00:09"]);
    evidence.again = watched(&[seen(Passage::AnswerIn, 2, "eth0")]);
    assert_eq!(said(&evidence).0, "answer-dropped-here");
    evidence.again.as_mut().unwrap().is_corrupted = true;
    assert_eq!(said(&evidence).0, "corrupted");
}
