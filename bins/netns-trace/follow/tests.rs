//! The probe is followed through networks that these tests make, in a thread of their own: a host that routes between a and b, and
//! a bridge with c, d and e.

use std::collections::HashMap;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use common::namespace::Namespace;
use common::netlink::Socket;
use common::netns::{Home, create};
use nix::sched::{CloneFlags, unshare};
use support::skip::{Missing, need, program};

use super::{FollowedProbe, follow};
use crate::evidence::rule_words;
use crate::model::{
    EvidenceLevel, FilterDecision, FilterOutcome, HopHook, ProbeProtocol, SeenPacket, TraceEvent,
    TraceEventKind, TraceProbe,
};
use crate::probe::ProbeAnswer;

/// Networks that end with the test.
struct Networks {
    home: Home,
    inner: HashMap<&'static str, Namespace>,
}

/// Root over the kernel, for programs at its tracepoints, and the programs that make networks and rules.
fn observers() -> Result<(), Missing> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Missing::Fixable("needs root".into()));
    }
    let programs =
        [("ip", "iproute2"), ("ping", "iputils-ping"), ("nft", "nftables"), ("iptables", "iptables")];
    programs.into_iter().try_for_each(|(name, package)| program(name, package).map(drop))
}

/// Runs it in a network of its own.
fn in_networks(test: impl FnOnce(&Networks) + Send + 'static) {
    let run = || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let home = Home::current().unwrap();
        let inner = ["a", "b", "c", "d", "e"].map(|name| (name, create().unwrap())).into();
        let networks = Networks { home, inner };
        networks.cable();
        networks.wait_until_ready();
        test(&networks);
    };
    std::thread::spawn(run).join().unwrap();
}

fn run(program: &str, words: &str) {
    let ran = Command::new(program).args(words.split_whitespace()).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{program} {words}: {said}");
}

impl Networks {
    fn cable(&self) {
        for line in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
            std::fs::write(format!("/proc/sys/{line}"), "1").unwrap();
        }
        let no_dad = || {
            for which in ["all", "default"] {
                std::fs::write(format!("/proc/sys/net/ipv6/conf/{which}/accept_dad"), "0").unwrap();
            }
        };
        no_dad();
        run("ip", "link set lo up");
        run("ip", "link add br0 up type bridge");
        run("ip", "addr add 198.18.3.1/24 dev br0");
        for (number, name) in [(1, "a"), (2, "b"), (2, "c"), (3, "d"), (4, "e")] {
            let at = format!("/proc/{}/fd/{}", std::process::id(), self.of(name).as_fd().as_raw_fd());
            run("ip", &format!("link add v{name} up type veth peer name eth0 netns {at}"));
            let is_routed = matches!(name, "a" | "b");
            let (net, host) = if is_routed { (number, 2) } else { (3, number) };
            if is_routed {
                run("ip", &format!("addr add 198.18.{net}.1/24 dev v{name}"));
                run("ip", &format!("addr add fd18:{net}::1/64 dev v{name}"));
            } else {
                run("ip", &format!("link set v{name} master br0"));
            }
            self.inside(name, || {
                no_dad();
                run("ip", "link set lo up");
                run("ip", "link set eth0 up");
                run("ip", &format!("addr add 198.18.{net}.{host}/24 dev eth0"));
                run("ip", &format!("route add default via 198.18.{net}.1"));
                if is_routed {
                    run("ip", &format!("addr add fd18:{net}::2/64 dev eth0"));
                    run("ip", &format!("route add default via fd18:{net}::1"));
                }
            });
        }
    }

    /// Until neighbours of IPv6 answer: their links are not ready as soon as they are up.
    fn wait_until_ready(&self) {
        let is_ready = || {
            let ping =
                |to| Command::new("ping").args(["-q", "-c1", "-W1", to]).output().unwrap().status.success();
            self.inside("a", || ping(V6[0]) && ping(V4[0]))
        };
        let waited = |_: u32| {
            sleep(Duration::from_millis(100));
            is_ready()
        };
        assert!((0..300).any(waited), "a does not reach b");
    }

    fn of(&self, name: &str) -> &Namespace {
        self.inner.get(name).unwrap_or_else(|| self.home.namespace())
    }

    fn inside<T>(&self, name: &str, what: impl FnOnce() -> T) -> T {
        self.home.inside(self.of(name), what).unwrap()
    }

    fn follow(
        &self,
        from: &str,
        protocol: ProbeProtocol,
        to: &str,
        only: Option<EvidenceLevel>,
    ) -> FollowedProbe {
        let destination: IpAddr = to.parse().unwrap();
        let probe = TraceProbe {
            source: destination,
            is_bound: false,
            destination,
            scope: None,
            protocol,
            packet_bytes: 97,
            dont_fragment: false,
            ignores_known_mtu: false,
        };
        let way = ["a", "host", "b", "c", "d", "e"].map(|name| (name.to_owned(), self.of(name)));
        follow(&probe, self.of(from), &way, &self.home, only).unwrap()
    }

    /// `a eth0 sent`, and so on, of the packets of that kind.
    fn passages(&self, events: &[TraceEvent], of: SeenPacket) -> Vec<String> {
        let known = ["host", "a", "b", "c", "d", "e"];
        let called = |inode: u64| {
            known.into_iter().find(|name| self.of(name).identity().inode == inode).unwrap_or("elsewhere")
        };
        let mut passages = Vec::new();
        for event in events.iter().filter(|event| event.packet == of) {
            let netns = event.netns.map_or("nowhere", called);
            let index = event.index.map(|index| {
                let links = self.inside(netns, || Socket::open().unwrap().links().unwrap());
                let link = links.into_iter().find(|link| link.index == index);
                link.map_or("gone".to_owned(), |link| link.name.to_string_lossy().into_owned())
            });
            let index = index.unwrap_or_default();
            let what = match &event.kind {
                TraceEventKind::Sent => "sent".to_owned(),
                TraceEventKind::Received { .. } => "received".to_owned(),
                TraceEventKind::Dropped { reason, .. } => format!("dropped {reason}"),
                TraceEventKind::Filtered(_) => continue,
            };
            passages.push(format!("{netns} {index} {what}"));
        }
        passages
    }
}

