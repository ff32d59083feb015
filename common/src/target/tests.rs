//! The grammar: what each form means, that printing is its inverse, and that nothing panics.

use proptest::prelude::*;

use super::*;

fn parse(word: &str) -> Target {
    word.parse().unwrap_or_else(|error| panic!("{word:?}: {error}"))
}

fn error(word: &str) -> String {
    word.parse::<Target>().expect_err(word).to_string()
}

#[test]
fn digits_up_to_the_kernels_limit_are_a_pid_and_longer_ones_an_id() {
    assert_eq!(parse("1"), Target::Process { pid: 1, inode: None });
    assert_eq!(parse("4194304"), Target::Process { pid: 4_194_304, inode: None });
    assert!(matches!(parse("4194305"), Target::Container { engine: None, .. }));
    assert!(matches!(parse("123456789012"), Target::Container { engine: None, .. }));
    assert!(matches!(parse("0123"), Target::Container { engine: None, .. }));
    assert_eq!(error("0"), "'0' is not a PID (1 to 4194304)");
    assert_eq!(error("pid:4194305"), "'4194305' is not a PID (1 to 4194304)");
}

#[test]
fn a_process_may_carry_its_pidfs_inode() {
    assert_eq!(parse("123:7"), Target::Process { pid: 123, inode: Some(7) });
    assert_eq!(parse("pid:123:7"), Target::Process { pid: 123, inode: Some(7) });
    assert_eq!(error("123:"), "'' is not a pidfs inode number");
    assert_eq!(error("123:+7"), "'+7' is not a pidfs inode number");
}

#[test]
fn what_a_failed_command_substitution_leaves_is_an_error() {
    assert!(error("").starts_with("the TARGET is empty"));
    assert_eq!(error("-n"), "a TARGET cannot begin with '-'");
}

#[test]
fn a_path_is_a_namespace_file_and_one_under_run_netns_a_name() {
    assert_eq!(parse("/run/netns/blue"), parse("netns:blue"));
    assert_eq!(parse("/var/run/netns/blue"), parse("netns:blue"));
    assert_eq!(parse("/proc/7/ns/net"), Target::NetnsFile("/proc/7/ns/net".into()));
    assert_eq!(error("/run/netns/../x"), "'/' cannot be in a link name");
    assert_eq!(error("netns:.."), "'..' cannot be a name");
}

#[test]
fn partitions_belong_to_containerd_only() {
    let within = |word| match parse(word) {
        Target::Container { within, .. } => within.map(|name| name.to_string()),
        other => panic!("{other:?}"),
    };
    assert_eq!(within("containerd:k8s.io/abc").as_deref(), Some("k8s.io"));
    assert_eq!(within("nerdctl:abc"), None);
    assert_eq!(error("docker:a/b"), "'/' cannot be in a container's name");
}

#[test]
fn a_pod_has_at_most_three_parts() {
    let name = |word: &str| word.parse().ok();
    let whole = Target::Pod { namespace: name("prod"), pod: name("web").unwrap(), container: name("app") };
    assert_eq!(parse("pod:prod/web/app"), whole);
    assert!(error("pod:a/b/c/d").starts_with("a pod is"));
    assert_eq!(error("pod:a//c"), "a name has 1 to 255 bytes");
}

#[test]
fn hostile_names_are_refused_before_anything_is_asked() {
    for word in
        ["web\r\nX-Evil: 1", "web\0", "../etc", "a%2fb", "we b", "wéb", "a\u{1b}[2J", "web?x=1", "a#b"]
    {
        error(word);
    }
    assert_eq!(error(&"a".repeat(4096)), "a name has 1 to 255 bytes");
}

#[test]
fn an_unknown_kind_lists_the_known_ones() {
    assert!(error("dokcer:web").contains("there are docker, podman"));
}

#[test]
fn addresses_are_checked() {
    assert_eq!(parse("ip:fe80::1").to_string(), "ip:fe80::1");
    assert_eq!(parse("mac:AA-bb-0c-0d-0e-0f").to_string(), "mac:aa:bb:0c:0d:0e:0f");
    error("ip:10.0.0");
    error("mac:aa:bb:cc:dd:ee");
    error("mac:aa:bb:cc:dd:ee:ff:00");
    error("mac:+a:bb:cc:dd:ee:ff");
}

#[test]
fn a_mac_is_read_as_any_program_prints_it() {
    for copied in ["02-42-ac-11-00-05", "0242ac110005", "0242.ac11.0005", "02:42:AC:11:00:05"] {
        assert_eq!(parse(&format!("mac:{copied}")), parse("mac:02:42:ac:11:00:05"), "{copied}");
    }
    for odd in ["02:42-ac:11:00:05", "0242:ac11:0005", "0242ac1100", "02.42.ac.11.00.05", "0242ac11000g", ""]
    {
        assert_eq!(error(&format!("mac:{odd}")), format!("'{odd}' is not a MAC address"));
    }
}

