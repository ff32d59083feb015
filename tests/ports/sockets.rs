//! What listens, without any rule: whose it is, its queue, names that would drive a terminal, and what is not to be seen.

use serde_json::Value;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;

use crate::server::{Place, town};

#[test]
fn a_port_means_the_process_that_listens_in_whichever_network() {
    let town = need!(town());
    let host = town.serve(Place::Host, &["0.0.0.0:22", "u0.0.0.0:5353", "[::1]:631"]);
    let web =
        town.serve(Place::Network(&town.web), &["0.0.0.0:22", "0.0.0.0:80", "[::]:8443", "u198.18.0.2:53"]);
    for (word, server) in [
        (":22", &host),
        ("127.0.0.1:22", &host),
        ("198.18.0.1:22", &host),
        (":5353/udp", &host),
        ("[::1]:631", &host),
        ("198.18.0.2:22", &web),
        (":80", &web),
        ("*:80", &web),
        ("198.18.0.2:8443", &web),
        (":53", &web),
    ] {
        assert_eq!(town.pid_at(word), server.pid, "{word}: {}", server.said());
    }
    let ss = town.web.command("ss").args(["-lntupH"]).run().ok();
    assert_eq!(ss.stdout.matches(&format!("pid={}", 0)).count(), 0, "{ss}");
    for (port, ends) in
        [("0.0.0.0:80/tcp", "listening"), ("[::]:8443/tcp", "listening"), ("198.18.0.2:53/udp", "listening")]
    {
        let line = town.line(port);
        assert!(line.ends_with(ends) && line.contains(&format!("perl {}", web.pid)), "{line}");
    }
}

#[test]
fn a_program_of_the_host_in_the_network_of_what_listens_needs_no_more_than_the_pid() {
    let town = need!(town());
    let web = town.serve(Place::Network(&town.web), &["0.0.0.0:80"]);
    let script = format!(
        "{} -t $({} :80) -n ip -br -4 address show eth0",
        support::tools::tool("nsenter-rs"),
        support::tools::tool("cpid")
    );
    town.lab.shell(&script).run().ok().stdout_has("198.18.0.2/24");
    assert_eq!(town.lab.namespace(web.pid, "net"), town.lab.namespace(town.web.pid, "net"));
}

#[test]
fn nobody_and_several_are_no_pid() {
    let town = need!(town());
    town.lab
        .tool("cpid")
        .arg(":9")
        .run()
        .fails_with(1)
        .stdout_is("")
        .stderr_is("cpid: :9: nobody listens there\n  the network namespaces looked at: 3\n");
    let [web, db] = [&town.web, &town.db].map(|place| town.serve(Place::Network(place), &["0.0.0.0:80"]));
    let ran = town.lab.tool("cpid").arg(":80").run().fails_with(2).stdout_is("");
    ran.stderr_has("cpid: :80: several processes listen there\n")
        .stderr_has(&format!("perl {}", web.pid))
        .stderr_has(&format!("perl {}", db.pid));
    assert_eq!((town.pid_at("198.18.0.2:80"), town.pid_at("198.18.0.3:80")), (web.pid, db.pid));
    // What listens at the port, but for others, is told.
    let _only = town.serve(Place::Network(&town.web), &["127.0.0.1:81"]);
    town.lab.tool("cpid").arg("198.18.0.2:81").run().fails_with(1).stderr_has("127.0.0.1:81/tcp");
}

#[test]
fn one_of_two_protocols_can_be_meant_and_the_hint_says_how() {
    let town = need!(town());
    let tcp = town.serve(Place::Host, &["0.0.0.0:53"]);
    let udp = town.serve(Place::Host, &["u0.0.0.0:53"]);
    town.lab.tool("cpid").arg(":53").run().fails_with(2).stderr_has("hint: cpid :53/tcp\n");
    assert_eq!((town.pid_at(":53/tcp"), town.pid_at(":53/udp")), (tcp.pid, udp.pid));
}

#[test]
fn a_full_queue_of_connections_is_shown() {
    let town = need!(town());
    let _server = town.serve_as(Place::Network(&town.web), &["0.0.0.0:80"], "", "2");
    let connect = r#"use IO::Socket::INET; my @c;
        for (1..3) { push @c, IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => 80, Timeout => 5) // die $! } $| = 1; print "ready\n"; sleep 60"#;
    let mut client = town.lab.command("nsenter");
    let client =
        client.args(["--target", &town.web.pid.to_string(), "--net", "--", "perl", "-e", connect]).start();
    client.wait_for("ready");
    // The observer: Recv-Q and Send-Q of ss(8).
    let mut ss = town.lab.command("nsenter");
    let ss = ss.args(["--target", &town.web.pid.to_string(), "--net", "--", "ss", "-lntH"]).run().ok();
    assert_eq!(ss.stdout.split_whitespace().skip(1).take(2).collect::<Vec<_>>(), ["3", "2"], "{ss}");
    let line = town.line("0.0.0.0:80/tcp");
    assert!(line.ends_with("listening, accept queue full: 3 of 2"), "{line}");
}

