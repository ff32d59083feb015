//! Removing, and what others did meanwhile.

use crate::{add_nic, everything, lab, plug, reaches};
use support::container::Options;
use support::run::Run;
use support::skip::need;
use support::until::until;

#[test]
fn what_was_added_is_removed_by_name_by_host_end_and_by_address() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let pid = web.pid.to_string();
    let before = everything(&lab, &[&web]);
    let host_end = format!("pid{pid}-eth0");
    for which in ["eth0", &host_end, "10.1.0.2", "10.1.0.2/24", "fd00:1::2"] {
        plug(&lab, &web, "10.1.0.2/24 fd00:1::2/64").ok();
        let line = format!("pid:{pid}: eth0 10.1.0.2/24 fd00:1::2/64 removed\n");
        add_nic(&lab, &["--rm", &pid, which]).ok().stdout_is(&line);
        assert_eq!(everything(&lab, &[&web]), before, "{which}");
    }
}

#[test]
fn removing_what_is_gone_succeeds_and_makes_nothing() {
    let lab = need!(lab());
    let mut web = lab.container("web", Options::only(&["net"]));
    let pid = web.pid.to_string();
    add_nic(&lab, &["--rm", &pid]).ok().stdout_is("");
    add_nic(&lab, &["--rm", &pid, "eth7"]).ok().stdout_is("");
    add_nic(&lab, &["--list"]).ok();
    assert!(!lab.path("/run/netns-toolbox").exists());
    plug(&lab, &web, "10.1.0.2/24").ok();
    add_nic(&lab, &["--rm", &pid]).ok();
    add_nic(&lab, &["--rm", &pid]).ok().stdout_is("");
    web.stop();
    add_nic(&lab, &["--rm", &pid]).ok().stdout_is("").stderr_has("nothing to remove");
}

#[test]
fn what_others_made_is_removed_by_force_only() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let pid = web.pid.to_string();
    lab.shell(&format!("ip link add theirs type veth peer name eth0 netns {pid}")).run().ok();
    web.ip("address add 10.5.0.2/24 dev eth0");
    let before = everything(&lab, &[&web]);
    for which in ["eth0", "10.5.0.2"] {
        let refused = add_nic(&lab, &["--rm", &pid, which]).fails_with(2);
        refused
            .stderr_has("was not created by add-nic")
            .stderr_has(&format!("hint: add-nic --rm --force pid:{pid} eth0"));
    }
    add_nic(&lab, &["--rm", &pid]).ok();
    assert_eq!(everything(&lab, &[&web]), before);
    add_nic(&lab, &["--rm", "--force", &pid, "eth0"]).ok();
    let links = web.ip("-j link").json();
    assert!(links.as_array().unwrap().iter().all(|link| link["ifname"] != "eth0"), "{links}");
}

#[test]
fn a_link_that_somebody_gave_our_name_to_is_not_ours() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let pid = web.pid.to_string();
    plug(&lab, &web, "10.1.0.2/24 --host-name ours").ok();
    lab.shell("ip link del ours; ip link add ours type veth peer name other; ip link set ours alias 'add-nic: eth0'").run().ok();
    let before = everything(&lab, &[&web]);
    add_nic(&lab, &["--rm", &pid]).ok();
    assert_eq!(everything(&lab, &[&web]), before);
}

#[test]
fn a_link_that_somebody_renamed_is_still_ours() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    let before = everything(&lab, &[&web]);
    plug(&lab, &web, "10.1.0.2/24 --host-name ours").ok();
    lab.shell("ip link set ours down name theirs").run().ok();
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    assert_eq!(everything(&lab, &[&web]), before);
}

#[test]
fn what_a_stopped_container_leaves_is_swept_by_the_next_call() {
    let lab = need!(lab());
    let mut web = lab.container("web", Options::only(&["net"]));
    let other = lab.container("other", Options::only(&["net"]));
    let before = everything(&lab, &[&other]);
    plug(&lab, &web, "10.1.0.2/24 --bridge br1 --create").ok();
    web.stop();
    // The kernel takes its time to end a namespace.
    until("the host's end is gone", || !everything(&lab, &[&other]).0.contains("pid"));
    assert!(everything(&lab, &[&other]).0.contains("br1"));
    plug(&lab, &other, "10.7.0.2/24").ok();
    add_nic(&lab, &["--rm", &other.pid.to_string()]).ok();
    assert_eq!(everything(&lab, &[&other]), before);
    assert_eq!(add_nic(&lab, &["--list", "--json"]).ok().json(), serde_json::json!([]));
}

#[test]
fn a_journal_that_another_user_could_have_written_is_not_believed() {
    let lab = need!(support::lab::Lab::with_users());
    let web = lab.container("web", Options::only(&["net"]));
    let before = everything(&lab, &[&web]);
    for plant in [
        "mkdir -m 777 /run/netns-toolbox",
        "rmdir /run/netns-toolbox; mkdir -m 700 /run/netns-toolbox; chown 1000 /run/netns-toolbox",
        "rmdir /run/netns-toolbox; mkdir /run/mine; ln -s mine /run/netns-toolbox",
        "rm /run/netns-toolbox; mkdir -m 700 /run/netns-toolbox; ln -s ../mine /run/netns-toolbox/nics",
    ] {
        lab.shell(plant).run().ok();
        plug(&lab, &web, "10.1.0.2/24").fails_with(2).stdout_is("").stderr_has("/run/netns-toolbox");
        assert_eq!(everything(&lab, &[&web]), before);
    }
}

#[test]
fn what_it_keeps_is_roots_alone() {
    let lab = need!(lab());
    let web = lab.container("web", Options::only(&["net"]));
    plug(&lab, &web, "10.1.0.2/24").ok();
    let modes = lab.shell("find /run/netns-toolbox -printf '%y %m\\n' | sort").run().ok();
    modes.stdout_is("d 700\nd 700\nf 600\n");
    reaches(&lab, "10.1.0.2");
}
