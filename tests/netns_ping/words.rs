//! What may be typed, and what is said about what may not.

use std::process::Command;

use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::need;
use support::tools;

fn netns_ping(words: &str) -> Ran {
    let mut command = tools::in_clean_environment(Command::new(tools::tool("netns-ping")));
    command.args(words.split_whitespace()).run()
}

#[test]
fn a_missing_word_is_asked_for() {
    let ran = netns_ping("").fails_with(2);
    ran.stderr_is("netns-ping: TARGET: is missing\nhint: netns-ping --help\n");
    let ran = netns_ping("nginx").fails_with(2);
    ran.stderr_is("netns-ping: DEST: is missing\nhint: netns-ping nginx gateway\n");
}

#[test]
fn a_mistyped_address_is_no_name() {
    let ran = netns_ping("nginx 10.1.0.999").fails_with(2);
    ran.stderr_is("netns-ping: 10.1.0.999: '10.1.0.999' is neither an address nor a name\n");
}

#[test]
fn the_container_comes_first_and_a_port_has_its_protocol() {
    let ran = netns_ping("10.1.0.1 nginx").fails_with(2);
    ran.stderr_is(
        "netns-ping: 10.1.0.1: is an address, but the first argument is the container to ping from\n\
         hint: netns-ping nginx 10.1.0.1\n",
    );
    netns_ping("10.1.0.1").fails_with(2).stderr_has("hint: netns-ping nginx 10.1.0.1\n");
    netns_ping("tcp:db:80").fails_with(2).stderr_is(
        "netns-ping: tcp:db:80: is a port, but the first argument is the container to connect from\n\
         hint: netns-ping nginx tcp:db:80\n",
    );
    for word in ["db:80", "10.1.0.1:80", "docker:db:80"] {
        netns_ping(&format!("nginx {word}")).fails_with(2).stderr_is(&format!(
            "netns-ping: {word}: a port has tcp: or udp: before it, as in tcp:{word}\n\
             hint: netns-ping nginx tcp:{word}\n"
        ));
    }
    netns_ping("nginx http://db:80/")
        .fails_with(2)
        .stderr_has("hint: write docker:NAME for a container, tcp:NAME:PORT for a port\n");
    netns_ping("nginx tcp:docker:80").fails_with(2).stderr_has(
        "the port is missing: docker:80 is a TARGET; for a host called docker write tcp:docker.:80",
    );
}

#[test]
fn jobs_exclude_each_other() {
    netns_ping("--arp --dad nginx 10.1.0.1").fails_with(2).stderr_has("cannot be used with");
    netns_ping("--matrix web-* nginx")
        .fails_with(2)
        .stderr_has("nginx: is one argument too many for --matrix");
    netns_ping("--dad nginx 10.1.0.0/24").fails_with(2).stderr_has("means many addresses");
}

#[test]
fn a_container_that_is_not_there_pings_nobody() {
    let lab = need!(Lab::new());
    let ran = lab.tool("netns-ping").args(["4194304", "10.1.0.1"]).run().fails_with(1);
    ran.stderr_is("netns-ping: PID 4194304: no such process\n");
}
