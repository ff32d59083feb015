//! Ordinary users: as far as the kernel lets them, and in words where it does not.

use crate::support::container::Options;
use crate::support::lab::Lab;
use crate::support::run::{Ran, Run};
use crate::support::skip::need;
use crate::support::tools;

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
    let ran = ran.stderr_has("permission denied: it takes CAP_NET_RAW over user:[");
    ran.stderr_has(
        "], which owns it, or a group that its net.ipv4.ping_group_range has\nhint: run it as root\n",
    );
    lab.shell("echo '0 0' >/proc/sys/net/ipv4/ping_group_range").run().ok();
    let ran = without(&lab, "net_raw", "1 127.0.0.1 ::1 -c2 -i0.1").ok();
    ran.stdout_has("64 bytes from 127.0.0.1: icmp_seq=2 ttl=64 time=")
        .stdout_has("64 bytes from ::1: icmp_seq=2 ttl=64 time=");
    without(&lab, "net_raw", "1 127.0.0.1 -f -q -c 1000").ok().stdout_has(" 1000 received, 0% packet loss");
    let ran = without(&lab, "net_raw", "1 127.0.0.1 -t1 -s 16 -c1 --json").ok();
    ran.stdout_has(r#""bytes":24,"ttl":64"#);
}

#[test]
fn who_may_not_enter_is_told_which_capability_that_takes() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let ran = without(&lab, "sys_admin", &format!("{} 127.0.0.1 -c1", web.pid)).fails_with(2);
    let ran = ran
        .stderr_has("netns-ping: net:[")
        .stderr_has("]: permission denied: it takes CAP_SYS_ADMIN over user:[");
    ran.stderr_has("], which owns it, and over ours; we lack it (uid 0)\nhint: run it on the host\n");
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
