//! `--watch FILE` with `--dry-run` and `--preflight`: all entries as one plan; and entries that replace.

use serde_json::Value;

use super::{FILE, container, engine, nics, watch, write};
use crate::{add_nic, everything, lab, reaches};
use support::lab::Lab;
use support::run::{Ran, Run};
use support::skip::{need, program};
use support::until::until;

fn nic(container: &str, words: &str) -> String {
    format!("[[nic]]\ncontainer = '{container}'\n{words}\n")
}

#[track_caller]
fn dry_run(lab: &Lab) -> Ran {
    add_nic(lab, &["--watch", FILE, "--dry-run"])
}

#[test]
fn what_a_dry_run_of_a_file_shows_is_what_the_watch_does() {
    let shown = {
        let lab = need!(lab());
        let (web, db) = (container(&lab, "web"), container(&lab, "db"));
        let _engine = engine(&lab, &[&web, &db]);
        write(&lab, &file());
        let before = everything(&lab, &[&web, &db]);
        let script = dry_run(&lab).ok().stderr_is("").stdout;
        assert_eq!(everything(&lab, &[&web, &db]), before);
        assert!(!lab.path("/run/netns-toolbox").exists());
        for line in [1, 5, 9, 15] {
            assert!(script.contains(&format!("# {FILE}:{line}: ")), "{line}: {script}");
        }
        // In the order of the file, on the bridge that the third entry makes.
        for name in ["name eth0", "name eth1", "name eth2"] {
            assert_eq!(
                script.matches(&format!("{name} ")).count(),
                if name == "name eth0" { 2 } else { 1 },
                "{script}"
            );
        }
        assert_eq!(script.matches("ip link add br1 ").count(), 1, "{script}");
        let json = add_nic(&lab, &["--watch", FILE, "--dry-run", "--json"]).ok().json();
        assert_eq!(
            json.as_array().unwrap().len(),
            script.lines().filter(|line| !line.starts_with('#')).count()
        );
        assert!(
            json.as_array().unwrap().iter().all(|line| line["line"].is_u64() && line["command"].is_string())
        );
        lab.shell(&script).run().ok();
        reaches(&lab, "10.3.0.2");
        reaches(&lab, "10.3.0.3");
        addresses(&lab, &[&web, &db])
    };
    let lab = need!(lab());
    let (web, db) = (container(&lab, "web"), container(&lab, "db"));
    let _engine = engine(&lab, &[&web, &db]);
    write(&lab, &file());
    add_nic(&lab, &["--watch", FILE, "--once"]).ok();
    assert_eq!(addresses(&lab, &[&web, &db]), shown);
    dry_run(&lab).ok().stdout_is("");
}

fn file() -> String {
    [
        nic("web", "addresses = '10.1.0.2/24'\n"),
        nic("web", "addresses = '10.2.0.2/24'\n"),
        nic(
            "web",
            "addresses = '10.3.0.2/24'\nbridge = 'br1'\ncreate = true\nsysctl = 'net.ipv4.ip_default_ttl=33'",
        ),
        nic("db", "addresses = '10.3.0.3/24'\nbridge = 'br1'"),
    ]
    .concat()
}

/// Names and addresses of both, and of the host.
fn addresses(lab: &Lab, containers: &[&support::container::Container]) -> Vec<String> {
    let brief = "ip -br -4 address | sed 's/@[^ ]*//; s/ *$//' | sort";
    let inside = containers.iter().map(|one| format!("nsenter --target {} --net sh -c \"{brief}\"", one.pid));
    std::iter::once(brief.to_owned())
        .chain(inside)
        .map(|script| lab.shell(&script).run().ok().stdout)
        .collect()
}

