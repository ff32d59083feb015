//! Containers that are gone, restarted, paused, renamed or whose network is kept: nothing of a NIC outlives it, and what is left is
//! removed by any call.

use std::process::Stdio;

use crate::firewall::Site;
use crate::{add_nic, everything, lab, plug};
use support::container::{Container, Options};
use support::fake_docker;
use support::fake_engine::{Answer, FakeEngine, Script};
use support::lab::Lab;
use support::run::Run;
use support::skip::need;
use support::until::until;

fn engine(lab: &Lab, containers: &[&Container]) -> FakeEngine {
    fake_docker::knows(containers).listen(lab.path("/run/docker.sock"))
}

pub fn container(lab: &Lab, name: &str) -> Container {
    lab.container(name, Options::only(&["net"]))
}

/// The host's links by name.
#[track_caller]
pub fn has_link(lab: &Lab, name: &str) -> bool {
    lab.command("ip").args(["link", "show", name]).run().status.is_some_and(|status| status.success())
}

#[test]
fn any_call_removes_what_is_left_and_says_so() {
    let ways: [&[&str]; 3] = [&["--list"], &["--check"], &["--rm", "netns:nobody"]];
    for way in ways {
        let lab = need!(lab());
        let before = everything(&lab, &[]);
        let mut web = container(&lab, "web");
        plug(&lab, &web, "10.1.0.2/24 --bridge br1 --create --host-name web0").ok();
        web.stop();
        until("the host's end is gone", || !has_link(&lab, "web0"));
        for looking in
            [&["netns:nobody", "10.9.0.2/24", "--dry-run"][..], &["--rm", "--dry-run", "netns:nobody"]]
        {
            add_nic(&lab, looking);
            assert!(has_link(&lab, "br1"), "{looking:?}");
        }
        let ran = add_nic(&lab, way);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("eth0: no longer exists; removed what was left of it: bridge br1"), "{ran}");
        assert_eq!(ran.status.and_then(|status| status.code()), Some(i32::from(way == ["--check"])), "{ran}");
        assert_eq!(everything(&lab, &[]), before, "{way:?}");
        add_nic(&lab, &["--check"]).ok().stdout_is("").stderr_is("");
    }
}

#[test]
fn a_killed_add_is_undone_by_a_check_too() {
    let lab = need!(lab());
    let web = container(&lab, "web");
    let before = everything(&lab, &[&web]);
    plug(&lab, &web, "10.1.0.2/24").ok();
    lab.shell("sed -i 's/\"is_whole\":true/\"is_whole\":false/' /run/netns-toolbox/nics/*.json").run().ok();
    add_nic(&lab, &["--check"])
        .fails_with(1)
        .stdout_has("incomplete: add-nic was killed or failed; removed ");
    assert_eq!(everything(&lab, &[&web]), before);
    add_nic(&lab, &["--check"]).ok();
}

/// What an engine says of a container that it has paused.
fn paused(lab: &Lab, web: &Container) -> FakeEngine {
    let paused = serde_json::json!({
        "Id": fake_docker::id_of("web"), "Name": "/web",
        "State": { "Status": "paused", "Running": true, "Paused": true, "Pid": web.pid },
    });
    Script::new().otherwise(Answer::json(200, &paused.to_string())).listen(lab.path("/run/docker.sock"))
}

#[test]
fn any_name_that_list_prints_can_be_given_to_rm() {
    for fate in ["paused", "gone", "kept by a link", "renamed", "no engine"] {
        let lab = need!(lab());
        let mut web = container(&lab, "web");
        let before = everything(&lab, &[]);
        let first = engine(&lab, &[&web]);
        add_nic(&lab, &["web", "10.1.0.2/24"]).ok();
        if fate == "kept by a link" {
            lab.tool("netns-link").arg("web").run().ok();
        }
        drop(first);
        let _engine = match fate {
            "paused" => Some(paused(&lab, &web)),
            "renamed" => {
                let other = container(&lab, "other");
                Some(engine(&lab, &[&other]))
            }
            "no engine" => None,
            _ => {
                web.stop();
                Some(engine(&lab, &[]))
            }
        };
        add_nic(&lab, &["--rm", "web"]).ok().stdout_is("web: eth0 10.1.0.2/24 removed\n");
        assert_eq!(everything(&lab, &[]), before, "{fate}");
        assert_eq!(add_nic(&lab, &["--list", "--json"]).ok().json(), serde_json::json!([]), "{fate}");
    }
}

