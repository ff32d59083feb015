//! What each form of DEST means, above all where a word could mean two things.

use proptest::prelude::*;

use super::*;

fn dest(word: &str) -> Dest {
    word.parse().unwrap_or_else(|error| panic!("{word:?}: {error}"))
}

fn why(word: &str) -> String {
    word.parse::<Dest>().expect_err(word).to_string()
}

/// The host of a port as it is printed, with its kind, and the port.
fn port(word: &str) -> (&'static str, String, u16) {
    let Dest::Port(host, port) = dest(word) else { panic!("{word}: no port") };
    let kind = match host {
        DestHost::Address(..) => "address",
        DestHost::Name(_) => "name",
        DestHost::Gateway => "gateway",
        DestHost::Container(_) => "container",
    };
    assert_eq!(port.transport.as_str(), &word[..3]);
    (kind, host.to_string(), port.number)
}

#[test]
fn each_form_is_told_from_the_others() {
    let address = |word: &str| DestHost::Address(word.parse().unwrap(), None);
    assert_eq!(dest("10.1.0.1"), Dest::Host(address("10.1.0.1")));
    assert_eq!(dest("::1"), Dest::Host(address("::1")));
    assert_eq!(dest("[fd00::1]"), Dest::Host(address("fd00::1")));
    let zone = DestHost::Address("fe80::1".parse().unwrap(), "eth0".parse().ok());
    assert_eq!(dest("fe80::1%eth0"), Dest::Host(zone.clone()));
    assert_eq!(dest("[fe80::1%eth0]"), Dest::Host(zone));
    assert_eq!(dest("gateway"), Dest::Host(DestHost::Gateway));
    assert_eq!(dest("10.1.0.0/24"), Dest::Network("10.1.0.0/24".parse().unwrap()));
    let range = Dest::Range("10.1.0.5".parse().unwrap(), "10.1.0.9".parse().unwrap());
    assert_eq!(dest("10.1.0.5-10.1.0.9"), range);
    assert_eq!(dest("10.1.0.5-9"), range);
    assert!(dest("10.1.0.5-9").is_many() && !dest("10.1.0.5").is_many());
    for container in
        ["docker:db", "pod:prod/web", "pid:1", "812:7", "netns:blue", "/run/netns/blue", "ip:fd00::5"]
    {
        assert!(matches!(dest(container), Dest::Host(DestHost::Container(_))), "{container}");
    }
    for name in
        ["db", "db-1", "a_b.example.com", "gateway.", "0x.de", "1.db", "docker", "tcp", "docker.", "udp."]
    {
        assert_eq!(dest(name), Dest::Host(DestHost::Name(name.parse().unwrap())));
    }
}

#[test]
fn a_port_is_what_stands_after_the_last_colon() {
    for (word, kind, host, number) in [
        ("tcp:db:5432", "name", "db", 5432),
        ("udp:www.example.com.:53", "name", "www.example.com.", 53),
        ("tcp:10.1.0.1:1", "address", "10.1.0.1", 1),
        ("tcp:[fd00::1]:65535", "address", "fd00::1", 65535),
        ("udp:[fe80::1%eth0]:547", "address", "fe80::1%eth0", 547),
        ("tcp:gateway:22", "gateway", "gateway", 22),
        ("tcp:gateway.:22", "name", "gateway.", 22),
        ("tcp:docker:db:5432", "container", "docker:db", 5432),
        ("tcp:docker:5432:80", "container", "docker:5432", 80),
        ("tcp:docker.:80", "name", "docker.", 80),
        ("tcp:podman@alice:web:80", "container", "podman@alice:web", 80),
        ("tcp:containerd:k8s.io/web:80", "container", "containerd:k8s.io/web", 80),
        ("tcp:pod:prod/web/app:80", "container", "pod:prod/web/app", 80),
        ("tcp:pid:812:80", "container", "pid:812", 80),
        ("tcp:pid:812:7:80", "container", "pid:812:7", 80),
        ("tcp:812:7:80", "container", "pid:812:7", 80),
        ("tcp:netns:blue:80", "container", "netns:blue", 80),
        ("tcp:/run/netns/blue:80", "container", "netns:blue", 80),
        ("tcp:/proc/7/ns/net:80", "container", "/proc/7/ns/net", 80),
        ("tcp:veth:if98:80", "container", "veth:if98", 80),
        ("tcp:ip:10.1.0.1:80", "container", "ip:10.1.0.1", 80),
        ("tcp:ip:[fd00::5]:80", "container", "ip:fd00::5", 80),
        ("tcp:mac:02:42:ac:11:00:05:80", "container", "mac:02:42:ac:11:00:05", 80),
        // Hosts may be called like a protocol, but hardly are.
        ("tcp:tcp:80", "name", "tcp", 80),
        ("udp:tcp:80", "name", "tcp", 80),
    ] {
        assert_eq!(port(word), (kind, host.to_owned(), number), "{word}");
        assert_eq!(dest(word).to_string().parse(), Ok(dest(word)), "{word}");
    }
}