const V4: [&str; 2] = ["198.18.2.2", "198.18.1.2"];
const V6: [&str; 2] = ["fd18:2::2", "fd18:1::2"];
const REQUEST: [&str; 4] = ["a eth0 sent", "host va received", "host vb sent", "b eth0 received"];
const ANSWER: [&str; 4] = ["b eth0 sent", "host vb received", "host va sent", "a eth0 received"];

/// A network without rules is not traced: nothing decides there.
fn drops(events: &[TraceEvent]) -> Vec<&FilterDecision> {
    let decisions = events.iter().filter_map(|event| match &event.kind {
        TraceEventKind::Filtered(decision) => Some(decision),
        _ => None,
    });
    decisions.filter(|decision| decision.outcome == FilterOutcome::Drop).collect()
}

#[test]
fn every_hop_of_a_router_is_seen_there_and_back() {
    need!(observers());
    in_networks(|networks| {
        for [to, _] in [V4, V6] {
            let followed = networks.follow("a", ProbeProtocol::Echo, to, None);
            let Some(ProbeAnswer::Reply(from)) = followed.answer else { panic!("{followed:?}") };
            assert_eq!((from.to_string().as_str(), &followed.not_seen), (to, &vec![]));
            assert_eq!(followed.used, [EvidenceLevel::Bpf]);
            let events = &followed.events;
            assert_eq!(networks.passages(events, SeenPacket::Request), REQUEST);
            assert_eq!(networks.passages(events, SeenPacket::Answer)[..4], ANSWER);
            assert!(events.is_sorted_by_key(|event| event.at));
            assert!(events.iter().all(|event| event.at >= Some(followed.sent.unwrap())));
        }
    });
}