#[test]
fn what_two_entries_both_want_is_found_before_anything_is_done() {
    let lab = need!(lab());
    need!(program("nft", "nftables"));
    let (web, db) = (container(&lab, "web"), container(&lab, "db"));
    let _engine = engine(&lab, &[&web, &db]);
    let before = everything(&lab, &[&web, &db]);
    // The same container under another name; a name that the order of the file gives; a network; a port.
    let cases = [
        (
            nic("docker:web", "addresses = '10.1.0.2/24'"),
            "docker:web: 10.1.0.2: already used by the entry in line 1",
        ),
        (
            nic("web", "addresses = '10.2.0.2/24'\nname = 'eth0'"),
            "web: eth0: already used by the entry in line 1",
        ),
        (
            nic("docker:web", "addresses = '10.2.0.2/24'\nname = 'eth0'"),
            "docker:web: eth0: already used by the entry in line 1",
        ),
        (nic("db", "addresses = '10.1.0.3/24'"), "db: 10.1.0.0/24: already on the veth pair of web"),
        (
            nic("db", "addresses = '10.2.0.2/24'\nhost-name = 'web-eth0'"),
            "db: web-eth0: name already in use on the host",
        ),
        (
            nic("db", "addresses = '10.2.0.2/24'\ngateway = '10.2.0.1'\npublish = '8080:81'"),
            "port 8080/tcp of the host: already used by the entry in line 1",
        ),
    ];
    for (second, said) in cases {
        write(
            &lab,
            &[
                nic("web", "addresses = '10.1.0.2/24'\ngateway = '10.1.0.1'\npublish = '8080:80'"),
                second.clone(),
            ]
            .concat(),
        );
        for job in ["--dry-run", "--preflight"] {
            add_nic(&lab, &["--watch", FILE, job]).fails_with(2).stderr_has(said);
        }
        assert_eq!(everything(&lab, &[&web, &db]), before, "{second}");
    }
}

#[test]
fn the_problems_of_a_file_are_printed_with_their_entries() {
    let lab = need!(lab());
    let (web, db) = (container(&lab, "web"), container(&lab, "db"));
    let _engine = engine(&lab, &[&web, &db]);
    lab.shell("ip link add bare up type bridge").run().ok();
    write(
        &lab,
        &[nic("web", "addresses = '10.1.0.2/24'"), nic("db", "addresses = '10.2.0.2/24'\nbridge = 'bare'")]
            .concat(),
    );
    let preflight = add_nic(&lab, &["--watch", FILE, "--preflight"]).fails_with(1);
    let said = format!(
        "{FILE}:4: db: bare has no address in 10.2.0.0/24: the host does not reach 10.2.0.2\n  fix: the entry in line 4 of {FILE} needs: host-addr = '10.2.0.1'\n"
    );
    assert_eq!(preflight.stdout, said);
    let json: Value = serde_json::from_str(
        &add_nic(&lab, &["--watch", FILE, "--preflight", "--json"]).fails_with(1).stdout,
    )
    .unwrap();
    assert_eq!((json[0]["line"].as_u64(), json[0]["kind"].as_str()), (Some(4), Some("no-host-address")));
    // What helps is a line of the file, and does.
    lab.shell(&format!("echo \"host-addr = '10.2.0.1'\" >>{FILE}")).run().ok();
    add_nic(&lab, &["--watch", FILE, "--preflight"]).ok().stdout_is("");
    write(&lab, &nic("db", "addresses = '10.2.0.2/24'\nbridge = 'absent'"));
    let hint = format!(
        "{FILE}:1: db: absent: no such bridge\nhint: the entry in line 1 of {FILE} needs: create = true\n"
    );
    for job in ["--dry-run", "--preflight", "--once"] {
        add_nic(&lab, &["--watch", FILE, job]).stderr_has(&hint);
    }
    // Who is not there is named, and the others are planned.
    write(
        &lab,
        &[nic("gone", "addresses = '10.9.0.2/24'"), nic("web", "addresses = '10.1.0.2/24'")].concat(),
    );
    let shown = dry_run(&lab).fails_with(1).stdout_has("ip link add web-eth0 ");
    shown.stderr_has(&format!("{FILE}:1: gone: gone: no such container"));
}

#[test]
fn an_entry_with_other_options_is_said_and_replaced_only_if_it_says_so() {
    let lab = need!(lab());
    let web = container(&lab, "web");
    let _engine = engine(&lab, &[&web]);
    add_nic(&lab, &["web", "10.1.0.2/24"]).ok();
    let index = || web.ip("-j link show eth0").json()[0]["ifindex"].clone();
    let before = index();
    let entry = nic("web", "addresses = '10.1.0.2/24'\nmtu = 1400");
    write(&lab, &entry);
    let once = ["--watch", FILE, "--once"];
    let said = add_nic(&lab, &once).fails_with(1).stdout_is("");
    said.stderr_has(&format!(
        "{FILE}:1: web: 10.1.0.2: already the address of eth0 in web, which add-nic added with other options"
    ));
    assert_eq!(nics(&lab)[0]["mtu_bytes"], 1500);
    write(&lab, &format!("{entry}replace = true\n"));
    add_nic(&lab, &["--watch", FILE, "--dry-run"]).ok().stdout_has("ip link set eth0 mtu 1400");
    add_nic(&lab, &once).ok().stdout_has("web: eth0 10.1.0.2/24").stdout_has(", changed in place");
    assert_eq!((nics(&lab)[0]["mtu_bytes"].as_u64(), index()), (Some(1400), before.clone()));
    assert_eq!(nics(&lab)[0]["watch_file"], FILE);
    add_nic(&lab, &once).ok().stdout_is("").stderr_is("");
    // A running watch does it when the file is written: the interface stays.
    let watch = watch(&lab, "");
    write(&lab, &nic("web", "addresses = ['10.1.0.2/24', '10.5.0.2/24']\nreplace = true"));
    watch.wait_for("web: eth0 10.1.0.2/24 10.5.0.2/24");
    watch.wait_for(", changed in place");
    assert_eq!(index(), before);
    reaches(&lab, "10.5.0.2");
    assert_eq!(nics(&lab).len(), 1);
}

