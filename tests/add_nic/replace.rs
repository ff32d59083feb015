//! `--replace`: the same call with other options changes an interface. What is not different is not touched, and what fails is rolled
//! back. Observers: `ip -j`, pings, what `everything` sees.

use std::io::Write;
use std::path::Path;

use serde_json::Value;

use crate::faults::{Scene, is_chosen};
use crate::firewall_faults::{scene, stand_in, starts};
use crate::{add_nic, everything, lab, plug, reaches, reaches_from};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::Run;
use support::skip::{need, program};

fn container(lab: &Lab, name: &str) -> Container {
    lab.container(name, Options::only(&["net"]))
}

/// The container's link of that name, as `ip -j` has it.
#[track_caller]
fn link(container: &Container, name: &str) -> Value {
    let links = container.ip(&format!("-j -d link show {name}")).json();
    links[0].clone()
}

fn records(lab: &Lab) -> usize {
    std::fs::read_dir(lab.path("/run/netns-toolbox/nics")).map_or(0, |files| {
        files
            .flatten()
            .filter(|file| Path::new(&file.file_name()).extension().is_some_and(|ext| ext == "json"))
            .count()
    })
}

/// Old options, new ones: on the same links. ROUTER is a host that is reached by the container's first interface.
const IN_PLACE: [(&str, &str); 10] = [
    ("10.1.0.2/24", "10.1.0.2/24 --mtu 1400 --mac 02:00:00:00:00:07"),
    ("10.1.0.2/24", "10.1.0.2/24 fd00:1::2/64 --gateway 10.1.0.1 --gateway fd00:1::1"),
    ("10.1.0.2/24 fd00:1::2/64 --gateway 10.1.0.1 --gateway fd00:1::1", "10.1.0.2/24"),
    ("10.1.0.2/24 10.2.0.2/24", "10.2.0.2/24 10.3.0.2/24 --route 172.31.0.0/16@10.2.0.1"),
    ("10.1.0.2/24 --name lan0", "10.9.0.2/24 --name lan0 --sbr"),
    (
        "10.1.0.2/24 --sbr",
        "10.1.0.2/24 --sysctl net.ipv4.conf.IF.rp_filter=2 --sysctl net.ipv4.ip_default_ttl=33",
    ),
    (
        "10.1.0.2/24 --sysctl net.ipv4.conf.IF.rp_filter=2 --sysctl net.ipv4.ip_default_ttl=33",
        "10.1.0.2/24 --sysctl net.ipv4.conf.IF.rp_filter=1",
    ),
    ("10.1.0.2/24 --bridge br1 --create --mtu 1400", "10.1.0.2/24 10.1.0.3/24 --bridge br1 --create"),
    ("10.1.0.2/24 --peer PEER", "10.1.0.2/24 --peer PEER --peer-addr 10.1.0.9 --mtu 1300"),
    (
        "10.1.0.2/24 --macvlan lan0",
        "10.1.0.2/24 10.1.0.3/24 --macvlan lan0 --mac 02:00:00:00:00:07 --mtu 1300",
    ),
];

/// The same, where other links are needed.
const BY_ANOTHER: [(&str, &str); 6] = [
    ("10.1.0.2/24 --gateway 10.1.0.1", "10.1.0.2/24 --bridge br1 --create --gateway 10.1.0.1"),
    ("10.1.0.2/24 --bridge br1 --create", "10.1.0.2/24 --bridge br2 --create"),
    ("10.1.0.2/24 --bridge br1 --create", "10.1.0.2/24 --macvlan lan0"),
    ("10.1.0.2/24 --macvlan lan0", "10.1.0.2/24 --macvlan lan0:private"),
    ("10.1.0.2/24", "10.1.0.2/24 --name wan"),
    ("10.1.0.2/24 --phys lan0", "10.1.0.2/24 --phys lan0 --mtu 1400"),
];

/// The snapshot without the indices and the MAC addresses, which are another interface's.
fn alike(everything: &str) -> String {
    let mut lines = Vec::new();
    for line in everything.lines().filter(|line| !line.starts_with("/proc/")) {
        let words = line.split_whitespace().map(|word| match word {
            word if word.matches(':').count() == 5 && !word.contains("::") => "MAC",
            word => word.split_once("@if").map_or(word, |(name, _)| name),
        });
        let line = words.collect::<Vec<_>>().join(" ");
        lines.push(
            line.split_once(": ")
                .filter(|(index, _)| index.parse::<u32>().is_ok())
                .map_or(line.clone(), |(_, rest)| rest.to_owned()),
        );
    }
    lines.sort();
    lines.join("\n")
}

