//! Hints as people use them: pasted into a shell, whatever the names in them do there.
//!
//! Observers: a real `sh`, whose $PATH has nothing but programs that write down that they were run.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use common::hint::COMMANDS;
use support::container::{Container, Options};
use support::fake_docker;
use support::fake_engine::{Answer, Script};
use support::lab::Lab;
use support::run::Run;
use support::scratch::Scratch;
use support::skip::need;

/// What a name makes a shell run.
const HARM: &str = "harm";
/// Each runs it where it is pasted as it stands, or between quotes.
const NAMES: [&str; 8] = [
    "p;$(harm)",
    "`harm`",
    "a' $(harm) '",
    "\"$(harm)\"",
    "web\nharm",
    "x&&harm",
    "-web;harm",
    "web;harm;\u{202e}",
];
/// The same for links and interfaces, which have at most 15 bytes, and no blank in them.
const SHORT: [&str; 4] = ["p;$(harm)", "`harm`", "a'$(harm)'", "x&&harm"];

/// What our hints run between their own commands.
const FILTERS: [&str; 1] = ["grep"];

/// A shell that can do nothing.
struct Shell {
    scratch: Scratch,
    ran: PathBuf,
}

impl Shell {
    fn new() -> Shell {
        let scratch = Scratch::new();
        let ran = scratch.path("ran");
        fs::create_dir(scratch.path("bin")).unwrap();
        fs::create_dir(scratch.path("here")).unwrap();
        let stub = format!("#!/bin/sh\necho \"${{0##*/}}\" >>{}\n", ran.display());
        for name in COMMANDS.into_iter().chain(FILTERS).chain([HARM]) {
            let path = scratch.path(&format!("bin/{name}"));
            fs::write(&path, &stub).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Shell { scratch, ran }
    }

    /// What runs when this is pasted. Nothing is written meanwhile.
    fn runs(&self, pasted: &str) -> BTreeSet<String> {
        let _ = fs::remove_file(&self.ran);
        let mut sh = Command::new("/bin/sh");
        sh.args(["-c", pasted]).env_clear().env("PATH", self.scratch.path("bin"));
        sh.current_dir(self.scratch.path("here")).run();
        let written: Vec<_> = fs::read_dir(self.scratch.path("here")).unwrap().collect();
        assert!(written.is_empty(), "{pasted:?} has written {written:?}");
        fs::read_to_string(&self.ran).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

#[test]
fn each_name_does_harm_where_it_is_not_quoted() {
    let shell = Shell::new();
    for name in NAMES.iter().chain(&SHORT) {
        let pasted = [format!("docker start {name}"), format!("docker start '{name}'")];
        assert!(pasted.iter().any(|line| shell.runs(line).contains(HARM)), "{name:?}");
    }
}

/// All hints that some commands give.
struct Hints {
    shell: Shell,
    /// Without names: the kinds.
    kinds: BTreeSet<String>,
}

impl Hints {
    fn paste(&mut self, mut command: Command, name: &str) {
        let ran = command.run();
        let all = format!("{}\n{}", ran.stdout, ran.stderr);
        // Those of `--explain` and of verdicts stand within a line.
        let lines = all.lines().filter_map(|line| line.split_once("hint: ").or(line.split_once("next: ")));
        for (_, hint) in lines {
            let runs = self.shell.runs(hint);
            let is_meant = |program: &str| COMMANDS.contains(&program) || FILTERS.contains(&program);
            let meant = runs.iter().all(|program| is_meant(program));
            assert!(meant, "{hint:?} runs {runs:?}: {ran}");
            // Each kind once: not the quotes, and the numbers of processes.
            if hint.contains(HARM) {
                let is_ours = |word: &&str| {
                    !word.contains(HARM) && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
                };
                let words = hint.split_whitespace().filter(is_ours).take(4);
                self.kinds.insert(words.collect::<Vec<_>>().join(" "));
            }
        }
        // No line is a hint that is none.
        let made = all.lines().find(|line| !line.contains("hint: ") && line.starts_with(HARM));
        assert_eq!(made, None, "{name:?} made a line: {ran}");
    }
}

#[test]
fn no_hint_runs_what_a_name_says() {
    let lab = need!(Lab::new());
    let mut hints = Hints { shell: Shell::new(), kinds: BTreeSet::new() };
    let web = lab.container("web", Options::default());
    for name in NAMES {
        let mut evil = lab.container("evil", Options::default());
        name.clone_into(&mut evil.name);
        evil.ip("link add eth0 type bridge");
        evil.ip("address add 10.6.0.2/24 dev eth0");
        evil.ip("link set eth0 up");
        for state in ["running", "paused", "exited"] {
            let engine = docker(&evil, state).listen(lab.path("/run/docker.sock"));
            let id = fake_docker::id_of(name);
            let pid = format!("pid:{}", web.pid);
            // By their names none is found that has other letters than engines give; and then it is called so all the same.
            for target in [name, &id[..12], "ip:10.6.0.2"] {
                let lines: &[&[&str]] = &[
                    &["cpid", target],
                    &["cpid", "--list", target],
                    &["nsenter-rs", "-t", target, "-n", "true"],
                    &["nsenter-rs", "-t", target, "true"],
                    &["nsenter-rs", "-t", target, "-n", "ip link"],
                    &["nsenter-rs", "-t", target, "-a", "-H", "iptables", "-S"],
                    &["nsenter-rs", "--explain", "-t", target, "-m", "-H", "iptables", "-S"],
                    &["nsenter-rs", "-it", target, "sh"],
                    &["nsenter-rs", target, "sh"],
                    &["netns-link", target],
                    &["netns-link", target, "--as", "web"],
                    &["add-nic", target],
                    &["add-nic", target, "10.1.0.2/24", "--dry-run"],
                    &["add-nic", "10.1.0.2/24", target],
                    &["add-nic", "--rm", target],
                    &["netns-ping", "-c1", "-W0.05", target, "gateway"],
                    &["netns-ping", "-c1", "-W0.05", target, "192.0.2.1"],
                    &["netns-ping", "-c1", "-W0.05", target],
                    &["netns-ping", "-c1", "-W0.05", "192.0.2.1", target],
                    &["netns-ping", "-c1", "-W0.05", &pid, target],
                    &["netns-ping", "-c1", "-W0.05", &pid, "10.9.0.0/24", target],
                ];
                for line in lines {
                    let mut command = lab.tool(line[0]);
                    command.args(&line[1..]);
                    hints.paste(command, name);
                }
            }
            drop(engine);
        }
    }
    for name in SHORT {
        links(&lab, &web, name, &mut hints);
    }
    let kinds: Vec<_> = hints.kinds.iter().collect();
    assert!(kinds.len() >= 5, "names came into these hints alone: {kinds:#?}");
}

/// One container as Docker would tell of it.
fn docker(evil: &Container, state: &str) -> Script {
    let id = fake_docker::id_of(&evil.name);
    let running = state != "exited";
    let listed = serde_json::json!([{
        "Id": id, "Names": [format!("/{}", evil.name)], "Image": "x", "State": state, "Status": "Up",
    }]);
    let inspected = serde_json::json!({
        "Id": id, "Name": format!("/{}", evil.name),
        "State": {
            "Status": state, "Running": running, "Paused": state == "paused", "Restarting": false, "Dead": false,
            "Pid": if running { evil.pid } else { 0 }, "ExitCode": 0,
            "StartedAt": support::fake_docker::just_now(), "FinishedAt": "0001-01-01T00:00:00Z",
        },
    });
    let found = |path: &str| (path.to_owned(), Answer::json(200, &inspected.to_string()));
    let encoded: String = evil.name.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let some: String = evil
        .name
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let mut script = Script::new().on("/containers/json", Answer::json(200, &listed.to_string()));
    for word in [evil.name.as_str(), &id, &id[..12], &encoded, &some] {
        let (path, answer) = found(&format!("/containers/{word}/json"));
        script = script.on(&path, answer);
    }
    script.otherwise(Answer::json(404, r#"{"message":"No such container"}"#))
}

/// Links below /run/netns, interfaces of the container and of the host, and files to watch, of that name.
fn links(lab: &Lab, web: &Container, name: &str, hints: &mut Hints) {
    let pid = web.pid.to_string();
    let target = format!("pid:{pid}");
    let quoted = name.replace('\'', "'\\''");
    let script = format!(
        "mkdir -p /run/netns /run/watched; chmod 1777 /run/watched
         : >'/run/netns/f{quoted}'; ln -sf /nowhere '/run/netns/l{quoted}'
         : >'/run/watched/{quoted}'; chmod 666 '/run/watched/{quoted}'
         ip link add '{quoted}' type veth peer name far; ip link add 'b{quoted}' type bridge
         nsenter -t {pid} -n ip link add '{quoted}' type veth peer name far
         nsenter -t {pid} -n ip address add 10.7.0.1/24 dev '{quoted}'
         nsenter -t {pid} -n ip address add fe80::5/64 dev '{quoted}'"
    );
    lab.shell(&script).run().ok();
    let (as_netns, as_link) = (format!("netns:f{name}"), format!("netns:l{name}"));
    let (bridge, watched) = (format!("b{name}"), format!("/run/watched/{name}"));
    let zone = format!("fe80::1%{name}");
    let lines: &[&[&str]] = &[
        &["cpid", &as_netns],
        &["cpid", &as_link],
        &["nsenter-rs", "-t", &as_netns, "-n", "true"],
        &["netns-link", &target, "--as", &as_netns["netns:".len()..]],
        &["netns-link", &target, "--as", &as_link["netns:".len()..]],
        &["netns-link", "--rm", &as_netns["netns:".len()..]],
        &["netns-link", "--rm", &as_link["netns:".len()..]],
        &["netns-link", "--watch", &watched],
        &["add-nic", "--watch", &watched],
        &["add-nic", &target, "10.1.0.2/24", "--macvlan", name],
        &["add-nic", &target, "10.1.0.2/24", "--ipvlan", name],
        &["add-nic", &target, "10.1.0.2/24", "--phys", name],
        &["add-nic", &target, "10.1.0.2/24", "--bridge", &bridge],
        &["add-nic", &target, "10.1.0.2/24", "--bridge", &bridge, "--vlan", "5"],
        &["add-nic", &target, "10.1.0.2/24", "--nic", name],
        &["add-nic", "--rm", &target, name],
        &["netns-ping", "-c1", "-W0.05", &target, "10.7.0.9"],
        &["netns-ping", "-c1", "-W0.05", "-I", name, &target, "10.7.0.9"],
        &["netns-ping", "-c1", "-W0.05", "--arp", &target, "10.7.0.9"],
        &["netns-ping", "-c1", "-W0.05", &target, "10.7.0.0/29"],
        &["netns-ping", "-c1", "-W0.05", &target, "fe80::1"],
        &["netns-ping", "-c1", "-W0.05", &target, &zone],
        &["netns-ping", "-c1", "-W0.05", &target, "gateway"],
    ];
    for up in ["down", "up"] {
        lab.shell(&format!("nsenter -t {pid} -n ip link set '{quoted}' {up}; ip link set 'b{quoted}' {up}"))
            .run();
        for line in lines {
            let mut command = lab.tool(line[0]);
            command.args(&line[1..]);
            hints.paste(command, name);
        }
    }
    lab.shell(&format!("ip link del far; nsenter -t {pid} -n ip link del far")).run().ok();
}