#[test]
fn an_address_is_read_as_any_program_prints_it() {
    for (copied, meant) in [
        ("172.17.0.2/16", "172.17.0.2"),
        ("[fd00::2]", "fd00::2"),
        ("[fd00::2]/64", "fd00::2"),
        ("fd00::2/64", "fd00::2"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("[fe80::1%eth0]", "fe80::1%eth0"),
        ("fe80::1%eth0/64", "fe80::1%eth0"),
    ] {
        assert_eq!(parse(&format!("ip:{copied}")).to_string(), format!("ip:{meant}"));
    }
    for odd in
        ["[10.0.0.1]", "[fd00::2", "fd00::2]", "[fd00::2]:80", "10.0.0.1:80", "10.0.0.1/33", "fd00::2/129"]
    {
        assert_eq!(error(&format!("ip:{odd}")), format!("'{odd}' is not an IP address"));
    }
    for odd in ["10.0.0.1/", "10.0.0.1/+8", "10.0.0.1/8/8", "/8", "%eth0", "[]"] {
        error(&format!("ip:{odd}"));
    }
    assert!(error("ip:fd00::2%eth0").starts_with("fd00::2: only a link-local address"));
    assert!(error("ip:10.0.0.1%eth0").starts_with("10.0.0.1: only a link-local address"));
    error("ip:fe80::1%");
    error("ip:fe80::1%a/b");
}

fn name() -> impl Strategy<Value = Name> {
    "[A-Za-z0-9_.+@,][A-Za-z0-9_.+@,-]{0,40}".prop_filter_map("reserved", |word| word.parse().ok())
}

fn link_name() -> impl Strategy<Value = LinkName> {
    "[^/\\p{Cc}-][^/\\p{Cc}]{0,40}".prop_filter_map("reserved", |word| word.parse().ok())
}

fn target() -> impl Strategy<Value = Target> {
    use proptest::option::of;
    let engine = proptest::sample::select(EngineName::ALL.to_vec());
    prop_oneof![
        (of(engine), of(name()), name()).prop_filter_map("not a form", |(engine, within, name)| {
            let partitioned = engine.and_then(EngineName::partition).is_some();
            let digits = engine.is_none() && is_digits(name.as_str());
            let within = within.filter(|_| partitioned);
            (!digits).then_some(Target::Container { engine, within, name })
        }),
        (of(name()), name(), of(name())).prop_map(|(namespace, pod, container)| {
            let container = container.filter(|_| namespace.is_some());
            Target::Pod { namespace, pod, container }
        }),
        (1..=PID_MAX_LIMIT, of(any::<u64>())).prop_map(|(pid, inode)| Target::Process { pid, inode }),
        link_name().prop_map(Target::NamedNetns),
        "/proc/[1-9][0-9]{0,6}/ns/net".prop_map(|path| Target::NetnsFile(path.into())),
        (any::<IpAddr>(), of("[a-z][a-z0-9.-]{0,14}")).prop_map(|(address, zone)| {
            let link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
            let zone = zone.filter(|_| link_local).and_then(|zone| zone.parse().ok());
            Target::Ip(WireAddress { address, zone })
        }),
        (any::<u64>(), of("[a-z][a-z0-9.-]{0,14}")).prop_map(|(host, zone)| {
            let address = format!("fe80::{:x}", host & 0xffff).parse().unwrap();
            Target::Ip(WireAddress { address, zone: zone.and_then(|zone| zone.parse().ok()) })
        }),
        any::<[u8; 6]>().prop_map(|bytes| Target::Mac(Mac(bytes))),
        link_name().prop_map(Target::Veth),
    ]
}

proptest! {
    #[test]
    fn parsing_what_was_printed_gives_the_same(target in target()) {
        prop_assert_eq!(target.to_string().parse(), Ok(target));
    }

    #[test]
    fn no_input_panics(word in any::<String>()) {
        let _ = word.parse::<Target>();
    }

    #[test]
    fn no_input_of_a_known_kind_panics(kind in "[a-z0-9]{0,10}", rest in "[\\PC\\p{Cc}]{0,300}") {
        let _ = format!("{kind}:{rest}").parse::<Target>();
    }

    #[test]
    fn a_name_is_safe_in_a_url_and_in_a_path(word in any::<String>()) {
        if let Ok(name) = word.parse::<Name>() {
            prop_assert!(!name.as_str().contains(['/', '%', '?', '#', '\r', '\n', '\0', ' ']));
            prop_assert!(name.as_str() != ".." && name.as_str().len() <= 255);
        }
    }
}
