//! Many at once, and ends that nobody asked for.

use std::process::Command;

use crate::arp::container_options;
use crate::{cable, events, of_kind};
use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::need;
use support::tools;

#[test]
fn fifty_at_once_each_hear_their_own_answers_only() {
    let cable = need!(cable());
    let pid = cable.web.pid.to_string();
    let start = |words: &[&str]| cable.lab.tool("netns-ping").args(["--json", &pid]).args(words).start();
    let running: Vec<RunningProgram> = (0..50)
        .map(|nth| match nth % 5 {
            0 => start(&["198.18.0.2", "-f", "-c500"]),
            1 => start(&["fd00::2", "-c3", "-i0.01"]),
            2 => start(&["--arp", "198.18.0.2", "-c2", "-i0.01"]),
            3 => start(&["198.18.0.0/29"]),
            _ => start(&["198.18.0.2", "fd00::2", "-c3", "-i0.01"]),
        })
        .collect();
    for running in running {
        let ran = running.finish().ok();
        // What others are answered fills the queue of a process that has to wait for a processor.
        let said = ran.stderr.lines().filter(|line| !line.contains("the kernel dropped"));
        assert_eq!(said.count(), 0, "{ran}");
        let events = events(&ran);
        let summaries = of_kind(&events, "summary");
        assert!(!summaries.is_empty(), "{ran}");
        for summary in summaries {
            for nothing in ["duplicates", "corrupted", "errors", "malformed", "more_macs"] {
                assert!(summary[nothing].as_u64().is_none_or(|count| count == 0), "{nothing}: {ran}");
            }
            // ARP has no numbers: who asks hears what others in the same network are answered.
            let (is_echo, is_sweep) = (summary["transmitted"].is_u64(), summary["answered"].is_u64());
            if is_echo {
                assert_eq!(
                    (&summary["received"], &summary["strays"]),
                    (&summary["transmitted"], &0.into()),
                    "{ran}"
                );
            }
            assert!(!is_sweep || summary["answered"] == 1, "{ran}");
        }
    }
}

#[test]
fn a_reader_that_has_enough_ends_it_without_a_word() {
    let cable = need!(cable());
    let tool = tools::tool("netns-ping");
    for words in ["198.18.0.2 -i0.01", "198.18.0.2 -f", "--json 198.18.0.2 -i0.01", "--arp -i0.01 198.18.0.2"]
    {
        let line =
            format!("{tool} pid:{} {words} | head -c1 >/dev/null; echo ${{PIPESTATUS[0]}}", cable.web.pid);
        let ran = cable.lab.command("bash").args(["-c", &line]).run().ok().stderr_is("");
        assert!(ran.text() == "0" || ran.text() == "141", "{words}: {ran}");
    }
}

#[test]
fn a_container_that_dies_meanwhile_is_seen_and_the_summary_comes() {
    let mut cable = need!(cable());
    let start = |words: &[&str]| {
        let mut ping = cable.lab.tool("netns-ping");
        ping.arg(cable.web.pid.to_string()).args(words).start()
    };
    let running = [
        start(&["198.18.0.2", "-i0.1", "-W0.2", "-c20"]),
        start(&["--arp", "198.18.0.2", "-i0.1", "-W0.2"]),
        start(&["--json", "--rate", "5", "198.18.0.0/24"]),
    ];
    running[0].wait_for("icmp_seq=2 ");
    running[1].wait_for("reply from 198.18.0.2");
    running[2].wait_for("\"198.18.0.2\"");
    // The cable goes with the network of the other end.
    cable.db.stop();
    let [ping, arp, sweep] = running;
    let ran = ping.finish().ok();
    ran.stdout_has("20 packets transmitted")
        .stdout_has(" errors, ")
        .stdout_has("rtt min/avg/max/mdev")
        .stderr_has("icmp_seq=");
    arp.finish().fails_with(2).stderr_has("the interface ");
    let ran = sweep.finish().fails_with(2).stderr_has("the interface ");
    let [.., summary, verdict] = &events(&ran)[..] else { panic!("{ran}") };
    assert_eq!((&summary["event"], &verdict["event"]), (&"summary".into(), &"verdict".into()), "{ran}");
    assert_eq!(verdict["cause"], "not-done", "{ran}");
    // The one that pings dies: who is inside stays there.
    let running = start(&["127.0.0.1", "-i0.1", "-c10"]);
    running.wait_for("icmp_seq=1 ");
    cable.web.stop();
    running.finish().ok().stdout_has("10 packets transmitted, 10 received");
}

#[test]
fn in_a_crowd_of_a_thousand_networks_neighbours_have_their_names() {
    let lab = need!(Lab::new());
    let [web, db] = ["web", "db"].map(|name| lab.container(name, container_options()));
    lab.veth((&web, "198.18.0.1/24"), (&db, "198.18.0.2/24"));
    let add =
        "mount --make-private /run; for n in $(seq 1000); do echo netns add crowd$n; done | ip -batch -";
    lab.shell(add).run().ok();
    let ping = |words: &[&str]| -> Command {
        let mut ping = lab.tool("netns-ping");
        ping.arg(format!("pid:{}", web.pid)).args(words);
        ping
    };
    let who = format!("pid:{} (sh) eth0", db.pid);
    ping(&["--arp", "-c1", "198.18.0.2"]).run().ok().stdout_has(&who);
    ping(&["198.18.0.0/28"]).run().ok().stdout_has(&who);
    lab.shell("for n in $(seq 1000); do echo netns del crowd$n; done | ip -batch -").run().ok();
}
