//! Records that are damaged, older or newer: each is named, and none stops what is about others.

use crate::{add_nic, everything, lab, plug};
use support::container::Options;
use support::run::Run;
use support::skip::need;

#[test]
fn a_damaged_record_is_set_aside_and_stops_nobody() {
    let damages = [
        ("is empty", ": >$x"),
        ("is not a record: ", "head -c 300 $record >$x"),
        ("is not a record: ", "echo '{}' >$x"),
        ("is a directory", "mkdir $x"),
        ("is a symbolic link", "ln -s $record $x"),
        ("is empty", "mkfifo $x"),
    ];
    let lab = need!(lab());
    let (web, db) =
        (lab.container("web", Options::only(&["net"])), lab.container("db", Options::only(&["net"])));
    plug(&lab, &web, "10.1.0.2/24").ok();
    for (why, damage) in damages {
        for call in [
            vec!["--list".to_owned()],
            vec!["--check".to_owned()],
            vec![db.pid.to_string(), "10.2.0.2/24".to_owned()],
            vec!["--rm".to_owned(), db.pid.to_string()],
            vec!["--rm".to_owned(), "--force".to_owned(), db.pid.to_string()],
        ] {
            let script = "cd /run/netns-toolbox/nics; record=$(ls | head -1); x=damaged-one.json";
            lab.shell(&format!("{script}; {damage}")).run().ok();
            let dry = add_nic(&lab, &["--rm", "--dry-run", &web.pid.to_string()]).ok();
            dry.stdout_has("ip link del")
                .stderr_has(&format!("damaged-one.json: {why}"))
                .stderr_has(": ignored");
            let words: Vec<&str> = call.iter().map(String::as_str).collect();
            let said = add_nic(&lab, &words).ok();
            said.stderr_has(&format!("damaged-one.json: {why}"))
                .stderr_has("moved to /run/netns-toolbox/damaged/damaged-one.json")
                .stderr_has(
                    "hint: ip -o link | grep 'alias add-nic:'; nft list ruleset | grep damaged-one\n",
                );
            add_nic(&lab, &["--check"]).ok().stderr_is("");
        }
    }
    let kept = lab.shell("ls /run/netns-toolbox/damaged | wc -l").run().ok();
    assert_eq!(kept.text(), (damages.len() * 5).to_string());
}

#[test]
fn an_older_record_is_read_and_a_newer_one_is_left_alone() {
    let lab = need!(lab());
    let (web, db) =
        (lab.container("web", Options::only(&["net"])), lab.container("db", Options::only(&["net"])));
    let before = everything(&lab, &[&web, &db]);
    plug(&lab, &web, "10.1.0.2/24").ok();
    plug(&lab, &db, "10.2.0.2/24").ok();
    // As add-nic had it before records had a number.
    let script = "cd /run/netns-toolbox/nics; grep -l 10.1.0.2/24 * | xargs sed -i 's/\"format\":[0-9]*,//'; ! grep -l format $(grep -l 10.1.0.2/24 *)";
    lab.shell(script).run().ok();
    add_nic(&lab, &["--check"]).ok();
    let script = "cd /run/netns-toolbox/nics; grep -l 10.2.0.2/24 * | xargs sed -i 's/\"format\":[0-9]*,\\(.*\\)add-nic [0-9.]*/\"format\":77,\"zzz\":1,\\1add-nic 9.9/'";
    lab.shell(script).run().ok();
    let with_both = everything(&lab, &[&web, &db]);
    // It is said once, and what could not be looked at is not said to be right.
    let said = "written by a newer version (add-nic 9.9, format 77): left alone";
    let listed = add_nic(&lab, &["--list"]).ok();
    assert_eq!(listed.stderr.matches(said).count(), 1, "{listed}");
    add_nic(&lab, &["--check"]).fails_with(2).stdout_is("").stderr_has(said);
    add_nic(&lab, &["--check", &db.pid.to_string()]).fails_with(2).stderr_has(said);
    add_nic(&lab, &["--check", &web.pid.to_string()]).ok();
    let refused = add_nic(&lab, &["--rm", &db.pid.to_string()]).fails_with(2);
    refused.stderr_has("has a NIC that a newer version recorded (add-nic 9.9)");
    assert_eq!(everything(&lab, &[&web, &db]), with_both);
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok().stdout_has("removed");
    assert_ne!(everything(&lab, &[&web, &db]), before);
    lab.shell("sed -i 's/\"format\":77/\"format\":1/' /run/netns-toolbox/nics/*").run().ok();
    add_nic(&lab, &["--rm", &db.pid.to_string()]).ok();
    assert_eq!(everything(&lab, &[&web, &db]), before);
}

/// What the hint of a damaged record shows is what is left, and can be removed by hand.
#[test]
fn what_a_damaged_record_was_about_is_found_by_the_commands_of_its_hint() {
    let site = need!(crate::firewall::Site::new());
    let before = everything(&site.lab, &[&site.web]);
    plug(&site.lab, &site.web, "10.1.0.2/24 --nat=all --publish 8080:80 --host-name web0").ok();
    site.lab.shell("cd /run/netns-toolbox/nics; truncate -s 100 *.json").run().ok();
    let said = add_nic(&site.lab, &["--check"]).ok().stderr;
    let hint = said.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap().to_owned();
    let shown = site.lab.shell(&hint).run().ok();
    shown.stdout_has("web0@").stdout_has("chain nic-");
    site.lab
        .shell("ip link del web0; nft delete table inet netns-toolbox; echo 0 >/proc/sys/net/ipv4/ip_forward")
        .run()
        .ok();
    assert_eq!(everything(&site.lab, &[&site.web]), before);
}

#[test]
fn a_record_that_cannot_be_read_is_an_error_and_nothing_is_changed() {
    let lab = need!(lab());
    need!(support::skip::program("setpriv", "util-linux"));
    let web = lab.container("web", Options::only(&["net"]));
    let before = everything(&lab, &[&web]);
    plug(&lab, &web, "10.1.0.2/24").ok();
    let added = everything(&lab, &[&web]);
    lab.shell("chmod 000 /run/netns-toolbox/nics/*.json").run().ok();
    let pid = web.pid.to_string();
    for words in [vec!["--list"], vec!["--check"], vec!["--rm", &pid], vec![&pid, "10.2.0.2/24"]] {
        let mut call = lab.command("setpriv");
        call.args(["--bounding-set=-dac_override,-dac_read_search", support::tools::tool("add-nic")]);
        let refused = call.args(&words).run().fails_with(2).stdout_is("");
        refused
            .stderr_has(".json: read: Permission denied")
            .stderr_has("hint: run it on the host, as a root user");
        assert_eq!(everything(&lab, &[&web]), added, "{words:?}");
    }
    add_nic(&lab, &["--rm", &pid]).ok();
    assert_eq!(everything(&lab, &[&web]), before);
}
