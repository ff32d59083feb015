//! Ordinary users: as far as the kernel lets them, and in words where it does not.

use crate::{cable, matrix};
use support::container::Options;
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::need;
use support::tools;

/// Root of a lab, but without these capabilities: `netns-ping WORDS`.
fn without(lab: &Lab, capability: &str, words: &str) -> Ran {
    let lacking = format!("-{capability}");
    let mut setpriv = lab.command("setpriv");
    setpriv.args(["--bounding-set", &lacking, "--inh-caps", &lacking, tools::tool("netns-ping")]);
    setpriv.args(words.split_whitespace()).run()
}

#[test]
fn who_may_open_no_raw_socket_uses_the_kernels_own_for_ping() {
    let lab = need!(Lab::new());
    let ran = without(&lab, "net_raw", "1 127.0.0.1 -c1").fails_with(2);
    let ran = ran.stderr_has("permission denied: requires CAP_NET_RAW over user:[");
    ran.stderr_has("], which owns it, or a group in its net.ipv4.ping_group_range\nhint: run it on the host, as a root user that has all capabilities\n");
    lab.shell("echo '0 0' >/proc/sys/net/ipv4/ping_group_range").run().ok();
    let ran = without(&lab, "net_raw", "1 127.0.0.1 ::1 -c2 -i0.1").ok();
    ran.stdout_has("64 bytes from 127.0.0.1: icmp_seq=2 ttl=64 time=")
        .stdout_has("64 bytes from ::1: icmp_seq=2 ttl=64 time=");
    without(&lab, "net_raw", "1 127.0.0.1 -f -q -c 1000").ok().stdout_has(" 1000 received, 0% packet loss");
    let ran = without(&lab, "net_raw", "1 127.0.0.1 -t1 -s 16 -c1 --json").ok();
    ran.stdout_has(r#""bytes":24,"ttl":64"#);
}

/// What neighbours say is heard by packet sockets only, and no group is let have those.
#[test]
fn to_ask_neighbours_takes_a_capability_that_is_named() {
    let cable = need!(cable());
    let lab = &cable.lab;
    lab.shell(&format!(
        "nsenter -t {} -n sh -c 'echo 0 0 >/proc/sys/net/ipv4/ping_group_range'",
        cable.web.pid
    ))
    .run()
    .ok();
    for words in ["--arp", "--dad", ""] {
        let dest = if words.is_empty() { "198.18.0.0/29" } else { "198.18.0.2" };
        let ran = without(lab, "net_raw", &format!("{words} {} {dest}", cable.web.pid)).fails_with(2);
        let ran =
            ran.stderr_has("permission denied: ARP and neighbour discovery require CAP_NET_RAW over user:[");
        ran.stderr_has(
            "], which owns it\nhint: run it on the host, as a root user that has all capabilities\n",
        );
    }
    without(lab, "net_raw", &format!("{} 198.18.0.2 -c1", cable.web.pid)).ok();
    // A port takes none, and what cannot be watched without is not claimed.
    let ran = without(lab, "net_raw", &format!("{} tcp:198.18.0.2:9 -c1", cable.web.pid)).fails_with(1);
    ran.stdout_has("refused by 198.18.0.2:9 (TCP reset)").stderr_has("198.18.0.2:9: refused (a TCP reset)\n");
    let ran =
        without(lab, "net_raw", &format!("{} udp:198.18.0.77:9 -c1 -W0.3", cable.web.pid)).fails_with(1);
    assert!(!ran.stderr.contains("CAP_"), "{ran}");
}

#[test]
fn who_may_not_enter_is_told_which_capability_that_takes() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let ran = without(&lab, "sys_admin", &format!("{} 127.0.0.1 -c1", web.pid)).fails_with(2);
    let ran = ran
        .stderr_has("netns-ping: net:[")
        .stderr_has("]: permission denied: requires CAP_SYS_ADMIN over user:[");
    ran.stderr_has(
        "], which owns it, and over the caller's; the caller lacks it (uid 0)\nhint: run it on the host\n",
    );
}

