//! Names that come from inside: nothing of them drives a terminal, in any view. Observer: the bytes themselves.

use common::output::is_harmful;
use support::run::Run;
use support::skip::need;

use crate::Bridged;

/// An escape sequence, a bell, a byte that is no UTF-8, and a mark that turns text around.
const IFNAME: &str = r"$(printf 'e\033[2J\a\377\342\200\256x')";

#[test]
fn names_of_interfaces_processes_mounts_and_aliases_drive_no_terminal() {
    let bridged = need!(Bridged::new(&["web"]));
    let web = &bridged.containers[0];
    let script = format!(
        r#"n={IFNAME}
        nsenter -t {pid} -n ip link add name "$n" type veth peer name far netns 1
        nsenter -t {pid} -n ip link set dev "$n" alias "$(printf 'a\033]0;x\007\302\233')" up
        nsenter -t {pid} -n ip address add 10.6.6.6/24 dev "$n"
        ip link add name "$(printf 'b\033[1m')" type bridge
        mkdir -p /run/netns; touch "/run/netns/$(printf 'm\033[3m\n')"; mount --bind /proc/{pid}/ns/net "/run/netns/$(printf 'm\033[3m\n')""#,
        pid = web.pid
    );
    bridged.lab.shell(&script).run().ok();
    let command = r#"cp "$(command -v sleep)" "/run/$(printf 'p\033[31m\n')"; exec unshare -n "/run/$(printf 'p\033[31m\n')" 1000"#;
    let odd = bridged.lab.shell(command).start();
    support::until::until("the odd process is there", || {
        bridged.lab.tool("netns-ls").args(["-q", "--all"]).run().stdout.contains("(p\\u{1b}[31m")
    });
    let old = bridged.lab.tool("netns-ls").args(["-q", "--json"]).run().ok();
    std::fs::write(bridged.lab.path("/run/old.json"), &old.stdout).unwrap();
    bridged.lab.shell("ip address add 10.7.7.7/24 dev far").run().ok();
    bridged
        .lab
        .shell(
            &format!(r#"nsenter -t {} -n ip link set dev {IFNAME} mtu 1300"#, web.pid)
                .replace("dev $(", "dev \"$(")
                .replace("') mtu", "')\" mtu"),
        )
        .run()
        .ok();
    let pid = format!("pid:{}", web.pid);
    for options in [
        &["--all"][..],
        &["--json"],
        &["--bridges"],
        &["--tree"],
        &["--namespaces"],
        &["--namespaces", "--json"],
        &[&pid],
        &["10.6.6.6"],
        &["far"],
        &["--path", &pid, "far"],
        &["--diff", "/run/old.json"],
        &["--diff", "/run/old.json", "--json"],
    ] {
        let ran = bridged.lab.tool("netns-ls").args(options).run();
        for text in [&ran.stdout, &ran.stderr] {
            assert!(!text.chars().any(is_harmful), "{options:?}: {ran:?}");
        }
        assert!(!ran.stdout.is_empty(), "{options:?}: {ran}");
    }
    let ran = bridged.lab.tool("netns-ls").args(["-q", "10.6.6.6"]).run().ok();
    assert!(ran.stdout.contains("e\\u{1b}[2J\\u{7}"), "{ran}");
    assert_eq!(ran.stdout.lines().count(), 1, "a line feed in a name makes no line: {ran}");
    drop(odd);
}