#[test]
fn an_engines_word_before_the_first_colon_is_always_the_engine() {
    for kind in EngineName::ALL.map(EngineName::as_str).into_iter().chain(["pod", "pid", "netns"]) {
        assert!(matches!(dest(&format!("{kind}:80")), Dest::Host(DestHost::Container(_))), "{kind}");
        let expected = format!(
            "the port is missing: {kind}:80 is a TARGET; for a host called {kind} write tcp:{kind}.:80"
        );
        assert_eq!(why(&format!("tcp:{kind}:80")), expected);
        assert_eq!(port(&format!("tcp:{kind}.:80")), ("name", format!("{kind}."), 80));
    }
    assert_eq!(why("tcp:docker:db"), why("tcp:docker:80").replace(":80", ":db"));
    assert_eq!(why("tcp:812:7"), "the port is missing: tcp:812:7:PORT");
    assert_eq!(why("tcp:podman@alice:80"), "the port is missing: tcp:podman@alice:80:PORT");
}

#[test]
fn what_has_a_port_is_told_that_it_has_no_protocol() {
    for word in ["db:80", "10.1.0.1:80", "[fd00::1]:80", "docker:db:80", "gateway:80", "podman@al:web:80"] {
        assert_eq!(why(word), format!("a port has tcp: or udp: before it, as in tcp:{word}"));
    }
    // These mean something as they are.
    for word in ["fd00::1:80", "docker:80", "812:80", "netns:a:80"] {
        assert!(dest(word).port().is_none());
    }
    for word in ["db:http", "db:0", "db:65536", "db:", "http://db:80", "http://db:80/"] {
        assert!(why(word).contains("is not a kind of TARGET; there are"), "{word}: {}", why(word));
    }
}

#[test]
fn a_port_that_is_none_is_told_why() {
    for odd in ["0", "65536", "-1", "+80", "http", "", " 80", "80 ", "8_0", "٨٠", "99999999999999999999"] {
        assert_eq!(why(&format!("tcp:db:{odd}")), format!("'{odd}' is not a port: 1 to 65535"));
    }
    for (word, host) in [("tcp:db", "db"), ("tcp:10.1.0.1", "10.1.0.1"), ("tcp:80", "80")] {
        assert_eq!(why(word), format!("the port is missing: tcp:{host}:PORT"));
    }
    assert_eq!(why("tcp:mac:02:42:ac:11:00:05"), "the port is missing: tcp:mac:02:42:ac:11:00:05:PORT");
    assert_eq!(why("udp:[fd00::1]"), "the port is missing: udp:[fd00::1]:PORT");
    for bare in ["fd00::1", "fd00::1:80", "::1:80", "fe80::1%eth0:80", "ip:fd00::5:80", "ip:fd00::5"] {
        let expected = "an IPv6 address with a port has brackets: tcp:[fd00::1]:80";
        assert_eq!(why(&format!("tcp:{bare}")), expected, "{bare}");
    }
    assert_eq!(why("tcp:10.1.0.0/24:80"), "a port needs a single host: '10.1.0.0/24' is many addresses");
    assert_eq!(why("tcp:10.1.0.5-9:80"), "a port needs a single host: '10.1.0.5-9' is many addresses");
    assert!(why("tcp:").starts_with("the DEST is empty"));
    assert!(why("tcp::80").starts_with("the DEST is empty"));
    assert!(why("tcp:dokcer:db:80").starts_with("'dokcer:' is not a kind of TARGET"));
    assert_eq!(why("tcp:10.1.0.999:80"), "'10.1.0.999' is neither an address nor a name");
}

