//! The file of a watch: what it may say, and when it is read.

use std::fs;

use nix::sys::signal::Signal;

use super::{DB, FILE, WEB, container, engine, nics, watch, write};
use crate::{add_nic, everything, lab, reaches};
use support::run::Run;
use support::skip::need;
use support::tools;

#[test]
fn the_file_is_read_again_when_it_is_written_and_hand_made_nics_are_not_touched() {
    let lab = need!(lab());
    let (web, db) = (container(&lab, "web"), container(&lab, "db"));
    let _engine = engine(&lab, &[&web, &db]);
    add_nic(&lab, &["web", "10.9.0.2/24"]).ok();
    add_nic(&lab, &["db", "10.2.0.2/24", "--bridge", "br1", "--create", "--mtu", "1400"]).ok();
    write(&lab, &[WEB, DB].concat());
    let watch = watch(&lab, "");
    watch.wait_for("web: eth1 10.1.0.2/24");
    // Another address is another NIC.
    write(&lab, &[&WEB.replace("10.1.0.2", "10.1.0.7"), DB].concat());
    watch.wait_for("web: eth1 10.1.0.2/24 fd00:1::2/64 removed\n");
    watch.wait_for("web: eth1 10.1.0.7/24");
    // In place, as `echo >>` does it, and not with sense.
    fs::write(lab.path(FILE), "[[nic]]\ncontainer = \n").unwrap();
    watch.wait_for("add-nic: /run/nics.toml:2: ");
    watch.wait_for("add-nic: /run/nics.toml: the previous version stays in effect\n");
    reaches(&lab, "10.1.0.7");
    // Another file beside it is no news, nor is the same text again.
    fs::write(lab.path("/run/other.toml"), "[[nic").unwrap();
    fs::write(lab.path(FILE), "").unwrap();
    watch.wait_for("web: eth1 10.1.0.7/24 fd00:1::2/64 removed\n");
    let left: Vec<String> = nics(&lab).iter().map(|nic| nic["addresses"].to_string()).collect();
    assert_eq!(left, [r#"["10.9.0.2/24"]"#, r#"["10.2.0.2/24"]"#]);
    assert_eq!(watch.so_far().stdout.matches("add-nic: ").count(), 2, "{}", watch.so_far());
}

#[test]
fn a_file_that_is_reached_through_a_link_is_followed() {
    let lab = need!(lab());
    let web = container(&lab, "web");
    let _engine = engine(&lab, &[&web]);
    // As Kubernetes mounts a ConfigMap.
    lab.shell("mkdir /run/config /run/config/1 /run/config/2; ln -s 1 /run/config/data; ln -s config/data/nics.toml /run/nics.toml")
        .run()
        .ok();
    fs::write(lab.path("/run/config/1/nics.toml"), WEB).unwrap();
    fs::write(lab.path("/run/config/2/nics.toml"), "").unwrap();
    let watch = watch(&lab, "");
    watch.wait_for("web: eth0 10.1.0.2/24");
    fs::write(lab.path("/run/config/1/nics.toml"), WEB.replace("10.1.0.2", "10.1.0.3")).unwrap();
    watch.wait_for("web: eth0 10.1.0.3/24");
    lab.shell("cd /run; ln -s config/2/nics.toml new; mv -T new nics.toml").run().ok();
    watch.wait_for("web: eth0 10.1.0.3/24 fd00:1::2/64 removed\n");
}

#[test]
fn sighup_reads_the_file_and_the_others_end_it_and_leave_the_nics() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let lab = need!(lab());
        let web = container(&lab, "web");
        let _engine = engine(&lab, &[&web]);
        write(&lab, "");
        let watch = watch(&lab, "");
        write(&lab, WEB);
        watch.wait_for("web: eth0 10.1.0.2/24");
        // Half a file may look so, and so it is not looked at.
        let new = lab.path("/run/new.toml");
        fs::write(&new, WEB.replace("10.1.0.2", "10.1.0.3")).unwrap();
        fs::remove_file(lab.path(FILE)).unwrap();
        fs::hard_link(new, lab.path(FILE)).unwrap();
        watch.signal_behind_nsenter(Signal::SIGHUP);
        watch.wait_for("web: eth0 10.1.0.3/24");
        let before = everything(&lab, &[&web]);
        watch.signal_behind_nsenter(signal);
        watch.finish().ok();
        assert_eq!(everything(&lab, &[&web]), before);
        reaches(&lab, "10.1.0.3");
        add_nic(&lab, &["--rm", "web"]).ok().stdout_has("removed");
    }
}

