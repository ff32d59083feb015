//! `--dry-run`: commands that a person could paste, and that really do it.

use crate::support::container::{Container, Options};
use crate::support::lab::Lab;
use crate::support::run::Run;
use crate::support::skip::need;
use crate::{add_nic, everything, lab, plug, reaches};

const CASES: [&str; 6] = [
    "10.1.0.2/24",
    "10.1.0.2/24 fd00:1::2/64 --mtu 1400 --gateway 10.1.0.1 --gateway fd00:1::1 --route 172.31.0.0/16@10.1.0.1 --metric 9",
    "10.1.0.2/32 --host-addr 192.0.2.1 --name wan --host-name lan",
    "10.1.0.2/24 --bridge br1 --create",
    "fd00:1::2/64 --host-addr none",
    "10.1.0.2/24 --sysctl net.ipv4.conf.IF.rp_filter=2 --sysctl net.ipv4.ip_default_ttl=33",
];

#[test]
fn what_it_shows_does_what_it_does() {
    for words in CASES {
        let shown = {
            let lab = need!(lab());
            let web = lab.container("web", Options::only(&["net"]));
            let before = everything(&lab, &[&web]);
            let script = plug(&lab, &web, &format!("{words} --dry-run")).ok().stdout;
            assert_eq!(everything(&lab, &[&web]), before, "a dry run that changed something");
            assert!(!lab.path("/run/netns-toolbox").exists());
            lab.shell(&script).run().ok();
            if words.starts_with("10.") {
                reaches(&lab, "10.1.0.2");
            }
            addresses_and_routes(&lab, &web)
        };
        let lab = need!(lab());
        let web = lab.container("web", Options::only(&["net"]));
        plug(&lab, &web, words).ok();
        assert_eq!(shown, addresses_and_routes(&lab, &web), "{words}");
    }
}

/// Names, MTUs, flags, masters, aliases, addresses and routes; the PID is the same word in both labs or is left out.
fn addresses_and_routes(lab: &Lab, web: &Container) -> Vec<String> {
    let pid = web.pid.to_string();
    let look = format!(
        "for n in 1 {pid}; do nsenter -t $n -n sh -c '
            ip -j link | tr , \"\\n\" | grep -E \"ifname|mtu|ifalias|master\"
            ip -br address | grep -o \"[^ ]*/[0-9]*\" | grep -v ^fe80 || true
            ip -4 route; ip -6 route | grep -v fe80 || true'; done"
    );
    let text = lab.shell(&look).run().ok().stdout.replace(&pid, "PID");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn what_it_shows_undoes_what_it_did() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let pid = web.pid.to_string();
    for words in CASES {
        let before = everything(&lab, &[&web]);
        plug(&lab, &web, words).ok();
        let script = add_nic(&lab, &["--rm", "--dry-run", &pid]).ok().stdout;
        lab.shell(&script).run().ok();
        assert_eq!(everything(&lab, &[&web]), before, "{words}");
        add_nic(&lab, &["--rm", &pid]).ok();
    }
}

#[test]
fn a_dry_run_of_what_is_there_shows_nothing() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    plug(&lab, &web, "10.1.0.2/24").ok();
    plug(&lab, &web, "10.1.0.2/24 --dry-run").ok().stdout_is("");
}

#[test]
fn json_has_each_step_as_data_and_as_a_command() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let steps = plug(&lab, &web, "10.1.0.2/24 --dry-run --json").ok().json();
    let steps = steps.as_array().unwrap();
    assert_eq!(steps[0]["step"]["add-veth"]["inside"]["name"], "eth0");
    assert!(steps[0]["command"].as_str().unwrap().starts_with("ip link add pid"), "{}", steps[0]);
}
