//! Names as the container's own C library finds them. Observers: getent of glibc, and a name server that says what it was
//! asked for.

use std::fs;

use support::fake_docker;
use support::name_server;
use support::run::{Ran, Run, RunningProgram};
use support::skip::need;

use crate::{Cable, cable};

/// A name server that fails for names in `.fails`, is silent about those in `.mute`, and knows `api`.
fn server(cable: &Cable, search: &str) -> RunningProgram {
    let conf = format!("nameserver 127.0.0.1\nsearch {search}\noptions ndots:5 timeout:1 attempts:1\n");
    fs::write(cable.web.path("/etc/resolv.conf"), conf).unwrap();
    fs::write(cable.web.path("/etc/hosts"), "127.0.0.1 localhost\n").unwrap();
    let pid = cable.web.pid.to_string();
    name_server::start(&cable.lab, &["nsenter", "--target", &pid, "--net", "--"], "198.18.0.2")
}

/// What was asked for until `last` was, each name once, in order.
fn asked(server: &RunningProgram, last: &str) -> Vec<String> {
    server.wait_for(&format!("asked {last}\n"));
    let mut names: Vec<String> = Vec::new();
    for line in server.so_far().stdout.lines() {
        if let Some(name) = line.strip_prefix("asked ")
            && names.last().map(String::as_str) != Some(name)
        {
            names.push(name.to_owned());
        }
    }
    names
}

/// The container's own glibc.
fn getent(cable: &Cable) -> Ran {
    let mut nsenter = cable.lab.command("nsenter");
    let target = cable.web.pid.to_string();
    nsenter.args(["--target", &target, "--net", "--mount", "--", "getent", "ahosts", "api"]).run()
}

/// A process of web's that looks as if musl had loaded it, by its number in the lab.
fn musl(cable: &Cable) -> (RunningProgram, String) {
    let script = "cp \"$(command -v sleep)\" /etc/ld-musl-x86_64.so.1; echo pid $$ is it; exec /etc/ld-musl-x86_64.so.1 999";
    let mut nsenter = cable.lab.command("nsenter");
    let target = cable.web.pid.to_string();
    nsenter.args(["--target", &target, "--net", "--mount", "--", "sh", "-c", script]);
    let running = nsenter.start();
    running.wait_for(" is it\n");
    let line = running.first_line().unwrap();
    let pid = line.split(' ').nth(1).unwrap().to_owned();
    let exe = || cable.lab.command("readlink").arg(format!("/proc/{pid}/exe")).run().stdout;
    support::until::until("the program runs", || exe().contains("ld-musl"));
    (running, pid)
}

#[test]
fn after_a_failure_or_silence_the_search_goes_on_as_glibc_does() {
    let cable = need!(cable());
    for (search, names) in [
        ("a.fails b.fails", &["api.a.fails", "api.b.fails", "api"][..]),
        // What comes after silence is only the name as it is.
        ("a.mute b.fails", &["api.a.mute", "api"]),
        ("nowhere b.fails", &["api.nowhere", "api.b.fails", "api"]),
    ] {
        let theirs = server(&cable, search);
        getent(&cable).ok().stdout_has("198.18.0.2");
        assert_eq!(asked(&theirs, "api"), names, "{search}: glibc");
        drop(theirs);
        let ours = server(&cable, search);
        let ran = cable.ping("api -c1 -v").ok();
        ran.stdout_has("PING api (198.18.0.2) 56(84) bytes of data.\n")
            .stderr_has("names are looked up as glibc does (its process has glibc loaded)\n");
        assert_eq!(asked(&ours, "api"), names, "{search}: ours");
    }
}

/// moby/moby#45553 is about what musl does here.
#[test]
fn after_a_failure_or_silence_the_search_ends_as_in_musl() {
    let cable = need!(cable());
    let (_musl, pid) = musl(&cable);
    for (search, said) in [
        (
            "a.fails b.fails",
            "127.0.0.1 fails (SERVFAIL) (asked for api.a.fails; musl does not try api.b.fails, api then)",
        ),
        ("a.mute", "127.0.0.1 does not answer within 1s (asked for api.a.mute; musl does not try api then)"),
    ] {
        let server = server(&cable, search);
        let ran = cable.lab.tool("netns-ping").args([&pid, "api", "-c1", "-v"]).run().fails_with(2);
        ran.stderr_has(&format!("netns-ping: api: the name cannot be looked up: {said}\n"))
            .stderr_has("names are looked up as musl does (its process has musl loaded)\n");
        let first = format!("api.{}", search.split(' ').next().unwrap());
        assert_eq!(asked(&server, &first), [first]);
    }
    let _server = server(&cable, "nowhere");
    cable.lab.tool("netns-ping").args([&pid, "api", "-c1"]).run().ok().stdout_has("PING api (198.18.0.2)");
}

