//! A link, and what stands in its way.

use std::fs;

use crate::{everything, mounts_at, netns_link};
use support::container::Options;
use support::fake_docker;
use support::lab::Lab;
use support::run::Run;
use support::skip::need;

#[test]
fn a_linked_container_is_known_to_ip() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    web.ip("address add 198.18.0.7/32 dev lo");
    let _engine = fake_docker::knows(&[&web]).listen(lab.path("/run/docker.sock"));
    netns_link(&lab, &["web"]).ok().stdout_is("/run/netns/web\n").stderr_is("");

    let ip = |arguments: &str| lab.command("ip").args(arguments.split(' ')).run().ok();
    assert_eq!(ip("-j netns list").json()[0]["name"], "web");
    assert_eq!(ip("-n web -j address show dev lo").json()[0]["addr_info"][1]["local"], "198.18.0.7");
    let inside = format!("{}\n", lab.namespace(web.pid, "net"));
    ip("netns exec web readlink /proc/self/ns/net").stdout_is(&inside);
    ip(&format!("netns identify {}", web.pid)).stdout_is("web\n");
    ip("netns pids web").stdout_has(&format!("{}\n", web.pid));
    let net = "--net=/run/netns/web";
    lab.command("nsenter").args([net, "readlink", "/proc/self/ns/net"]).run().ok().stdout_is(&inside);
}

#[test]
fn the_same_call_again_changes_nothing_and_succeeds() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let link = [&web.pid.to_string(), "--as", "blue"];
    netns_link(&lab, &link).ok();
    let before = everything(&lab);
    netns_link(&lab, &link).ok().stdout_is("/run/netns/blue\n").stderr_is("");
    assert_eq!(everything(&lab), before);
}

/// As many articles have it, where `ip netns` is to know a container.
#[test]
fn a_symbolic_link_to_the_right_network_is_said_and_adopted_by_force() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let _engine = fake_docker::knows(&[&web]).listen(lab.path("/run/docker.sock"));
    lab.shell(&format!("mkdir -p /run/netns; ln -s /proc/{}/ns/net /run/netns/web", web.pid)).run().ok();
    let said = format!(
        "netns-link: /run/netns/web: is a symbolic link to /proc/{}/ns/net, the right network; left as it is, --force replaces it\n\
         hint: netns-link --force web --as web\n",
        web.pid
    );
    netns_link(&lab, &["web"]).ok().stdout_is("/run/netns/web\n").stderr_is(&said);
    // The first call has made the directory a mount.
    let before = everything(&lab);
    netns_link(&lab, &["--all"]).ok().stdout_is("/run/netns/web\n").stderr_has("the right network");
    assert_eq!(everything(&lab), before);
    let row = || netns_link(&lab, &["--list", "--json"]).ok().json()[0].clone();
    let inode: u64 = {
        let name = lab.namespace(web.pid, "net");
        name.trim_start_matches("net:[").trim_end_matches(']').parse().unwrap()
    };
    assert_eq!((&row()["state"], row()["netns_inode"].as_u64()), (&"named".into(), Some(inode)));

    netns_link(&lab, &["--force", "web", "--as", "web"]).ok().stdout_is("/run/netns/web\n").stderr_is("");
    assert_eq!((&row()["state"], row()["netns_inode"].as_u64()), (&"live".into(), Some(inode)));
    assert_eq!((&row()["container"], &row()["leads_to"]), (&"web".into(), &serde_json::Value::Null));
    assert!(fs::symlink_metadata(lab.path("/run/netns/web")).unwrap().is_file());
    lab.command("ip").args(["netns", "identify", &web.pid.to_string()]).run().ok().stdout_is("web\n");
}

