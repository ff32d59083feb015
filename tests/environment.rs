//! What a tool's environment does to all tools alike: a locale without UTF-8 gets ASCII, and without a `/proc` each says that.

#![cfg(test)]

use std::process::Command;

use nix::sys::signal::Signal;
use support::container::Options;
use support::fake_docker;
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::need;
use support::tools;

const SOCKET: &str = "/run/docker.sock";

/// A container behind a bridge of the host's, one behind a cable, and what does not fit in a column.
fn lab() -> Result<(Lab, Vec<support::container::Container>), support::skip::Missing> {
    let lab = Lab::new()?;
    let names = ["web", "db", "a-container-with-a-name-longer-than-any-column"];
    let containers: Vec<_> = names.map(|name| lab.container(name, Options::default())).into();
    lab.veth((&containers[0], "198.18.0.1/24"), (&containers[1], "198.18.0.2/24"));
    let pid = containers[2].pid;
    lab.shell(&format!(
        "ip link add br0 up type bridge; ip address add 198.18.1.1/24 dev br0
         ip link add port0 up master br0 type veth peer name eth0 netns {pid}
         nsenter -t {pid} -n sh -c 'ip address add 198.18.1.2/24 dev eth0; ip link set eth0 up'
         ip netns add blue"
    ))
    .run()
    .ok();
    Ok((lab, containers))
}

fn with_locale(mut command: Command, locale: &str) -> Ran {
    command.env("LC_ALL", locale).run()
}

/// What each tool has to say to people, and why it may not.
const TEXTS: [&str; 40] = [
    "cpid web",
    "cpid --list",
    "cpid -v wbe",
    "cpid --engine-timeout=100us podman:web",
    "cpid netns:blue",
    "cpid --nothing",
    "nsenter-rs -t web -n ip -br link",
    "nsenter-rs --explain -t web -a",
    "nsenter-rs --explain -t web -a -H iptables -S",
    "nsenter-rs -t web true",
    "nsenter-rs -t nobody -n true",
    "nsenter-rs --each * -n ip -br link",
    "netns-link web",
    "netns-link --list",
    "netns-link --check",
    "netns-link --rm web",
    "add-nic web 10.1.0.2/24 --dry-run",
    "add-nic web 10.1.0.2/24",
    "add-nic web 10.2.0.2/24 -b br0 --preflight",
    "add-nic --list",
    "add-nic --check",
    "add-nic --rm web",
    "netns-ping -c1 web 198.18.0.2",
    "netns-ping -c1 -W0.1 web 198.18.0.9",
    "netns-ping --arp -c1 web 198.18.0.2",
    "netns-ping -v web nobody.invalid -c1",
    "netns-ping --matrix",
    "netns-ls",
    "netns-ls -a",
    "netns-ls web",
    "netns-ls port0",
    "netns-ls --tree",
    "netns-ls --bridges",
    "netns-ls --path web db",
    "netns-ls --ports",
    "netns-ls --why",
    "netns-trace web 198.18.0.2",
    "netns-trace web 198.18.0.9",
    "netns-trace --explain web 198.18.7.7",
    "netns-trace --mtu web 198.18.0.2",
];

#[test]
fn without_utf8_every_text_is_ascii() {
    let (lab, containers) = need!(lab());
    let _engine = fake_docker::knows(&containers.iter().collect::<Vec<_>>()).listen(lab.path(SOCKET));
    let of_help = tools::names()
        .into_iter()
        .flat_map(|tool| ["-h", "--help", "--man"].map(|option| format!("{tool} {option}")));
    let mut beyond = Vec::new();
    for text in TEXTS.map(str::to_owned).into_iter().chain(of_help) {
        let words: Vec<&str> = text.split(' ').collect();
        let run = |locale| {
            let mut command = lab.tool(words[0]);
            command.args(&words[1..]);
            with_locale(command, locale)
        };
        let ran = run("C");
        assert!(ran.stdout.is_ascii() && ran.stderr.is_ascii(), "{ran}");
        let rich = run("C.UTF-8");
        if !rich.stdout.is_ascii() {
            beyond.push(text.clone());
        }
        assert!(!format!("{}{}", rich.stdout, rich.stderr).contains('\u{fffd}'), "{rich}");
    }
    // It is no test of nothing.
    for tool in ["netns-ls", "netns-ls --tree", "netns-trace web 198.18.0.2", "netns-ping --matrix"] {
        assert!(beyond.iter().any(|text| text == tool), "{tool} has nothing but ASCII anyway: {beyond:?}");
    }
}

