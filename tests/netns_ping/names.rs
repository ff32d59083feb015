//! What a DEST can be: names as the container looks them up, its gateway, other containers.

use std::fs;

use crate::{Cable, cable, of_kind};
use support::fake_docker;
use support::name_server;
use support::run::{Run, RunningProgram};
use support::skip::{need, program};

/// A name server on 127.0.0.1 in the network of `web`, which knows `api` as db's address.
fn server(cable: &Cable, resolv_conf: &str) -> RunningProgram {
    fs::write(cable.web.path("/etc/resolv.conf"), resolv_conf).unwrap();
    fs::write(cable.web.path("/etc/hosts"), "127.0.0.1 localhost\n198.18.0.2 database\n").unwrap();
    let pid = cable.web.pid.to_string();
    name_server::start(&cable.lab, &["nsenter", "--target", &pid, "--net", "--"], "198.18.0.2")
}

#[test]
fn a_name_is_looked_up_as_the_container_does() {
    let cable = need!(cable());
    let server = server(&cable, "nameserver 127.0.0.1\nsearch corp.example\noptions ndots:2\n");
    let ran = cable.ping("api -c1").ok();
    ran.stdout_has(
        "PING api (198.18.0.2) 56(84) bytes of data.\n64 bytes from api (198.18.0.2): icmp_seq=1 ttl=64",
    );
    // The search domains come first, as ndots has it.
    server.wait_for("asked api.corp.example\n");
    server.wait_for("asked api\n");
    cable.ping("api -c1 -n").ok().stdout_has("\n64 bytes from 198.18.0.2: icmp_seq=1");
    let ran = cable.ping("database -c1 -v").ok();
    let ran = ran.stdout_has("PING database (198.18.0.2) ");
    ran.stderr_has("netns-ping: database is 198.18.0.2, according to its /etc/hosts\n");
    cable
        .ping("api -c1 -v")
        .ok()
        .stderr_has("netns-ping: api is 198.18.0.2, according to its name server 127.0.0.1\n");
}

#[test]
fn an_answer_that_does_not_fit_into_a_datagram_is_asked_for_by_tcp() {
    need!(program("nft", "nftables"));
    let cable = need!(cable());
    let server = server(&cable, "nameserver 127.0.0.1\n");
    cable.ping("long -c1").ok().stdout_has("PING long (198.18.0.2) 56(84) bytes of data.\n");
    server.wait_for("asked long by TCP\n");
    cable.inside(&cable.web, "nft add table ip t; nft add chain ip t in '{ type filter hook input priority 0; }'; nft add rule ip t in tcp dport 53 reject with tcp reset").ok();
    cable.ping("long -c1").fails_with(2).stderr_has(
        "the name cannot be looked up: 127.0.0.1 truncates its answer, and over TCP has no name server listening\n",
    );
}

#[test]
fn why_a_name_has_no_address_is_told() {
    let cable = need!(cable());
    let _server = server(&cable, "nameserver 127.0.0.1\nsearch corp\n");
    let ran = cable.ping("nobody -c1").fails_with(2);
    ran.stderr_is(
        "netns-ping: nobody: 127.0.0.1 reports that there is no such name (tried nobody.corp, nobody)\n",
    );
    let ran = cable.ping("-6 api. -c1").fails_with(2);
    ran.stderr_has("api.: 127.0.0.1 reports that the name has no address of that kind");
    // Nobody listens there, nobody is there, and the last one is on no road.
    fs::write(cable.web.path("/etc/resolv.conf"), "nameserver 198.18.0.2\noptions timeout:1 attempts:1\n")
        .unwrap();
    let ran = cable.ping("api -c1").fails_with(2);
    ran.stderr_is("netns-ping: api: the name cannot be looked up: 198.18.0.2 has no name server listening\n");
    fs::write(
        cable.web.path("/etc/resolv.conf"),
        "nameserver 198.18.0.77\nnameserver 2001:db8::1\noptions timeout:1 attempts:1\n",
    )
    .unwrap();
    let ran = cable.ping("api -c1").fails_with(2);
    ran.stderr_has("the name cannot be looked up: 198.18.0.77 ")
        .stderr_has("; 2001:db8::1 cannot be reached: Network is unreachable");
}

#[test]
fn the_gateway_is_the_one_of_the_container() {
    let cable = need!(cable());
    let ran = cable.ping("gateway -c1").ok();
    ran.stdout_has("PING gateway (198.18.0.2 on eth0) 56(84) bytes of data.\n64 bytes from gateway (198.18.0.2): icmp_seq=1");
    cable
        .ping("-6 gateway")
        .fails_with(2)
        .stderr_has(&format!("gateway: pid:{} has no default route", cable.web.pid));
    let ran = cable.web.ip("-6 address show dev eth0 scope link");
    let _ = ran;
    let link_local =
        cable.db.ip("-j -6 address show dev eth0 scope link").json()[0]["addr_info"][0]["local"].clone();
    let Some(link_local) = link_local.as_str() else { return };
    cable.web.ip(&format!("-6 route add default via {link_local} dev eth0"));
    let ran = cable.ping("-6 gateway -c1 -W5").ok();
    ran.stdout_has(&format!("PING gateway ({link_local} on eth0) 56 data bytes"));
    cable.ping(&format!("{link_local}%eth0 -c1")).ok();
    cable.ping(&format!("{link_local} -c1")).ok();
}