#[test]
fn a_connection_and_a_datagram_are_followed_and_what_refuses_them() {
    need!(observers());
    in_networks(|networks| {
        for [to, _] in [V4, V6] {
            let (tcp, udp) = networks
                .inside("b", || (TcpListener::bind((to, 80)).unwrap(), UdpSocket::bind((to, 80)).unwrap()));
            let followed = networks.follow("a", ProbeProtocol::Tcp(80), to, None);
            assert!(matches!(followed.answer, Some(ProbeAnswer::Reply(_))), "{followed:?}");
            assert_eq!(networks.passages(&followed.events, SeenPacket::Request), REQUEST);
            assert_eq!(networks.passages(&followed.events, SeenPacket::Answer)[..4], ANSWER);
            let echo = std::thread::spawn(move || {
                let (length, from) = udp.recv_from(&mut [0; 2000]).unwrap();
                udp.send_to(b"other", from).unwrap();
                length
            });
            let followed = networks.follow("a", ProbeProtocol::Udp(80), to, None);
            assert!(matches!(followed.answer, Some(ProbeAnswer::Reply(_))), "{followed:?}");
            assert_eq!(echo.join().unwrap(), 97 - 8 - if to.contains(':') { 40 } else { 20 });
            assert_eq!(networks.passages(&followed.events, SeenPacket::Request)[..4], REQUEST);
            assert_eq!(networks.passages(&followed.events, SeenPacket::Answer)[..4], ANSWER);
            drop(tcp);
            let followed = networks.follow("a", ProbeProtocol::Tcp(81), to, None);
            assert_eq!(followed.answer, Some(ProbeAnswer::Reset));
            assert_eq!(networks.passages(&followed.events, SeenPacket::Request)[..4], REQUEST);
            assert_eq!(networks.passages(&followed.events, SeenPacket::Answer)[..4], ANSWER);
            let followed = networks.follow("a", ProbeProtocol::Udp(81), to, None);
            let Some(ProbeAnswer::Error(error)) = followed.answer else { panic!("{followed:?}") };
            assert_eq!(error.by.unwrap().to_string(), to);
            assert_eq!(networks.passages(&followed.events, SeenPacket::Error)[..4], ANSWER);
        }
    });
}

#[test]
fn the_copy_of_a_flood_is_for_another_and_the_packet_arrives() {
    need!(observers());
    in_networks(|networks| {
        run("ip", "link set br0 type bridge ageing_time 0");
        let followed = networks.follow("c", ProbeProtocol::Echo, "198.18.3.3", None);
        assert!(matches!(followed.answer, Some(ProbeAnswer::Reply(_))), "{followed:?}");
        let passages = networks.passages(&followed.events, SeenPacket::Request);
        for passage in ["c eth0 sent", "host vc received", "host vd sent", "d eth0 received", "host ve sent"]
        {
            assert!(passages.contains(&passage.to_owned()), "{passage}: {passages:?}");
        }
        let inode = networks.of("e").identity().inode;
        let of_e: Vec<_> = followed.events.iter().filter(|event| event.netns == Some(inode)).collect();
        assert!(of_e.len() >= 2, "{passages:?}");
        for event in of_e {
            let (TraceEventKind::Received { is_for_other } | TraceEventKind::Dropped { is_for_other, .. }) =
                event.kind
            else {
                panic!("{event:?}")
            };
            assert!(is_for_other, "{event:?}");
        }
    });
}

#[test]
fn the_rule_that_drops_is_named_with_the_command_that_deletes_it() {
    need!(observers());
    in_networks(|networks| {
        run("iptables", "-N DOCKER-USER");
        run("iptables", "-A FORWARD -j DOCKER-USER");
        run("iptables", "-A DOCKER-USER -p tcp -j RETURN");
        run("iptables", "-A DOCKER-USER -d 198.18.2.2 -p icmp -m comment --comment a;$(b) -j DROP");
        let followed = networks.follow("a", ProbeProtocol::Echo, "198.18.2.2", None);
        assert_eq!((followed.answer, &followed.not_seen), (None, &vec![]));
        assert_eq!(followed.used, [EvidenceLevel::Bpf, EvidenceLevel::Netfilter]);
        let passages = networks.passages(&followed.events, SeenPacket::Request);
        assert_eq!(passages, ["a eth0 sent", "host va received", "host va dropped NETFILTER_DROP"]);
        let drops = drops(&followed.events);
        assert_eq!(drops.len(), 1, "{followed:?}");
        assert_eq!((drops[0].chain.as_str(), drops[0].hook), ("DOCKER-USER", Some(HopHook::Forward)));
        let words = rule_words(drops[0], networks.of("host"), &networks.home).unwrap();
        assert_eq!((words.program.as_str(), words.table.as_str()), ("iptables", "filter"));
        assert_eq!(words.rule.unwrap().0, 2);
        let delete = words.undo.unwrap();
        assert_eq!(
            delete,
            "iptables -D DOCKER-USER -d 198.18.2.2/32 -p icmp -m comment --comment 'a;$(b)' -j DROP"
        );
        let ran = Command::new("sh").args(["-c", &delete]).status().unwrap();
        assert!(ran.success());
        let followed = networks.follow("a", ProbeProtocol::Echo, "198.18.2.2", None);
        assert!(matches!(followed.answer, Some(ProbeAnswer::Reply(_))), "{followed:?}");
    });
}