#[test]
fn what_a_process_calls_itself_drives_no_terminal() {
    let town = need!(town());
    let _server = town.serve_as(Place::Host, &["0.0.0.0:80"], "\x1b[2J\x1b]0;x\n\u{202e}y", "16");
    for words in [&["--ports"][..], &[":80"], &["--ports", "--json"]] {
        let ran = town.lab.tool("netns-ls").args(words).run().ok();
        let all = [ran.stdout.as_str(), ran.stderr.as_str()].concat();
        assert!(!all.contains('\x1b') && !all.contains('\u{202e}'), "{words:?}: {ran}");
    }
    let line = town.line("0.0.0.0:80/tcp");
    assert!(line.contains("\\u{1b}[2J"), "{line}");
    let _other = town.serve_as(Place::Network(&town.web), &["0.0.0.0:80"], "\x1b[2J", "16");
    let _third = town.serve_as(Place::Network(&town.db), &["0.0.0.0:80"], "\x1b[2J", "16");
    let ran = town.lab.tool("cpid").args([":80", "0.0.0.0:81"]).run();
    assert!(!ran.stderr.contains('\x1b'), "{ran}");
}

#[test]
fn a_socket_that_begins_to_listen_is_waited_for() {
    let town = need!(town());
    let waiting = town.lab.tool("cpid").args(["--wait", "30s", ":80"]).start();
    assert!(!waiting.has_ended_within(std::time::Duration::from_millis(300)), "{}", waiting.so_far());
    let server = town.serve(Place::Network(&town.web), &["0.0.0.0:80"]);
    waiting.finish().ok().stdout_is(&format!("{}\n", server.pid));
    town.lab.tool("cpid").args(["--wait", "10ms", ":81"]).run().fails_with(1);
}

#[test]
fn json_says_whose_it_is_with_numbers_as_numbers() {
    let town = need!(town());
    let server = town.serve(Place::Network(&town.web), &["0.0.0.0:80"]);
    let read = |tool: &str, words: &[&str]| -> Value {
        serde_json::from_str(&town.lab.tool(tool).args(words).run().ok().stdout).unwrap()
    };
    let found = &read("cpid", &["--json", ":80"])[0];
    assert_eq!((&found["pid"], &found["container"]), (&server.pid.into(), &Value::Null));
    assert_eq!(found["socket_netns_inode"], found["netns_inode"]);
    assert_eq!((found["process_name"].as_str(), found["listening_at"].as_str()), (Some("perl"), Some(":80")));
    let document = read("netns-ls", &["--ports", "--json"]);
    let port = &document["ports"][0];
    assert_eq!(
        (&port["port"], &port["is_listening"], &port["queued"]),
        (&80.into(), &true.into(), &0.into())
    );
    assert_eq!((&port["processes"][0]["pid"], &port["backlog"]), (&server.pid.into(), &16.into()));
    assert_eq!(port["netns_inode"], found["netns_inode"]);
    assert_eq!(read("netns-ls", &["--json"])["ports"], Value::Null, "it was not looked for");
}

/// An ordinary user sees neither the networks of others nor their descriptors: nothing is certain then.
#[test]
fn what_cannot_be_looked_at_makes_no_certain_no() {
    let lab = need!(Lab::with_users());
    let _other = lab.container("web", support::container::Options::default());
    let as_user = lab
        .command("setpriv")
        .args(["--reuid=1000", "--regid=1000", "--clear-groups", "--"])
        .arg(support::tools::tool("cpid"))
        .arg(":9")
        .run();
    as_user
        .fails_with(2)
        .stdout_is("")
        .stderr_has("cannot tell who listens there")
        .stderr_has("could not look at");
}

#[test]
fn a_word_that_is_no_port_is_refused_and_other_tools_say_what_helps() {
    let town = need!(town());
    town.lab.tool("cpid").arg(":0").run().fails_with(2).stderr_has("'0' is not a port: 1 to 65535");
    town.lab.tool("cpid").arg(":80/sctp").run().fails_with(2).stderr_has("'sctp' is not tcp or udp");
    town.lab.tool("netns-ls").args([":80", "web"]).run().fails_with(2).stderr_has("two views");
    let ran = town.lab.tool("nsenter-rs").args(["-t", ":80", "-n", "true"]).run().fails_with(1);
    ran.stderr_has("cpid :80");
}

#[test]
fn a_socket_of_the_kernels_is_told_with_the_link_that_it_is_for() {
    let town = need!(town());
    let made = town.lab.shell("ip link add vx0 type vxlan id 7 dstport 4789; ip link set vx0 up").run();
    if !made.status.is_some_and(|status| status.success()) {
        need!(Err::<(), _>(support::skip::Missing::ForGood("kernel lacks vxlan".into())));
    }
    let line = town.line("0.0.0.0:4789/udp");
    assert_eq!(line, "host 0.0.0.0:4789/udp - - listening, by the kernel for vxlan vx0");
}
