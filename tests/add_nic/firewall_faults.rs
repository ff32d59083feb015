//! Faults of what --nat=all and --publish stand on: the kernel's refusal and SIGKILL at system calls of each kind of add-nic, and each
//! program that it starts failing, or being killed, before or after it has done what it was told.

use std::fs;
use std::io::Write;
use std::time::Duration;

use crate::everything;
use crate::faults::{ALL_OR_NOTHING, REPAIRED, Scene, is_chosen};
use crate::firewall::KINDS;
use support::run::Run;
use support::skip::{Missing, need, program};
use support::tier;

const NAT: &str = "10.1.0.2/24 --gateway 10.1.0.1 --nat=all";
const WORDS: &str =
    "10.1.0.2/24 --gateway 10.1.0.1 --nat=all --publish 8080:80 --sysctl net.ipv4.ip_default_ttl=33";
const BRIDGED: &str =
    "10.1.0.2/24 fd00:1::2/64 --bridge br1 --create --forward --nat=all --publish 53:53/udp";

const LONG: Duration = Duration::from_secs(600);

/// With Docker's rules of that kind.
pub(crate) fn scene(words: &str, kind: &str) -> Result<Scene, Missing> {
    program("nft", "nftables")?;
    program("iptables-legacy", "iptables")?;
    let mut scene = Scene::new(words)?;
    // What add-nic starts has its own turn below, and makes a call last much longer.
    (scene.strace, scene.most) = ("strace", if tier::is_all() { u32::MAX } else { 6 });
    let rules = format!(
        "for iptables in iptables-{kind} ip6tables-{kind}; do
             $iptables -N DOCKER-USER; $iptables -A FORWARD -j DOCKER-USER; $iptables -P FORWARD DROP
         done"
    );
    scene.lab.shell(&rules).run().ok();
    Ok(scene)
}

#[test]
fn rules_that_the_kernel_refuses_leave_nothing() {
    let scene = need!(scene(NAT, "nft"));
    scene.every_time("nat, EIO", "true", (&scene.add, &["error=EIO"]), ALL_OR_NOTHING);
}

#[test]
fn whatever_a_killed_call_leaves_of_rules_a_removal_repairs() {
    let scene = need!(scene(NAT, "legacy"));
    scene.every_time("nat, SIGKILL", "true", (&scene.add, &["signal=KILL"]), REPAIRED);
}

#[test]
fn whatever_a_killed_removal_leaves_of_rules_the_next_completes() {
    let scene = need!(scene(NAT, "nft"));
    scene.every_time("removal of nat, SIGKILL", &scene.add, (&scene.remove, &["signal=KILL"]), REPAIRED);
}

/// Stands in for nft and iptables: what is started as number AT of all fails in the way of MODE. The name that it is
/// started by is what iptables' program of many names goes by.
const STAND_IN: &str = r#"#!/bin/sh
echo "$0 $*" >>/run/started
real() { case $0 in *nft) [ "${0##*/}" = nft ] && { /run/real/nft "$@"; return; } ;; esac
    case $0 in *-legacy) /run/real/legacy "${0##*/}" "$@" ;; *) /run/real/multi "${0##*/}" "$@" ;; esac; }
read -r at mode </run/fault 2>/dev/null || at=0
if [ "$(wc -l </run/started)" != "$at" ]; then real "$@"; exit; fi
case $mode in
    fails) echo 'no, says the stand-in' >&2; exit 4 ;;
    fails-late) real "$@"; exit 4 ;;
    killed) kill -KILL $$ ;;
    killed-late) real "$@"; kill -KILL $$ ;;
    slow) sleep 1; real "$@" ;;
esac
"#;

/// Puts it in front of all of them, in the lab alone.
pub(crate) fn stand_in(scene: &Scene) {
    fs::write(scene.lab.path("/run/stand-in"), STAND_IN).unwrap();
    let script = "chmod +x /run/stand-in; mkdir /run/real
        for pair in nft:nft xtables-nft-multi:multi xtables-legacy-multi:legacy; do
            cp /usr/sbin/${pair%%:*} /run/real/${pair#*:}; mount --bind /run/stand-in /usr/sbin/${pair%%:*}
        done";
    scene.lab.shell(script).run().ok();
}

/// How many programs `command` starts.
#[track_caller]
pub(crate) fn starts(scene: &Scene, command: &str) -> usize {
    scene.lab.shell(&format!("rm -f /run/started /run/fault; touch /run/started; {command}")).run().ok();
    fs::read_to_string(scene.lab.path("/run/started")).unwrap().lines().count()
}

#[test]
fn a_program_that_fails_or_is_killed_leaves_all_or_nothing() {
    for (kind, words) in KINDS.into_iter().zip([WORDS, BRIDGED]) {
        let scene = need!(scene(words, kind));
        stand_in(&scene);
        let start = everything(&scene.lab, &[&scene.web]);
        let (added, removed) = (starts(&scene, &scene.add), starts(&scene, &scene.remove));
        assert!(added > 4 && removed > 3, "{added} {removed}");
        let mut count = 0;
        for (way, mode) in ["fails", "fails-late", "killed", "killed-late"].into_iter().enumerate() {
            let numbers = (1..=added).map(|at| (at, true)).chain((1..=removed).map(|at| (at, false)));
            for (number, adds) in numbers.filter(|(number, _)| is_chosen(way, *number)) {
                let fault = |at: usize| {
                    fs::write(scene.lab.path("/run/started"), "").unwrap();
                    fs::write(scene.lab.path("/run/fault"), format!("{at} {mode}\n")).unwrap();
                };
                let about = format!("{kind} {mode} {number} {}", if adds { "add" } else { "remove" });
                if !adds {
                    scene.lab.shell(&scene.add).run().ok();
                }
                fault(number);
                let command = if adds { &scene.add } else { &scene.remove };
                let ran = scene.lab.shell(command).run_within(LONG);
                fs::remove_file(scene.lab.path("/run/fault")).unwrap();
                count += 1;
                match ran.status.and_then(|status| status.code()) {
                    Some(0) => drop(scene.lab.shell(&scene.remove).run().ok()),
                    Some(2) if adds => {}
                    // What a removal could not do, the next one does.
                    Some(2) => drop(scene.lab.shell(&scene.remove).run().ok()),
                    _ => panic!("{about}: {ran}"),
                }
                assert_eq!(everything(&scene.lab, &[&scene.web]), start, "{about}: {ran}");
            }
        }
        let _ = writeln!(
            std::io::stderr(),
            "add-nic: {kind}, programs that fail: {count} faults, nothing left of any"
        );
    }
}

#[test]
fn what_a_killed_call_has_started_ends_before_the_next_call_looks() {
    let scene = need!(scene(WORDS, "nft"));
    stand_in(&scene);
    let start = everything(&scene.lab, &[&scene.web]);
    let added = starts(&scene, &scene.add);
    scene.lab.shell(&scene.remove).run().ok();
    for number in 1..=added {
        fs::write(scene.lab.path("/run/started"), "").unwrap();
        fs::write(scene.lab.path("/run/fault"), format!("{number} slow\n")).unwrap();
        // Killed while the program of that number has yet to do its work.
        let script = format!(
            "{} & add=$!; until [ $(wc -l </run/started) = {number} ]; do :; done; kill -KILL $add; rm /run/fault; {}",
            scene.add, scene.remove
        );
        scene.lab.shell(&script).run().ok();
        assert_eq!(everything(&scene.lab, &[&scene.web]), start, "{number}");
    }
}