#[test]
fn a_file_that_makes_no_sense_is_one_clear_error_before_anything_is_done() {
    let lab = need!(lab());
    let web = container(&lab, "web");
    let _engine = engine(&lab, &[&web]);
    let before = everything(&lab, &[&web]);
    let nic = |keys: &str| format!("{WEB}[[nic]]\ncontainer = 'x'\naddresses = ['10.8.0.2/24']\n{keys}\n");
    let cases = [
        ("[[nic]]\ncontainer = ".to_owned(), "nics.toml:2: "),
        ("[[nic]]\ncontainer = 'a'\ncontainer = 'b'".to_owned(), "nics.toml:3: duplicate key"),
        ("[[nics]]".to_owned(), "nics.toml:1: unknown key 'nics'\nhint: each NIC is a table [[nic]]"),
        (
            "[nic]\ncontainer = 'a'".to_owned(),
            "nics.toml:1: nic is not an array of tables\nhint: start each NIC with [[nic]]",
        ),
        ("nic = ['web']".to_owned(), "nics.toml:1: not a table"),
        ("\n[[nic]]\naddresses = []".to_owned(), "nics.toml:2: [[nic]] has no container"),
        ("[[nic]]\ncontainer = 7".to_owned(), "nics.toml:2: container is not a string"),
        ("[[nic]]\ncontainer = ''".to_owned(), "nics.toml:1: "),
        ("[[nic]]\ncontainer = '-t'\naddresses = '10.1.0.2/24'".to_owned(), "nics.toml:1: -t: "),
        ("[[nic]]\ncontainer = 'a'".to_owned(), "nics.toml:1: a: ADDR: missing"),
        (
            "[[nic]]\ncontainer = 'a'\naddresses = '10.1.0.2'".to_owned(),
            "nics.toml:3: a: 10.1.0.2 has no prefix length",
        ),
        (nic("adresses = 'x'"), "nics.toml:8: x: adresses is not an option of add-nic"),
        (nic("rm = true"), "nics.toml:8: x: rm is not allowed in a watch file"),
        (nic("dry-run = true"), "nics.toml:8: x: dry-run is not allowed in a watch file"),
        (nic("preflight = true"), "nics.toml:8: x: preflight is not allowed in a watch file"),
        (nic("help = true"), "nics.toml:8: x: help is not allowed in a watch file"),
        (nic("watch = 'nics.toml'"), "nics.toml:8: x: watch is not allowed in a watch file"),
        (nic("mtu = 1.5"), "nics.toml:8: x: mtu is not a string, a number, true or false"),
        (nic("mtu = 1979-05-27"), "nics.toml:8: x: mtu is not"),
        (nic("name = { eth = 1 }"), "nics.toml:8: x: name is not"),
        (nic("mtu = true"), "nics.toml:8: x: a value is required for '--mtu <BYTES>'"),
        (nic("mtu = 'wide'"), "nics.toml:8: x: invalid value 'wide' for '--mtu <BYTES>'"),
        (
            nic("mtu = [1400, 1500]"),
            "nics.toml:8: x: the argument '--mtu <BYTES>' cannot be used multiple times",
        ),
        (nic("mtu = 60"), "nics.toml:8: x: MTU 60: must be 68 to 65535"),
        (nic("create = true"), "nics.toml:8: x: the following required arguments were not provided:"),
        (nic("create = 'yes'\nbridge = 'b'"), "nics.toml:8: x: unexpected value 'yes' for '--create' found"),
        (nic("name = '--rm'"), "nics.toml:8: x: invalid value"),
        (nic("gateway = '10.9.0.1'"), "nics.toml:8: x: 10.9.0.1: not in 10.8.0.0/24, the NIC's network"),
        (
            nic("metric = 7\nroute = ['10.9.0.0/16@10.8.0.1']\nmtu = 60\ngateway = '10.8.0.1'"),
            "nics.toml:10: x: MTU 60: must be",
        ),
        (
            nic("").replace("10.8.0.2", "10.1.0.2"),
            "nics.toml:5: x: 10.1.0.2: already used by the entry in line 2",
        ),
        (
            nic("publish = ['8080:80']").replace(WEB, &format!("{WEB}publish = ['127.0.0.1:8080:80']\n")),
            "nics.toml:6: x: port 8080/tcp of the host: already used by the entry in line 2",
        ),
        (WEB.repeat(2), "nics.toml:6: web: 10.1.0.2: already used by the entry in line 2"),
        (
            format!("{}name = 'n'\n{}name = 'n'", nic(""), nic("").replace(WEB, "").replace(".2/", ".3/")),
            "n: already used by the entry in line 5",
        ),
    ];
    for (text, why) in cases {
        write(&lab, &text);
        let refused = add_nic(&lab, &["--watch", FILE]).fails_with(2).stdout_is("").stderr_has(why);
        assert_eq!(refused.stderr.matches("add-nic: ").count(), 1, "{refused}");
        assert!(!refused.stderr.contains("Usage"), "{refused}");
        assert_eq!(everything(&lab, &[&web]), before, "{text}");
    }
}