#[track_caller]
fn replaced(old: &str, new: &str, in_place: bool) {
    let lab = lab().unwrap();
    let (web, db) = (container(&lab, "web"), container(&lab, "db"));
    lab.shell(&format!(
        "ip link add lan0 up type veth peer name lan netns {}; ip address add 10.77.0.1/24 dev lan0",
        db.pid
    ))
    .run()
    .ok();
    db.ip("link set lan up");
    let words = |words: &str| words.replace("PEER", &db.pid.to_string());
    let before = everything(&lab, &[&web, &db]);
    // As the new call would make it.
    plug(&lab, &web, &words(new)).ok();
    let expected = alike(&everything(&lab, &[&web, &db]).0);
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    assert_eq!(everything(&lab, &[&web, &db]), before);
    plug(&lab, &web, &words(old)).ok();
    let made = everything(&lab, &[&web, &db]);
    let name = if old.contains("--name lan0") { "lan0" } else { "eth0" };
    let index = link(&web, name)["ifindex"].clone();
    // Not without the word.
    if !new.contains("--name") {
        plug(&lab, &web, &words(new))
            .fails_with(2)
            .stderr_has("which add-nic added with other options\nhint: add-nic ")
            .stderr_has(" --replace\n");
    }
    // A dry run shows it, and does it.
    let shown = plug(&lab, &web, &format!("{} --replace --dry-run", words(new))).ok().stdout;
    assert!(!shown.is_empty());
    assert_eq!(everything(&lab, &[&web, &db]), made);
    let done = plug(&lab, &web, &format!("{} --replace", words(new))).ok();
    let done = done.stdout_has(if in_place { ", changed in place" } else { ", replaced" });
    assert_eq!(alike(&everything(&lab, &[&web, &db]).0), expected, "{old} -> {new}: {done}");
    let now = link(&web, if new.contains("--name wan") { "wan" } else { name })["ifindex"].clone();
    if in_place {
        assert_eq!(now, index, "{old} -> {new}: another link");
    }
    assert_eq!(records(&lab), 1);
    add_nic(&lab, &["--check"]).ok();
    plug(&lab, &web, &words(new)).ok().stdout_has(", unchanged\n");
    plug(&lab, &web, &format!("{} --replace", words(new))).ok().stdout_has(", unchanged\n");
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    assert_eq!(everything(&lab, &[&web, &db]), before, "{old} -> {new}");
}

#[test]
fn what_can_be_changed_in_place_is_and_is_as_if_it_had_been_added_so() {
    drop(need!(lab()));
    for (old, new) in IN_PLACE {
        replaced(old, new, true);
        // And the other way round.
        if !new.contains("--name") {
            replaced(new, old, true);
        }
    }
}

#[test]
fn another_kind_bridge_or_name_is_a_new_interface() {
    drop(need!(lab()));
    for (old, new) in BY_ANOTHER {
        replaced(old, new, false);
    }
}

#[test]
fn neighbours_lose_no_packet_while_options_change() {
    let lab = need!(lab());
    let (web, db) = (container(&lab, "web"), container(&lab, "db"));
    plug(&lab, &web, "10.1.0.2/24 --bridge br1 --create").ok();
    plug(&lab, &db, "10.1.0.3/24 --bridge br1").ok();
    let pid = web.pid;
    let ping =
        format!("nsenter --target {} --net ping -n -q -i0.02 -c100 10.1.0.2 >/run/pinged & ping=$!", db.pid);
    let tool = support::tools::tool("add-nic");
    let script = format!(
        "{ping}; sleep 0.3
         {tool} {pid} 10.1.0.2/24 --bridge br1 --create --replace --mtu 1400 --route 172.31.0.0/16@10.1.0.1 || exit 3
         {tool} {pid} 10.1.0.2/24 10.1.0.4/24 --bridge br1 --create --replace --gateway 10.1.0.1 || exit 4
         wait $ping; cat /run/pinged"
    );
    lab.shell(&script).run().ok().stdout_has(" 0% packet loss");
    reaches_from(&lab, &db, "10.1.0.4");
}