#[test]
fn a_symbolic_link_to_anything_else_is_named_and_not_replaced() {
    let lab = need!(Lab::new());
    let [web, other] = ["web", "other"].map(|name| lab.container(name, Options::default()));
    let pid = web.pid.to_string();
    let ends = [
        (format!("/proc/{}/ns/net", other.pid), "another network namespace", "named"),
        (format!("/proc/{}/ns/mnt", web.pid), "a file that is no network namespace", "not-a-namespace"),
        ("/dev/null".to_owned(), "a file that is no network namespace", "not-a-namespace"),
        ("/run/nowhere".to_owned(), "a file that does not exist", "dangling"),
    ];
    lab.shell("mkdir -p /run/netns").run().ok();
    for (end, what, state) in ends {
        lab.shell(&format!("ln -sfn {end} /run/netns/web")).run().ok();
        let error = format!(
            "netns-link: /run/netns/web: is a symbolic link to {what}\n\
             hint: netns-link --rm --force web\n"
        );
        netns_link(&lab, &[&pid, "--as", "web"]).fails_with(2).stderr_is(&error);
        netns_link(&lab, &[&pid, "--as", "web", "--force"]).fails_with(2).stderr_is(&error);
        assert_eq!(fs::read_link(lab.path("/run/netns/web")).unwrap().to_str(), Some(end.as_str()));
        assert_eq!(netns_link(&lab, &["--list", "--json"]).ok().json()[0]["state"], state, "{end}");
    }
}

#[test]
fn a_new_network_answers_itself_unless_its_lo_is_to_stay_down() {
    let lab = need!(Lab::new());
    netns_link(&lab, &["--new", "blue"]).ok().stdout_is("/run/netns/blue\n");
    netns_link(&lab, &["--new", "red", "--no-lo"]).ok();
    let lo = |name: &str| {
        let links = lab.command("ip").args(["-n", name, "-j", "link", "show", "lo"]).run().ok().json();
        links[0]["flags"].as_array().unwrap().contains(&"UP".into())
    };
    assert_eq!((lo("blue"), lo("red")), (true, false));
    lab.shell("ip -n blue address add 198.18.0.7/32 dev lo").run().ok();
    let routed = lab.command("ip").args(["-n", "blue", "route", "get", "198.18.0.7"]).run().ok();
    routed.stdout_has("local 198.18.0.7 dev lo");
}

#[test]
fn the_hint_for_a_name_that_exists_already_works_as_it_is() {
    let lab = need!(Lab::new());
    netns_link(&lab, &["--new", "blue"]).ok();
    let inode = || netns_link(&lab, &["--list", "--json"]).ok().json()[0]["netns_inode"].clone();
    let before = inode();
    let said = netns_link(&lab, &["--new", "blue"]).fails_with(2);
    said.stdout_is("")
        .stderr_is("netns-link: /run/netns/blue: exists already\nhint: netns-link --new OTHERNAME\n");
    netns_link(&lab, &["--new", "OTHERNAME"]).ok().stdout_is("/run/netns/OTHERNAME\n");
    netns_link(&lab, &["--new", "blue", "--force"]).fails_with(2);
    // `OTHERNAME` is sorted first.
    netns_link(&lab, &["--rm", "OTHERNAME"]).ok();
    assert_eq!(inode(), before);
}

#[test]
fn a_link_looks_like_one_that_ip_made() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    let pid = web.pid.to_string();
    netns_link(&lab, &[&pid, "--as", "ours"]).ok();
    lab.command("ip").args(["netns", "attach", "theirs", &pid]).run().ok();
    let look = |name: &str| {
        let path = format!("/run/netns/{name}");
        let stat = lab.command("stat").args(["--format", "%a %u %g %i %d %F", &path]).run().ok().stdout;
        (stat, mounts_at(&lab, &path))
    };
    assert_eq!(look("ours"), look("theirs"));
    lab.command("ip").args(["netns", "del", "ours"]).run().ok();
    assert_eq!(mounts_at(&lab, "/run/netns/ours"), 0);
    assert!(!lab.path("/run/netns/ours").exists());
}

#[test]
fn a_link_outlives_the_processes_and_then_has_none() {
    let lab = need!(Lab::new());
    let mut web = lab.container("web", Options::default());
    web.ip("link set lo alias kept");
    netns_link(&lab, &[&web.pid.to_string(), "--as", "web"]).ok();
    web.stop();
    let lo = lab.command("ip").args(["-n", "web", "-j", "link", "show", "dev", "lo"]).run().ok().json();
    assert_eq!(lo[0]["ifalias"], "kept");
    lab.command("ip").args(["netns", "pids", "web"]).run().ok().stdout_is("");
}