#[test]
fn a_watch_keeps_to_the_locale_too() {
    let (lab, _containers) = need!(lab());
    let mut watch = lab.tool("netns-ls");
    let watch = watch.env("LC_ALL", "C").arg("--watch").start();
    watch.wait_for_stderr("netns-ls: watching ");
    lab.shell("ip link add veth0 type veth peer name veth1 netns blue; ip link set veth0 mtu 1400")
        .run()
        .ok();
    watch.wait_for("host: veth0 added");
    watch.signal_behind_nsenter(Signal::SIGINT);
    let said = watch.finish().ok();
    assert!(said.stdout.is_ascii() && said.stderr.is_ascii(), "{said}");
}

#[test]
fn names_of_the_world_and_json_are_the_same_in_any_locale() {
    let (lab, containers) = need!(lab());
    let _engine = fake_docker::knows(&containers.iter().collect::<Vec<_>>()).listen(lab.path(SOCKET));
    lab.shell("ip link add größe→ type dummy 2>/dev/null || ip link add größe→ type bridge").run().ok();
    for json in ["cpid --list --json", "netns-ls --json", "netns-trace --explain --json web 198.18.7.7"] {
        let words: Vec<&str> = json.split(' ').collect();
        let run = |locale| {
            let mut command = lab.tool(words[0]);
            command.args(&words[1..]);
            let mut json = with_locale(command, locale).json();
            // The tool itself is among the processes.
            json.as_object_mut().map(|object| object.remove("namespaces"));
            json
        };
        assert_eq!(run("C"), run("C.UTF-8"), "{json}");
    }
    assert!(with_locale(lab.tool("netns-ls"), "C").stdout.contains("größe→"));
    let mut picture = lab.tool("netns-ls");
    picture.args(["--graph", "svg"]);
    let svg = with_locale(picture, "C");
    assert!(svg.ok().stdout.contains("größe→"));
}

#[test]
fn without_proc_every_tool_says_that_and_how_to_mount_it() {
    let (lab, containers) = need!(lab());
    let _engine = fake_docker::knows(&containers.iter().collect::<Vec<_>>()).listen(lab.path(SOCKET));
    for line in [
        "cpid web",
        "cpid --list",
        "cpid --of 1",
        "nsenter-rs -t web -n true",
        "nsenter-rs -t 1 -n true",
        "netns-link web",
        "add-nic web 10.1.0.2/24",
        "add-nic netns:blue 10.1.0.2/24",
        "add-nic --list",
        "netns-ping -c1 web 198.18.0.2",
        "netns-ping -c1 netns:blue 198.18.0.2",
        "netns-ls",
        "netns-ls --why",
        "netns-ls --ports",
        "netns-trace web 198.18.0.2",
        "netns-trace --drops",
    ] {
        let (tool, words) = line.split_once(' ').unwrap_or((line, ""));
        // Something else may be there: an empty directory of another file system.
        let mut hidden = lab.command("unshare");
        hidden.args(["--mount", "sh", "-ec", "mount -n -t tmpfs tmpfs /proc; exec \"$@\"", "sh"]);
        hidden.arg(tools::tool(tool)).args(words.split(' ').filter(|word| !word.is_empty()));
        let said = hidden.run().fails_with(if tool == "nsenter-rs" { 1 } else { 2 });
        let said = said.stderr_has("/proc is not mounted").stderr_has("\nhint: mount -t proc proc /proc\n");
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(!all.contains("kernel") && !all.contains("another PID namespace"), "{said}");
    }
}
