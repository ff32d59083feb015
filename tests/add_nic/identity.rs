//! Undoing is done to the links that the NIC was made of, whatever they are called by then, and to no stranger's.

use crate::firewall::Site;
use crate::{add_nic, everything, lab, plug};
use support::container::{Container, Options};
use support::fake_docker;
use support::fake_engine::{Answer, FakeEngine, Script};
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::tools::PATIENT;
use support::until::until;

/// An interface of the host's with an address and a route, whose other end is the host's too.
const PHQ: &str = "ip link add phq type veth peer name phr; ip link set phr up; ip link set phq up
    ip address add 10.64.0.9/24 dev phq; ip route add 10.98.0.0/16 via 10.64.0.77 dev phq";

fn web(lab: &Lab) -> Container {
    lab.container("web", Options::only(&["net"]))
}

#[test]
fn an_interface_whose_name_is_taken_stays_where_it_is_until_the_name_is_free() {
    let lab = need!(lab());
    let web = web(&lab);
    lab.shell(PHQ).run().ok();
    let before = everything(&lab, &[&web]);
    let pid = web.pid.to_string();
    plug(&lab, &web, "10.64.0.2/24 --phys phq").ok();
    lab.shell("ip link add phq type veth peer name phq2; ip link set phq up; ip link set phq2 up").run().ok();
    let added = everything(&lab, &[&web]);
    for _ in 0..2 {
        let refused = add_nic(&lab, &["--rm", &pid]).fails_with(2).stdout_is("");
        refused
            .stderr_has("phq: the host has another interface of this name")
            .stderr_has("hint: give it another name, then repeat this command: ip link set phq down; ip link set phq name NEW");
        assert_eq!(everything(&lab, &[&web]), added);
    }
    lab.shell("ip link set phq down; ip link set phq name foreign; ip link set foreign up").run().ok();
    add_nic(&lab, &["--rm", &pid]).ok();
    lab.shell("ip -br -4 address show dev foreign").run().ok().stdout_is("");
    lab.shell("ip link del foreign").run().ok();
    assert_eq!(everything(&lab, &[&web]), before);
}

#[test]
fn an_interface_is_given_back_whatever_the_container_made_of_it() {
    for change in ["address 02:11:22:33:44:55", "name lan7", "alias nobodys"] {
        let lab = need!(lab());
        let web = web(&lab);
        lab.shell(PHQ).run().ok();
        let before = everything(&lab, &[&web]);
        plug(&lab, &web, "10.64.0.2/24 --phys phq").ok();
        web.ip("link set eth0 down");
        web.ip(&format!("link set eth0 {change}"));
        add_nic(&lab, &["--check"]).fails_with(1);
        add_nic(&lab, &["--rm", &web.pid.to_string()]).ok().stdout_has("removed");
        lab.shell("ip link set phq alias ''").run().ok();
        assert_eq!(everything(&lab, &[&web]), before, "{change}");
    }
}

#[test]
fn an_interface_that_was_moved_on_is_not_forgotten() {
    let lab = need!(lab());
    let (web, nested) = (web(&lab), lab.container("nested", Options::only(&["net"])));
    lab.shell(PHQ).run().ok();
    let before = everything(&lab, &[&web]);
    let pid = web.pid.to_string();
    plug(&lab, &web, "10.64.0.2/24 --phys phq").ok();
    web.ip(&format!("link set eth0 netns {} name wan0", nested.pid));
    let mut hint = String::new();
    for _ in 0..2 {
        let refused = add_nic(&lab, &["--rm", &pid]).fails_with(2).stdout_is("");
        let said = refused.stderr_has("phq: was moved on from the container: it is wan0 in /proc/").stderr;
        hint = said.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap().to_owned();
    }
    let command = hint.strip_suffix(&format!(" && add-nic --rm {pid}")).unwrap();
    lab.shell(command).run().ok();
    add_nic(&lab, &["--rm", &pid]).ok();
    assert_eq!(everything(&lab, &[&web]), before);
}