#[test]
fn rules_of_nft_of_a_policy_and_of_another_network_are_named_too() {
    need!(observers());
    in_networks(|networks| {
        networks.inside("b", || {
            run("nft", "add table inet q");
            run("nft", "add chain inet q c { type filter hook input priority 5 ; policy accept ; }");
            run("nft", "add rule inet q c icmpv6 type echo-request counter drop comment \"no\"");
        });
        let followed = networks.follow("a", ProbeProtocol::Echo, V6[0], None);
        let dropped = drops(&followed.events);
        assert_eq!((followed.answer, dropped.len()), (None, 1), "{followed:?}");
        assert_eq!(dropped[0].hook, Some(HopHook::Input));
        let words = rule_words(dropped[0], networks.of("b"), &networks.home).unwrap();
        assert_eq!(words.table, "inet q");
        let (number, text) = words.rule.unwrap();
        assert_eq!(number, 1);
        assert!(text.contains("icmpv6 type echo-request") && text.ends_with("\"no\""), "{text:?}");
        let delete = words.undo.unwrap();
        assert!(delete.starts_with("nft delete rule inet q c handle "), "{delete:?}");
        assert_eq!(rule_words(dropped[0], networks.of("a"), &networks.home), None);
        networks.inside("b", || {
            assert!(Command::new("sh").args(["-c", &delete]).status().unwrap().success());
            run("nft", "add chain inet q c { policy drop ; }");
        });
        let followed = networks.follow("a", ProbeProtocol::Echo, V4[0], None);
        let dropped = drops(&followed.events);
        assert_eq!((followed.answer, dropped.len()), (None, 1), "{followed:?}");
        assert_eq!((dropped[0].rule, dropped[0].hook), (None, Some(HopHook::Input)));
        let words = rule_words(dropped[0], networks.of("b"), &networks.home).unwrap();
        networks.inside("b", || {
            assert!(Command::new("sh").args(["-c", &words.undo.unwrap()]).status().unwrap().success());
        });
        let followed = networks.follow("a", ProbeProtocol::Echo, V4[0], None);
        assert!(matches!(followed.answer, Some(ProbeAnswer::Reply(_))), "{followed:?}");
        run("iptables", "-P FORWARD DROP");
        let followed = networks.follow("a", ProbeProtocol::Echo, V4[0], None);
        let words = rule_words(drops(&followed.events)[0], networks.of("host"), &networks.home).unwrap();
        assert_eq!(words.undo.unwrap(), "iptables -P FORWARD ACCEPT");
    });
}

#[test]
fn a_packet_whose_destination_is_replaced_is_followed() {
    need!(observers());
    in_networks(|networks| {
        let _tcp = networks.inside("b", || TcpListener::bind("198.18.2.2:80").unwrap());
        run("iptables", "-t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 198.18.2.2:80");
        run("iptables", "-t nat -A POSTROUTING -o vb -j MASQUERADE");
        let followed = networks.follow("a", ProbeProtocol::Tcp(8080), "198.18.1.1", None);
        assert!(matches!(followed.answer, Some(ProbeAnswer::Reply(_))), "{followed:?}");
        assert_eq!(networks.passages(&followed.events, SeenPacket::Request), REQUEST);
        assert_eq!(networks.passages(&followed.events, SeenPacket::Answer)[..4], ANSWER);
        let addresses: Vec<String> = followed.events[..4]
            .iter()
            .map(|event| event.addresses.map_or("?".to_owned(), |(from, to)| format!("{from} {to}")))
            .collect();
        let expected = [
            "198.18.1.2 198.18.1.1",
            "198.18.1.2 198.18.1.1",
            "198.18.2.1 198.18.2.2",
            "198.18.2.1 198.18.2.2",
        ];
        assert_eq!(addresses, expected);
    });
}

#[test]
fn what_the_senders_own_network_refuses_is_said_and_where_it_was_dropped() {
    need!(observers());
    in_networks(|networks| {
        networks.inside("a", || run("iptables", "-A OUTPUT -p icmp -j DROP"));
        let followed = networks.follow("a", ProbeProtocol::Echo, "198.18.2.2", None);
        assert_eq!(followed.sent, Err(nix::errno::Errno::EPERM));
        let passages = networks.passages(&followed.events, SeenPacket::Request);
        // EchoSocket tries twice: the first error may be that of an earlier packet.
        assert_eq!(passages, ["a eth0 dropped NETFILTER_DROP"; 2]);
        assert_eq!(drops(&followed.events)[0].hook, Some(HopHook::Output));
        networks.inside("a", || run("ip", "route del default"));
        let followed = networks.follow("a", ProbeProtocol::Tcp(80), "198.18.2.2", None);
        assert_eq!(followed.sent, Err(nix::errno::Errno::ENETUNREACH));
    });
}