#[test]
fn a_name_that_nobody_knows_is_said_to_be_none() {
    let lab = need!(lab());
    let _engine = engine(&lab, &[]);
    add_nic(&lab, &["--rm", "web"])
        .ok()
        .stdout_is("")
        .stderr_has("no such container")
        .stderr_has("nothing to remove");
}

#[test]
fn forwarding_stays_if_somebody_else_may_need_it() {
    let cases = [
        ("true", "0", ""),
        (
            "echo 1 >/proc/sys/net/ipv4/ip_forward",
            "1",
            "stays 1: another program or a user may have set it too",
        ),
        (
            "nft 'add table ip theirs; add chain ip theirs x { type nat hook postrouting priority 100; }; add rule ip theirs x masquerade'",
            "1",
            "stays 1: another program has firewall rules that it had not before",
        ),
    ];
    for (meanwhile, after, said) in cases {
        let site = need!(Site::new());
        let value = || site.lab.shell("cat /proc/sys/net/ipv4/ip_forward").run().ok().text().to_owned();
        assert_eq!(value(), "0");
        for words in ["10.1.0.2/24 --gateway 10.1.0.1 --nat=all", "10.3.0.2/24 --publish 8080:80"] {
            plug(&site.lab, &site.web, words).ok();
        }
        site.lab.shell(meanwhile).run().ok();
        let ran = site.remove();
        assert_eq!(value(), after, "{meanwhile}: {ran}");
        ran.stderr_has(said);
    }
}

#[test]
fn rules_that_cannot_be_looked_at_are_named_once_and_a_removal_that_needs_the_program_changes_nothing() {
    let site = need!(Site::new());
    site.dockers_rules("nft");
    let before = everything(&site.lab, &[&site.web]);
    plug(&site.lab, &site.web, "10.1.0.2/24 --gateway 10.1.0.1 --nat=all --publish 8080:80").ok();
    let added = everything(&site.lab, &[&site.web]);
    let hide = "for name in iptables-nft iptables; do file=$(readlink -f /usr/sbin/$name); ! [ -x $file ] || mount --bind /dev/null $file; done";
    site.lab.shell(hide).run().ok();
    let checked = add_nic(&site.lab, &["--check"]).fails_with(1);
    checked.stdout_has(
        "could not look at its rules in iptables-nft's DOCKER-USER: iptables-nft is not installed",
    );
    let lines = add_nic(&site.lab, &["--check"]).stdout;
    assert_eq!(lines.lines().count(), 1, "{lines}");
    let refused = add_nic(&site.lab, &["--rm", &site.web.pid.to_string()]).fails_with(2).stdout_is("");
    refused.stderr_has("iptables-nft: not installed").stderr_has("nothing was removed");
    let show = "for name in iptables-nft iptables; do umount $(readlink -f /usr/sbin/$name) 2>/dev/null || true; done";
    site.lab.shell(show).run().ok();
    assert_eq!(everything(&site.lab, &[&site.web]), added);
    site.remove();
    assert_eq!(everything(&site.lab, &[&site.web]), before);
}