#[test]
fn a_file_that_others_can_write_is_no_order_of_roots() {
    let lab = need!(lab());
    write(&lab, WEB);
    lab.command("chmod").args(["666", FILE]).run().ok();
    let refused = add_nic(&lab, &["--watch", FILE]).fails_with(2);
    refused.stderr_has("/run/nics.toml: can be written by another user\nhint: chown root");
    for (file, why) in [
        ("/run/none.toml", "No such file"),
        ("/run/none/x", "No such file"),
        ("/", "not a file"),
        ("/run", "not a file"),
    ] {
        add_nic(&lab, &["--watch", file]).fails_with(2).stderr_has(why);
    }
    lab.command("mkfifo").arg("/run/fifo").run().ok();
    add_nic(&lab, &["--watch", "/run/fifo"]).fails_with(2).stderr_has("not a file");
    fs::write(
        lab.path("/run/evil"),
        "[[nic]]\ncontainer = 'a\u{1b}[2J'\naddresses = '10.1.0.2/24'\n\"\\u001b[2J\" = 1\n",
    )
    .unwrap();
    let refused = add_nic(&lab, &["--watch", "/run/evil"]).fails_with(2);
    assert!(!refused.stderr.contains('\u{1b}'), "{refused}");
}

#[test]
fn a_file_is_read_again_when_its_mode_is_put_right() {
    let lab = need!(lab());
    let web = container(&lab, "web");
    let _engine = engine(&lab, &[&web]);
    lab.shell("mkdir -m 755 -p /run/etc/below").run().ok();
    let file = lab.path("/run/etc/below/nics.toml");
    fs::write(&file, WEB).unwrap();
    let tool = tools::tool("add-nic");
    let watch = lab.shell(&format!("exec {tool} --watch /run/etc/below/nics.toml 2>&1")).start();
    watch.wait_for("web: eth0 10.1.0.2/24");
    // As the hints have it: the file itself, and a directory above it.
    lab.shell("chmod 666 /run/etc/below/nics.toml").run().ok();
    watch.wait_for("/run/etc/below/nics.toml: can be written by another user");
    fs::write(&file, WEB.replace("10.1.0.2", "10.1.0.4")).unwrap();
    lab.shell("chmod go-w /run/etc/below/nics.toml").run().ok();
    watch.wait_for("web: eth0 10.1.0.4/24");
    lab.shell("chmod 777 /run/etc").run().ok();
    watch.wait_for("/run/etc: can be written by another user");
    fs::write(&file, WEB.replace("10.1.0.2", "10.1.0.3")).unwrap();
    lab.shell("chmod go-w /run/etc").run().ok();
    watch.wait_for("web: eth0 10.1.0.3/24");
}