#[test]
fn nsswitch_says_where_names_are_looked_up() {
    let cable = need!(cable());
    let _server = server(&cable, "nowhere");
    fs::write(cable.web.path("/etc/nsswitch.conf"), "# hosts: dns\nhosts: files #comment\n").unwrap();
    getent(&cable).fails_with(2);
    let ran = cable.ping("api -c1").fails_with(2);
    ran.stderr_is(
        "netns-ping: api: is not in its /etc/hosts, and its /etc/nsswitch.conf has no name server asked\n",
    );
    fs::write(cable.web.path("/etc/hosts"), "198.18.0.77 api\n").unwrap();
    fs::write(cable.web.path("/etc/nsswitch.conf"), "hosts: dns files\n").unwrap();
    getent(&cable).ok().stdout_has("198.18.0.2");
    cable.ping("api -c1").ok().stdout_has("PING api (198.18.0.2)");
}

#[test]
fn a_container_of_that_name_is_offered() {
    let cable = need!(cable());
    let _engine = fake_docker::knows(&[&cable.web, &cable.db]).listen(cable.lab.path("/run/docker.sock"));
    fs::write(cable.web.path("/etc/resolv.conf"), "nameserver 198.18.0.2\n").unwrap();
    let ping = |words: &str| cable.lab.tool("netns-ping").args(words.split_whitespace()).run();
    let ran = ping("web db -c1").fails_with(2);
    ran.stderr_is(
        "netns-ping: db: the name cannot be looked up: 198.18.0.2 has no name server listening\n\
         hint: netns-ping web docker:db\n",
    );
    ping("web docker:db -c1").ok();
    // A part of a name, or of an ID, is none.
    let id = &fake_docker::id_of("db")[..12];
    for other in ["nobody", id] {
        let ran = ping(&format!("web {other} -c1")).fails_with(2);
        assert!(!ran.stderr.contains("hint:"), "{ran}");
    }
}

#[test]
fn letters_beyond_ascii_are_asked_for_as_a_name_server_knows_them() {
    let cable = need!(cable());
    let server = server(&cable, "nowhere");
    cable.ping("bücher.test. -c1").fails_with(2).stderr_has("netns-ping: bücher.test.: 127.0.0.1 reports ");
    assert_eq!(asked(&server, "xn--bcher-kva.test"), ["xn--bcher-kva.test"]);
}

/// As bad as a resolv.conf can be, and none at all: the tool ends by itself, and in time.
#[test]
fn hostile_files_cost_neither_time_nor_the_terminal() {
    let cable = need!(cable());
    let search = (0..50).map(|number| format!("d{number}.fails")).collect::<Vec<_>>().join(" ");
    let server = server(&cable, &search);
    cable.ping("api -c1").ok().stdout_has("PING api (198.18.0.2)");
    assert_eq!(asked(&server, "api").len(), 33, "32 domains, and the name itself");
    let lines = "nameserver 127.0.0.1\r\n".repeat(100) + "search \u{1b}[2Jx\u{7}.nowhere\r\n";
    fs::write(cable.web.path("/etc/resolv.conf"), lines).unwrap();
    let ran = cable.ping("nobody -c1").fails_with(2);
    assert!(!ran.stderr.contains(['\u{1b}', '\u{7}']), "{ran}");
    fs::write(cable.web.path("/etc/resolv.conf"), "x".repeat(1 << 20)).unwrap();
    cable.ping("api -c1").ok();
    for file in ["/etc/resolv.conf", "/etc/hosts"] {
        fs::remove_file(cable.web.path(file)).unwrap();
    }
    cable.ping("api -c1").ok();
    fs::rename(cable.web.path("/etc"), cable.web.path("/no-etc")).unwrap();
    cable.ping("api -c1").ok();
    fs::rename(cable.web.path("/no-etc"), cable.web.path("/etc")).unwrap();
}

#[test]
fn an_interrupt_ends_a_lookup() {
    let cable = need!(cable());
    let server = server(&cable, "a.mute");
    fs::write(cable.web.path("/etc/resolv.conf"), "nameserver 127.0.0.1\nsearch mute\noptions ndots:5\n")
        .unwrap();
    let mut ping = cable.lab.tool("netns-ping");
    let running = ping.args([&cable.web.pid.to_string(), "api", "-c1"]).start();
    server.wait_for("asked api.mute\n");
    running.signal_behind_nsenter(nix::sys::signal::Signal::SIGINT);
    let ran = running.finish_within(std::time::Duration::from_secs(4));
    assert!(!ran.status.unwrap().success(), "{ran}");
}