#[test]
fn an_interface_that_was_deleted_is_no_longer_looked_for() {
    let lab = need!(lab());
    let web = web(&lab);
    lab.shell(PHQ).run().ok();
    plug(&lab, &web, "10.64.0.2/24 --phys phq").ok();
    lab.shell("ip link del phr").run().ok();
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    assert_eq!(add_nic(&lab, &["--list", "--json"]).ok().json(), serde_json::json!([]));
}

#[test]
fn a_host_end_with_another_mac_address_is_still_ours() {
    let lab = need!(lab());
    let web = web(&lab);
    let before = everything(&lab, &[&web]);
    plug(&lab, &web, "10.1.0.2/24 --host-name web0").ok();
    lab.shell("ip link set web0 address 02:00:00:00:00:77").run().ok();
    web.ip("link set eth0 address 02:00:00:00:00:78");
    add_nic(&lab, &["--check"]).fails_with(1).stdout_has("has a different MAC address");
    add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
    assert_eq!(everything(&lab, &[&web]), before);
}

fn knows(lab: &Lab, containers: &[&Container]) -> FakeEngine {
    fake_docker::knows(containers).listen(lab.path("/run/docker.sock"))
}

fn paused(lab: &Lab, web: &Container) -> FakeEngine {
    let paused = serde_json::json!({
        "Id": fake_docker::id_of("web"), "Name": "/web",
        "State": { "Status": "paused", "Running": true, "Paused": true, "Pid": web.pid },
    });
    Script::new().otherwise(Answer::json(200, &paused.to_string())).listen(lab.path("/run/docker.sock"))
}

/// A stranger's link of that name, with an address and a route; what had the name is renamed.
fn take_name(lab: &Lab, name: &str, number: usize) {
    let script = format!(
        "if ip link show {name} >/dev/null 2>&1; then ip link set {name} name {name}.o; fi
         ip link add {name} type bridge; ip address add 10.77.{number}.1/24 dev {name}; ip link set {name} up
         ip route add 10.99.{number}.0/24 via 10.77.{number}.2"
    );
    lab.shell(&script).run().ok();
}

/// What a NIC is made of, and the names of the host that its undoing is about.
const KINDS: [(&str, &[&str]); 4] = [
    ("10.1.0.2/24 --host-name web0 --gateway 10.1.0.1 --nat=all --publish 8080:80", &["web0"]),
    (
        "10.1.0.2/24 --host-name web0 --bridge br1 --create --gateway 10.1.0.1 --nat=all --publish 8080:80",
        &["web0", "br1"],
    ),
    (
        "10.1.0.2/24 --host-name web0 --bridge lanbr --host-addr 10.1.0.1 --publish 8080:80",
        &["web0", "lanbr"],
    ),
    ("10.64.0.2/24 --phys phq", &["phq"]),
];