#[test]
fn a_file_below_a_directory_that_others_can_write_is_no_order_of_roots() {
    let lab = need!(lab());
    write(&lab, "");
    let shell = |script: &str| lab.shell(script).run().ok();
    shell(&format!(
        "mkdir -p /run/open/below; cp {FILE} /run/open/below/nics.toml; chmod 755 /run/open/below"
    ));
    shell("ln -s open/below/nics.toml /run/link.toml; ln -s /run/open/below /run/linked");
    let files = [
        "/run/open/below/nics.toml",
        "/run/link.toml",
        "/run/linked/nics.toml",
        "/run/linked/../below/nics.toml",
    ];
    let watch = |file: &str| add_nic(&lab, &["--watch", file, "--dry-run"]);
    files.iter().for_each(|file| drop(watch(file).ok()));
    shell("chmod 777 /run/open");
    for file in files {
        let refused = watch(file).fails_with(2);
        refused.stderr_has("/run/open: can be written by another user, so its contents are not trusted\nhint: chown root /run/open;");
    }
    // The bits of the file say nothing of that: it is replaced with what stands above it.
    shell(
        "mv /run/open/below /run/open/away; mkdir /run/open/below; cp /run/open/away/nics.toml /run/open/below",
    );
    // Nobody moves away what is root's from under a sticky bit.
    shell("chmod 1777 /run/open");
    files.iter().for_each(|file| drop(watch(file).ok()));
    if lab.shell("chown 1000 /run/open/below").run().status.unwrap().success() {
        for file in files {
            // Not the directory is to be changed: of /tmp nobody wants that.
            watch(file).fails_with(2).stderr_has("/run/open/below: belongs to user 1000");
        }
    }
}

#[test]
fn with_dry_run_the_file_is_read_and_what_is_not_there_is_shown() {
    let lab = need!(lab());
    let (web, db) = (container(&lab, "web"), container(&lab, "db"));
    let _engine = engine(&lab, &[&web, &db]);
    write(&lab, &[WEB, DB].concat());
    add_nic(&lab, &["web", "10.1.0.2/24", "fd00:1::2/64"]).ok();
    let before = everything(&lab, &[&web, &db]);
    let shown = add_nic(&lab, &["--watch", FILE, "--dry-run"]).ok().stdout_has("ip link add br1 ");
    assert!(!shown.stdout.contains("web-eth0"), "{shown}");
    assert_eq!(everything(&lab, &[&web, &db]), before);
}

#[test]
fn an_interface_that_cannot_be_given_back_stays_as_it_is_and_keeps_no_other_entry() {
    let lab = need!(lab());
    let [web, db] = ["web", "db"].map(|name| container(&lab, name));
    lab.shell(
        "ip link add phq type veth peer name phr; ip link set phr up; ip link set phq up
         ip address add 10.64.0.9/24 dev phq",
    )
    .run()
    .ok();
    let before = everything(&lab, &[&web, &db]);
    let entry = |pid: i32, more: &str| format!("[[nic]]\ncontainer = '{pid}'\naddresses = {more}\n");
    let file = entry(db.pid, "'10.1.0.2/24'") + &entry(web.pid, "'10.64.0.2/24'\nphys = 'phq'");
    std::fs::write(lab.path("/run/nics.toml"), file).unwrap();
    let once = || add_nic(&lab, &["--watch", "/run/nics.toml", "--once"]);
    once().ok();
    lab.shell("ip link add phq type bridge").run().ok();
    let inside = || web.ip("address show dev eth0").stdout;
    let as_added = inside();
    std::fs::write(lab.path("/run/nics.toml"), "").unwrap();
    let refused = once().fails_with(1);
    refused.stderr_has("phq: the host has another interface of this name").stdout_has("10.1.0.2/24 removed");
    // Nothing of it was undone.
    assert_eq!(inside(), as_added);
    add_nic(&lab, &["--check"]).ok();
    lab.shell("ip link del phq").run().ok();
    once().ok().stdout_has("10.64.0.2/24 removed");
    assert_eq!(everything(&lab, &[&web, &db]), before);
}