#[test]
fn an_ordinary_user_pings_from_what_he_has_unshared_himself() {
    let lab = need!(Lab::with_users());
    need!(lab.user_namespace());
    let user = ["--reuid", "1000", "--regid", "1000", "--clear-groups"];
    let mut unshare = lab.command("setpriv");
    unshare.args(user).args(["unshare", "--user", "--map-root-user", "--net", "sh", "-c"]);
    let unshared = unshare.arg("ip link set lo up; echo $$; exec sleep 60").start();
    let pid = unshared.first_line().unwrap();
    let mut ping = lab.command("setpriv");
    ping.args(user).arg(tools::tool("netns-ping")).args([&pid, "127.0.0.1", "::1", "-c1"]);
    let ran = ping.run().ok();
    ran.stdout_has("64 bytes from 127.0.0.1: icmp_seq=1 ttl=64")
        .stdout_has("64 bytes from ::1: icmp_seq=1 ttl=64");
    // And from nobody else's.
    let mut other = lab.command("setpriv");
    other.args([
        "--reuid",
        "1001",
        "--regid",
        "1001",
        "--clear-groups",
        tools::tool("netns-ping"),
        &pid,
        "127.0.0.1",
    ]);
    other.run().fails_with(2).stderr_has("permission denied");
}

/// Two networks of one user namespace, which an ordinary user has made.
#[test]
fn an_ordinary_user_asks_the_neighbours_of_what_he_has_unshared_himself() {
    let lab = need!(Lab::with_users());
    need!(lab.user_namespace());
    let user = ["--reuid", "1000", "--regid", "1000", "--clear-groups"];
    let mut unshare = lab.command("setpriv");
    unshare.args(user).args(["unshare", "--user", "--map-root-user", "--net", "sh", "-c"]);
    let unshared = unshare
        .arg(
            "unshare --net sleep 60 & peer=$!
             until ip link add eth0 type veth peer name eth0 netns $peer && nsenter -t $peer -n ip link show eth0
             do ip link del eth0; done >/dev/null 2>&1
             ip address add 198.18.0.1/24 dev eth0; ip link set eth0 up
             nsenter -t $peer -n ip address add 198.18.0.2/24 dev eth0; nsenter -t $peer -n ip link set eth0 up
             echo $$; wait",
        )
        .start();
    let pid = unshared.first_line().unwrap();
    let ping = |words: &str| {
        let mut ping = lab.command("setpriv");
        ping.args(user).arg(tools::tool("netns-ping")).args(words.split_whitespace()).run()
    };
    ping(&format!("--arp -c1 {pid} 198.18.0.2")).ok().stdout_has("Unicast reply from 198.18.0.2 [");
    ping(&format!("--dad {pid} 198.18.0.9")).ok();
    ping(&format!("{pid} 198.18.0.0/29")).ok().stdout_has("\n1 of 5 answered, ");
}

#[test]
fn a_matrix_is_made_with_the_kernels_own_sockets_where_no_others_are_permitted() {
    let scene = need!(matrix::Scene::new(&["db", "web"]));
    let words = "--engine-timeout 30s --matrix";
    let ran = without(&scene.lab, "net_raw", words).fails_with(2);
    ran.stderr_has("permission denied: requires CAP_NET_RAW ")
        .stderr_has("hint: run it on the host, as a root user that has all capabilities\n");
    for container in &scene.containers {
        let allow = "echo 0 0 >/proc/sys/net/ipv4/ping_group_range";
        scene.lab.shell(&format!("nsenter -t {} -n sh -c '{allow}'", container.pid)).run().ok();
    }
    without(&scene.lab, "net_raw", words)
        .ok()
        .stdout_has("2 containers: 2 of 2 pairs reached, 2 of 2 gateways, ");
}
