//! `--publish`: a port of the host that leads into the container, fetched over HTTP from everywhere that may.

use crate::firewall::{KINDS, Site};
use crate::{add_nic, everything, plug};
use support::container::{Container, Options};
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::{Missing, need, program};

/// Answers each request with who it seems to come from.
pub(crate) const SERVER: &str = r#"
use IO::Socket::INET; $| = 1;
my $server = IO::Socket::INET->new(LocalAddr => $ARGV[1] // '0.0.0.0', LocalPort => $ARGV[0], Listen => 9, ReuseAddr => 1) or die $!;
print "ready\n";
while (my $client = $server->accept) {
    while (<$client>) { last if /^\r?$/ }
    print $client "HTTP/1.0 200 OK\r\n\r\nhello ", $client->peerhost, "\n"; close $client;
}"#;

/// The same by UDP.
pub(crate) const ECHO: &str = r#"
use IO::Socket::INET; $| = 1;
my $server = IO::Socket::INET->new(Proto => 'udp', LocalPort => $ARGV[0]) or die $!;
print "ready\n";
while (defined $server->recv(my $said, 999)) { $server->send("hello $said") }"#;

const ASK: &str = r#"
use IO::Socket::INET;
my $socket = IO::Socket::INET->new(Proto => 'udp', PeerAddr => $ARGV[0], PeerPort => $ARGV[1]) or die $!;
$socket->send('world'); alarm 2; $socket->recv(my $said, 999) // die $!; print $said;"#;

pub(crate) fn site() -> Result<Site, Missing> {
    program("curl", "curl")?;
    program("perl", "perl-base")?;
    Site::new()
}

#[track_caller]
pub(crate) fn in_network(lab: &Lab, container: &Container, words: &[&str]) -> std::process::Command {
    let mut nsenter = lab.command("nsenter");
    nsenter.args(["--target", &container.pid.to_string(), "--net", "--"]).args(words);
    nsenter
}

#[track_caller]
pub(crate) fn serve(lab: &Lab, container: &Container, script: &str, port: &str) -> RunningProgram {
    let server = in_network(lab, container, &["perl", "-e", script, port]).start();
    server.wait_for("ready\n");
    server
}

const CURL: [&str; 4] = ["curl", "-sS", "--max-time", "5"];

#[track_caller]
pub(crate) fn fetch_from(lab: &Lab, container: &Container, url: &str) -> String {
    in_network(lab, container, &CURL).arg(url).run().ok().stdout
}

#[track_caller]
pub(crate) fn fetch(lab: &Lab, url: &str) -> String {
    lab.command(CURL[0]).args(&CURL[1..]).arg(url).run().ok().stdout
}

#[test]
fn a_port_of_the_host_leads_in_from_everywhere() {
    for (kind, gateway) in [("nft", "--gateway 10.1.0.1"), ("nft", ""), ("legacy", "")] {
        let site = need!(site());
        site.dockers_rules(kind);
        let before = everything(&site.lab, &[&site.web]);
        let words = format!("10.1.0.2/24 {gateway} --publish 8080:80");
        plug(&site.lab, &site.web, &words).ok();
        let _server = serve(&site.lab, &site.web, SERVER, "80");
        // With a gateway here the container sees who comes, and without one it could not answer him.
        let seen = if gateway.is_empty() { "hello 10.1.0.1\n" } else { "hello 203.0.113.9\n" };
        assert_eq!(fetch_from(&site.lab, &site.outside, "http://203.0.113.1:8080/"), seen);
        for host in ["203.0.113.1", "10.1.0.1", "127.0.0.1", "127.9.9.9", "localhost"] {
            assert_eq!(fetch(&site.lab, &format!("http://{host}:8080/")), "hello 10.1.0.1\n", "{host}");
        }
        // And from the container itself, which has a way to the host's address.
        assert_eq!(fetch_from(&site.lab, &site.web, "http://10.1.0.1:8080/"), "hello 10.1.0.1\n");
        plug(&site.lab, &site.web, &words).ok().stdout_has(", unchanged");
        add_nic(&site.lab, &["--check"]).ok();
        site.iptables_works();
        site.remove();
        assert_eq!(everything(&site.lab, &[&site.web]), before, "{kind} {gateway}");
    }
}

#[test]
fn on_a_bridge_the_port_is_reached_by_neighbours_and_by_itself() {
    for kind in KINDS {
        let site = need!(site());
        site.dockers_rules(kind);
        let neighbour = site.lab.container("neighbour", Options::only(&["net"]));
        let before = everything(&site.lab, &[&site.web, &neighbour]);
        plug(&site.lab, &neighbour, "10.1.0.3/24 --bridge br1 --create").ok();
        plug(&site.lab, &site.web, "10.1.0.2/24 --bridge br1 --publish 8080:80").ok();
        let _server = serve(&site.lab, &site.web, SERVER, "80");
        for netfilter in ["0", "1"] {
            let switch = "/proc/sys/net/bridge/bridge-nf-call-iptables";
            site.lab.shell(&format!("[ ! -e {switch} ] || echo {netfilter} >{switch}")).run().ok();
            for from in [&neighbour, &site.web, &site.outside] {
                let host = if from.name == "outside" { "203.0.113.1" } else { "10.1.0.1" };
                let url = format!("http://{host}:8080/");
                assert_eq!(
                    fetch_from(&site.lab, from, &url),
                    "hello 10.1.0.1\n",
                    "{} {netfilter}",
                    from.name
                );
            }
            assert_eq!(fetch(&site.lab, "http://127.0.0.1:8080/"), "hello 10.1.0.1\n");
        }
        site.remove();
        add_nic(&site.lab, &["--rm", &neighbour.pid.to_string()]).ok();
        assert_eq!(everything(&site.lab, &[&site.web, &neighbour]), before, "{kind}");
    }
}

#[test]
fn one_address_of_the_host_and_udp() {
    let site = need!(site());
    let words = "10.1.0.2/24 --publish 203.0.113.1:8080:80 --publish 127.0.0.1:8081:80 --publish 53:5353/udp";
    plug(&site.lab, &site.web, words).ok();
    let _server = serve(&site.lab, &site.web, SERVER, "80");
    let _echo = serve(&site.lab, &site.web, ECHO, "5353");
    assert_eq!(fetch_from(&site.lab, &site.outside, "http://203.0.113.1:8080/"), "hello 10.1.0.1\n");
    assert_eq!(fetch(&site.lab, "http://127.0.0.1:8081/"), "hello 10.1.0.1\n");
    let elsewhere = ["http://127.0.0.1:8080/", "http://203.0.113.1:8081/", "http://127.0.0.2:8081/"];
    for url in elsewhere {
        site.lab.command(CURL[0]).args(&CURL[1..]).arg(url).run().fails_with(7);
    }
    in_network(&site.lab, &site.outside, &["perl", "-e", ASK, "203.0.113.1", "53"])
        .run()
        .ok()
        .stdout_is("hello world");
    site.lab.command("perl").args(["-e", ASK, "127.0.0.1", "53"]).run().ok().stdout_is("hello world");
}

#[test]
fn the_container_does_not_reach_what_the_host_keeps_to_itself() {
    let site = need!(site());
    plug(&site.lab, &site.web, "10.1.0.2/24 --publish 8080:80").ok();
    site.lab.shell("cat /proc/sys/net/ipv4/conf/*/route_localnet").run().ok().stdout_has("1");
    let private = site.lab.command("perl").args(["-e", SERVER, "9090", "127.0.0.1"]).start();
    private.wait_for("ready\n");
    site.web.ip("route add 127.0.0.0/8 via 10.1.0.1 dev eth0 table 7");
    site.web.ip("rule add to 127.0.0.0/8 table 7 pref 0");
    site.web.ip("rule del pref 0 lookup local");
    site.web.ip("rule add pref 10 lookup local");
    let mut curl =
        in_network(&site.lab, &site.web, &["curl", "-sS", "--max-time", "1", "--interface", "10.1.0.2"]);
    curl.arg("http://127.0.0.1:9090/").run().fails_with(28);
}

#[test]
fn a_port_that_somebody_has_is_refused() {
    let site = need!(site());
    let other = site.lab.container("other", Options::only(&["net"]));
    plug(&site.lab, &other, "10.2.0.2/24 --publish 8080:80").ok();
    let listener = site.lab.command("perl").args(["-e", SERVER, "9090"]).start();
    listener.wait_for("ready\n");
    let local = site.lab.command("perl").args(["-e", SERVER, "9091", "127.0.0.1"]).start();
    local.wait_for("ready\n");
    let before = everything(&site.lab, &[&site.web]);
    let cases = [
        ("8080:80", "already forwarded to eth0 of "),
        ("203.0.113.1:8080:80", "already forwarded to eth0 of "),
        ("9090:80", "a program on the host listens on 0.0.0.0 port 9090"),
        ("203.0.113.1:9090:80", "a program on the host listens on"),
        ("9091:80", "a program on the host listens on 127.0.0.1 port 9091"),
        ("192.0.2.77:80:80", "192.0.2.77 is not an address of the host"),
        ("0:80", "'0' is not a port"),
        ("80:65536", "'65536' is not a port"),
        ("80", "not [IP:]HOSTPORT:PORT"),
        ("[fd00::1]:80:80", "is not an IPv4 address of the host"),
    ];
    for (publish, why) in cases {
        let refused = plug(&site.lab, &site.web, &format!("10.1.0.2/24 --publish {publish}")).fails_with(2);
        refused.stderr_has(&format!("--publish {publish}")).stderr_has(why);
    }
    plug(&site.lab, &site.web, "fd00:1::2/64 --publish 81:80")
        .fails_with(2)
        .stderr_has("needs an IPv4 address");
    plug(&site.lab, &site.web, "10.1.0.2/24 --host-addr none --publish 81:80")
        .fails_with(2)
        .stderr_has("the host has no address in");
    plug(&site.lab, &site.web, "10.1.0.2/24 --publish 81:80 --publish 203.0.113.1:81:82")
        .fails_with(2)
        .stderr_has("is published twice");
    assert_eq!(everything(&site.lab, &[&site.web]), before);
    // What is free of them is free.
    plug(&site.lab, &site.web, "10.1.0.2/24 --publish 203.0.113.1:9091:80 --publish 8080:80/udp").ok();
}