#[test]
fn rules_are_exchanged_and_connections_through_a_port_that_stays_go_on() {
    need!(program("nft", "nftables"));
    need!(program("iptables", "iptables"));
    let lab = need!(lab());
    let web = container(&lab, "web");
    lab.shell("iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER; iptables -P FORWARD DROP")
        .run()
        .ok();
    let before = everything(&lab, &[&web]);
    plug(&lab, &web, "10.1.0.2/24 --gateway 10.1.0.1 --publish 8080:80").ok();
    let rules = |lab: &Lab| lab.shell("nft list table inet netns-toolbox; iptables -S").run().ok().stdout;
    assert!(!rules(&lab).contains("8081"));
    plug(
        &lab,
        &web,
        "10.1.0.2/24 --gateway 10.1.0.1 --publish 8080:80 --publish 8081:81 --nat=all --replace",
    )
    .ok()
    .stdout_has("changed in place");
    let both = rules(&lab);
    for word in ["8080", "8081", "masquerade", "netns-toolbox:"] {
        assert!(both.contains(word), "{word}: {both}");
    }
    add_nic(&lab, &["--check"]).ok();
    plug(&lab, &web, "10.1.0.2/24 --gateway 10.1.0.1 --replace").ok().stdout_has("changed in place");
    let none = lab.shell("nft list ruleset; iptables -S").run().ok().stdout;
    assert!(!none.contains("8080") && !none.contains("netns-toolbox"), "{none}");
    add_nic(&lab, &["--check"]).ok();
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    assert_eq!(everything(&lab, &[&web]), before);
}

#[test]
fn what_others_undid_is_done_again_and_what_cannot_be_is_refused() {
    let lab = need!(lab());
    let web = container(&lab, "web");
    plug(&lab, &web, "10.1.0.2/24 --gateway 10.1.0.1").ok();
    web.ip("route del default");
    plug(&lab, &web, "10.1.0.2/24 --gateway 10.1.0.1").fails_with(2).stderr_has("exists, but was changed");
    plug(&lab, &web, "10.1.0.2/24 --gateway 10.1.0.1 --replace").ok().stdout_has("changed in place");
    add_nic(&lab, &["--check"]).ok();
    // Renamed inside: a new one takes its place.
    lab.shell(&format!("nsenter --target {} --net ip link set eth0 name x0", web.pid)).run().ok();
    plug(&lab, &web, "10.1.0.2/24 --gateway 10.1.0.1 --mtu 1400 --replace").ok().stdout_has(", replaced");
    add_nic(&lab, &["--check"]).ok();
    reaches(&lab, "10.1.0.2");
    // One that is none of ours.
    web.ip("link add dum0 type veth peer name dum1");
    plug(&lab, &web, "10.5.0.2/24 --name dum0 --replace")
        .fails_with(2)
        .stderr_has("dum0: name already in use");
    // Two at once.
    plug(&lab, &web, "10.2.0.2/24").ok();
    plug(&lab, &web, "10.1.0.2/24 10.2.0.2/24 --replace")
        .fails_with(2)
        .stderr_has("these are addresses of both eth0 and eth1");
    // Its default route was replaced by another of ours.
    plug(&lab, &web, "10.3.0.2/24 --gateway 10.3.0.1").ok();
    plug(&lab, &web, "10.1.0.2/24 --replace")
        .fails_with(2)
        .stderr_has("eth2 replaced the default route of eth0 after it was added");
    // Without one to replace it is an add.
    plug(&lab, &web, "10.4.0.2/24 --replace").ok().stdout_has(", reachable after").stdout_has("eth3");
    let pid = web.pid.to_string();
    add_nic(&lab, &["--rm", &pid, "--replace"]).fails_with(2);
}

/// The old NIC, as it was made in this round: compared after a rollback. The indices of a new link are others.
const REMEMBER: &str = "look $pids >/run/old 2>/dev/null || true";

/// Either the new one, whole; or the old one, as it was.
const OLD_OR_NEW: &str = r#"
case $call in
    clock_nanosleep|mmap|mprotect|munmap|brk|setns|arch_prctl|set_tid_address|set_robust_list|rseq|prlimit64|poll|sigaltstack|rt_sigaction|newfstatat|access|openat|read|pread64|close|fstat) ;;
    *) [ $rc = 0 ] || [ $rc = 1 ] || [ $rc = 2 ] || [ $rc = "$ended_by" ] || echo "ended with $rc" ;;