/// Commands would be about whatever has the old name by now.
#[test]
fn a_dry_run_of_a_file_shows_no_commands_for_an_interface_that_was_renamed() {
    let lab = need!(lab());
    let web = container(&lab, "web");
    let _engine = engine(&lab, &[&web]);
    for (rename, says) in [
        (
            "down name wan",
            "web: eth0: was renamed to wan, and commands would be about what is called eth0 now",
        ),
        ("down name eth0", ""),
    ] {
        write(&lab, &nic("web", "addresses = '10.1.0.2/24'"));
        add_nic(&lab, &["--watch", FILE, "--once"]).ok();
        web.ip(&format!("link set eth0 {rename}"));
        write(&lab, &nic("web", "addresses = '10.1.0.2/24'\nmtu = 1400\nreplace = true"));
        let before = everything(&lab, &[&web]);
        let shown = dry_run(&lab);
        match says {
            "" => shown.ok().stdout_has("ip link set eth0 mtu 1400"),
            says => shown.fails_with(2).stdout_is("").stderr_has(&format!("{FILE}:1: {says}")),
        };
        assert_eq!(everything(&lab, &[&web]), before, "{rename}");
        // By its index it is found.
        add_nic(&lab, &["--watch", FILE, "--once"]).ok();
        assert_eq!(nics(&lab)[0]["mtu_bytes"], 1400, "{rename}");
        write(&lab, "");
        add_nic(&lab, &["--watch", FILE, "--once"]).ok();
        assert_eq!(nics(&lab), Vec::<Value>::new(), "{rename}");
    }
}

#[test]
fn a_file_that_is_edited_back_and_forth_ends_as_it_was_written_last() {
    let lab = need!(lab());
    let web = container(&lab, "web");
    let _engine = engine(&lab, &[&web]);
    let before = everything(&lab, &[&web]);
    let entry = |keys: &str| nic("web", &format!("addresses = '10.1.0.2/24'\nreplace = true\n{keys}"));
    let versions = [
        "mtu = 1400",
        "bridge = 'br1'\ncreate = true",
        "gateway = '10.1.0.1'",
        "bridge = 'br2'\ncreate = true\nmtu = 1300",
        "name = 'wan'",
        "",
    ];
    write(&lab, &entry(""));
    let watch = watch(&lab, "");
    watch.wait_for("web: eth0 10.1.0.2/24");
    // Faster than it can follow, at any moment of its work.
    for round in 0..8_u64 {
        for (at, keys) in versions.iter().enumerate() {
            write(&lab, &entry(keys));
            let pause = (round * 7 + at as u64 * 13) % 40;
            std::thread::sleep(std::time::Duration::from_millis(pause));
        }
    }
    for keys in versions {
        write(&lab, &entry(keys));
        until("the NIC is as the file says", || {
            let shown = add_nic(&lab, &["--watch", FILE, "--dry-run"]);
            shown.status.unwrap().success() && shown.stdout.is_empty()
        });
        add_nic(&lab, &["--check"]).ok();
        assert_eq!(nics(&lab).len(), 1, "{keys}");
        reaches(&lab, "10.1.0.2");
    }
    let said = watch.so_far().stdout;
    assert!(!said.contains("changed again") && !said.contains("add-nic: "), "{said}");
    // Nothing is left of all versions in between.
    write(&lab, "");
    until("the NIC is removed", || nics(&lab).is_empty());
    assert_eq!(everything(&lab, &[&web]), before);
}