#[test]
fn a_name_that_is_taken_is_an_error_and_nothing_is_touched() {
    let lab = need!(Lab::new());
    let (web, db) = (lab.container("web", Options::default()), lab.container("db", Options::default()));
    netns_link(&lab, &[&db.pid.to_string(), "--as", "other"]).ok();
    let dir = lab.path("/run/netns");
    fs::write(dir.join("file"), "mine").unwrap();
    fs::create_dir(dir.join("dir")).unwrap();
    std::os::unix::fs::symlink(format!("/proc/{}/ns/net", db.pid), dir.join("symlink")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.join("dangling")).unwrap();
    lab.command("mkfifo").arg("/run/netns/fifo").run().ok();
    lab.shell(&format!("touch /run/netns/uts; mount --bind /proc/{}/ns/uts /run/netns/uts", web.pid))
        .run()
        .ok();

    let before = everything(&lab);
    for name in ["other", "file", "dir", "symlink", "dangling", "fifo", "uts"] {
        let refused = netns_link(&lab, &[&web.pid.to_string(), "--as", name]).fails_with(2).stdout_is("");
        refused.stderr_has(&format!("netns-link: /run/netns/{name}: is "));
    }
    assert_eq!(everything(&lab), before);
    assert_eq!(fs::read_to_string(dir.join("file")).unwrap(), "mine");
}

#[test]
fn of_several_those_that_can_be_linked_are() {
    let lab = need!(Lab::new());
    let (web, db) = (lab.container("web", Options::default()), lab.container("db", Options::default()));
    let _engine = fake_docker::knows(&[&web, &db]).listen(lab.path("/run/docker.sock"));
    netns_link(&lab, &["web", "nope", "db"])
        .fails_with(1)
        .stdout_is("/run/netns/web\n/run/netns/db\n")
        .stderr_has("netns-link: nope: no such container");
    for container in [&web, &db] {
        let mut identify = lab.command("ip");
        identify.args(["netns", "identify", &container.pid.to_string()]);
        identify.run().ok().stdout_is(&format!("{}\n", container.name));
    }
}

#[test]
fn a_container_that_was_restarted_is_not_mistaken_for_its_old_link() {
    let lab = need!(Lab::new());
    let mut web = lab.container("web", Options::default());
    let engine = fake_docker::knows(&[&web]).listen(lab.path("/run/docker.sock"));
    netns_link(&lab, &["web"]).ok();
    let old = fs::metadata(lab.path("/run/netns/web"))
        .map(|old| std::os::unix::fs::MetadataExt::ino(&old))
        .unwrap();
    web.restart();
    drop(engine);
    let _engine = fake_docker::knows(&[&web]).listen(lab.path("/run/docker.sock"));
    let refused = netns_link(&lab, &["web"]).fails_with(2).stdout_is("");
    refused.stderr_has("another network namespace").stderr_has("hint: netns-link --refresh\n");
    let now = fs::metadata(lab.path("/run/netns/web"))
        .map(|now| std::os::unix::fs::MetadataExt::ino(&now))
        .unwrap();
    assert_eq!(now, old);
    // The hint is a command that works.
    netns_link(&lab, &["--refresh"]).ok();
    let inside = format!("{}\n", lab.namespace(web.pid, "net"));
    lab.command("ip")
        .args(["netns", "exec", "web", "readlink", "/proc/self/ns/net"])
        .run()
        .ok()
        .stdout_is(&inside);
}

#[test]
fn a_stopped_container_is_an_honest_no_and_nothing_is_touched() {
    let lab = need!(Lab::new());
    let mut web = lab.container("web", Options::default());
    web.stop();
    let _engine = fake_docker::knows(&[&web]).listen(lab.path("/run/docker.sock"));
    let before = everything(&lab);
    netns_link(&lab, &["web"]).fails_with(1).stdout_is("").stderr_has("web is not running (exited");
    assert_eq!(everything(&lab), before);
}

#[test]
fn a_linked_name_is_a_target_for_other_tools() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    netns_link(&lab, &[&web.pid.to_string(), "--as", "blue"]).ok();
    netns_link(&lab, &["netns:blue", "--as", "azure"]).ok();
    let mut enter = lab.tool("nsenter-rs");
    let shown = enter.args(["-t", "netns:azure", "-n", "readlink", "/proc/self/ns/net"]).run().ok();
    shown.stdout_is(&format!("{}\n", lab.namespace(web.pid, "net")));
}