#[test]
fn what_could_not_be_printed_is_said_to_be_done() {
    let lab = need!(lab());
    let web = container(&lab, "web");
    let tool = support::tools::tool("add-nic");
    let full = |words: &str| lab.shell(&format!("{tool} {words} >/dev/full")).run().fails_with(2);
    full(&format!("{} 10.1.0.2/24", web.pid)).stderr_has(&format!("eth0 of pid:{} is there", web.pid));
    add_nic(&lab, &["--check"]).ok();
    full(&format!("--rm {}", web.pid)).stderr_has(&format!("eth0 of pid:{} was removed", web.pid));
    assert_eq!(add_nic(&lab, &["--list", "--json"]).ok().json(), serde_json::json!([]));
}

#[test]
fn a_run_that_is_not_the_hosts_is_warned_about() {
    let lab = need!(lab());
    for (tool, words) in [("add-nic", "--list"), ("netns-link", "--list")] {
        let tool = support::tools::tool(tool);
        let script = format!("unshare --mount sh -c 'mount -t tmpfs none /run; exec {tool} {words}'");
        lab.shell(&script).run().ok().stderr_has("/run is not that of the first process");
        lab.shell(&format!("{tool} {words}")).run().ok().stderr_is("");
    }
}

#[test]
fn what_is_left_is_removed_also_while_another_call_is_at_work() {
    for other_end in ["", "--bridge br1 --create"] {
        let mut site = need!(Site::new());
        let before = everything(&site.lab, &[]);
        let words = format!("10.1.0.2/24 {other_end} --nat=all --publish 8080:80");
        plug(&site.lab, &site.web, &words).ok();
        let end = format!("pid{}-eth0", site.web.pid);
        site.web.stop();
        until("the host's end is gone", || !has_link(&site.lab, &end));
        // The other one has looked already, or is about another network.
        let hold = |until: &str| {
            let script = format!("flock /run/netns-toolbox/nics sh -c 'echo locked; {until}'");
            let holder = site.lab.shell(&script).start_with(Stdio::piped());
            holder.wait_for("locked");
            holder
        };
        let mut stuck = hold("! read -r _");
        let told = add_nic(&site.lab, &["--check"]).fails_with(1).stdout_has("eth0: no longer exists");
        told.stderr_has("is at work on NICs, so the next call removes what is left");
        stuck.close_stdin();
        stuck.finish().ok();
        let _busy = hold("sleep 0.5");
        add_nic(&site.lab, &["--check"])
            .fails_with(1)
            .stdout_has("no longer exists; removed what was left of it: ");
        add_nic(&site.lab, &["--check"]).ok().stdout_is("").stderr_is("");
        assert_eq!(everything(&site.lab, &[]), before);
    }
}

#[test]
fn the_number_of_a_process_that_is_another_one_by_now_names_what_is_listed() {
    let lab = need!(lab());
    let before = everything(&lab, &[]);
    let tool = |name| support::tools::tool(name);
    // In a PID namespace whose next number can be chosen.
    let script = format!(
        "mount -t proc proc /proc
         unshare --net sleep 1000 & pid=$!; until [ \"$(readlink /proc/$pid/ns/net)\" != \"$(readlink /proc/$$/ns/net)\" ]; do :; done
         {add_nic} $pid 10.5.0.2/24; {netns_link} --as kept $pid; kill $pid; wait $pid 2>/dev/null || :
         echo $((pid - 1)) >/proc/sys/kernel/ns_last_pid; unshare --net sleep 1000 & again=$!
         [ $again = $pid ] || {{ echo 'another number'; exit 7; }}
         until [ \"$(readlink /proc/$pid/ns/net)\" != \"$(readlink /proc/$$/ns/net)\" ]; do :; done
         {add_nic} --list; {add_nic} --rm pid:$pid; {add_nic} --list --json; {netns_link} --rm kept; kill $again",
        add_nic = tool("add-nic"),
        netns_link = tool("netns-link"),
    );
    let ran = lab.command("unshare").args(["--pid", "--fork", "--mount", "sh", "-ec", &script]).run().ok();
    ran.stdout_has("10.5.0.2/24 removed\n").stdout_has("[]\n");
    assert_eq!(everything(&lab, &[]), before);
}
