//! Many namespaces, and many looks at once: each view has each of them once, and says what it says alone. Observer: what was made.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use support::lab::Lab;
use support::run::{Ran, Run, RunningProgram};
use support::skip::{need, program};
use support::tier;
use support::tools::PATIENT;

/// So many namespaces at one bridge, each with a neighbour, a route, a discipline and a socket. Without a carrier nothing is sent, so
/// that nothing changes by itself.
const MADE: &str = r#"
count=$0
for n in $(seq $count); do echo "netns add n$n"; done | ip -batch -
ip link add br0 up type bridge
for n in $(seq $count); do echo "link add v$n master br0 type veth peer name eth0 netns n$n"; done | ip -batch -
for n in $(seq $count); do
    # `ip -n` takes a mount namespace of its own each time, and that a moment for each of the others.
    nsenter --net=/run/netns/n$n ip -batch - <<END
address add 10.0.$((n / 250)).$((n % 250 + 1))/16 dev eth0
neighbour add 10.0.99.99 lladdr 02:00:00:00:99:99 dev eth0 nud permanent
END
    nsenter --net=/run/netns/n$n tc qdisc add dev eth0 root tbf rate 1mbit burst 10k latency 50ms
done
exec perl -MSocket -e '
    for my $n (1..$ARGV[0]) {
        open(my $file, "<", "/run/netns/n$n") or die $!;
        syscall(308, fileno($file), 0x40000000) == 0 or die $!;
        socket(my $socket, PF_INET, SOCK_STREAM, 0) or die $!;
        bind($socket, sockaddr_in(70, INADDR_ANY)) and listen($socket, 1) or die $!;
        push @held, $socket;
    }
    $| = 1; print "made\n"; sleep 10000' $count
"#;

/// A view, and a part of the line that it has for each of the namespaces.
const VIEWS: [(&[&str], &str); 7] = [
    (&["--all"], " eth0 "),
    (&["--ports"], " 0.0.0.0:70/tcp "),
    (&["--sockets"], " listening "),
    (&["--neigh"], " 10.0.99.99 "),
    (&["--programs"], " tbf"),
    (&["--fdb"], " local "),
    (&["--json"], "\"ifname\": \"eth0\""),
];

#[test]
fn fifty_looks_at_once_at_a_thousand_namespaces_say_what_one_says_alone() {
    need!(program("tc", "iproute2"));
    let (count, at_once) = if tier::is_all() { (1000, 50) } else { (60, 14) };
    let lab = need!(Lab::new());
    let holds = lab.shell(MADE).arg(count.to_string()).start();
    holds.wait_for("made\n");
    let look = |options: &[&str]| lab.tool("netns-ls").args([PATIENT, "-q"]).args(options).start();
    let limit = Duration::from_secs(300);
    let alone: Vec<String> = VIEWS
        .iter()
        .map(|(options, part)| {
            let ran = look(options).finish_within(limit);
            is_right(options, &ran);
            let lines: Vec<String> = ran.stdout.lines().map(single_blanks).collect();
            let found: Vec<&String> = lines.iter().filter(|line| line.contains(part)).collect();
            match options[0] {
                // A bridge's port has two entries: with and without the VLAN 1.
                "--fdb" => {
                    let ports = (1..=count).map(|n| format!("v{n}")).collect::<BTreeSet<_>>();
                    let shown = found.iter().filter_map(|line| line.split(' ').nth(3)).map(str::to_owned);
                    let shown: BTreeSet<String> = shown.filter(|port| port.starts_with('v')).collect();
                    assert_eq!(shown, ports, "{options:?}");
                }
                "--json" => assert!(found.len() >= count, "{options:?}: {}", found.len()),
                _ => {
                    let whose: Vec<&str> = found
                        .iter()
                        .filter_map(|line| line.split(' ').next()?.strip_prefix("netns:n"))
                        .collect();
                    let once: BTreeSet<&str> = whose.iter().copied().collect();
                    assert_eq!((whose.len(), once.len()), (count, count), "{options:?}");
                }
            }
            ran.stdout
        })
        .collect();
    let running: Vec<(usize, RunningProgram)> =
        (0..at_once).map(|at| (at % VIEWS.len(), look(VIEWS[at % VIEWS.len()].0))).collect();
    for (view, one) in running {
        let ran = one.finish_within(limit);
        is_right(VIEWS[view].0, &ran);
        let (ours, first) = (comparable(&ran.stdout), comparable(&alone[view]));
        let different = ours.iter().zip(&first).find(|(ours, first)| ours != first);
        assert!(different.is_none() && ours.len() == first.len(), "{:?}: {different:?}", VIEWS[view].0);
    }
    drop(holds);
}

