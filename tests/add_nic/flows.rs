//! Published ports and the flows that the kernel remembers. Observers: a client that keeps sending from one socket, and nft's count
//! of first packets.

use crate::firewall::{KINDS, Site};
use crate::plug;
use crate::publish::{ECHO, in_network, serve, site};
use support::container::Options;
use support::run::{Run, RunningProgram};
use support::skip::need;
use support::until::until;

/// Sends to `$ARGV[0]` port `$ARGV[1]` from one socket, every 20 ms, and says each reply.
const KEEPS_SENDING: &str = r#"
use IO::Socket::INET; use IO::Select; $| = 1;
my $socket = IO::Socket::INET->new(Proto => 'udp', LocalPort => 4000) or die $!;
my $to = sockaddr_in($ARGV[1], inet_aton($ARGV[0])); my $ready = IO::Select->new($socket);
print "started\n";
while (1) {
    send($socket, 'world', 0, $to);
    my $said;
    if ($ready->can_read(0.02)) { print defined $socket->recv($said, 999) ? "$said\n" : "refused\n" }
}"#;

/// The kernel tracks connections only once a rule asks for it.
const TRACK: &str = "nft 'add table ip t; add chain ip t c { type filter hook input priority 0; }
    add rule ip t c ct state new; add chain ip t o { type filter hook output priority 0; }
    add rule ip t o udp dport 5005 ct state new counter'";

fn first_packets(site: &Site) -> String {
    let listed = site.lab.shell("nft list chain ip t o").run().ok().stdout;
    let after = listed.split("counter packets ").nth(1).unwrap();
    after.split(' ').next().unwrap().to_owned()
}

#[test]
fn a_client_that_keeps_sending_reaches_whom_the_port_is_published_to() {
    let site = need!(site());
    let other = site.lab.container("other", Options::only(&["net"]));
    site.lab.shell(TRACK).run().ok();
    let words = ["perl", "-e", KEEPS_SENDING, "203.0.113.1", "5005"];
    let client: RunningProgram = in_network(&site.lab, &site.outside, &words).start();
    client.wait_for("started\n");
    plug(&site.lab, &site.web, "10.1.0.2/24 --gateway 10.1.0.1 --publish 5005:5005/udp").ok();
    let _first = serve(&site.lab, &site.web, &ECHO.replace("hello", "first"), "5005");
    client.wait_for("first world\n");
    site.remove();
    plug(&site.lab, &other, "10.2.0.2/24 --gateway 10.2.0.1 --publish 5005:5005/udp").ok();
    let _second = serve(&site.lab, &other, &ECHO.replace("hello", "second"), "5005");
    client.wait_for("second world\n");
    // Once it is published to nobody, the host itself answers.
    crate::add_nic(&site.lab, &["--rm", &other.pid.to_string()]).ok();
    let _host = serve_on_the_host(&site);
    client.wait_for("host world\n");
}

fn serve_on_the_host(site: &Site) -> RunningProgram {
    let server = site.lab.command("perl").args(["-e", &ECHO.replace("hello", "host"), "5005"]).start();
    server.wait_for("ready\n");
    server
}

#[test]
fn flows_to_the_same_port_of_others_are_left_alone() {
    let site = need!(site());
    site.lab.shell(TRACK).run().ok();
    let _echo = serve(&site.lab, &site.outside, ECHO, "5005");
    let client = site.lab.command("perl").args(["-e", KEEPS_SENDING, "203.0.113.9", "5005"]).start();
    client.wait_for("hello world\n");
    assert_eq!(first_packets(&site), "1");
    let replies = || client.so_far().stdout.matches("hello world").count();
    for words in ["10.1.0.2/24 --publish 5005:5005/udp", "10.1.0.2/24 --publish 203.0.113.1:5005:5005/udp"] {
        plug(&site.lab, &site.web, words).ok();
        let seen = replies();
        until("more replies", || replies() > seen + 3);
        site.remove();
        let seen = replies();
        until("more replies", || replies() > seen + 3);
    }
    assert_eq!(first_packets(&site), "1");
}

#[test]
fn a_flow_that_leads_right_already_goes_on() {
    let site = need!(site());
    let other = site.lab.container("other", Options::only(&["net"]));
    site.lab.shell(TRACK).run().ok();
    plug(&site.lab, &site.web, "10.1.0.2/24 --publish 5005:5005/udp").ok();
    let _echo = serve(&site.lab, &site.web, ECHO, "5005");
    let client = site.lab.command("perl").args(["-e", KEEPS_SENDING, "203.0.113.1", "5005"]).start();
    client.wait_for("hello world\n");
    let before = first_packets(&site);
    // The same port of UDP for another container is refused; what else is published does not matter to it.
    plug(&site.lab, &other, "10.2.0.2/24 --publish 5006:5005/udp --publish 5005:80").ok();
    let seen = client.so_far().stdout.matches("hello world").count();
    until("more replies", || client.so_far().stdout.matches("hello world").count() > seen + 3);
    assert_eq!(first_packets(&site), before);
}

/// One TCP connection, over which it says a line every 20 ms and hears the same line. Of an answer that does not come it asks again after a
/// second: who only waits learns of no end, if the question had been acknowledged.
const STAYS_CONNECTED: &str = r#"
use IO::Socket::INET; $| = 1; $SIG{PIPE} = 'IGNORE';
my $socket = IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1], Timeout => 5) or die $!;
for (my $line = 1; print $socket "$line\n"; $line++) {
    vec(my $ready = '', fileno($socket), 1) = 1;
    next unless select $ready, undef, undef, 1;
    last unless defined(my $said = <$socket>);
    print "heard $said"; select undef, undef, undef, 0.02
}
print "ended: $!\n"; sleep 1000"#;

/// Says the lines of one connection back, and accepts no second.
const ONE_CONNECTION: &str = r#"
use IO::Socket::INET; $| = 1;
my $server = IO::Socket::INET->new(LocalPort => $ARGV[0], Listen => 1, ReuseAddr => 1) or die $!;
print "ready\n"; my $client = $server->accept; close $server; $client->autoflush(1);
while (<$client>) { print $client $_ }"#;

#[test]
fn a_connection_goes_on_while_other_rules_change_and_ends_with_its_port() {
    for kind in KINDS {
        let site = need!(site());
        site.dockers_rules(kind);
        let words = "10.1.0.2/24 --gateway 10.1.0.1 --publish 8080:80";
        plug(&site.lab, &site.web, words).ok();
        let _server = serve(&site.lab, &site.web, ONE_CONNECTION, "80");
        let words_of_client = ["perl", "-e", STAYS_CONNECTED, "203.0.113.1", "8080"];
        let client = in_network(&site.lab, &site.outside, &words_of_client).start();
        client.wait_for("heard 1\n");
        let heard = || client.so_far().stdout.matches("heard").count();
        for change in
            ["--publish 8081:81 --nat=all", "--mtu 1400 --publish 53:53/udp", "fd00:1::2/64 --nat=all", ""]
        {
            let words = words.replace("/24 ", &format!("/24 {change} "));
            plug(&site.lab, &site.web, &format!("{words} --replace")).ok().stdout_has(", changed in place");
            let seen = heard();
            until("more lines are heard", || heard() > seen + 3);
        }
        assert!(!client.so_far().stdout.contains("ended"), "{kind}: {}", client.so_far());
        let other_port = words.replace("8080", "8082");
        plug(&site.lab, &site.web, &format!("{other_port} --replace")).ok().stdout_has(", changed in place");
        client.wait_for("ended: ");
        site.remove();
    }
}