#[test]
fn after_rm_all_is_as_before_whatever_became_of_the_container_and_of_the_names() {
    for (words, names) in KINDS {
        for fate in ["running", "restarted", "removed", "paused", "pinned"] {
            let is_phys = words.contains("--phys");
            // A veth end is deleted with its network.
            if is_phys && matches!(fate, "restarted" | "removed") {
                continue;
            }
            let site = need!(Site::new());
            let (lab, mut web) = (&site.lab, site.lab.container("web", Options::only(&["net"])));
            lab.shell(PHQ).run().ok();
            lab.shell(
                "ip link add lanbr type bridge; ip link set lanbr up; ip address add 10.2.0.1/24 dev lanbr",
            )
            .run()
            .ok();
            let first = knows(lab, &[&web]);
            // The first use of nft and iptables leaves empty tables.
            let words: Vec<&str> = ["web", PATIENT].into_iter().chain(words.split(' ')).collect();
            add_nic(lab, &words).ok();
            add_nic(lab, &[PATIENT, "--rm", "web"]).ok();
            let before = everything(lab, &[]);
            add_nic(lab, &words).ok();
            if fate == "pinned" {
                lab.tool("netns-link").args([PATIENT, "web"]).run().ok();
            }
            drop(first);
            let _engine = match fate {
                "running" => knows(lab, &[&web]),
                "paused" => paused(lab, &web),
                "restarted" => {
                    web.restart();
                    knows(lab, &[&web])
                }
                _ => {
                    web.stop();
                    knows(lab, &[])
                }
            };
            if matches!(fate, "removed" | "restarted") {
                let show = || lab.command("ip").args(["link", "show", names[0]]).run();
                until("the host's end is gone", || !show().status.is_some_and(|status| status.success()));
            }
            (0..).zip(names).for_each(|(number, name)| take_name(lab, name, number));
            let look = || {
                let look = |name: &&str| {
                    lab.shell(&format!(
                        "ip address show dev {name} | grep -v inet6; ip route show dev {name}"
                    ))
                    .run()
                    .ok()
                    .stdout
                };
                names.iter().map(look).collect::<Vec<_>>()
            };
            // What the kernel does to a bridge without ports, it does at once.
            let strangers = look();
            if is_phys {
                let added = everything(lab, &[]);
                add_nic(lab, &[PATIENT, "--rm", "web"])
                    .fails_with(2)
                    .stderr_has("another interface of this name");
                assert_eq!(everything(lab, &[]), added, "{fate} {words:?}");
                lab.shell("ip link del phq").run().ok();
            }
            let ran = add_nic(lab, &[PATIENT, "--rm", "web"]).ok();
            if !is_phys {
                assert_eq!(look(), strangers, "{fate} {words:?}: {ran}");
                for name in names {
                    lab.shell(&format!(
                        "ip link del {name}; ! ip link show {name}.o || ip link set {name}.o name {name}"
                    ))
                    .run()
                    .ok();
                }
            }
            assert_eq!(everything(lab, &[]), before, "{fate} {words:?}: {ran}");
            add_nic(lab, &["--check"]).ok();
        }
    }
}

/// What the NIC has is compared on the link that it is, of every kind.
#[test]
fn that_an_interface_was_renamed_is_one_difference() {
    let kinds = [
        ("--host-name web0", "eth0 was renamed to mine"),
        ("--macvlan phq --gateway 10.64.0.9", "eth0 was renamed to mine"),
        ("--phys phq --gateway 10.64.0.77 --mtu 1400", "eth0 was renamed to mine"),
        ("--peer db --gateway 10.64.0.1", "eth0 was renamed to mine"),
    ];
    for (words, said) in kinds {
        let lab = need!(lab());
        let web = web(&lab);
        let db = lab.container("db", Options::only(&["net"]));
        lab.shell(PHQ).run().ok();
        // A veth pair to the host cannot have the network of another interface.
        let address = if words.contains("--host-name") { "10.1.0.2/24" } else { "10.64.0.2/24" };
        plug(&lab, &web, &format!("{address} {}", words.replace("db", &db.pid.to_string()))).ok();
        add_nic(&lab, &["--check"]).ok();
        // Somebody else has the name now.
        let rename =
            "ip link set eth0 name mine; ip link add eth0 type bridge; ip address add 10.78.0.1/24 dev eth0";
        lab.shell(&format!("nsenter --target {} --net sh -ec '{rename}'", web.pid)).run().ok();
        let found = add_nic(&lab, &["--check"]).fails_with(1);
        assert_eq!(found.stdout.lines().count(), 1, "{words}: {found}");
        found.stdout_has(said);
        add_nic(&lab, &["--rm", &web.pid.to_string()]).ok();
        assert!(web.ip("-4 address show dev eth0").stdout.contains("10.78.0.1/24"));
    }
}
