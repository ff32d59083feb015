//! `--rm`: the name goes, what it named stays.

use std::fs;

use crate::{everything, mounts_at, netns_link};
use support::container::Options;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;

#[test]
fn the_name_goes_and_the_container_keeps_its_network() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    web.ip("address add 198.18.0.7/32 dev lo");
    netns_link(&lab, &[&web.pid.to_string(), "--as", "web"]).ok();
    let (network, inside) = (web.ip("-j address").stdout, lab.namespace(web.pid, "net"));
    netns_link(&lab, &["--rm", "web"]).ok().stdout_is("").stderr_is("");
    assert_eq!(mounts_at(&lab, "/run/netns/web"), 0);
    assert_eq!(fs::read_dir(lab.path("/run/netns")).unwrap().count(), 0);
    lab.command("ip").args(["netns", "list"]).run().ok().stdout_is("");
    assert_eq!((web.ip("-j address").stdout, lab.namespace(web.pid, "net")), (network, inside));
}

#[test]
fn what_is_gone_already_is_no_error_and_nothing_is_made_to_find_that_out() {
    let lab = need!(Lab::new());
    let before = everything(&lab);
    let said = "no such link, and no container of that name has one: nothing to remove";
    let both = format!("netns-link: web: {said}\nnetns-link: blue: {said}\n");
    netns_link(&lab, &["--rm", "web", "blue"]).ok().stdout_is("").stderr_is(&both);
    netns_link(&lab, &["--rm", "--force", "web", "blue"]).ok().stdout_is("").stderr_is(&both);
    assert_eq!(everything(&lab), before);
}

#[test]
fn what_ip_made_is_removed_by_force_alone() {
    let lab = need!(Lab::new());
    lab.shell("ip netns add blue; ip netns add red").run().ok();
    let before = everything(&lab);
    let refused = netns_link(&lab, &["--rm", "blue", "nope", "red"]).fails_with(2);
    assert_eq!(everything(&lab), before);
    refused.stderr_has("/run/netns/blue: was not made by netns-link\nhint: netns-link --rm --force blue\n");
    netns_link(&lab, &["--rm", "--force", "blue", "nope", "red"]).ok();
    lab.command("ip").args(["netns", "list"]).run().ok().stdout_is("");
    assert_eq!(mounts_at(&lab, "/run/netns/blue") + mounts_at(&lab, "/run/netns/red"), 0);
}

#[test]
fn all_names_are_checked_before_anything_is_removed() {
    let lab = need!(Lab::new());
    netns_link(&lab, &["--new", "good"]).ok();
    let before = everything(&lab);
    netns_link(&lab, &["--rm", "good", "../bad"]).fails_with(2).stderr_has("netns-link: ../bad: ");
    assert_eq!(everything(&lab), before);
}

#[test]
fn a_name_that_was_bound_twice_is_gone_at_once() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    lab.shell("ip netns add blue").run().ok();
    lab.shell(&format!("mount --bind /proc/{}/ns/net /run/netns/blue", web.pid)).run().ok();
    netns_link(&lab, &["--rm", "--force", "blue"]).ok();
    assert_eq!(mounts_at(&lab, "/run/netns/blue"), 0);
    assert!(!lab.path("/run/netns/blue").exists());
}

#[test]
fn a_link_whose_namespace_was_unmounted_is_cleared_away() {
    let lab = need!(Lab::new());
    lab.shell("ip netns add blue; umount --all-targets /run/netns/blue").run().ok();
    assert_eq!(mounts_at(&lab, "/run/netns/blue"), 0);
    netns_link(&lab, &["--rm", "--force", "blue"]).ok();
    assert!(!lab.path("/run/netns/blue").exists());
}

#[test]
fn a_symbolic_link_is_removed_and_what_it_leads_to_stays_mounted() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    // As Docker keeps its namespaces; `ip netns del` would unmount this one.
    let script = format!(
        "mkdir -p /run/docker/netns /run/netns; touch /run/docker/netns/abc; \
         mount --bind /proc/{}/ns/net /run/docker/netns/abc; ln -s /run/docker/netns/abc /run/netns/web",
        web.pid
    );
    lab.shell(&script).run().ok();
    let mounted = mounts_at(&lab, "/run/docker/netns/abc");
    assert!(mounted > 0);
    netns_link(&lab, &["--rm", "--force", "web"]).ok();
    assert_eq!(mounts_at(&lab, "/run/docker/netns/abc"), mounted);
    assert!(fs::symlink_metadata(lab.path("/run/netns/web")).is_err());
}

#[test]
fn what_is_no_link_is_left_alone() {
    let lab = need!(Lab::new());
    lab.shell("ip netns add blue; mkdir /run/netns/dir; mkfifo /run/netns/fifo").run().ok();
    let before = everything(&lab);
    for name in ["dir", "fifo"] {
        // No hint: there is no use in trying again, and no other name to think of.
        let error = format!("netns-link: /run/netns/{name}: is not a namespace link\n");
        netns_link(&lab, &["--rm", name]).fails_with(2).stderr_is(&error);
        netns_link(&lab, &["--rm", "--force", name]).fails_with(2).stderr_is(&error);
    }
    assert_eq!(everything(&lab), before);
}

#[test]
fn of_several_those_that_can_be_removed_are() {
    let lab = need!(Lab::new());
    lab.shell("mkdir -p /run/netns/dir; ip netns add blue").run().ok();
    netns_link(&lab, &["--rm", "--force", "dir", "blue"]).fails_with(2).stderr_has("/run/netns/dir");
    assert!(!lab.path("/run/netns/blue").exists());
}