#[test]
fn two_traces_and_other_traffic_do_not_disturb_each_other() {
    need!(observers());
    in_networks(|networks| {
        run("iptables", "-A FORWARD -p icmp -s 198.18.2.2 -j ACCEPT");
        std::thread::scope(|threads| {
            let others = threads.spawn(|| {
                networks.inside("b", || run("ping", "-q -i 0.002 -c 300 -s 61 198.18.1.2"));
            });
            let other = threads.spawn(|| {
                (0..5).map(|_| networks.follow("b", ProbeProtocol::Echo, V4[1], None)).collect::<Vec<_>>()
            });
            for _ in 0..5 {
                let followed = networks.follow("a", ProbeProtocol::Echo, V4[0], None);
                assert!(matches!(followed.answer, Some(ProbeAnswer::Reply(_))), "{followed:?}");
                assert_eq!(networks.passages(&followed.events, SeenPacket::Request), REQUEST);
                assert_eq!(networks.passages(&followed.events, SeenPacket::Answer)[..4], ANSWER);
                assert!(drops(&followed.events).is_empty());
            }
            for followed in other.join().unwrap() {
                assert_eq!(networks.passages(&followed.events, SeenPacket::Request), ANSWER);
                let decided = |packet| {
                    let of_it = followed.events.iter().filter(|event| event.packet == packet);
                    of_it.filter(|event| matches!(event.kind, TraceEventKind::Filtered(_))).count()
                };
                let decided = [SeenPacket::Request, SeenPacket::Answer].map(decided);
                assert!(decided.iter().all(|decided| *decided >= 1), "{decided:?} {followed:?}");
            }
            others.join().unwrap();
        });
    });
}

#[test]
fn by_state_alone_nothing_is_watched_and_the_answer_comes_all_the_same() {
    need!(observers());
    in_networks(|networks| {
        let followed = networks.follow("a", ProbeProtocol::Echo, V4[0], Some(EvidenceLevel::State));
        assert!(matches!(followed.answer, Some(ProbeAnswer::Reply(_))), "{followed:?}");
        assert!(followed.events.is_empty() && followed.used.is_empty() && followed.not_seen.len() == 1);
    });
}

#[test]
fn by_perf_every_hop_is_seen_by_its_name_and_the_reason_of_a_drop() {
    need!(observers());
    in_networks(|networks| {
        let seen = |followed: &FollowedProbe, of| {
            let of_it = followed.events.iter().filter(|event| event.packet == of && event.at.is_some());
            let words = of_it.map(|event| match &event.kind {
                TraceEventKind::Dropped { reason, .. } => reason.clone(),
                _ => event.ifname.clone().unwrap_or_default(),
            });
            words.collect::<Vec<_>>()
        };
        let _tcp = networks.inside("b", || TcpListener::bind("198.18.2.2:80").unwrap());
        for probe in [ProbeProtocol::Echo, ProbeProtocol::Tcp(80)] {
            let followed = networks.follow("a", probe, V4[0], Some(EvidenceLevel::Perf));
            assert!(matches!(followed.answer, Some(ProbeAnswer::Reply(_))), "{followed:?}");
            assert_eq!((&followed.used[..], followed.not_seen.len()), (&[EvidenceLevel::Perf][..], 1));
            assert_eq!(seen(&followed, SeenPacket::Request), ["eth0", "va", "vb", "eth0"]);
            assert_eq!(seen(&followed, SeenPacket::Answer)[..4], ["eth0", "vb", "va", "eth0"]);
        }
        run("iptables", "-A FORWARD -p icmp -j DROP");
        let followed = networks.follow("a", ProbeProtocol::Echo, V4[0], Some(EvidenceLevel::Perf));
        assert_eq!(seen(&followed, SeenPacket::Request), ["eth0", "va", "NETFILTER_DROP"]);
        assert_eq!((followed.answer, drops(&followed.events).len()), (None, 1));
    });
}
