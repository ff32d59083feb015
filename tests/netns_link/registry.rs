//! The directory itself: a shared mount of its own, made once, whoever comes first.

use std::fs;
use std::process::Stdio;

use crate::{everything, mounts_at, netns_link};
use support::container::Options;
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::{need, program};
use support::tools;

#[test]
fn the_directory_is_made_as_ip_makes_it() {
    let look = |make: &dyn Fn(&Lab, &str)| -> Option<(String, usize, Vec<String>)> {
        let lab = Lab::new().ok()?;
        let web = lab.container("web", Options::default());
        make(&lab, &web.pid.to_string());
        let stat = lab.command("stat").args(["--format", "%a %u %g %F", "/run/netns"]).run().ok().stdout;
        let mounts = lab.command("cat").arg("/proc/1/mountinfo").run().ok();
        let mine = mounts.stdout.lines().filter(|line| line.split(' ').nth(4) == Some("/run/netns"));
        // Whether it is shared, without the number of its peer group.
        let shared = mine.map(|line| line.split(' ').nth(6).unwrap_or_default());
        let shared =
            shared.map(|field| field.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()).collect();
        Some((stat, mounts_at(&lab, "/run/netns/one"), shared))
    };
    need!(Lab::new());
    let ours = look(&|lab, pid| drop(netns_link(lab, &[pid, "--as", "one"]).ok()));
    let theirs = look(&|lab, pid| drop(lab.command("ip").args(["netns", "attach", "one", pid]).run().ok()));
    assert_eq!(ours, theirs);
    assert_eq!(ours.map(|(_, _, shared)| shared), Some(vec!["shared:".to_owned()]));
}

#[test]
fn many_at_once_on_a_fresh_host_make_one_directory_and_every_name() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let script = format!(
        "for i in $(seq 100); do {} {} --as ours$i >/dev/null & ip netns add theirs$i & done; wait",
        tools::tool("netns-link"),
        web.pid
    );
    lab.shell(&script).run().ok().stderr_is("");
    assert_eq!(mounts_at(&lab, "/run/netns"), 1);
    let inside = lab.namespace(web.pid, "net");
    let names = lab.command("ip").args(["-j", "netns", "list"]).run().ok().json();
    assert_eq!(names.as_array().unwrap().len(), 200);
    let mounts = lab.command("cat").arg("/proc/1/mountinfo").run().ok().stdout;
    let each = |whose: &str| {
        let at = |i| format!(" /run/netns/{whose}{i} ");
        (1..=100).map(|i| mounts.matches(&at(i)).count()).collect::<Vec<_>>()
    };
    assert_eq!(each("ours"), each("theirs"));
    let all = "for i in $(seq 100); do nsenter --net=/run/netns/theirs$i true; \
               nsenter --net=/run/netns/ours$i readlink /proc/self/ns/net; done";
    lab.shell(all).run().ok().stdout_is(&format!("{inside}\n").repeat(100));
}

#[test]
fn many_that_want_the_same_name_make_it_once() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let script =
        format!("for i in $(seq 20); do {} {} --as web & done; wait", tools::tool("netns-link"), web.pid);
    lab.shell(&script).run().ok().stdout_is(&"/run/netns/web\n".repeat(20)).stderr_is("");
    let once = mounts_at(&lab, "/run/netns/web");
    netns_link(&lab, &["--rm", "web"]).ok();
    netns_link(&lab, &[&web.pid.to_string(), "--as", "web"]).ok();
    assert_eq!(once, mounts_at(&lab, "/run/netns/web"));
}

#[test]
fn a_link_appears_and_goes_in_other_mount_namespaces_too() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let other = || {
        let mut unshare = lab.command("unshare");
        unshare.args(["--mount", "--propagation", "slave", "sh", "-c", "while read -r line; do $line; done"]);
        unshare.start_with(Stdio::piped())
    };
    let says = |other: &mut RunningProgram, command: &str, expected: &str| {
        other.say(&format!("{command}\n"));
        other.wait_for(expected);
    };
    // One from before there was a directory, one from after.
    let mut before = other();
    says(&mut before, "echo here", "here\n");
    let pid = web.pid.to_string();
    netns_link(&lab, &[&pid, "--as", "first"]).ok();
    let mut after = other();
    says(&mut after, "echo here", "here\n");
    netns_link(&lab, &[&pid, "--as", "second"]).ok();
    let inside = lab.namespace(web.pid, "net");
    for other in [&mut before, &mut after] {
        says(other, "nsenter --net=/run/netns/second readlink /proc/self/ns/net", &inside);
    }
    netns_link(&lab, &["--rm", "second"]).ok();
    for other in [&mut before, &mut after] {
        says(other, "grep -c /run/netns/second /proc/self/mountinfo", "\n0\n");
    }
}