/// In each namespace two processes that share three sockets: those of two listeners and of a datagram's receiver.
const CROWDED: &str = r#"
count=$0
for n in $(seq $count); do echo "netns add n$n"; done | ip -batch -
ip link add br0 up type bridge
for n in $(seq $count); do echo "link add v$n master br0 type veth peer name eth0 netns n$n"; done | ip -batch -
exec perl -MSocket -e '
    $^F = 255;
    for my $n (1..$ARGV[0]) {
        pipe(my $ready, my $says) or die $!;
        defined(my $child = fork) or die $!;
        if (!$child) {
            open(my $file, "<", "/run/netns/n$n") or die $!;
            syscall(308, fileno($file), 0x40000000) == 0 or die $!;
            close $file; close $ready;
            my @held;
            for my $port (70, 71) {
                socket(my $socket, PF_INET, SOCK_STREAM, 0) or die $!;
                bind($socket, sockaddr_in($port, INADDR_ANY)) and listen($socket, 1) or die $!;
                push @held, $socket;
            }
            socket(my $socket, PF_INET, SOCK_DGRAM, 0) or die $!;
            bind($socket, sockaddr_in(70, INADDR_ANY)) or die $!;
            syswrite($says, "x"); close $says;
            fork; exec "sleep", "10000";
        }
        close $says; sysread($ready, my $byte, 1) or die "no child";
    }
    $| = 1; print "made\n"; sleep 10000' $count
"#;

/// Runs a program, and prints the most memory that it had, in KiB: ru_maxrss of wait4(2).
const MOST_MEMORY: &str = r#"
use POSIX;
defined(my $child = fork) or die $!;
if (!$child) { open(STDOUT, ">", "/dev/null"); exec @ARGV or die $! }
my ($status, $usage) = ("\0" x 4, "\0" x 144);
syscall((POSIX::uname())[4] eq "aarch64" ? 260 : 61, $child, $status, 0, $usage) == $child or die $!;
die "it failed: ", unpack("i", $status), "\n" if unpack("i", $status);
print unpack("x32 q", $usage), "\n";
"#;

#[test]
fn thousands_of_processes_and_sockets_take_no_more_than_forty_megabytes() {
    let count = if tier::is_all() { 1000 } else { 100 };
    let lab = need!(Lab::new());
    let holds = lab.shell(CROWDED).arg(count.to_string()).start();
    holds.wait_for("made\n");
    let netns_ls = support::tools::tool("netns-ls");
    for view in ["--all", "--ports", "--sockets", "--json", "--html"] {
        let words = ["-e", MOST_MEMORY, netns_ls, PATIENT, "-q", view];
        let ran = lab.command("perl").args(words).run_within(Duration::from_secs(300)).ok();
        let kibibytes: u64 = ran.stdout.trim().parse().unwrap_or_else(|_| panic!("{view}: {ran}"));
        println!("{view} of {count} namespaces, {} processes: {kibibytes} KiB", 2 * count);
        assert!(kibibytes <= 40 * 1024, "{view}: {kibibytes} KiB");
    }
    let ran =
        lab.tool("netns-ls").args([PATIENT, "-q", "--sockets"]).run_within(Duration::from_secs(300)).ok();
    let shown = ran.stdout.lines().filter(|line| line.starts_with("netns:n")).count();
    assert_eq!(shown, 3 * count, "the sockets");
    drop(holds);
}

#[track_caller]
fn is_right(options: &[&str], ran: &Ran) {
    // BPF programs may be asked for by the machine's own root alone: then that is said.
    let code = ran.status.and_then(|status| status.code());
    let is_known = options == ["--programs"]
        && code == Some(2)
        && ran.stderr.lines().all(|line| line.contains(": programs: "));
    assert!(is_known || (code == Some(0) && ran.stderr.is_empty()), "{options:?}: {code:?}: {}", ran.stderr);
}

fn single_blanks(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is the same each time: without the namespaces of others that come and go beside the lab, where it sees them. Of JSON the names
/// and links, for whoever looks holds what it looks at.
fn comparable(text: &str) -> Vec<String> {
    let Ok(map) = serde_json::from_str::<Value>(text) else {
        let shown = text.lines().filter(|line| !line.contains("net:["));
        return shown.map(single_blanks).collect();
    };
    let all = map["namespaces"].as_array().unwrap().iter();
    let shown = all.map(|netns| format!("{} {}", netns["name"], netns["links"]));
    shown.filter(|netns| !netns.contains("net:[")).collect()
}