#[test]
fn what_is_no_dest_is_told_why() {
    assert_eq!(why("10.1.0.999"), "'10.1.0.999' is neither an address nor a name");
    assert_eq!(why("812"), "'812' is neither an address nor a name");
    assert_eq!(why("-x"), "'-x' is neither an address nor a name");
    assert_eq!(why("a..b"), "'a..b' is neither an address nor a name");
    assert_eq!(why("[10.1.0.1]"), "'[10.1.0.1]' is neither an address nor a name");
    assert_eq!(why("10.1.0.0/33"), "'33' is not a prefix length: 0 to 32");
    assert!(why("10.1.0.9-5").starts_with("a range must go from one address to a higher one"));
    assert!(why("10.1.0.9-::1").starts_with("a range must go"));
    assert!(why("dokcer:db").starts_with("'dokcer:' is not a kind of TARGET"));
    assert!(why("TCP:db:80").starts_with("'TCP:' is not a kind of TARGET"));
    assert_eq!(why(""), "the DEST is empty (was it the output of a command that failed?)");
}

#[test]
fn letters_beyond_ascii_are_asked_for_as_idna_writes_them() {
    for (typed, ascii) in [
        ("bücher.test", "xn--bcher-kva.test"),
        ("BÜCHER.test.", "xn--bcher-kva.test."),
        ("faß.de", "xn--fa-hia.de"),
    ] {
        let name: HostName = typed.parse().unwrap();
        assert_eq!((name.as_ascii(), name.to_string().as_str()), (ascii, typed));
        assert_eq!(port(&format!("tcp:{typed}:80")).1, typed);
    }
    assert_eq!("a_b.Test".parse::<HostName>().unwrap().as_ascii(), "a_b.Test");
    // What looks like nothing, or like something else on a terminal, is no name.
    for odd in ["a\u{202e}b", "a\u{9b}2J", "a\u{1b}b", "ü b", "ü/..", "ü\u{0}", "１２.３", &"ü".repeat(70)]
    {
        assert!(why(odd).ends_with("is neither an address nor a name"), "{odd:?}: {}", why(odd));
    }
}

fn host() -> impl Strategy<Value = DestHost> {
    let link = "[a-z][a-z0-9.-]{0,14}";
    prop_oneof![
        any::<IpAddr>().prop_map(|address| DestHost::Address(address, None)),
        (any::<u16>(), link).prop_map(|(host, link)| {
            DestHost::Address(format!("fe80::{host:x}").parse().unwrap(), link.parse().ok())
        }),
        "[a-z_][a-z0-9_]{0,9}(\\.[a-z_][a-z0-9_-]{0,9}){0,3}\\.?".prop_map(|name| name.parse().unwrap()),
        Just(DestHost::Gateway),
        "docker:[a-z0-9_][a-z0-9_.-]{0,9}".prop_map(|word| word.parse().unwrap()),
        "pid:[1-9][0-9]{0,5}(:[1-9][0-9]{0,5})?".prop_map(|word| word.parse().unwrap()),
        "netns:[a-z][a-z0-9:. -]{0,9}".prop_map(|word| word.parse().unwrap()),
        any::<IpAddr>().prop_map(|address| format!("ip:{address}").parse().unwrap()),
    ]
}

proptest! {
    #[test]
    fn a_port_that_is_printed_is_parsed(host in host(), tcp: bool, number in 1..=u16::MAX) {
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let is_kind = matches!(&host, DestHost::Name(name) if format!("{name}:x").parse::<Target>().is_ok());
        let dest = Dest::Port(host.clone(), DestPort { transport, number });
        prop_assume!(!is_kind);
        prop_assert_eq!(dest.to_string().parse(), Ok(dest));
        prop_assert_eq!(host.to_string().parse(), Ok(host));
    }

    #[test]
    fn no_word_makes_it_panic_and_what_it_prints_it_parses(word: String) {
        if let Ok(dest) = word.parse::<Dest>() {
            prop_assert_eq!(dest.to_string().parse(), Ok(dest));
        }
    }

    #[test]
    fn nor_does_a_word_that_is_nearly_one(word in "(tcp:|udp:|)(docker:|ip:|pid:|netns:|[a-z]{1,3}:|)[0-9a-f:.%/\\[\\]-]{0,12}(:[0-9]{0,6}|)") {
        if let Ok(dest) = word.parse::<Dest>() {
            prop_assert_eq!(dest.to_string().parse(), Ok(dest));
        }
    }
}