#[test]
fn what_was_mounted_in_a_plain_directory_can_still_be_removed_by_who_did_it() {
    for propagation in ["shared", "private"] {
        let lab = need!(Lab::new());
        let [web, other] = ["web", "other"].map(|name| lab.container(name, Options::default()));
        // As containerd does it for a pod.
        let pod = format!(
            "mount --make-r{propagation} /; mkdir /run/netns; touch /run/netns/cni-1; \
             mount --bind /proc/{}/ns/net /run/netns/cni-1",
            web.pid
        );
        lab.shell(&pod).run().ok();
        netns_link(&lab, &[&other.pid.to_string(), "--as", "other"]).ok();
        let identify = lab.command("ip").args(["netns", "identify", &web.pid.to_string()]).run().ok();
        identify.stdout_is("cni-1\n");
        lab.shell("umount /run/netns/cni-1; rm /run/netns/cni-1").run().ok();
        lab.command("ip").args(["netns", "list"]).run().ok().stdout_is("other\n");
    }
}

#[test]
fn a_host_whose_mounts_are_private_is_served_too() {
    let lab = need!(Lab::new());
    lab.shell("mount --make-rprivate /").run().ok();
    let web = lab.container("web", Options::default());
    netns_link(&lab, &[&web.pid.to_string(), "--as", "web"]).ok();
    assert_eq!(mounts_at(&lab, "/run/netns"), 1);
    lab.command("ip").args(["-n", "web", "link"]).run().ok();
    netns_link(&lab, &["--rm", "web"]).ok();
    assert_eq!(mounts_at(&lab, "/run/netns/web"), 0);
}

#[test]
fn something_else_in_its_place_is_an_error_and_stays() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let pid = web.pid.to_string();
    let place = lab.path("/run/netns");
    let refused = || {
        let before = everything(&lab);
        for arguments in [&[&pid, "--as", "web"][..], &["--rm", "web"]] {
            netns_link(&lab, arguments)
                .fails_with(2)
                .stdout_is("")
                .stderr_has("netns-link: /run/netns: is not a directory");
        }
        assert_eq!(everything(&lab), before);
    };
    fs::write(&place, "").unwrap();
    refused();
    fs::remove_file(&place).unwrap();
    lab.shell("mkdir /run/elsewhere; ln -s elsewhere /run/netns").run().ok();
    refused();
}

#[test]
fn an_ordinary_user_is_told_which_capability_it_takes() {
    let lab = need!(Lab::with_users());
    need!(lab.user_namespace());
    need!(program("setpriv", "util-linux"));
    let copied = fs::copy(tools::tool("netns-link"), lab.path("/run/netns-link"));
    assert!(copied.is_ok(), "{copied:?}");
    lab.command("chmod").args(["755", "/run/netns-link"]).run().ok();
    lab.command("ip").args(["netns", "add", "blue"]).run().ok();
    let before = everything(&lab);
    for arguments in [&["netns:blue", "--as", "red"][..], &["--rm", "blue"]] {
        let mut user = lab.command("setpriv");
        user.args(["--reuid=1000", "--regid=1000", "--clear-groups", "/run/netns-link"]).args(arguments);
        user.run()
            .fails_with(2)
            .stdout_is("")
            .stderr_has("CAP_SYS_ADMIN over the user namespace")
            .stderr_has(&format!("hint: sudo netns-link {}\n", arguments.join(" ")));
    }
    assert_eq!(everything(&lab), before);
}

#[test]
fn an_ordinary_user_with_a_mount_namespace_of_his_own_needs_nobody() {
    let lab = need!(Lab::with_users());
    need!(lab.user_namespace());
    need!(program("setpriv", "util-linux"));
    let copied = fs::copy(tools::tool("netns-link"), lab.path("/run/netns-link"));
    assert!(copied.is_ok(), "{copied:?}");
    lab.command("chmod").args(["755", "/run/netns-link"]).run().ok();
    let mut user = lab.command("setpriv");
    user.args(["--reuid=1000", "--regid=1000", "--clear-groups"]);
    user.args(["unshare", "--user", "--map-root-user", "--mount", "--net", "sh", "-ec"]);
    // Its own /run, and our tool from the one below it.
    user.arg(
        "exec 3</run/netns-link; mount -t tmpfs none /run; /proc/self/fd/3 $$ --as me --host; ip -n me link",
    );
    let ran = user.run().ok();
    ran.stdout_has("/run/netns/me\n").stdout_has("LOOPBACK");
}

#[test]
fn a_directory_that_is_read_only_is_left_as_it_is() {
    let lab = need!(Lab::new());
    lab.command("ip").args(["netns", "add", "blue"]).run().ok();
    lab.shell("mount -o remount,bind,ro /run/netns").run().ok();
    let before = everything(&lab);
    netns_link(&lab, &["netns:blue", "--as", "red"])
        .fails_with(2)
        .stdout_is("")
        .stderr_has("Read-only file system");
    assert_eq!(everything(&lab), before);
}