esac
$tool --check >/run/swept 2>&1
$tool --check >/run/check 2>&1 || { echo 'not whole:'; cat /run/check; }
plain() { sed 's/^[0-9]*: //; s/@if[0-9]*//g; s/ if[0-9]*//g' "$1" | sort; }
if ! grep -q '"mtu_bytes":1300' /run/netns-toolbox/nics/*.json; then
    [ $rc != 0 ] || echo 'not done'
    look $pids >/run/now; plain /run/old >/run/a; plain /run/now >/run/b
    cmp -s /run/a /run/b || { echo 'not as it was:'; diff /run/a /run/b | head -8; }
    if [ -n "$in_place" ] && ! cmp -s /run/old /run/now; then echo 'another link'; diff /run/old /run/now | head -4; fi
fi
$remove >/dev/null 2>&1 || echo 'not removed'
as_before 'not undone'
no_record"#;

/// With the status that the shell gives to a program that this fault ends.
fn old_or_new(fault: &str) -> String {
    let ended_by = match fault {
        "signal=KILL" => "137",
        "signal=TERM" => "143",
        _ => "",
    };
    format!("ended_by={ended_by}; {OLD_OR_NEW}")
}

fn every_fault(what: &str, old: &str, new: &str, fault: &str, in_place: bool, most: u32) {
    let mut scene = Scene::new(new).unwrap();
    (scene.strace, scene.most) = ("strace", most);
    let tool = support::tools::tool("add-nic");
    let before = format!("{tool} {} {old}; {REMEMBER}", scene.web.pid);
    let after = format!("in_place={}; {}", if in_place { "1" } else { "" }, old_or_new(fault));
    let change = format!("{} --replace", scene.add);
    scene.every_time(what, &before, (&change, &[fault]), &after);
}

const OLD: &str = "10.1.0.2/24 --gateway 10.1.0.1";
const NEW: &str =
    "10.1.0.2/24 10.1.0.3/24 fd00:1::2/64 --mtu 1300 --gateway 10.1.0.9 --route 172.31.0.0/16@10.1.0.1";
const NEW_KIND: &str = "10.1.0.2/24 --mtu 1300 --bridge br1 --create --gateway 10.1.0.1";

#[test]
fn a_change_in_place_that_the_kernel_refuses_is_rolled_back() {
    drop(need!(Scene::new(NEW)));
    every_fault("a change in place, EIO", OLD, NEW, "error=EIO", true, 40);
}

#[test]
fn a_change_in_place_that_is_killed_is_rolled_back_by_the_next_call() {
    drop(need!(Scene::new(NEW)));
    every_fault("a change in place, SIGKILL", OLD, NEW, "signal=KILL", true, 40);
}

#[test]
fn a_new_interface_that_the_kernel_refuses_leaves_the_old_one() {
    drop(need!(Scene::new(NEW_KIND)));
    every_fault("another kind, EIO", OLD, NEW_KIND, "error=EIO", false, 40);
}

#[test]
fn a_new_interface_that_is_killed_on_its_way_leaves_the_old_one() {
    drop(need!(Scene::new(NEW_KIND)));
    every_fault("another kind, SIGKILL", OLD, NEW_KIND, "signal=KILL", false, 40);
}

#[test]
fn a_signal_leaves_the_old_or_the_new() {
    drop(need!(Scene::new(NEW)));
    every_fault("a change in place, SIGTERM", OLD, NEW, "signal=TERM", true, 12);
}

#[test]
fn fifty_at_once_leave_one_whole_nic() {
    let lab = need!(lab());
    let web = container(&lab, "web");
    let before = everything(&lab, &[&web]);
    plug(&lab, &web, "10.1.0.2/24").ok();
    let tool = support::tools::tool("add-nic");
    let script = format!(
        "for n in $(seq 50); do
             case $((n % 5)) in 0) o='--bridge br1 --create' ;; 1) o='--gateway 10.1.0.1' ;; 2) o='--mtu 1300' ;; 3) o='--host-addr 10.1.0.7' ;; 4) o='' ;; esac
             {tool} {} 10.1.0.2/24 --replace $o >>/run/said 2>&1 & pids=\"$pids $!\"
         done
         for pid in $pids; do wait $pid || echo \"$pid: $?\"; done; {tool} --check; cat /run/said >&2",
        web.pid
    );
    let ran = lab.command("bash").args(["-c", &script]).run_within(std::time::Duration::from_secs(120)).ok();
    assert_eq!(ran.stdout, "", "{ran}");
    assert_eq!(records(&lab), 1);
    reaches(&lab, "10.1.0.2");
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    assert_eq!(everything(&lab, &[&web]), before);
    let _ = writeln!(std::io::stderr(), "add-nic: fifty replacements at once, one whole NIC");
}

#[test]
fn a_container_that_exits_in_the_middle_leaves_nothing() {
    need!(program("strace", "strace"));
    let lab = need!(lab());
    let start = everything(&lab, &[]);
    let tool = support::tools::tool("add-nic");
    for (new, call) in [("--mtu 1300 --gateway 10.1.0.9", "sendto"), ("--bridge br1 --create", "sendto")] {
        for time in [8, 12, 16, 20, 24, 30, 40] {
            let script = format!(
                "unshare --net sleep 1000 & pid=$!
                 while [ \"$(readlink /proc/$pid/ns/net)\" = \"$(readlink /proc/self/ns/net)\" ]; do :; done
                 {tool} $pid 10.1.0.2/24 >/dev/null || exit 7
                 : >/run/trace
                 strace -o /run/trace -e trace={call} -e inject={call}:signal=STOP:when={time} {tool} $pid 10.1.0.2/24 --replace {new} >/run/out 2>/run/err & strace=$!
                 until grep -q 'stopped by SIGSTOP\\|exited with' /run/trace; do :; done
                 kill -KILL $pid; wait $pid 2>/dev/null
                 for child in $(cat /proc/$strace/task/$strace/children); do kill -CONT $child; done
                 wait $strace; echo rc=$?
                 for try in $(seq 100); do {tool} --check >/dev/null 2>&1; [ -n \"$(ls /run/netns-toolbox/nics)\" ] || break; sleep 0.05; done
                 ls /run/netns-toolbox/nics; cat /run/err >&2"
            );
            let ran =
                lab.command("bash").args(["-c", &script]).run_within(std::time::Duration::from_secs(60)).ok();
            assert!(ran.stdout.starts_with("rc="), "{new} {time}: {ran}");
            assert_eq!(ran.stdout.lines().count(), 1, "{new} {time}: {ran}");
            assert_eq!(everything(&lab, &[]), start, "{new} {time}: {ran}");
        }
    }
}

const OLD_RULES: &str = "10.1.0.2/24 --gateway 10.1.0.1 --publish 8080:80";
const NEW_RULES: &str =
    "10.1.0.2/24 --gateway 10.1.0.1 --publish 8080:80 --publish 53:53/udp --nat=all --mtu 1300";

#[test]
fn a_change_of_rules_that_is_killed_is_rolled_back_by_the_next_call() {
    drop(need!(scene(NEW_RULES, "nft")));
    let scene = scene(NEW_RULES, "nft").unwrap();
    let tool = support::tools::tool("add-nic");
    let before = format!("{tool} {} {OLD_RULES}; {REMEMBER}", scene.web.pid);
    let change = format!("{} --replace", scene.add);
    scene.every_time(
        "a change of rules, SIGKILL",
        &before,
        (&change, &["signal=KILL"]),
        &format!("in_place=1; {}", old_or_new("signal=KILL")),
    );
}

#[test]
fn a_program_that_fails_or_is_killed_rolls_the_change_back() {
    for kind in ["nft", "legacy"] {
        let scene = need!(scene(OLD_RULES, kind));
        stand_in(&scene);
        let tool = support::tools::tool("add-nic");
        let change = format!("{tool} {} {NEW_RULES} --replace", scene.web.pid);
        let before = everything(&scene.lab, &[&scene.web]);
        scene.lab.shell(&scene.add).run().ok();
        let programs = starts(&scene, &change);
        scene.lab.shell(&scene.remove).run().ok();
        assert!(programs > 4, "{programs}");
        let mut count = 0;
        for (way, mode) in ["fails", "fails-late", "killed", "killed-late"].into_iter().enumerate() {
            for at in (1..=programs).filter(|at| is_chosen(way, *at)) {
                scene.lab.shell(&scene.add).run().ok();
                let old = everything(&scene.lab, &[&scene.web]);
                std::fs::write(scene.lab.path("/run/started"), "").unwrap();
                std::fs::write(scene.lab.path("/run/fault"), format!("{at} {mode}\n")).unwrap();
                let ran = scene.lab.shell(&change).run();
                std::fs::remove_file(scene.lab.path("/run/fault")).unwrap();
                let about = format!("{kind} {mode} {at}: {ran}");
                if !ran.status.unwrap().success() {
                    assert_eq!(everything(&scene.lab, &[&scene.web]), old, "{about}");
                }
                add_nic(&scene.lab, &["--check"]).ok();
                scene.lab.shell(&scene.remove).run().ok();
                assert_eq!(everything(&scene.lab, &[&scene.web]), before, "{about}");
                count += 1;
            }
        }
        let _ = writeln!(
            std::io::stderr(),
            "add-nic: {kind}, programs that fail in a change: {count} faults, all rolled back"
        );
    }
}
