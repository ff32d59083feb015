//! Namespaces that no process is in and that have no name, each held by something else, and what a look that is whole says of
//! them.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::process::Stdio;

use common::namespace::{Namespace, NamespaceKind};
use common::netns::Home;
use serde_json::json;

use support::lab::Lab;
use support::run::{Run, RunningProgram};
use support::skip::need;

use crate::plugged::inode;
use crate::seen::PrintedMap;

/// Set for a copy of this test program that holds a namespace in a lab.
const ROLE: &str = "NETNS_TOOLBOX_MAP_TEST_HOLD";

/// A namespace with a cable to the host, whose name is taken away by who holds it.
const ADD: &str = "ip netns add gone; ip link add to-gone type veth peer name eth0 netns gone";
const FORGET: &str = "umount -l /run/netns/gone; rm /run/netns/gone";

/// No test of its own, but what the copy runs.
#[test]
fn a_namespace_is_held_where_that_is_asked_for() {
    let opened = || Namespace::open("/run/netns/gone".as_ref(), NamespaceKind::Net).unwrap();
    match std::env::var(ROLE).as_deref() {
        Ok("socket") => {
            let home = Home::current().unwrap();
            let socket = home.inside(&opened(), || UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
            hold_until_told();
            drop(socket);
        }
        Ok("thread") => {
            // The test's own thread is not the program's first one.
            opened().enter().unwrap();
            hold_until_told();
        }
        _ => {}
    }
}

fn hold_until_told() {
    writeln!(std::io::stdout(), "\nholding").unwrap();
    let _ = std::io::stdin().read(&mut [0]);
}

/// A copy of this program that holds the namespace; then that loses its name.
#[track_caller]
fn holding(lab: &Lab, by: &str) -> RunningProgram {
    lab.shell(ADD).run().ok();
    let mut itself = lab.command(std::env::current_exe().unwrap());
    itself.args(["--exact", "held::a_namespace_is_held_where_that_is_asked_for", "--nocapture"]);
    let holder = itself.env(ROLE, by).start_with(Stdio::piped());
    holder.wait_for("holding\n");
    lab.shell(FORGET).run().ok();
    holder
}

/// What a whole look says of the only namespace beside the lab's own, and that it is plugged into the host.
#[track_caller]
fn held_by(lab: &Lab) -> String {
    let quick = PrintedMap::of(lab, &[(inode(lab, 1), "host")]);
    assert_eq!(quick.ends(), ["host to-gone → unseen"]);
    let found = PrintedMap::looking(lab, "whole", &[(inode(lab, 1), "host")]);
    let gone = found.namespaces.iter().find(|netns| netns["is_own"] == false).expect("a second namespace");
    assert_eq!((&gone["names"], &gone["processes"]), (&json!([]), &json!([])));
    let number = &gone["inode"];
    let expected = [format!("{number} eth0 → host to-gone"), format!("host to-gone → {number} eth0")];
    assert_eq!(found.ends(), expected);
    let holders = gone["held_by"].as_array().unwrap();
    assert_eq!(holders.len(), 1, "{holders:?}");
    holders[0].as_str().unwrap().to_owned()
}

#[test]
fn an_open_descriptor_holds_one() {
    let lab = need!(Lab::new());
    let script = format!("{ADD}; exec 9</run/netns/gone; {FORGET}; echo holding $$; read -r _");
    let holder = lab.shell(&script).start_with(Stdio::piped());
    holder.wait_for("holding ");
    let pid = holder.first_line().unwrap();
    let pid = pid.trim_start_matches("holding ");
    assert_eq!(held_by(&lab), format!("Descriptor {{ pid: Pid({pid}), fd: 9 }}"));
}

#[test]
fn a_socket_alone_holds_one() {
    let lab = need!(Lab::new());
    let _holder = holding(&lab, "socket");
    assert!(held_by(&lab).starts_with("Socket { pid: Pid("));
}

#[test]
fn a_thread_that_has_left_its_process_holds_one() {
    let lab = need!(Lab::new());
    let _holder = holding(&lab, "thread");
    assert!(held_by(&lab).starts_with("Thread { pid: Pid("));
}

#[test]
fn a_mount_that_only_others_see_holds_one() {
    let lab = need!(Lab::new());
    lab.shell(ADD).run().ok();
    // Its copy of the name goes, too.
    let script = "touch /run/elsewhere; mount --bind /run/netns/gone /run/elsewhere; umount /run/netns/gone
         echo holding $$; read -r _";
    let mut unshare = lab.command("unshare");
    unshare.args(["--mount", "--propagation", "private", "sh", "-ec", script]);
    let holder = unshare.start_with(Stdio::piped());
    holder.wait_for("holding ");
    let pid = holder.first_line().unwrap();
    let pid = pid.trim_start_matches("holding ");
    lab.shell(FORGET).run().ok();
    let expected = format!("ForeignMount {{ pid: Pid({pid}), path: \"/run/elsewhere\" }}");
    assert_eq!(held_by(&lab), expected);
}