#[test]
fn another_container_is_pinged_by_its_name_and_the_first_line_says_where() {
    let cable = need!(cable());
    let _engine = fake_docker::knows(&[&cable.web, &cable.db]).listen(cable.lab.path("/run/docker.sock"));
    let ping = |words: &str| {
        use support::run::Run;
        cable.lab.tool("netns-ping").args(words.split_whitespace()).run()
    };
    let ran = ping("web docker:db -c1").ok();
    ran.stdout_has("PING db (docker:db, 198.18.0.2 on eth0) 56(84) bytes of data.\n64 bytes from db (198.18.0.2): icmp_seq=1");
    ping("web docker:db -c1 -6").ok().stdout_has("PING db (docker:db, fd00::2 on eth0) 56 data bytes");
    let ran = ping("web docker:nobody -c1").fails_with(1);
    let said =
        "netns-ping: docker:nobody: no such container (asked: docker)\nhint: cpid --list --engine docker\n";
    ran.stderr_is(said);
    // Of several addresses, the one that needs no router.
    cable.db.ip("address add 198.19.0.1/24 dev lo");
    cable.db.ip("address del 198.18.0.2/24 dev eth0");
    cable.db.ip("address add 198.18.0.2/24 dev eth0");
    ping("web docker:db -c1").ok().stdout_has("PING db (docker:db, 198.18.0.2 on eth0)");
    cable.web.ip("route del default");
    cable.db.ip("address del 198.18.0.2/24 dev eth0");
    let ran = ping("-4 web docker:db -c1").fails_with(2);
    ran.stderr_has("docker:db (198.19.0.1): no route from inside: web has only 198.18.0.0/24 on eth0\nhint: nsenter-rs -t web -n ip route\n");
}

#[test]
fn where_no_route_leads_nothing_is_sent() {
    let cable = need!(cable());
    cable.web.ip("route del default");
    let ran = cable.ping("203.0.113.1 -c1").fails_with(2);
    let pid = cable.web.pid;
    ran.stderr_is(&format!(
        "netns-ping: 203.0.113.1: no route from inside: pid:{pid} has only 198.18.0.0/24 on eth0\n\
         hint: nsenter-rs -t pid:{pid} -n ip route\n"
    ));
    for (route, says) in
        [("unreachable", "unreachable"), ("prohibit", "prohibit"), ("blackhole", "blackhole")]
    {
        cable.web.ip(&format!("route add {route} 203.0.113.0/24"));
        let ran = cable.ping("203.0.113.1 -c1").fails_with(2);
        ran.stderr_has(&format!("no route from inside: a route of pid:{pid} says {says}"));
        cable.web.ip("route del 203.0.113.0/24");
    }
    let events = cable.events("198.18.0.2 203.0.113.1 -c1");
    assert_eq!(of_kind(&events, "sent").len(), 1);
}

/// As bad a resolv.conf as a container can have: glibc would ask for 450 seconds, and for each domain again.
#[test]
fn servers_that_never_answer_are_given_up_in_time() {
    need!(program("nft", "nftables"));
    let cable = need!(cable());
    let mute = "nft add table inet t; nft add chain inet t in '{ type filter hook input priority 0; }'; \
                nft add rule inet t in udp dport 53 drop";
    cable.inside(&cable.db, mute).ok();
    cable.db.ip("address add 198.18.0.3/24 dev eth0");
    cable.db.ip("address add 198.18.0.4/24 dev eth0");
    let servers = "nameserver 198.18.0.2\nnameserver 198.18.0.3\nnameserver 198.18.0.4\n";
    fs::write(cable.web.path("/etc/hosts"), "").unwrap();
    fs::write(
        cable.web.path("/etc/resolv.conf"),
        format!("{servers}search a.example b.example\noptions timeout:30 attempts:5 ndots:9\n"),
    )
    .unwrap();
    // Naive twin: whoever does as the file says is still at the first server.
    let mut naive = cable.lab.command("nsenter");
    let target = cable.web.pid.to_string();
    naive.args(["--target", &target, "--net", "--mount", "--", "timeout", "2", "getent", "hosts", "api"]);
    naive.run().fails_with(124);
    let ran = cable.ping("api -c1 -w1").fails_with(2);
    ran.stderr_is(
        "netns-ping: api: looked up api.a.example for 1s without an answer: 198.18.0.2 does not answer within 1s; \
         198.18.0.3 was not asked; 198.18.0.4 was not asked\n",
    );
    fs::write(cable.web.path("/etc/resolv.conf"), format!("{servers}options timeout:2 attempts:5\n"))
        .unwrap();
    let ran = cable.ping("api -c1").fails_with(2);
    ran.stderr_has("api: the name cannot be looked up: 198.18.0.2 does not answer within 2s; ");
}
